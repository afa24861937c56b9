# SPDX-License-Identifier: MIT
"""examples/book.c beside a reference that is too simple to be wrong (itch_books.py): same books, to
the last level, after every so many messages."""

import subprocess

import pytest

import feed_tools
import itch_books
from conftest import BUILD
from feed_tools import ITCH_DAY, Feeds, Network, framed, itch_day

BOOK = BUILD / "examples" / "book"
ALL_LEVELS = 1_000_000
# Little of it depends on the engine: reading a file needs none.
pytestmark = pytest.mark.mostly_on("epoll")


def run_book(*arguments):
    done = subprocess.run([BOOK, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.splitlines()


def compare(path, depth, every):
    flags = ["--depth", depth] + (["--every", every] if every else [])
    got = run_book(*flags, path)
    want = itch_books.expected(path.read_bytes(), depth, every)
    for number, lines in enumerate(zip(got, want)):
        assert lines[0] == lines[1], f"line {number + 1}"
    assert len(got) == len(want)
    return got


@pytest.mark.parametrize("depth, every", [(1, 1000), (ALL_LEVELS, 20_000)])
def test_the_books_are_those_of_the_reference(tmp_path, depth, every):
    itch_books.Market(seed=depth).write(tmp_path / "day", 200_000)
    got = compare(tmp_path / "day", depth, every)
    assert got[-1] == "unknown 0, duplicate 0, beyond 0, empty 0, malformed 0, refused 0"


@pytest.mark.parametrize("nonsense", [2, 100])
def test_nonsense_is_counted_and_changes_nothing_else(tmp_path, nonsense):
    itch_books.Market(seed=nonsense, nonsense=nonsense).write(tmp_path / "day", 100_000)
    counts = compare(tmp_path / "day", ALL_LEVELS, 10_000)[-1].split(", ")
    assert all(int(count.split()[1]) > 0 for count in counts if "refused" not in count), counts


def test_few_orders_of_many_stocks(tmp_path):
    """The other shape: tables that empty again and again."""
    itch_books.Market(seed=5, symbols=3000, orders=40, nonsense=50).write(tmp_path / "day", 50_000)
    compare(tmp_path / "day", ALL_LEVELS, 5000)


def test_a_recording_from_elsewhere(tmp_path):
    if not ITCH_DAY.exists():
        pytest.skip("no LEAT_TEST_DATA/market: the day is not here")
    (tmp_path / "day").write_bytes(framed(itch_day()))
    got = compare(tmp_path / "day", ALL_LEVELS, 100)
    # It is a part of a day, so that some orders in it were added before.
    assert got[-1] == "unknown 117, duplicate 0, beyond 0, empty 0, malformed 0, refused 0"


def test_a_feed_that_is_lost_in_part_makes_the_same_books(tmp_path):
    """Straight from leat feed publish, through a kernel that drops a tenth of each line."""
    reason = feed_tools.why_no_network()
    if reason:
        pytest.skip(reason)
    itch_books.Market(seed=7).write(tmp_path / "day", 100_000)
    network = Network()
    feeds = Feeds(tmp_path, network.prefix)
    try:
        for port in (5000, 5002):
            network.drop(port, 10)
        feeds.publish("--session", "DAY", "--group", "127.0.0.1:5000", "--group-b",
                      "127.0.0.1:5002", "--in", tmp_path / "day", "--linger", "20s",
                      listen="127.0.0.1:5001")
        done = subprocess.run(
            [*network.prefix, BOOK, "--depth", str(ALL_LEVELS), "--every", "10000", "--line",
             "127.0.0.1:5000", "--line", "127.0.0.1:5002", "--request", "127.0.0.1:5001"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    finally:
        feeds.close()
        network.close()
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "day").read_bytes()
    assert done.stdout.splitlines() == itch_books.expected(data, ALL_LEVELS, 10_000)


@pytest.mark.long
def test_ten_million_messages(tmp_path):
    market = itch_books.Market(seed=10, symbols=500, orders=1_000_000)
    market.write(tmp_path / "day", 10_000_000)
    compare(tmp_path / "day", ALL_LEVELS, 2_500_000)
