# SPDX-License-Identifier: MIT
"""Upstreams that die, hang, lie or talk nonsense: the client gets an honest answer, or an end that
it cannot take for one; and whoever comes next notices nothing. test_proxy_vanishing.py is about
clients."""

import contextlib
import itertools
import random
import socket
import threading
import time

import pytest

from proxy_stage import BODY, CHUNKED, CHUNKS, EVIL, HASTY, MIB, PATIENT, WELL, at_once, staged
from proxy_tools import WAIT_S, Broken, Client, Origin, answer, chunked, saying

on_uring = pytest.mark.mostly_on("uring")
on_epoll = pytest.mark.mostly_on("epoll")
ENDINGS = [pytest.param("end", marks=on_epoll), pytest.param("reset", marks=on_uring)]


@pytest.fixture(scope="module", name="stage")
def patient_stage(tmp_path_factory, engine):
    yield from staged(PATIENT, tmp_path_factory.mktemp("patient"))


@pytest.fixture(scope="module", name="hasty")
def hasty_stage(tmp_path_factory, engine):
    yield from staged(HASTY, tmp_path_factory.mktemp("hasty"))


# --------------------------------------------------------------- an answer that is cut somewhere

ANSWERS = {
    "sized": (b"HTTP/1.1 200 OK\r\nX-Mill: water\r\nContent-Length: 10\r\n\r\n", BODY),
    "chunked": (CHUNKED, CHUNKS),
    "to-the-end": (b"HTTP/1.0 200 OK\r\nX-Mill: water\r\n\r\n", BODY),
    "hinted": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
               b"Content-Length: 10\r\n\r\n", BODY),
}


def outcome(stage, version="HTTP/1.1"):
    """What came of a request: (status, body), or None for an answer that is visibly cut."""
    with stage.client() as client:
        try:
            reply = client.fetch("/cut", version=version)
            return reply.status, reply.body if reply.status == 200 else b""
        except Broken:
            return None


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_upstream_that_dies_at_each_byte_of_its_answer(stage, name, ending):
    """502 as long as nothing was passed on; then an end that the client sees to be none."""
    head, body = ANSWERS[name]
    for cut in range(len(head) + len(body) + 1):
        stage.play(saying((head + body)[:cut], ending))
        found, passed = outcome(stage), (head + body)[len(head):cut]
        if cut < len(head):
            assert found == (502, b""), f"cut at {cut} of {len(head)}, in the head"
        elif cut == len(head + body):  # a reset may take away what was on its way
            assert found == (200, BODY) or ending == "reset" and found in (None, (502, b""))
        elif name == "to-the-end" and ending == "end":
            assert found == (200, passed), f"cut at {cut}"
        else:
            assert found in (None, (502, b"")), f"cut at {cut} of {len(head + body)}, in the body"
    assert stage.is_well()


def test_a_client_of_http_1_0_sees_that_chunks_were_cut(stage):
    """It has neither a length nor chunks to tell: the connection's end must not look in order."""
    head, body = ANSWERS["chunked"]
    for cut in range(len(head), len(head) + len(body) + 1):
        stage.play(saying((head + body)[:cut]))
        expected = (200, BODY) if cut == len(head + body) else None
        assert outcome(stage, "HTTP/1.0") == expected, f"cut at {cut}"
    assert stage.is_well()


@on_epoll
@pytest.mark.parametrize("name", ANSWERS)
def test_an_upstream_that_hangs_at_each_byte_of_its_answer(hasty, name):
    """504 as long as nothing was passed on; each after its time, and all at once."""
    head, body = ANSWERS[name]
    count = len(head) + len(body) + (name == "to-the-end")

    def script(call):
        request = call.request()
        if request is not None:
            call.send((head + body)[:int(request.target[1:])])
            call.await_end()

    def ask(cut):
        with hasty.client(timeout_s=20) as client:
            try:
                reply = client.fetch(f"/{cut}")
                return reply.status
            except Broken:
                return None
    hasty.play(script)
    start = time.monotonic()
    for cut, found in enumerate(at_once(ask, count)):
        allowed = [504] if cut < len(head) else [None, 504]
        assert found in allowed, f"cut at {cut} of {len(head)} + {len(body)}"
    assert time.monotonic() - start < 10
    assert hasty.is_well()


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_upstream_that_hangs_up_on_everybody(stage, ending):
    """Before it has read a word."""
    stage.play(lambda call: call.reset() if ending == "reset" else None)
    for method, body in (("GET", None), ("POST", b"little"), ("PUT", bytes(MIB))):
        for _ in range(5):
            with stage.client() as client, contextlib.suppress(ConnectionError):
                assert client.fetch("/", method, body=body).status == 502
    assert stage.is_well()


LARGE = random.Random(19).randbytes(300_000)
LARGE_ANSWERS = {
    "sized": answer(LARGE),
    "one-chunk": CHUNKED + chunked(LARGE),
    "chunks": CHUNKED + chunked(LARGE, 70_000),
    "to-the-end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + LARGE,
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("name", LARGE_ANSWERS)
def test_large_answers_are_cut_as_visibly(stage, name, version, ending):
    """What goes from socket to socket within the kernel has no other end than what is copied."""
    data, moods = LARGE_ANSWERS[name], random.Random(23)
    ends = [len(data) - 1, len(data) - 3, len(data) - 7, 200]
    for cut in ends + [moods.randrange(200, len(data)) for _ in range(12)]:
        stage.play(saying(data[:cut], ending))
        found = outcome(stage, version)
        if name == "to-the-end" and ending == "end":
            assert found == (200, data[len(data) - len(LARGE):cut])
        else:
            assert found is None, f"cut at {cut} of {len(data)}"
    stage.play(saying(data))
    assert outcome(stage, version) == (200, LARGE)
    assert stage.is_well()


def test_a_small_answer_that_takes_its_time_passes_as_it_comes(hasty):
    """Each piece in time, the whole later than that; and what has come does not wait for it."""
    def script(call):
        call.request()
        call.send(answer(BODY)[:-len(BODY)])
        call.trickle(BODY, pause_s=0.15)
        call.await_end()
    hasty.play(script)
    with hasty.client() as client:
        start = time.monotonic()
        client.ask("/slow")
        assert client.next_head().status == 200
        assert time.monotonic() - start < 1
        assert client.box.take(len(BODY)) == BODY
        assert time.monotonic() - start > 1
    assert hasty.is_well()


@on_epoll
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_byte_by_byte_is_the_same(stage, name):
    data = b"".join(ANSWERS[name])

    def script(call):
        call.request()
        call.trickle(data)
    stage.play(script)
    reply = stage.fetch()
    assert (reply.status, reply.body) == (200, BODY)
    assert reply.trailer == ([("x-sum", "45")] if name == "chunked" else [])
    assert [hint.status for hint in reply.interim] == ([103] if name == "hinted" else [])


# -------------------------------------------------------------------------------------- nonsense


def head_of(*lines, body=b""):
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1") + body


GARBAGE = {
    "noise": random.Random(7).randbytes(5000),
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "http-0.9": b"<html>It works!</html>\n",
    "http-2-frames": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
    "http-2-version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http-1.10": b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
    "lower-case": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a-request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "status-of-two": b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    "status-of-four": b"HTTP/1.1 2000 High\r\nContent-Length: 0\r\n\r\n",
    "status-zero": b"HTTP/1.1 000 None\r\nContent-Length: 0\r\n\r\n",
    "status-text": b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n",
    "empty-lines": b"\r\n\r\n\r\n\r\n" * 1000,
    "no-colon": head_of("nonsense", "Content-Length: 0"),
    "nul": head_of("X: a\0b", "Content-Length: 0"),
    "bare-cr": head_of("X: a\rY: b", "Content-Length: 0"),
    "control-in-name": head_of("X\x01: b", "Content-Length: 0"),
    "two-lengths": head_of("Content-Length: 3", "Content-Length: 4", body=b"abcd"),
    "two-lengths-in-one": head_of("Content-Length: 3, 4", body=b"abcd"),
    "length-negative": head_of("Content-Length: -1", body=b"abcd"),
    "length-signed": head_of("Content-Length: +4", body=b"abcd"),
    "length-hex": head_of("Content-Length: 0x4", body=b"abcd"),
    "length-empty": head_of("Content-Length: ", body=b"abcd"),
    "length-beyond-64-bits": head_of("Content-Length: 18446744073709551620", body=b"abcd"),
    "twice-chunked": head_of("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "coding-unknown": head_of("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "long-field": head_of("X: " + "a" * 40_000, "Content-Length: 0"),
    "many-fields": head_of(*["X: y"] * 5000, "Content-Length: 0"),
    "endless-head": b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyyyy\r\n" * 60_000,
    "endless-status-line": b"HTTP/1.1 200 " + b"O" * MIB,
    "switches-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n",
    "nothing": b"",
}


@on_epoll
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_a_bad_gateway(stage, name):
    stage.play(saying(GARBAGE[name]))
    reply = stage.fetch()
    assert reply.status == 502
    assert b"abcd" not in reply.body and reply.get("X") is None
    assert stage.is_well()


BAD_CHUNKS = {
    "no-size": b"\r\nabc\r\n0\r\n\r\n",
    "size-not-hex": b"xyz\r\nabc\r\n0\r\n\r\n",
    "size-negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "size-0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size-beyond-64-bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "longer-than-said": b"3\r\nabcd\r\n0\r\n\r\n",
    "shorter-than-said": b"5\r\nabc\r\n0\r\n\r\n",
    "no-line-end": b"3\r\nabc0\r\n\r\n",
    "bare-lf": b"3\nabc\n0\n\n",
    "endless-extension": b"3;" + b"x" * MIB + b"\r\nabc\r\n0\r\n\r\n",
    "endless-trailer": b"3\r\nabc\r\n0\r\n" + b"X: yyyyyyyyyyyyyyyyyyyy\r\n" * 50_000 + b"\r\n",
    "trailer-no-field": b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n",
}


@on_epoll
@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_chunks_that_are_none_are_never_a_whole_answer(stage, name):
    stage.play(saying(CHUNKED + BAD_CHUNKS[name]))
    assert outcome(stage) in (None, (502, b""))
    assert stage.is_well()


def test_a_length_beside_chunks_does_not_pass(stage):
    """RFC 9112, 6.3: the coding wins, or it is an error; the length goes no further."""
    stage.play(saying(head_of("Content-Length: 3", "Transfer-Encoding: chunked", body=CHUNKS)))
    reply = stage.fetch()  # would be Broken with both
    assert reply.status == 502 or reply.body == BODY


@on_epoll
def test_heads_around_the_limit_pass_or_are_refused(stage):
    """What fits comes as it is; what does not is told to be too large; nothing in between. Many
    small fields grow otherwise than a large one."""
    for size in (1000, 4000, 7900, 8300, 12_000, *range(15_600, 16_500, 90), 17_000):
        for fields in ([f"X-Large: {'a' * size}"], ["X: yyyyyyyy"] * (size // 300)):
            stage.play(WELL)
            reply = stage.fetch(fields=fields)
            assert reply.status in ([200] if size < 15_000 else [200, 431])
            if reply.status == 200:
                passed = [f"{key}: {value}" for key, value in stage.origin.requests[0].lines]
                assert [line for line in passed if line in fields] == fields
            stage.play(saying(answer(b"ok", *fields)))
            reply = stage.fetch()
            assert reply.status in ([200] if size < 15_000 else [200, 502])
            if reply.status == 200:
                lines = [f"{key}: {value}" for key, value in reply.lines]
                assert [line for line in lines if line in fields] == fields


def test_garbage_of_an_endless_kind_ends(stage):
    """The proxy goes, rather than to read on for ever."""
    over = threading.Event()

    def script(call):
        call.request()
        try:
            while True:
                call.send(b"X-Endless: yes\r\n" * 1000)
        finally:
            over.set()
    stage.play(script)
    assert stage.fetch().status == 502
    assert over.wait(5)
    assert stage.is_well()


# ----------------------------------------------------------------- answers too many or too early


@pytest.mark.parametrize("when", ["at-once", "a-little-later", "never"])
@pytest.mark.parametrize("kind", ["sized", "chunked", "HEAD", "204", "304"])
def test_who_answers_twice_is_not_heard_again(stage, kind, when):
    """What an upstream says unasked answers nobody: neither the next request of this client nor
    that of another, and it is not part of the answer before. (What comes when the next request is
    on its way already cannot be told from its answer; so that waits for it here.)"""
    method = "HEAD" if kind == "HEAD" else "GET"
    surplus = b"body" + EVIL if kind in ("HEAD", "204", "304") else EVIL
    has_sent = threading.Semaphore(0)

    def script(call):
        while (request := call.request()) is not None:
            reply = answer(request.target.encode())
            if kind == "chunked":
                reply = CHUNKED + chunked(request.target.encode())
            elif kind == "HEAD":
                reply = head_of("Content-Length: 4")
            elif kind in ("204", "304"):
                reply = f"HTTP/1.1 {kind} No\r\nX-Path: {request.target}\r\n\r\n".encode()
            call.send(reply + surplus if when == "at-once" else reply)
            if when == "a-little-later":
                time.sleep(0.003)
                call.send(surplus)
                has_sent.release()
    origin = stage.play(script)
    with stage.client() as client:
        for index in range(8):
            reply = client.fetch(f"/{index}", method)
            assert reply.get("X-Evil") is None and b"evil" not in reply.body
            if kind in ("sized", "chunked"):
                assert reply.body == f"/{index}".encode()
            if when == "a-little-later":
                assert has_sent.acquire(timeout=5)
    assert origin.accepted == (1 if when == "never" else 8)
    assert stage.is_well()


def test_who_speaks_before_it_is_asked_answers_nobody_later(stage):
    def script(call):
        call.send(EVIL * 2)
        call.await_end()
    stage.play(script)
    with contextlib.suppress(Broken):
        stage.fetch("/early")
    assert stage.is_well()


def post_at_once(client, size, piece=bytes(65536)):
    """Sends the head and a body from a thread, as long as the other side takes it."""
    client.ask("/upload", "POST", [f"Content-Length: {size}"])

    def send():
        with contextlib.suppress(OSError):
            for _ in range(0, size, len(piece)):
                client.send(piece)
    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("then", ["ends", "reads-on", "neither"])
def test_a_refusal_before_the_body_reaches_the_client(stage, then):
    """RFC 9112, 9.5 and 9.6: who sends 16 MiB hears meanwhile that they are too many."""
    refusal = answer(b"too much", status="413 Content Too Large")

    def script(call):
        request = call.head()
        if request is None or request.method == "GET":
            return
        call.send(refusal)
        if then == "reads-on":
            call.body(request)
        elif then == "ends":
            call.end()
            call.await_end()
        else:
            time.sleep(1)
    stage.play(script)
    with stage.client() as client:
        sending = post_at_once(client, 16 * MIB)
        reply = client.final("POST")
        assert (reply.status, reply.body) == (413, b"too much")
        client.socket.shutdown(socket.SHUT_RDWR)
        sending.join()
    assert stage.is_well()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("then", ["end", "reset", "hang"])
def test_an_upstream_that_dies_while_it_is_sent_a_body(hasty, then, is_chunked):
    """It has read so much of 2 MiB, and is gone: 502, or 504 for who hangs."""
    def script(call):
        request = call.head()
        if request is None:
            return
        call.box.take(int(request.target[1:]))
        if then == "reset":
            call.reset()
        elif then == "hang":
            call.stream.settimeout(WAIT_S)
            time.sleep(1.5)
        else:
            call.stream.shutdown(socket.SHUT_RDWR)

    def ask(cut):
        with hasty.client(timeout_s=20) as client:
            fields = ["Transfer-Encoding: chunked"] if is_chunked else ["Content-Length: 2097152"]
            client.ask(f"/{cut}", "POST", fields)
            with contextlib.suppress(ConnectionError):
                for _ in range(32):
                    client.send(chunked(bytes(65536))[:-5] if is_chunked else bytes(65536))
            return client.final("POST").status
    hasty.play(script)
    cuts = [0, 1, 100, 70_000, 500_000]
    found = at_once(lambda index: ask(cuts[index]), len(cuts))
    assert set(found) <= ({502, 504} if then == "hang" else {502}), found
    assert hasty.is_well()


@on_epoll
@pytest.mark.parametrize("how", ["asked-for", "not-asked-for", "twice", "refused"])
def test_expectations(stage, how):
    """The body waits for 100, but not for ever where none comes (RFC 9110, 10.1.1)."""
    def script(call):
        request = call.head()
        if request is None or request.method == "GET":
            return
        assert request.get("Expect") == "100-continue"
        if how == "refused":
            call.send(answer(b"no", status="417 Expectation Failed"))
            call.await_end()
            return
        call.send({"not-asked-for": b""}.get(how, b"HTTP/1.1 100 Continue\r\n\r\n"))
        call.body(request)
        call.send({"twice": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(how, b"") + answer(b"yes"))
        call.await_end()
    stage.play(script)
    with stage.client() as client:
        client.ask("/", "POST", ["Expect: 100-continue", "Content-Length: 10"])
        if how == "refused":
            assert client.final().status == 417
        else:
            assert client.next_head().status == 100
            client.send(BODY)
            assert client.final().body == b"yes"
            assert stage.origin.requests[0].body == BODY
    assert stage.is_well()


@on_epoll
@pytest.mark.parametrize("pause_s", [0, 0.02])
def test_interim_answers_without_end(hasty, pause_s):
    """Neither a flood of them nor one now and then keeps the client for ever."""
    def script(call):
        call.request()
        while True:
            call.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(pause_s)
    hasty.play(script)
    start = time.monotonic()
    assert hasty.fetch().status in (502, 504)
    assert time.monotonic() - start < 8
    assert hasty.is_well()


def test_a_few_interim_answers_pass_in_their_order(stage):
    hints = b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n" % n for n in range(8))
    stage.play(saying(hints + answer(b"at last")))
    reply = stage.fetch()
    assert [hint.get("Link") for hint in reply.interim] == [f"</{n}>" for n in range(8)]
    assert reply.body == b"at last"
    stage.play(saying(hints + answer(b"at last")))
    reply = stage.fetch(version="HTTP/1.0")  # which knows of none (RFC 9110, 15.2)
    assert not reply.interim and reply.body == b"at last"


# --------------------------------------------------------------------- connections at rest, stale


def test_upstreams_that_close_unannounced_cost_no_get(proxy):
    """The connection ends right behind the answer, or a little later, when the next request may be
    on its way: one that may be repeated is. One that may not is never made twice."""
    moods = random.Random(11)
    pauses = [moods.choice([0, 0, 0.0003, 0.001, 0.002]) for _ in range(400)]
    order = itertools.count()

    def script(call):
        for _ in range(moods.randint(1, 3)):
            if (request := call.request()) is None:
                return
            call.send(answer(request.target.encode()))
        time.sleep(pauses[next(order) % len(pauses)])
        call.end()
    origin = Origin(script)
    server = proxy("--max-retries", "0", origin.url)  # over other upstreams: here is none
    with origin, Client(server.address) as client:
        for index in range(300):
            assert client.fetch(f"/get/{index}").body == f"/get/{index}".encode()
            time.sleep(pauses[index] / 2)
        for index in range(100):
            reply = client.fetch(f"/post/{index}", "POST", body=b"once")
            assert reply.status in (200, 502), reply.status
    posts = [request.target for request in origin.requests if request.method == "POST"]
    assert len(posts) == len(set(posts)) >= 50


@pytest.mark.parametrize("version, fields", [
    ("HTTP/1.1", ["Connection: close"]), ("HTTP/1.1", ["Connection: x, CLOSE", "X: y"]),
    ("HTTP/1.0", []), ("HTTP/1.0", ["Connection: close"])])
def test_a_connection_that_said_close_is_not_used_again(stage, version, fields):
    """Or that did not say keep-alive, in a version that wants the word."""
    def script(call):
        request = call.request()
        if request is not None:
            call.send(answer(request.target.encode(), *fields, version=version))
            call.await_end()  # … and it stays open: only the word tells
    origin = stage.play(script)
    with stage.client() as client:
        for index in range(20):
            assert client.fetch(f"/{index}").body == f"/{index}".encode()
    assert origin.accepted == 20
