# SPDX-License-Identifier: MIT
"""Live channels against those who mean no good: publishers whose media is none, and viewers who do
not read, ask for everything, or go. The server stays, and so does what others see."""

import re
import time

import pytest

from conftest import await_true
from pushed_mp4 import Push, fragment, init, picture
from test_live import channels, get, index_of

pytestmark = pytest.mark.mostly_on("epoll")


def pictures(seconds, begin_s=0, size=1000, gop=50):
    """A fragment of 25 pictures a second; its times are milliseconds."""
    return fragment(int(begin_s * 1000), [picture(40, size, number % gop == 0)
                                     for number in range(int(seconds * 25))])


def last_whole(server, name="cam"):
    return int(re.findall(r"^(\d+)\.m4s", index_of(server, name=name), re.M)[-1])


@pytest.fixture
def server(serve, folder):
    return serve(folder, "--live", "on", "--threads", "1")


# ---- Viewers -------------------------------------------------------------------------------------

def test_a_channel_ends_twice_while_somebody_reads_slowly(server):
    """Who waits in the middle of a segment keeps what he waits at, whatever the channel does."""
    with Push(server) as push:
        push.send(init(), pictures(4.04))
        await_true(lambda: "cam" in channels(server))
        number = last_whole(server) + 1
        with server.connect(receive_buffer=4096) as viewer:
            viewer.ask(f"/live/cam/muxed/{number}.m4s")
            push.send(pictures(1, 4.04, 500_000, gop=10**6))
            assert viewer.more()
            assert push.end()[0] == 204
            for _ in range(3):
                with Push(server) as another:
                    another.send(init())
                    assert another.end()[0] == 204
                await_true(lambda: channels(server)["cam"]["state"] == "ended")
            while b"0\r\n\r\n" not in viewer.inbox[-5:]:
                viewer.inbox = viewer.inbox[-5:]
                assert viewer.more()
    assert get(server, "/live/cam/master.m3u8")[0] == 200


def test_what_is_asked_of_a_segment_that_is_being_made(server):
    """Its size is not known, so a range of it is all of it; and HEAD waits for nothing."""
    with Push(server) as push:
        push.send(init(), pictures(4.04))
        await_true(lambda: "cam" in channels(server))
        path = f"/live/cam/muxed/{last_whole(server) + 1}.m4s"
        push.send(pictures(1, 4.04, gop=10**6))
        with server.connect(timeout_s=3) as viewer:  # nothing more comes
            viewer.ask(path, "HEAD")
            assert viewer.head().get("Transfer-Encoding") == "chunked"
            assert viewer.get("/live/channels.json").status == 200
        viewers = [server.connect() for _ in range(3)]
        fields = (["Range: bytes=0-9"], ["Range: bytes=-9"], ["If-None-Match: *"])
        for viewer, field in zip(viewers, fields):
            viewer.ask(path, fields=field)
            assert viewer.head().status == 200
        old = server.connect()
        old.ask(path, version="HTTP/1.0")
        assert push.end()[0] == 204
        for viewer in viewers:
            while not viewer.inbox.endswith(b"\r\n0\r\n\r\n"):
                assert viewer.more()
        assert old.head().get("Connection") == "close"
        assert old.rest() == get(server, path)[2]
        for viewer in [*viewers, old]:
            viewer.socket.close()


def test_a_crowd_that_waits_and_goes(server):
    with Push(server) as push:
        push.send(init(), pictures(4.04))
        await_true(lambda: "cam" in channels(server))
        number = last_whole(server)
        waiting = [server.connect() for _ in range(500)]
        for count, viewer in enumerate(waiting):
            for ahead in range(1 + count % 3):  # some have more to ask behind it
                viewer.ask(f"/live/cam/muxed/index.m3u8?_HLS_msn={number + 2 + ahead % 2}")
        for viewer in waiting[:400]:
            viewer.socket.close()
        server.await_connections(110)
        push.send(pictures(4, 4.04))
        assert push.end()[0] == 204
        for count, viewer in enumerate(waiting[400:]):
            assert [viewer.answer().status for _ in range(1 + (400 + count) % 3)][0] == 200
            viewer.socket.close()


def test_who_reads_nothing_hurts_nobody(server):
    """Whole segments of which nothing is read: others are served, and the channel goes on."""
    with Push(server) as push:
        push.send(init(), pictures(4.04, size=100_000))
        await_true(lambda: "cam" in channels(server))
        lazy = [server.connect(receive_buffer=4096) for _ in range(100)]
        for viewer in lazy:
            viewer.ask(f"/live/cam/muxed/{last_whole(server)}.m4s")
        for second in range(4, 64, 4):
            push.send(pictures(4, second + 0.04, size=100_000))
            begin = time.monotonic()
            status, _, body = get(server, f"/live/cam/muxed/{last_whole(server)}.m4s")
            assert status == 200 and len(body) > 1_000_000
            assert time.monotonic() - begin < 2
        for viewer in lazy:
            viewer.socket.close()


# ---- Publishers ----------------------------------------------------------------------------------

def put(server, path, body, method="PUT", fields=(), version="HTTP/1.1"):
    """(status, text)"""
    with server.connect() as peer:
        peer.ask(path, method, [f"Content-Length: {len(body)}", *fields], version)
        peer.send(body)
        answer = peer.answer()
        return answer.status, answer.body


def test_a_body_may_come_in_any_shape(server):
    """Byte by byte, with a length, from HTTP/1.0, after 100; as one body, and in files."""
    body = init() + pictures(4.04)
    with Push(server, "/live/bytes") as push:
        for at in range(200):
            push.send(body[at:at + 1])
        push.send(body[200:])
        assert push.end()[0] == 204
    with Push(server, "/live/files/init.mp4") as push:
        for at in range(len(init())):
            push.send(init()[at:at + 1])
        assert push.end()[0] == 204
    assert put(server, "/live/files/1.m4s", pictures(4.04))[0] == 204
    assert put(server, "/live/length", body, "POST")[0] == 204
    assert put(server, "/live/old", body, version="HTTP/1.0")[0] == 204
    with server.connect() as peer:
        peer.ask("/live/asked", "PUT", [f"Content-Length: {len(body)}", "Expect: 100-continue"])
        assert peer.head().status == 100
        peer.send(body)
        assert peer.answer().status == 204
    for name in ("bytes", "length", "old", "asked", "files"):
        assert last_whole(server, name), name
    assert put(server, "/live/length/1.m4s", b"", "DELETE")[0] == 204
    for name, status in (("..", 405), ("%00", 405), ("a%00b", 405), ("%ff", 400), ("a%20b", 400),
                         (".x", 400), ("n" * 64, 404), ("x;y", 400)):
        assert put(server, f"/live/{name}", b"")[0] == status, name


def test_files_that_are_none_are_refused_at_once(server):
    """Only what may be a segment waits for its init segment."""
    before = time.monotonic()
    for name in ("x.m4s", "y.ts"):
        assert put(server, f"/live/cam/{name}", b"garbage " * 1000)[0] == 400
    assert put(server, "/live/cam/x.m3u8", b"#" * 5_000_000)[0] == 413
    for stream in range(8):
        assert put(server, f"/live/cam/init-stream{stream}.m4s", init())[0] == 204
    assert put(server, "/live/cam/init-stream8.m4s", init())[0] == 413
    assert time.monotonic() - before < 10


@pytest.mark.long
def test_who_stops_in_the_middle_is_told_and_may_go_on(server):
    with Push(server) as push:
        push.send(init(), pictures(4.04), pictures(1, 4.04)[:700])
        status, text = push.answer(30)
        assert (status, text) == (408, b"Connection timed out\n")
    assert channels(server)["cam"]["state"] == "stalled"
    with Push(server) as push:
        push.send(init(), pictures(4.04))
        await_true(lambda: "#EXT-X-DISCONTINUITY\n" in index_of(server))
        assert push.end()[0] == 204
