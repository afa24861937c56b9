#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do the peers keep their contract (bench/lab/peer.py)?

    bench/test_peers.py FOLDER_OF_THE_BUILD [PEER ...]

All are looked at: names, paths, the words of their commands. Those that are named are also built
and asked: every row, for everything it says it answers, twice on one connection, after clients that
left in the middle of a body; and the bytes must be the file's. Exit status 0: they do; a peer that
cannot be had here is said to be missing.
"""
import base64
import contextlib
import http.client
import os
import re
import shlex
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import peer

SIZES = {"1k.txt": 1 << 10, "64k.bin": 64 << 10, "1m.bin": 1 << 20, "16m.bin": 16 << 20}
TESTS = {*peer.CONTENT, "wait"}
WORDS = {"listen", "host", "port", "dir", "work", "folder", "bin", "build"}
START_LIMIT_S = 20


def words_of(command):
    return {name for _, name, _, _ in string.Formatter().parse(command) if name is not None}


def check_row(row):
    assert re.fullmatch(r"[a-z][a-z0-9_-]*", row.name), f"{row.name}: not a name for --peers"
    assert row.title and row.role in ("peer", "leat", "limit"), row.name
    unknown = words_of(row.command) - WORDS
    assert not unknown, f"{row.name}: unknown words {unknown} in its command"
    assert words_of(row.command) & {"listen", "port", "work"}, f"{row.name}: listens nowhere"
    assert {"small", "large"} & row.answers.keys(), f"{row.name}: answers neither small nor large"
    assert row.answers.keys() <= TESTS, f"{row.name}: {row.answers.keys() - TESTS} is no test"
    for path, source in row.answers.values():
        assert path.startswith("/") and source in ("memory", "file"), f"{row.name}: {path} {source}"


def check_shapes():
    """The shape of every peer there is; returns them by name."""
    names = sorted(path.stem for path in peer.PEERS.glob("*.py"))
    all_peers = {name: peer.load(name) for name in names}
    rows = [row.name for one in all_peers.values() for row in one.rows]
    twice = {name for name in rows if rows.count(name) > 1}
    assert not twice, f"rows of one name: {twice}"
    for name, one in all_peers.items():
        assert one.name == name, f"{name}.py calls its peer {one.name}"
        assert one.title and one.rows, f"{name}: no title or no rows"
        for row in one.rows:
            check_row(row)
    return all_peers


def make_content(folder):
    for name, size in SIZES.items():
        body = os.urandom(size)
        # Text that may stand in a configuration, which is where nginx has what it has in memory.
        (folder / name).write_bytes(body if name != "1k.txt" else base64.b64encode(body)[:size])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def await_listener(process, port):
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        assert process.poll() is None, f"ended by itself, status {process.returncode}"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise AssertionError("does not accept")


@contextlib.contextmanager
def started(row, workshop, content):
    port = free_port()
    work = Path(tempfile.mkdtemp(dir=workshop.folder))
    words = {"listen": f"127.0.0.1:{port}", "host": "127.0.0.1", "port": str(port),
             "dir": content, "work": work, "folder": workshop.folder, "bin": workshop.bin,
             "build": workshop.build}
    try:
        if row.configure:
            row.configure(work, words)
        argv = [part.format(**words) for part in shlex.split(row.command)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            await_listener(process, port)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(work)


def ask(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, f"status {response.status}"
    assert response.version == 11, "not HTTP/1.1"
    assert response.getheader("Date"), "no Date"
    assert response.getheader("Content-Length") == str(len(body)), "no Content-Length"
    assert not response.will_close, "closes the connection"
    return body


def leave(port, path):
    """Asks for a body and goes in the middle of it, as the clients of a round do at its end: a
    reset after the end of what it sends, for then the server's next write has SIGPIPE."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(1024), f"{path}: no answer"
        connection.shutdown(socket.SHUT_WR)


def check_answers(row, workshop, content):
    with started(row, workshop, content) as port:
        for test in {"large", "16m"} & row.answers.keys():
            leave(port, row.answers[test][0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for test, (path, _) in row.answers.items():
            for _ in range(2):
                start = time.monotonic()
                try:
                    body = ask(connection, path.format(ms=50))
                except Exception as error:
                    raise AssertionError(f"{row.name}: {path}: {error!r}") from error
                took_s = time.monotonic() - start
                if test == "wait":
                    assert body and took_s >= 0.05, f"{row.name}: {path} took {took_s:.3f} s"
                else:
                    assert body == (content / peer.CONTENT[test]).read_bytes(), \
                        f"{row.name}: {path}: other bytes than {peer.CONTENT[test]}"
        connection.close()


def check_peer(one, build, content):
    """What is missing of it, or ""."""
    folder = build / "bench" / "peers" / one.name
    folder.mkdir(parents=True, exist_ok=True)
    workshop = peer.Workshop(folder, peer.PEERS / one.name, build / "bench", build)
    try:
        if one.build:
            one.build(workshop)
    except peer.Missing as reason:
        return f"{one.name}: {reason}"
    for row in one.rows:
        check_answers(row, workshop, content)
    return ""


def main():
    build = Path(sys.argv[1]).resolve()
    all_peers = check_shapes()
    with tempfile.TemporaryDirectory() as content:
        make_content(Path(content))
        os.chmod(content, 0o755)
        for name in sys.argv[2:]:
            print(check_peer(all_peers[name], build, Path(content)) or f"{name}: answers rightly")


if __name__ == "__main__":
    main()
