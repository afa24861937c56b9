# SPDX-License-Identifier: MIT
"""What the pages are made of: the bundle that is embedded, at /.leat/ whatever the folder has."""

import gzip
import os
import re
import subprocess

import pytest

pytestmark = pytest.mark.mostly_on("epoll")
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(name="server")
def server_with_pages(serve, folder):
    (folder / ".leat").mkdir()
    (folder / ".leat" / "library.js").write_text("not this one")
    (folder / ".leat" / "own.txt").write_text("nor this one")
    server = serve(folder, "--dotfiles", "on")
    if server.get("/.leat/library.js").status != 200:
        assert not os.environ.get("CI"), "a release has its pages: is there no registry of npm?"
        pytest.skip("leat was built without its pages (no Node, or no web/node_modules)")
    return server


def hash_of(answer):
    return answer.get("ETag").strip('"').removesuffix("-gz").removesuffix("-br")


@pytest.mark.parametrize("name, media_type", [
    ("library.js", "text/javascript"), ("library.css", "text/css"),
    ("dashboard.js", "text/javascript"), ("dashboard.css", "text/css")])
def test_what_is_there(server, name, media_type):
    answer = server.get(f"/.leat/{name}")
    assert answer.status == 200 and answer.get("Content-Type").split(";")[0] == media_type
    assert answer.get("Cache-Control") == "no-cache" and answer.get("Content-Encoding") is None
    assert re.fullmatch(r'"[0-9a-f]{16}"', answer.get("ETag"))
    assert server.get(f"/.leat/{name}", method="HEAD").length == len(answer.body)
    # With its hash it may be kept for ever, with another it may not.
    target = f"/.leat/{name}?v={hash_of(answer)}"
    assert server.get(target).get("Cache-Control") == FOR_EVER
    assert server.get(target[:-1]).get("Cache-Control") == "no-cache"
    again = server.get(target, fields=[f"If-None-Match: {answer.get('ETag')}"])
    assert again.status == 304 and again.get("ETag") == answer.get("ETag")
    assert again.get("Cache-Control") == FOR_EVER


def chunks_of(server):
    return set(re.findall(r"chunks/[\w.-]+\.js", server.get("/.leat/library.js").body.decode()))


def test_chunks_have_their_hash_in_their_name(server):
    assert chunks_of(server)
    for name in chunks_of(server):
        answer = server.get(f"/.leat/{name}")
        assert answer.status == 200 and answer.get("Cache-Control") == FOR_EVER


def unpack(coding, data, tmp_path):
    """By gzip itself, or by Node."""
    if coding == "gzip":
        return gzip.decompress(data)
    path = tmp_path / "packed"
    path.write_bytes(data)
    script = 'process.stdout.write(require("zlib").brotliDecompressSync(fs.readFileSync(0)))'
    with path.open("rb") as packed:
        return subprocess.run(["node", "-e", script], stdin=packed, capture_output=True,
                              timeout=30, check=True).stdout


@pytest.mark.parametrize("coding, tag_end, accepted", [
    ("gzip", "-gz", ("gzip", "gzip, deflate", "br;q=0.9, GZIP;q=1.0", "x-gzip", "gzip, zstd",
                     "zstd, gzip;q=0.5", "br;q=0, *", " deflate ,\tgzip ; q=0.001",
                     "gzip, identity;q=0.5, *;q=0")),
    ("br", "-br", ("br", "gzip, deflate, br", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8",
                   "*", "gzip;q=0, *;q=0.1", "identity;q=0, br"))])
def test_codings_for_those_who_take_them(server, tmp_path, coding, tag_end, accepted):
    [name] = [name for name in chunks_of(server) if "hls" in name]
    target = f"/.leat/{name}"
    plain = server.get(target)
    assert plain.get("Vary") == "Accept-Encoding"
    for line in accepted:
        packed = server.get(target, fields=[f"Accept-Encoding: {line}"])
        assert packed.get("Content-Encoding") == coding, line
        assert packed.get("Vary") == "Accept-Encoding"
        assert packed.length < plain.length / 2
        assert packed.get("ETag") == f'"{hash_of(plain)}{tag_end}"'
    assert unpack(coding, packed.body, tmp_path) == plain.body
    for refused in ("", "identity", "zstd", "gzip;q=0", "br;q=0.000, gzip;q=0, *", "*;q=0",
                    "gzipped", "identity, *;q=0.1", "gzip;q=2"):
        answer = server.get(target, fields=[f"Accept-Encoding: {refused}"])
        assert answer.get("Content-Encoding") is None and answer.body == plain.body, refused
    # The two are two: a validator or a range is of the one that is asked for.
    accept = f"Accept-Encoding: {coding}"
    assert server.get(target, fields=[accept, f"If-None-Match: {plain.get('ETag')}"]).status == 200
    packed = server.get(target, fields=[accept])
    again = server.get(target, fields=[accept, f"If-None-Match: {packed.get('ETag')}"])
    assert again.status == 304 and again.get("Content-Encoding") is None
    part = server.get(target, fields=[accept, "Range: bytes=2-5"])
    assert part.status == 206 and part.body == packed.body[2:6]
    beyond = server.get(target, fields=[accept, "Range: bytes=9999999-"])
    assert beyond.status == 416 and beyond.get("Content-Encoding") is None


@pytest.mark.parametrize("target", ["/.leat", "/.leat/", "/.leat/nothing.js", "/.leat/own.txt",
                                    "/.leat/library.js/", "/.leat/chunks", "/.leat/chunks/",
                                    "/.leat/../.leat/own.txt", "/%2eleat/own.txt"])
def test_what_is_not_there(server, target):
    assert server.get(target).status == 404


def test_other_methods_are_refused(server):
    answer = server.get("/.leat/library.js", method="DELETE")
    assert answer.status == 405
