# SPDX-License-Identifier: MIT
"""Generated requests through the proxy, to an upstream that writes down what it is asked: exactly
the requests that a second reading of RFC 9112 (tests/differential/strict.py) finds in the bytes, in
their order, made anew; and to the client as many answers, each with one end. And generated answers
to one that asks for the next thing right afterwards.
"""

import os
import random
import re

import pytest

from proxy_tools import Broken
from test_proxy_rfc import OK, Arrived, Stage
from test_rfc import client  # and with it the way to tests/differential

import generator
import strict

COUNT, ANSWERS = (10000, 1000) if os.environ.get("LEAT_LONG") else (800, 200)


def reply(arrived):
    return OK[:-4] if arrived.method == "HEAD" else OK


@pytest.fixture(scope="module", name="stage")
def recording_stage(tmp_path_factory, engine):
    started = Stage(tmp_path_factory.mktemp("smuggling"))
    started.play(reply)
    yield started
    started.stop()


def target_of(message):
    """What is asked for upstream."""
    path = re.sub(rb"^http://[^/?]*", b"", message.target, flags=re.IGNORECASE)
    if message.method == b"OPTIONS" and path == b"":
        return "*"
    return ("" if path.startswith((b"/", b"*")) else "/") + path.decode()


def ends_here(message):
    limit = message.values(b"max-forwards")
    return bool(message.method in (b"TRACE", b"OPTIONS") and limit and
                re.fullmatch(rb"0+", limit[0]))


def read(data):
    """The messages that the proxy must see."""
    messages = strict.read(data)
    for index, message in enumerate(messages):
        if message.status == 1 and ends_here(message) and message.expects and \
                (message.is_chunked or message.length > 0):
            return messages[:index + 1]  # a final answer in place of 100: the end
    return messages


def send(stage, data):
    """What comes back, when the connection has ended."""
    connection = client.Connection(data, stage.address)
    connection.socket.settimeout(20)
    connection.receive()
    connection.socket.close()
    return connection.observation()


def check(stage, data):
    """Sends the bytes, and compares what comes of them on both sides with what must."""
    messages = read(data)
    observation = send(stage, data)
    assert not observation.broken and observation.end != "timeout"
    assert not [text for text in stage.broken if " canonical " in text or "not for" in text]
    passed = [message for message in messages if message.status == 1 and not ends_here(message)]
    whole = [(message.method.decode(), target_of(message), message.body)
             for message in passed if not message.body_reason]
    assert [(one.method, one.target, one.body) for one in stage.whole()] == whole
    assert len(stage.arrived) <= len(passed)
    if any(message.body_reason for message in messages):
        stage.play(reply, again=True)  # who waits for the rest of a body is cut off
        return
    statuses = [message.status if message.status > 1 else 0 if ends_here(message) else 200
                for message in messages if message.status]
    assert [response.status if status else 0 for response, status in
            zip(observation.responses, statuses)] == statuses
    assert len(observation.responses) == len(statuses)
    assert not stage.broken
    stage.arrived.clear()


@pytest.mark.parametrize("seed", ["1", "proxy"])
def test_what_arrives_is_what_was_sent(stage, seed):
    stage.play(reply)
    for number in range(COUNT):
        data, how = generator.generate(seed, number)
        try:
            check(stage, data + generator.CANARY)
        except AssertionError as error:
            raise AssertionError(f"request {number} of seed {seed} ({how}): {data!r}") from error


# ------------------------------------------------------------------------------------------ answers

GOOD = [
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 10\r\n\r\n0123456789",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
    b"3\r\n012\r\n7\r\n3456789\r\n0\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: keep-alive, X\r\nX: y\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
]
NASTY = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"0", b"9", b"f", b"-", b"+",
         b"\xff", b"\r\n\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
         b"Transfer-Encoding: x\r\n", b"Connection: close\r\n", b"chunked, ",
         b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
         b"HTTP/1.1 101 Switching Protocols\r\n\r\n", OK]


def generate_answer(draw):
    """An answer that is good, or has one to three wounds."""
    data = draw.choice(GOOD)
    for _ in range(draw.choice([0, 1, 1, 1, 2, 3])):
        at = draw.randrange(len(data) + 1)
        to = min(len(data), at + draw.choice([1, 1, 2, 5, 30]))
        wound = draw.choice(["insert", "insert", "insert", "cut", "replace", "repeat", "append"])
        nasty = draw.choice(NASTY)
        data = {"insert": data[:at] + nasty + data[at:], "cut": data[:at] + data[to:],
                "replace": data[:at] + nasty + data[to:], "append": data + nasty,
                "repeat": data[:to] + data[at:]}[wound]
    return data


def fetch(peer, target):
    """The answer, or None for one that visibly has no end."""
    try:
        return peer.fetch(target)
    except Broken:
        return None


@pytest.fixture(scope="module", name="hasty")
def hasty_stage(tmp_path_factory, engine):
    started = Stage(tmp_path_factory.mktemp("answers"), "--answer-timeout-ms", "300",
                    "--read-timeout-ms", "300")
    yield started
    started.stop()


@pytest.mark.parametrize("seed", ["1", "proxy"])
def test_an_answer_ends_where_it_ends(hasty, seed):
    """What a client takes for whole is what a second reader of the upstream's bytes found; and
    whatever they were, they are no part of anybody's next answer."""
    turn = {}

    def script(call):
        while call.box.data or call.box.more():
            arrived = Arrived(call.box)
            call.send(OK if arrived.target == "/canary" else turn["data"])
            if arrived.target != "/canary" and turn["ends"]:
                return
    hasty.perform(script)
    for number in range(ANSWERS):
        draw = random.Random(f"{seed}-{number}")
        turn.update(data=generate_answer(draw), ends=draw.random() < 0.8)
        reading = client.Observation(b"GET", turn["data"], "eof")
        with hasty.client() as peer:
            reply = fetch(peer, "/")
            if reply and reply.status < 500 and reading.responses:
                first = reading.responses[0]
                assert (reply.status, reply.body) == (first.status, first.body), (number, turn)
            if reply and reply.get("Connection") != "close":
                assert peer.fetch("/canary").body == b"mill", (number, turn)
        with hasty.client() as peer:
            assert peer.fetch("/canary").body == b"mill", (number, turn)
