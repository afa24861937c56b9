# SPDX-License-Identifier: MIT
"""Live channels: real publishers (ffmpeg, in each way that it can push), what viewers get byte by
byte, requests that wait for what is to come, and publishers that do wrong."""

import base64
import http.client
import json
import re
import socket
import subprocess
import threading
import time

import pytest

from conftest import await_true
from peer import Peer
from players import camera

pytestmark = pytest.mark.mostly_on("epoll")

CAMERA = {"width": 320, "height": 180, "kbit_s": 400}


def get(server, path, headers=None):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def text_of(server, path):
    status, _, body = get(server, path)
    assert status == 200, (path, status, body)
    return body.decode()


def channels(server):
    listed = json.loads(text_of(server, "/live/channels.json"))["channels"]
    return {channel["name"]: channel for channel in listed}


def await_channel(server, name="cam", state="live"):
    return await_true(lambda: (found := channels(server).get(name)) and found["state"] == state
                      and found, 20)


def index_of(server, stream="muxed", query="", name="cam"):
    return text_of(server, f"/live/{name}/{stream}/index.m3u8{query}")


def last_part(index):
    """(segment, part) of the last part that is listed."""
    return [tuple(map(int, found)) for found in
            re.findall(r'EXT-X-PART:DURATION=[\d.]+,URI="(\d+)\.(\d+)\.m4s"', index)][-1]


@pytest.fixture
def server(serve, folder):
    return serve(folder, "--live", "on")


# ---- Ways in -------------------------------------------------------------------------------------

def frames_of(server, name):
    """Frames that ffmpeg finds in the whole channel, of video and audio; and its complaints."""
    found = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries",
         "stream=codec_type,nb_read_frames", "-of", "json",
         f"{server.url}/live/{name}/muxed/index.m3u8"],
        capture_output=True, text=True, timeout=30, check=True)
    return {stream["codec_type"]: int(stream["nb_read_frames"])
            for stream in json.loads(found.stdout)["streams"]}, found.stderr


def publish_film(server, film, name, form, seconds=6):
    """Not in real time: all of it as fast as it is taken."""
    where = [part.format(url=f"{server.url}/live/{name}") for part in camera.FORMS[form]]
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-re", "-i", film,
                    "-t", str(seconds), "-c", "copy", *where], timeout=60, check=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """With B-frames, and audio that begins earlier than video, as encoders do by themselves."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i",
         "testsrc2=size=320x180:rate=25:duration=6", "-f", "lavfi", "-i",
         "sine=frequency=440:sample_rate=48000:duration=6", "-c:v", "libx264", "-g", "50",
         "-pix_fmt", "yuv420p", "-sc_threshold", "0", "-b:v", "300k", "-c:a", "aac", path],
        check=True, timeout=60)
    return path


def test_nothing_is_lost_on_any_way_in(server, clip):
    """All at once, a channel each: what went in comes out, frame by frame, and each channel ends
    with its publisher."""
    forms = ["put", "hls", "dash"]
    threads = [threading.Thread(target=publish_film, args=(server, clip, form, form))
               for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for form in forms:
        await_channel(server, form, "ended")
        frames, complaints = frames_of(server, form)
        assert frames["video"] == 150, (form, frames)
        assert 281 <= frames["audio"] <= 283, (form, frames)
        assert complaints == "", form
        assert "#EXT-X-ENDLIST" in index_of(server, name=form)
        assert 'type="static"' in text_of(server, f"/live/{form}/manifest.mpd")


# ---- What viewers get ----------------------------------------------------------------------------

def test_parts_are_their_segment(server):
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        number, _ = last_part(index_of(server))
        for stream in ("muxed", "video", "audio-1"):
            whole = await_true(lambda: (found := get(
                server, f"/live/cam/{stream}/{number}.m4s"))[0] == 200 and found)
            parts = b""
            for part in range(100):
                status, headers, body = get(server, f"/live/cam/{stream}/{number}.{part}.m4s")
                if status != 200:
                    break
                assert headers["Cache-Control"] == "max-age=3600, immutable"
                parts += body
            assert status == 404 and part >= 8
            assert parts == whole[2]
            status, headers, body = get(server, f"/live/cam/{stream}/{number}.m4s",
                                        {"Range": "bytes=100-299"})
            assert (status, body) == (206, whole[2][100:300])
        muxed, video, audio = (get(server, f"/live/cam/{stream}/{number}.m4s")[2]
                               for stream in ("muxed", "video", "audio-1"))
        assert len(muxed) == len(video) + len(audio)


def test_a_playlist_waits_for_its_part(server):
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        for _ in range(3):
            number, part = last_part(index_of(server))
            begin = time.monotonic()
            index = index_of(server, query=f"?_HLS_msn={number}&_HLS_part={part + 1}")
            assert last_part(index) > (number, part)
            assert time.monotonic() - begin < 3
        # The announced part is held open until it is there.
        hint = re.search(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', await_true(
            lambda: (index := index_of(server)) if "PRELOAD-HINT" in index_of(server) else None))
        assert get(server, f"/live/cam/muxed/{hint[1]}")[0] == 200
        number, part = last_part(index_of(server))
        for query in (f"?_HLS_msn={number + 5}", "?_HLS_part=1", "?_HLS_msn=x",
                      f"?_HLS_msn={number + 1}&_HLS_part=200"):
            assert get(server, f"/live/cam/muxed/index.m3u8{query}")[0] == 400, query
        for path in (f"muxed/{number + 9}.m4s", f"muxed/{number - 1000}.m4s", "muxed/init-1.mp4",
                     f"muxed/{number}.99.m4s", "other/index.m3u8", "muxed/01.m4s"):
            assert get(server, f"/live/cam/{path}")[0] == 404, path


def test_a_segment_is_sent_while_it_is_made(server):
    """As players of low-latency DASH ask: in chunks that come as the parts do."""
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        number, _ = last_part(index_of(server, "video"))
        with Peer(server.address) as peer:
            peer.send(f"GET /live/cam/video/{number + 1}.m4s HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            times, data = [], b""
            while b"\r\n0\r\n\r\n" not in data:
                data += peer.socket.recv(65536)
                times.append(time.monotonic())
        assert b"Transfer-Encoding: chunked" in data
        assert len(times) >= 5 and times[-1] - times[0] > 1
    whole = get(server, f"/live/cam/video/{number + 1}.m4s")[2]
    assert whole[:100] in data


def test_waiting_costs_no_fiber(serve, folder):
    server = serve(folder, "--live", "on", "--threads", "1", "--admin", "127.0.0.1:0")
    admin = await_true(lambda: re.search(r"admin on http://(\S+)", server.stderr()))[1]
    server.expected.append(re.compile("leat serve: admin on"))
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        number, _ = last_part(index_of(server))
        request = (f"GET /live/cam/muxed/index.m3u8?_HLS_msn={number + 1} HTTP/1.1\r\n"
                   "Host: x\r\n\r\n").encode()
        waiting = [socket.create_connection(server.address) for _ in range(200)]
        for connection in waiting:
            connection.sendall(request)

        def parked():
            host, port = admin.split(":")
            connection = http.client.HTTPConnection(host, int(port))
            connection.request("GET", "/metrics")
            metrics = connection.getresponse().read().decode()
            connection.close()
            return 'state="parked"} 200' in metrics and metrics
        metrics = await_true(parked)
        assert int(re.search(r"^leat_fibers\S* (\d+)", metrics, re.M)[1]) < 10
        for connection in waiting:
            connection.settimeout(10)
            assert b"#EXTM3U" in connection.recv(65536)
            connection.close()


# ---- Publishers ----------------------------------------------------------------------------------

def test_who_is_killed_comes_back_to_the_same_channel(server):
    with camera.Camera(f"{server.url}/live/cam", **CAMERA) as first:
        await_channel(server)
        first.kill()
    await_channel(server, state="stalled")
    before = index_of(server)
    assert "#EXT-X-ENDLIST" not in before
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        index = await_true(
            lambda: "#EXT-X-DISCONTINUITY\n" in (found := index_of(server)) and found)
        assert index.count("#EXT-X-MAP") == 1  # the same init
        assert set(re.findall(r"^\d+\.m4s", before, re.M)) <= set(
            re.findall(r"^\d+\.m4s", index, re.M))
        manifest = text_of(server, "/live/cam/manifest.mpd")
        assert manifest.count("<Period ") == 2
    await_channel(server, state="ended")


def test_one_publishes_a_name(server):
    with camera.Camera(f"{server.url}/live/cam", **CAMERA):
        await_channel(server)
        status, reply = put(server, "/live/cam", b"x" * 100)
        assert status == 409 and b"cam is being published by 127.0.0.1" in reply
        status, reply = put(server, "/live/cam/x.m3u8", b"x" * 100)
        assert status == 409
    assert put(server, "/live/channels.json", b"")[0] == 405


def put(server, path, body, headers=None, chunked=False):
    connection = http.client.HTTPConnection(*server.address, timeout=20)
    try:
        connection.request("PUT", path, body=iter([body]) if chunked else body,
                           headers=headers or {}, encode_chunked=chunked)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def box(kind, payload=b"", size=None):
    return (len(payload) + 8 if size is None else size).to_bytes(4, "big") + kind + payload


def test_an_init_segment_may_be_overtaken(server, clip, tmp_path):
    """Each file may come by a connection of its own: a segment waits for what it needs."""
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-i", clip, "-c", "copy",
                    "-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_list_size",
                    "0", tmp_path / "x.m3u8"], check=True, timeout=60)
    answers = []
    early = threading.Thread(target=lambda: answers.append(
        put(server, "/live/cam/x0.m4s", (tmp_path / "x0.m4s").read_bytes())))
    early.start()
    time.sleep(0.3)
    assert put(server, "/live/cam/init.mp4", (tmp_path / "init.mp4").read_bytes())[0] == 204
    early.join()
    assert answers[0][0] == 204
    assert put(server, "/live/cam/x1.m4s", (tmp_path / "x1.m4s").read_bytes()[:5000])[0] == 204
    # Half a file is no reason to lose those behind it.
    assert put(server, "/live/cam/x2.m4s", (tmp_path / "x2.m4s").read_bytes())[0] == 204
    await_channel(server)
    # What comes after something that cannot be read is refused, and the server lives.
    threads = [threading.Thread(target=lambda: answers.append(
        put(server, "/live/cam/x3.m4s", b"\0\0\0\4garbage" * 1000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(400 <= status < 500 for status, _ in answers[1:]), answers
    assert get(server, "/live/cam/master.m3u8")[0] == 200


@pytest.mark.parametrize("body, status", [
    (b"garbage that is no box at all" * 100, 400),
    (box(b"ftyp", b"iso6") + box(b"moov", b"", size=0x7fffffff), 413),
    (box(b"ftyp", b"iso6") + box(b"mdat", b"x" * 1000), 400),
    (box(b"ftyp", b"iso6") + box(b"moov", box(b"mvhd", b"\0" * 100)), 400),
    (box(b"ftyp", b"iso6\0\0\0\0")[:10], 400),
], ids=["garbage", "a moov of 2 GiB", "media without moov", "no track", "half a box"])
def test_garbage_is_told_so(server, body, status):
    found, reply = put(server, "/live/cam", body)
    assert found == status, reply
    assert 5 < len(reply) < 300 and reply.endswith(b"\n")
    assert get(server, "/live/cam/master.m3u8")[0] == 404
    assert put(server, "/live/a/b.ts", b"\x00" * 10_000)[0] in (400, 415)
    assert put(server, "/live/..%2fetc", b"")[0] in (400, 404, 405)
    assert put(server, f"/live/{'x' * 64}", b"")[0] in (400, 404)


def test_a_file_that_is_no_stream_is_refused(server, folder, clip):
    """A whole film, whose samples stand in moov."""
    status, reply = put(server, "/live/cam", clip.read_bytes())
    assert status == 415, reply


def test_keys(serve, folder, tmp_path, clip):
    keys = tmp_path / "keys"
    keys.write_text("# name key\ncam  one two three\n*   master\n")
    server = serve(folder, "--live-keys", str(keys))

    def status(key=None, name="cam", scheme="Bearer"):
        headers = {} if key is None else {"Authorization": f"{scheme} {key}"}
        return put(server, f"/live/{name}", b"nonsense", headers)[0]
    assert status() == 401
    assert status("wrong") == 401
    assert status("one two three") == 400  # the key is right, and the body nonsense
    assert status("one two three", name="other") == 401
    assert status("master", name="other") == 400
    basic = base64.b64encode(b"any:one two three").decode()
    assert status(basic, scheme="Basic") == 400
    assert status("!!!", scheme="Basic") == 401
    with camera.Camera(server.url.replace("http://", "http://me:master@") + "/live/cam", **CAMERA):
        await_channel(server)


@pytest.mark.parametrize("text, complaint", [
    ("cam\n", "line 1 has a name and no key"),
    ("\n# x\n" + "n" * 64 + " key\n", "line 3 has a name that is too long"),
])
def test_keys_that_are_none(folder, tmp_path, text, complaint):
    from conftest import run_leat
    path = tmp_path / "keys"
    path.write_text(text)
    result = run_leat("serve", "--listen", "127.0.0.1:0", "--live-keys", str(path), str(folder))
    assert result.returncode == 2
    assert complaint in result.stderr


def test_without_live_there_is_none(serve, media):
    server = serve(media)
    assert get(server, "/live/channels.json")[0] == 404
    assert put(server, "/live/cam", b"x")[0] == 405
