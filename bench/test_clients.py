#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Are the instruments right? crowd and send against servers that misbehave in known ways.

    bench/test_clients.py FOLDER_OF_THE_PROGRAMS

Exit status 0: they count what they should."""
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

BIN = Path(sys.argv[1])
BODY = b"x" * 1024
LAST = b"Connection: close\r\n"


def head(fields=b"", status=b"200 OK", size=len(BODY)):
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"Content-Length: %d\r\n\r\n" % size


def requests(client):
    """Each head that comes on a connection."""
    text = b""
    while True:
        while b"\r\n\r\n" not in text:
            more = client.recv(65536)
            if not more:
                return
            text += more
        request, text = text.split(b"\r\n\r\n", 1)
        yield request


class Server:
    """Calls `talk(client, number)` for each connection, in a thread of its own, and closes it."""

    def __init__(self, talk):
        self.talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        number = 0
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client, number), daemon=True).start()
                number += 1

    def serve(self, client, number):
        with client, contextlib.suppress(OSError):
            self.talk(client, number)


def run(program, *arguments):
    done = subprocess.run([BIN / program, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_crowd_waits():
    def talk(client, number):
        for _ in requests(client):
            time.sleep(0.3)
            if number == 3:
                return
            client.sendall(head() + BODY)
    first, last = run("crowd", "-m", "wait", "-c", "20", Server(talk).address, "/")
    assert first["there"] == 20 and first["answered"] == 0, first
    assert last["answered"] == 19 and last["lost"] == 1, last


def test_an_idle_crowd_that_is_turned_away():
    def talk(client, number):
        for _ in requests(client):
            if number >= 15:
                return
            client.sendall(head() + BODY)
    (last,) = run("crowd", "-m", "idle", "-c", "20", Server(talk).address, "/")
    assert last["there"] == 15 and last["lost"] == 5, last


def crowd_for(seconds, mode, talk):
    process = subprocess.Popen([BIN / "crowd", "-m", mode, "-c", "10", "-i", "0.1",
                                Server(talk).address, "/"], stdout=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.terminate()
    out, _ = process.communicate(timeout=10)
    return [json.loads(line) for line in out.splitlines()]


def test_slow_readers_read_slowly():
    def talk(client, _):
        for _ in requests(client):
            client.sendall(head(size=1 << 20) + b"x" * (1 << 20))
    first, last = crowd_for(1.0, "read", talk)
    assert first["there"] == 10 and last["returned"] == 0, (first, last)
    assert 5 * 10 * 1024 <= last["bytes"] <= 11 * 10 * 1024, last


def test_slow_writers_write_slowly_and_come_back():
    sizes = []

    def talk(client, _):
        size = 0
        while size < 4:
            size += len(client.recv(100))
        sizes.append(size)
    first, last = crowd_for(1.0, "write", talk)
    assert first["there"] == 10 and last["there"] >= 8, (first, last)
    assert last["returned"] >= 10 and set(sizes) == {4}, (last, sizes)


def test_send():
    received = []

    def talk(client, _):
        text = b""
        while b"\r\n\r\n" not in text:
            text += client.recv(65536)
        text, rest = text.split(b"\r\n\r\n", 1)
        size = int(text.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(rest) < size:
            rest += client.recv(65536)
        received.append((text, rest))
        client.sendall(head(LAST, b"201 Created", 0))
    (figures,) = run("send", "-s", "300000", Server(talk).address, "/a")
    assert figures["status"] == 201 and figures["bytes"] == 300000, figures
    assert received[0][0].startswith(b"PUT /a ") and len(received[0][1]) == 300000
    (figures,) = run("send", "-f", "-X", "POST", "-s", "10", Server(talk).address, "/a")
    boundary = received[1][0].split(b"boundary=")[1].split(b"\r\n")[0]
    parts = received[1][1].split(b"--" + boundary)
    assert len(parts) == 3 and len(parts[1].split(b"\r\n\r\n")[1]) == 12, received[1]


def main():
    failed = 0
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        try:
            test()
        except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{name}: {error!r}")
    print(f"{failed} failed" if failed else "the instruments count what they should")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
