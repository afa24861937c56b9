# SPDX-License-Identifier: MIT
"""leat probe --compress: what would be done with a file, why, and what comes of it."""

import json
import os
import random
import re

import pytest

pytestmark = pytest.mark.mostly_on("uring")


def explained(leat, path):
    """(all that is said, what is chosen by megabits)."""
    result = leat("probe", "--compress", str(path))
    assert result.returncode == 0 and result.stderr == "", result
    chosen = {int(rate): words for rate, words in
              re.findall(r"^ +(\d+) Mbit/s (.*)$", result.stdout, re.MULTILINE)}
    assert sorted(chosen) == [10, 100, 1000], result.stdout
    return result.stdout, chosen


def test_text_is_coded_as_it_was_told(leat, tmp_path):
    generator = random.Random(1)
    lines = [json.dumps({"id": index, "views": generator.randrange(10**6),
                         "title": f"film {generator.randrange(1000)}"}) for index in range(8000)]
    path = tmp_path / "films.json"
    path.write_text("\n".join(lines), encoding="utf-8")
    said, chosen = explained(leat, path)
    assert "application/json: may be coded" in said
    for words in chosen.values():
        times = re.search(r"arrives in ([\d.]+) ms in place of ([\d.]+)", words)
        sizes = re.search(r"told ([\d.]+) % in .*; got ([\d.]+) % in", words)
        assert float(times[1]) < float(times[2]) and float(sizes[2]) < 50, words
        assert 0.5 < float(sizes[1]) / float(sizes[2]) < 2, words


def test_noise_and_what_is_compressed_are_left(leat, tmp_path):
    noise, picture = tmp_path / "noise.txt", tmp_path / "picture.png"
    noise.write_bytes(os.urandom(1 << 20))
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + b"text " * 20000)
    assert all(words.startswith("as it is (noise)") for words in explained(leat, noise)[1].values())
    said, chosen = explained(leat, picture)
    assert all(words.startswith("as it is (compressed)") for words in chosen.values())
    assert "image/png: is not coded" in said and "of what is compressed already" in said


def test_small_and_empty_files(leat, tmp_path):
    for size in (0, 1, 100):
        path = tmp_path / f"{size}.txt"
        path.write_bytes(b"a" * size)
        explained(leat, path)


def test_deciding_takes_microseconds(leat, tmp_path):
    """10 or so of a release (20 are allowed); here it may be any build, on any machine."""
    path = tmp_path / "large.txt"
    path.write_text("".join(f"line {index} of a text\n" for index in range(50000)),
                    encoding="utf-8")
    best = min(sum(map(float, re.search(r"deciding +([\d.]+) us for the sample, ([\d.]+) us",
                                        explained(leat, path)[0]).groups())) for _ in range(3))
    assert best <= 400, best


def test_what_is_wrong_is_one_line(leat, tmp_path):
    for arguments in (["--compress"], ["--compress", "--json", "x"],
                      ["--compress", str(tmp_path / "none")], ["--compress", str(tmp_path)]):
        result = leat("probe", *arguments)
        assert result.returncode in (1, 2) and result.stdout == "", (arguments, result)
        assert len(result.stderr.splitlines()) == 1, (arguments, result)
