# SPDX-License-Identifier: MIT
"""A live channel before the judge: a strict client watches it, through a publisher's death and
return, to its end, and llhls_rules finds no rule broken. And its manifest for DASH: a client that
goes by its numbers and the clock gets what they promise."""

import concurrent.futures
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import pytest

import llhls_media
import segment_walker
from conftest import await_true
from llhls_playlist import Playlist, unix_time
from llhls_rules import RULES
from llhls_watch import watch_channel
from test_playlist_parsers import MISSING, parse

pytestmark = [
    pytest.mark.mostly_on("epoll"),
    pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed"),
]

SLACK_S = 0.4  # publisher, server and client share what cores there are
ADVICE = {
    "text-is-packed",       # a part's worth of a playlist is less than a packet
    "hints-are-kept",       # the first keyframes of a channel come when they come
}
HINTS_THAT_FAIL = 4  # of all that are given
NOT_IN_SHORT = {  # the window is 30 s, and must have gone on by it
    "window-is-long", "old-segments-are-there", "discontinuities-are-counted",
    # of playlists that say EXT-X-INDEPENDENT-SEGMENTS
    "segments-are-independent",
}
OUTAGE = {"parts-come-in-time", "segments-come-in-time"}


class Camera:
    """ffmpeg that films in real time and pushes it by PUT."""

    def __init__(self, server, fps="30000/1001", gop=60, seconds=600):
        self.process = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-loglevel", "error",
             "-re", "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={fps}",
             "-re", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", str(seconds),
             "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(gop),
             "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "mp4",
             "-movflags", "frag_keyframe+empty_moov+default_base_moof",
             "-frag_duration", "100000", "-method", "PUT", f"{server.url}/live/cam"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def is_there(url):
    try:
        return get(url)
    except urllib.error.HTTPError:
        return None


@pytest.fixture(name="server")
def live_server(serve, folder):
    return serve(folder, "--live", "on", "--threads", "1")


def judged(report, idle):
    """No rule is broken, and none had nothing to look at but these."""
    assert not report.broken, report.text()
    assert {one.rule.name for one in report.advice} <= ADVICE, report.text()
    assert set(report.idle) <= idle, report.text()
    failed = [one for one in report.advice if one.rule.name == "hints-are-kept"]
    assert len(failed) <= HINTS_THAT_FAIL, report.text()


def test_a_channel_keeps_the_rules(server):
    url = f"{server.url}/live/cam/master.m3u8"
    with Camera(server, seconds=22):  # of more than six target durations something is skipped
        await_true(lambda: is_there(url), 20)
        report = watch_channel(url, 40, SLACK_S)
    judged(report, NOT_IN_SHORT)


def test_a_publisher_that_comes_back_breaks_none(server):
    """But those that say how soon something new comes."""
    url = f"{server.url}/live/cam/master.m3u8"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with Camera(server):
            await_true(lambda: is_there(url), 20)
            watching = pool.submit(watch_channel, url, 60, SLACK_S)
            time.sleep(6)
        time.sleep(1)
        with Camera(server, fps=25, gop=50, seconds=8):
            report = watching.result()
    report.broken = [one for one in report.broken if one.rule.name not in OUTAGE]
    judged(report, set(RULES) - {"discontinuities-are-counted", "discontinuity-numbers-stay"})


@pytest.mark.long
def test_a_window_that_moves_on_breaks_none(server):
    url = f"{server.url}/live/cam/master.m3u8"
    with Camera(server, seconds=80):
        await_true(lambda: is_there(url), 20)
        report = watch_channel(url, 120, SLACK_S)
    judged(report, {"discontinuities-are-counted", "segments-are-independent"})


@pytest.mark.skipif(bool(MISSING) or not shutil.which("node"),
                    reason=f"not installed by scripts/install-deps test: {', '.join(MISSING)}")
def test_parsers_of_others_read_it(server):
    """m3u8-parser and hls-parser (strict, which asks for a hint) of npm."""
    url = f"{server.url}/live/cam/muxed/index.m3u8"
    with Camera(server):
        await_true(lambda: is_there(url), 20)
        text = await_true(lambda: b"PRELOAD-HINT" in (found := get(url)) and found.decode())
    playlist = Playlist(text)
    for seen in parse("hls", url, text).values():
        whole = [segment for segment in seen["segments"] if "duration" in segment]
        assert [(one["url"], one["duration"]) for one in whole] == [
            (urllib.parse.urljoin(url, one.uri), one.duration)
            for one in playlist.segments if one.is_whole]


# ---- DASH ----------------------------------------------------------------------------------------

def manifest_of(server):
    text = get(f"{server.url}/live/cam/manifest.mpd")
    subprocess.run(["xmllint", "--noout", "--nonet", "-"], input=text, timeout=30, check=True)
    return ET.fromstring(text)


def templates_of(mpd):
    """(Period, stream, its SegmentTemplate's attributes)"""
    for period in mpd.findall("{*}Period"):
        for one in period.findall("{*}AdaptationSet"):
            yield (period, one.find("{*}Representation").get("id"),
                   one.find("{*}SegmentTemplate").attrib)


def seconds(duration):
    return float(re.fullmatch(r"PT([\d.]+)S", duration)[1])


def begin_of(server, template, number):
    """When the first sample of a segment is decoded."""
    base = f"{server.url}/live/cam/"
    init = segment_walker.Init(get(base + template["initialization"]))
    data = is_there(base + template["media"].replace("$Number$", str(number)))
    assert data, f"segment {number} is not there"
    return float(llhls_media.read_fragments(init, data)[0].begin)


def check_segment(server, template, number):
    """It begins within half a segment of where its number has it (section 7.2.1)."""
    scale, lasts = int(template["timescale"]), int(template["duration"])
    wanted = int(template["presentationTimeOffset"]) + \
        (number - int(template["startNumber"])) * lasts
    begin = begin_of(server, template, number)
    assert abs(begin - wanted / scale) < lasts / scale / 2, f"segment {number} begins at {begin} s"


@pytest.mark.skipif(not shutil.which("xmllint"), reason="xmllint is not installed")
def test_numbers_and_the_clock_find_segments(server):
    with Camera(server, seconds=16) as camera:
        await_true(lambda: is_there(f"{server.url}/live/cam/manifest.mpd"), 20)
        mpd = manifest_of(server)
        assert mpd.get("type") == "dynamic"
        for _ in range(3):
            for period, _, template in templates_of(mpd):
                check_newest(server, mpd, period, template)
        camera.process.wait(30)
    await_true(lambda: manifest_of(server).get("type") == "static", 20)
    mpd = manifest_of(server)
    for period, _, template in templates_of(mpd):
        for number in range(int(template["startNumber"]), int(template["endNumber"]) + 1):
            check_segment(server, template, number)
        assert seconds(period.get("start")) + seconds(period.get("duration")) == \
            pytest.approx(seconds(mpd.get("mediaPresentationDuration")), abs=1e-3)


def check_newest(server, mpd, period, template):
    """The next segment can be asked for from the moment on that the manifest tells, by the clock
    that it names (sections 5.3.9.5, 5.8.4.11)."""
    lasts = int(template["duration"]) / int(template["timescale"])
    early = float(template["availabilityTimeOffset"])
    clock = urllib.parse.urljoin(f"{server.url}/live/cam/", mpd.find("{*}UTCTiming").get("value"))
    begin = unix_time(mpd.get("availabilityStartTime")) + seconds(period.get("start"))
    ahead = unix_time(get(clock).decode()) - time.time()
    index = int((time.time() + ahead - begin + early) / lasts)
    time.sleep(max(0, begin + (index + 1) * lasts - early - time.time() - ahead))
    sent = time.monotonic()
    check_segment(server, template, int(template["startNumber"]) + index)
    assert time.monotonic() - sent < lasts + SLACK_S, "it came later than it was made"
