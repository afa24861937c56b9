#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Would bench/live.py see what it is there to see? The model viewers against a channel that is
spoilt in known ways, and what is concluded from traces and rounds.

    bench/test_live.py FOLDER_OF_THE_PROGRAMS

Exit status 0: they count what they should."""
import concurrent.futures
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lab import live_glass, live_viewers
from test_clients import Server, head, requests, run

BIN = Path(sys.argv[1])
PART_S, PARTS, FIRST = 0.1, 5, 700  # five parts a segment; the first segment's number
# Ten viewers for 2 s, from 1 s after the publisher and 1.2 s to begin and settle.
FLAGS = ("-c", "10", "-d", "2", "-l", "1", "-r", "0.2")
COUNTED = 20  # parts in that time


# -- a film, and a channel


def box(kind, *content):
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def make_film(seconds):
    """Video track 2 of 1,000 ticks a second, behind a track of something else."""
    def track(number, handler, timescale):
        return box(b"trak", box(b"tkhd", struct.pack(">5I", 0, 0, 0, number, 0), bytes(60)),
                   box(b"mdia", box(b"mdhd", struct.pack(">6I", 0, 0, 0, timescale, 0, 0)),
                       box(b"hdlr", struct.pack(">II4s", 0, 0, handler), bytes(13))))

    def traf(number, ticks):
        return box(b"traf", box(b"tfhd", struct.pack(">II", 0, number)),
                   box(b"tfdt", struct.pack(">IQ", 1 << 24, ticks)))
    film = [box(b"ftyp", b"isom", bytes(4)),
            box(b"moov", track(1, b"soun", 48000), track(2, b"vide", 1000))]
    for number in range(int(seconds / PART_S)):
        begin = round(number * PART_S * 1000)
        film += [box(b"moof", traf(1, begin * 48), traf(2, 40 + begin)),
                 box(b"mdat", bytes(20_000 + 7_000 * (number % PARTS == 0)))]
    return b"".join(film + [box(b"mfra", bytes(8))])


class Channel:
    """What a server makes of it: each fragment is a part."""

    def __init__(self, has_hints=True, ends_late=False, spoil=None):
        self.parts, self.changed = [], threading.Condition()
        self.has_hints, self.ends_late, self.spoil = has_hints, ends_late, spoil
        self.server = Server(self.talk)
        self.asked = []

    def talk(self, client, number):
        stream = client.makefile("rb")
        while request := stream.readline():
            while stream.readline().strip():
                pass
            path = request.split()[1].decode()
            if request.startswith(b"PUT "):
                self.take(stream)
                return
            path, _, query = path.removeprefix("/live/cam/muxed/").partition("?")
            body = self.playlist(query) if path == "index.m3u8" else self.part(path)
            self.asked.append((number, path, query))
            # Publisher, then two connections of each viewer.
            if not (self.spoil and self.spoil(client, (number - 1) // 2, path, body)):
                client.sendall(head(size=len(body)) + body)

    def take(self, stream):
        while line := stream.readline():
            chunk = stream.read(int(line, 16) + 2)[:-2]
            if chunk[4:8] == b"moof":
                with self.changed:
                    self.parts.append(chunk)
                    self.changed.notify_all()

    def await_part(self, number):
        with self.changed:
            self.changed.wait_for(lambda: number < len(self.parts), 5)

    def part(self, path):
        segment, part = map(int, path.removesuffix(".m4s").split("."))
        number = (segment - FIRST) * PARTS + part
        self.await_part(number)
        return self.parts[number]

    def playlist(self, query):
        asked = re.match(r"_HLS_msn=(\d+)&_HLS_part=(\d+)&_HLS_skip=YES$", query)
        assert asked or not query, query
        if asked:
            self.await_part((int(asked[1]) - FIRST) * PARTS + int(asked[2]))
        count = len(self.parts)
        skipped = max(0, count // PARTS - 3) if asked else 0
        lines = ["#EXTM3U", "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.3",
                 f"#EXT-X-MEDIA-SEQUENCE:{FIRST}"]
        lines += [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"] if skipped else []
        for number in range(skipped * PARTS, count):
            segment, part = FIRST + number // PARTS, number % PARTS
            lines.append(f'#EXT-X-PART:DURATION={PART_S},URI="{segment}.{part}.m4s"')
            if part == PARTS - 1 and not (self.ends_late and number == count - 1):
                lines += [f"#EXTINF:{PARTS * PART_S},", f"{segment}.m4s"]
        if self.has_hints:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{FIRST + count // PARTS}.'
                         f'{count % PARTS}.m4s"')
        return ("\n".join(lines) + "\n").encode()


def arguments(address, seconds=7, flags=FLAGS):
    film = tempfile.NamedTemporaryFile(suffix=".mp4")
    film.write(make_film(seconds))
    film.flush()
    return film, (*flags, address, "cam", film.name)


def watch(channel):
    film, words = arguments(channel.server.address)
    with film:
        *lines, figures = run("live_viewers", *words)
    assert lines in ([{"begun": 10}, {"ended": 10}], []), lines
    return figures


def check_nobody_lost(figures):
    for name in ("failed", "unbegun", "stalled", "missed", "mismatched"):
        assert figures[name] == 0, figures


# -- the viewers


def test_all_is_well():
    channel = Channel()
    figures = watch(channel)
    check_nobody_lost(figures)
    assert COUNTED - 1 <= figures["published"] <= COUNTED + 1, figures
    assert figures["parts_ms"]["count"] == 10 * figures["published"], figures
    assert figures["held_ms"]["count"] > 0.9 * figures["parts_ms"]["count"], figures
    assert figures["playlists_ms"]["count"] > 0.9 * figures["parts_ms"]["count"], figures
    assert 0 < figures["parts_ms"]["p50"] < 60, figures
    assert figures["read_ms"]["p50"] >= figures["parts_ms"]["p50"], figures
    assert 0.1 <= figures["lowest_s"] <= 0.4, figures
    channel.await_part(figures["pushed"] - 1)  # the last may still be on its way to it
    assert 50 < figures["pushed"] <= len(channel.parts), figures


def test_they_begin_behind_the_end_and_leave_nothing_out():
    channel = Channel()
    watch(channel)
    for viewer in range(10):
        parts = [path for number, path, _ in channel.asked
                 if number == 2 + 2 * viewer and path != "index.m3u8"]
        assert parts[0].endswith(".0.m4s"), parts
        first = int(parts[0].split(".")[0])
        assert parts == [f"{first + number // PARTS}.{number % PARTS}.m4s"
                         for number in range(len(parts))], parts


def test_without_announcements_they_wait_for_the_playlist():
    figures = watch(Channel(has_hints=False))
    check_nobody_lost(figures)
    assert figures["held_ms"]["count"] == 0 and figures["listed_ms"]["count"] > 0, figures


def test_an_announced_part_may_begin_a_segment():
    """Also where nothing says yet that the one before it has ended."""
    figures = watch(Channel(ends_late=True))
    check_nobody_lost(figures)
    assert figures["listed_ms"]["count"] == 0, figures


def test_time_ends_with_the_last_byte():
    def halve(client, viewer, path, body):
        if path == "index.m3u8":
            return False
        client.sendall(head(size=len(body)) + body[:5000])
        time.sleep(0.07)
        client.sendall(body[5000:])
        return True
    figures = watch(Channel(spoil=halve))
    assert 69 <= figures["parts_ms"]["p50"] <= 160, figures
    assert figures["playlists_ms"]["p50"] < 60, figures


def test_late_playlists_are_seen():
    def late(client, viewer, path, body):
        if path == "index.m3u8":
            time.sleep(0.07)
    figures = watch(Channel(spoil=late))
    assert figures["playlists_ms"]["p50"] >= 69, figures


def starve(client, viewer, path, body):
    if viewer == 3 and path == "705.2.m4s":
        time.sleep(1.2)


def test_who_waits_too_long_stalls():
    figures = watch(Channel(spoil=starve))
    assert figures["stalled"] == 1 and figures["failed"] == 0, figures
    assert 0.7 <= figures["stalled_s"] <= 1.2 and figures["lowest_s"] == 0, figures


def test_what_does_not_come_is_missed():
    def forget(client, viewer, path, body):
        return viewer == 3 and path == "705.4.m4s"
    figures = watch(Channel(spoil=forget))
    assert 10 <= figures["missed"] <= 16, figures  # and all behind it
    assert figures["stalled"] == 1 and 0.8 <= figures["stalled_s"] <= 1.4, figures


def test_other_parts_than_were_published_are_seen():
    def cheat(client, viewer, path, body):
        if path != "index.m3u8":
            client.sendall(head(size=len(body) - 5000) + body[5000:])
        return path != "index.m3u8"
    assert watch(Channel(spoil=cheat))["mismatched"] > 100


def test_failures_have_their_reason():
    def answer(what):
        def spoil(client, viewer, path, body):
            if path == "index.m3u8":
                client.sendall(what)
            return path == "index.m3u8"
        return spoil

    def close(client, *_):
        raise OSError
    for spoil, reason in (
            (answer(head(status=b'404 "Not"\x1b Found', size=0)), "answered HTTP/1.1 404 ?Not??"),
            (answer(head(size=3) + b"four"), "more came than was asked for"),
            (answer(head(size=60_000) + bytes(60_000)), "its playlist is too large"),
            (answer(head(size=8) + b"#EXTM3U\n"), "its playlist is not understood"),
            (close, "the server closed the connection")):
        figures = watch(Channel(spoil=spoil))
        assert figures["failed"] == 10, figures
        assert figures["reason"].startswith("viewer 0: " + reason), figures


def complaint(*words):
    done = subprocess.run([BIN / "live_viewers", *words], capture_output=True, text=True,
                          timeout=10)
    return done.returncode, done.stderr.strip()


def test_a_refused_publisher_is_an_end():
    def refuse(client, number):
        for _ in requests(client):
            client.sendall(head(status=b"409 Conflict", size=0))
    film, words = arguments(Server(refuse).address)
    with film:
        assert complaint(*words) == (1, "live_viewers: the publisher was answered: "
                                        "HTTP/1.1 409 Conflict")


def test_flags_and_films():
    film, words = arguments("127.0.0.1:1", flags=())
    with film:
        for wrong in ((), words[:2], (*words, "more"), ("nowhere", *words[1:]),
                      (words[0], "a/b", words[2]), ("-c", "0", *words), ("-d", "nan", *words),
                      ("-r", "-1", *words), ("-x", *words)):
            status, text = complaint(*wrong)
            assert status == 2 and text, (wrong, status, text)
        assert complaint(*words)[1] == "connect: Connection refused"
    for content, why in ((b"", "it has too few fragments"), (b"abc", "a box is cut off"),
                         (make_film(2).replace(b"moov", b"free"), "it has no moov in front"),
                         (make_film(2).replace(b"vide", b"text"), "it has no video"),
                         (make_film(2).replace(b"tfdt", b"free"), "a fragment has no video")):
        with tempfile.NamedTemporaryFile() as film:
            film.write(content)
            film.flush()
            assert complaint(*words[:2], film.name) == (1, f"live_viewers: the film: {why}")


def test_a_bare_fanout():
    (figures,) = run("fanout", "-c", "20", "-n", "3", "-s", "50000")
    least, middle, most = figures["us_each"]
    assert 1 < least <= middle <= most < 10_000, figures
    for wrong in (("-c", "0"), ("-n", "0"), ("-s", "9999999"), ("-x",), ("more",)):
        done = subprocess.run([BIN / "fanout", *wrong], capture_output=True, timeout=10)
        assert done.returncode == 2 and done.stderr, wrong


# -- what is concluded


TRACE = """\
7 memfd_create("leat-live", MFD_CLOEXEC|MFD_ALLOW_SEALING) = 12
7 pwrite64(12</memfd:leat-live>(deleted), ""..., 100, 0) = 100
7 pwrite64(12</memfd:leat-live>(deleted), ""..., 900, 100 <unfinished ...>
8 read(3</c/keys>, ""..., 4096) = 4096
7 <... pwrite64 resumed>) = 900
7 sendfile(33<socket:[1]>, 12</memfd:leat-live>(deleted), [0] => [1000], 1000) = 1000
7 sendfile(34<socket:[2]>, 12</memfd:leat-live>(deleted), [0] => [600], 1000) = 600
7 sendfile(34<socket:[2]>, 13</c/film.mp4>, [0] => [600], 1000) = 600
7 sendfile(34<socket:[2]>, 12</memfd:leat-live>(deleted), [600], 400) = -1 EAGAIN (again)
7 memfd_create("leat-live", MFD_CLOEXEC|MFD_ALLOW_SEALING) = 12
7 pwrite64(12</memfd:leat-live>(deleted), ""..., 50, 0) = 50
"""


def test_writes_are_found_in_a_trace():
    counts = {"writes": 3, "written": 1050, "twice": 0, "sent": 1600, "read": 0}
    assert live_viewers.read_trace(TRACE) == counts
    again = '7 pwrite64(12</memfd:leat-live>(deleted), ""..., 40, 20) = 40\n'
    assert live_viewers.read_trace(TRACE + again) == counts | {
        "writes": 4, "written": 1090, "twice": 30}
    read = '7 pread64(12</memfd:leat-live>(deleted), ""..., 40, 20) = 40\n'
    assert live_viewers.read_trace(TRACE + read) == counts | {"read": 40}


def test_viewers_are_judged():
    good = {"failed": 0, "unbegun": 0, "stalled": 0, "missed": 0, "mismatched": 0, "late_ms": 1,
            "parts_ms": {"count": 9, "p50": 4, "p99": 15, "max": 90}, "client_core_percent": 60}
    assert live_viewers.judge([good])["met"]
    for name in ("failed", "unbegun", "stalled", "missed", "mismatched"):
        assert not live_viewers.judge([good, good | {name: 1}, good])["met"], name
    for name, value in (("p50", 5.1), ("p99", 20.1)):
        slow = good | {"parts_ms": good["parts_ms"] | {name: value}}
        assert not live_viewers.judge([slow])["met"], name
        assert live_viewers.judge([slow, good, good])["met"], "the median round"
    assert not live_viewers.judge([good | {"parts_ms": {"count": 0}}])["met"]
    for name, value in (("client_core_percent", 99), ("late_ms", 900)):
        void = good | {name: value, "stalled": 5}
        assert live_viewers.judge([good, void])["met"], name
        assert not live_viewers.judge([void])["met"], name


def test_glass_is_judged():
    record = {"latencies_ms": [900, 1100, 1000], "notes": [], "unread": 0, "jumps": 0, "stalls": []}
    figures = live_glass.figures_of(record, 1)
    assert figures["median_s"] == 1.0 and figures["most_s"] == 1.1, figures
    assert live_glass.judge(figures, 2.0) and not live_glass.judge(figures, 0.9)
    stalled = live_glass.figures_of(record | {"stalls": [{"seconds": 0.2}]}, 1)
    assert not live_glass.judge(stalled, 2.0) and live_glass.judge(stalled, None)
    fatal = live_glass.figures_of(record | {"notes": [{"kind": "fatal", "what": "x"}]}, 1)
    assert not live_glass.judge(fatal, None)
    assert not live_glass.judge(live_glass.figures_of(record | {"latencies_ms": []}, 1), None)


def trouble(item):
    name, test = item
    try:
        test()
    except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{name}: {error!r}\n"
    return ""


def main():
    """All at once, for they do little but wait."""
    tests = [item for item in globals().items() if item[0].startswith("test_")]
    with concurrent.futures.ThreadPoolExecutor(len(tests)) as threads:
        failures = [text for text in threads.map(trouble, tests) if text]
    failed = len(failures)
    print("".join(failures), end="")
    print(f"{failed} failed" if failed else "live.py sees what it should")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
