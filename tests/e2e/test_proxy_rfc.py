# SPDX-License-Identifier: MIT
"""RFC 9110 and RFC 9112 as they bind a proxy; docs/rfc-proxy.md says which test is whose.

A recording upstream takes nothing but canonical messages: whatever a client wrote, what arrives is
made anew. And what two readers could take for different messages arrives nowhere, from neither
side. Each request is sent with the canary right behind it (see test_rfc.py).
"""

import contextlib
import re
import socket
import time

import pytest

from conftest import Server
from proxy_tools import Broken, Client, Origin
from test_rfc import (ANSWERED, BAD_CHUNKED, CANARY, CHUNKED, IMF_DATE, REFUSED, exchange, get,
                      request)

# What fails here fails on purpose: nothing is repeated, and no circuit opens.
FLAGS = ("--threads", "1", "--max-retries", "0", "--max-failures", "1000000",
         "--answer-timeout-ms", "5000", "--read-timeout-ms", "5000")
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: "
                  rb"(|[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)\Z")
REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ (/[!-\"$-~]*|\*) HTTP/1\.1\Z")
CHUNK = re.compile(rb"([1-9a-f][0-9a-f]*|0)\Z")
OF_THE_CONNECTION = {"keep-alive", "proxy-connection", "http2-settings", "proxy-authorization"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmill"
SINGLE = {"host", "content-length", "transfer-encoding", "connection", "expect", "te",
          "x-forwarded-for"}


# ----------------------------------------------------------------------- an upstream that is strict


class Arrived:
    """A request as it arrived; canonical, or it is Broken."""

    def __init__(self, box):
        line, *lines = box.until(b"\r\n\r\n", "a request").split(b"\r\n")
        if not REQUEST_LINE.match(line):
            raise Broken(f"no canonical request line: {line!r}")
        self.method, self.target, _ = line.decode().split(" ")
        for text in lines:
            if not LINE.match(text):
                raise Broken(f"no canonical field line: {text!r}")
        self.lines = [tuple(text.decode("latin-1").split(": ", 1)) for text in lines]
        self.body, self.trailer, self.complete = b"", [], False
        names = [name.lower() for name, _ in self.lines]
        if OF_THE_CONNECTION & set(names) or any(names.count(name) > 1 for name in SINGLE):
            raise Broken(f"not for an upstream: {self.lines}")
        if names[0] != "host" or {"content-length", "transfer-encoding"} <= set(names):
            raise Broken(f"Host, or the framing: {self.lines}")

    def get(self, name):
        found = [value for key, value in self.lines if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def own(self):
        """Lines that are not the proxy's: without Host, and who asked."""
        told = ("host", "via", "forwarded", "x-forwarded-for", "x-forwarded-host",
                "x-forwarded-proto")
        return [f"{name}: {value}" for name, value in self.lines if name.lower() not in told]

    def read_body(self, box):
        if self.get("Transfer-Encoding") is not None:
            if self.get("Transfer-Encoding") != "chunked":
                raise Broken(f"coding {self.get('Transfer-Encoding')}")
            self.read_chunks(box)
        else:
            self.body = box.take(int(self.get("Content-Length") or 0))
        self.complete = True

    def read_chunks(self, box):
        while True:
            text = box.until(b"\r\n", "a chunk's size")
            if not CHUNK.match(text):
                raise Broken(f"no canonical chunk: {text!r}")
            if text == b"0":
                break
            self.body += box.take(int(text, 16))
            if box.take(2) != b"\r\n":
                raise Broken("a chunk is longer than it said")
        while line := box.until(b"\r\n", "a trailer"):
            if not LINE.match(line):
                raise Broken(f"no canonical trailer line: {line!r}")
            self.trailer.append(line.decode("latin-1"))


TCP_ESTABLISHED, TCP_FIN_WAIT1 = 1, 4  # the other side has not acknowledged an end


def await_soon(condition):
    """As await_true, for what is a matter of microseconds and is asked for in each test."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.0002)


def tcp_state(stream):
    return stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


class Stage:
    """A proxy and its upstream, which answers as `reply(arrived)` says, in bytes."""

    def __init__(self, folder, *flags, base=""):
        self.arrived, self.is_ours = [], True
        self.reply = lambda _: OK
        self.origin = Origin(self.script())
        self.server = Server(None, (*FLAGS, *flags, self.origin.url + base), folder / "stderr",
                             command="proxy")
        self.address = self.server.address

    def script(self):
        records = self.arrived  # of this script, whoever comes late

        def perform(call):
            while call.box.data or call.box.more():
                arrived = Arrived(call.box)
                records.append(arrived)
                if arrived.get("Expect"):
                    call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                arrived.read_body(call.box)
                if (data := self.reply(arrived)) is None:
                    return
                call.send(data)
        return perform

    def play(self, reply=lambda _: OK, again=False):
        """What the upstream answers from now on; the records begin anew. Connections stay where all
        that had arrived was whole, unless they are to begin `again`."""
        is_clean = self.is_ours and not self.broken and \
            len(self.whole()) == len(self.arrived)
        self.reply = reply
        if is_clean and not again:
            self.arrived.clear()
            return
        with self.settled():
            self.arrived, self.is_ours = [], True
            self.origin.play(self.script())

    def perform(self, script):
        """The same, with a script of the test's own."""
        with self.settled():
            self.arrived, self.is_ours = [], False
            self.origin.play(script)

    @contextlib.contextmanager
    def settled(self):
        """Whoever has connected to the upstream was accepted, so that nobody of before comes later;
        and afterwards the kernel of the proxy knows of the end of each connection, so that none is
        taken for one that can be used again."""
        def is_accepted():
            with contextlib.suppress(OSError, RuntimeError):
                return any(other.getpeername() == own for other in self.origin.streams)
            return False
        with socket.create_connection(("127.0.0.1", self.origin.port)) as probe:
            own = probe.getsockname()
            await_soon(is_accepted)
            copies = []
            for stream in list(self.origin.streams):
                with contextlib.suppress(OSError):  # closed meanwhile
                    copies.append(stream.dup())
            yield
        for copy in copies:
            await_soon(lambda copy=copy: tcp_state(copy) not in (TCP_ESTABLISHED, TCP_FIN_WAIT1))
            copy.close()

    def answer(self, data):
        """The upstream answers the canary as ever, and all else with these bytes."""
        self.play(lambda arrived: OK if arrived.target == "/canary" else data)

    def exchange(self, data):
        """All that comes back; and nothing that arrived was broken."""
        responses = exchange(self.address, data)
        assert not self.broken
        return responses

    @property
    def broken(self):
        """What arrived and was no request; a connection without a word may end as it likes."""
        return [text for text in self.origin.broken if not text.endswith("b''")]

    def client(self):
        return Client(self.address)

    def whole(self):
        return [arrived for arrived in self.arrived if arrived.complete]

    def stop(self):
        self.server.stop()
        self.origin.stop()


@pytest.fixture(scope="module", name="playing")
def module_stage(tmp_path_factory, engine):
    started = Stage(tmp_path_factory.mktemp("proxy"))
    yield started
    started.stop()


@pytest.fixture(name="stage")
def stage_that_answers(playing):
    playing.play()
    return playing


@pytest.fixture(scope="module", name="mapped")
def mapped_stage(tmp_path_factory, engine):
    """/api is /base of the upstream; the client is trusted, and its Host is handed on."""
    started = Stage(tmp_path_factory.mktemp("mapped"), "--prefix", "/api", "--keep-host", "on",
                    "--trust-forwarded", "on", "--via", "mill", base="/base")
    yield started
    started.stop()


# ----------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests_never_arrive(stage, name):
    data, status = REFUSED[name]
    responses = stage.exchange(data + CANARY)
    assert [response.status for response in responses] == [status]
    assert responses[0].get("connection") == "close"
    assert not stage.arrived


# What a proxy answers itself, and what it cannot hand on.
ANSWERED_HERE = {"max-forwards"}


@pytest.mark.parametrize("name", sorted(ANSWERED.keys() - ANSWERED_HERE))
def test_accepted_requests_arrive_made_anew(stage, name):
    data, _ = ANSWERED[name]
    responses = stage.exchange(data + CANARY)
    assert [response.status for response in responses] == [200, 200]
    one, canary = stage.arrived
    assert one.complete and one.get("Host") == stage.origin.url.removeprefix("http://")
    method, target, _ = data.removeprefix(b"\r\n").split(b"\r\n")[0].decode().split(" ")
    path = re.sub(r"^http://[^/?]*", "", target, flags=re.IGNORECASE)
    assert (one.method, one.target) == (method, path or "/")
    body = b"" if b"CHUNKED" in data or b"chunked" in data else data.partition(b"\r\n\r\n")[2]
    assert one.body == (body or (b"abc" if b"3\r\nabc" in data else b""))
    assert canary.target == "/canary"
    assert all(response.get("via") == "1.1 leat" for response in responses)


# Requests, and what arrives of them beside Host and who asked.
PASSED = {
    "fields-in-order": (get("A: 1", "B:2", "a:  3\t", "Authorization: x", "C:"),
                        ["A: 1", "B: 2", "a: 3", "Authorization: x", "C: "]),
    "conditions": (get("If-None-Match: W/\"a\"", "If-Modified-Since: never", "Range: bytes=0-1",
                       "If-Range: \"x\"", "If-Match: *", "If-Unmodified-Since: no"),
                   ["If-None-Match: W/\"a\"", "If-Modified-Since: never", "Range: bytes=0-1",
                    "If-Range: \"x\"", "If-Match: *", "If-Unmodified-Since: no"]),
    "fields-that-connection-names": (
        get("X-Hop: 1", "Connection: keep-alive, x-hop", "X-End: 2", "x-HOP: 3",
            "Connection: ,Cookie,", "Cookie: a=b"), ["X-End: 2"]),
    "fields-of-the-connection": (
        get("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "HTTP2-Settings: AA",
            "Proxy-Authorization: Basic eA==", "Upgrade: h2c", "TE: trailers", "Accept: */*"),
        ["Accept: */*"]),
    "te": (get("TE: gzip, trailers", "Connection: TE"), ["TE: trailers", "Connection: TE"]),
    "connection-names-the-framing": (
        request("POST / HTTP/1.1", "Connection: Content-Length, Host, Transfer-Encoding",
                "Content-Length: 3", body=b"abc"), ["Content-Length: 3"]),
    "equal-lengths": (request("POST / HTTP/1.1", "Content-Length: 03", "Content-Length: 3",
                              body=b"abc"), ["Content-Length: 3"]),
    "post-without-body": (request("POST / HTTP/1.1"), ["Content-Length: 0"]),
    "delete-without-body": (request("DELETE / HTTP/1.1"), []),
    "max-forwards-of-trace": (request("TRACE / HTTP/1.1", "Max-Forwards: 7"), ["Max-Forwards: 6"]),
    "max-forwards-of-options": (request("OPTIONS * HTTP/1.1", "Max-Forwards: 1"),
                                ["Max-Forwards: 0"]),
    "max-forwards-of-get": (get("Max-Forwards: 0"), ["Max-Forwards: 0"]),
    "max-forwards-none": (request("OPTIONS * HTTP/1.1"), []),
    "unknown-expectation": (get("Expect: miracle"), []),
    "h2c": (get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), []),
    "upgrade-of-1.0": (get("Connection: Upgrade, keep-alive", "Upgrade: websocket",
                           version="HTTP/1.0"), []),
    "obs-text": (get("X: m\xfchle"), ["X: m\xfchle"]),
}


@pytest.mark.parametrize("name", PASSED)
def test_fields_that_arrive(stage, name):
    data, lines = PASSED[name]
    responses = stage.exchange(data + CANARY)
    assert [response.status for response in responses] == [200, 200]
    assert stage.arrived[0].own == lines
    assert stage.arrived[1].target == "/canary"


# Targets, and what is asked for upstream.
TARGETS = {
    "query": ("GET /a?b=/../c?d", "/a?b=/../c?d"),
    "escapes": ("GET /%7e/%2F/%zz", "/%7e/%2F/%zz"),
    "dots": ("GET /a/../b/./c", "/a/../b/./c"),
    "slashes": ("GET //a//", "//a//"),
    "empty-query": ("GET /?", "/?"),
    "absolute": ("GET http://other:80/a?b", "/a?b"),
    "absolute-without-path": ("GET http://other", "/"),
    "absolute-with-query-alone": ("GET http://other?a", "/?a"),
    "options-of-a-server": ("OPTIONS http://other", "*"),
    "options-of-its-root": ("OPTIONS http://other/", "/"),
    "asterisk": ("OPTIONS *", "*"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_arrive(stage, name):
    line, target = TARGETS[name]
    stage.exchange(request(f"{line} HTTP/1.1") + CANARY)
    assert stage.arrived[0].target == target
    told = "other" if "other" in line else "mill"
    assert stage.arrived[0].get("X-Forwarded-Host").partition(":")[0] == told


def test_who_asked_is_told_and_nobody_else(stage):
    claims = ("Forwarded: for=1.1.1.1", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: bank",
              "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "x_forwarded_for: 1.1.1.1")
    stage.exchange(get(*claims, "Via: 1.0 fred", "Via: 2 barney") + CANARY)
    arrived = stage.arrived[0]
    assert arrived.own == []
    assert arrived.get("Forwarded") == 'for=127.0.0.1;host="mill";proto=http'
    assert arrived.get("X-Forwarded-For") == "127.0.0.1"
    assert arrived.get("X-Forwarded-Host") == "mill"
    assert arrived.get("X-Forwarded-Proto") == "http"
    assert arrived.get("Via") == "1.0 fred, 2 barney, 1.1 leat"
    stage.play()
    stage.exchange(get(version="HTTP/1.0"))
    assert stage.arrived[0].get("Via") == "1.0 leat"


def test_a_trusted_client_is_believed(mapped):
    mapped.play()
    claims = ("Forwarded: for=1.1.1.1", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: bank",
              "X-Forwarded-Proto: https", "X-Forwarded-For: 2.2.2.2")
    with mapped.client() as client:
        assert client.fetch("/api/x", fields=claims).status == 200
    arrived = mapped.arrived[0]
    assert (arrived.target, arrived.get("Host")) == ("/base/x", "mill")
    assert arrived.get("Forwarded").startswith("for=1.1.1.1, for=127.0.0.1;")
    assert arrived.get("X-Forwarded-For") == "1.1.1.1, 2.2.2.2, 127.0.0.1"
    assert (arrived.get("X-Forwarded-Host"), arrived.get("X-Forwarded-Proto")) == ("bank", "https")
    assert arrived.get("Via") == "1.1 mill"


def test_the_host_of_an_absolute_target_counts(mapped):
    mapped.play()
    with mapped.client() as client:
        assert client.fetch("http://other:81/api?q").status == 200
    assert (mapped.arrived[0].target, mapped.arrived[0].get("Host")) == ("/base?q", "other:81")


@pytest.mark.parametrize("target", ["/api/..", "/api/../x", "/api/%2e%2e/x", "/api/..%2fx",
                                    "/api/a/../../x", "/api/..;a/x", "/api//../x", "/api/./../x",
                                    "/x/../api/y", "/apis", "/x", "/%61pi/x"])
def test_nothing_outside_prefix_and_base_is_asked_for(mapped, target):
    mapped.play()
    with mapped.client() as client:
        assert client.fetch(target).status in (400, 404)
        assert client.fetch("/api/a/../b").status == 200
    assert [arrived.target for arrived in mapped.arrived] == ["/base/a/../b"]


@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_bodies_arrive(stage, name):
    body, data = CHUNKED[name]
    stage.exchange(request("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body) + CANARY)
    assert [arrived.target for arrived in stage.arrived] == ["/", "/canary"]
    assert stage.arrived[0].body == data
    assert stage.arrived[0].trailer == (["A: b", "C: d"] if name == "trailer" else [])


@pytest.mark.parametrize("name", BAD_CHUNKED)
def test_bad_chunked_bodies_are_not_taken_for_whole(stage, name):
    body = BAD_CHUNKED[name] * (40 if name == "extensions-without-end" else 1)
    responses = exchange(stage.address, request("POST / HTTP/1.1", "Transfer-Encoding: chunked",
                                                body=body) + CANARY)
    assert [response.status for response in responses] == [400]
    assert responses[0].get("connection") == "close"
    assert not stage.whole() and len(stage.arrived) <= 1
    stage.play(again=True)  # its head may arrive only now


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_a_body_that_ends_early_is_not_taken_for_whole(stage, framing):
    with stage.client() as client:
        client.send(request("POST / HTTP/1.1", framing, body=b"5\r\nabcde"))
        client.finish()
        with contextlib.suppress(ConnectionResetError):
            client.rest()
    assert not stage.whole()
    stage.play(again=True)


def test_trailers_of_requests_are_sifted(stage):
    body = (b"3\r\nabc\r\n0\r\nX-Sum: 6\r\nHost: evil\r\nContent-Length: 50\r\nX-Hop: 1\r\n"
            b"Transfer-Encoding: gzip\r\nAuthorization: x\r\nETag: \"y\"\r\n\r\n")
    head = ("Transfer-Encoding: chunked", "Trailer: X-Sum")
    stage.exchange(request("POST / HTTP/1.1", *head, body=body) + CANARY)
    assert stage.arrived[0].trailer == ["X-Sum: 6", "X-Hop: 1", "ETag: \"y\""]
    assert stage.arrived[0].get("X-Sum") is None and stage.arrived[0].get("Trailer") == "X-Sum"
    stage.play()
    stage.exchange(request("POST / HTTP/1.1", *head, "Connection: X-Hop", body=body) + CANARY)
    assert "X-Hop: 1" not in stage.arrived[0].trailer


def test_max_forwards_of_zero_ends_here(stage):
    for method, target in (("OPTIONS", "*"), ("OPTIONS", "/"), ("TRACE", "/")):
        responses = stage.exchange(request(f"{method} {target} HTTP/1.1", "Max-Forwards: 0") +
                                   CANARY)
        assert len(responses) == 2 and responses[0].status in (200, 204, 405, 501)
    assert {arrived.target for arrived in stage.arrived} == {"/canary"}


def test_a_request_is_not_handed_on_before_its_head_is_whole(stage):
    stage.play(again=True)
    with stage.client() as client:
        client.send("GET / HTTP/1.1\r\nHost: mill\r\n")
        time.sleep(0.2)
        assert not stage.arrived and stage.origin.accepted == 0
        client.send("Connection: X\r\nX: y\r\n\r\n")
        assert client.final().status == 200
    assert stage.arrived[0].get("X") is None


# ------------------------------------------------------------------------------------- expectations


def test_an_expectation_goes_along_and_its_answer_comes_back(stage):
    with stage.client() as client:
        client.ask(method="PUT", fields=("Expect: 100-continue", "Content-Length: 3"))
        assert client.next_head().status == 100
        assert not stage.arrived[0].complete
        client.send("abc")
        assert client.final().status == 200
    assert stage.arrived[0].get("Expect") == "100-continue" and stage.arrived[0].body == b"abc"


def test_no_interim_answer_to_http_1_0(stage):
    stage.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK)
    with stage.client() as client:
        reply = client.fetch("/", version="HTTP/1.0")
        assert (reply.status, reply.interim) == (200, [])
    stage.play()
    with stage.client() as client:
        reply = client.fetch("/", "PUT", ["Expect: 100-continue"], b"abc", version="HTTP/1.0")
        assert (reply.status, reply.interim) == (200, [])
    assert stage.arrived[0].get("Expect") is None


def test_interim_answers_are_handed_on(stage):
    stage.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: X\r\nX: y\r\n\r\n"
                 b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    with stage.client() as client:
        reply = client.fetch("/")
        assert reply.status == 200 and [head.status for head in reply.interim] == [103, 102]
        hints = reply.interim[0]
        assert hints.get("Link") == "</x>" and hints.get("X") is None
        assert hints.get("Content-Length") is None and hints.get("Connection") is None


def test_an_answer_in_place_of_continue(stage):
    """The body is neither waited for nor taken for a request."""
    def refuse(call):
        arrived = Arrived(call.box)
        stage.arrived.append(arrived)
        call.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    stage.perform(refuse)
    with stage.client() as client:
        client.ask(method="PUT", fields=("Expect: 100-continue", f"Content-Length: {len(CANARY)}"))
        assert client.final().status == 413
        client.send(CANARY)
        client.rest()
    assert [arrived.target for arrived in stage.arrived] == ["/"]


# ------------------------------------------------------------------------------------------ answers

# What an upstream answers, and the lines that come of it beside Via and Date.
ANSWERS = {
    "plain": (b"HTTP/1.1 200 Fine\r\nServer: x\r\nSet-Cookie: a\r\nContent-Length:3\r\n"
              b"Set-Cookie: b\r\nAllow: GET, BREW\r\n\r\nabc",
              ["Server: x", "Set-Cookie: a", "Set-Cookie: b", "Allow: GET, BREW",
               "Content-Length: 3"]),
    "no-phrase": (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", ["Content-Length: 3"]),
    "fields-of-the-connection": (
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Connection: x\r\nUpgrade: h2\r\nContent-Length: 3\r\nX-End: 2\r\n\r\nabc",
        ["X-End: 2", "Content-Length: 3"]),
    "challenges": (
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=a\r\nWWW-Authenticate: X y=\"z\"\r\n"
        b"Content-Length: 3\r\n\r\nabc",
        ["WWW-Authenticate: Basic realm=a", "WWW-Authenticate: X y=\"z\"", "Content-Length: 3"]),
    "equal-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 03\r\nContent-Length: 3\r\n\r\nabc",
                      ["Content-Length: 3"]),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n"
                b"3;a=b\r\nabc\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n",
                ["Trailer: X", "Transfer-Encoding: chunked"]),
    "no-content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", []),
    "reset-content": (b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", ["Content-Length: 0"]),
    "not-modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nETag: \"x\"\r\n\r\n",
                     ["ETag: \"x\"", "Content-Length: 3"]),
    "obs-text": (b"HTTP/1.1 200 \xfc\r\nX: \xfc\r\nContent-Length: 3\r\n\r\nabc",
                 ["X: \xfc", "Content-Length: 3"]),
    "version-1.9": (b"HTTP/1.9 200 OK\r\nContent-Length: 3\r\n\r\nabc", ["Content-Length: 3"]),
    "unknown-status": (b"HTTP/1.1 299 So so\r\nContent-Length: 3\r\n\r\nabc",
                       ["Content-Length: 3"]),
    "upgrade-required": (
        b"HTTP/1.1 426 No\r\nUpgrade: x/2\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
        ["Upgrade: x/2", "Content-Length: 3", "Connection: Upgrade"]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_come_back(stage, name):
    data, lines = ANSWERS[name]
    stage.answer(data)
    with stage.client() as client:
        reply = client.fetch("/")
        assert reply.version == "HTTP/1.1"
        assert reply.status == int(data.split(b" ")[1][:3])
        ours = [(key, value) for key, value in reply.lines if key in ("Via", "Date")]
        assert [f"{key}: {value}" for key, value in reply.lines
                if key not in ("Via", "Date")] == lines
        assert IMF_DATE.match(reply.get("Date")) and len(ours) == 2
        assert reply.get("Via") == ("1.9 leat" if "1.9" in name else "1.1 leat")
        assert reply.body == (b"abc" if b"abc" in data else b"")
        assert reply.trailer == ([("x", "1")] if name == "chunked" else [])
        assert client.fetch("/canary").body == b"mill"


def test_the_date_of_the_origin_counts(stage):
    stage.answer(OK.replace(b"\r\n", b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 1))
    with stage.client() as client:
        assert client.fetch("/").get("Date") == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_chunks_are_not_for_http_1_0(stage):
    stage.answer(ANSWERS["chunked"][0])
    with stage.client() as client:
        reply = client.fetch("/", version="HTTP/1.0", fields=["Connection: keep-alive"])
        assert reply.get("Transfer-Encoding") is None and reply.get("Trailer") is None
        assert reply.get("Connection") == "close" and reply.body == b"abc"


def test_an_answer_that_ends_with_the_connection(stage):
    """To HTTP/1.1 it becomes chunked, or ends as it came; either way its end is seen."""
    def script(call):
        Arrived(call.box).read_body(call.box)
        call.send(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nabc")
        call.end()
        call.await_end()
    for version in ("HTTP/1.1", "HTTP/1.0"):
        stage.perform(script)
        with stage.client() as client:
            reply = client.fetch("/", version=version)
            assert (reply.body, reply.get("Via")) == (b"abc", "1.0 leat")
            assert reply.chunked or reply.get("Connection") == "close"


def test_head_has_no_body_and_what_it_says_of_one(stage):
    for said in ("Content-Length: 1000", "Transfer-Encoding: chunked", "X-None: 1"):
        stage.answer(f"HTTP/1.1 200 OK\r\n{said}\r\n\r\n".encode())
        with stage.client() as client:
            reply = client.fetch("/", "HEAD")
            assert reply.status == 200
            assert reply.get("Content-Length") == ("1000" if "1000" in said else None)
            assert client.fetch("/canary").body == b"mill"


# Answers that two readers could take for different ones, or for none.
BAD_ANSWERS = {
    "both-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"0\r\n\r\n",
    "lengths-that-differ": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length-negative": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
    "length-signed": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "length-list-that-differs": b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabc",
    "length-2-to-the-64-and-3": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\n"
                                b"abc",
    "length-empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
    "coding-of-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "unknown-coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding-not-last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    "blank-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    "blank-before-first-field": b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 3\r\n\r\nabc",
    "bare-cr": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 3\r\n\r\nabc",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "bare-lf-in-field": b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 3\r\n\r\nabc",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "http-0.9": b"<html>mill</html>",
    "http-2": b"HTTP/2 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "http-2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "other-protocol": b"SSH-2.0-OpenSSH\r\n\r\n\r\n\r\n",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nabc",
    "status-of-zero": b"HTTP/1.1 000 OK\r\nContent-Length: 3\r\n\r\nabc",
    "blank-before": b" HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "empty-name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 3\r\n\r\nabc",
    "head-too-large": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
    "switch-nobody-asked-for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               b"Upgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answers_are_a_502(stage, name):
    stage.answer(BAD_ANSWERS[name])
    with stage.client() as client:
        client.ask("/")
        reply = client.final()
        assert reply.status == 502 and IMF_DATE.match(reply.get("Date"))
        if reply.get("Connection") != "close":
            assert client.fetch("/canary").body == b"mill"
    assert len(stage.arrived) <= 2, "what is broken is asked for once"
    with stage.client() as client:
        assert client.fetch("/canary").body == b"mill"


BAD_CHUNKED_ANSWERS = sorted(BAD_CHUNKED)


@pytest.mark.parametrize("name", BAD_CHUNKED_ANSWERS)
def test_bad_chunked_answers_are_not_taken_for_whole(stage, name):
    body = BAD_CHUNKED[name] * (40 if name == "extensions-without-end" else 1)
    stage.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    with stage.client() as client:
        client.ask("/")
        try:
            assert client.final().status == 502
        except Broken:
            pass
    with stage.client() as client:
        assert client.fetch("/canary").body == b"mill"


@pytest.mark.parametrize("data", [OK, b"HTTP/1.1 100 Continue\r\n\r\n", b"x", b"\r\n"])
def test_what_follows_an_answer_is_nobodys(stage, data):
    """A second answer on the same connection is not the next client's."""
    evil = OK.replace(b"mill", b"evil")
    stage.answer(OK + (evil if data == OK else data))
    with stage.client() as client:
        for _ in range(5):
            assert client.fetch("/").body == b"mill"
            assert client.fetch("/canary").body == b"mill"


def test_what_comes_unasked_is_nobodys(stage):
    """On a connection at rest."""
    stage.answer(OK)
    with stage.client() as client:
        assert client.fetch("/").body == b"mill"
        for stream in list(stage.origin.streams):
            stream.sendall(OK.replace(b"mill", b"evil"))
        time.sleep(0.05)
        assert client.fetch("/").body == b"mill"


def test_an_answer_that_ends_early_is_not_taken_for_whole(stage):
    for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"):
        def script(call, data=data):
            Arrived(call.box).read_body(call.box)
            call.send(data)
        stage.perform(script)
        for fields in ((), ("Connection: close",)):
            with stage.client() as client, contextlib.suppress(Broken):
                assert client.fetch("/", fields=fields).status == 502


# ---------------------------------------------------------------------------------- connections


def test_pipelined_answers_come_in_order(stage):
    stage.play(lambda arrived: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" %
               (len(arrived.target), arrived.target.encode()))
    data = b"".join(get(target=f"/{number}") for number in range(30))
    bodies = [response.body for response in stage.exchange(data + CANARY)]
    assert bodies == [b"/%d" % number for number in range(30)] + [b"/canary"]


@pytest.mark.parametrize("lines", ["Connection: close\r\n", "Connection: x, Close\r\n"])
def test_a_connection_that_is_to_close_is_not_used_again(stage, lines):
    stage.play(lambda _: OK.replace(b"\r\n\r\n", f"\r\n{lines}\r\n".encode()), again=True)
    with stage.client() as client:
        for count in range(1, 4):
            reply = client.fetch("/")
            assert reply.body == b"mill" and reply.get("Connection") is None
            assert stage.origin.accepted == count


def test_a_connection_of_http_1_0_is_not_used_again(stage):
    stage.play(lambda _: OK.replace(b"HTTP/1.1", b"HTTP/1.0"), again=True)
    with stage.client() as client:
        for count in range(1, 4):
            assert client.fetch("/").body == b"mill" and stage.origin.accepted == count


def test_a_connection_is_used_again(stage):
    stage.play(again=True)
    with stage.client() as client:
        for _ in range(5):
            assert client.fetch("/").body == b"mill"
    with stage.client() as client:
        assert client.fetch("/").body == b"mill"
    assert stage.origin.accepted == 1


def test_what_is_not_idempotent_is_not_repeated(tmp_path, engine):
    """A connection that ends without an answer: GET is asked again, POST is not."""
    stage = Stage(tmp_path, "--max-retries", "2")
    try:
        for method, most in (("POST", 1), ("PATCH", 1), ("GET", 3)):
            stage.play(lambda _: None, again=True)
            with stage.client() as client:
                body = b"abc" if method != "GET" else None
                assert client.fetch("/", method, (), body).status == 502
            assert 1 <= len(stage.arrived) <= most, method
    finally:
        stage.stop()


def test_a_proxy_that_asks_itself_comes_to_an_end(tmp_path, engine):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(None, (*FLAGS, f"http://127.0.0.1:{port}"), tmp_path / "stderr",
                    command="proxy", listens=(f"127.0.0.1:{port}",))
    try:
        with Client(server.address) as client:
            reply = client.fetch("/")
            assert reply.status == 508 and reply.body == b"508 Loop Detected\n"
        assert server.cpu_s() < 1
    finally:
        server.stop()


# ------------------------------------------------------------------------------------ upgrades


def upgrading(call):
    """An upstream that switches to a protocol that says everything twice."""
    Arrived(call.box).read_body(call.box)
    call.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/2\r\nConnection: Upgrade\r\n"
              b"X: y\r\n\r\nhello ")
    while call.box.data or call.box.more():
        data = call.box.take(len(call.box.data))
        if data == b"bye":
            call.send(b"farewell")
            return
        call.send(data + data)


def test_a_tunnel(stage):
    stage.perform(upgrading)
    with stage.client() as client:
        client.ask("/", fields=("Connection: Upgrade", "Upgrade: echo/2"))
        reply = client.next_head()
        assert reply.status == 101 and reply.get("Upgrade") == "echo/2"
        assert (reply.get("Connection"), reply.get("X")) == ("Upgrade", "y")
        assert reply.get("Content-Length") is None and reply.get("Transfer-Encoding") is None
        assert client.box.take(6) == b"hello "
        client.send(CANARY)
        assert client.box.take(2 * len(CANARY)) == 2 * CANARY
        client.send("bye")  # what was under way when one side ends still arrives
        assert client.box.rest() == b"farewell"


def test_an_upgrade_that_is_refused_is_an_answer(stage):
    with stage.client() as client:
        fields = ("Connection: Upgrade", "Upgrade: echo/2")
        assert client.fetch("/", fields=fields).body == b"mill"
        assert client.fetch("/canary").body == b"mill"
    assert stage.arrived[0].own == ["Upgrade: echo/2", "Connection: Upgrade"]


def test_another_protocol_than_was_asked_for_is_a_502(stage):
    stage.perform(upgrading)
    with stage.client() as client:
        reply = client.fetch("/", fields=("Connection: Upgrade", "Upgrade: other"))
        assert reply.status == 502
