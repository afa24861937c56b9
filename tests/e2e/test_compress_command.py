# SPDX-License-Identifier: MIT
"""The flags of compression, and what the administrator sees of it: they do what they say, and the
counts agree with what was sent."""

import gzip
import json
import os
import re

import pytest

from conftest import await_true
from peer import Peer
from test_admin import scrape, scrape_until, total

GZIP = ["Accept-Encoding: gzip"]
TEXT = "".join(f"{number}: the wheel turns, and the water is none the worse for it\n"
               for number in range(2000)).encode()


@pytest.fixture
def texts(folder):
    (folder / "wheel.txt").write_bytes(TEXT)
    (folder / "wheel.mill").write_bytes(TEXT)  # a type that nobody knows
    return folder


@pytest.fixture
def watched(serve, texts):
    """watched(*flags): a server, and the address of its administrator."""
    def start(*flags):
        server = serve(texts, *flags, "--threads", "1", "--admin", "127.0.0.1:0")
        server.expect_on_stderr(r"leat serve: admin on http://127\.0\.0\.1:\d+$")
        found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
        return server, (found[1], int(found[2]))
    return start


def coding(answer):
    return answer.get("Content-Encoding")


@pytest.mark.parametrize("flags, said", [
    (["--compress", "on"], "--compress 'on': auto, off, a codec"),
    (["--compress", "gzip-13"], "--compress 'gzip-13': the levels of gzip are 1 to 12"),
    (["--compress", "lz4"], "--compress 'lz4': no client of HTTP knows that"),
    (["--compress-types", "text"], "--compress-types takes media types"),
    (["--compress-cache", "1k"], "--compress-cache takes a size from 1m to 1024g"),
    (["--compress-beside", "yes"], "--compress-beside takes on, off"),
])
def test_wrong_flags_are_told_in_one_line(leat, flags, said):
    result = leat("serve", *flags)
    assert result.returncode == 2 and result.stdout == ""
    assert said in result.stderr and result.stderr.count("\n") == 1, result.stderr


def test_a_fixed_setting_codes_whatever_it_takes(serve, texts):
    server = serve(texts, "--compress", "gzip-6")
    answer = server.get("/wheel.txt", fields=GZIP)
    assert coding(answer) == "gzip" and gzip.decompress(answer.body) == TEXT
    assert coding(server.get("/wheel.txt", fields=["Accept-Encoding: br, zstd"])) is None
    assert coding(server.get("/wheel.txt")) is None
    assert server.get("/wheel.txt").get("Vary") == "Accept-Encoding"


def test_off_is_off(serve, texts):
    (texts / "wheel.txt.gz").write_bytes(gzip.compress(TEXT))
    server = serve(texts, "--compress", "off")
    for _ in range(3):
        answer = server.get("/wheel.txt", fields=["Accept-Encoding: gzip, br, zstd"])
        assert answer.body == TEXT
        assert coding(answer) is None and answer.get("Vary") is None


@pytest.mark.parametrize("types, codes", [
    (None, False), ("a/b", False), ("model/mill,application/octet-stream", True),
    ("application/*", True), ("*/*", True), ("*", True)])
def test_types_are_added(serve, texts, types, codes):
    flags = ["--compress", "gzip-6"] + (["--compress-types", types] if types else [])
    answer = serve(texts, *flags).get("/wheel.mill", fields=GZIP)
    assert (coding(answer) == "gzip") == codes
    assert (gzip.decompress(answer.body) if codes else answer.body) == TEXT


def test_metrics_count_what_was_sent(watched):
    server, admin = watched("--compress", "gzip-1")
    before = scrape(admin)
    assert total(before, "leat_compress_responses_total") == 0
    sent = len(server.get("/wheel.txt", fields=GZIP).body)
    assert sent < len(TEXT) / 4
    assert coding(server.get("/wheel.txt")) is None
    after = scrape_until(admin, lambda seen: total(seen, "leat_http_requests_total") >= 2)
    assert after['leat_compress_responses_total{coding="gzip"}'] == 1
    assert after['leat_compress_plain_bytes_total{coding="gzip"}'] == len(TEXT)
    assert after['leat_compress_coded_bytes_total{coding="gzip"}'] == sent
    assert after['leat_compress_left_total{reason="not_accepted"}'] == 1
    assert 0 < after["leat_compress_cpu_seconds_total"] < 1
    assert total(after, "leat_compress_encoders") == 0
    with Peer(admin) as peer:
        shown = json.loads(peer.get("/snapshot.json").body)["compression"]
    assert (shown["responses"], shown["plain_bytes"], shown["coded_bytes"]) == (1, len(TEXT), sent)


def test_metrics_count_copies_of_files(watched, texts):
    server, admin = watched("--compress", "gzip")
    os.utime(texts / "wheel.txt", (0, 0))  # what has just changed may change again: no copy yet
    server.get("/wheel.txt", fields=GZIP)
    made = scrape_until(admin, lambda seen: seen["leat_compress_copies_made_total"] >= 1)
    assert made["leat_compress_copies"] == 1 and made["leat_compress_copy_bytes"] > 0
    assert made["leat_compress_copies_cpu_seconds_total"] > 0
    assert made["leat_compress_copies_failed_total"] == 0
    cpu_s = made["leat_compress_cpu_seconds_total"]
    answer = server.get("/wheel.txt", fields=GZIP)
    assert coding(answer) == "gzip" and gzip.decompress(answer.body) == TEXT
    after = scrape_until(admin, lambda seen: total(seen, "leat_http_requests_total") >= 2)
    assert total(after, "leat_compress_responses_total", coding="gzip") >= 1
    assert after["leat_compress_cpu_seconds_total"] == cpu_s, "it was coded anew"
    assert not (texts / "wheel.txt.gz").exists()


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_copies_are_kept_beside_their_files(serve, texts, sandbox):
    beside = texts / "wheel.txt.gz"
    os.utime(texts / "wheel.txt", (1e9, 1e9))
    server = serve(texts, "--compress", "gzip", "--compress-beside", "on", "--sandbox", sandbox)
    server.get("/wheel.txt", fields=GZIP)
    await_true(beside.exists)
    assert gzip.decompress(beside.read_bytes()) == TEXT
    assert server.get("/wheel.txt", fields=GZIP).body == beside.read_bytes()
    assert server.get("/wheel.txt.gz").body == beside.read_bytes()


def test_what_is_off_has_no_metrics(watched):
    _, admin = watched("--compress", "off")
    assert not [name for name in scrape(admin) if name.startswith("leat_compress")]
    with Peer(admin) as peer:
        assert json.loads(peer.get("/snapshot.json").body)["compression"] is None


def test_the_administrator_is_answered_compressed(watched):
    """Prometheus asks for it with each scrape."""
    _, admin = watched("--compress", "gzip-6")
    with Peer(admin) as peer:
        answer = peer.get("/metrics", fields=GZIP)
        assert coding(answer) == "gzip"
        assert b"# TYPE leat_compress_responses_total counter\n" in gzip.decompress(answer.body)
        assert coding(peer.get("/metrics")) is None
