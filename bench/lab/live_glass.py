# SPDX-License-Identifier: MIT
"""Glass to glass: a camera films a clock (tests/e2e/players/camera.py), ffmpeg encodes it and
pushes fragments of 200 ms, and players in headless Chromium show it, one after the other. Each
picture shows when it was taken; how old it is when it is shown is read from the picture itself. The
time of the encoder, and of the browser's decoder, is in it. The first SETTLE_S of a player do not
count."""
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import laboratory, live_material, servers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))

from players import browser, camera  # noqa: E402, after the path

SETTLE_S, START_LIMIT_S = 10, 20
PICTURES_PER_S = 25
SEGMENTS_FIRST = 3

# name: (player, page, options, the median that is wanted in seconds; None: it has but to play)
PLAYERS = {
    "ll-hls": ("hls", "master.m3u8", {"hls": {"lowLatencyMode": True}}, 2.0),
    "ll-dash": ("dash", "manifest.mpd", {}, 2.5),
    "hls": ("hls", "master.m3u8", {"hls": {"lowLatencyMode": False}}, None),
    "chromium": ("native", "master.m3u8", {}, None),
}
TITLES = {"ll-hls": "low-latency HLS, hls.js", "ll-dash": "low-latency DASH, dash.js",
          "hls": "ordinary HLS, hls.js", "chromium": "ordinary HLS, Chromium's own"}


def await_channel(driver, url):
    """Until it has segments enough for everybody: Chromium's own HLS gives up on fewer."""
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        playlist = driver.execute_async_script(
            "const [url, done] = arguments;"
            "fetch(url).then(answer => answer.text()).then(done).catch(() => done(''))",
            f"{url}/muxed/index.m3u8")
        if playlist.count("#EXTINF:") >= SEGMENTS_FIRST:
            return
        time.sleep(0.2)
    raise laboratory.Fault(f"{url}: there is no such channel after {START_LIMIT_S} s")


def watch(lab, options, running, driver, name):
    """What a viewer with this player has seen once it had settled."""
    player, page, settings, _ = PLAYERS[name]
    url = f"http://{running.address}"
    with camera.Camera(f"{url}/live/cam", log=subprocess.DEVNULL, fps=PICTURES_PER_S):
        browser.open_page(driver, url)
        await_channel(driver, f"{url}/live/cam")
        number = browser.watch(driver, player, f"{url}/live/cam/{page}", settings)
        time.sleep(2 if options.quick else SETTLE_S)
        first_ms = browser.seen(driver, number)["first_ms"]
        browser.forget(driver, number)
        with lab.costs(running) as cost:
            time.sleep(options.seconds)
        record = browser.seen(driver, number)
        browser.leave(driver, number)
    return figures_of(record, options.seconds) | {"first_ms": first_ms, "cost": cost}


def figures_of(record, seconds):
    ages = sorted(record["latencies_ms"])
    fatal = [note["what"] for note in record["notes"] if note["kind"] == "fatal"]
    figures = {"pictures": len(ages), "shown": len(ages) / (seconds * PICTURES_PER_S),
               "unread": record["unread"], "jumps": record["jumps"], "fatal": fatal,
               "stalls": len(record["stalls"]),
               "stalled_s": sum(stall["seconds"] for stall in record["stalls"]),
               "notes": record["notes"][:20]}
    if ages:
        figures |= {"median_s": statistics.median(ages) / 1e3, "least_s": ages[0] / 1e3,
                    "p99_s": ages[len(ages) * 99 // 100] / 1e3, "most_s": ages[-1] / 1e3}
    return figures


def judge(figures, wanted_s):
    """It plays, and where a latency is wanted it keeps to it and never stalls."""
    if not figures["pictures"] or figures["fatal"]:
        return False
    return wanted_s is None or (figures["median_s"] < wanted_s and figures["stalls"] == 0)


def tell(lab, name, engine, figures, met):
    wanted_s = PLAYERS[name][3]
    lab.say(f"{TITLES[name]}, engine {engine}")
    if figures["fatal"]:
        lab.say(f"    it gave up: {figures['fatal'][0]}")
    if not figures["pictures"]:
        lab.say("    no picture was seen: NOT MET")
        return
    lab.say(f"    glass to glass {figures['median_s']:.2f} s at the median, "
            f"{figures['least_s']:.2f} to {figures['most_s']:.2f}, p99 {figures['p99_s']:.2f}; "
            f"{figures['stalls']} stalls ({figures['stalled_s']:.2f} s), {figures['jumps']} jumps")
    lab.say(f"    {100 * figures['shown']:.0f} % of the pictures shown, {figures['unread']} not "
            f"read; the first after {figures['first_ms'] or 0:.0f} ms; cores busy "
            f"{figures['cost']['server_core_percent']:.0f} and "
            f"{figures['cost']['client_core_percent']:.0f} %")
    wanted = f"median < {wanted_s:g} s, no stall" if wanted_s else "it plays"
    lab.say(f"    target: {wanted}: {'met' if met else 'NOT MET'}")


def names_of(options):
    names = options.players.split(",") if options.players else list(PLAYERS)
    unknown = set(names) - set(PLAYERS)
    if unknown:
        raise laboratory.Fault(f"--players: {', '.join(sorted(unknown))} is none of "
                               + ", ".join(PLAYERS))
    if options.quick and not options.players:
        return names[:1]
    return names


def run(lab, options):
    missing = browser.what_is_missing()
    if missing:
        raise laboratory.Skip(missing)
    lab.tool("ffmpeg")
    browser.lay_page(lab.content())
    results = []
    for engine in servers.engines(options):
        for name in [name for _ in range(options.rounds) for name in names_of(options)]:
            lab.note(f"{engine}: {name}")
            with lab.serve(live_material.server(options, engine), lab.content()) as running, \
                    tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, \
                    browser.opened(profile) as driver:
                figures = watch(lab, options, running, driver, name)
            lab.note("")
            met = judge(figures, PLAYERS[name][3])
            tell(lab, name, engine, figures, met)
            results.append({"player": name, "engine": engine, "met": met, **figures})
    return results
