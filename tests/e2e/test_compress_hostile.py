# SPDX-License-Identifier: MIT
"""Compression against who means it no good: thousands who ask and do not read, who turn away at any
byte, who put codings where none belong, who never stop listing what they take; a server that is
killed, a file that shrinks. What is not whole never looks whole, and memory stays what it was."""

import base64
import contextlib
import gzip
import itertools
import os
import random
import re
import signal
import time
import zlib

import pytest

from conftest import await_true
from peer import Peer
from test_admin import scrape, scrape_until, total
from test_compress import read_answer

pytestmark = pytest.mark.mostly_on("epoll")

MIB = 1 << 20
READERS = 3000 if os.environ.get("LEAT_LONG") else 600
ENCODERS_MAX = 64 * MIB
IDLE_MAX = 8
TAKES = "Accept-Encoding: br, zstd, gzip"
OF_A_READER = 160 * 1024  # a stack, two buffers, what the allocator adds to them


def noisy_text(size):
    """Text that codes to three quarters: there is much to send, however well it is coded."""
    return base64.b64encode(random.Random(7).randbytes(size * 3 // 4))


@pytest.fixture(name="files", scope="module")
def files_of_two_sizes(tmp_path_factory):
    """One beyond what copies are kept of: it is coded anew for each who asks."""
    path = tmp_path_factory.mktemp("site")
    (path / "large.txt").write_bytes(noisy_text(20 * MIB))
    (path / "small.txt").write_bytes(b"The mill has a wheel, and the wheel has water.\n" * 400)
    for entry in path.iterdir():
        os.utime(entry, (time.time() - 3600,) * 2)
    return path


@pytest.fixture(name="watched")
def watched_server(serve, files):
    """watched(*flags): a server of one thread, and the address of its administrator."""
    def start(*flags):
        server = serve(files, *flags, "--threads", "1", "--admin", "127.0.0.1:0")
        server.expect_on_stderr(r"leat serve: admin on http://127\.0\.0\.1:\d+$")
        found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
        return server, (found[1], int(found[2]))
    return start


def resident(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024


def is_well(server):
    """It still answers, and codes."""
    with server.connect() as peer:
        peer.ask("/small.txt", fields=["Accept-Encoding: gzip"])
        answer = read_answer(peer)
    plain = gzip.decompress(answer.body) if answer.get("Content-Encoding") else answer.body
    return answer.status == 200 and plain.startswith(b"The mill") and len(plain) == 47 * 400


def await_peace(server, admin):
    """All who asked have gone: nothing is at work for them any more."""
    server.await_connections(2, seconds=20)
    seen = scrape_until(admin, lambda seen: total(seen, "leat_compress_encoders") == 0)
    assert total(seen, "leat_compress_encoder_memory_bytes") <= ENCODERS_MAX
    return seen


# ---- Who does not read -------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["br-5", "zstd-3", "gzip-6"])
def test_many_who_do_not_read(watched, setting):
    """The first have encoders, as many as there is memory for; the others are sent it as it is."""
    server, admin = watched("--compress", setting)
    assert is_well(server)
    before = resident(server)
    with contextlib.ExitStack() as stack:
        for _ in range(READERS):
            peer = stack.enter_context(Peer(server.address, receive_buffer=4096))
            peer.ask("/large.txt", fields=[TAKES])
        seen = scrape_until(admin, lambda seen: total(seen, "leat_compress_encoders") > 1)
        await_true(lambda: server.connections() >= READERS)
        seen = scrape(admin)
        assert total(seen, "leat_compress_encoder_memory_bytes") <= ENCODERS_MAX
        grown = resident(server) - before
        assert grown < ENCODERS_MAX + READERS * OF_A_READER, f"{grown / MIB:.0f} MiB"
        if setting == "br-5":  # 3 MiB each
            assert seen['leat_compress_left_total{reason="busy"}'] > 0
        assert is_well(server)
    await_peace(server, admin)
    assert is_well(server)


def test_one_who_reads_a_byte_at_a_time(watched):
    """He is sent what was flushed, and decodes it as far as he has it."""
    server, _ = watched("--compress", "gzip-6")
    decoder, text = zlib.decompressobj(wbits=31), noisy_text(20 * MIB)
    plain = b""
    with Peer(server.address, receive_buffer=4096) as peer:
        peer.ask("/large.txt", fields=["Accept-Encoding: gzip"])
        assert peer.head().get("Content-Encoding") == "gzip"
        while len(plain) < 60_000:
            size, peer.inbox = take_chunk_size(peer)
            while len(peer.inbox) < size + 2:
                peer.inbox += peer.socket.recv(1)
            plain += decoder.decompress(peer.inbox[:size])
            peer.inbox = peer.inbox[size + 2:]
    assert text.startswith(plain)
    assert is_well(server)


def take_chunk_size(peer):
    while b"\r\n" not in peer.inbox:
        assert peer.more()
    line, rest = peer.inbox.split(b"\r\n", 1)
    return int(line, 16), rest


# ---- Who turns away ----------------------------------------------------------------------------


@pytest.mark.parametrize("target, setting", [
    ("/large.txt", "br-5"), ("/large.txt", "zstd-3"), ("/large.txt", "gzip-6"),
    ("/small.txt", "br-5"), ("/small.txt", "auto")])
def test_who_turns_away_at_any_byte(watched, target, setting):
    server, admin = watched("--compress", setting)
    moods = random.Random(len(target) * 100 + len(setting))
    for index in range(60):
        peer = Peer(server.address)
        peer.ask(target, fields=[TAKES])
        wanted = moods.choice([0, 1, 200, 400, moods.randrange(3000), moods.randrange(2 * MIB)])
        while len(peer.inbox) < wanted:
            assert peer.more()
            if target == "/small.txt":  # all of it may be there
                break
        if index % 3 == 0:
            peer.reset()
        elif index % 3 == 1:
            peer.finish()
            peer.socket.close()
        else:
            peer.socket.close()
    await_peace(server, admin)
    assert is_well(server)


def test_who_half_closes_gets_all(watched):
    server, _ = watched("--compress", "gzip-6")
    with server.connect() as peer:
        peer.ask("/small.txt", fields=["Accept-Encoding: gzip"])
        peer.finish()
        assert len(gzip.decompress(read_answer(peer).body)) == 47 * 400


def test_a_hundred_at_once_on_one_connection(watched):
    """Coded and not, HEAD among them: each answer begins where the one before ended."""
    server, _ = watched("--compress", "gzip-6")
    wishes = list(itertools.islice(itertools.cycle(
        [("GET", "gzip"), ("GET", "identity"), ("HEAD", "gzip"), ("GET", "br;q=0, *")]), 100))
    with server.connect() as peer:
        peer.send("".join(f"{method} /small.txt HTTP/1.1\r\nHost: mill\r\n"
                          f"Accept-Encoding: {accept}\r\n\r\n" for method, accept in wishes))
        for method, accept in wishes:
            answer = read_answer(peer, method)
            is_coded = answer.get("Content-Encoding") == "gzip"
            assert answer.status == 200 and is_coded == (accept != "identity")
            if method == "GET":
                plain = gzip.decompress(answer.body) if is_coded else answer.body
                assert len(plain) == 47 * 400


# ---- Who lies, and who babbles -----------------------------------------------------------------


BABBLE = [
    "Accept-Encoding: " + ", ".join(f"x{number}" for number in range(1500)),
    "Accept-Encoding: " + "," * 8000,
    "Accept-Encoding: gzip;q=0.00000000000000000001",
    "Accept-Encoding: gzip;q=1.0000000000000000000001",
    "Accept-Encoding: gzip;q=-1",
    "Accept-Encoding: gzip;q=1;q=0",
    "Accept-Encoding: gzip;" + "x=y;" * 1500,
    "Accept-Encoding: \xff\xfe\x80gzip",
    "Accept-Encoding: \"gzip\"",
    "Accept-Encoding: gzip/br",
    "Accept-Encoding: *;q=0, *;q=1",
    "\r\n".join(["Accept-Encoding: br"] * 60),
]


@pytest.mark.parametrize("line", BABBLE, ids=range(len(BABBLE)))
def test_lists_without_sense(watched, line):
    """An answer of some form that ends where it says, and the next one behind it."""
    server, _ = watched("--compress", "gzip-6")
    with server.connect() as peer:
        for _ in range(2):
            peer.send(f"GET /small.txt HTTP/1.1\r\nHost: mill\r\n{line}\r\n\r\n".encode("latin-1"))
            answer = read_answer(peer)
            assert answer.status == 200
            coding = answer.get("Content-Encoding")
            assert coding in (None, "gzip")
            plain = gzip.decompress(answer.body) if coding else answer.body
            assert len(plain) == 47 * 400


TRANSFERS = [
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: br",
    "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: identity",
    "Transfer-Encoding: x-gzip, chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Encoding: chunked\r\nContent-Length: 5",
]


@pytest.mark.parametrize("lines", TRANSFERS)
def test_codings_of_the_transfer_are_no_way_in(watched, lines):
    """What is behind a body whose end is in doubt is never a request (RFC 9112, sections 6.1, 6.3
    and 11.2)."""
    server, _ = watched("--compress", "gzip-6")
    inner = b"GET /small.txt HTTP/1.1\r\nHost: mill\r\n\r\n"
    body = gzip.compress(inner)
    with server.connect() as peer:
        peer.send(f"POST /small.txt HTTP/1.1\r\nHost: mill\r\n{lines}\r\n\r\n".encode()
                  + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" + inner)
        answer = peer.answer()
        assert answer.status in (400, 501)
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/1.1" not in peer.rest()
    assert is_well(server)


def test_a_coding_of_the_content_is_no_framing(watched):
    """A request that says Content-Encoding has the body that it says, and the next follows it."""
    server, _ = watched("--compress", "gzip-6")
    body = gzip.compress(b"GET /large.txt HTTP/1.1\r\nHost: mill\r\n\r\n")
    with server.connect() as peer:
        peer.send(b"GET /small.txt HTTP/1.1\r\nHost: mill\r\nContent-Encoding: gzip\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert len(read_answer(peer).body) == 47 * 400
        peer.ask("/small.txt", "HEAD")
        assert peer.answer("HEAD").status == 200


def test_te_gzip_is_not_taken_up(watched):
    """No transfer coding but chunked is ours (RFC 9112, section 7)."""
    server, _ = watched("--compress", "gzip-6")
    with server.connect() as peer:
        peer.ask("/large.txt", fields=["TE: gzip, trailers", "Connection: TE", TAKES])
        answer = peer.head()
        assert answer.get("Transfer-Encoding") in (None, "chunked")


@pytest.mark.parametrize("tag", ['W/"x-gzip"', '"x-gzip"', 'W/"-gzip"', "*-gzip", '"' + "y" * 4000])
def test_tags_of_ones_own_making_are_no_match(watched, tag):
    server, _ = watched("--compress", "gzip-6")
    with server.connect() as peer:
        peer.ask("/small.txt", fields=["Accept-Encoding: gzip", f"If-None-Match: {tag}"])
        assert len(gzip.decompress(read_answer(peer).body)) == 47 * 400


# ---- What breaks -------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["br-5", "gzip-6", "zstd-1"])
def test_killed_in_the_middle_it_does_not_look_whole(watched, setting):
    server, _ = watched("--compress", setting)
    with Peer(server.address, receive_buffer=4096) as peer:
        peer.ask("/large.txt", fields=[TAKES])
        assert peer.head().get("Content-Encoding")
        server.kill()
        with contextlib.suppress(ConnectionResetError):
            assert not peer.rest().endswith(b"\r\n0\r\n\r\n")


def test_told_to_end_it_finishes_what_it_began(watched):
    server, _ = watched("--compress", "gzip-1")
    with Peer(server.address, receive_buffer=65536, timeout_s=30) as peer:
        peer.ask("/large.txt", fields=["Accept-Encoding: gzip"])
        while len(peer.inbox) < 100_000:
            assert peer.more()
        os.kill(server.pid, signal.SIGTERM)
        assert gzip.decompress(read_answer(peer).body) == noisy_text(20 * MIB)
    server.stop(0)


def test_a_file_that_shrinks_on_its_way(serve, tmp_path):
    """What is coded of it ends without an end."""
    path = tmp_path / "site"
    path.mkdir()
    (path / "log.txt").write_bytes(noisy_text(20 * MIB))
    server = serve(path, "--compress", "gzip-6", "--threads", "1")
    with Peer(server.address, receive_buffer=4096) as peer:
        peer.ask("/log.txt", fields=["Accept-Encoding: gzip"])
        assert peer.head().get("Content-Encoding") == "gzip"
        assert peer.more()
        os.truncate(path / "log.txt", 8 * MIB)
        with contextlib.suppress(ConnectionResetError):
            assert not peer.rest().endswith(b"0\r\n\r\n")
    server.await_connections(0)
    time.sleep(1.1)  # what is known of a file is believed for a second
    with server.connect() as peer:
        peer.ask("/log.txt", fields=["Accept-Encoding: gzip"])
        assert gzip.decompress(read_answer(peer).body) == noisy_text(20 * MIB)[:8 * MIB]
