#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tests of the programs that bench/feed.py uses, and of what it concludes from their figures.

    bench/test_feed.py BINDIR
"""
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import feed_recovery, feed_room

BIN = Path(sys.argv[1])
LIMIT_S = 30


def run(program, *words):
    done = subprocess.run([BIN / program, *map(str, words)], capture_output=True, text=True,
                          timeout=LIMIT_S)
    assert done.returncode == 0, (program, words, done)
    return json.loads(done.stdout)


def ports():
    """The first of five UDP ports in a row that nobody has."""
    for first in range(20000 + time.monotonic_ns() % 20000, 65000, 7):
        try:
            for port in range(first, first + 5):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                    one.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise AssertionError("no ports")


# -- the programs


def check_times(times, count):
    assert times["count"] == count, times
    assert 0 < times["p50_us"] <= times["p99_us"] <= times["p999_us"] <= times["max_us"], times


def test_round_trips_are_timed():
    check_times(run("feed_rtt", "-n", 500, "bare"), 500)
    check_times(run("feed_rtt", "-n", 500, "-p", ports(), "leat"), 500)
    with tempfile.TemporaryDirectory() as folder:
        check_times(run("feed_rtt", "-n", 500, "-p", ports(), "-l", folder, "leat"), 500)
        assert {path.name for path in Path(folder).iterdir()} == {"ping", "pong"}


def test_a_bare_flood_arrives():
    figures = run("feed_flood", "-n", 300_000, "bare")
    assert 290_000 < figures["messages"] <= 300_000 and figures["wrong"] == 0, figures
    assert 0 < figures["cpu_s"] < figures["seconds"] + 0.1, figures


def test_a_flood_arrives_in_sequence():
    figures = run("feed_flood", "-n", 300_000, "-p", ports(), "leat")
    assert figures["messages"] == 300_000 and figures["wrong"] == 0, figures
    assert figures["packets"] >= 300_000 // 34, figures


def test_a_rate_is_kept():
    for who in ("bare", "leat"):
        figures = run("feed_flood", "-n", 200_000, "-r", 400_000, "-p", ports(), who)
        assert 0.45 <= figures["seconds"] < 2, figures
        assert figures["cpu_s"] < figures["seconds"], figures


def test_a_log_is_read_again():
    with tempfile.TemporaryDirectory() as folder:
        run("feed_flood", "-n", 200_000, "-r", 1_000_000, "-p", ports(), "-l", folder, "leat")
        figures = run("feed_flood", "-l", folder, "replay")
        assert figures["messages"] == 200_000 and figures["wrong"] == 0, figures


def test_without_loss_nothing_is_recovered():
    figures = run("feed_recovery", "-n", 5000, "-p", ports())
    assert feed_recovery.is_whole(figures, 5000), figures
    # On a busy machine a packet may be late for other reasons than loss.
    assert figures["recovered"]["count"] + figures["others"]["count"] == 5000, figures
    assert figures["others"]["p50_us"] > 0 and figures["round_trip"]["count"] > 3, figures


def test_wrong_usage():
    for program, *words in (("feed_rtt",), ("feed_rtt", "other"), ("feed_rtt", "-n", "0", "bare"),
                            ("feed_flood",), ("feed_flood", "-n", "1", "bare"),
                            ("feed_flood", "replay"), ("feed_flood", "-x", "bare"),
                            ("feed_recovery", "-w", "0"), ("feed_recovery", "more")):
        done = subprocess.run([BIN / program, *words], capture_output=True, timeout=LIMIT_S)
        assert done.returncode == 2 and done.stderr, (program, words, done)


def test_a_log_that_cannot_be_is_told():
    for program, *words in (("feed_rtt", "-l", "/proc/nowhere", "leat"),
                            ("feed_flood", "-l", "/proc/nowhere", "leat"),
                            ("feed_flood", "-l", "/proc/nowhere", "replay")):
        done = subprocess.run([BIN / program, *words], capture_output=True, timeout=LIMIT_S)
        assert done.returncode == 1 and done.stderr, (program, words, done)


# -- what is concluded


def test_medians_are_judged():
    assert feed_room.judge([1, 2, 9], at_most=2)["met"]
    assert not feed_room.judge([1, 2.1, 2.2], at_most=2)["met"]
    assert feed_room.judge([0.1, 0.4, 0.5], at_least=0.4)["met"]
    assert not feed_room.judge([0.1, 0.39, 0.5], at_least=0.4)["met"]


def test_recovery_is_judged():
    good = {"messages": 10, "wrong": 0, "lost": 0, "window_us": 500,
            "recovered": {"count": 3, "p99_us": 1100}, "round_trip": {"p50_us": 100}}
    assert feed_recovery.judge([dict(good)], 10)["met"]
    for change in ({"messages": 9}, {"wrong": 1}, {"lost": 1},
                   {"recovered": {"count": 3, "p99_us": 1201}}):
        assert not feed_recovery.judge([good | change], 10)["met"], change
    assert not feed_recovery.judge([dict(good), good | {"lost": 1}, dict(good)], 10)["met"]


def main():
    """One after the other: most of them spin."""
    failures = []
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        try:
            test()
        except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
            failures.append(f"{name}: {error!r}")
    print("\n".join(failures + [f"{len(failures)} failed" if failures
                                else "feed.py sees what it should"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
