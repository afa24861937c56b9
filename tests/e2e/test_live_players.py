# SPDX-License-Identifier: MIT
"""Live channels as viewers see them: a camera films a clock, and what Chromium shows of it is read
from the picture: how old it is, and whether it ever stands still."""

import statistics
import time

import pytest

from conftest import await_true
from players import browser, camera
from test_live import channels

pytestmark = [
    pytest.mark.mostly_on("uring"),
    pytest.mark.skipif(bool(browser.what_is_missing()), reason=browser.what_is_missing()),
]

SETTLE_S = 6
# Player, page, options, and how old pictures may be, in seconds. On a machine that runs other tests
# beside them they are older than bench/live.py measures.
LOW_LATENCY = {
    "hls.js": ("hls", "master.m3u8", {"hls": {"lowLatencyMode": True}}, 3),
    "dash.js": ("dash", "manifest.mpd", {}, 3.5),
}
OTHERS = {
    "Shaka, HLS": ("shaka", "master.m3u8", {"shaka": {"streaming": {"lowLatencyMode": True}}}, 3),
    "Shaka, DASH": ("shaka", "manifest.mpd", {"shaka": {"streaming": {"lowLatencyMode": True}}},
                    4),
    "hls.js, ordinary": ("hls", "master.m3u8", {"hls": {"lowLatencyMode": False}}, 10),
    "Chromium": ("native", "master.m3u8", {}, 12),
}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.opened(tmp_path_factory.mktemp("chromium") / "profile") as driver:
        yield driver


@pytest.fixture
def server(serve, folder):
    browser.lay_page(folder)
    return serve(folder, "--live", "on")


def see(driver, server, players, seconds):
    """{name: what its viewer has seen} of a channel, once all have settled."""
    browser.open_page(driver, server.url)
    numbers = {name: browser.watch(driver, player, f"{server.url}/live/cam/{page}", options)
               for name, (player, page, options, _) in players.items()}
    time.sleep(SETTLE_S)
    for number in numbers.values():
        browser.forget(driver, number)
    time.sleep(seconds)
    seen = {name: browser.seen(driver, number) for name, number in numbers.items()}
    for number in numbers.values():
        browser.leave(driver, number)
    return seen


def check(seen, players):
    for name, record in seen.items():
        assert not [note for note in record["notes"] if note["kind"] == "fatal"], (name, record)
        assert record["latencies_ms"], (name, record)
        assert sum(stall["seconds"] for stall in record["stalls"]) < 0.5, (name, record["stalls"])
        median_s = statistics.median(record["latencies_ms"]) / 1000
        assert 0 < median_s < players[name][3], (name, median_s)


def test_low_latency(server, chromium):
    with camera.Camera(f"{server.url}/live/cam"):
        await_true(lambda: "cam" in channels(server), 15)
        check(see(chromium, server, LOW_LATENCY, 6), LOW_LATENCY)


@pytest.mark.long
@pytest.mark.parametrize("form", ["put", "dash", "hls"])
def test_every_player_and_way_in(server, chromium, form):
    late_s = 4 if form == "hls" else 0  # whole segments come in
    everybody = {name: (*what[:3], what[3] + late_s)
                 for name, what in {**LOW_LATENCY, **OTHERS}.items()}
    names = list(everybody)
    with camera.Camera(f"{server.url}/live/cam", form):
        await_true(lambda: "cam" in channels(server), 20)
        for first in range(0, len(names), 2):  # what two cores can decode
            some = {name: everybody[name] for name in names[first:first + 2]}
            check(see(chromium, server, some, 15), some)


@pytest.mark.long
def test_a_camera_that_comes_back(server, chromium):
    """Kill -9 of the publisher: the same viewers see it again, with no hand on their players."""
    players = {name: LOW_LATENCY[name] for name in ("hls.js", "dash.js")}
    browser.open_page(chromium, server.url)
    with camera.Camera(f"{server.url}/live/cam") as first:
        await_true(lambda: "cam" in channels(server), 15)
        numbers = {name: browser.watch(chromium, what[0], f"{server.url}/live/cam/{what[1]}",
                                       what[2]) for name, what in players.items()}
        time.sleep(SETTLE_S)
        first.kill()
    await_true(lambda: channels(server)["cam"]["state"] == "stalled", 15)
    with camera.Camera(f"{server.url}/live/cam"):
        await_true(lambda: channels(server)["cam"]["state"] == "live", 15)
        time.sleep(10)
        for number in numbers.values():
            browser.forget(chromium, number)
        time.sleep(5)
        for name, number in numbers.items():
            record = browser.seen(chromium, number)
            assert len(record["latencies_ms"]) > 40, (name, record)
            assert statistics.median(record["latencies_ms"]) < 10_000, (name, record)
