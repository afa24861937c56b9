#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Exercises one of the examples as a user would: starts it, talks to it over sockets, ends it.

drive.py [--no-io-uring] NAME PROGRAM; exit status 0, or 1 with what was wrong. With --no-io-uring
the program runs under a filter that refuses io_uring_setup(2), as Docker's default profile does:
the same program must then do the same on epoll.
"""

import contextlib
import ctypes
import gzip
import http.client
import http.server
import json
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
import zlib

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
            found = re.fullmatch(r"listening on (?:http://)?(\S+):(\d+)\n", line)
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


class Shelf(http.server.BaseHTTPRequestHandler):
    """/N is N bytes, /to/N a redirect there, /no what is not there, /slow what takes its time."""
    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self):
        Shelf.connections += 1
        super().setup()

    def do_GET(self):
        word = self.path.split("/")[-1]
        if word == "slow":
            time.sleep(3)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", f"../{word}#end")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"gone")
            return
        body = bytes(int(word) if word.isdigit() else 2)
        self.send_response(404 if word == "no" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def fetch(program, *words, lines=""):
    """The lines it prints, and its exit status."""
    before = refuse_io_uring if "--no-io-uring" in sys.argv else None
    done = subprocess.run([program, *words], input=lines, capture_output=True, text=True,
                          preexec_fn=before, timeout=TIMEOUT_S, check=False)
    return done.stdout.splitlines(), done.returncode


def check_fetch(program):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        hundred = "".join(f"{site}/{1000 * i}\n" for i in range(100))
        for threads in ("1", "2"):
            Shelf.connections = 0
            lines, status = fetch(program, "--threads", threads, "--parallel", "8", "-",
                                  lines=hundred)
            assert status == 0
            assert [line.split() for line in lines[:-1]] == [
                ["200", str(1000 * i), f"{site}/{1000 * i}"] for i in range(100)], lines
            assert lines[-1] == f"100 requests over {Shelf.connections} connections"
            assert Shelf.connections <= 8 * int(threads)
        # a name, over IPv4: what it resolves to otherwise answers nobody here
        named = f"http://localhost:{server.server_port}/5"
        assert fetch(program, named)[0][0].split() == ["200", "5", named]
        lines, status = fetch(program, f"{site}/to/7", f"{site}/no", "https://127.0.0.1/",
                              "http://127.0.0.1:1/", "http://127.1/")
        assert status == 1
        assert [" ".join(line.split()) for line in lines] == [
            f"200 7 {site}/7#end", f"404 2 {site}/no",
            "- https://127.0.0.1/: Protocol not supported",
            "- http://127.0.0.1:1/: Connection refused", "- http://127.1/: Invalid argument",
            "3 requests over 2 connections"], lines
        lines, status = fetch(program, "--redirects", "0", f"{site}/to/7")
        assert lines[0].split() == ["302", "4", f"{site}/to/7"] and status == 1
        begin = time.monotonic()
        lines, status = fetch(program, "--timeout", "200", f"{site}/slow")
        assert time.monotonic() - begin < 2
        assert lines[0].endswith("/slow: Connection timed out") and status == 1, lines
        server.shutdown()
    for words in ((), ("--parallel", "x", "http://h/"), ("--nothing",)):
        wrong = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong


def check_gateway(program):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        with running(program, "127.0.0.1:0", "sesame", f"{site}/to") as (_, address):
            # what is below /api is asked for below /to, with the key alone
            for key in ("Bearer sesam", "Bearer sesame2", "sesame"):
                assert ask(address, "GET", "/api/9", Authorization=key)[0] == 401
            assert ask(address, "GET", "/health")[2] == b"answered 0 of 0\n"
            status, fields, body = ask(address, "GET", "/api/9", Authorization="Bearer sesame")
            assert (status, body) == (302, b"gone") and fields["Location"] == "../9#end"
            assert ask(address, "GET", "/elsewhere")[0] == 404
            assert ask(address, "GET", "/health")[2] == b"answered 1 of 1\n"
        server.shutdown()
    for words in (("127.0.0.1:0", "key"), ("127.0.0.1:0", "key", "ftp://127.0.0.1/")):
        wrong = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert wrong.returncode != 0 and wrong.stderr.count("\n") == 1, wrong


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


def ask(address, method, path, **fields):
    """The status, the fields and the body of an answer."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    connection.request(method, path, headers={name.replace("_", "-"): value
                                              for name, value in fields.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def check_hello(program):
    with running(program, "127.0.0.1:0") as (process, address):
        status, fields, body = ask(address, "GET", "/hello/w%C3%B6rld%20%2F")
        assert (status, body) == (200, "hello w\u00f6rld /\n".encode()), (status, body)
        assert fields["Content-Type"].startswith("text/plain")
        status, fields, body = ask(address, "GET", "/films/Metropolis")
        assert (status, json.loads(body)) == (200, {"title": "Metropolis"})
        assert fields["Content-Type"] == "application/json"
        assert ask(address, "HEAD", "/hello/x")[0] == 200
        assert ask(address, "GET", "/hello")[0] == 404
        status, fields, _ = ask(address, "POST", "/hello/x")
        assert (status, fields["Allow"]) == (405, "GET, HEAD, OPTIONS")
        # a second server finds the address in use, and says so
        wrong = subprocess.run([program, "%s:%d" % address], capture_output=True, text=True,
                               check=False)
        assert wrong.returncode == 1 and "in use" in wrong.stderr, wrong
        # as many loops as cores, and the first in the first thread: all serve
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
        assert threads >= len(os.sched_getaffinity(process.pid))
        for _ in range(50):
            assert ask(address, "GET", "/hello/x")[2] == b"hello x\n"
        # a connection that asks for nothing is not waited for
        with connect(address):
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_S) == 0
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/hello"
        for _ in range(2):  # the second finds the socket that the first has left behind
            with start(program, f"unix:{path}") as process:
                assert process.stdout.readline() == f"listening on unix:{path}\n"
                for _ in range(20):
                    with socket.socket(socket.AF_UNIX) as connection:
                        connection.connect(path)
                        connection.sendall(b"GET /hello/x HTTP/1.0\r\nHost: x\r\n\r\n")
                        assert receive_all(connection).endswith(b"hello x\n")
                process.kill()
        with start(program, f"unix:{path}") as process:
            process.stdout.readline()
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0
        assert not os.path.exists(path)
    wrong = subprocess.run([program, "localhost"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1, wrong


def check_middleware(program):
    with running(program, "127.0.0.1:0") as (process, address):
        status, fields, body = ask(address, "GET", "/api/films")
        assert status == 200 and "Metropolis" in json.loads(body)
        assert fields["Request-Id"] == "1" and fields["Server-Timing"].startswith("handler;dur=")

        status, fields, body = ask(address, "GET", "/nobody")
        assert status == 404 and fields["Content-Type"] == "application/problem+json"
        assert json.loads(body)["status"] == 404
        assert fields["Request-Id"] == "2" and "Server-Timing" not in fields

        begin = time.monotonic()
        status, fields, body = ask(address, "GET", "/api/films/late")
        assert status == 503 and json.loads(body)["status"] == 503
        assert 0.25 < time.monotonic() - begin < 5
        assert float(fields["Server-Timing"].split("=")[1]) > 250

        status, fields, body = ask(address, "DELETE", "/api/admin/films/2")
        assert status == 401 and fields["WWW-Authenticate"] == "Bearer"
        assert json.loads(body)["status"] == 401 and "Server-Timing" in fields
        for key in ("Bearer sesam", "Bearer sesame2", "bearer"):
            assert ask(address, "DELETE", "/api/admin/films/2", Authorization=key)[0] == 401
        status, fields, body = ask(address, "DELETE", "/api/admin/films/2",
                                   Authorization="Bearer sesame")
        assert (status, body) == (200, b"2 is gone\n"), (status, body)
        status, fields, _ = ask(address, "PUT", "/api/admin/films/2")
        assert status == 405 and fields["Allow"] == "DELETE, OPTIONS"

        # what is in work when it is told to end is finished; a second signal does not wait
        late = threading.Thread(target=lambda: answers.append(ask(address, "GET",
                                                                  "/api/films/late")[0]))
        answers = []
        late.start()
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        late.join()
        assert answers == [503]
    with running(program, "127.0.0.1:0", status=-signal.SIGTERM) as (process, address):
        with connect(address) as connection:
            connection.sendall(b"GET /api/films/late HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == -signal.SIGTERM


def decoded(fields, body):
    """On this host's own network nothing may well be what arrives soonest."""
    coding = fields.get("Content-Encoding")
    assert coding in (None, "gzip"), coding
    return gzip.decompress(body) if coding else body


def check_compress_log(address):
    """Of an answer that is written line by line each line can be read when it comes."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    connection.request("GET", "/log", headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    decode = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress
    if not answer.headers["Content-Encoding"]:
        decode = bytes
    begin, text = time.monotonic(), b""
    while b"\n" not in text:
        text += decode(answer.read1())
    assert time.monotonic() - begin < 3, "the first line came with others, 50 of which take 5 s"
    text += decode(answer.read())
    assert text.count(b"\n") == 50 and text.endswith(b"turned once more\n"), text


def check_compress(program):
    with running(program, "127.0.0.1:0") as (_, address):
        _, fields, plain = ask(address, "GET", "/readings")
        assert "Content-Encoding" not in fields and fields["Vary"] == "Accept-Encoding"
        assert len(json.loads(plain)) == 5000
        _, fields, body = ask(address, "GET", "/readings", Accept_Encoding="gzip")
        assert fields["Vary"] == "Accept-Encoding" and decoded(fields, body) == plain

        _, fields, body = ask(address, "GET", "/archive", Accept_Encoding="zstd, gzip")
        assert fields["Content-Encoding"] == "zstd" and body.startswith(b"\x28\xb5\x2f\xfd")
        assert len(body) < len(plain) / 10
        _, fields, body = ask(address, "GET", "/archive", Accept_Encoding="gzip")
        assert "Content-Encoding" not in fields and body == plain

        _, fields, body = ask(address, "GET", "/account?name=me", Accept_Encoding="gzip, br, zstd")
        assert "Content-Encoding" not in fields and b"name=me" in body and b"\nkey=" in body
        check_compress_log(address)


def check_files(program):
    film = random.randbytes(100_000)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("film.mp4", "sub/deep.mp4", "../outside.mp4"):
            os.makedirs(os.path.dirname(f"{folder}/root/{name}"), exist_ok=True)
            with open(f"{folder}/root/{name}", "wb") as file:
                file.write(film)
            os.utime(f"{folder}/root/{name}", (1_000_000_000, 1_000_000_000))
        with running(program, f"{folder}/root", "127.0.0.1:0") as (_, address):
            status, fields, body = ask(address, "GET", "/files/film.mp4")
            assert (status, body) == (200, film) and fields["Content-Type"] == "video/mp4"
            assert fields["Cache-Control"] == "max-age=60"
            tag = fields["ETag"]
            assert ask(address, "GET", "/files/sub/deep.mp4")[2] == film
            assert ask(address, "GET", "/files/film.mp4", If_None_Match=tag)[0] == 304
            status, fields, body = ask(address, "GET", "/files/film.mp4", Range="bytes=5-9")
            assert (status, body) == (206, film[5:10])
            status, fields, body = ask(address, "GET", "/files/film.mp4",
                                       Range="bytes=0-9,50000-59999", If_Range=tag)
            assert status == 206 and fields["Content-Type"].startswith("multipart/byteranges;")
            assert film[:10] in body and film[50000:60000] in body and len(body) < 11000
            status, fields, _ = ask(address, "GET", "/files/none.mp4")
            assert status == 404 and "Cache-Control" not in fields
            status, fields, _ = ask(address, "PUT", "/files/film.mp4")
            assert (status, fields["Allow"]) == (405, "GET, HEAD, OPTIONS")
            status, fields, body = ask(address, "GET", "/save/film.mp4")
            assert (status, body) == (200, film)
            assert fields["Content-Disposition"] == "attachment"
            for name in ("none.mp4", "..%2Foutside.mp4", "sub", ".", ".."):
                status, fields, body = ask(address, "GET", f"/save/{name}")
                assert status == 404 and "Content-Disposition" not in fields, name
    wrong = subprocess.run([program, "/none-such"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1, wrong


def put(address, path, body, method="PUT", **fields):
    """As ask, with a body, which may be an iterable: then it is chunked."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    connection.request(method, path, body, {name.replace("_", "-"): value
                                            for name, value in fields.items()})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def eventually(condition, what):
    """Within a second or so."""
    for _ in range(100):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)


def resident_most(process):
    """In bytes; what it never had more of."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def check_upload_forms(address, folder):
    files = [random.randbytes(size) for size in (0, 10, 2_000_000)]
    parts = [b"--mill\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nwater\r\n"]
    parts += [b"--mill\r\nContent-Disposition: form-data; name=\"file\"; "
              b"filename=\"../../evil%22\"\r\nContent-Type: text/plain\r\n\r\n" + data + b"\r\n"
              for data in files]
    parts += [b"--mill\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n"]
    form = {"method": "POST", "Content_Type": "multipart/form-data; boundary=mill"}
    status, text = put(address, "/", b"".join(parts) + b"--mill--\r\n", **form)
    kept = json.loads(text)
    assert status == 201 and [file["size"] for file in kept] == [len(data) for data in files], text
    for file, data in zip(kept, files):
        with open(f"{folder}/{file['name']}", "rb") as stored:
            assert stored.read() == data
    # as curl sends it
    largest = f"{folder}/{kept[-1]['name']}"
    url = "http://%s:%d/" % address
    sent = subprocess.run(["curl", "-sSf", "-F", "note=<" + largest, "-F", "file=@" + largest, url],
                          capture_output=True, check=True)
    with open(f"{folder}/{json.loads(sent.stdout)[0]['name']}", "rb") as stored:
        assert stored.read() == files[-1]
    before = set(os.listdir(folder))
    for body in (b"".join(parts), b"--mill\r\n\r\nx\r\n--mill--"):
        assert put(address, "/", body, **form)[0] == 400
    assert put(address, "/", b"a=b", "POST")[0] == 415
    # the files before the end that never came were whole, and kept
    assert len(set(os.listdir(folder)) - before) == len(files)


def check_upload_without_room(program):
    """On a disk of a mebibyte, where this user may mount one."""
    with tempfile.TemporaryDirectory() as folder:
        mount = f"mount -t tmpfs -o size=1m none {folder} && exec \"$@\""
        begin = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"]
        if subprocess.run(begin + ["true"], capture_output=True, check=False).returncode:
            print("no disk can be mounted here: what happens when it is full was not tried")
            return
        with running(begin[0], *begin[1:], program, "--listen", "127.0.0.1:0", folder) as (
                _, address):
            for _ in range(3):  # nothing is left behind that would take the room
                assert put(address, "/upload/large", random.randbytes(3_000_000))[0] == 507
                assert put(address, "/upload/small", random.randbytes(500_000))[0] in (200, 201)


def check_upload(program):
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        with open(f"{folder}/.upload-0123456789abcdef", "wb") as left:
            left.write(b"by a run that was killed")
        with running(program, "--listen", "127.0.0.1:0", "--size-max", "300000000", "--threads",
                     "1", folder) as (process, address):
            assert os.listdir(folder) == []
            for size in (0, 1, 512 * 1024, 512 * 1024 + 1, 5_000_000):
                data = random.randbytes(size)
                for status in (201, 200):
                    got, text = put(address, f"/upload/file{size}", data)
                    assert got == status, (got, text)
                    assert json.loads(text) == {"name": f"file{size}", "size": size}
                    with open(f"{folder}/file{size}", "rb") as stored:
                        assert stored.read() == data
            data = random.randbytes(1_000_000)
            pieces = [data[at:at + 12_345] for at in range(0, len(data), 12_345)]
            status, text = put(address, "/upload", iter(pieces), "POST")
            assert status == 201
            with open(f"{folder}/{json.loads(text)['name']}", "rb") as stored:
                assert stored.read() == data
            for name in (".", "..%2fx", "a%2Fb", ".hidden", "x" * 256):
                assert put(address, f"/upload/{name}", b"x")[0] == 400, name
            assert b"multipart/form-data" in ask(address, "GET", "/")[2]
            check_upload_forms(address, folder)

            most = resident_most(process)
            block = bytes(1 << 20)
            assert put(address, "/upload/zeros", (block for _ in range(250)))[0] == 201
            assert os.path.getsize(f"{folder}/zeros") == 250 << 20
            assert resident_most(process) <= most + (2 << 20), "memory grows with the file"

            names = set(os.listdir(folder))
            assert put(address, "/upload/large", (block for _ in range(300)))[0] == 413
            with connect(address) as connection:  # told before a byte of it is sent
                connection.sendall(b"PUT /upload/large HTTP/1.1\r\nHost: x\r\n"
                                   b"Content-Length: 300000001\r\n\r\n")
                assert b" 413 " in connection.recv(1000)
            with connect(address) as connection:
                connection.sendall(b"PUT /upload/half HTTP/1.1\r\nHost: x\r\n"
                                   b"Content-Length: 2000000\r\n\r\n" + bytes(1_000_000))
                eventually(lambda: set(os.listdir(folder)) != names, "nothing was begun")
            eventually(lambda: set(os.listdir(folder)) == names, "what broke off was left behind")
    check_upload_without_room(program)
    wrong = subprocess.run([program, "/nowhere"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong


@contextlib.contextmanager
def subscribed(address, **fields):
    """The lines of /ticks, as EventSource reads them."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    connection.request("GET", "/ticks", headers=fields)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    yield answer
    connection.close()


def next_event(answer):
    """Its fields; {} for a comment, None at the end."""
    event = {}
    while line := answer.readline().decode():
        if line == "\n":
            return event
        if not line.startswith(":"):
            name, value = line.rstrip("\n").split(": ", 1)
            event[name] = value
    return None


def next_tick(answer):
    while not (event := next_event(answer)):
        assert event is not None
    assert event["event"] == "tick", event
    return event


def check_ticker(program):
    with running(program, "--listen", "127.0.0.1:0", "--interval", "20") as (process, address):
        assert b"EventSource" in ask(address, "GET", "/")[2]
        with subscribed(address) as first, subscribed(address) as second:
            ticks = [next_tick(first) for _ in range(10)]
            numbers = [int(tick["data"]) for tick in ticks]
            assert numbers == list(range(numbers[0], numbers[0] + 10)), numbers
            while (other := next_tick(second))["data"] != ticks[-1]["data"]:
                pass
            assert other["id"] == ticks[-1]["id"]
        time.sleep(0.1)  # some are missed, and sent to who comes back
        with subscribed(address, **{"Last-Event-ID": ticks[4]["id"]}) as again:
            assert [next_tick(again) for _ in range(5)] == ticks[5:]
            assert [int(next_tick(again)["data"]) for _ in range(5)] == list(
                range(numbers[-1] + 1, numbers[-1] + 6))
        with subscribed(address, **{"Last-Event-ID": "of another run"}) as stranger:
            assert next_event(stranger) == {}
            assert next_event(stranger) == {"event": "gap", "data": ""}
            assert next_tick(stranger)["data"] == "1"
        with subscribed(address) as last:
            next_tick(last)
            process.send_signal(signal.SIGTERM)
            while next_event(last) is not None:
                pass  # the stream ends in good order, not with the connection
    with running(program, "--listen", "127.0.0.1:0", "--interval", "60000", "--heartbeat", "50",
                 "--slow", "cut", "--behind", "10") as (_, address):
        with subscribed(address) as answer:
            assert [next_event(answer) for _ in range(4)] == [{}, {}, {}, {}]
    wrong = subprocess.run([program, "--slow", "never"], capture_output=True, text=True,
                           check=False)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong


# ---- feeds: MoldUDP64 by plain sockets on the other side


def free_ports(count):
    """UDP ports of the loopback address that nobody had a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                   for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def mold_packet(session, sequence, messages, count=None):
    head = struct.pack(">10sQH", session.ljust(10), sequence,
                       len(messages) if count is None else count)
    return head + b"".join(struct.pack(">H", len(message)) + message for message in messages)


def read_packet(packet):
    """The sequence of the first message, the messages, and whether it says that all is over."""
    _, sequence, count = struct.unpack_from(">10sQH", packet)
    messages, at = [], 20
    for _ in range(count % 0xffff):
        size, = struct.unpack_from(">H", packet, at)
        messages.append(packet[at + 2:at + 2 + size])
        at += 2 + size
    assert at == len(packet) and packet[:10] == b"TRADES    "
    return sequence, messages, count == 0xffff


def hear_trades(line, heard, count):
    """Until so many were heard, or the end of the session. None comes twice with other bytes."""
    while len(heard) < count:
        sequence, messages, is_end = read_packet(line.recv(1 << 16))
        for number, message in enumerate(messages, sequence):
            assert heard.setdefault(number, message) == message
        if is_end:
            return True
    return False


def check_trades(program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line, \
            tempfile.TemporaryDirectory() as folder:
        line.settimeout(TIMEOUT_S)
        line.bind(("127.0.0.1", 0))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        here = "%s:%d" % line.getsockname()
        port, = free_ports(1)
        words = ("--log", f"{folder}/log", "--count", "1500", "--linger", "2", here,
                 f"127.0.0.1:{port}")
        heard = {}
        with start(program, *words) as process:
            assert process.stdout.readline() == "session TRADES, from trade 1 on\n"
            assert not hear_trades(line, heard, 300)
            process.kill()
        with start(program, *words) as process:
            first = int(process.stdout.readline().split()[4])
            assert first > max(heard), "a sequence is used twice"
            assert hear_trades(line, heard, 1501)
            line.sendto(mold_packet(b"TRADES", 7, [], count=3), ("127.0.0.1", port))
            while not (packet := line.recv(1 << 16))[10:18] == struct.pack(">Q", 7):
                pass
            assert read_packet(packet)[1] == [heard[number] for number in (7, 8, 9)]
            assert process.wait(TIMEOUT_S) == 0
        for number, message in heard.items():
            kind, locate, _, _, order, side, shares, stock, price, match = struct.unpack(
                ">cHH6sQcI8sIQ", message)
            assert (kind, order, match) == (b"P", number, number), message
            assert locate == 1 + number % 4 and side in b"BS" and 100 <= shares < 1000
            assert stock in (b"LEAT    ", b"MILL    ", b"WEIR    ", b"SLUICE  ") and price
    wrong = subprocess.run([program, "--count"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2, wrong


BOOK_MESSAGES = [struct.pack(layout, kind, locate, 0, bytes(6), *fields)
                 for layout, kind, locate, *fields in (
    (">cHH6sQcI8sI", b"A", 1, 1, b"B", 100, b"LEAT    ", 123400),
    (">cHH6sQcI8sI4s", b"F", 1, 2, b"B", 200, b"LEAT    ", 123500, b"MILL"),
    (">cHH6sQcI8sI", b"A", 1, 3, b"S", 300, b"LEAT    ", 124000),
    (">cHH6sQcI8sI", b"A", 1, 4, b"S", 400, b"LEAT    ", 124100),
    (">cHH6sQcI8sI", b"A", 9, 5, b"S", 7, b"WEIR    ", 2**32 - 1),
    (">cHH6sQIQ", b"E", 1, 2, 50, 1),
    (">cHH6sQIQcI", b"C", 1, 3, 300, 2, b"Y", 123900),
    (">cHH6sQI", b"X", 1, 1, 10),
    (">cHH6sQQII", b"U", 1, 4, 6, 500, 123900),
    (">cHH6sQ", b"D", 1, 2),
    (">cHH6sQ", b"D", 1, 99))]
BOOK_END = """after 11 messages
LEAT          1         90      12.3400 |      1        500      12.3900
WEIR                                  - |      1          7  429496.7295
unknown 1, duplicate 0, beyond 0, empty 0, malformed 0, refused 0
"""


def are_heard(ports):
    """Somebody has bound them."""
    with open("/proc/net/udp", encoding="ascii") as file:
        bound = {int(line.split()[1].split(":")[1], 16) for line in file.readlines()[1:]}
    return bound.issuperset(ports)


def answer_requests(speaker, packets, process):
    while process.poll() is None:
        with contextlib.suppress(socket.timeout):
            request, asker = speaker.recvfrom(1 << 16)
            _, first, count = struct.unpack(">10sQH", request)
            for packet in packets[first - 1:first - 1 + count]:
                speaker.sendto(packet, asker)


def check_book_on_lines(program):
    """Two lines, each with holes; what neither has must be asked for, and comes."""
    ports = free_ports(2)
    lines = [word for port in ports for word in ("--line", f"127.0.0.1:{port}")]
    packets = [mold_packet(b"BOOKS", number, [message])
               for number, message in enumerate(BOOK_MESSAGES, 1)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.bind(("127.0.0.1", 0))
        speaker.settimeout(0.05)
        with start(program, *lines, "--request", "%s:%d" % speaker.getsockname()) as process:
            eventually(lambda: are_heard(ports), "it does not listen")
            for number, packet in enumerate(packets):
                for line, port in enumerate(ports):
                    if number != 4 and number % 3 != line:
                        speaker.sendto(packet, ("127.0.0.1", port))
            for port in ports:
                speaker.sendto(mold_packet(b"BOOKS", len(packets) + 1, [], count=0xffff),
                               ("127.0.0.1", port))
            answer_requests(speaker, packets, process)
            assert process.stdout.read() == BOOK_END
            assert process.returncode == 0, process.returncode


def check_book(program):
    data = b"".join(struct.pack(">H", len(message)) + message for message in BOOK_MESSAGES)
    for cut in (b"", b"\0", b"\0\x13D"):
        done = subprocess.run([program, "-"], input=data + cut, capture_output=True, check=False)
        assert done.stdout.decode() == BOOK_END, done
        assert done.returncode == (1 if cut else 0) and done.stderr.count(b"\n") == len(cut[:1])
    check_book_on_lines(program)
    for words in ((), ("--depth", "0", "-"), ("--line", "127.0.0.1:1", "file")):
        wrong = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong
    missing = subprocess.run([program, "/nowhere"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1, missing


def ship(program, address, data, policy):
    done = subprocess.run([program, "%s:%d" % address, policy], input=data, capture_output=True,
                          timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done
    return dict(line.split(": ") for line in done.stdout.decode().splitlines())


def eventually_holds(path, data):
    def holds():
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            return file.read() == data
        return False
    eventually(holds, f"{path} has not what was sent")


def check_ship(program):
    text = b" ".join(b"the leat leads water to mill %d" % (number * number % 1013)
                     for number in range(50_000))
    noise = random.randbytes(1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/load"
        with running(program, "--listen", "127.0.0.1:0", path) as (_, address):
            for data in (text, noise, text + noise + text, b"", b"x"):
                for policy in ("auto", "off", "zstd-3", "gzip-1", "br-4", "lz4-0", "zstd"):
                    said = ship(program, address, data, policy)
                    eventually_holds(path, data)
                    if data == text and policy == "zstd-3":
                        plain, sent = map(int, said["zstd"].split(" bytes in "))
                        assert plain == len(text) and sent < plain / 4, said
                    if policy == "off" or data == noise:
                        assert set(said) == {"none"}, said
            # what is no frame, what promises too much, what ends too early: nothing is taken
            ship(program, address, b"kept", "auto")
            eventually_holds(path, b"kept")
            for wrong in (b"GET / HTTP/1.1\r\n\r\n      ", b"\x1e\xa7\1\1\0\0\0\1" + bytes(12),
                          b"\x1e\xa7\1\0\4\0\0\0\4\0\0\0" + bytes(12), b"\x1e\xa7"):
                with connect(address) as connection:
                    connection.sendall(wrong)
                    with contextlib.suppress(OSError):  # it may have hung up already
                        connection.shutdown(socket.SHUT_WR)
                        assert receive_all(connection) == b""
            eventually_holds(path, b"kept")
    for words in ((), ("nowhere",), ("127.0.0.1:1", "gzip-99"), ("--listen", "127.0.0.1:1")):
        wrong = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1, wrong


def main():
    name, program = sys.argv[-2:]
    globals()[f"check_{name}"](program)
    print(f"{name} on {platform.release()}: good")


if __name__ == "__main__":
    sys.exit(main())
