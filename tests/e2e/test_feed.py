# SPDX-License-Identifier: MIT
"""leat feed publish and subscribe, as processes, over real sockets: what comes out is what went in,
byte for byte, whatever happens between."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import feed_tools
from conftest import await_true, run_leat
from feed_tools import (END_OF_SESSION, ITCH_DAY, Feeds, Network, framed, free_port, itch_day,
                        listener, make_messages, packet, parse, signal_packet, unframed)

SESSION = "20261123A"
MESSAGES = make_messages(20000)
DAY = framed(MESSAGES)


@pytest.fixture
def feeds(tmp_path, engine):
    starter = Feeds(tmp_path)
    yield starter
    starter.close()


@pytest.fixture(name="day")
def day_file(tmp_path):
    path = tmp_path / "day"
    path.write_bytes(DAY)
    return path


def group():
    """One that nobody else has, on this host's loopback."""
    port = free_port()
    return [f"239.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.1:{port}", "--interface", "lo"]


def one_address():
    return f"127.0.0.1:{free_port()}"


# ---- From a file to a file --------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["generated", "itch"])
def test_a_file_arrives(feeds, tmp_path, kind):
    if kind == "itch" and not ITCH_DAY.exists():
        pytest.skip("no LEAT_TEST_DATA/market: the day is not here")
    data = DAY if kind == "generated" else framed(itch_day())
    (tmp_path / "in").write_bytes(data)
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out")
    writer = feeds.publish("--session", SESSION, "--group", line, "--log", tmp_path / "log",
                           "--in", tmp_path / "in", "--linger", "3s", listen=request)
    assert writer.lines[0] == f"publishing {SESSION} to {line} from sequence 1"
    reader.wait()
    writer.finish()
    assert (tmp_path / "out").read_bytes() == data
    count = len(unframed(data))
    assert f"session {SESSION}: {count} messages" in reader.stderr()
    assert f"{count} messages in" in writer.stderr()


def test_two_subscribers_of_a_group_one_of_them_late(feeds, day, tmp_path):
    where = group()
    early = feeds.subscribe("--group", *where, "--out", tmp_path / "early", "--from", "now")
    writer = feeds.publish("--session", SESSION, "--group", *where, "--log", tmp_path / "log",
                           "--in", day, "--linger", "4s", "--rate", "60k")
    time.sleep(0.1)
    late = feeds.subscribe("--group", *where, "--out", tmp_path / "late", "--request",
                           writer.request)
    late.wait()
    assert (tmp_path / "late").read_bytes() == DAY
    assert " 0 asked for and got" not in late.stderr()
    early.wait()
    assert (tmp_path / "early").read_bytes() == DAY
    writer.finish()


def test_two_lines(feeds, day, tmp_path):
    a, b = group(), group()
    request = one_address()
    both = feeds.subscribe("--group", *a, "--group-b", b[0], "--request", request, "--out",
                           tmp_path / "both")
    only_b = feeds.subscribe("--group", *b, "--request", request, "--out", tmp_path / "b")
    writer = feeds.publish("--session", SESSION, "--group", *a, "--group-b", b[0], "--in", day,
                           "--linger", "4s", listen=request)
    assert writer.lines[0].startswith(f"publishing {SESSION} to {a[0]}, {b[0]} from ")
    for reader in (both, only_b):
        reader.wait()
    assert (tmp_path / "both").read_bytes() == (tmp_path / "b").read_bytes() == DAY
    assert "(first from A " in both.stderr()


@pytest.mark.mostly_on("uring")
def test_a_ring_in_shared_memory(feeds, day, tmp_path):
    ring = f"shm:/dev/shm/leat-test-{os.getpid()}"
    try:
        request = one_address()
        writer = feeds.publish("--session", SESSION, "--group", ring, "--in", day, "--linger",
                               "6s", listen=request)
        reader = feeds.subscribe("--group", ring, "--request", request, "--out", tmp_path / "out")
        reader.wait()
        assert (tmp_path / "out").read_bytes() == DAY
        writer.finish()
    finally:
        if os.path.exists(ring[4:]):
            os.unlink(ring[4:])


@pytest.mark.parametrize("flags", [
    ["--spin", "on"], ["--flush-messages", "1"], ["--packet-size", "200", "--flush-us", "1000"],
    ["--durable", "on", "--segment-size", "256k", "--keep", "8"]],
    ids=["spin", "flush", "small", "durable"])
def test_ways_to_publish(feeds, day, tmp_path, flags):
    line, request = one_address(), one_address()
    spin = flags[:2] if flags[0] == "--spin" else []
    reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out",
                             *spin)
    writer = feeds.publish("--session", SESSION, "--group", line, "--log", tmp_path / "log",
                           "--in", day, "--linger", "4s", *flags, listen=request)
    reader.wait()
    assert (tmp_path / "out").read_bytes() == DAY
    writer.finish()


def test_when_packets_left(feeds, day, tmp_path):
    """The kernel stamps what it sends; a new host's first stamps may be missing."""
    writer = feeds.publish("--session", SESSION, "--group", one_address(), "--in", day, "--linger",
                           "100ms", "--stamps", "on", "--rate", "20k")
    writer.wait()
    told = re.search(r"packets, which left the kernel after ([\d.]+) us", writer.stderr())
    assert told and 0 < float(told[1]) < 100_000, writer.stderr()


# ---- Standard input and output ----------------------------------------------------------------

def test_from_a_pipe_to_a_pipe(feeds, tmp_path):
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request)
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", "-", "--linger", "3s",
                           listen=request, stdin=subprocess.PIPE)
    for at in range(0, len(DAY), 7777):  # wherever the pieces end
        writer.process.stdin.write(DAY[at:at + 7777])
        writer.process.stdin.flush()
    writer.process.stdin.close()
    writer.process.stdin = None
    assert reader.wait() == DAY
    writer.finish()


def test_from_a_fifo_whose_writer_comes_late(feeds, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    line = one_address()
    reader = feeds.subscribe("--group", line)
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", tmp_path / "fifo",
                           "--linger", "2s")
    with open(tmp_path / "fifo", "wb") as fifo:
        fifo.write(framed(MESSAGES[:100]))
    assert reader.wait() == framed(MESSAGES[:100])
    writer.finish()


def test_messages_come_while_the_pipe_is_open(feeds):
    line = one_address()
    reader = feeds.subscribe("--group", line)
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", "-", "--linger", "1s",
                           stdin=subprocess.PIPE)
    for message in MESSAGES[:5]:
        writer.process.stdin.write(framed([message]))
        writer.process.stdin.flush()
        assert select.select([reader.process.stdout], [], [], 5)[0], "it does not come"
        assert os.read(reader.process.stdout.fileno(), 4096) == framed([message])
    writer.signal(signal.SIGINT)  # ends it as the end of its input would
    writer.wait()
    assert reader.wait() == b""


@pytest.mark.mostly_on("epoll")
def test_decoded_lines(feeds, tmp_path):
    if not ITCH_DAY.exists():
        pytest.skip("no LEAT_TEST_DATA/market: the day is not here")
    messages = itch_day()
    (tmp_path / "in").write_bytes(framed(messages))
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--decode", "itch", "--out",
                             tmp_path / "out")
    feeds.publish("--session", SESSION, "--group", line, "--in", tmp_path / "in", "--linger", "3s",
                  listen=request)
    reader.wait()
    lines = [json.loads(text) for text in (tmp_path / "out").read_text().splitlines()]
    assert len(lines) == len(messages)
    assert [line["type"] for line in lines] == [chr(message[0]) for message in messages]


def test_a_reader_who_leaves(feeds, day):
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request)
    feeds.publish("--session", SESSION, "--group", line, "--in", day, "--linger", "3s",
                  listen=request)
    assert os.read(reader.process.stdout.fileno(), 100)
    reader.process.stdout.close()
    reader.process.stdout = None
    reader.wait(status=1)
    assert "cannot" not in reader.stderr() and reader.stderr().count("\n") == 2


@pytest.mark.mostly_on("uring")
def test_a_slow_reader_loses_nothing(feeds, tmp_path):
    """More than all the buffers on the way hold; what the kernel drops is asked for again."""
    data = framed(make_messages(40000, size_max=1300))
    (tmp_path / "in").write_bytes(data)
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--buffer", "256k")
    feeds.publish("--session", SESSION, "--group", line, "--log", tmp_path / "log", "--in",
                  tmp_path / "in", "--linger", "20s", listen=request)
    pieces, pauses = [], 3
    while piece := os.read(reader.process.stdout.fileno(), 1 << 20):
        pieces.append(piece)
        if pauses and sum(map(len, pieces)) > (3 - pauses) * 4000000:
            pauses -= 1
            time.sleep(0.5)
    assert b"".join(pieces) == data
    reader.wait()
    assert " 0 packets dropped" not in reader.stderr()


# ---- How a publisher ends, and goes on --------------------------------------------------------

@pytest.mark.mostly_on("epoll")
def test_a_reader_who_stands_still_does_not_keep_it(feeds, tmp_path):
    """More than all the buffers hold waits for a reader who takes nothing, when a signal comes."""
    (tmp_path / "in").write_bytes(framed(make_messages(30000, size_max=1300)))
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request)
    feeds.publish("--session", SESSION, "--group", line, "--in", tmp_path / "in", "--linger",
                  "20s", listen=request)
    await_true(lambda: feed_tools.is_stuck(reader.process.stdout))
    for _ in range(2):  # the second one: at once
        time.sleep(0.1)
        reader.signal(signal.SIGTERM)
    reader.process.wait(5)
    assert reader.process.returncode == 130


def test_kill_and_resume_while_a_subscriber_waits(feeds, day, tmp_path):
    where, request = group(), one_address()
    flags = ["--session", SESSION, "--group", *where, "--log", tmp_path / "log", "--in", day,
             "--linger", "3s"]
    reader = feeds.subscribe("--group", *where, "--request", request, "--out", tmp_path / "out")
    for _ in range(3):
        writer = feeds.start("publish", *flags, "--rate", "10k", "--request-listen", request)
        writer.await_line(f"publishing {SESSION} to ")
        time.sleep(0.3)
        writer.kill()
    last = feeds.start("publish", *flags, "--request-listen", request)
    begins = int(last.await_line(f"publishing {SESSION} to ").split()[-1])
    assert 1 < begins < len(MESSAGES), begins
    last.await_stderr(f"the log has {begins - 1} messages: they are skipped in '{day}'")
    reader.wait()
    last.finish()
    assert (tmp_path / "out").read_bytes() == DAY


@pytest.mark.mostly_on("uring")
def test_what_the_log_has_of_a_file_is_skipped(feeds, tmp_path):
    """More of it than is read at a time; it does not matter how it came there."""
    messages = make_messages(40000)
    line, request = one_address(), one_address()
    flags = ["--session", SESSION, "--group", line, "--log", tmp_path / "log"]
    reader = feeds.subscribe("--group", line, "--request", request)
    writer = feeds.publish(*flags, "--in", "-", "--rate", "200k", listen=request,
                           stdin=subprocess.PIPE)
    first = framed(messages[:30000])
    writer.process.stdin.write(first)
    writer.process.stdin.flush()
    got = b""
    while len(got) < len(first):
        got += os.read(reader.process.stdout.fileno(), 1 << 20)
    writer.kill()
    (tmp_path / "in").write_bytes(framed(messages))
    rest = feeds.publish(*flags, "--in", tmp_path / "in", "--rate", "200k", begins=30001,
                         listen=request)
    assert got + reader.wait() == framed(messages)
    rest.finish()


@pytest.mark.mostly_on("epoll")
def test_a_session_that_ended_is_there_for_those_who_ask(feeds, day, tmp_path):
    line = one_address()
    flags = ["--session", SESSION, "--group", line, "--log", tmp_path / "log", "--in", day]
    feeds.publish(*flags, "--linger", "0").wait()
    request = one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out")
    again = feeds.publish(*flags, "--linger", "3s", begins=len(MESSAGES) + 1, listen=request)
    reader.wait()
    again.finish()
    assert (tmp_path / "out").read_bytes() == DAY
    assert f"session {SESSION} has ended" in again.stderr()


@pytest.mark.mostly_on("epoll")
def test_another_file_is_seen(feeds, day, tmp_path):
    line = one_address()
    flags = ["--session", SESSION, "--group", line, "--log", tmp_path / "log", "--linger", "0"]
    writer = feeds.publish(*flags, "--in", day, "--rate", "100k")
    time.sleep(0.1)
    writer.kill()
    (tmp_path / "other").write_bytes(framed(MESSAGES[:3]))
    other = feeds.start("publish", *flags, "--in", tmp_path / "other")
    other.wait(status=1)
    assert "has 3 messages, and the log has " in other.stderr()


def test_an_address_that_is_taken(feeds, tmp_path):
    flags = ["--session", SESSION, "--group", one_address()]
    path = tmp_path / "socket"
    first = feeds.publish(*flags, "--in", f"unix:{path}")
    for more, what in ((["--in", "/dev/null", "--request-listen", first.request], first.request),
                       (["--in", f"unix:{path}"], f"'unix:{path}'")):
        second = feeds.start("publish", *flags, *more)
        second.wait(status=2)
        assert what in second.stderr() and "in use" in second.stderr()
    Producer(path).socket.close()  # the first one is still there


@pytest.mark.mostly_on("epoll")
def test_one_publisher_a_log(feeds, tmp_path):
    flags = ["--session", SESSION, "--group", one_address(), "--log", tmp_path / "log", "--in",
             "-"]
    feeds.publish(*flags, stdin=subprocess.PIPE)
    second = feeds.start("publish", *flags)
    second.wait(status=1)
    assert second.stderr().count("\n") == 1


def test_the_end_is_said_while_it_lingers(feeds, tmp_path):
    (tmp_path / "in").write_bytes(framed(MESSAGES[:10]))
    with listener() as taker:
        line = "127.0.0.1:%d" % taker.getsockname()[1]
        writer = feeds.publish("--session", SESSION, "--group", line, "--in", tmp_path / "in",
                               "--linger", "1s", "--heartbeat-ms", "100")
        seen = [parse(taker.recv(65536)) for _ in range(4)]
        while seen[-1][2] != END_OF_SESSION:
            seen.append(parse(taker.recv(65536)))
        host, port = writer.request.split(":")
        with listener() as asker:
            asker.sendto(signal_packet(SESSION, 3, 4), (host, int(port)))
            assert parse(asker.recv(65536)) == (SESSION, 3, 4, MESSAGES[2:6])
        end = parse(taker.recv(65536))
        assert end == (SESSION, 11, END_OF_SESSION, [])
        writer.wait()
    assert [session for session, *_ in seen] == [SESSION] * len(seen)
    assert sum((messages for *_, messages in seen), []) == MESSAGES[:10]


# ---- Producers --------------------------------------------------------------------------------

class Producer:
    """A program that writes to the publisher's local socket, and reads what it is told."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.settimeout(20)

    def send(self, messages):
        self.socket.sendall(framed(messages))

    def told(self, count):
        data = b""
        while len(data) < 8 * count and (piece := self.socket.recv(8 * count - len(data))):
            data += piece
        assert len(data) == 8 * count, (len(data), count)
        return list(struct.unpack(f">{count}Q", data))


@pytest.mark.parametrize("durable", ["off", "on"])
def test_twenty_producers(feeds, tmp_path, durable):
    path, each = tmp_path / "socket", 400
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out")
    writer = feeds.publish("--session", SESSION, "--group", line, "--log", tmp_path / "log",
                           "--in", f"unix:{path}", "--durable", durable, "--linger", "1s",
                           listen=request)
    given = {}

    def produce(number):
        producer = Producer(path)
        messages = [struct.pack(">II", number, index) for index in range(each)]
        for at in range(0, each, 50):
            producer.send(messages[at:at + 50])
            for sequence, message in zip(producer.told(50), messages[at:at + 50]):
                assert sequence not in given
                given[sequence] = message
        producer.socket.close()

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 20 * each + 1))
    writer.finish()  # all that was told is sent, and the session ended
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == [given[key] for key in sorted(given)]
    assert not path.exists()


@pytest.mark.mostly_on("epoll")
def test_bad_producers_and_a_deaf_one_hurt_nobody(feeds, tmp_path):
    path = tmp_path / "socket"
    line = one_address()
    reader = feeds.subscribe("--group", line, "--out", tmp_path / "out")
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", f"unix:{path}",
                           "--linger", "1s")
    good, deaf = Producer(path), Producer(path)
    deaf.socket.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):  # it reads nothing, and so is not read from in the end
        while True:
            deaf.send([b"d"] * 1000)
            sent += 1000
    for bad in (b"\0\0", b"\xff\xff" + b"x" * 9, framed([b"whole"]) + b"\0\0"):
        producer = Producer(path)
        producer.socket.sendall(bad)
        told = producer.told(bad.count(b"whole"))
        assert producer.socket.recv(8) == b"", "it was not sent away"
        assert len(told) == bad.count(b"whole")
    cut = Producer(path)
    cut.socket.sendall(b"\0\x09cut")
    cut.socket.close()
    writer.await_stderr("has left within a message")
    good.send([b"good"])
    assert good.told(1)[0] > 0
    assert writer.stderr().count(" is sent away") == 3
    writer.signal(signal.SIGTERM)
    writer.wait()
    reader.wait()
    messages = unframed((tmp_path / "out").read_bytes())
    assert messages.count(b"good") == 1 and messages.count(b"whole") == 1


def test_what_was_told_survives_kill(feeds, tmp_path):
    path = tmp_path / "socket"
    flags = ["--session", SESSION, "--group", one_address(), "--log", tmp_path / "log", "--in",
             f"unix:{path}", "--linger", "0"]
    told, messages = [], make_messages(3000)
    for begin in range(0, 3000, 1000):
        writer = feeds.publish(*flags, begins=begin + 1)
        producer = Producer(path)
        producer.send(messages[begin:begin + 1000])
        told += producer.told(1000)
        writer.kill()
    assert told == list(range(1, 3001))
    writer = feeds.publish(*flags, begins=3001)
    host, port = writer.request.split(":")
    with listener() as asker:
        got = []
        while len(got) < 3000:
            asker.sendto(signal_packet(SESSION, len(got) + 1, 60000), (host, int(port)))
            session, sequence, _, part = parse(asker.recv(65536))
            if sequence == len(got) + 1:
                got += part
    assert got == messages


# ---- What goes wrong --------------------------------------------------------------------------

@pytest.mark.mostly_on("epoll")
@pytest.mark.parametrize("tail, complaint", [
    (b"\0\x09cut", "ends within message 11; the 10 before it are published"),
    (b"\0", "ends within message 11"),
    (b"\0\0", "message 11: its length is 0"),
    (b"\x10\0" + b"x" * 4096 + b"\0\1x", "message 11: it has 4096 bytes"),
], ids=["cut", "length", "empty", "long"])
def test_input_that_is_none(feeds, tmp_path, tail, complaint):
    (tmp_path / "in").write_bytes(framed(MESSAGES[:10]) + tail)
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out")
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", tmp_path / "in",
                           "--linger", "2s", listen=request)
    reader.wait()
    writer.signal(signal.SIGTERM)
    writer.wait(status=1)
    assert unframed((tmp_path / "out").read_bytes()) == MESSAGES[:10]
    assert complaint in writer.stderr() and writer.stderr().count("\n") == 2


def test_a_gap_that_nobody_fills(feeds, tmp_path):
    """Nobody answers: what is lost is said, what is behind it follows."""
    where = ("127.0.0.1", free_port())
    line = "%s:%d" % where
    both = [packet(SESSION, 1, MESSAGES[:3]), packet(SESSION, 6, MESSAGES[5:8]),
            signal_packet(SESSION, 9, END_OF_SESSION)]
    for flags, expected in ([], MESSAGES[:3] + MESSAGES[5:8]), (["--stop-at-gap", "on"],
                                                               MESSAGES[:3]):
        reader = feeds.subscribe("--group", line, "--out", tmp_path / "out", *flags)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in both:
                sender.sendto(data, where)
            reader.wait(status=3)
        assert "gap lost 4..5" in reader.stderr()
        assert unframed((tmp_path / "out").read_bytes()) == expected


def test_signals_and_timeouts_end_a_subscriber(feeds):
    line = one_address()
    for number in (signal.SIGINT, signal.SIGTERM):
        reader = feeds.subscribe("--group", line)
        time.sleep(0.1)
        reader.signal(number)
        reader.wait(status=130)
    reader = feeds.subscribe("--group", line, "--timeout", "200ms")
    reader.wait(status=1)
    assert "did not end within --timeout" in reader.stderr()


PUBLISH = ["publish", "--session", "S", "--group", "127.0.0.1:5000", "--in", "/dev/null"]
SUBSCRIBE = ["subscribe", "--group", "127.0.0.1:5000"]
WRONG = {
    "nothing": ([], "which command?"),
    "command": (["publisch"], "there is no command 'publisch'"),
    "session": (["publish", "--group", "127.0.0.1:5000", "--in", "-"], "which session?"),
    "long-session": (["publish", "--session", "12345678901", *PUBLISH[3:]], "1 to 10"),
    "group": (["publish", "--session", "S", "--in", "-"], "where to?"),
    "in": (PUBLISH[:-2], "which messages?"),
    "no-file": ([*PUBLISH[:-1], "/nowhere/day"], "cannot read '/nowhere/day'"),
    "folder": ([*PUBLISH[:-1], "/"], "cannot read '/'"),
    "no-socket": ([*PUBLISH[:-1], "unix:/nowhere/socket"], "cannot listen on"),
    "address": ([*PUBLISH, "--group", "127.0.0.1"], "127.0.0.1"),
    "request": ([*PUBLISH, "--request-listen", "10.255.255.254:1"], "10.255.255.254:1"),
    "rate": ([*PUBLISH, "--rate", "fast"], "--rate takes messages a second"),
    "size": ([*PUBLISH, "--segment-size", "big"], "'big' is no size"),
    "packet": ([*PUBLISH, "--packet-size", "63"], "from 64 to 65507"),
    "durable": ([*PUBLISH, "--durable", "on"], "needs a --log"),
    "log": ([*PUBLISH, "--log", "/nowhere/at/all"], "/nowhere/at/all"),
    "log-file": ([*PUBLISH, "--log", "/dev/null"], "/dev/null"),
    "segment": ([*PUBLISH, "--segment-size", "1k"], "segments have 262144 to"),
    "no-port": ([*PUBLISH, "--group", "10.0.0.1:0"], "port 0"),
    "twice": ([*PUBLISH, "--group-b", "127.0.0.1:5000"], "--group-b is line A once more"),
    "interface": ([*PUBLISH, "--interface", "eth77"], "no interface 'eth77'"),
    "cpu": ([*PUBLISH, "--cpu", "1000"], "core 1000"),
    "no-group": (["subscribe"], "which stream?"),
    "from": ([*SUBSCRIBE, "--from", "0"], "'0' is no sequence number"),
    "time": ([*SUBSCRIBE, "--timeout", "soon"], "'soon' is no time"),
    "decode": ([*SUBSCRIBE, "--decode", "fix"], "--decode takes off, itch"),
    "out": ([*SUBSCRIBE, "--out", "/nowhere/out"], "cannot write '/nowhere/out'"),
    "not-ours": (["subscribe", "--group", "10.255.255.254:1"], "10.255.255.254:1"),
    "hear-no-port": (["subscribe", "--group", "239.1.1.1:0"], "port 0"),
    "stat-no-port": ([*SUBSCRIBE, "--group-b", "[ff02::5]:0"], "port 0"),
    "stat": (["stat"], "which stream?"),
    "every": (["stat", "--group", "127.0.0.1:5000", "--every", "0"], "--every must be above 0"),
}


@pytest.mark.mostly_on("epoll")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_line(name):
    arguments, complaint = WRONG[name]
    done = run_leat("feed", *arguments)
    assert done.returncode == 2, done
    assert done.stdout == "" and done.stderr.count("\n") == 1 and complaint in done.stderr, done


@contextlib.contextmanager
def small_disk(feeds, folder, size):
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        feeds.close()
        subprocess.run(["umount", folder], check=True)


@pytest.mark.mostly_on("uring")
def test_a_full_disk(feeds, tmp_path):
    """Nothing leaves that is not in the log; requests are answered, and it goes on with room."""
    with small_disk(feeds, tmp_path / "disk", "3m") as disk:
        (disk / "ballast").write_bytes(bytes(1 << 20))
        data = framed(make_messages(4000, size_max=1000))
        (tmp_path / "in").write_bytes(data)
        line, request = one_address(), one_address()
        reader = feeds.subscribe("--group", line, "--request", request, "--out", tmp_path / "out")
        writer = feeds.publish("--session", SESSION, "--group", line, "--log", disk / "log", "--in",
                               tmp_path / "in", "--segment-size", "256k", "--linger", "3s",
                               listen=request)
        writer.await_stderr("is full: publishing waits")
        host, port = request.split(":")
        with listener() as asker:
            asker.sendto(signal_packet(SESSION, 1, 1), (host, int(port)))
            assert parse(asker.recv(65536))[1] == 1
        (disk / "ballast").unlink()
        writer.await_stderr("publishing goes on")
        reader.wait()
        writer.finish()
        assert (tmp_path / "out").read_bytes() == data
        assert writer.stderr().count("is full") == 1


@pytest.mark.mostly_on("epoll")
def test_a_full_disk_keeps_producers_waiting(feeds, tmp_path):
    with small_disk(feeds, tmp_path / "disk", "4m") as disk:
        (disk / "ballast").write_bytes(bytes(3 << 20))
        writer = feeds.publish("--session", SESSION, "--group", one_address(), "--log",
                               disk / "log", "--in", f"unix:{tmp_path / 'socket'}",
                               "--segment-size", "256k", "--linger", "0", requests=False)
        producer = Producer(tmp_path / "socket")
        messages = make_messages(4000, size_max=1000)
        sending = threading.Thread(target=producer.send, args=(messages,))
        sending.start()
        writer.await_stderr("is full: publishing waits")
        producer.socket.settimeout(0.5)
        told = []
        with pytest.raises(TimeoutError):
            while True:
                told += producer.told(1)
        assert 0 < len(told) < 4000
        (disk / "ballast").unlink()
        producer.socket.settimeout(20)
        told += producer.told(4000 - len(told))
        sending.join()
        assert told == list(range(1, 4001))
        writer.finish()


@pytest.mark.mostly_on("epoll")
def test_a_full_disk_under_the_output(feeds, day, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    line, request = one_address(), one_address()
    reader = feeds.subscribe("--group", line, "--request", request, "--out", "/dev/full")
    feeds.publish("--session", SESSION, "--group", line, "--in", day, "--linger", "2s",
                  listen=request)
    reader.wait(status=1)
    assert "cannot write '/dev/full': No space left on device" in reader.stderr()


@pytest.mark.mostly_on("uring")
def test_closed_standard_streams(feeds, day):
    """What it opens gets no number of theirs: once the signals were read as messages."""
    def without(stream):
        return ["sh", "-c", f'exec "$0" "$@" {stream}']
    line = one_address()
    writer = feeds.start("publish", "--session", SESSION, "--group", line, "--in", "-", "--linger",
                         "0", prefix=without("<&-"))
    writer.wait(status=1, seconds=10)
    assert "cannot read '-': Bad file descriptor" in writer.stderr()
    reader = feeds.subscribe("--group", line, prefix=without(">&-"))
    feeds.publish("--session", SESSION, "--group", line, "--in", day, "--linger", "0",
                  requests=False)
    reader.wait(status=1)
    assert "cannot write '-': Bad file descriptor" in reader.stderr()


def test_a_log_that_is_taken_away(feeds, tmp_path):
    """Its segments are made ahead; when there is no more of them it ends, and says why."""
    (tmp_path / "in").write_bytes(framed(make_messages(4000, size_max=1000)))
    writer = feeds.publish("--session", SESSION, "--group", one_address(), "--in", tmp_path / "in",
                           "--log", tmp_path / "log", "--segment-size", "256k", "--rate", "2k",
                           "--linger", "0", requests=False)
    shutil.rmtree(tmp_path / "log")
    writer.wait(status=1)
    assert f"with the log '{tmp_path / 'log'}': No such file or directory" in writer.stderr()


@pytest.mark.parametrize("a, b", [(10, None), (30, None), (10, 10), (30, 30), (0, 30)])
def test_a_network_that_drops(tmp_path, engine, day, a, b):
    reason = feed_tools.why_no_network()
    if reason:
        pytest.skip(reason)
    network = Network()
    feeds = Feeds(tmp_path, network.prefix)
    try:
        lines = ["--group", "239.1.1.1:5000", "--interface", "lo"]
        network.drop(5000, a)
        network.drop(5001, 10)  # requests, too
        if b is not None:
            lines += ["--group-b", "239.1.1.2:5002"]
            network.drop(5002, b)
        reader = feeds.subscribe(*lines, "--request", "127.0.0.1:5001", "--out", tmp_path / "out")
        writer = feeds.publish(*lines, "--session", SESSION, "--in", day, "--linger", "10s",
                               "--packet-size", "300", listen="127.0.0.1:5001")
        reader.wait()
        assert (tmp_path / "out").read_bytes() == DAY
        assert " 0 lost" in reader.stderr()
        assert (" 0 gaps" in reader.stderr()) == (a == 0)
        writer.finish()
    finally:
        feeds.close()
        network.close()


@pytest.mark.mostly_on("epoll")
def test_a_group_of_ipv6_from_end_to_end_of_a_wire(tmp_path, engine, day):
    reason = feed_tools.why_no_network()
    if reason:
        pytest.skip(reason)
    network = Network()
    feeds = Feeds(tmp_path, network.prefix)
    try:
        network.inside("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
        for number, end in enumerate(("here", "there"), 1):
            network.inside("ip", "link", "set", end, "addrgenmode", "none")
            network.inside("ip", "link", "set", end, "up")
            network.inside("ip", "address", "add", f"fe80::{number}/64", "dev", end, "nodad")
        group = ["--group", "[ff02::5]:5000", "--interface"]
        reader = feeds.subscribe(*group, "there", "--request", "[::1]:5001", "--source", "fe80::1",
                                 "--out", tmp_path / "out")
        writer = feeds.publish(*group, "here", "--session", SESSION, "--in", day,
                               listen="[::1]:5001")
        reader.wait()
        assert (tmp_path / "out").read_bytes() == DAY
        writer.finish()
    finally:
        feeds.close()
        network.close()


# ---- Looking on -------------------------------------------------------------------------------

@pytest.mark.mostly_on("uring")
def test_stat_counts(feeds, day, tmp_path):
    a, b = group(), group()
    lines = ["--group", *a, "--group-b", b[0]]
    looker = feeds.look(*lines, "--every", "200ms", "--json", "on")
    writer = feeds.publish("--session", SESSION, *lines, "--in", day, "--rate", "30k", "--linger",
                           "1s")
    rows = [json.loads(row) for row in looker.wait().decode().splitlines()]
    writer.wait()
    assert rows[-1]["messages"] == len(MESSAGES) and rows[-1]["ended"]
    assert rows[-1]["session"] == SESSION and rows[-1]["lost_messages"] == 0
    assert len(rows[-1]["lines"]) == 2
    busy = [row for row in rows if row["messages_per_s"] > 0]
    assert len(busy) >= 2
    assert all(10000 < row["messages_per_s"] < 60000 for row in busy[1:-2])
    assert all(0 < row["latency_us"]["p50"] <= row["latency_us"]["max"] for row in busy)
    assert all(abs(sum(line["first_percent"] for line in row["lines"]) - 100) < 0.1
               for row in busy)


@pytest.mark.mostly_on("epoll")
def test_stat_in_lines(feeds):
    where = group()
    looker = feeds.look("--group", *where, "--every", "100ms", "--count", "3")
    heading, *rows = looker.wait().decode().splitlines()
    assert heading.split()[0] == "messages/s" and len(rows) == 3
    endless = feeds.look("--group", *where)
    endless.signal(signal.SIGINT)
    endless.wait()


@pytest.mark.mostly_on("epoll")
def test_how_old_messages_are(feeds):
    """ITCH counts nanoseconds since midnight where the exchange is."""
    line, zone = one_address(), {**os.environ, "TZ": "UTC"}
    looker = feeds.look("--group", line, "--decode", "itch", "--json", "on", "--every", "200ms",
                        env=zone)
    writer = feeds.publish("--session", SESSION, "--group", line, "--in", "-", "--linger", "1s",
                           stdin=subprocess.PIPE)
    since_midnight = (time.time_ns() - 500_000_000) % (86400 * 10**9)
    event = b"S" + struct.pack(">HH", 0, 0) + since_midnight.to_bytes(6, "big") + b"O"
    writer.process.stdin.write(framed([event, b"no message of ITCH"]))
    writer.process.stdin.close()
    writer.process.stdin = None
    rows = [json.loads(row) for row in looker.wait().decode().splitlines()]
    ages = [row["itch_us"] for row in rows if row["itch_us"]]
    assert len(ages) == 1 and 500_000 <= ages[0]["p50"] < 10_000_000, ages


@pytest.mark.mostly_on("epoll")
def test_stat_on_a_terminal(feeds):
    """A table, drawn over the last one."""
    line = one_address()
    ours, theirs = pty.openpty()
    looker = feeds.look("--group", line, "--every", "100ms", stdout=theirs)
    os.close(theirs)
    text = b""
    while text.count(b"kernel to here") < 3:
        text += os.read(ours, 65536)
    looker.signal(signal.SIGINT)
    looker.wait()
    os.close(ours)
    tables = text.decode().split("\x1b[14A")
    assert len(tables) >= 3 and all(table.count("\n") == 14 for table in tables[:2]), tables
    assert re.search(r"session \(none heard yet\), \d+ s; the next message is ", tables[0])
