#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Exercises one of the examples as a user would: starts it, talks to it over sockets, ends it.

drive.py [--no-io-uring] NAME PROGRAM; exit status 0, or 1 with what was wrong. With --no-io-uring
the program runs under a filter that refuses io_uring_setup(2), as Docker's default profile does:
the same program must then do the same on epoll.
"""

import contextlib
import ctypes
import os
import platform
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

TIMEOUT_S = 20


def refuse_io_uring():
    """A seccomp filter: io_uring_setup, number 425 everywhere, is EPERM."""
    pr_set_no_new_privs, pr_set_seccomp, mode_filter, nr = 38, 22, 2, 425
    load, equal, give, eperm, allow = 0x20, 0x15, 0x06, 0x00050001, 0x7fff0000
    code = b"".join(struct.pack("=HBBI", *step) for step in (
        (load, 0, 0, 0), (equal, 0, 1, nr), (give, 0, 0, eperm), (give, 0, 0, allow)))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(pr_set_no_new_privs, 1, 0, 0, 0) or libc.prctl(pr_set_seccomp, mode_filter,
                                                                 program, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def start(program, *arguments):
    before = refuse_io_uring if "--no-io-uring" in sys.argv else None
    return subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True, preexec_fn=before)


def uses_io_uring(process):
    folder = f"/proc/{process.pid}/fd"
    return any("[io_uring]" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder))


@contextlib.contextmanager
def running(program, *arguments, status=0):
    """The program and where it listens; at the end it is told to end, and does so properly."""
    with start(program, *arguments) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (\S+):(\d+)\n", line)
            assert found and found[2] != "0", f"it says {line!r}"
            if "--no-io-uring" in sys.argv:
                assert not uses_io_uring(process)
            yield process, (found[1], int(found[2]))
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == status, f"it ended with {process.returncode}"
        finally:
            process.kill()


def connect(address):
    return socket.create_connection(address, TIMEOUT_S)


def receive_all(connection):
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def say_and_hear(address, data):
    """Sends all, reading meanwhile, and returns what comes until the end."""
    with connect(address) as connection:
        def say():
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        speaker = threading.Thread(target=say)
        speaker.start()
        heard = receive_all(connection)
        speaker.join()
        return heard


def check_echo(program):
    with running(program, "127.0.0.1:0") as (_, address):
        for size in (0, 1, 100, 5_000_000):
            data = random.randbytes(size)
            assert say_and_hear(address, data) == data, f"{size} bytes came back otherwise"
        many = [connect(address) for _ in range(100)]
        for index, connection in enumerate(many):
            connection.sendall(b"%d" % index)
        for index, connection in enumerate(many):
            assert connection.recv(10) == b"%d" % index
            if index % 2:
                connection.close()
    # the others were still connected when it was told to end
    wrong = subprocess.run([program, "localhost"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong


def check_embed(program):
    with running(program, "127.0.0.1:0") as (process, address):
        data = random.randbytes(1_000_000)
        assert say_and_hear(address, data) == data
        time.sleep(0.05)
        burst = [connect(address) for _ in range(300)]
        for connection in burst:
            connection.sendall(b"hello")
        for connection in burst:
            assert connection.recv(10) == b"hello"
        process.send_signal(signal.SIGTERM)
        assert "alive" in process.stdout.read()


def check_relay(program):
    answer, question = random.randbytes(7_000_000), random.randbytes(3_000_000)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        def serve():
            connection, _ = upstream.accept()
            with connection:
                heard.append(receive_all(connection))  # until the client's half was closed
                connection.sendall(answer)
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        where = "%s:%d" % upstream.getsockname()
        with running(program, "127.0.0.1:0", where) as (_, address):
            assert say_and_hear(address, question) == answer
            server.join(TIMEOUT_S)
            assert heard == [question]
            upstream.close()
            with connect(address) as refused:
                assert refused.recv(1) == b""  # nobody upstream: it is closed, not left waiting


def check_gather(program):
    with start(program) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert output == """\
four at once: all is well
     1: 1
     2: 4
     3: 9
     4: 16
the first failure cancels: Numerical argument out of domain
     2: 4
    -1: Numerical argument out of domain
     3: Operation canceled
all may finish, two at a time: Numerical argument out of domain
     2: 4
    -1: Numerical argument out of domain
     3: 9
""", output


def connect_small(address):
    """With segments as on Ethernet: the kernel paces after ten of them (loopback: 64 KiB)."""
    connection = socket.socket()
    connection.settimeout(TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
    connection.connect(address)
    return connection


def arrivals(connection):
    """[(when, bytes)], and all bytes."""
    parts, times = [], []
    begin = time.monotonic()
    while part := connection.recv(1 << 16):
        parts.append(part)
        times.append((time.monotonic() - begin, len(part)))
    return times, b"".join(parts)


def check_chunked(program):
    rate, film = 1_000_000, random.randbytes(1_200_000)
    with tempfile.NamedTemporaryFile(dir=os.getcwd()) as file:
        file.write(film)
        file.flush()
        for mode in ("pace", "sleep"):
            with running(program, "--listen", "127.0.0.1:0", "--rate", str(rate), "--mode", mode,
                         file.name) as (_, address):
                with connect_small(address) as first, connect(address) as second:
                    times, got = arrivals(first)
                    assert got == film, f"{mode}: {len(got)} bytes, or others"
                    assert receive_all(second) == film
                took = times[-1][0]
                assert 0.7 * 1.2 < took < 2 * 1.2, f"{mode}: {took:.2f} s for 1.2 s of film"
                # half of the time brings about half of the bytes: it is spread, not sent at once
                half = sum(size for when, size in times if when < 0.6)
                assert 0.2 * rate < half < 0.95 * rate, f"{mode}: {half} bytes in 0.6 s"


def main():
    name, program = sys.argv[-2:]
    globals()[f"check_{name}"](program)
    print(f"{name} on {platform.release()}: good")


if __name__ == "__main__":
    sys.exit(main())
