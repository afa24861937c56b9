# SPDX-License-Identifier: MIT
"""RFC 9110 and RFC 9112, requirement by requirement; docs/rfc-http.md says which test is whose.

Each request is sent with another one right behind it, the canary. A request that leaves the
connection usable is followed by the canary's answer; one that is refused ends the connection, and
nothing behind it is ever taken for a request.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from conftest import BUILD, ENGINE, Server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))

import client  # pylint: disable=wrong-import-position

MTIME = 1_700_000_000
DATE, LATER, EARLIER = (f"{day} Nov 2023 22:13:20 GMT" for day in ("Tue, 14", "Wed, 15", "Mon, 13"))
FILE = b"0123456789" * 100
CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"
SUNG = b"the canary sings\n"
HOST = "Host: mill\r\n"
IMF_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|"
                      r"Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT\Z")


@pytest.fixture(scope="module")
def server(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("rfc")
    (folder / "f.txt").write_bytes(FILE)
    (folder / "canary").write_bytes(SUNG)
    (folder / "empty").write_bytes(b"")
    for name in ("f.txt", "canary", "empty"):
        os.utime(folder / name, (MTIME, MTIME))
    started = Server(folder, ("--threads", "1"), tmp_path_factory.mktemp("log") / "stderr")
    started.folder = folder
    yield started
    started.stop()


class Echo:
    """The library's server with handlers that read bodies: echo_http.c."""

    def __init__(self):
        program = BUILD / "tests" / "e2e" / "echo_http"
        self.process = subprocess.Popen([program, ENGINE], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.address = ("127.0.0.1", int(self.process.stdout.readline()))

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(20) == 0


@pytest.fixture(scope="module")
def echo(engine):
    started = Echo()
    yield started
    started.stop()


def exchange(address, data):
    """All that comes back, until the server ends the connection by itself."""
    with client.socket.create_connection(address, timeout=10) as stream:
        stream.sendall(data)
        received = b""
        while piece := stream.recv(1 << 16):
            received += piece
    observation = client.Observation(data, received, "eof")
    assert not observation.broken, f"{observation.broken}: {received!r}"
    return observation.responses


def request(line, *fields, body=b"", host=True):
    """A request as bytes; `fields` are lines without their ends."""
    lines = [line] + (["Host: mill"] if host else []) + list(fields) + ["", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def get(*fields, target="/f.txt", method="GET", version="HTTP/1.1"):
    return request(f"{method} {target} {version}", *fields)


# ------------------------------------------------------------------------------------ the tables

# What is refused: one answer with this status and Connection: close, and the end.
REFUSED = {
    # RFC 9112, 2.2: lines end with CRLF; no bare CR, no bare LF, no blank before the first field
    "bare-lf": (b"GET /f.txt HTTP/1.1\nHost: mill\n\n", 400),
    "bare-lf-after-field": (b"GET /f.txt HTTP/1.1\r\nHost: mill\nX: y\r\n\r\n", 400),
    "bare-lf-at-end": (b"GET /f.txt HTTP/1.1\r\nHost: mill\r\n\n", 400),
    "bare-cr": (b"GET /f.txt HTTP/1.1\rHost: mill\r\r", 400),
    "bare-cr-in-value": (b"GET /f.txt HTTP/1.1\r\nHost: mill\r\nX: a\rb\r\n\r\n", 400),
    "bare-cr-before-crlf": (b"GET /f.txt HTTP/1.1\r\nHost: mill\r\r\n\r\n", 400),
    "blank-before-first-field": (b"GET /f.txt HTTP/1.1\r\n Host: mill\r\nHost: mill\r\n\r\n", 400),
    "tab-before-first-field": (b"GET /f.txt HTTP/1.1\r\n\tX: y\r\nHost: mill\r\n\r\n", 400),
    "lf-before-request": (b"\nGET /f.txt HTTP/1.1\r\nHost: mill\r\n\r\n", 400),
    "two-empty-lines": (b"\r\n\r\nGET /f.txt HTTP/1.1\r\nHost: mill\r\n\r\n", 400),
    # 2.3: versions
    "http-0.9": (b"GET /f.txt\r\n", 400),
    "http-0.9-named": (request("GET /f.txt HTTP/0.9"), 505),
    "http-2.0": (request("GET /f.txt HTTP/2.0"), 505),
    "http-2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http-3.0": (request("GET /f.txt HTTP/3.0"), 505),
    "http-lower-case": (request("GET /f.txt http/1.1"), 400),
    "http-one-digit": (request("GET /f.txt HTTP/1"), 400),
    "http-two-digits": (request("GET /f.txt HTTP/1.10"), 400),
    "http-leading-zero": (request("GET /f.txt HTTP/01.1"), 400),
    "http-minus": (request("GET /f.txt HTTP/-1.1"), 400),
    "http-comma": (request("GET /f.txt HTTP/1,1"), 400),
    "https-version": (request("GET /f.txt HTTPS/1.1"), 400),
    "tls-client-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 32, 400),
    "ssl-2-client-hello": (b"\x80\x2e\x01\x03\x01\x00\x15", 400),
    # 3: the request line
    "two-blanks": (request("GET  /f.txt HTTP/1.1"), 400),
    "two-blanks-before-version": (request("GET /f.txt  HTTP/1.1"), 400),
    "tab-in-line": (request("GET\t/f.txt HTTP/1.1"), 400),
    "blank-at-start": (request(" GET /f.txt HTTP/1.1"), 400),
    "blank-at-end": (request("GET /f.txt HTTP/1.1 "), 400),
    "no-version": (request("GET /f.txt "), 400),
    "no-target": (request("GET HTTP/1.1"), 400),
    "empty-method": (request(" /f.txt HTTP/1.1"), 400),
    "method-is-no-token": (request("GE(T /f.txt HTTP/1.1"), 400),
    "method-with-colon": (request("GET: /f.txt HTTP/1.1"), 400),
    "target-too-long": (request("GET /" + "a" * 9000 + " HTTP/1.1"), 414),
    "target-with-blank": (request("GET /f txt HTTP/1.1"), 400),
    "target-with-control": (request("GET /f\x01txt HTTP/1.1"), 400),
    "target-with-delete": (request("GET /f\x7f HTTP/1.1"), 400),
    "target-with-nul": (request("GET /f\x00 HTTP/1.1"), 400),
    "target-with-obs-text": (request("GET /\xfc HTTP/1.1"), 400),
    "target-with-fragment": (request("GET /f.txt#a HTTP/1.1"), 400),
    # 3.2: forms of a target, and Host
    "relative-target": (request("GET f.txt HTTP/1.1"), 400),
    "asterisk-of-get": (request("GET * HTTP/1.1"), 400),
    "authority-of-get": (request("GET mill:80 HTTP/1.1"), 400),
    "absolute-other-scheme": (request("GET ftp://mill/f.txt HTTP/1.1"), 400),
    "absolute-empty-host": (request("GET http:///f.txt HTTP/1.1"), 400),
    "absolute-empty-host-with-port": (request("GET http://:80/f.txt HTTP/1.1"), 400),
    "absolute-userinfo": (request("GET http://me@mill/f.txt HTTP/1.1"), 400),
    "absolute-bad-host": (request("GET http://mi%zzll/f.txt HTTP/1.1"), 400),
    "absolute-without-host-field": (request("GET http://mill/f.txt HTTP/1.1", host=False), 400),
    "https-empty-host": (request("GET https:///f.txt HTTP/1.1"), 400),
    "https-on-plain": (request("GET https://mill/f.txt HTTP/1.1"), 421),
    "connect": (request("CONNECT mill:443 HTTP/1.1"), 501),
    "connect-without-port": (request("CONNECT mill HTTP/1.1"), 400),
    "connect-empty-port": (request("CONNECT mill: HTTP/1.1"), 400),
    "connect-port-0": (request("CONNECT mill:0 HTTP/1.1"), 400),
    "connect-port-65536": (request("CONNECT mill:65536 HTTP/1.1"), 400),
    "connect-path": (request("CONNECT /f.txt HTTP/1.1"), 400),
    "no-host": (request("GET /f.txt HTTP/1.1", host=False), 400),
    "two-hosts": (get("Host: mill"), 400),
    "two-hosts-that-differ": (get("Host: other"), 400),
    "two-hosts-of-1.0": (get("Host: mill", version="HTTP/1.0"), 400),
    "host-with-blank": (request("GET /f.txt HTTP/1.1", "Host: a b", host=False), 400),
    "host-list": (request("GET /f.txt HTTP/1.1", "Host: a, b", host=False), 400),
    "host-with-path": (request("GET /f.txt HTTP/1.1", "Host: a/b", host=False), 400),
    "host-with-userinfo": (request("GET /f.txt HTTP/1.1", "Host: me@mill", host=False), 400),
    "host-bad-port": (request("GET /f.txt HTTP/1.1", "Host: mill:8o", host=False), 400),
    "host-two-ports": (request("GET /f.txt HTTP/1.1", "Host: mill:80:80", host=False), 400),
    "host-bad-escape": (request("GET /f.txt HTTP/1.1", "Host: a%zz", host=False), 400),
    "host-open-bracket": (request("GET /f.txt HTTP/1.1", "Host: [::1", host=False), 400),
    "host-no-address": (request("GET /f.txt HTTP/1.1", "Host: [::1::2]", host=False), 400),
    "host-obs-text": (request("GET /f.txt HTTP/1.1", "Host: m\xfchle", host=False), 400),
    # 5: field lines
    "blank-before-colon": (request("GET /f.txt HTTP/1.1", "Host : mill", host=False), 400),
    "tab-before-colon": (get("X\t: y"), 400),
    "blank-before-colon-of-length": (request("POST /f.txt HTTP/1.1", "Content-Length : 3",
                                             body=b"abc"), 400),
    "fold": (get("X: a", " b"), 400),
    "fold-with-tab": (get("X: a", "\tb"), 400),
    "fold-of-host": (request("GET /f.txt HTTP/1.1", "Host:", " mill", host=False), 400),
    "fold-of-coding": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding:", " chunked",
                               body=b"0\r\n\r\n"), 400),
    "empty-name": (get(": y"), 400),
    "name-with-blank": (get("X Y: z"), 400),
    "name-with-control": (get("X\x01: y"), 400),
    "name-with-obs-text": (get("\xc4: y"), 400),
    "name-with-slash": (get("X/Y: z"), 400),
    "no-colon": (get("X"), 400),
    "value-with-nul": (get("X: a\x00b"), 400),
    "value-with-control": (get("X: a\x1bb"), 400),
    "value-with-delete": (get("X: a\x7fb"), 400),
    "value-with-vertical-tab": (get("X: a\x0bb"), 400),
    "field-too-large": (get("X: " + "a" * 17000), 431),
    "too-many-fields": (get(*["X: y"] * 100), 431),
    "endless-fields": (b"GET /f.txt HTTP/1.1\r\n" + b"X: y\r\n" * 5000, 431),
    # 6.1: Transfer-Encoding
    "both-lengths": (request("POST /f.txt HTTP/1.1", "Content-Length: 5",
                             "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "both-lengths-turned": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked",
                                    "Content-Length: 5", body=b"0\r\n\r\n"), 400),
    "coding-of-1.0": (request("POST /f.txt HTTP/1.0", "Transfer-Encoding: chunked",
                              "Connection: keep-alive", body=b"0\r\n\r\n"), 400),
    "unknown-coding": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: gzip, chunked",
                               body=b"0\r\n\r\n"), 501),
    "coding-without-chunked": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: gzip",
                                       body=b"0\r\n\r\n"), 400),
    "chunked-not-last": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked, gzip",
                                 body=b"0\r\n\r\n"), 400),
    "chunked-twice": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked, chunked",
                              body=b"0\r\n\r\n"), 400),
    "chunked-in-two-lines": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked",
                                     "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "chunked-then-identity": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked",
                                      "Transfer-Encoding: identity", body=b"0\r\n\r\n"), 400),
    "coding-identity": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: identity"), 400),
    "coding-empty": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding:"), 400),
    "coding-quoted": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: \"chunked\""), 400),
    "coding-with-parameter": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: chunked;q=1"),
                              400),
    "coding-like-chunked": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: xchunked"), 400),
    "coding-with-vertical-tab": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: \x0bchunked"),
                                 400),
    "coding-in-list-with-gap": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: , chunked"),
                                400),
    # 6.3: Content-Length
    **{f"length-{name}": (request("POST /f.txt HTTP/1.1", f"Content-Length: {value}", body=b"abc"),
                          400)
       for name, value in {
           "negative": "-3", "signed": "+3", "hexadecimal": "0x3", "list": "3, 3",
           "list-that-differs": "3, 4", "two-numbers": "3 3", "empty": "", "fraction": "3.0",
           "word": "three", "2-to-the-63": "9223372036854775808",
           "2-to-the-64-and-3": "18446744073709551619", "long": "9" * 400, "exponent": "1e1",
           "quoted": "\"3\"", "semicolon": "3;", "vertical-tab": "3\x0b"}.items()},
    "lengths-that-differ": (request("POST /f.txt HTTP/1.1", "Content-Length: 3",
                                    "Content-Length: 4", body=b"abc"), 400),
}

# What is answered, with this status, and leaves the connection usable.
ANSWERED = {
    "empty-line-before": (b"\r\n" + get(), 200),
    "version-1.2": (get(version="HTTP/1.2"), 200),
    "version-1.9": (get(version="HTTP/1.9"), 200),
    "keep-alive-of-1.0": (get("Connection: keep-alive", version="HTTP/1.0"), 200),
    "absolute-form": (get(target="http://other/f.txt"), 200),
    "absolute-form-capitals": (get(target="HTTP://mill:80/f.txt"), 200),
    "absolute-form-query": (get(target="http://mill/f.txt?a=b"), 200),
    "absolute-form-empty-path": (get(target="http://mill"), 200),
    "asterisk-of-options": (get(method="OPTIONS", target="*"), 204),
    "query": (get(target="/f.txt?a=/../&b"), 200),
    "host-with-port": (request("GET /f.txt HTTP/1.1", "Host: mill:8080", host=False), 200),
    "host-ipv6": (request("GET /f.txt HTTP/1.1", "Host: [2001:db8::1]:80", host=False), 200),
    "host-ip-future": (request("GET /f.txt HTTP/1.1", "Host: [v1.a:b]", host=False), 200),
    "host-empty": (request("GET /f.txt HTTP/1.1", "Host:", host=False), 200),
    "host-escaped": (request("GET /f.txt HTTP/1.1", "Host: m%C3%BChle", host=False), 200),
    "names-in-any-case": (request("GET /f.txt HTTP/1.1", "hOsT: mill", "rAnGe: bytes=0-9",
                                  host=False), 206),
    "blanks-around-value": (get("Range: \t bytes=0-9 \t "), 206),
    "no-blank-before-value": (get("Range:bytes=0-9"), 206),
    "empty-value": (get("X:"), 200),
    "obs-text-in-value": (get("X: m\xfchle"), 200),
    "unknown-field": (get("X-Never-Heard-Of: it"), 200),
    "empty-elements": (get("Connection: , ,keep-alive,,"), 200),
    "empty-elements-of-tags": (get("If-None-Match: , ,\"a\",, \"b\" ,"), 200),
    "te": (get("TE: trailers, deflate;q=0.5", "Connection: TE"), 200),
    "upgrade-is-ignored": (get("Connection: Upgrade", "Upgrade: websocket, h2c"), 200),
    "upgrade-of-1.0-is-ignored": (get("Connection: Upgrade, keep-alive", "Upgrade: h2c",
                                      version="HTTP/1.0"), 200),
    "expect-of-1.0-is-ignored": (request("POST /f.txt HTTP/1.0", "Connection: keep-alive",
                                         "Expect: 100-continue", "Content-Length: 3", body=b"abc"),
                                 405),
    "unknown-expectation": (get("Expect: miracle"), 200),
    "content-range-of-get": (get("Content-Range: bytes 0-9/10"), 200),
    "if-range-without-range": (get("If-Range: \"other\""), 200),
    "max-forwards": (get("Max-Forwards: 0", method="OPTIONS", target="*"), 204),
    "not-found": (get(target="/none"), 404),
    "bad-escape": (get(target="/%zz"), 400),
    "nul-in-path": (get(target="/f.txt%00"), 400),
    "head": (get(method="HEAD"), 200),
    "head-not-found": (get(method="HEAD", target="/none"), 404),
    "method-in-small-letters": (get(method="get"), 501),
    "unknown-method": (get(method="BREW"), 501),
    "post-to-file": (request("POST /f.txt HTTP/1.1", "Content-Length: 3", body=b"abc"), 405),
    "put-to-file": (request("PUT /f.txt HTTP/1.1", "Content-Length: 3", body=b"abc"), 405),
    "delete-of-file": (get(method="DELETE"), 405),
    "trace": (get(method="TRACE"), 405),
    "equal-lengths": (request("POST /f.txt HTTP/1.1", "Content-Length: 3", "Content-Length: 3",
                              body=b"abc"), 405),
    "chunked-in-capitals": (request("POST /f.txt HTTP/1.1", "Transfer-Encoding: CHUNKED",
                                    body=b"3\r\nabc\r\n0\r\n\r\n"), 405),
    "body-of-get": (request("GET /f.txt HTTP/1.1", "Content-Length: 3", body=b"abc"), 200),
    "chunked-body-of-get": (request("GET /f.txt HTTP/1.1", "Transfer-Encoding: chunked",
                                    body=b"3\r\nabc\r\n0\r\n\r\n"), 200),
    "body-that-looks-like-a-request": (request("GET /f.txt HTTP/1.1",
                                               f"Content-Length: {len(CANARY)}", body=CANARY), 200),
    "target-of-8000": (get(target="/" + "a" * 7990), 404),
}

# What is answered with the whole file and then the end, as the client asked.
CLOSING = {
    "close": get("Connection: close"),
    "close-in-capitals": get("Connection: CLOSE"),
    "close-in-list": get("Connection: x, close ,y"),
    "close-in-second-line": get("Connection: keep-alive", "Connection: close"),
    "close-and-keep-alive": get("Connection: keep-alive, close"),
    "version-1.0": get(version="HTTP/1.0"),
    "version-1.0-without-host": request("GET /f.txt HTTP/1.0", host=False),
    "version-1.0-close": get("Connection: close", version="HTTP/1.0"),
}


def check_fields(response):
    """What each final response must have (RFC 9110, 6.6.1 and 10.2.1)."""
    assert IMF_DATE.match(response.get("date")), response.fields
    for name, values in response.fields.items():
        assert len(values) == 1, f"{name} is there {len(values)} times"
    if response.status == 405:
        assert "GET" in response.get("allow") and "HEAD" in response.get("allow")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(server, echo, name):
    data, status = REFUSED[name]
    for address in (server.address, echo.address):
        responses = exchange(address, data + CANARY)
        assert [response.status for response in responses] == [status]
        assert responses[0].get("connection") == "close"
        assert str(status).encode() in responses[0].body
        check_fields(responses[0])


@pytest.mark.parametrize("name", ANSWERED)
def test_answered(server, name):
    data, status = ANSWERED[name]
    responses = exchange(server.address, data + CANARY)
    assert [response.status for response in responses] == [status, 200]
    assert responses[1].body == SUNG
    for response in responses:
        check_fields(response)
    if status == 200 and data.startswith(b"GET /f.txt"):
        assert responses[0].body == FILE


@pytest.mark.parametrize("name", CLOSING)
def test_closing(server, name):
    responses = exchange(server.address, CLOSING[name] + CANARY)
    assert len(responses) == 1, "what is behind it is no request any more"
    assert responses[0].status == 200 and responses[0].body == FILE
    assert responses[0].get("connection") == "close"
    check_fields(responses[0])


# ------------------------------------------------------------------------------- single answers


def test_pipelined_answers_come_in_order(server):
    data = b"".join(get(f"Range: bytes={number}-{number}") for number in range(30))
    responses = exchange(server.address, data + CANARY)
    assert [response.body for response in responses[:-1]] == [FILE[n:n + 1] for n in range(30)]
    assert responses[-1].body == SUNG


def test_nothing_behind_a_refused_request_is_answered(server):
    responses = exchange(server.address, get() + get("X : y") + get() + CANARY)
    assert [response.status for response in responses] == [200, 400]


def test_a_request_is_not_applied_before_its_head_is_whole(server):
    with server.connect() as peer:
        peer.send(b"GET /f.txt HTTP/1.1\r\nHost: mill\r\nRange: bytes=0-4\r\n")
        peer.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.socket.settimeout(10)
        peer.send(b"If-None-Match: *\r\n\r\n")  # a late line that changes everything
        assert peer.head().status == 304


def test_head_has_the_fields_of_get_and_no_body(server):
    head, whole, _ = exchange(server.address, get(method="HEAD") + get() + CANARY)
    assert head.body == b"" and whole.body == FILE
    for fields in (head.fields, whole.fields):
        fields.pop("date")
    assert head.fields == whole.fields
    assert head.get("content-length") == str(len(FILE))


def test_head_of_errors_has_no_body(server):
    for target in ("/none", "/%zz"):
        head, whole, _ = exchange(server.address, get(method="HEAD", target=target) +
                                  get(target=target) + CANARY)
        assert head.status == whole.status and head.body == b""
        assert head.get("content-length") == whole.get("content-length")


def test_an_interim_response_only_with_an_expectation(echo):
    post = request("POST / HTTP/1.1", "Content-Length: 3", body=b"abc")
    plain, _ = exchange(echo.address, post + CANARY)
    assert plain.interim == []
    old = request("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 3", body=b"abc")
    assert exchange(echo.address, old)[0].interim == []


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_continue_is_said_when_the_body_is_asked_for(echo, expectation):
    with client.socket.create_connection(echo.address, timeout=5) as stream:
        stream.sendall(request("POST / HTTP/1.1", f"Expect: {expectation}", "Content-Length: 3",
                               "Connection: close"))
        assert stream.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it does not wait for the body
        stream.sendall(b"abc")
        answer = b""
        while piece := stream.recv(4096):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"POST /\n3\nabc")


def test_a_final_status_in_place_of_continue(echo, server):
    """The connection ends then: nobody knows whether the body will come."""
    for peer, target, status in ((echo, "/unread", 200), (server, "/f.txt", 405)):
        with client.socket.create_connection(peer.address, timeout=5) as stream:
            stream.sendall(request(f"POST {target} HTTP/1.1", "Expect: 100-continue",
                                   "Content-Length: 300"))
            answer = b""
            while piece := stream.recv(4096):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_that_have_no_body(echo, status):
    response, canary = exchange(echo.address, get(target=f"/status/{status}") + CANARY)
    assert response.status == status and response.body == b""
    assert "transfer-encoding" not in response.fields
    if status == 204:
        assert "content-length" not in response.fields
    assert canary.body.startswith(b"GET /canary\n")


def test_chunked_answers_are_for_1_1_alone(echo):
    post = ("Content-Length: 3",)
    response, _ = exchange(echo.address, request("POST /stream HTTP/1.1", *post, body=b"abc") +
                           CANARY)
    assert response.framing == "chunked" and response.body == b"abc"
    assert "content-length" not in response.fields
    for extra in ((), ("Connection: keep-alive",)):
        responses = exchange(echo.address, request("POST /stream HTTP/1.0", *post, *extra,
                                                   body=b"abc") + CANARY)
        assert len(responses) == 1
        assert responses[0].framing == "close" and responses[0].body == b"abc"
        assert "transfer-encoding" not in responses[0].fields
        assert responses[0].get("connection") == "close"


def test_handlers_cannot_break_out_of_a_field(echo):
    response, _ = exchange(echo.address, get(target="/fields") + CANARY)
    assert response.body == b"ynnnnnnnnny"
    assert not [name for name in response.fields if "evil" in name]


def test_trailers_stay_apart_from_the_head(echo):
    body = b"3\r\nabc\r\n0\r\nX-T: 1\r\nHost: evil\r\nContent-Length: 50\r\n\r\n"
    response, canary = exchange(echo.address, request(
        "POST /trailer HTTP/1.1", "Transfer-Encoding: chunked", body=body) + CANARY)
    assert response.body == b"X-T=1\nHost=\nContent-Length=\n"
    assert canary.body.startswith(b"GET /canary\n")


# ---------------------------------------------------------------------------------------- bodies

# Chunked bodies that are good, and what they hold.
CHUNKED = {
    "one": (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "none": (b"0\r\n\r\n", b""),
    "many": (b"1\r\na\r\n" * 500 + b"0\r\n\r\n", b"a" * 500),
    "capitals": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "small-letters": (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "leading-zeros": (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    "sixteen-digits": (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc"),
    "extension": (b"3;a\r\nabc\r\n0;b\r\n\r\n", b"abc"),
    "extension-value": (b"3;a=b;c=\"d;\\\"e\"\r\nabc\r\n0\r\n\r\n", b"abc"),
    "extension-blanks": (b"3 ; a = b\r\nabc\r\n0\r\n\r\n", b"abc"),
    "trailer": (b"3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"abc"),
    "crlf-in-data": (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    "a-request-in-data": (b"%x\r\n%s\r\n0\r\n\r\n" % (len(CANARY), CANARY), CANARY),
}

# Those that are not: 400, and the end.
BAD_CHUNKED = {
    "plus": b"+3\r\nabc\r\n0\r\n\r\n", "minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "blank-before": b" 3\r\nabc\r\n0\r\n\r\n", "blank-behind": b"3 \r\nabc\r\n0\r\n\r\n",
    "0x": b"0x3\r\nabc\r\n0\r\n\r\n", "h": b"3h\r\nabc\r\n0\r\n\r\n",
    "underscore": b"3_0\r\nabc\r\n0\r\n\r\n", "comma": b"3,\r\nabc\r\n0\r\n\r\n",
    "no-size": b"\r\nabc\r\n0\r\n\r\n", "word": b"three\r\nabc\r\n0\r\n\r\n",
    "2-to-the-63": b"8000000000000000\r\nabc\r\n0\r\n\r\n",
    "2-to-the-64-and-3": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "many-f": b"F" * 40 + b"\r\nabc\r\n0\r\n\r\n",
    "bare-lf": b"3\nabc\r\n0\r\n\r\n", "bare-cr": b"3\rabc\r\n0\r\n\r\n",
    "bare-lf-behind-data": b"3\r\nabc\n0\r\n\r\n", "bare-cr-behind-data": b"3\r\nabc\r0\r\n\r\n",
    "nothing-behind-data": b"3\r\nabc0\r\n\r\n", "data-too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "bare-lf-at-end": b"3\r\nabc\r\n0\r\n\n", "bare-lf-behind-last": b"3\r\nabc\r\n0\n\r\n",
    "lf-in-extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "cr-in-extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "nul-in-extension": b"3;a\x00\r\nabc\r\n0\r\n\r\n",
    "endless-extension": b"3;" + b"a" * 70000 + b"\r\nabc\r\n0\r\n\r\n",
    "extensions-without-end": b"1;" + b"a" * 1000 + b"\r\na\r\n",
    "fold-in-trailer": b"0\r\nA: b\r\n c\r\n\r\n", "blank-before-trailer": b"0\r\n A: b\r\n\r\n",
    "blank-before-colon": b"0\r\nA : b\r\n\r\n", "trailer-without-colon": b"0\r\nA\r\n\r\n",
    "trailer-without-name": b"0\r\n: b\r\n\r\n", "nul-in-trailer": b"0\r\nA: \x00\r\n\r\n",
    "bare-lf-in-trailer": b"0\r\nA: b\n\r\n", "bare-cr-in-trailer": b"0\r\nA: b\r\r\n\r\n",
}


def chunked(body):
    return request("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body)


@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_bodies(echo, name):
    body, data = CHUNKED[name]
    response, canary = exchange(echo.address, chunked(body) + CANARY)
    assert response.status == 200 and response.body == b"POST /\n%d\n" % len(data) + data
    assert canary.body.startswith(b"GET /canary\n")


@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_bodies_byte_by_byte(echo, name):
    body, data = CHUNKED[name]
    with client.socket.create_connection(echo.address, timeout=10) as stream:
        stream.setsockopt(client.socket.IPPROTO_TCP, client.socket.TCP_NODELAY, 1)
        wire = chunked(body)
        for at in range(max(0, len(wire) - 80), len(wire)):
            stream.sendall(wire[at:at + 1] if at > max(0, len(wire) - 80) else wire[:at + 1])
        stream.sendall(CANARY)
        answer = b""
        while piece := stream.recv(4096):
            answer += piece
    assert b"POST /\n%d\n" % len(data) + data + b"HTTP/1.1 200" in answer


@pytest.mark.parametrize("name", BAD_CHUNKED)
def test_bad_chunked_bodies(echo, server, name):
    body = BAD_CHUNKED[name]
    if name == "extensions-without-end":
        body *= 40
    responses = exchange(echo.address, chunked(body) + CANARY)
    assert [response.status for response in responses] == [400]
    assert responses[0].get("connection") == "close"
    # Who answers without reading the body does not go on behind it either.
    responses = exchange(server.address, chunked(body).replace(b" / ", b" /f.txt ") + CANARY)
    assert len(responses) == 1 and responses[0].status in (400, 405)


def test_a_trailer_too_large(echo):
    body = b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n"
    responses = exchange(echo.address, chunked(body) + CANARY)
    assert len(responses) == 1 and responses[0].status in (400, 431)


def test_a_body_too_large(echo):
    for data in (request("POST / HTTP/1.1", f"Content-Length: {2 << 20}"),
                 request("POST / HTTP/1.1", f"Content-Length: {(1 << 63) - 1}"),
                 chunked(b"7fffffffffffffff\r\n" + b"a" * (1 << 20) + b"b")):
        responses = exchange(echo.address, data)
        assert [response.status for response in responses] == [413]
        assert responses[0].get("connection") == "close"


def test_a_body_that_ends_early_is_not_taken_for_whole(echo):
    for data in (request("POST / HTTP/1.1", "Content-Length: 300", body=b"abc"),
                 chunked(b"3\r\nabc\r\n"), chunked(b"300\r\nabc"), chunked(b"3\r\nabc\r\n0\r\n")):
        connection = client.Connection(data, echo.address)  # shuts its side
        deadline = time.monotonic() + 10
        while connection.receive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert b" 200 " not in connection.data and time.monotonic() < deadline
        connection.socket.close()


def test_bodies_that_nobody_reads_are_dropped(echo):
    """The next request is found behind them; RFC 9112, 9.3."""
    for fields, body in ((("Content-Length: 3000",), b"a" * 3000),
                         (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n" * 100 + b"0\r\n\r\n")):
        data = request("POST /unread HTTP/1.1", *fields, body=body)
        responses = exchange(echo.address, data + data + CANARY)
        assert [response.status for response in responses] == [200, 200, 200]


def test_an_answer_can_be_read_while_10_mb_are_sent(echo, server):
    """An answer must not be lost to the reset that unread input provokes (RFC 9112, 9.6)."""
    size = 10 << 20
    heads = {"refused": (server, request("POST /f.txt HTTP/1.1", "X : y",
                                         f"Content-Length: {size}"), 400),
             "not allowed": (server, request("POST /f.txt HTTP/1.1", f"Content-Length: {size}"),
                             405),
             "too large": (echo, request("POST / HTTP/1.1", f"Content-Length: {size}"), 413),
             "unread": (echo, request("POST /unread HTTP/1.1", f"Content-Length: {size}"), 200)}
    for name, (peer, head, status) in heads.items():
        with client.socket.create_connection(peer.address, timeout=10) as stream:
            stream.sendall(head)
            answer = b""
            try:
                for _ in range(size >> 16):
                    stream.sendall(b"x" * (1 << 16))
            except ConnectionError:
                pass  # cut while sending: what was answered is still there to be read
            try:
                while piece := stream.recv(4096):
                    answer += piece
            except ConnectionError:
                pass
            assert answer.startswith(b"HTTP/1.1 %d " % status), f"{name}: {answer[:100]!r}"


# ------------------------------------------------------------------------- conditions and ranges


def etag(server):
    return server.get("/f.txt").get("ETag")


CONDITIONS = {
    "if-match": (["If-Match: @"], 200),
    "if-match-any": (["If-Match: *"], 200),
    "if-match-list": (["If-Match: \"a\", @"], 200),
    "if-match-two-lines": (["If-Match: \"a\"", "If-Match: @"], 200),
    "if-match-other": (["If-Match: \"a\""], 412),
    "if-match-weak": (["If-Match: W/@"], 412),
    "if-none-match": (["If-None-Match: @"], 304),
    "if-none-match-weak": (["If-None-Match: W/@"], 304),
    "if-none-match-any": (["If-None-Match: *"], 304),
    "if-none-match-list": (["If-None-Match: \"a\",@"], 304),
    "if-none-match-two-lines": (["If-None-Match: \"a\"", "If-None-Match: @"], 304),
    "if-none-match-other": (["If-None-Match: \"a\""], 200),
    "if-modified-since": ([f"If-Modified-Since: {DATE}"], 304),
    "if-modified-since-later": ([f"If-Modified-Since: {LATER}"], 304),
    "if-modified-since-earlier": ([f"If-Modified-Since: {EARLIER}"], 200),
    "if-modified-since-rfc850": (["If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT"], 304),
    "if-modified-since-asctime": (["If-Modified-Since: Tue Nov 14 22:13:20 2023"], 304),
    "if-modified-since-rfc850-of-last-century":
        (["If-Modified-Since: Monday, 14-Nov-94 22:13:20 GMT"], 200),
    "if-modified-since-no-date": (["If-Modified-Since: yesterday"], 200),
    "if-modified-since-other-zone": (["If-Modified-Since: Tue, 14 Nov 2023 22:13:20 +0000"], 200),
    "if-modified-since-list": ([f"If-Modified-Since: {DATE}, {DATE}"], 200),
    "if-modified-since-twice": ([f"If-Modified-Since: {DATE}", f"If-Modified-Since: {DATE}"], 200),
    "if-modified-since-beside-if-none-match":
        ([f"If-Modified-Since: {DATE}", "If-None-Match: \"a\""], 200),
    "if-none-match-beside-if-modified-since":
        ([f"If-Modified-Since: {EARLIER}", "If-None-Match: @"], 304),
    "if-unmodified-since": ([f"If-Unmodified-Since: {DATE}"], 200),
    "if-unmodified-since-later": ([f"If-Unmodified-Since: {LATER}"], 200),
    "if-unmodified-since-earlier": ([f"If-Unmodified-Since: {EARLIER}"], 412),
    "if-unmodified-since-no-date": (["If-Unmodified-Since: yesterday"], 200),
    "if-unmodified-since-list": ([f"If-Unmodified-Since: {EARLIER}, {EARLIER}"], 200),
    "if-unmodified-since-twice": ([f"If-Unmodified-Since: {EARLIER}"] * 2, 200),
    "if-unmodified-since-beside-if-match":
        ([f"If-Unmodified-Since: {EARLIER}", "If-Match: @"], 200),
    "if-match-before-if-none-match": (["If-Match: \"a\"", "If-None-Match: @"], 412),
    "if-none-match-before-range": (["If-None-Match: @", "Range: bytes=0-9"], 304),
    "if-match-before-range": (["If-Match: \"a\"", "Range: bytes=99999-"], 412),
    "if-range": (["If-Range: @", "Range: bytes=0-9"], 206),
    "if-range-weak": (["If-Range: W/@", "Range: bytes=0-9"], 200),
    "if-range-other": (["If-Range: \"a\"", "Range: bytes=0-9"], 200),
    "if-range-date": ([f"If-Range: {DATE}", "Range: bytes=0-9"], 206),
    "if-range-later": ([f"If-Range: {LATER}", "Range: bytes=0-9"], 200),
    "if-range-earlier": ([f"If-Range: {EARLIER}", "Range: bytes=0-9"], 200),
    "if-range-false-and-unsatisfiable": (["If-Range: \"a\"", "Range: bytes=99999-"], 200),
    "range": (["Range: bytes=0-9"], 206),
    "range-suffix": (["Range: bytes=-10"], 206),
    "range-open": (["Range: bytes=990-"], 206),
    "range-too-long": (["Range: bytes=990-99999"], 206),
    "range-suffix-too-long": (["Range: bytes=-99999"], 206),
    "range-of-2-to-the-64": (["Range: bytes=0-18446744073709551616"], 206),
    "range-beyond": (["Range: bytes=1000-"], 416),
    "range-beyond-2-to-the-64": (["Range: bytes=18446744073709551616-"], 416),
    "range-suffix-of-none": (["Range: bytes=-0"], 416),
    "range-turned": (["Range: bytes=9-5"], 200),
    "range-of-other-unit": (["Range: lines=0-9"], 200),
    "range-malformed": (["Range: bytes=a-b"], 200),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions(server, name):
    fields, status = CONDITIONS[name]
    tag = etag(server)
    data = get(*[field.replace("@", tag) for field in fields])
    response, canary = exchange(server.address, data + CANARY)
    assert response.status == status
    assert canary.body == SUNG
    check_fields(response)
    if status in (200, 206, 304):
        assert response.get("etag") == tag
        assert response.get("last-modified") == DATE
    if status == 200:
        assert response.body == FILE and "content-range" not in response.fields
    elif status == 206:
        first, last, size = map(int, re.match(r"bytes (\d+)-(\d+)/(\d+)\Z",
                                              response.get("content-range")).groups())
        assert size == len(FILE) and response.body == FILE[first:last + 1]
    elif status == 416:
        assert response.get("content-range") == f"bytes */{len(FILE)}"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_conditions_do_not_change_what_would_not_succeed(server, method):
    """RFC 9110, 13.2.1: preconditions count only where the answer would be 2xx or 412."""
    plain, asked, missing, _ = exchange(
        server.address, get(method=method) + get("If-Match: \"a\"", "If-None-Match: *",
                                                 method=method) +
        get("If-None-Match: *", target="/none") + CANARY)
    assert plain.status == asked.status and plain.status not in (304, 412)
    assert missing.status == 404


def test_head_ignores_ranges(server):
    head, _ = exchange(server.address, get("Range: bytes=0-9", method="HEAD") + CANARY)
    assert head.status == 200 and head.get("content-length") == str(len(FILE))


def test_several_ranges_are_parts(server):
    """RFC 9110, 15.3.7.2: each part says which it is; the whole does not."""
    response, _ = exchange(server.address, get("Range: bytes=0-1,300-302,-1") + CANARY)
    if response.status == 200:
        pytest.fail("several ranges are sent as the whole")
    kind = re.match(r"multipart/byteranges; ?boundary=(\S+)\Z", response.get("content-type"))
    assert response.status == 206 and kind and "content-range" not in response.fields
    body = b"\r\n" + response.body
    parts = body.split(b"\r\n--" + kind[1].encode())
    assert parts[0] == b"" and parts[-1].startswith(b"--")
    found = []
    for part in parts[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        assert b"\n" not in head.replace(b"\r\n", b"")
        match = re.search(rb"(?i)\r\ncontent-range: bytes (\d+)-(\d+)/1000", head)
        found.append((int(match[1]), int(match[2]), data))
    assert found == [(0, 1, b"01"), (300, 302, b"012"), (999, 999, b"9")]


def test_a_single_range_is_no_multipart(server):
    for value in ("bytes=0-9", "bytes=0-9,", "bytes=0-9,5000-"):
        response, _ = exchange(server.address, get(f"Range: {value}") + CANARY)
        assert not response.get("content-type").startswith("multipart")


def test_a_date_in_the_future_is_not_told(server):
    """RFC 9110, 8.8.2.1: Last-Modified is never later than Date."""
    path = server.folder / "future"
    path.write_bytes(b"x")
    os.utime(path, (time.time() + 86400, time.time() + 86400))
    from email.utils import parsedate_to_datetime  # pylint: disable=import-outside-toplevel
    response, _ = exchange(server.address, get(target="/future") + CANARY)
    if "last-modified" in response.fields:
        assert parsedate_to_datetime(response.get("last-modified")) <= \
            parsedate_to_datetime(response.get("date"))


def test_an_entity_tag_changes_with_the_file(server):
    path = server.folder / "changing"
    path.write_bytes(b"one")
    first = server.get("/changing").get("ETag")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    time.sleep(1.2)  # the open-file cache looks again
    assert re.match(r'"[!#-~]*"\Z', first) and server.get("/changing").get("ETag") != first


def test_errors_say_what_they_are_to_people(server):
    for data, text in ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 32, b"TLS"),):
        responses = exchange(server.address, data)
        assert responses[0].status == 400 and text in responses[0].body
