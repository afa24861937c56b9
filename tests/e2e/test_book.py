# SPDX-License-Identifier: MIT
"""examples/book.c beside a reference that is too simple to be wrong (itch_books.py): same books, to
the last level, after every so many messages."""

import os
import pathlib
import subprocess

import pytest

import itch_books
from conftest import BUILD, ROOT

BOOK = BUILD / "examples" / "book"
DATA = pathlib.Path(os.environ.get("LEAT_TEST_DATA", ROOT.parent / "shared"))
RECORDING = DATA / "market" / "RITCH__extdata_ex20101224.TEST_ITCH_50"
ALL_LEVELS = 1_000_000
# No engine is in it: reading a file needs none.
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
    if not RECORDING.exists():
        pytest.skip(f"no {RECORDING.name} in $LEAT_TEST_DATA")
    (tmp_path / "day").write_bytes(itch_books.with_lengths(RECORDING.read_bytes()))
    got = compare(tmp_path / "day", ALL_LEVELS, 100)
    # It is a part of a day, so that some orders in it were added before.
    assert got[-1] == "unknown 117, duplicate 0, beyond 0, empty 0, malformed 0, refused 0"


@pytest.mark.long
def test_ten_million_messages(tmp_path):
    market = itch_books.Market(seed=10, symbols=500, orders=1_000_000)
    market.write(tmp_path / "day", 10_000_000)
    compare(tmp_path / "day", ALL_LEVELS, 2_500_000)
