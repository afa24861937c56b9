# SPDX-License-Identifier: MIT
"""What anybody may send to a feed's ends, and what becomes of it: it is counted, told, survived."""

import random
import re
import signal
import socket
import struct
import time

import pytest

from feed_tools import (END_OF_SESSION, HEADER, Feeds, framed, free_port, listener,
                        make_messages, packet, parse, signal_packet, unframed)

SESSION = "20261123A"
MESSAGES = make_messages(3000)
pytestmark = pytest.mark.mostly_on("uring")


@pytest.fixture
def feeds(tmp_path, engine):
    starter = Feeds(tmp_path)
    yield starter
    starter.close()


def send_all(where, packets, source="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for data in packets:
            sender.sendto(data, where)


# ---- Packets that a subscriber gets -----------------------------------------------------------

BAD_PACKETS = {
    "empty": b"",
    "short": packet(SESSION, 4, [])[:19],
    "no-messages": HEADER.pack(SESSION.ljust(10).encode(), 4, 3),
    "count-lies": HEADER.pack(SESSION.ljust(10).encode(), 4, 9) + framed(MESSAGES[3:5]),
    "length-lies": HEADER.pack(SESSION.ljust(10).encode(), 4, 1) + b"\xff\xff" + b"x" * 100,
    "half-a-length": HEADER.pack(SESSION.ljust(10).encode(), 4, 1) + b"\0",
    "sequence-0": packet(SESSION, 0, MESSAGES[:1]),
    "sequence-wraps": packet(SESSION, (1 << 64) - 1, MESSAGES[:3]),
    "other-session": packet("OTHER", 4, [b"not ours"]),
    "session-is-no-text": packet(SESSION, 4, [b"not ours"]).replace(SESSION.encode(), b"\0" * 9),
    "too-long": packet(SESSION, 4, [b"x" * 3000]),
    "noise": random.Random(7).randbytes(300),
}


@pytest.mark.parametrize("name", BAD_PACKETS)
def test_a_bad_packet_amid_good_ones(feeds, tmp_path, name):
    where = ("127.0.0.1", free_port())
    reader = feeds.subscribe("--group", "%s:%d" % where, "--out", tmp_path / "out", "--session",
                             SESSION)
    send_all(where, [packet(SESSION, 1, MESSAGES[:3]), BAD_PACKETS[name],
                     packet(SESSION, 4, MESSAGES[3:6]), signal_packet(SESSION, 7, END_OF_SESSION)])
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == MESSAGES[:6]


def test_disorder_and_duplicates(feeds, tmp_path):
    dice = random.Random(5)
    packets = [packet(SESSION, at + 1, MESSAGES[at:at + 5]) for at in range(0, 1000, 5)]
    # overlapping ones too, as an answer may be cut differently
    packets += [packet(SESSION, at + 1, MESSAGES[at:at + 8]) for at in range(0, 990, 33)]
    packets += dice.sample(packets, 100)
    dice.shuffle(packets)
    first = packets.index(packet(SESSION, 1, MESSAGES[:5]))
    packets[0], packets[first] = packets[first], packets[0]
    where = ("127.0.0.1", free_port())
    reader = feeds.subscribe("--group", "%s:%d" % where, "--from", "1", "--out", tmp_path / "out",
                             "--window-us", "2000000")
    send_all(where, [*packets, signal_packet(SESSION, 1001, END_OF_SESSION)])
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == MESSAGES[:1000]


def test_two_publishers_do_not_mix(feeds, tmp_path):
    """The same session and numbers from another host: the first one heard counts."""
    port = free_port()
    where = ("127.0.0.1", port)
    looker = feeds.look("--group", f"127.0.0.1:{port}", "--every", "200ms", "--json", "on")
    send_all(where, [packet(SESSION, 1, [b"ours"])])
    send_all(where, [packet(SESSION, 2, [b"theirs"])], source="127.0.0.2")
    send_all(where, [packet(SESSION, 2, [b"ours"]), signal_packet(SESSION, 3, END_OF_SESSION)])
    last = looker.wait().decode().splitlines()[-1]
    assert '"foreign_source":1' in last and '"messages":2,' in last
    reader = feeds.subscribe("--group", f"127.0.0.1:{port}", "--source", "127.0.0.3", "--out",
                             tmp_path / "out")
    send_all(where, [packet(SESSION, 1, [b"theirs"]), signal_packet(SESSION, 2, END_OF_SESSION)])
    send_all(where, [packet(SESSION, 1, [b"ours"]), signal_packet(SESSION, 2, END_OF_SESSION)],
             source="127.0.0.3")
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == [b"ours"]


def test_a_session_that_changes_in_mid_stream(feeds, tmp_path):
    where = ("127.0.0.1", free_port())
    reader = feeds.subscribe("--group", "%s:%d" % where, "--out", tmp_path / "out")
    send_all(where, [packet(SESSION, 1, MESSAGES[:3]), packet("NEXTDAY", 1, MESSAGES[50:52]),
                     signal_packet("NEXTDAY", 3, END_OF_SESSION), packet(SESSION, 4, MESSAGES[3:4]),
                     signal_packet(SESSION, 5, END_OF_SESSION)])
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == MESSAGES[:4]


def test_answers_that_are_none(feeds, tmp_path):
    """Who is asked answers with noise, with what was not asked for, and in the end properly."""
    where = ("127.0.0.1", free_port())
    with listener() as server:
        reader = feeds.subscribe("--group", "%s:%d" % where, "--request", "127.0.0.1:%d" %
                                 server.getsockname()[1], "--out", tmp_path / "out",
                                 "--request-tries", "50", "--request-ms", "5")
        send_all(where, [packet(SESSION, 4, MESSAGES[3:6]),
                         signal_packet(SESSION, 7, END_OF_SESSION)])
        bad = [*BAD_PACKETS.values(), packet(SESSION, 5, MESSAGES[4:6]), signal_packet(SESSION, 1)]
        for answers in bad, bad, [packet(SESSION, 1, MESSAGES[:3])]:
            request, peer = server.recvfrom(65536)
            session, sequence, count = HEADER.unpack(request)
            assert (session, sequence) == (SESSION.ljust(10).encode(), 1) and 1 <= count <= 3
            for data in answers:
                server.sendto(data, peer)
    reader.wait()
    assert unframed((tmp_path / "out").read_bytes()) == MESSAGES[:6]


# ---- Requests that a publisher gets -----------------------------------------------------------

@pytest.fixture(name="publisher")
def one_publisher(feeds, tmp_path):
    """With 3,000 messages in packets of 300 bytes, and somebody who watches its line."""
    (tmp_path / "in").write_bytes(framed(MESSAGES))
    taker = listener()
    feed = feeds.publish("--session", SESSION, "--group", "127.0.0.1:%d" % taker.getsockname()[1],
                         "--log", tmp_path / "log", "--in", tmp_path / "in", "--packet-size",
                         "300", "--linger", "60s", "--heartbeat-ms", "100", "--request-rate",
                         "64k")
    host, port = feed.request.split(":")
    feed.where, feed.taker = (host, int(port)), taker
    while parse(taker.recv(65536))[2] != END_OF_SESSION:
        pass
    yield feed
    taker.close()
    feed.signal(signal.SIGTERM)
    feed.wait()


BAD_REQUESTS = {
    "empty": b"",
    "short": signal_packet(SESSION, 1, 1)[:19],
    "long": signal_packet(SESSION, 1, 1) + b"\0",
    "other-session": signal_packet("OTHER", 1, 1),
    "sequence-0": signal_packet(SESSION, 0, 1),
    "none": signal_packet(SESSION, 1, 0),
    "future": signal_packet(SESSION, 3001, 10),
    "far-future": signal_packet(SESSION, 1 << 62, 1),
    "wraps": signal_packet(SESSION, (1 << 64) - 1, 60000),
    "noise": random.Random(9).randbytes(20),
}


def test_bad_requests_bring_nothing(publisher):
    with listener() as asker:
        for name, data in BAD_REQUESTS.items():
            asker.sendto(data, publisher.where)
            asker.settimeout(0.05)
            with pytest.raises(TimeoutError):
                pytest.fail(f"{name}: {asker.recv(65536)!r}")
        asker.settimeout(10)
        asker.sendto(signal_packet(SESSION, 3000, 1), publisher.where)
        assert parse(asker.recv(65536)) == (SESSION, 3000, 1, MESSAGES[-1:])


def gather(asker, seconds):
    """What comes until nothing has come for so long."""
    asker.settimeout(seconds)
    got = []
    try:
        while True:
            got.append(asker.recv(65536))
    except TimeoutError:
        return got


def test_a_request_for_everything_brings_so_many_packets(publisher):
    with listener() as asker:
        asker.sendto(signal_packet(SESSION, 1, 0xFFFF), publisher.where)
        got = gather(asker, 0.3)
        assert len(got) == 32, len(got)
        assert all(len(data) <= 300 for data in got)
        messages = sum((parse(data)[3] for data in got), [])
        assert messages == MESSAGES[:len(messages)]


def test_a_flood_is_limited_and_holds_up_nobody(publisher):
    """64 KiB a second is what one address gets, however much it asks for (and, once, what is under
    way when that is used up); the lines go on."""
    with listener() as asker:
        begin, asked = time.monotonic(), 0
        got = []
        asker.setblocking(False)
        while time.monotonic() < begin + 1:
            for _ in range(50):
                asker.sendto(signal_packet(SESSION, 1 + asked % 2000, 1000), publisher.where)
                asked += 1
            time.sleep(0.002)
            try:
                while True:
                    got.append(len(asker.recv(65536)))
            except BlockingIOError:
                pass
        got += map(len, gather(asker, 0.3))
        length = time.monotonic() - begin
    assert asked > 1000
    assert 0 < sum(got) <= 65536 * (length + 1) + 8 * 32 * 300, (sum(got), length)
    publisher.taker.settimeout(1)
    assert parse(publisher.taker.recv(65536))[2] == END_OF_SESSION
    with listener("127.0.0.2") as other:
        other.sendto(signal_packet(SESSION, 7, 1), publisher.where)
        assert parse(other.recv(65536))[1:] == (7, 1, MESSAGES[6:7])


def test_noise_at_every_socket(publisher):
    dice = random.Random(3)
    with listener() as asker:
        for _ in range(2000):
            data = bytearray(signal_packet(SESSION, dice.randint(1, 4000), dice.randint(0, 0xFFFF)))
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            asker.sendto(bytes(data), publisher.where)
        gather(asker, 0.2)
    with listener("127.0.0.2") as asker:
        asker.sendto(signal_packet(SESSION, 1, 1), publisher.where)
        assert parse(asker.recv(65536))[3] == MESSAGES[:1]
    assert publisher.process.poll() is None


def test_messages_of_every_size_a_packet_takes(feeds, tmp_path):
    messages = [bytes([size & 255]) * size for size in range(1, 279)]
    (tmp_path / "in").write_bytes(framed(messages))
    where = f"127.0.0.1:{free_port()}"
    reader = feeds.subscribe("--group", where, "--out", tmp_path / "out")
    writer = feeds.publish("--session", SESSION, "--group", where, "--in", tmp_path / "in",
                           "--packet-size", "300", "--linger", "1s")
    reader.wait()
    writer.wait()
    assert unframed((tmp_path / "out").read_bytes()) == messages
    (tmp_path / "in").write_bytes(framed([b"x" * 279]))
    too_long = feeds.start("publish", "--session", "S", "--group", where, "--in", tmp_path / "in",
                           "--packet-size", "300", "--linger", "0")
    too_long.wait(status=1)
    assert re.search("it has 279 bytes, and a packet of 300 takes 278", too_long.stderr())
    assert struct.calcsize(HEADER.format) == 20
