# SPDX-License-Identifier: MIT
"""Captures of feeds, read by us and by tshark: the same datagrams at the same times, the same
sessions, sequences and lengths in them, the same bytes when they are made again of what was read.
Real ones (LEAT_TEST_DATA/market), in every format and link type that captures come in."""

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess

import pytest

from conftest import BUILD, ROOT

MARKET = pathlib.Path(os.environ.get("LEAT_TEST_DATA") or ROOT.parent / "shared") / "market"
CAPTURES = sorted(MARKET.glob("*.pcap"))
PORT = 26477  # of the captures that are made here
COUNTS = ("packets", "datagrams", "fragments", "cut", "malformed", "others")

pytestmark = [
    pytest.mark.mostly_on("uring"),  # neither engine is in it
    pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark: scripts/install-deps test"),
]
needs_market = pytest.mark.skipif(not CAPTURES, reason="no LEAT_TEST_DATA/market: no captures here")


def ours(capture, piece=1 << 16, written=None):
    """What tests/e2e/mold_lines.c finds: datagrams, and the counts at the end."""
    command = [BUILD / "tests" / "e2e" / "mold_lines", str(piece), capture]
    done = subprocess.run(command + ([written] if written else []), stdout=subprocess.PIPE,
                          check=True, timeout=60)
    *datagrams, counts = [json.loads(line) for line in done.stdout.splitlines()]
    return datagrams, counts


def tshark(capture, fields, ports=(), more=()):
    """A list of values a field, for each packet with UDP in it."""
    command = ["tshark", "-n", "-r", capture, "-Y", "udp && !icmp && !icmpv6", "-T", "fields",
               "-E", "separator=|", *more]
    for port in ports:
        command += ["-d", f"udp.port=={port},moldudp64"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                          timeout=60)
    return [[value.split(",") if value else [] for value in line.split("|")]
            for line in done.stdout.decode().splitlines()]


def nanoseconds(epoch):
    seconds, _, fraction = epoch.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def assert_alike(capture, datagrams):
    """Time, addresses and payload, and of each packet of MoldUDP64 what is in it."""
    ports = sorted({datagram["destination"][1] for datagram in datagrams})
    rows = tshark(capture, ["frame.time_epoch", "ip.src", "ipv6.src", "udp.srcport", "ip.dst",
                            "ipv6.dst", "udp.dstport", "udp.length", "moldudp64.session",
                            "moldudp64.sequence", "moldudp64.count", "moldudp64.msglen",
                            "moldudp64.msgseq", "_ws.malformed", "udp.payload"], ports)
    assert len(rows) == len(datagrams)
    for datagram, row in zip(datagrams, rows):
        (time, source4, source6, source_port, group4, group6, port, size, session, sequence, count,
         lengths, sequences, malformed, payload) = row
        assert datagram["time_ns"] == nanoseconds(time[0])
        assert datagram["source"] == [(source4 or source6)[0], int(source_port[0])]
        assert datagram["destination"] == [(group4 or group6)[0], int(port[0])]
        assert [datagram["payload"]] == (payload or [""])
        assert len(datagram["payload"]) // 2 == int(size[0]) - 8
        assert not malformed
        if "fault" in datagram:
            continue
        assert [datagram["session"]] == [session[0].rstrip()]
        assert datagram["sequence"] == int(sequence[0])
        assert datagram["count"] == len(lengths)
        if count and not datagram["is_end"]:
            assert datagram["count"] == int(count[0])
        assert datagram["lengths"] == [int(length) for length in lengths]
        first = datagram["sequence"]
        assert [int(number) for number in sequences] == [first + i for i in range(len(lengths))]
        assert datagram["rebuilt"] + "00" * datagram["padding"] == datagram["payload"]


# ---- Captures that are made here ----------------------------------------------------------------


def ipv4(payload, fragment=0, protocol=17):
    udp = struct.pack(">HHHH", 50000, PORT, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 7, fragment, 64, protocol, 0,
                       bytes([10, 0, 0, 1]), bytes([239, 1, 1, 1])) + udp


def ipv6(payload, extensions=b"", first=17):
    udp = struct.pack(">HHHH", 50000, PORT, 8 + len(payload), 1) + payload
    return struct.pack(">IHBB", 6 << 28, len(extensions) + len(udp), first, 64) + \
        socket.inet_pton(socket.AF_INET6, "fe80::1") + \
        socket.inet_pton(socket.AF_INET6, "ff02::5") + extensions + udp


ETHERNET = bytes.fromhex("01005e010101 020000000001")
LINKS = {  # link type: what stands before the packet of either IP
    "ethernet": (1, ETHERNET + b"\x08\0", ETHERNET + b"\x86\xdd"),
    "vlan": (1, ETHERNET + b"\x81\0\0\7\x08\0", ETHERNET + b"\x81\0\0\7\x86\xdd"),
    "qinq": (1, ETHERNET + b"\x88\xa8\0\1\x81\0\0\7\x08\0",
             ETHERNET + b"\x88\xa8\0\1\x81\0\0\7\x86\xdd"),
    "raw": (101, b"", b""),
    "ipv4": (228, b"", None),
    "ipv6": (229, None, b""),
    "null": (0, b"\2\0\0\0", b"\x1e\0\0\0"),
    "null of another byte order": (0, b"\0\0\0\2", b"\0\0\0\x1c"),
    "loop": (108, b"\0\0\0\2", b"\0\0\0\x18"),
    "cooked": (113, bytes.fromhex("0004 0001 0006 020000000001 0000 0800"),
               bytes.fromhex("0004 0001 0006 020000000001 0000 86dd")),
    "cooked, v2": (276, bytes.fromhex("0800 0000 00000001 0001 04 06 020000000001 0000"),
                   bytes.fromhex("86dd 0000 00000001 0001 04 06 020000000001 0000")),
}


def classic(packets, link, order="<", magic=0xA1B23C4D):
    records = (struct.pack(order + "IIII", 1600000000 + i, 123456 * i, len(packet), len(packet)) +
               packet for i, packet in enumerate(packets))
    return struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 262144, link) + b"".join(records)


def packet(sequence, *messages, session=b"000010059B", count=None):
    return struct.pack(">10sQH", session, sequence, len(messages) if count is None else count) + \
        b"".join(struct.pack(">H", len(message)) + message for message in messages)


PACKETS = [packet(7, b"S" * 12, b"A" * 36, b"D" * 19), packet(10), packet(10, b"X" * 23),
           packet(11, count=0xFFFF)]


# ---- Tests --------------------------------------------------------------------------------------


@needs_market
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem.split("__")[1])
def test_fields_are_those_of_tshark(capture):
    datagrams, counts = ours(capture)
    assert counts["packets"] == sum(counts[name] for name in COUNTS[1:])
    assert counts["datagrams"] == len(datagrams) and "error" not in counts
    assert_alike(capture, datagrams)


@needs_market
def test_packets_that_were_scrubbed(tmp_path):
    """Some captures have lost session, sequence and ports. There is no message 0; with 1 in its
    place, and a port by which tshark can be told what it is, they are packets as others."""
    payloads = [bytes.fromhex(datagram["payload"]) for capture in CAPTURES
                for datagram in ours(capture)[0] if "fault" in datagram]
    assert len(payloads) > 50 and {payload[:18] for payload in payloads} == {bytes(18)}
    healed = tmp_path / "healed.pcap"
    healed.write_bytes(classic([ipv4(b"SCRUBBED  " + struct.pack(">Q", 1) + payload[18:])
                                for payload in payloads], 101))
    datagrams, _ = ours(healed)
    assert len(datagrams) == len(payloads)
    assert not any("fault" in datagram for datagram in datagrams)
    assert_alike(healed, datagrams)


@needs_market
def test_every_format_has_the_same_datagrams(tmp_path):
    """All captures in one file, as each format has it; and in pieces of any size."""
    merged = tmp_path / "all.pcapng"
    subprocess.run(["mergecap", "-F", "pcapng", "-w", merged, *CAPTURES], check=True, timeout=60)
    datagrams, counts = ours(merged)
    assert len(datagrams) > 100
    assert sum(len(datagram.get("lengths", [])) for datagram in datagrams) > 60
    for piece in (1, 7, 4096):
        assert ours(merged, piece) == (datagrams, counts)
    for form in ("nsecpcap", "pcap"):
        converted = tmp_path / form
        subprocess.run(["editcap", "-F", form, merged, converted], check=True, timeout=60)
        if form == "pcap":  # microseconds
            datagrams = [{**datagram, "time_ns": datagram["time_ns"] // 1000 * 1000}
                         for datagram in datagrams]
        assert ours(converted) == (datagrams, counts)
    written = tmp_path / "written.pcap"  # by us, as raw IP
    datagrams, _ = ours(merged, written=written)
    again, counts_again = ours(written)
    assert again == datagrams and counts_again["packets"] == len(datagrams)
    assert_alike(written, again)
    # Bytes of packets that were not kept are not made up.
    cut = tmp_path / "cut.pcapng"
    subprocess.run(["editcap", "-s", "60", merged, cut], check=True, timeout=60)
    short, short_counts = ours(cut)
    assert short_counts["cut"] > 50 and len(short) == counts["datagrams"] - short_counts["cut"]


@pytest.mark.parametrize("link", LINKS)
def test_link_types(link, tmp_path):
    number, before4, before6 = LINKS[link]
    frames = [before4 + ipv4(payload) for payload in PACKETS if before4 is not None]
    frames += [before6 + ipv6(payload) for payload in PACKETS if before6 is not None]
    capture = tmp_path / "made.pcap"
    capture.write_bytes(classic(frames, number))
    datagrams, counts = ours(capture, piece=5)
    assert counts["datagrams"] == len(frames) == counts["packets"]
    assert [datagram["is_end"] for datagram in datagrams[:4]] == [False, False, False, True]
    assert_alike(capture, datagrams)
    capture.write_bytes(classic(frames, number, ">"))
    assert ours(capture) == (datagrams, counts)
    for order in "<>":  # microseconds
        capture.write_bytes(classic(frames, number, order, 0xA1B2C3D4))
        times = [datagram["time_ns"] for datagram in ours(capture)[0]]
        assert [time % 10**9 for time in times] == [123456000 * i for i in range(len(frames))]


def test_what_is_no_datagram_is_counted(tmp_path):
    whole = ipv4(PACKETS[0])
    frames = {
        "datagrams": [whole, ipv6(PACKETS[0], bytes.fromhex("11 00 0104 00000000"), 0)],
        "fragments": [ipv4(PACKETS[0], 0x2000), ipv4(PACKETS[0], 100),
                      ipv6(PACKETS[0], bytes.fromhex("11 00 0001 00000007"), 44)],
        "cut": [whole[:-1], whole[:24], whole[:19]],
        "malformed": [whole[:24] + b"\0\7" + whole[26:], whole[:2] + b"\0\x20" + whole[4:]],
        "others": [ipv4(PACKETS[0], protocol=6), b"\x12"],
    }
    capture = tmp_path / "made.pcap"
    capture.write_bytes(classic([frame for row in frames.values() for frame in row], 101))
    datagrams, counts = ours(capture)
    assert counts == {"packets": 12, **{name: len(row) for name, row in frames.items()}}
    assert [datagram["payload"] for datagram in datagrams] == [PACKETS[0].hex()] * 2


def test_a_file_that_was_cut_off(tmp_path):
    capture = tmp_path / "made.pcap"
    capture.write_bytes(classic([ipv4(payload) for payload in PACKETS], 101)[:-1])
    datagrams, counts = ours(capture)
    assert len(datagrams) == 3 and "error" in counts
    capture.write_bytes(b"neither one nor the other")
    datagrams, counts = ours(capture)
    assert not datagrams and counts["error"] == "neither pcap nor pcapng"


def test_what_we_write_is_what_we_read(tmp_path):
    """Written again as raw IP: tshark sees the same, and finds the checksums right."""
    capture, written = tmp_path / "made.pcap", tmp_path / "written.pcap"
    odd = packet(20, b"odd")
    frames = [ipv4(payload) for payload in [*PACKETS, odd, b""]]
    frames += [ipv6(payload) for payload in [*PACKETS, odd]]
    capture.write_bytes(classic(frames, 101))
    datagrams, _ = ours(capture, written=written)
    assert len(datagrams) == len(frames)
    again, counts = ours(written)
    assert again == datagrams and counts["packets"] == len(frames)
    assert_alike(written, again)
    rows = tshark(written, ["ip.checksum.status", "udp.checksum.status"],
                  more=["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"])
    good = "1"
    assert [row[1] for row in rows] == [[good]] * len(frames)
    assert [row[0] for row in rows] == [[good]] * 6 + [[]] * 5


@pytest.mark.skipif(not (MARKET / "moldudp-scapy__test_stress_test.mold").exists(),
                    reason="no LEAT_TEST_DATA/market: no captures here")
def test_a_packet_out_of_another_implementation(tmp_path):
    """143 messages, without a session and from 0 on."""
    payload = (MARKET / "moldudp-scapy__test_stress_test.mold").read_bytes()
    assert payload[:18] == bytes(18)
    capture = tmp_path / "made.pcap"
    capture.write_bytes(classic([ipv4(payload), ipv4(bytes(17) + b"\1" + payload[18:])], 101))
    (scrubbed, healed), _ = ours(capture)
    assert "fault" in scrubbed
    assert healed["count"] == 143 and healed["padding"] == 0
    assert healed["rebuilt"] == healed["payload"]
