# SPDX-License-Identifier: MIT
"""The access log: every request that was answered has its line, whole, whatever happens to it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import PROMPT_S, await_true
from peer import Peer

pytestmark = pytest.mark.mostly_on("epoll")

COMBINED = re.compile(r'(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
                      r'"([^"]*)" (\d{3}|-) (\d+|-) "([^"]*)" "([^"]*)"')


def await_lines(path, count, seconds=5):
    deadline = time.monotonic() + seconds
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, f"{len(lines)} of {count} lines: {lines[-3:]}"
        time.sleep(0.05)


@pytest.fixture
def hello(folder):
    (folder / "hello.txt").write_text("hello, mill\n")
    return folder


def test_combined(serve, hello, tmp_path):
    log = tmp_path / "access.log"
    server = serve(hello, "--access-log", str(log))
    begin = time.time()
    with server.connect() as peer:
        peer.get("/hello.txt?x=%22", fields=['Referer: http://a/"b\\', "User-Agent: caf\u00e9\t1"])
        peer.get("/hello.txt", fields=["Range: bytes=0-4"])
        peer.get("/hello.txt", method="HEAD")
        peer.get("/none", version="HTTP/1.0", fields=["Connection: keep-alive"])
        peer.send("nonsense\r\n\r\n")
        assert peer.answer().status == 400
    lines = await_lines(log, 5)
    found = [COMBINED.fullmatch(line) for line in lines]
    assert all(found), lines
    assert [match[1] for match in found] == ["127.0.0.1"] * 5
    for match in found:
        when = time.mktime(time.strptime(match[2].split()[0], "%d/%b/%Y:%H:%M:%S"))
        assert begin - 2 < when < time.time() + 1
        assert match[2].split()[1] == time.strftime("%z")
    assert [match[3] for match in found] == [
        "GET /hello.txt?x=%22 HTTP/1.1", "GET /hello.txt HTTP/1.1", "HEAD /hello.txt HTTP/1.1",
        "GET /none HTTP/1.0", "-"]
    assert [match[4] for match in found] == ["200", "206", "200", "404", "400"]
    assert [match[5] for match in found][:3] == ["12", "5", "-"]
    assert found[0][6] == "http://a/\\x22b\\x5C" and found[0][7] == "caf\\xC3\\xA9\\x091"
    assert found[1][6] == found[1][7] == "-"


def test_json(serve, hello, tmp_path):
    log = tmp_path / "access.log"
    server = serve(hello, "--access-log", str(log), "--log-format", "json")
    with server.connect() as peer:
        port = peer.socket.getsockname()[1]
        peer.ask("/hello.txt", fields=["User-Agent: \u6c34\xff".encode().decode("latin-1")])
        head = peer.head()
        while len(peer.inbox) < head.length:
            assert peer.more()
    await_lines(log, 1)  # another connection may be another core's, and each writes when it likes
    with server.connect() as peer:
        peer.socket.sendall(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\"\r\n\r\n")
        peer.answer()
    first, second = [json.loads(line) for line in await_lines(log, 2)]
    assert (first["peer"], first["port"]) == ("127.0.0.1", port)
    assert (first["method"], first["target"], first["protocol"], first["host"]) == (
        "GET", "/hello.txt", "HTTP/1.1", "mill")
    assert first["status"] == 200 and first["body_sent"] == 12 and first["body_received"] == 0
    assert 100 < first["sent"] < 1000 and first["broken"] is False
    assert 0 <= first["duration_us"] < 5000000 and first["referer"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["user_agent"] == "\\xFF\""


def test_a_response_that_is_broken_off_says_so(serve, media, tmp_path):
    log = tmp_path / "access.log"
    server = serve(media, "--access-log", str(log), "--log-format", "json")
    with open(media / "big", "wb") as big:
        big.truncate(1 << 28)
    peer = server.connect(receive_buffer=4096)
    peer.ask("/big")
    peer.head()
    peer.reset()
    line = json.loads(await_lines(log, 1)[0])
    assert line["broken"] is True and line["status"] == 200 and line["sent"] < 1 << 28
    assert line["peer"] == "127.0.0.1"  # though the kernel knows no more who that was


# ----------------------------------------------------------------------------- what nginx writes


NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ }}
http {{ access_log {folder}/access combined; default_type text/plain;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""


@contextlib.contextmanager
def nginx(folder, root):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.chmod(folder, 0o755)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, root=root, port=port))
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config),
                                "-g", "user root;" if os.geteuid() == 0 else ""],
                               stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(ConnectionRefusedError), Peer(("127.0.0.1", port)):
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield ("127.0.0.1", port)
    finally:
        process.terminate()
        process.wait(10)


def test_lines_are_those_of_nginx(serve, hello, tmp_path):
    """The same requests, byte for byte: the same lines, but for the time."""
    if not (shutil.which("nginx") or os.path.exists("/usr/sbin/nginx")):
        pytest.skip("nginx is not installed")
    requests = [b"GET /hello.txt%s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (query, fields)
                for query in (b"", b"?", b"?a=b&c=%22%0a\\|{}")
                for fields in (b"", b"User-Agent: x\r\n",
                               b"Referer: http://b/\r\nUser-Agent: y\r\n",
                               b"User-Agent: \"quoted\" back\\slash\r\n",
                               b"User-Agent: \xc3\xa9 \x80\xff tab\tbed\r\n",
                               b"Range: bytes=2-5\r\nReferer: " + b"r" * 300 + b"\r\n")]
    log = tmp_path / "access.log"
    server = serve(hello, "--access-log", str(log))
    with nginx(tmp_path, hello) as address:
        for target in server.address, address:
            with Peer(target) as peer:
                for request in requests:
                    peer.send(request)
                    peer.answer()
        ours = await_lines(log, len(requests))
        theirs = await_lines(tmp_path / "access", len(requests))
    without_time = re.compile(r"\[[^]]*\]")
    for our, their in zip(ours, theirs):
        assert without_time.sub("[]", our) == without_time.sub("[]", their)


# ------------------------------------------------------------------------------------- no line is


def ask_until_refused(address, statuses):
    """Connection after connection, counting the answers that came whole."""
    with contextlib.suppress(OSError, AssertionError):
        while True:
            with Peer(address) as peer:
                for _ in range(20):
                    statuses.append(peer.get("/hello.txt").status)


def test_the_end_loses_no_line(serve, hello, tmp_path):
    log = tmp_path / "access.log"
    server = serve(hello, "--access-log", str(log), "--threads", "2")
    answers = [[] for _ in range(6)]
    threads = [threading.Thread(target=ask_until_refused, args=(server.address, answered))
               for answered in answers]
    for thread in threads:
        thread.start()
    await_true(lambda: sum(map(len, answers)) > 1000, 30)
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < PROMPT_S
    for thread in threads:
        thread.join()
    count = sum(len(answered) for answered in answers)
    lines = log.read_text().splitlines()
    assert all(COMBINED.fullmatch(line) for line in lines)
    # Some may have been answered whose client was not there to see it.
    assert count <= len(lines) <= count + len(threads)


def test_sighup_opens_it_anew(serve, hello, tmp_path):
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    server = serve(hello, "--access-log", str(log), "--threads", "2")
    answered = []
    thread = threading.Thread(target=ask_until_refused, args=(server.address, answered))
    thread.start()
    for index in range(3):
        before = len(answered)
        await_true(lambda before=before: len(answered) > before + 100, 30)
        log.rename(f"{old}.{index}")
        os.kill(server.pid, signal.SIGHUP)
        await_true(log.exists)
    server.stop()
    thread.join()
    lines = [line for path in tmp_path.glob("access.log*")
             for line in path.read_text().splitlines()]
    assert all(COMBINED.fullmatch(line) for line in lines)
    assert len(answered) <= len(lines) <= len(answered) + 1


def test_what_a_killed_server_tore_is_ended(serve, hello, tmp_path):
    log = tmp_path / "access.log"
    log.write_text("127.0.0.1 - - [torn")
    server = serve(hello, "--access-log", str(log), "--sandbox", "off")
    server.get("/hello.txt")
    first, second = await_lines(log, 2)
    assert first == "127.0.0.1 - - [torn" and COMBINED.fullmatch(second)


def test_standard_output(serve, hello):
    server = serve(hello, "--access-log", "-")
    server.get("/hello.txt")
    assert COMBINED.fullmatch(os.read(server.process.stdout.fileno(), 4096).decode().rstrip("\n"))


def test_who_reads_no_log_stops_nothing(serve, hello):
    """Standard output is a pipe that nobody empties."""
    server = serve(hello, "--access-log", "-", "--threads", "1")
    server.expect_on_stderr(r"leat serve: --access-log -: ")
    with server.connect() as peer:
        for _ in range(300):
            assert peer.get("/hello.txt?" + "x" * 7000).status == 200
        time.sleep(1.2)
        start = time.monotonic()
        assert peer.get("/hello.txt").status == 200
        assert time.monotonic() - start < 1
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < PROMPT_S
    assert re.search(r"--access-log -: .*; [1-9]\d* lines were dropped", server.stderr())


# ------------------------------------------------------------------------------------ a full disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=777", "leat", str(folder)],
                          capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def metric(address, name):
    with Peer(address) as peer:
        text = peer.get("/metrics").body.decode()
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


def admin_of(server):
    found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
    return found[1], int(found[2])


def test_a_full_disk_costs_lines_only(serve, hello, small_disk):
    log, ballast = small_disk / "access.log", small_disk / "ballast"
    server = serve(hello, "--access-log", str(log), "--threads", "1", "--admin", "127.0.0.1:0")
    for pattern in r"leat serve: admin on ", r"leat serve: --access-log .*No space left", \
            r"leat serve: --access-log .*it is written; [1-9]\d* lines were dropped":
        server.expect_on_stderr(pattern)
    admin = admin_of(server)
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with server.connect() as peer:
        for _ in range(200):  # more than its buffers hold
            start = time.monotonic()
            assert peer.get("/hello.txt?" + "x" * 7000).status == 200
            assert time.monotonic() - start < 1
        await_true(lambda: metric(admin, "leat_access_log_dropped_lines_total") > 50)
        await_true(lambda: metric(admin, "leat_access_log_failures_total") > 0)
        await_true(lambda: "No space left" in server.stderr())
        ballast.unlink()
        taken = metric(admin, "leat_access_log_lines_total")
        log.rename(small_disk / "old.log")  # and whatever of it there is goes
        (small_disk / "old.log").unlink()
        os.kill(server.pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "it is written" not in server.stderr():
            assert time.monotonic() < deadline, server.stderr()
            assert peer.get("/hello.txt?again").status == 200
            time.sleep(0.3)
    assert metric(admin, "leat_access_log_lines_total") > taken
    await_true(lambda: "again" in log.read_text().splitlines()[-1])
    lines = log.read_text().splitlines()
    assert all(COMBINED.fullmatch(line) for line in lines if line), lines


def test_what_cannot_be_opened_is_explained(leat, hello, tmp_path):
    for path, word in (tmp_path, "directory"), (tmp_path / "none" / "log", "No such file"):
        result = leat("serve", "--listen", "127.0.0.1:0", "--access-log", str(path), str(hello))
        assert result.returncode == 2 and result.stdout == ""
        assert re.fullmatch(rf"leat serve: --access-log [^\n]*{word}[^\n]*\n", result.stderr)
