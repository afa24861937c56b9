# SPDX-License-Identifier: MIT
"""Generated requests through the proxy, to an upstream that writes down what it is asked: exactly
the requests that a second reading of RFC 9112 (tests/differential/strict.py) finds in the bytes, in
their order, made anew; and to the client as many answers, each with one end.
"""

import os
import re

import pytest

from test_proxy_rfc import OK, Stage
from test_rfc import client  # and with it the way to tests/differential

import generator
import strict

COUNT = 10000 if os.environ.get("LEAT_LONG") else 800


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
    assert not [text for text in stage.origin.broken if " canonical " in text or "not for" in text]
    passed = [message for message in messages if message.status == 1 and not ends_here(message)]
    whole = [(message.method.decode(), target_of(message), message.body)
             for message in passed if not message.body_reason]
    assert [(one.method, one.target, one.body) for one in stage.whole()] == whole
    assert len(stage.arrived) <= len(passed)
    if any(message.body_reason for message in messages):
        send(stage, generator.CANARY)  # behind it: by now every connection has been accepted,
        stage.play(reply)              # and who waits for the rest of a body is cut off
        return
    statuses = [message.status if message.status > 1 else 0 if ends_here(message) else 200
                for message in messages if message.status]
    assert [response.status if status else 0 for response, status in
            zip(observation.responses, statuses)] == statuses
    assert len(observation.responses) == len(statuses)
    assert not stage.origin.broken
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
