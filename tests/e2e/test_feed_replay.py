# SPDX-License-Identifier: MIT
"""leat feed replay and record: what was kept is sent again, byte for byte and in time; what came is
kept, as packets and as messages, for tshark, for replay, for a publisher."""

import re
import signal
import socket
import struct

import pytest

from conftest import run_leat
from feed_tools import (END_OF_SESSION, Feeds, framed, free_port, listener, make_messages, packet,
                        signal_packet)
from test_feed_captures import CAPTURES, classic, ipv4, ipv6, needs_market, ours, tshark

SESSION = "20261123R"
START_NS = 1600000000 * 10**9


@pytest.fixture
def feeds(tmp_path, engine):
    starter = Feeds(tmp_path)
    yield starter
    starter.close()


def group(host="239.11.7.1", port=None):
    """On this host's loopback."""
    return [f"{host}:{port or free_port()}", "--interface", "lo"]


def capture_of(path, payloads, distance_us=0):
    records = []
    for index, payload in enumerate(payloads):
        data, time_ns = ipv4(payload), START_NS + round(index * distance_us * 1000)
        records.append(struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(data),
                                   len(data)) + data)
    path.write_bytes(classic([], 101) + b"".join(records))
    return path


def day_packets(messages, first=1, each=7):
    packets = [packet(SESSION, first + at, messages[at:at + each])
               for at in range(0, len(messages), each)]
    return packets + [signal_packet(SESSION, first + len(messages), END_OF_SESSION)] * 3


def taken(taker, count):
    return [taker.recv(65536) for _ in range(count)]


def record(feeds, *flags, **options):
    feed = feeds.start("record", *flags, **options)
    feed.await_line("recording ")
    return feed


def replay(feeds, *flags, status=0, **options):
    feed = feeds.start("replay", *flags, **options)
    feed.wait(status=status)
    return feed.stderr()


def late_ms(stderr):
    return float(re.search(r"late by ([0-9.]+) ms at most", stderr)[1])


# ---- Replay -------------------------------------------------------------------------------------


@needs_market
def test_real_captures_are_sent_as_they_were(feeds):
    for capture in CAPTURES[::4]:
        payloads = [bytes.fromhex(datagram["payload"]) for datagram in ours(capture)[0]]
        with listener() as taker:
            line = "%s:%d" % taker.getsockname()
            stderr = replay(feeds, capture, "--group", line, "--speed", "max")
            assert f"sent {len(payloads)} packets" in stderr
            assert taken(taker, len(payloads)) == payloads


def test_the_distances_are_those_of_the_capture(feeds, tmp_path):
    """By the kernel's own times; and a tenth of them at ten times the speed."""
    capture = capture_of(tmp_path / "in.pcap", [b"%d" % i for i in range(200)], 5000)
    for speed in (2, 10):
        line, kept = group(), tmp_path / f"{speed}.pcap"
        recorder = record(feeds, "--group", *line, "--pcap", kept)
        stderr = replay(feeds, capture, "--group", *line, "--speed", speed)
        recorder.signal(signal.SIGINT)
        recorder.wait()
        datagrams, counts = ours(kept)
        assert counts["datagrams"] == 200 and "error" not in counts
        slack_ns = (late_ms(stderr) + 5) * 1e6
        for index, datagram in enumerate(datagrams):
            assert bytes.fromhex(datagram["payload"]) == b"%d" % index
            distance_ns = datagram["time_ns"] - datagrams[0]["time_ns"]
            assert abs(distance_ns - index * 5e6 / speed) < slack_ns


def test_a_capture_longer_than_what_is_read_at_once(feeds, tmp_path):
    """Packets lie across pieces of the file."""
    payloads = [struct.pack(">I", i) + bytes(i * 37 % 1400) for i in range(16000)]
    capture = capture_of(tmp_path / "in.pcap", payloads, 50)
    assert capture.stat().st_size > 2 * (4 << 20)
    line, kept = group(), tmp_path / "kept.pcap"
    recorder = record(feeds, "--group", *line, "--pcap", kept)
    assert "sent 16000 packets" in replay(feeds, capture, "--group", *line)
    recorder.signal(signal.SIGTERM)
    recorder.wait()
    assert [bytes.fromhex(datagram["payload"]) for datagram in ours(kept)[0]] == payloads


def test_destinations_are_chosen(feeds, tmp_path):
    """A capture of two lines, on one port or on two, is two lines again."""
    capture = tmp_path / "in.pcap"
    to_b = bytearray(ipv4(b"B"))
    to_b[16:20] = socket.inet_aton("239.1.1.2")
    to_c = bytearray(ipv4(b"C"))
    to_c[22:24] = struct.pack(">H", 7777)
    capture.write_bytes(classic([ipv4(b"A"), bytes(to_b), bytes(to_c), ipv6(b"6")], 101))
    rows = [
        (["--port", "239.1.1.1:26477"], [b"A"], [b"A"]),
        (["--port", "7777"], [b"C"], [b"C"]),
        (["--port", "26477"], [b"A", b"B", b"6"], [b"A", b"B", b"6"]),
        (["--port", "[ff02::5]:26477", "--port-b", "239.1.1.2:26477"], [b"6"], [b"B"]),
        ([], [b"A", b"B", b"C", b"6"], [b"A", b"B", b"C", b"6"]),
    ]
    for flags, first, second in rows:
        with listener() as one, listener() as other:
            stderr = replay(feeds, capture, "--speed", "max", *flags,
                            "--group", "%s:%d" % one.getsockname(),
                            "--group-b", "%s:%d" % other.getsockname())
            assert taken(one, len(first)) == first and taken(other, len(second)) == second
            assert ("--port chooses" in stderr) == (not flags)


def test_what_was_not_sent_is_told(feeds, tmp_path):
    capture = tmp_path / "in.pcap"
    capture.write_bytes(classic([ipv4(b"A"), ipv4(b"A", 0x2000), ipv4(b"A", protocol=6),
                                 ipv4(b"A")[:-1], b""], 101) + b"\0")
    with listener() as taker:
        line = "%s:%d" % taker.getsockname()
        stderr = replay(feeds, capture, "--group", line, status=1)
        assert taken(taker, 1) == [b"A"]
    assert "sent 1 packets" in stderr
    assert "1 fragments of IP, 2 not kept whole by the capture, 1 of other protocols" in stderr
    assert "it ends within a packet, which began at byte" in stderr


def test_a_signal_ends_it(feeds, tmp_path):
    capture = capture_of(tmp_path / "in.pcap", [b"A", b"B"], 3600e6)
    with listener() as taker:
        feed = feeds.start("replay", capture, "--group", "%s:%d" % taker.getsockname())
        assert taken(taker, 1) == [b"A"]
        feed.signal(signal.SIGINT)
        feed.wait(status=130)
    assert "sent 1 packets" in feed.stderr()


# ---- Record -------------------------------------------------------------------------------------


def test_two_lines_in_a_capture(feeds, tmp_path):
    """Told apart by where they were sent; tshark reads the same, with checksums that are right."""
    messages = make_messages(500)
    packets = day_packets(messages)
    capture = capture_of(tmp_path / "in.pcap", packets, 100)
    a, b, kept = group(), group("239.11.7.2"), tmp_path / "kept.pcap"
    recorder = record(feeds, "--group", a[0], "--group-b", *b, "--pcap", kept)
    replay(feeds, capture, "--group", a[0], "--group-b", *b)
    recorder.signal(signal.SIGINT)
    recorder.wait()
    datagrams, counts = ours(kept)
    assert counts["datagrams"] == 2 * len(packets) and "error" not in counts
    for line in (a, b):
        host, port = line[0].split(":")
        assert packets == [bytes.fromhex(datagram["payload"]) for datagram in datagrams
                           if datagram["destination"] == [host, int(port)]]
    times = [datagram["time_ns"] for datagram in datagrams]
    assert times == sorted(times)
    rows = tshark(kept, ["ip.checksum.status", "udp.checksum.status", "udp.payload"],
                  more=["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"])
    assert rows == [[["1"], ["1"], [datagram["payload"]]] for datagram in datagrams]


@pytest.mark.parametrize("line", ["[::1]", "127.0.0.1", "shm"])
def test_lines_of_every_kind(feeds, tmp_path, line):
    payloads = [b"%d" % i for i in range(100)]
    capture = capture_of(tmp_path / "in.pcap", payloads, 3000)
    kept = tmp_path / "kept.pcap"
    flags = ["--group", f"{line}:{free_port()}"]
    if line == "shm":
        flags = ["--group", f"shm:{tmp_path}/ring"]
    recorder = record(feeds, *flags, "--pcap", kept)
    replay(feeds, capture, *flags)
    recorder.signal(signal.SIGINT)
    recorder.wait()
    got = [bytes.fromhex(datagram["payload"]) for datagram in ours(kept)[0]]
    if line == "shm":  # a ring that was not there yet is looked for now and then
        assert got and got == payloads[-len(got):]
    else:
        assert got == payloads


def test_packets_go_to_standard_output(feeds, tmp_path):
    packets = day_packets(make_messages(200))
    capture, line = capture_of(tmp_path / "in.pcap", packets, 20), group()
    recorder = feeds.start("record", "--group", *line, "--pcap", "-")
    recorder.await_stderr("recording ")
    replay(feeds, capture, "--group", *line)
    recorder.signal(signal.SIGINT)
    (tmp_path / "kept").write_bytes(recorder.wait())
    datagrams, _ = ours(tmp_path / "kept")
    assert [bytes.fromhex(datagram["payload"]) for datagram in datagrams] == packets


def test_a_session_goes_through_a_log(feeds, tmp_path):
    """Published, recorded, replayed, subscribed to; and then published out of the recording."""
    messages = make_messages(20000)
    (tmp_path / "in").write_bytes(framed(messages))
    line, log = group(), tmp_path / "log"
    publisher = feeds.publish("--session", SESSION, "--group", *line, "--in", tmp_path / "in",
                              "--rate", "100k")
    recorder = record(feeds, "--group", *line, "--request", publisher.request, "--log", log,
                      "--segment-size", "256k")
    recorder.wait()
    publisher.finish()
    assert f"session {SESSION}: messages 1..20000 to" in recorder.stderr()
    assert len(list(log.glob("*.mold"))) > 3

    again = group()
    reader = feeds.subscribe("--group", *again, "--from", "1", "--out", tmp_path / "replayed")
    assert "sent " in replay(feeds, log, "--group", *again, "--speed", "1")
    reader.wait()
    assert (tmp_path / "replayed").read_bytes() == framed(messages)

    (tmp_path / "nothing").write_bytes(b"")
    publisher = feeds.publish("--session", SESSION, "--group", *again, "--in",
                              tmp_path / "nothing", "--log", log, begins=20001)
    reader = feeds.subscribe("--group", *again, "--request", publisher.request,
                             "--out", tmp_path / "asked")
    reader.wait()
    publisher.finish()
    assert (tmp_path / "asked").read_bytes() == framed(messages)


def test_a_recording_is_gone_on_with(feeds, tmp_path):
    """From the middle of a session on; stopped, and taken up behind its last message."""
    messages = make_messages(3000)
    packets = day_packets(messages, first=1001)
    line, log = group(), tmp_path / "log"
    parts = [packets[:100], packets[60:300], packets[300:]]
    for number, part in enumerate(parts):
        capture = capture_of(tmp_path / "in.pcap", part, 20)
        recorder = record(feeds, "--group", *line, "--log", log)
        replay(feeds, capture, "--group", *line)
        if number < 2:
            recorder.signal(signal.SIGTERM)
        recorder.wait()
    assert "messages 3101..4000 to" in recorder.stderr()
    assert "the session has ended" in recorder.stderr()
    reader = feeds.subscribe("--group", *line, "--out", tmp_path / "out")
    replay(feeds, log, "--group", *line)
    reader.wait()
    assert (tmp_path / "out").read_bytes() == framed(messages)
    done = run_leat("feed", "record", "--group", *line, "--log", str(log))
    assert done.returncode == 2 and "has ended" in done.stderr


def test_a_log_ends_where_messages_are_lost(feeds, tmp_path):
    packets = day_packets(make_messages(700))
    capture = capture_of(tmp_path / "in.pcap", packets[:50] + packets[52:], 20)
    line, log = group(), tmp_path / "log"
    recorder = record(feeds, "--group", *line, "--log", log)
    replay(feeds, capture, "--group", *line)
    recorder.wait(status=3)
    assert "gap lost 351..364: the log ends before it" in recorder.stderr()
    assert "messages 1..350 to" in recorder.stderr()


def test_packets_and_messages_at_once(feeds, tmp_path):
    packets = day_packets(make_messages(700))
    capture = capture_of(tmp_path / "in.pcap", packets, 20)
    line, log, kept = group(), tmp_path / "log", tmp_path / "kept.pcap"
    recorder = record(feeds, "--group", *line, "--log", log, "--pcap", kept)
    replay(feeds, capture, "--group", *line)
    recorder.wait()
    payloads = [bytes.fromhex(datagram["payload"]) for datagram in ours(kept)[0]]
    assert payloads == packets[:len(payloads)] and len(payloads) >= len(packets) - 2
    assert "messages 1..700 to" in recorder.stderr()


def test_a_time_ends_it(feeds, tmp_path):
    for kind in (["--pcap", tmp_path / "kept.pcap"], ["--log", tmp_path / "log"]):
        recorder = record(feeds, "--group", *group(), *kind, "--for", "300ms")
        recorder.wait()
    assert ours(tmp_path / "kept.pcap") == ([], {**dict.fromkeys(
        ("packets", "datagrams", "fragments", "cut", "malformed", "others"), 0)})
    assert "no messages to" in recorder.stderr()


def test_a_full_disk_is_told(feeds, tmp_path):
    line = group()
    capture = capture_of(tmp_path / "in.pcap", [b"A"] * 100)
    recorder = record(feeds, "--group", *line, "--pcap", "/dev/full")
    replay(feeds, capture, "--group", *line)
    recorder.wait(status=1)
    assert "cannot write '/dev/full': No space left on device" in recorder.stderr()


# ---- What is asked wrongly ----------------------------------------------------------------------


@pytest.mark.parametrize("words, complaint", [
    (["replay"], "what? such as"),
    (["replay", "FILE"], "where to? such as --group"),
    (["replay", "FILE", "--group", "239.1.1.1:5000", "--speed", "0"], "is no speed"),
    (["replay", "FILE", "--group", "239.1.1.1:5000", "--speed", "fast"], "is no speed"),
    (["replay", "FILE", "--group", "239.1.1.1:5000", "--port", "70000"], "is no destination"),
    (["replay", "FILE", "--group", "239.1.1.1:5000", "--port-b", "7"], "--port-b goes with"),
    (["replay", "FILE", "--group", "nowhere"], "nowhere"),
    (["replay", "MISSING", "--group", "127.0.0.1:5000"], "cannot read"),
    (["replay", "FILE", "--group", "127.0.0.1:5000"], "neither pcap nor pcapng"),
    (["replay", "FOLDER", "--group", "127.0.0.1:5000"], "no segment of a log"),
    (["replay", "/dev/null", "--group", "127.0.0.1:5000"], "neither a file nor a folder"),
    (["record"], "which stream?"),
    (["record", "--group", "239.1.1.1:5000"], "where to? --pcap FILE"),
    (["record", "--group", "127.0.0.1:5000", "--pcap", "a", "--log", "b"], "come once"),
    (["record", "--group", "239.1.1.1:5000", "--pcap", "a", "--from", "7"], "go with --log"),
    (["record", "--group", "nowhere", "--pcap", "MISSING/a"], "nowhere"),
    (["record", "--group", "127.0.0.1:5000", "--pcap", "MISSING/a"], "cannot write"),
])
def test_what_is_asked_wrongly(words, complaint, tmp_path):
    (tmp_path / "FILE").write_bytes(b"no capture of anything")
    (tmp_path / "FOLDER").mkdir()
    words = [re.sub(r"^(FILE|FOLDER|MISSING)", rf"{tmp_path}/\1", word) for word in words]
    done = run_leat("feed", *words)
    assert done.returncode == (1 if "FOLDER" in str(words) else 2)  # 1: a log may be damaged
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and complaint in lines[0], done.stderr
