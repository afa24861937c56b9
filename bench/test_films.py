#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Would bench/films.py see what it is there to see? The model players against servers that starve
them in known ways, and what is concluded from traces, films and rounds.

    bench/test_films.py FOLDER_OF_THE_PROGRAMS

Exit status 0: they count what they should."""
import concurrent.futures
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import films_first, films_material, films_players, films_segment
from test_clients import LAST, Server, head, requests, run

BIN = Path(sys.argv[1])
SEGMENT = b"x" * 50_000
# Ten players with room for three segments of 0.2 s, for 2 s each.
FLAGS = ("-c", "10", "-d", "2", "-b", "0.6", "-s", "0.2", "-r", "0.1")
SEGMENTS = "20"


def number_of(request):
    return int(request.split(b".m4s")[0].rsplit(b"/", 1)[1])


def watch(talk, *flags, segments=SEGMENTS):
    """What becomes of players whose requests `talk(client, player, segment)` answers."""
    def answer(client, player):
        for request in requests(client):
            talk(client, player, number_of(request))
    *_, figures = run("players", *FLAGS, *flags, Server(answer).address, "/film.mp4/muxed",
                      segments)
    return figures


def send(client, *_):
    client.sendall(head(size=len(SEGMENT)) + SEGMENT)


# -- the players


def test_all_is_well():
    for engine in ("uring", "epoll"):
        lines = run("players", *FLAGS, "-e", engine, Server(lambda client, player: [
            send(client) for _ in requests(client)]).address, "/a", SEGMENTS)
        assert lines[0] == {"begun": 10} and lines[1] == {"ended": 1}, lines
        figures = lines[2]
        for name in ("failed", "unbegun", "emptied", "stalled_s"):
            assert figures[name] == 0, figures
        # 2 s were played; what came is that and at most a full buffer.
        least, _, most = figures["mb_each"]
        assert 10 * 0.05 <= least and most <= 13 * 0.05 + 0.001, figures
        assert figures["fairness"] > 0.99 and 0 <= figures["lowest_s"] <= 0.6, figures


def test_it_asks_no_sooner_than_there_is_room():
    asked = []

    def note(client, player, segment):
        asked.append((player, segment, time.monotonic()))
        send(client)
    watch(note, "-c", "1")
    times = [when for _, _, when in asked]
    assert [segment for _, segment, _ in asked] == list(range(len(asked)))
    assert times[2] - times[0] < 0.15, "the first three at once"
    for segment in range(3, len(asked)):
        assert times[segment] - times[0] >= (segment - 2) * 0.2 - 0.01, (segment, times)


def test_whoever_waits_too_long_has_run_empty():
    def starve(client, player, segment):
        if player == 3 and segment == 5:
            time.sleep(1.2)  # of which it had 0.4 s to play, and some
        send(client)
    figures = watch(starve)
    assert figures["emptied"] == 1 and figures["failed"] == 0, figures
    assert 0.4 <= figures["stalled_s"] <= 1.0, figures
    assert figures["lowest_s"] == 0, figures


def test_whoever_waits_at_its_end_has_run_empty_too():
    def starve(client, player, segment):
        if player == 3 and segment == 4:
            time.sleep(3)
        send(client)
    figures = watch(starve)
    assert figures["emptied"] == 1 and figures["unbegun"] == 0, figures
    assert figures["stalled_s"] >= 0.8, figures


def test_whoever_gets_nothing_never_began():
    def ignore_one(client, player, segment):
        if player != 3:
            send(client)
    figures = watch(ignore_one)
    assert figures["unbegun"] == 1 and figures["emptied"] == 0 and figures["failed"] == 0, figures
    assert 0.88 <= figures["fairness"] <= 0.91, figures
    assert figures["mb_each"][0] == 0, figures


def test_what_came_of_a_segment_counts():
    def half(client, player, segment):
        client.sendall(head(size=len(SEGMENT)) + SEGMENT[:20_000])
        time.sleep(3)
    figures = watch(half)
    assert figures["bytes"] == 10 * 20_000 and figures["unbegun"] == 10, figures


def test_failures_have_their_reason():
    def not_found(client, player, segment):
        client.sendall(head(status=b'404 "Not"\x1b Found', size=0))

    def cut(client, player, segment):
        client.sendall(head(LAST, size=len(SEGMENT)) + SEGMENT[:1000])
        raise OSError

    def too_much(client, player, segment):
        client.sendall(head(size=3) + b"four")

    def no_length(client, player, segment):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 3\r\n\r\n")

    def endless(client, player, segment):
        client.sendall(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5000)
    for talk, reason in ((not_found, "answered HTTP/1.1 404 ?Not?? Found"),
                         (cut, "the server closed the connection"),
                         (too_much, "more came than was asked for"),
                         (no_length, "answered HTTP/1.1 200 OK"),
                         (endless, "its head is too large")):
        figures = watch(talk)
        assert figures["failed"] == 10, figures
        assert figures["reason"] == f"player 0, segment 0: {reason}", figures
    figures = watch(send, segments="4")
    assert figures["failed"] == 10 and figures["reason"].endswith("the film is too short"), figures
    (_, figures) = run("players", *FLAGS, "127.0.0.1:1", "/a", "9")
    assert figures["reason"] == "player 0, segment 0: Connection refused", figures


def test_flags():
    good = ("127.0.0.1:1", "/a", "9")
    for wrong in ((), good[:2], (*good, "more"), ("nowhere", *good[1:]), (good[0], "a", "9"),
                  (*good[:2], "0"), (*good[:2], "x"), ("-c", "0", *good), ("-d", "-1", *good),
                  ("-d", "nan", *good), ("-b", "1", *good), ("-e", "select", *good),
                  ("-x", *good)):
        done = subprocess.run([BIN / "players", *wrong], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2, (wrong, done)
        # getopt has a line of its own about a flag it does not know.
        assert "usage: players" in done.stderr.splitlines()[-1], (wrong, done.stderr)


# -- what is concluded


def test_playlists_are_read():
    playlist = (b"#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.0,\n0.m4s\n\n"
                b"#EXTINF:2.0,\r\n1.m4s\r\n")
    assert films_material.uris(playlist) == ["0.m4s", "1.m4s"]


def test_media_is_found_in_a_film():
    with tempfile.NamedTemporaryFile() as file:
        file.write(struct.pack(">I4s", 12, b"ftyp") + b"isom"
                   + struct.pack(">I4sQ", 1, b"mdat", 16 + 100) + bytes(100)
                   + struct.pack(">I4s", 8, b"free") + struct.pack(">I4s", 0, b"mdat") + bytes(50))
        file.flush()
        assert films_material.mdat_ranges(file.name) == [(28, 128), (144, 194)]


TRACE = """\
11 openat2(7</c>, "film.mp4", {flags=O_RDONLY}, 24) = 9</c/film.mp4>
11 pread64(9</c/film.mp4>, ""..., 4096, 0) = 4096
12 pread64(9</c/film.mp4>,  <unfinished ...>
11 sendfile(5<socket:[1]>, 9</c/film.mp4>, [5000] => [9000], 4000) = 4000
12 <... pread64 resumed>""..., 1000, 9000) = 1000
11 preadv2(9</c/film.mp4>, [...], 1, 6000, RWF_NOWAIT) = 1
11 preadv2(9</c/film.mp4>, [{iov_base="", iov_len=1}], 1, 7000, RWF_NOWAIT) = -1 EAGAIN (again)
11 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 9</c/film.mp4>, 0) = 0x7f0000001000
11 read(6</c/other.mp4>, ""..., 4096) = 4096
11 recvfrom(5<socket:[1]>, ""..., 2048, 0, NULL, NULL) = 90
"""


def test_reads_of_media_are_found_in_a_trace():
    def read(trace, *media):
        return films_segment.media_read(films_segment.whole_calls(trace), "film.mp4", media)
    assert read(TRACE, (5000, 9000)) == (0, 1), "the index alone"
    assert read(TRACE, (4096, 9000), (9990, 12000)) == (10, 1), "ten bytes, of a call cut in two"
    assert read(TRACE, (4000, 9000)) == (2 * 96, 1), "pread64 and mmap"
    vectored = "11 preadv2(9</c/film.mp4>, [{iov_base=\"\"..., iov_len=64}], 1, 6000, 0) = 64\n"
    assert read(TRACE + vectored, (5000, 9000)) == (64, 1)
    unplaced = "11 read(9</c/film.mp4>, \"\"..., 4096) = 512\n"
    assert read(TRACE + unplaced, (5000, 9000)) == (512, 1)


def test_calls_are_counted():
    calls = list(films_segment.whole_calls(TRACE))
    assert films_segment.sending_begins(calls, "film.mp4") == 2
    assert films_segment.sending_begins(calls, "other.mp4") == len(calls)
    calls = films_segment.about(calls, "film.mp4")
    assert calls == {"openat2": 1, "pread64": 2, "sendfile": 1, "preadv2": 2, "mmap": 1,
                     "recvfrom": 1}, calls


def test_players_are_judged():
    good = {"emptied": 0, "failed": 0, "unbegun": 0, "fairness": 0.999, "cpu_percent": 40,
            "client_core_percent": 60, "late_ms": 5}
    assert films_players.judge([good])["met"]
    for name, value in (("emptied", 1), ("failed", 1), ("unbegun", 1), ("fairness", 0.98),
                        ("cpu_percent", 51)):
        assert not films_players.judge([good | {name: value}])["met"], name
    assert not films_players.judge([good, good, good | {"emptied": 1}])["met"], "any round counts"
    for name, value in (("client_core_percent", 99), ("late_ms", 900)):
        void = good | {name: value, "emptied": 5}
        assert films_players.judge([good, void]) | {"met": True, "void": 1, "hungry": 0} == \
            films_players.judge([good, void]), name
        assert not films_players.judge([void])["met"], name


def test_the_first_segment_is_judged():
    good = {"total_ms": 12.0, "cpu_ms": 9.0, "grown": 2 << 20, "grown_pss": 2 << 20,
            "grown_peak": 4 << 20, "index": 2.4e6}
    assert films_first.judge_one([good], 2)["met"]
    assert films_first.judge_one([good | {"index": None}], 2)["met"], "premade: there is no index"
    for name, value in (("total_ms", 21.0), ("grown", 4 << 20), ("index", 3.1e6)):
        assert not films_first.judge_one([good | {name: value}], 2)["met"], name


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
    print(f"{failed} failed" if failed else "films.py sees what it should")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
