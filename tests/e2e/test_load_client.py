# SPDX-License-Identifier: MIT
"""leat load against servers that misbehave in known ways: every request is counted once, as what it
was. The servers are a few lines each, for no real one misbehaves on demand; test_load.py has the
real ones."""

import contextlib
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import ENGINE, LEAT

pytestmark = pytest.mark.mostly_on("uring")

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


class Talker:
    """Calls `talk(client, number)` for each connection that speaks, in a thread of its own, and
    closes it. Number 0 is the first; the one by which leat load looks whether somebody is there
    never speaks, and has none."""

    def __init__(self, talk, address=("127.0.0.1", 0)):
        self.talk = talk
        self.count = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(address, backlog=512)
        self.address = self.listener.getsockname()[:2]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, contextlib.suppress(OSError):
            if not client.recv(1, socket.MSG_PEEK):
                return
            with self.lock:
                number, self.count = self.count, self.count + 1
            self.talk(client, number)


def run(address, *flags, path="/", status=None, timeout=60):
    url = "http://%s:%d%s" % (*address, path)
    done = subprocess.run([LEAT, "load", "--engine", ENGINE, "--json", "-", *flags, url],
                          capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL)
    assert status is None or done.returncode == status, done
    return json.loads(done.stdout)


def load(talk, *flags):
    return run(Talker(talk).address, "-c", "2", "-n", "40", "-d", "20", *flags)


def errors(figures):
    counts = dict(figures["errors"])
    assert counts.pop("total") == sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def answer_all(client, _):
    for request in requests(client):
        client.sendall(head() + BODY)
        if b"Connection: close" in request:
            return


def test_all_is_well():
    figures = load(answer_all)
    assert figures["requests"] == 40 and figures["statuses"] == {"200": 40} and not errors(figures)
    assert figures["body_bytes"] == 40 * 1024 and figures["connects"] == 0 == figures["closes"]
    assert 40 * 30 < figures["bytes_sent"] < 40 * 80


def test_a_connection_each():
    seen = []

    def talk(client, number):
        seen.append(number)
        answer_all(client, number)
    figures = load(talk, "--keep-alive", "off")
    assert figures["requests"] == 40 and not errors(figures)
    assert len(seen) == figures["connects"] == 40


@pytest.mark.parametrize("mode", [[], ["--rate", "400"]])
def test_connection_close_is_no_error(mode):
    def talk(client, _):
        for count, _ in enumerate(requests(client)):
            client.sendall(head(LAST if count == 4 else b"") + BODY)
            if count == 4:
                return
    figures = load(talk, *mode)
    assert figures["requests"] == 40 and not errors(figures) and figures["unfinished"] == 0
    assert figures["connects"] >= 6


def test_an_idle_connection_may_be_closed():
    """While it owes nothing; an open loop then goes on with a new one."""
    def talk(client, _):
        for _ in requests(client):
            client.sendall(head() + BODY)
            time.sleep(0.02)
            return
    figures = load(talk, "-r", "20", "-n", "10")
    assert figures["requests"] == 10 and not errors(figures) and figures["closes"] >= 8


@pytest.mark.parametrize("mode", [[], ["--rate", "400"]])
def test_cut_within_a_response(mode):
    def talk(client, number):
        for _ in requests(client):
            client.sendall(head() + (BODY[:500] if number == 1 else BODY))
            if number == 1:
                return
    figures = load(talk, *mode)
    assert figures["requests"] == 39 and errors(figures) == {"cut": 1}


def test_closed_without_a_word():
    def talk(client, number):
        for _ in requests(client):
            if number == 1:
                return
            client.sendall(head() + BODY)
    figures = load(talk)
    assert figures["requests"] == 39 and errors(figures) == {"cut": 1}


def test_reset_after_the_last_response():
    def talk(client, number):
        for _ in requests(client):
            client.sendall(head(LAST if number == 1 else b"") + BODY)
            if number == 1:
                time.sleep(0.02)
                reset(client)
                return
    figures = load(talk, "-r", "200")
    assert figures["requests"] == 40 and errors(figures) == {"cut": 1}


def test_another_status_is_an_answer():
    def talk(client, number):
        for count, _ in enumerate(requests(client)):
            is_bad = number == 1 and count == 3
            client.sendall(head(status=b"503 No" if is_bad else b"200 OK") + BODY)
    figures = load(talk)
    assert figures["statuses"] == {"200": 39, "503": 1} and figures["failures"] == 1
    assert not errors(figures)


@pytest.mark.parametrize("nonsense", [
    b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    head() + BODY + b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"],
    ids=["ssh", "lengths", "more", "endless", "chunk"])
def test_nonsense(nonsense):
    def talk(client, number):
        for _ in requests(client):
            client.sendall(nonsense if number == 1 else head() + BODY)
    figures = load(talk)
    assert figures["requests"] == 39 and errors(figures) == {"malformed": 1}


def test_a_word_that_nobody_asked_for():
    spoken = threading.Event()

    def talk(client, number):
        for _ in requests(client):
            client.sendall(head() + BODY)
            if number == 0 and not spoken.is_set():
                spoken.set()
                time.sleep(0.03)
                client.sendall(b"HTTP/1.1 408 Late\r\n\r\n")
    figures = load(talk, "-r", "20", "-n", "10")
    assert figures["requests"] == 10 and errors(figures) == {"malformed": 1}


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 100 Continue\r\n\r\n" + head() + BODY,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + BODY +
    b"\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000 + b"\r\nContent-Length: 1024\r\n\r\n" + BODY],
    ids=["interim", "chunked", "long"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_responses_in_pieces(answer, piece):
    def talk(client, _):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in requests(client):
            for begin in range(0, len(answer), piece):
                client.sendall(answer[begin:begin + piece])
    figures = run(Talker(talk).address, "-c", "1", "-n", "2")
    assert figures["requests"] == 2 and figures["body_bytes"] == 2048 and not errors(figures)


def test_a_body_that_ends_with_the_connection():
    def talk(client, _):
        for _ in requests(client):
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
            return
    figures = load(talk)
    assert figures["requests"] == 40 and figures["body_bytes"] == 40 * 1024 and not errors(figures)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"],
                         ids=["204", "304"])
def test_no_body_whatever_it_says(status):
    def talk(client, _):
        for _ in requests(client):
            client.sendall(head(status=status))
    assert load(talk)["requests"] == 40


def test_head_has_no_body():
    def talk(client, _):
        for request in requests(client):
            assert request.startswith(b"HEAD / HTTP/1.1\r\n")
            client.sendall(head())
    figures = load(talk, "-m", "HEAD")
    assert figures["requests"] == 40 and figures["body_bytes"] == 0 and not errors(figures)


def test_timeout():
    def talk(client, number):
        for _ in requests(client):
            if number == 1:
                time.sleep(2)
            client.sendall(head() + BODY)
    figures = load(talk, "--timeout", "300ms")
    assert figures["requests"] == 39 and errors(figures) == {"timeout": 1}
    assert figures["elapsed_s"] < 1.5


def test_a_stall_is_seen_by_all_whom_it_delays():
    """One of the two connections hangs for 0.4 s, the other one answers: at 100 a second an open
    loop goes on with that. When both hang, what was due meanwhile has waited as long."""
    begin = time.monotonic()

    def talk(client, _):
        for _ in requests(client):
            if 1.0 < time.monotonic() - begin < 1.4:
                time.sleep(begin + 1.4 - time.monotonic())
            client.sendall(head() + BODY)
    figures = run(Talker(talk).address, "-c", "2", "-r", "100", "-d", "3")
    assert figures["requests"] == 300 and figures["unfinished"] == 0
    latency = figures["latency_us"]
    assert 300000 < latency["max"] < 500000
    assert latency["p90"] > 50000 and latency["p75"] < 50000  # 40 of 300 were due in those 0.4 s


def test_what_a_server_does_not_keep_up_with_is_said():
    def talk(client, _):
        for _ in requests(client):
            time.sleep(0.1)
            client.sendall(head() + BODY)
    figures = run(Talker(talk).address, "-c", "1", "-r", "100", "-d", "1")  # it can do 10
    assert 50 <= figures["requests"] <= 62 and figures["requests"] + figures["unfinished"] == 100
    assert figures["latency_us"]["max"] > 4500000


def test_refused():
    """The listener goes away for a while, with connections that are there cut in good order."""
    gone = threading.Event()

    def talk(client, number):
        for count, _ in enumerate(requests(client)):
            if count == 2 and not gone.is_set():
                gone.set()
                server.listener.shutdown(socket.SHUT_RDWR)
                server.listener.close()
                client.sendall(head(LAST) + BODY)
                return
            client.sendall(head() + BODY)
    server = Talker(talk)

    def come_back():
        gone.wait(5)
        time.sleep(0.3)
        server.listener = socket.create_server(server.address, backlog=512)
        server.run()
    threading.Thread(target=come_back, daemon=True).start()
    figures = run(server.address, "-c", "1", "-n", "40", "-d", "10")
    assert figures["requests"] == 40 and set(errors(figures)) == {"refused"}
    assert 2 <= figures["errors"]["refused"] <= 10


def test_a_server_that_goes_for_good_ends_a_load_by_number():
    def talk(client, number):
        for count, _ in enumerate(requests(client)):
            client.sendall(head() + BODY)
            if number == 0 and count == 5:
                server.listener.shutdown(socket.SHUT_RDWR)
                server.listener.close()
                return
    server = Talker(talk)
    figures = run(server.address, "-c", "1", "-n", "1000", "--timeout", "500ms", timeout=20)
    assert figures["requests"] == 6 and figures["errors"]["cut"] == 1
    assert figures["unfinished"] == 993
    assert figures["errors"]["refused"] > 5 and figures["elapsed_s"] < 3


def test_a_body_is_sent_whole(tmp_path):
    bodies = []

    def talk(client, _):
        text = b""
        while True:
            while text.count(b"\r\n\r\n") < 1 or len(text.split(b"\r\n\r\n", 1)[1]) < 300000:
                more = client.recv(1 << 20)
                if not more:
                    return
                text += more
            request, text = text.split(b"\r\n\r\n", 1)
            assert b"Content-Length: 300000" in request
            bodies.append(text[:300000])
            text = text[300000:]
            client.sendall(head() + BODY)
    (tmp_path / "body").write_bytes(bytes(range(250)) * 1200)
    figures = run(Talker(talk).address, "-c", "1", "-n", "3", "-m", "PUT",
                  "--body", f"@{tmp_path}/body")
    assert figures["requests"] == 3 and bodies == [bytes(range(250)) * 1200] * 3
    assert 3 * 300000 < figures["bytes_sent"] < 3 * 300400


def test_an_answer_before_the_body_was_sent(tmp_path):
    def talk(client, _):
        client.recv(1000)
        client.sendall(head(status=b"413 Too Large"))
        client.sendall(BODY)
        time.sleep(0.2)
    (tmp_path / "body").write_bytes(b"z" * (64 << 20))
    figures = run(Talker(talk).address, "-c", "2", "-n", "6", "-m", "PUT",
                  "--body", f"@{tmp_path}/body")
    assert figures["statuses"].get("413", 0) + figures["errors"]["cut"] == 6
    assert figures["statuses"]["413"] >= 3


def test_urls_are_taken_in_turn(tmp_path):
    seen = []

    def talk(client, _):
        for request in requests(client):
            seen.append(request.split(b"\r\n")[0])
            client.sendall(head(size=0) if request.startswith(b"HEAD") else head() + BODY)
    server = Talker(talk)
    (tmp_path / "urls").write_text("# three\n/a?b=%20\n\nHEAD /c\n" +
                                   "DELETE http://%s:%d/d#here\r\n" % server.address)
    figures = run(server.address, "-c", "1", "-n", "8", "--urls", f"{tmp_path}/urls", path="/first")
    assert figures["requests"] == 8 and figures["urls"] == 4
    assert seen == [b"GET /first HTTP/1.1", b"GET /a?b=%20 HTTP/1.1", b"HEAD /c HTTP/1.1",
                    b"DELETE /d HTTP/1.1"] * 2


def test_headers_are_sent_and_host_may_be_another():
    seen = []

    def talk(client, _):
        for request in requests(client):
            seen.append(request)
            client.sendall(head() + BODY)
    run(Talker(talk).address, "-c", "1", "-n", "1", "-H", "host: mill", "-HX-Water:  slow  ")
    assert b"\r\nhost: mill" in seen[0] and b"Host" not in seen[0]
    assert b"\r\nX-Water:  slow" in seen[0]


def test_threads_share_what_is_asked_for():
    figures = run(Talker(answer_all).address, "-c", "7", "-t", "3", "-n", "100")
    assert figures["requests"] == 100 and figures["threads"] == 3 and not errors(figures)


def test_interrupted():
    def talk(client, _):
        for _ in requests(client):
            time.sleep(0.01)
            client.sendall(head() + BODY)
    server = Talker(talk)
    process = subprocess.Popen([LEAT, "load", "--engine", ENGINE, "--json", "-", "-d", "60",
                                "http://%s:%d/" % server.address],
                               stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    figures = json.loads(out)
    assert process.returncode == 130 and figures["interrupted"] is True
    assert figures["requests"] > 100 and 1 < figures["elapsed_s"] < 5 and not errors(figures)


def test_the_live_line_tells_what_is_left():
    address = Talker(answer_all).address
    done = subprocess.run([LEAT, "load", "--engine", ENGINE, "-c", "2", "-d", "2500ms", "--warm-up",
                           "1100ms", "--progress", "on", "http://%s:%d/" % address],
                          capture_output=True, timeout=20)
    assert done.returncode == 0 and b"requests" in done.stdout
    lines = done.stderr.decode().split("\r\033[K")
    assert any("warming up" in line for line in lines)
    second = re.compile(r"1 s, [12] s left   [1-9]\d* requests/s   .* MB/s   p99 .* ms   0 errors")
    assert any(map(second.fullmatch, lines)), lines
    assert lines[-1] == ""  # and leaves nothing behind


def test_warm_up_does_not_count():
    begin = time.monotonic()

    def talk(client, _):
        for _ in requests(client):
            time.sleep(0.1 if time.monotonic() - begin < 0.7 else 0.001)
            client.sendall(head() + BODY)
    figures = run(Talker(talk).address, "-c", "2", "--warm-up", "1s", "-d", "500ms")
    assert figures["latency_us"]["max"] < 80000 and 0.4 < figures["elapsed_s"] < 0.8


@pytest.mark.parametrize("flags, complaint", [
    ([], "which URL?"), (["https://a/"], "no TLS"), (["ftp://a/"], "no URL"),
    (["http://"], "no host"), (["http://a b/"], "no such HOST"),
    (["http://127.0.0.1:0/"], "no HOST"),
    (["http://127.0.0.1:99999/"], "no HOST"), (["http://127.0.0.1/a b"], "percent-encoded"),
    (["http://u:p@127.0.0.1/"], "Authorization"), (["http://none.invalid/"], "cannot find"),
    (["-c", "0", "http://127.0.0.1/"], "whole number"), (["-c"], "needs a value"),
    (["-z", "1", "http://127.0.0.1/"], "no option '-z'"), (["--rat", "1"], "no option '--rat'"),
    (["-d", "1x", "http://127.0.0.1/"], "no time"), (["-d", "inf", "http://127.0.0.1/"], "no time"),
    (["-r", "0", "http://127.0.0.1/"], "--rate takes"),
    (["-r", "1e5", "http://127.0.0.1/"], "--rate takes"),
    (["-r", "0.01", "-d", "1", "http://127.0.0.1/"], "not one request"),
    (["-m", "GE T", "http://127.0.0.1/"], "--method"),
    (["-H", "a b: c", "http://127.0.0.1/"], "--header"),
    (["-H", "a: b\r\nc: d", "http://127.0.0.1/"], "--header"),
    (["--body", "@/none", "http://127.0.0.1/"], "No such file"),
    (["--body", "@/", "http://127.0.0.1/"], "Is a directory"),
    (["--urls", "/none", "http://127.0.0.1/"], "No such file"),
    (["--urls", "/dev/null", "http://127.0.0.1/"], "no URL in it"),
    (["-t", "5", "-c", "4", "http://127.0.0.1/"], "cannot share"),
    (["--cores", "1-", "http://127.0.0.1/"], "--cores"),
    (["--expect", "p99<5", "http://127.0.0.1/"], "p99<5"),
    (["--connect", "x", "http://127.0.0.1/"], "--connect"),
    (["-c", "1000000", "http://127.0.0.1/"], "ulimit"),
    (["http://127.0.0.1/", "http://127.0.0.1/"], "one argument too many")])
def test_wrong_use_is_one_line(flags, complaint):
    done = subprocess.run([LEAT, "load", *flags], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done
    assert complaint in done.stderr and done.stderr.count("\n") == 1 and not done.stdout, done


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    done = subprocess.run([LEAT, "load", f"http://{address}/"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 1
    assert done.stderr == f"leat load: cannot connect to {address}: Connection refused\n"


@pytest.mark.parametrize("flag", ["--json", "--html", "--histogram"])
def test_where_the_result_cannot_be_written_no_load_begins(flag, tmp_path):
    asked = []

    def talk(client, number):
        asked.append(number)
        answer_all(client, number)
    url = "http://%s:%d/" % Talker(talk).address
    for path in (tmp_path / "none" / "file", tmp_path):
        done = subprocess.run([LEAT, "load", flag, str(path), "-d", "60", url],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and not asked
        assert f"cannot write '{path}'" in done.stderr and done.stderr.count("\n") == 1


def test_another_host_in_the_list(tmp_path):
    (tmp_path / "urls").write_text("http://127.0.0.1/\nhttp://127.0.0.2/\n")
    done = subprocess.run([LEAT, "load", "--urls", f"{tmp_path}/urls"], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 2
    assert re.search(r"urls:2: .* is on another host than http://127.0.0.1/", done.stderr)
