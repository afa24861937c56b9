# SPDX-License-Identifier: MIT
"""Files that change, shrink, vanish or are none, while somebody wants them."""

import os
import shutil
import socket
import time

import pytest

from conftest import await_true

pytestmark = pytest.mark.mostly_on("uring")

MIB = 1 << 20
SIZE = 24 * MIB  # far more than the sockets hold


def content(size, seed=0):
    piece = bytes((number * 7 + (number >> 8) * 13 + seed) & 255 for number in range(65536))
    return (piece * (size // len(piece) + 1))[:size]


@pytest.fixture
def big(folder):
    path = folder / "big.mkv"
    path.write_bytes(content(SIZE))
    return path


def begin(peer, target="/big.mkv"):
    """Asks, takes the head and a little of the body, and lets the server come to a stop."""
    peer.ask(target)
    head = peer.head()
    while len(peer.inbox) < 100_000:
        assert peer.more()
    time.sleep(0.2)
    return head


def rest_of(peer):
    """What comes until the end, and whether that was an orderly one."""
    try:
        return peer.rest(), True
    except ConnectionError:
        return peer.inbox, False


def test_a_file_cut_while_it_is_sent_is_never_padded(serve, big, folder):
    server = serve(folder)
    original = big.read_bytes()
    with server.connect(receive_buffer=65536) as peer:
        head = begin(peer)
        os.truncate(big, 12 * MIB)
        body, _ = rest_of(peer)
        assert head.length == SIZE
        assert len(body) <= 12 * MIB < head.length, "it was padded"
        assert original.startswith(body)
    assert server.get("/big.mkv", method="HEAD").status == 200


def test_a_file_emptied_while_it_is_sent(serve, big, folder):
    server = serve(folder)
    original = big.read_bytes()
    with server.connect(receive_buffer=65536) as peer:
        begin(peer)
        os.truncate(big, 0)
        body, _ = rest_of(peer)
        assert len(body) < SIZE and original.startswith(body)
    time.sleep(1.2)
    assert server.get("/big.mkv").length == 0


def test_a_small_file_that_shrank_since_it_was_looked_at(serve, folder):
    """Believed for a second: what was promised cannot be kept, and nothing is made up for it."""
    (folder / "small").write_bytes(content(1000))
    server = serve(folder, "--threads", "1")
    with server.connect() as peer:
        assert peer.get("/small").length == 1000
        os.truncate(folder / "small", 10)
        peer.ask("/small")
        head = peer.head()
        body, _ = rest_of(peer) if head.length == 1000 else (peer.inbox, True)
        assert content(1000).startswith(body) and len(body) <= 10


def test_a_removed_file_goes_on_being_sent(serve, big, folder):
    server = serve(folder)
    original = big.read_bytes()
    with server.connect(receive_buffer=65536) as peer:
        peer.ask("/big.mkv")
        head = peer.head()
        big.unlink()
        while len(peer.inbox) < head.length:
            assert peer.more()
        assert peer.inbox == original
        time.sleep(1.2)
        peer.inbox = b""
        assert peer.get("/big.mkv").status == 404


def test_a_replaced_file_is_seen_and_the_old_one_sent_to_its_end(serve, big, folder):
    server = serve(folder, "--threads", "1")  # a cache each: all agree only after a second
    original = big.read_bytes()
    with server.connect(receive_buffer=65536) as peer:
        old = begin(peer)
        new = folder / "new"
        new.write_bytes(b"new" * 1000)
        new.rename(big)
        await_true(lambda: server.get("/big.mkv", method="HEAD").length == 3000)
        answer = server.get("/big.mkv")
        assert answer.body == b"new" * 1000 and answer.get("ETag") != old.get("ETag")
        # Whoever resumes the old one is not given a mixture.
        mixed = server.get("/big.mkv", fields=["Range: bytes=10-", f"If-Range: {old.get('ETag')}"])
        assert (mixed.status, mixed.length) == (200, 3000)
        while len(peer.inbox) < old.length:
            assert peer.more()
        assert peer.inbox == original


def test_a_file_that_grows_is_seen(serve, folder):
    path = folder / "log.txt"
    path.write_text("a")
    server = serve(folder)
    first = server.get("/log.txt")
    with open(path, "a") as log:
        log.write("b" * 9999)
    time.sleep(1.1)
    second = server.get("/log.txt")
    assert second.length == 10000 and second.get("ETag") != first.get("ETag")


def test_what_comes_and_goes(serve, folder):
    server = serve(folder)
    for _ in range(2):
        assert server.get("/film.mp4").status == 404
        (folder / "film.mp4").write_text("film")
        time.sleep(1.1)  # absence is believed for a second, too
        assert server.get("/film.mp4").body == b"film"
        (folder / "film.mp4").unlink()
        time.sleep(1.1)
    # A file where a folder was, and the other way round.
    (folder / "film.mp4").mkdir()
    assert server.get("/film.mp4").status == 301
    (folder / "film.mp4").rmdir()
    (folder / "film.mp4").write_text("again")
    time.sleep(1.1)
    assert server.get("/film.mp4").body == b"again"


def test_what_may_not_be_read_is_forbidden(serve, folder):
    (folder / "secret.mp4").write_text("secret")
    (folder / "closed").mkdir()
    (folder / "closed" / "film.mp4").write_text("film")
    (folder / "open.mp4").write_text("open")
    prefix = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read everything, and setpriv is not installed")
        for path in (folder, *folder.parents):
            if not path.stat().st_mode & 0o005:
                path.chmod(path.stat().st_mode | 0o005)
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    (folder / "secret.mp4").chmod(0)
    (folder / "closed").chmod(0)
    server = serve(folder, prefix=prefix)
    assert server.get("/open.mp4").body == b"open"
    for target in ("/secret.mp4", "/closed/film.mp4", "/closed/"):
        answer = server.get(target)
        assert answer.status == 403 and b"film" not in answer.body, target
    (folder / "closed").chmod(0o700)


def test_what_is_no_file_is_not_there(serve, folder):
    os.mkfifo(folder / "fifo.mp4")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket.mp4"))
    (folder / "null.mp4").symlink_to("/dev/null")
    targets = ["/fifo.mp4", "/socket.mp4", "/null.mp4"]
    if os.geteuid() == 0:
        os.mknod(folder / "device.mp4", 0o20666, os.makedev(1, 5))  # /dev/zero
        targets.append("/device.mp4")
    server = serve(folder, "--threads", "1")
    server.expect_on_stderr("leat serve: refused 'null.mp4'")  # it leads out, too
    for target in targets:
        start = time.monotonic()
        assert server.get(target).status == 404, target
        assert time.monotonic() - start < 1
    listener.close()
