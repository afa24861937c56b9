# SPDX-License-Identifier: MIT
"""Files over HTTP, as clients ask for them."""

import email.utils
import hashlib
import os
import re
import subprocess
import urllib.parse

import pytest

FILM = "/watercourse.mp4"


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True,
                          check=True).stdout


def test_curl_gets_the_film(serve, media, film):
    server = serve(media)
    assert curl(server.url + FILM) == film
    assert curl("--http1.0", server.url + FILM) == film


def test_curl_resumes_a_download(serve, media, film, tmp_path):
    server = serve(media)
    half = tmp_path / "half.mp4"
    half.write_bytes(film[:1_000_000])
    curl("-C", "-", "-o", str(half), server.url + FILM)
    assert half.read_bytes() == film


def test_a_film_says_what_it_is(serve, media, film):
    answer = serve(media).get(FILM)
    assert (answer.status, answer.version, answer.body) == (200, "HTTP/1.1", film)
    assert answer.get("Content-Type") == "video/mp4"
    assert answer.get("Accept-Ranges") == "bytes"
    assert answer.get("Connection") is None
    assert re.fullmatch(r'"[!#-~]+"', answer.get("ETag"))
    modified = email.utils.parsedate_to_datetime(answer.get("Last-Modified"))
    assert int(modified.timestamp()) == int((media / "watercourse.mp4").stat().st_mtime)
    email.utils.parsedate_to_datetime(answer.get("Date"))


def test_head_is_get_without_the_body(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        got = peer.get(FILM)
        head = peer.get(FILM, method="HEAD")
        after = peer.get(FILM, fields=["Range: bytes=0-3"])
    names = [name for name, _ in got.lines if name != "Date"]
    assert [name for name, _ in head.lines if name != "Date"] == names
    assert head.length == len(film) and head.get("ETag") == got.get("ETag")
    assert after.body == film[:4]


def test_one_connection_serves_many(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        for number in range(200):
            first = number * 10_000
            assert peer.get(FILM, fields=[f"Range: bytes={first}-{first + 99}"]).body == \
                film[first:first + 100]


def test_http_1_0_closes_unless_asked(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        peer.send("GET /watercourse.mp4 HTTP/1.0\r\n\r\n")
        answer = peer.answer()
        assert answer.body == film and answer.get("Connection") == "close"
        assert peer.rest() == b""
    with server.connect() as peer:
        for _ in range(2):
            peer.send("HEAD /watercourse.mp4 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert peer.answer("HEAD").get("Connection") == "keep-alive"


def test_connection_close_is_obeyed(serve, media, film):
    with serve(media).connect() as peer:
        answer = peer.get(FILM, fields=["Connection: close"])
        assert answer.body == film and answer.get("Connection") == "close"
        assert peer.rest() == b""


def test_pipelined_requests_are_answered_in_order(serve, media, film):
    with serve(media).connect() as peer:
        request = "".join(f"GET {FILM} HTTP/1.1\r\nHost: a\r\nRange: bytes={first}-{first + 9}"
                          "\r\n\r\n" for first in range(1000))
        peer.send(request + f"GET {FILM} HTTP/1.1\r\nHost: a\r\n\r\nGET /no HTTP/1.1\r\n"
                  "Host: a\r\n\r\n")
        for first in range(1000):
            assert peer.answer().body == film[first:first + 10]
        assert peer.answer().body == film
        assert peer.answer().status == 404


# ---------------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize("wish, first, last", [
    ("bytes=0-0", 0, 0),
    ("bytes=0-1023", 0, 1023),
    ("bytes=1000-", 1000, -1),
    ("bytes=-1", -1, -1),
    ("bytes=-500", -500, -1),
    ("bytes=999999-1999999", 999999, 1999999),
    ("bytes=1048570-1048585", 1048570, 1048585),
    ("bytes=2000000-99999999", 2000000, -1),
    ("bytes=-99999999", 0, -1),
    ("BYTES=5-6", 5, 6),
])
def test_a_range_is_a_part(serve, media, film, wish, first, last):
    first, last = first % len(film), last % len(film)
    answer = serve(media).get(FILM, fields=[f"Range: {wish}"])
    assert answer.status == 206
    assert answer.get("Content-Range") == f"bytes {first}-{last}/{len(film)}"
    assert answer.body == film[first:last + 1]


def test_the_last_byte_and_the_one_behind_it(serve, media, film):
    server = serve(media)
    last = server.get(FILM, fields=[f"Range: bytes={len(film) - 1}-"])
    assert (last.status, last.body) == (206, film[-1:])
    for wish in (f"bytes={len(film)}-", "bytes=99999999-", "bytes=-0"):
        behind = server.get(FILM, fields=[f"Range: {wish}"])
        assert behind.status == 416, wish
        assert behind.get("Content-Range") == f"bytes */{len(film)}"


@pytest.mark.parametrize("wish", [
    "bytes=0-1,5-4", "bytes=5-4", "bytes=x-y", "bytes 0-5", "seconds=0-5", "bytes=", "bytes=-",
    "bytes=0-99999999999999999999999",
])
def test_other_wishes_get_the_whole(serve, media, film, wish):
    answer = serve(media).get(FILM, fields=[f"Range: {wish}"])
    if wish.endswith("9" * 20):  # a number too large for anybody is still beyond the end
        assert answer.status in (200, 206)
    else:
        assert answer.status == 200 and answer.get("Content-Range") is None
    assert answer.body == film


def test_head_has_no_ranges(serve, media, film):
    answer = serve(media).get(FILM, method="HEAD", fields=["Range: bytes=0-9"])
    assert answer.status == 200 and answer.length == len(film)


# ------------------------------------------------------------------------------------ conditions


def test_who_has_it_already_is_told_so(serve, media):
    server = serve(media)
    now = server.get(FILM)
    etag, modified = now.get("ETag"), now.get("Last-Modified")
    for fields in ([f"If-None-Match: {etag}"], [f"If-None-Match: W/{etag}"], ["If-None-Match: *"],
                   [f'If-None-Match: "x", {etag}'], [f"If-Modified-Since: {modified}"],
                   [f"If-None-Match: {etag}", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]):
        with server.connect() as peer:
            answer = peer.get(FILM, fields=fields)
            assert answer.status == 304, fields
            assert answer.get("ETag") == etag and answer.get("Content-Length") is None
            assert peer.get(FILM, method="HEAD", fields=fields).status == 304
            assert peer.get("/none").status == 404  # nothing was left on the wire
    for fields in (['If-None-Match: "other"'], ["If-None-Match: other"],
                   ["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"],
                   ["If-Modified-Since: yesterday"],
                   ['If-None-Match: "other"', f"If-Modified-Since: {modified}"]):
        assert server.get(FILM, fields=fields).status == 200, fields


def test_if_range_guards_against_a_mixture(serve, media, film):
    server = serve(media)
    now = server.get(FILM)
    for validator in (now.get("ETag"), now.get("Last-Modified")):
        answer = server.get(FILM, fields=["Range: bytes=10-19", f"If-Range: {validator}"])
        assert (answer.status, answer.body) == (206, film[10:20])
    for validator in ('"other"', "W/" + now.get("ETag"), "Sun, 06 Nov 1994 08:49:37 GMT", "?"):
        answer = server.get(FILM, fields=["Range: bytes=10-19", f"If-Range: {validator}"])
        assert (answer.status, answer.body) == (200, film), validator


def test_the_etag_survives_a_restart(serve, media):
    tags = set()
    for _ in range(2):
        server = serve(media)
        tags.add(server.get(FILM).get("ETag"))
        server.stop()
    assert len(tags) == 1


# ----------------------------------------------------------------------------- methods and names


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("target", [FILM, "/"])
def test_files_can_only_be_read(serve, media, method, target):
    answer = serve(media).get(target, method=method)
    assert answer.status == 405
    assert {name.strip() for name in answer.get("Allow").split(",")} == \
        {"GET", "HEAD", "OPTIONS"}


def test_methods_that_nobody_knows_are_not_implemented(serve, media):
    answer = serve(media).get(FILM, method="BREW")
    assert answer.status == 501


@pytest.mark.parametrize("name, media_type", [
    ("a.mp4", "video/mp4"), ("A.MP4", "video/mp4"), ("a.webm", "video/webm"),
    ("a.m3u8", "application/vnd.apple.mpegurl"), ("a.mpd", "application/dash+xml"),
    ("a.vtt", "text/vtt; charset=utf-8"), ("a.jpg", "image/jpeg"), ("a.mp3", "audio/mpeg"),
    ("a.html", "text/html; charset=utf-8"), ("a.tar.gz", "application/gzip"),
    ("README", "application/octet-stream"), ("a.mp4.unknown", "application/octet-stream"),
])
def test_media_types(serve, folder, name, media_type):
    (folder / name).write_bytes(b"x")
    assert serve(folder).get("/" + name).get("Content-Type") == media_type


NAMES = ["with space.mp4", "Die Mühle – 水車.mp4", "100%.mp4", "a+b.mp4", "what#now?.mp4",
         "a&b=c;d.mp4", "'quote\".mp4", "back\\slash.mp4", "~tilde,comma!.mp4", "%41.mp4",
         "tab\there.mp4", "colon:colon.mp4", "n" * 251 + ".mp4"]


def test_any_name_can_be_asked_for(serve, folder):
    for name in NAMES:
        (folder / name).write_bytes(name.encode())
    (folder / os.fsdecode(b"latin-\xe9.mp4")).write_bytes(b"latin")
    server = serve(folder)
    with server.connect() as peer:
        for name in NAMES:
            answer = peer.get("/" + urllib.parse.quote(name))
            assert (answer.status, answer.body) == (200, name.encode()), name
        # All of it encoded, in small letters too.
        name = NAMES[1]
        encoded = "".join(f"%{byte:02x}" for byte in name.encode())
        assert peer.get("/" + encoded).body == name.encode()
        assert peer.get("/latin-%E9.mp4").body == b"latin"
        # A '+' in a path is a plus (RFC 3986), and a query is not part of the name.
        assert peer.get("/a+b.mp4?t=10&x=/../..").body == b"a+b.mp4"
        assert peer.get("/a%2Bb.mp4").body == b"a+b.mp4"
        assert peer.get("/a%20b.mp4").status == 404


def test_a_target_may_be_a_whole_url(serve, media, film):
    with serve(media).connect() as peer:
        assert peer.get("http://mill/watercourse.mp4").body == film
        assert peer.get("/./x/../watercourse.mp4").body == film


# ---------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536, (1 << 20) - 1, 1 << 20,
                                  (1 << 20) + 1])
def test_any_size(serve, folder, size):
    content = os.urandom(size)
    (folder / "file").write_bytes(content)
    with serve(folder).connect() as peer:
        answer = peer.get("/file")
        assert (answer.status, answer.length, answer.body) == (200, size, content)
        assert peer.get("/file", fields=["Range: bytes=0-"]).status == (206 if size else 416)
        # The last byte of nothing is all there is.
        assert peer.get("/file", fields=["Range: bytes=-1"]).status == (206 if size else 200)


def test_a_big_file(serve, folder):
    """66 MiB: more than any buffer, and an odd end."""
    piece = os.urandom(1 << 20)
    with open(folder / "big.mkv", "wb") as big:
        for number in range(66):
            big.write(piece[number:] + piece[:number])
        big.write(b"end")
    server = serve(folder)
    expected = hashlib.sha256((folder / "big.mkv").read_bytes()).digest()
    assert hashlib.sha256(curl(server.url + "/big.mkv")).digest() == expected
    answer = server.get("/big.mkv", fields=["Range: bytes=69206010-"])
    assert answer.body == (folder / "big.mkv").read_bytes()[69206010:]


def test_offsets_beyond_4_gib(serve, folder):
    with open(folder / "huge.mkv", "wb") as huge:  # sparse: takes no room
        huge.seek(5 << 30)
        huge.write(b"the end")
    server = serve(folder)
    answer = server.get("/huge.mkv", fields=["Range: bytes=-7"])
    assert answer.body == b"the end"
    assert answer.get("Content-Range") == f"bytes {5 << 30}-{(5 << 30) + 6}/{(5 << 30) + 7}"
    head = server.get("/huge.mkv", method="HEAD")
    assert head.length == (5 << 30) + 7


def test_many_clients_at_once(serve, media, film):
    server = serve(media)
    peers = [server.connect() for _ in range(50)]
    for peer in peers:
        peer.ask(FILM)
    for peer in peers:
        assert peer.answer().body == film
        peer.socket.close()
