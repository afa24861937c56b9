#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two viewers behind one link: what pacing changes for them.

Each viewer is a player of the web in headless Chromium with connections of its own; the server is
`leat serve` in a network namespace, and a token bucket of --link kilobits a second lets its bytes
out (veth, MTU 1500, a queue of 100 ms, reno). Rounds alternate between --pace auto and --pace off.
Told per variant: what the server's TCP had to send again, the rate of the video segments that were
loaded (the quality), how often that changed, and for how long pictures stood still.

Usage: bench/films_two_players.py [--build build] [--players hls,dash] [--seconds 45] [--rounds 3]
Needs root, and what `scripts/install-deps test` installs.
"""

import argparse
import contextlib
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from players import browser, films, link  # noqa: E402, after the path

MANIFESTS = {"hls": "master.m3u8", "shaka": "manifest.mpd", "dash": "manifest.mpd"}
PACES = ("auto", "off")
SEGMENT = re.compile(r"/film-(\d+)\.mp4/(?:video|muxed)/\d+\.m4s$")
AUDIO_K = 96
FREE_K = 100_000  # while the page itself is loaded


def make_ladder(folder, rates_k, seconds):
    """Rungs from the best down; returns {height: kilobits a second}."""
    rungs = {}
    for number, rate_k in enumerate(sorted(rates_k, reverse=True)):
        height = 360 - 90 * number
        films.make_rung(folder / f"film-{height}.mp4", height, rate_k - AUDIO_K, seconds)
        rungs[height] = rate_k
    browser.lay_page(folder)
    return rungs


@contextlib.contextmanager
def serving(options, folder, line, pace):
    """leat serve on two ports, so that the viewers share no connection; their URLs."""
    command = [*line.prefix, str(options.build / "apps" / "leat" / "leat"), "serve", "--pace", pace,
               "--cors", "*", "--timing-allow-origin", "*"]
    for _ in range(2):
        command += ["--listen", f"{line.address}:0"]
    server = subprocess.Popen([*command, str(folder)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = [server.stdout.readline() for _ in range(2)]
        if not all(line.startswith("listening on ") for line in lines):
            sys.exit(f"films_two_players: leat serve --pace {pace} does not listen")
        yield [line.split()[-1] for line in lines]
    finally:
        server.terminate()
        server.wait()


def figures_of(driver, url, number, rungs):
    """What one viewer saw."""
    record = browser.state(driver, number)["record"]
    loaded = [rungs[int(match[1])] for address, _, _ in browser.fetched(driver)
              if address.startswith(url) and (match := SEGMENT.search(address))]
    waits = [wait for wait in record["waits"] if wait["phase"] == "play" and wait["ahead_s"] < 0.5]
    return {"quality_k": statistics.mean(loaded) if loaded else 0, "segments": len(loaded),
            "switches": sum(a != b for a, b in zip(loaded, loaded[1:])), "stalls": len(waits),
            "stalled_s": sum(wait["seconds"] for wait in waits), "start_s": record["started_s"],
            "fatal": [note["what"] for note in record["notes"] if note["kind"] == "fatal"]}


def one_round(options, folder, rungs, player, pace):
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(link.joined())
        line.cap(FREE_K)
        urls = stack.enter_context(serving(options, folder, line, pace))
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        driver = stack.enter_context(browser.opened(profile))
        browser.open_page(driver, urls[0])
        line.cap(options.link)
        before = line.counters()
        viewers = [browser.begin(driver, player, f"{url}/film/{MANIFESTS[player]}",
                                 {"buffer_s": options.buffer, "length_s": 1}) for url in urls]
        time.sleep(options.seconds)
        after = line.counters()
        seen = [figures_of(driver, url, number, rungs) for url, number in zip(urls, viewers)]
    for viewer in seen:
        if viewer["fatal"]:
            sys.exit(f"films_two_players: {player} gave up: {viewer['fatal']}")
    sent, again = (after[key] - before[key] for key in ("segments", "again"))
    return {"sent": sent, "again": again, "again_percent": 100 * again / max(1, sent),
            "quality_k": statistics.mean(viewer["quality_k"] for viewer in seen),
            "worst_k": min(viewer["quality_k"] for viewer in seen),
            "start_s": max(viewer["start_s"] or options.seconds for viewer in seen),
            **{key: sum(viewer[key] for viewer in seen)
               for key in ("segments", "switches", "stalls", "stalled_s")}}


COLUMNS = (("again", "sent again", "{:.0f}"), ("again_percent", "% of segments", "{:.2f}"),
           ("quality_k", "quality kbit/s", "{:.0f}"), ("worst_k", "worse viewer", "{:.0f}"),
           ("switches", "switches", "{:.0f}"), ("start_s", "start s", "{:.2f}"),
           ("stalls", "stalls", "{:.0f}"), ("stalled_s", "stalled s", "{:.1f}"))


def show(player, rounds):
    """Medians over the rounds, with the least and the greatest where there are several."""
    print(f"\n{player}: " + ", ".join(title for _, title, _ in COLUMNS))
    for pace in PACES:
        cells = []
        for key, _, form in COLUMNS:
            values = sorted(figures[key] for figures in rounds[pace])
            cell = form.format(statistics.median(values))
            if values[0] != values[-1]:
                cell += f" ({form.format(values[0])}-{form.format(values[-1])})"
            cells.append(cell)
        print(f"  --pace {pace:<5} " + "  ".join(f"{cell:>18}" for cell in cells), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--players", default="hls,dash", help="of hls, shaka, dash")
    parser.add_argument("--seconds", type=float, default=45, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each variant")
    parser.add_argument("--link", type=int, default=8000, help="kilobits a second")
    parser.add_argument("--buffer", type=float, help="seconds in advance that players aim at "
                        "(default: what their makers think is right)")
    parser.add_argument("--rungs", default="3000,1500,700", help="kilobits a second, at most three")
    parser.add_argument("--json", type=pathlib.Path, help="all rounds, to this file")
    options = parser.parse_args()
    options.players = options.players.split(",")
    options.rungs = [int(rate) for rate in options.rungs.split(",")]
    if not set(options.players) <= set(MANIFESTS) or not 1 <= len(options.rungs) <= 3:
        parser.error(f"players are {', '.join(MANIFESTS)}; rungs one to three")
    return options


def main():
    options = parse_arguments()
    # Ends what it has started, also when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    missing = browser.what_is_missing() or link.what_is_missing()
    if missing:
        sys.exit(f"films_two_players: {missing}")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # A player that keeps a minute in advance is not to come to the end.
        rungs = make_ladder(folder, options.rungs, int(2 * options.seconds) + 60)
        print(f"two viewers, {options.link} kbit/s, rungs {options.rungs}, {options.rounds} rounds "
              f"of {options.seconds:g} s; medians (least-greatest)")
        for player in options.players:
            results[player] = {pace: [] for pace in PACES}
            for number in range(options.rounds):
                for pace in PACES if number % 2 == 0 else reversed(PACES):
                    results[player][pace].append(one_round(options, folder, rungs, player, pace))
            show(player, results[player])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
