#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Are the instruments right? load, crowd and send against servers that misbehave in known ways.

    bench/test_clients.py FOLDER_OF_THE_PROGRAMS

Exit status 0: they count what they should."""
import contextlib
import json
import socket
import struct
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


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


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


def load(talk, *arguments):
    return run("load", "-c", "2", "-n", "40", "-d", "5", *arguments, Server(talk).address, "/")[0]


def errors(figures):
    return figures["refused"], figures["cut"], figures["wrong"]


def answer_all(client, _):
    for request in requests(client):
        client.sendall(head() + BODY)
        if b"Connection: close" in request:
            return


def test_all_is_well():
    figures = load(answer_all)
    assert figures["req"] == 40 and errors(figures) == (0, 0, 0) and figures["closes"] == 0, figures


def test_a_connection_each():
    seen = []

    def talk(client, number):
        seen.append(number)
        answer_all(client, number)
    figures = load(talk, "-x")
    assert figures["req"] == 40 and errors(figures) == (0, 0, 0), figures
    assert len(seen) >= 41 and figures["closes"] >= 38, (figures, seen)


def test_connection_close_is_no_error():
    def talk(client, _):
        for count, _ in enumerate(requests(client)):
            client.sendall(head(LAST if count == 4 else b"") + BODY)
            if count == 4:
                return
    for mode in ([], ["-r", "400"]):
        figures = load(talk, *mode, *(["-d", "0.1"] if mode else []))
        assert figures["req"] == 40 and errors(figures) == (0, 0, 0), figures
        assert figures["closes"] >= 6 and figures["unfinished"] == 0, figures


def test_an_idle_connection_may_be_closed():
    """While it owes nothing; an open loop then goes on with a new one."""
    def talk(client, _):
        for _ in requests(client):
            client.sendall(head() + BODY)
            time.sleep(0.02)
            return
    figures = load(talk, "-r", "20", "-d", "0.5")
    assert figures["req"] == 10 and errors(figures) == (0, 0, 0), figures
    assert figures["closes"] >= 8, figures


def test_cut_within_a_response():
    def talk(client, number):
        for _ in requests(client):
            client.sendall(head() + (BODY[:500] if number == 1 else BODY))
            if number == 1:
                return
    figures = load(talk)
    assert figures["req"] == 40 and errors(figures) == (0, 1, 0), figures


def test_closed_without_a_word():
    def talk(client, number):
        for _ in requests(client):
            if number == 1:
                return
            client.sendall(head() + BODY)
    assert errors(load(talk)) == (0, 1, 0)


def test_reset_after_the_last_response():
    def talk(client, number):
        for _ in requests(client):
            client.sendall(head(LAST if number == 1 else b"") + BODY)
            if number == 1:
                time.sleep(0.02)
                reset(client)
                return
    figures = load(talk, "-r", "200", "-d", "0.2")
    assert figures["req"] == 40 and errors(figures) == (0, 1, 0), figures


def test_another_status():
    def talk(client, number):
        for count, _ in enumerate(requests(client)):
            is_bad = number == 1 and count == 3
            client.sendall(head(status=b"503 No" if is_bad else b"200 OK") + BODY)
    assert errors(load(talk)) == (0, 0, 1)


def test_refused():
    """The listener goes away for a while, with connections that are there cut in good order."""
    gone = threading.Event()

    def talk(client, number):
        for count, _ in enumerate(requests(client)):
            if number > 0 and count == 2 and not gone.is_set():
                gone.set()
                server.listener.shutdown(socket.SHUT_RDWR)
                server.listener.close()
                client.sendall(head(LAST) + BODY)
                return
            client.sendall(head() + BODY)
    server = Server(talk)
    host, port = server.address.split(":")

    def come_back():
        gone.wait(5)
        time.sleep(0.1)
        server.listener = socket.create_server((host, int(port)), backlog=512)
        server.run()
    threading.Thread(target=come_back, daemon=True).start()
    figures = run("load", "-c", "1", "-n", "40", "-d", "5", server.address, "/")[0]
    assert figures["req"] == 40 and figures["refused"] >= 3, figures
    assert errors(figures)[1:] == (0, 0), figures


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
