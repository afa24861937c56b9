# SPDX-License-Identifier: MIT
"""Channels in a store: what was whole is there again after kill -9, SIGTERM and SIGUSR2, byte for
byte, and real publishers go on with the same channel; what has ended becomes a film; and a disk
that is full is told."""

import contextlib
import json
import re
import socket
import statistics
import subprocess
import time
import urllib.parse

import pytest

from conftest import await_true, run_leat
from players import browser, camera
from test_live import await_channel, channels, clip, get, index_of, put, text_of
from test_live_players import LOW_LATENCY, SETTLE_S, chromium
from test_operations import reign

__all__ = ["chromium", "clip", "reign"]

pytestmark = pytest.mark.mostly_on("uring")

SMALL = {"width": 320, "height": 180, "kbit_s": 400}
FOR_EVER = ["-attempt_recovery", "1", "-recover_any_error", "1", "-recovery_wait_time", "0.3",
            "-restart_with_keyframe", "1", "-drop_pkts_on_overflow", "1"]


@pytest.fixture(name="port")
def free_port():
    """Of which a server can be started again."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(name="start")
def starter(serve, folder, tmp_path, port):
    def start(*flags):
        return serve(folder, "--live", "on", "--dvr", "2h", "--live-dir", str(tmp_path / "dvr"),
                     *flags, listens=(f"127.0.0.1:{port}",))
    return start


@contextlib.contextmanager
def recovering_camera(url):
    """ffmpeg that tries again by itself."""
    process = subprocess.Popen(
        ["ffmpeg", "-nostdin", "-loglevel", "fatal",
         "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
         "-re", "-f", "lavfi", "-i", "sine=sample_rate=48000",
         "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50",
         "-pix_fmt", "yuv420p", "-flags", "+global_header", "-c:a", "aac", "-map", "0", "-map", "1",
         "-f", "fifo", "-fifo_format", "mp4", "-format_opts",
         "movflags=frag_keyframe+empty_moov+default_base_moof:frag_duration=200000",
         *FOR_EVER, url])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def listed(index):
    """[(number, is a gap, is a discontinuity)] of the whole segments."""
    found = []
    for block in re.split(r"(?<=\.m4s)\n", index):
        if number := re.search(r"^(\d+)\.m4s$", block, re.M):
            found.append((int(number[1]), "#EXT-X-GAP" in block, "#EXT-X-DISCONTINUITY\n" in block))
    return found


def await_index(server, condition, name="cam"):
    """The playlist, once it is as it should be; while there is none it is not."""
    def look():
        status, _, body = get(server, f"/live/{name}/muxed/index.m3u8")
        return status == 200 and condition(body.decode()) and body.decode()
    return await_true(look, 30)


def await_return(server, count=1):
    """Once a publisher goes on, and has so many segments."""
    return await_index(server, lambda index: "#EXT-X-DISCONTINUITY\n" in index and
                       len(listed(index.split("#EXT-X-DISCONTINUITY\n")[-1])) >= count)


def segments_of(server, count, name="cam"):
    """{number: bytes} of the channel's segments, once it has so many."""
    index = await_index(server, lambda index: len(listed(index)) >= count, name)
    return {number: get(server, f"/live/{name}/muxed/{number}.m4s")[2]
            for number, is_gap, _ in listed(index) if not is_gap}


def check_segments(server, segments):
    for number, data in segments.items():
        for _ in range(2):  # from the disk, and from what is known of it then
            status, _, body = get(server, f"/live/cam/muxed/{number}.m4s")
            assert status == 200 and body == data, number


def times_of(index):
    return re.findall(r"PROGRAM-DATE-TIME:(\S+)", index)


def check_order(index):
    """Numbers are in a row, and times do not fall."""
    numbers = [number for number, _, _ in listed(index)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert int(re.search(r"MEDIA-SEQUENCE:(\d+)", index)[1]) == numbers[0]
    times = times_of(index)
    assert times == sorted(times)


# ---- The end of the process ----------------------------------------------------------------------

def test_a_killed_server_goes_on(start, port):
    """Sealed segments replay, the publisher finds its channel again, and no name is used twice."""
    server = start()
    with recovering_camera(f"http://127.0.0.1:{port}/live/cam"):
        segments = segments_of(server, 2)
        before = index_of(server)
        last = max(segments)
        server.kill()
        server = start()
        check_segments(server, segments)
        stalled = index_of(server)
        assert times_of(stalled)[:2] == times_of(before)[:2]
        sealed = max(number for number, _, _ in listed(stalled))
        assert sealed >= last
        index = await_return(server)
        check_order(index)
        check_segments(server, segments)
        lost = [number for number, is_gap, _ in listed(index) if is_gap]
        assert lost in ([], [sealed + 1])  # whether it died between two segments
        following = sealed + 1 + len(lost)
        assert [number for number, _, is_new in listed(index) if is_new] == [following]
        for number in lost:
            assert get(server, f"/live/cam/muxed/{number}.m4s")[0] == 404
        assert index.count("#EXT-X-MAP") == 1
        manifest = text_of(server, "/live/cam/manifest.mpd")
        assert manifest.count("<Period ") == 2 and f'endNumber="{sealed}"' in manifest
        assert channels(server)["cam"]["state"] == "live"


def places_of(driver):
    """Where each viewer is."""
    return driver.execute_script("return live_viewers.map(viewer => viewer.video.currentTime)")


@pytest.mark.long
@pytest.mark.skipif(bool(browser.what_is_missing()), reason=browser.what_is_missing())
def test_viewers_of_a_killed_server_see_it_again(start, chromium, folder, port):
    """With no hand on their players, across what was lost."""
    browser.lay_page(folder)
    server = start()
    browser.open_page(chromium, server.url)
    with recovering_camera(f"http://127.0.0.1:{port}/live/cam"):
        segments_of(server, 2)
        numbers = {name: browser.watch(chromium, player, f"{server.url}/live/cam/{page}", options)
                   for name, (player, page, options, _) in LOW_LATENCY.items()}
        time.sleep(SETTLE_S)
        server.kill()
        time.sleep(1)
        server = start()
        await_return(server)
        time.sleep(10)
        places = [places_of(chromium) for _ in range(2) if time.sleep(4) is None]
        for name, number in numbers.items():
            notes = browser.seen(chromium, number)["notes"]
            assert 3 < places[1][number] - places[0][number] < 5.5, (name, places, notes)


@pytest.mark.long
def test_a_stopped_server_loses_nothing(start, clip, port):
    """Not even the segment that was in work; and what had ended is seen to its end."""
    server = start()
    assert put(server, "/live/over", fragments_of(clip), chunked=True)[0] == 204
    await_channel(server, "over", "ended")
    with camera.Camera(f"{server.url}/live/cam", **SMALL):
        segments = segments_of(server, 2)
        server.stop()
    server = start()
    index = index_of(server)
    assert len(listed(index)) >= len(segments)
    check_segments(server, segments)
    assert "#EXT-X-ENDLIST" in index_of(server, name="over")
    with camera.Camera(f"{server.url}/live/cam", **SMALL):
        again = await_return(server)
        assert "#EXT-X-GAP" not in again and listed(again)[:len(listed(index))] == listed(index)
        check_order(again)


@pytest.mark.long
def test_who_takes_over_goes_on(reign, folder, tmp_path, port):
    """SIGUSR2: the publisher is sent to the new process, where its channel is."""
    reigning = reign(folder, "--live", "on", "--live-dir", str(tmp_path / "dvr"), "--dvr", "1h",
                     listens=(f"127.0.0.1:{port}",))
    server = reigning.server
    with recovering_camera(f"http://127.0.0.1:{port}/live/cam"):
        segments = segments_of(server, 2)
        reigning.replace()
        await_true(lambda: get(server, "/live/cam/master.m3u8")[0] == 200)
        check_segments(server, segments)
        index = await_return(server)
        assert "#EXT-X-GAP" not in index
        check_order(index)
        check_segments(server, segments)


# ---- Films ---------------------------------------------------------------------------------------

def fragments_of(path):
    """The film as it is pushed."""
    return subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", path, "-c", "copy", "-f", "mp4", "-movflags",
         "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "200000", "-"],
        capture_output=True, check=True, timeout=30).stdout


def streams_of(path):
    found = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries",
         "stream=codec_type,nb_read_frames,duration", "-of", "json", str(path)],
        capture_output=True, text=True, timeout=30, check=True)
    assert found.stderr == ""
    return {stream["codec_type"]: stream for stream in json.loads(found.stdout)["streams"]}


def test_what_has_ended_becomes_a_film(start, clip, folder):
    """It has all that was pushed, and is a film as any other, with its length."""
    server = start("--keep", "on")
    server.expect_on_stderr(r"leat serve: the channel cam has become 'cam [-\d]+ [-\d]+\.mp4'")
    assert put(server, "/live/cam", fragments_of(clip), chunked=True)[0] == 204
    path = await_true(lambda: next(folder.glob("cam *.mp4"), None))
    streams = streams_of(path)
    assert streams["video"]["nb_read_frames"] == "150"
    assert 281 <= int(streams["audio"]["nb_read_frames"]) <= 283
    url = "/" + urllib.parse.quote(path.name)
    info = await_true(lambda: (found := get(server, f"{url}/info.json"))[0] == 200 and
                      json.loads(found[2]))
    assert info["stream"] and 5.9 < info["duration_s"] < 6.2
    assert "#EXTM3U" in text_of(server, f"{url}/master.m3u8")
    streams = streams_of(f"{server.url}{url}/master.m3u8")
    assert streams["video"]["nb_read_frames"] == "150"
    assert not list(folder.glob(".*"))


# ---- Trouble -------------------------------------------------------------------------------------

@pytest.fixture(name="little")
def little_disk(tmp_path):
    path = tmp_path / "little"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "leat-test", path],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_disk_that_is_full(serve, folder, little, port):
    """The publisher is told, what there is can be seen, and with room again it goes on."""
    server = serve(folder, "--live", "on", "--live-dir", str(little), "--dvr", "1h",
                   listens=(f"127.0.0.1:{port}",))
    server.expect_on_stderr(r"leat serve: --live-dir \S+: the channel cam: No space left on device")
    with subprocess.Popen(
            ["ffmpeg", "-nostdin", "-loglevel", "fatal", "-re", "-f", "lavfi", "-i",
             "testsrc2=size=640x360:rate=25,noise=alls=20:allf=t", "-c:v", "libx264", "-preset",
             "ultrafast", "-g", "25", "-b:v", "3M", "-pix_fmt", "yuv420p", "-f", "mp4", "-movflags",
             "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "200000", "-"],
            stdout=subprocess.PIPE) as lens:
        reply = subprocess.run(
            ["curl", "-s", "-T", "-", "-w", "%{http_code}", f"{server.url}/live/cam"],
            stdin=lens.stdout, capture_output=True, check=False, timeout=60).stdout
        lens.kill()
    assert reply.endswith(b"507"), reply
    assert b"--live-dir" in reply and b"No space left on device" in reply
    index = index_of(server)
    for number, is_gap, _ in listed(index):
        assert not is_gap and get(server, f"/live/cam/muxed/{number}.m4s")[0] == 200
    subprocess.run(["mount", "-o", "remount,size=64m", little], check=True)
    with camera.Camera(f"{server.url}/live/cam", **SMALL):
        check_order(await_return(server))


@pytest.mark.parametrize("flags, complaint", [
    (("--dvr", "2h"), "--live on"),
    (("--live", "on", "--dvr", "2h"), "--live-dir DIR"),
    (("--live", "on", "--keep", "on"), "--live-dir DIR"),
    (("--live", "on", "--live-dir", "x", "--dvr", "5s"), "it takes 30s to 24h"),
    (("--live", "on", "--live-dir", "x", "--dvr", "2d"), "it takes 30s to 24h"),
    (("--live", "on", "--live-dir", "x", "--keep", "on", "--root", "a=."), "DIR as an argument"),
])
def test_flags_that_do_not_go_together(folder, flags, complaint):
    directory = [] if "--root" in flags else [str(folder)]
    result = run_leat("serve", *flags, "--listen", "127.0.0.1:0", *directory)
    assert result.returncode == 2 and complaint in result.stderr, result.stderr
