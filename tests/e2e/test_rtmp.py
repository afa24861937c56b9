# SPDX-License-Identifier: MIT
"""Publishing over RTMP: ffmpeg, GStreamer, and who does not behave."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import film_maker
from conftest import await_true, is_running
from framehash import decode, probe_tracks
from rtmp_client import AUDIO, VIDEO, Publisher, messages_of

SECONDS = 6
BAD_NAME, DENIED = "NetStream.Publish.BadName", "NetStream.Publish.Denied"
START = "NetStream.Publish.Start"


@pytest.fixture
def studio(serve, folder):
    """studio(*flags): a server that takes RTMP, and where."""
    def start(*flags):
        server = serve(folder, "--rtmp", "127.0.0.1:0", "--threads", "1", *flags)
        server.expect_on_stderr(r"leat serve: publishers on rtmp://127\.0\.0\.1:\d+/live$")
        port = int(re.search(r"publishers on rtmp://127\.0\.0\.1:(\d+)", server.stderr())[1])
        return server, ("127.0.0.1", port)
    return start


def channels(server):
    return {channel["name"]: channel
            for channel in json.loads(server.get("/live/channels.json").body)["channels"]}


def state_of(server, name):
    return channels(server).get(name, {}).get("state")


def playlist_of(server, name):
    answer = server.get(f"/live/{name}/muxed/index.m3u8")
    assert answer.status == 200
    return answer.body.decode()


def record(server, name, path):
    """All there is of a channel that has ended, as a film; its last init segment."""
    playlist = playlist_of(server, name)
    assert "#EXT-X-ENDLIST" in playlist
    init = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', playlist)[-1]
    names = [init] + [line for line in playlist.splitlines() if line and line[0] != "#"]
    path.write_bytes(b"".join(server.get(f"/live/{name}/muxed/{part}").body for part in names))
    return path


def expect_the_same(film, made):
    """The pictures and their distances; the sound; and that both are where they were."""
    pictures, wanted = decode(made), decode(film)
    assert pictures.status == 0 and not pictures.complaints
    assert [frame.hash for frame in pictures.frames] == [frame.hash for frame in wanted.frames]
    moved = {round((frame.time - other.time) * 1000)
             for frame, other in zip(pictures.frames, wanted.frames)}
    assert max(moved) - min(moved) <= 1
    video, audio = probe_tracks(made)
    _, sound = probe_tracks(film, "-ignore_editlist", "1")
    sizes = [packet.size for packet in sound.packets]
    assert [packet.size for packet in audio.packets] == sizes[:len(audio.packets)]
    assert len(sizes) - len(audio.packets) <= 1
    steps = {later.dts - before.dts for before, later in zip(audio.packets, audio.packets[1:])}
    assert len(steps) == 1, "sound jitters"
    assert abs(video.packets[0].pts - audio.packets[0].pts) < 0.2


def push(address, name, *, film=None, rate=(), options=()):
    """ffmpeg, which copies a film to the channel."""
    film = film or film_maker.make(seconds=SECONDS)
    return subprocess.Popen(
        ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", *rate, "-i", str(film), "-c", "copy",
         *options, "-f", "flv", f"rtmp://{address[0]}:{address[1]}/live/{name}"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, complaints = process.communicate(timeout=30)
    return process.returncode, complaints


# ------------------------------------------------------------------------------------- publishers


def test_ffmpeg(studio, tmp_path):
    server, address = studio()
    film = film_maker.make(seconds=SECONDS, bframes=2)
    status, _ = finish(push(address, "cam", film=film))
    assert status == 0
    await_true(lambda: state_of(server, "cam") == "ended")
    assert channels(server)["cam"]["codecs"].startswith("avc1.")
    expect_the_same(film, record(server, "cam", tmp_path / "made.mp4"))


@pytest.mark.mostly_on("uring")
def test_ffmpeg_in_real_time_is_seen_while_it_publishes(studio):
    server, address = studio()
    process = push(address, "cam", rate=["-re"])
    await_true(lambda: state_of(server, "cam") == "live")
    text = playlist_of(server, "cam")
    assert "#EXT-X-PART:" in text and "#EXT-X-ENDLIST" not in text
    assert channels(server)["cam"]["latency_ms"] < 1000
    process.kill()
    process.communicate()


@pytest.mark.mostly_on("uring")
@pytest.mark.skipif(not shutil.which("gst-launch-1.0"), reason="there is no GStreamer")
def test_gstreamer(studio, tmp_path):
    server, address = studio()
    done = subprocess.run(
        ["gst-launch-1.0", "-q", "flvmux", "name=mux", "streamable=true", "!", "rtmp2sink",
         f"location=rtmp://{address[0]}:{address[1]}/live/gst", "sync=false",
         "videotestsrc", "num-buffers=125", "!", "video/x-raw,width=320,height=180,framerate=25/1",
         "!", "x264enc", "key-int-max=50", "speed-preset=ultrafast", "!", "mux.",
         "audiotestsrc", "num-buffers=234", "!", "audio/x-raw,rate=48000,channels=2", "!",
         "voaacenc", "!", "aacparse", "!", "mux."],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    await_true(lambda: state_of(server, "gst") == "ended")
    pictures = decode(record(server, "gst", tmp_path / "made.mp4"))
    assert pictures.status == 0 and not pictures.complaints
    assert len(pictures.frames) == 125


@pytest.mark.mostly_on("epoll")
@pytest.mark.parametrize("codec, fourcc, is_enhanced",
                         [("hevc", "hvc1", True), ("h264", "avc1", True)])
def test_enhanced_rtmp(studio, tmp_path, codec, fourcc, is_enhanced):
    server, address = studio()
    film = film_maker.make(codec=codec, bframes=2, seconds=SECONDS)
    with Publisher(address) as publisher:
        assert publisher.publish("cam")[0] == START
        publisher.set_chunk_size(60000)
        for kind, time_ms, body in messages_of(film, fourcc, is_enhanced):
            publisher.send(publisher.message(kind, body, time_ms))
        assert publisher.end("cam")[0] == "NetStream.Unpublish.Success"
    assert channels(server)["cam"]["codecs"].startswith(fourcc)
    expect_the_same(film, record(server, "cam", tmp_path / "made.mp4"))


@pytest.mark.mostly_on("epoll")
def test_times_wrap_and_chunks_are_small(studio, tmp_path):
    """Times beyond 24 bits, which wrap at 32, in chunks of the smallest size that makes sense."""
    server, address = studio()
    film = film_maker.make(seconds=SECONDS, bframes=2)
    with Publisher(address) as publisher:
        assert publisher.publish("cam")[0] == START
        for kind, time_ms, body in messages_of(film):
            late_ms = (time_ms + 0xFFFFFFFF - 3000) & 0xFFFFFFFF
            publisher.send(publisher.message(kind, body, late_ms))
        assert publisher.end("cam")[0] == "NetStream.Unpublish.Success"
    assert playlist_of(server, "cam").count("#EXT-X-DISCONTINUITY\n") == 0
    expect_the_same(film, record(server, "cam", tmp_path / "made.mp4"))


# ------------------------------------------------------------------------------------- who may not


def test_keys(studio, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("cam secret\n* master\n")
    server, address = studio("--live-keys", str(keys))
    for name in ("cam", "cam?key=wrong", "cam?key=", "cam?key=secre", "cam?key=secret2",
                 "other?key=secret", "cam?kex=secret", "cam?key=" + "x" * 300, "cam?key=\0"):
        with Publisher(address) as publisher:
            assert publisher.publish(name) == (
                DENIED, "that is no key of this channel: NAME?key=KEY")
            assert publisher.is_closed()
    assert channels(server) == {}
    for name in ("cam?key=secret", "other?a=b&key=master&c", "cam?key=master"):
        with Publisher(address) as publisher:
            assert publisher.publish(name)[0] == START
            publisher.end("cam")


def test_one_publisher_a_name(studio):
    server, address = studio()
    messages = messages_of(film_maker.make(seconds=SECONDS))
    with Publisher(address) as first, Publisher(address) as second:
        assert first.publish("cam")[0] == START
        half = len(messages) // 2
        for kind, time_ms, body in messages[:half]:
            first.send(first.message(kind, body, time_ms))
        code, description = second.publish("cam")
        assert code == BAD_NAME and "127.0.0.1:" in description
        assert second.is_closed()
        for kind, time_ms, body in messages[half:]:
            first.send(first.message(kind, body, time_ms))
        assert first.end("cam")[0] == "NetStream.Unpublish.Success"
    assert state_of(server, "cam") == "ended"


def test_refusals_say_why(studio):
    _, address = studio()
    with Publisher(address) as publisher:
        assert publisher.connect("vod") == ("NetConnection.Connect.Rejected",
                                            "the address is rtmp://HOST/live/NAME")
        assert publisher.is_closed()
    with Publisher(address) as publisher:
        assert publisher.connect()[0] == "NetConnection.Connect.Success"
        publisher.call("createStream", 2, None)
        publisher.call("play", 0, None, "cam")
        assert publisher.next_status()[0] == "NetStream.Play.Failed"
        assert publisher.is_closed()
    for name in ("", ".", "a/b", "../x", "x" * 64, "a b", "\0"):
        with Publisher(address) as publisher:
            assert publisher.publish(name)[0] == BAD_NAME, name
            assert publisher.is_closed()
    for kind, body, reason in (
            (AUDIO, b"\x2f\xff", "its sound is MP3, not AAC"),
            (VIDEO, b"\x22\0", "its pictures are Sorenson H.263, not H.264 (AVC) or H.265 (hvc1)"),
            (VIDEO, b"\x17\0\0\0\0junk", "the configuration of its pictures cannot be read"),
            (VIDEO, b"\x17\1\0\0\0\0\0\0\1e",
             "pictures come before their configuration (sequence header)")):
        with Publisher(address) as publisher:
            assert publisher.publish("cam")[0] == START
            publisher.send(publisher.message(kind, body))
            assert publisher.next_status() == ("NetStream.Failed", reason)
            assert publisher.is_closed()


def test_what_is_no_rtmp(studio):
    """It is closed at once, or ignored, and everybody else is served."""
    server, address = studio()
    noise = os.urandom(1 << 16)
    for opening in (b"GET / HTTP/1.1\r\nHost: mill\r\n\r\n", b"\xff" * 5000, b"\x80" + noise,
                    b"SSH-2.0-x\r\n"):
        with Publisher(address) as publisher:
            publisher.send(opening)
            assert publisher.is_closed()
    large = b"\x03\0\0\0\xff\xff\xff\x14\1\0\0\0"
    no_chunk_size = b"\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\0"
    bomb = b"\x03\0\0\0\0\0\x50\x14\0\0\0\0" + b"\x0a\0\0\0\1" * 16
    for behind in (large + noise, b"\x03" + b"\xff" * 4000, b"\xc0" * 300, no_chunk_size, bomb):
        with Publisher(address) as publisher:
            publisher.shake_hands()
            with contextlib.suppress(ConnectionError):
                publisher.send(behind)
            assert publisher.is_closed(), behind[:12]
    for patient in (b"\x16\3\1\2\0\1\0\1\xfc\3\3", b"\3" + bytes(8000), noise):
        with Publisher(address) as publisher, contextlib.suppress(ConnectionError):
            publisher.send(patient)
    with Publisher(address) as publisher:
        assert publisher.publish("cam")[0] == START
    server.await_connections(0)


def test_there_is_a_limit(studio):
    server, address = studio()
    held = [socket.create_connection(address) for _ in range(64)]
    await_true(lambda: server.connections() >= 64)
    with Publisher(address) as publisher:
        assert publisher.is_closed()
    held.pop().close()

    def is_let_in():
        with Publisher(address) as publisher:
            try:
                return publisher.publish("cam")[0] == START
            except (EOFError, ConnectionError):
                return False
    await_true(is_let_in)
    for connection in held:
        connection.close()
    server.await_connections(0)


# -------------------------------------------------------------------------------------- endings


@pytest.mark.mostly_on("uring")
def test_a_publisher_that_was_killed_comes_back(studio):
    server, address = studio()
    process = push(address, "cam", rate=["-re"])
    await_true(lambda: state_of(server, "cam") == "live")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    await_true(lambda: state_of(server, "cam") == "stalled")
    assert "#EXT-X-ENDLIST" not in playlist_of(server, "cam")
    status, _ = finish(push(address, "cam"))
    assert status == 0
    await_true(lambda: state_of(server, "cam") == "ended")
    assert playlist_of(server, "cam").count("#EXT-X-DISCONTINUITY\n") == 1


def test_the_server_ends_and_says_so(studio):
    server, address = studio("--grace-ms", "60000")
    with Publisher(address) as publisher, socket.create_connection(address):
        assert publisher.publish("cam")[0] == START
        for kind, time_ms, body in messages_of(film_maker.make(seconds=SECONDS))[:50]:
            publisher.send(publisher.message(kind, body, time_ms))
        os.kill(server.pid, signal.SIGTERM)
        # by the listener; or by the channel, when another message came first
        assert publisher.next_status() in [
            ("NetStream.Failed", "the server is ending"),
            ("NetStream.Failed", "this server is about to end, come again")]
        assert publisher.is_closed()
        begin = time.monotonic()
        server.stop(0)
        assert time.monotonic() - begin < 7


@pytest.mark.mostly_on("epoll")
def test_a_successor_takes_publishers_over(studio):
    server, address = studio("--admin", "127.0.0.1:0")  # two sockets whose ports nobody named
    server.expect_on_stderr(r"leat serve: admin on http://127\.0\.0\.1:\d+$")
    server.expect_on_stderr(r"leat serve: process \d+ has taken over; \d+ ends")
    with Publisher(address) as publisher:
        assert publisher.publish("cam")[0] == START
        os.kill(server.pid, signal.SIGUSR2)
        assert publisher.next_status() == ("NetStream.Failed", "the server is ending")
    successor = int(re.search(r"process (\d+) has taken over", server.stderr())[1])
    try:
        with Publisher(address) as publisher:
            assert publisher.publish("cam")[0] == START
    finally:
        os.kill(successor, signal.SIGTERM)
    await_true(lambda: not is_running(successor))
    server.stop(0)


@pytest.mark.long
def test_who_is_too_slow_is_sent_away(studio):
    """Half a handshake, a handshake byte by byte, nothing behind it, a publisher that sends no
    media though bytes go on to come."""
    server, address = studio()
    with (Publisher(address, 30) as silent, Publisher(address, 30) as half,
          Publisher(address, 30) as idle, Publisher(address, 30) as slow,
          Publisher(address, 40) as mute):
        half.send(b"\3" + bytes(700))
        assert idle.connect()[0] == "NetConnection.Connect.Success"
        assert mute.publish("cam")[0] == START
        large = mute.message(VIDEO, bytes(100_000))
        begin = time.monotonic()
        sent = 0
        while time.monotonic() - begin < 9:
            slow.send(b"\3")
            mute.send(large[sent:sent + 10])
            sent += 10
            time.sleep(0.1)
        assert server.connections() >= 5
        for publisher in (silent, half, slow):
            assert publisher.is_closed()
        assert idle.next_status() == ("NetStream.Failed", "it did not publish in time")
        assert time.monotonic() - begin < 13
        while time.monotonic() - begin < 19:
            mute.send(large[sent:sent + 10])
            sent += 10
            time.sleep(0.1)
        assert mute.next_status() == ("NetStream.Failed", "nothing came for too long")
        assert time.monotonic() - begin < 23


@pytest.mark.long
def test_many_times_over(studio):
    """Publishers come and go: nothing is left of them."""
    server, address = studio()
    messages = messages_of(film_maker.make(seconds=SECONDS))
    for number in range(200):
        with Publisher(address) as publisher:
            assert publisher.publish("cam")[0] == START
            for kind, time_ms, body in messages[:number]:
                publisher.send(publisher.message(kind, body, number * 10_000 + time_ms))
            if number % 3 == 0:
                publisher.end("cam")
            elif number % 3 == 1:  # reset
                publisher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                            struct.pack("ii", 1, 0))
        server.await_connections(0)
