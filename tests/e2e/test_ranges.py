# SPDX-License-Identifier: MIT
"""Several ranges at a time (RFC 9110, sections 14 and 15.3.7), as clients ask for them."""

import email
import email.policy
import hashlib
import os
import re
import subprocess

import pytest

FILM = "/watercourse.mp4"
MIB = 1 << 20


def parts_of(content_type, body):
    """[(media type, first, last, size, bytes)] of a multipart/byteranges, read byte by byte."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9A-Za-z]{1,70})", content_type)[1]
    delimiter = b"--" + boundary.encode()
    parts, at = [], 0
    while True:
        assert body[at:at + len(delimiter)] == delimiter
        at += len(delimiter)
        if body[at:at + 2] == b"--":
            assert body[at:] == b"--\r\n"
            return parts
        head_end = body.index(b"\r\n\r\n", at)
        fields = dict(line.split(": ", 1) for line in body[at + 2:head_end].decode().split("\r\n"))
        assert set(fields) == {"Content-Type", "Content-Range"}
        first, last, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)",
                                                  fields["Content-Range"]).groups())
        at = head_end + 4
        content = body[at:at + last - first + 1]
        parts.append((fields["Content-Type"], first, last, size, content))
        at += len(content)
        assert body[at:at + 2] == b"\r\n"
        at += 2


def check(answer, content, expected, media_type="video/mp4"):
    assert answer.status == 206
    assert answer.get("Content-Range") is None  # RFC 9110, section 15.3.7.2
    parts = parts_of(answer.get("Content-Type"), answer.body)
    assert [(first, last) for _, first, last, _, _ in parts] == expected
    for kind, first, last, size, piece in parts:
        assert (kind, size) == (media_type, len(content))
        assert piece == content[first:last + 1]


def test_curl_asks_for_several(serve, media, film, tmp_path):
    server, head = serve(media), tmp_path / "head"
    body = subprocess.run(["curl", "-sS", "--max-time", "20", "-D", str(head), "-r",
                           "0-99,1000000-1999999,-50", server.url + FILM], capture_output=True,
                          check=True).stdout
    content_type = re.search(r"^Content-Type: (.*)\r$", head.read_bytes().decode(), re.M)[1]
    end = len(film)
    assert [part[1:3] for part in parts_of(content_type, body)] == \
        [(0, 99), (1000000, 1999999), (end - 50, end - 1)]
    # And as a reader of MIME sees it, who knows nothing of ranges.
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body,
                                       policy=email.policy.HTTP)
    assert message.is_multipart() and not message.defects
    assert [part.get_content_type() for part in message.iter_parts()] == ["video/mp4"] * 3
    assert message.get_payload(0).get_payload(decode=True) == film[:100]


@pytest.mark.parametrize("wish, expected", [
    ("0-0,500-500", [(0, 0), (500, 500)]),
    ("500-599,0-99", [(500, 599), (0, 99)]),
    ("-1,0-0", [(-1, -1), (0, 0)]),
    ("0-9, 99999999-, 200-", [(0, 9), (200, -1)]),
    ("0-9,89-99,300-309", [(0, 99), (300, 309)]),
    ("1000000-1100000,0-9,1050000-1200000", [(1000000, 1200000), (0, 9)]),
])
def test_parts_are_in_the_order_asked_for(serve, media, film, wish, expected):
    expected = [(first % len(film), last % len(film)) for first, last in expected]
    with serve(media).connect() as peer:
        check(peer.get(FILM, fields=[f"Range: bytes={wish}"]), film, expected)
        assert peer.get(FILM, fields=["Range: bytes=7-8"]).body == film[7:9]  # nothing was left


def test_one_part_that_is_left_is_a_plain_answer(serve, media, film):
    server = serve(media)
    for wish in ("0-9,5-19", "0-9,99999999-", "-0,0-19,5-6"):
        answer = server.get(FILM, fields=[f"Range: bytes={wish}"])
        last = int(re.fullmatch(rf"bytes 0-(\d+)/{len(film)}", answer.get("Content-Range"))[1])
        assert (answer.status, answer.body) == (206, film[:last + 1])
        assert answer.get("Content-Type") == "video/mp4"
    answer = server.get(FILM, fields=["Range: bytes=99999999-,-0"])
    assert answer.status == 416 and answer.get("Content-Range") == f"bytes */{len(film)}"


def test_sixteen_and_no_more(serve, media, film):
    """Who asks for a thousand crumbs gets the whole (RFC 9110, section 14.2)."""
    server = serve(media)

    def ask(count):
        wishes = ",".join(f"{number * 1000}-{number * 1000}" for number in range(count))
        return server.get(FILM, fields=[f"Range: bytes={wishes}"])

    check(ask(16), film, [(number * 1000, number * 1000) for number in range(16)])
    assert (ask(17).status, ask(17).body) == (200, film)
    assert ask(1000).status == 200
    overlapping = ",".join(["0-"] * 16)
    answer = server.get(FILM, fields=[f"Range: bytes={overlapping}"])
    assert (answer.status, answer.body) == (206, film)


def test_head_and_conditions(serve, media, film):
    wish = "Range: bytes=0-9,1000-1009"
    with serve(media).connect() as peer:
        head = peer.get(FILM, method="HEAD", fields=[wish])
        assert (head.status, head.length) == (200, len(film))
        etag, modified = head.get("ETag"), head.get("Last-Modified")
        for validator in (etag, modified):
            check(peer.get(FILM, fields=[wish, f"If-Range: {validator}"]), film,
                  [(0, 9), (1000, 1009)])
        assert peer.get(FILM, fields=[wish, 'If-Range: "other"']).body == film
        assert peer.get(FILM, fields=[wish, f"If-None-Match: {etag}"]).status == 304
        assert peer.get(FILM, fields=[wish, 'If-Match: "other"']).status == 412


def test_large_parts_for_a_slow_reader(serve, folder):
    content = os.urandom(MIB) * 24
    (folder / "big.mkv").write_bytes(content)
    expected = [(20 * MIB, 24 * MIB - 1), (5, 8 * MIB), (10 * MIB, 10 * MIB)]
    wish = ",".join(f"{first}-{last}" for first, last in expected)
    with serve(folder).connect(receive_buffer=65536) as peer:
        answer = peer.get("/big.mkv", fields=[f"Range: bytes={wish}"])
        check(answer, content, expected, "video/x-matroska")
        assert peer.get("/big.mkv", fields=["Range: bytes=0-0"]).body == content[:1]


def test_parts_of_a_file_that_shrinks_are_never_padded(serve, folder):
    content = os.urandom(MIB) * 24
    (folder / "big.mkv").write_bytes(content)
    with serve(folder).connect(receive_buffer=65536) as peer:
        peer.ask("/big.mkv", fields=[f"Range: bytes=0-{20 * MIB},{22 * MIB}-{22 * MIB + 9}"])
        head = peer.head()
        os.truncate(folder / "big.mkv", 21 * MIB)
        try:
            body = peer.rest()
        except ConnectionError:
            body = peer.inbox
        assert 20 * MIB <= len(body) < head.length or len(body) < 20 * MIB


def test_aria2_with_sixteen_connections(serve, folder, tmp_path):
    content = os.urandom(MIB) * 33 + b"end"
    (folder / "big.mkv").write_bytes(content)
    server = serve(folder, "--threads", "2")
    before = server.cpu_s()
    subprocess.run(["aria2c", "--no-conf", "-q", "-x", "16", "-s", "16", "-k", "1M", "-d",
                    str(tmp_path), "-o", "got.mkv", server.url + "/big.mkv"], check=True,
                   timeout=60, env={**os.environ, "no_proxy": "*"})
    got = (tmp_path / "got.mkv").read_bytes()
    assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
    assert server.cpu_s() - before < 5
