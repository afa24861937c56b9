# SPDX-License-Identifier: MIT
"""The first segment of a film whose index nobody has built yet, while its file is in the page
cache.

One film of two hours, a fresh server each round: how long a player waits for its four answers on
one connection (multivariant playlist, media playlist, init segment, first segment), how much the
server has grown by them, and what it keeps for an hour of film.

Then 100 films of 20 minutes at once, by 100 connections, while others ask for a file of 1 KiB, open
loop: their p99 meanwhile against that before. The others' time is cut so that all of it lies in the
burst. Whoever asks for the films has the lower priority, for both share a core."""
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from . import films_material, generator, laboratory, memory, paired, servers
from .generator import Load

LONG, LONG_S, PIECE_S, LONG_KBIT_PER_S = "long.mp4", 7200, 120, 1000
SHORT_S, SHORT_KBIT_PER_S = 1200, 200
LONG_QUICK_S, SHORT_QUICK_S = 240, 120
FILMS, FILMS_QUICK = 100, 10
ANSWERS = ("master.m3u8", "muxed/index.m3u8", "muxed/init.mp4", "muxed/0.m4s")
MS_TARGET, GROWN_TARGET, HOUR_TARGET, P99_TARGET = 20, 3 << 20, 1.5e6, 2.0
OTHERS, RATE = 32, 2000
BURST_SHARE, OTHERS_LEAST_S = 0.8, 0.1
ADMIN = "127.0.0.1:9100"  # the namespace is our own
INDEX_BYTES = "leat_film_cache_bytes"


def rollup(running, key):
    """Bytes of all the server's processes, as the kernel counts them page by page just now."""
    return sum(int(re.search(rf"^{key}: +(\d+) kB", text, re.M).group(1)) * 1024
               for text in (Path(f"/proc/{pid}/smaps_rollup").read_text()
                            for pid in memory.processes(running)))


def metric(name):
    """A figure of the server's page of metrics."""
    with films_material.Viewer(ADMIN) as viewer:
        page = viewer.get("/metrics").decode()
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.M)
    if found is None:
        raise laboratory.Fault(f"no {name} among the metrics")
    return float(found.group(1))


def make(lab, options):
    """A long film, and as many short ones. Returns (their count, seconds of the long one)."""
    count, long_s, short_s = (FILMS_QUICK, LONG_QUICK_S, SHORT_QUICK_S) if options.quick else \
        (FILMS, LONG_S, SHORT_S)
    films_material.need_space(lab, 125 * (long_s * LONG_KBIT_PER_S
                                          + count * short_s * SHORT_KBIT_PER_S))
    piece = lab.directory / "piece.mp4"
    for name, seconds, kbit_per_s, picture in (
            (LONG, long_s, LONG_KBIT_PER_S, "320x180"),
            ("short-0.mp4", short_s, SHORT_KBIT_PER_S, "160x90")):
        lab.note(f"making {name}")
        films_material.encode(lab, piece, PIECE_S, kbit_per_s, picture)
        with films_material.made(lab, options, name) as path:
            films_material.repeat(lab, piece, seconds // PIECE_S, path)
    for number in range(1, count):
        lab.note(f"making {number + 1} of {count} films")
        first, other = (lab.content() / f"short-{index}.mp4" for index in (0, number))
        if options.premade:
            shutil.copytree(first, other)
        else:
            shutil.copyfile(first, other)
            films_material.settle(other)
    lab.note("")
    return count, long_s


def server(options, engine):
    return films_material.server(options, engine, f"--admin {ADMIN}")


@contextlib.contextmanager
def on_core(core):
    """The laboratory itself is the client here, and must leave the server its core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# -- one film


def measure_one(lab, options, engine):
    with lab.serve(server(options, engine), lab.content()) as running:
        with films_material.Viewer(running.address) as viewer:
            viewer.get("/1k.txt")
        memory.settled(running)
        before = {key: rollup(running, key) for key in ("Rss", "Pss")}
        memory.reset_peak(running)
        took, sizes = {}, {}
        cpu_ns, start = running.cpu_ns(), time.perf_counter()
        with films_material.Viewer(running.address) as viewer:
            for answer in ANSWERS:
                body, took[answer] = viewer.timed(f"/{LONG}/{answer}")
                sizes[answer] = len(body)
            total_ms = (time.perf_counter() - start) * 1e3
        cpu_ns = running.cpu_ns() - cpu_ns
        # What is freed may be kept: the size once it has settled, and the most there was.
        peak = memory.peak(running)
        memory.settled(running)
        grown = {key: rollup(running, key) - before[key] for key in before}
        index = None if options.premade else metric(INDEX_BYTES)
    return {"total_ms": total_ms, "cpu_ms": cpu_ns / 1e6, "took_ms": took, "sizes": sizes,
            "grown": grown["Rss"], "grown_pss": grown["Pss"], "grown_peak": peak - before["Rss"],
            "index": index}


def judge_one(rounds, hours):
    def middle(key):
        return statistics.median(figures[key] for figures in rounds)
    known = all(figures["index"] is not None for figures in rounds)
    result = {"total_ms": paired.summary([figures["total_ms"] for figures in rounds]),
              **{key: middle(key) for key in ("cpu_ms", "grown", "grown_pss", "grown_peak")},
              "per_hour": middle("index") / hours if known else None}
    return result | {"met": result["total_ms"]["median"] <= MS_TARGET
                     and result["grown"] <= GROWN_TARGET
                     and (result["per_hour"] is None or result["per_hour"] <= HOUR_TARGET)}


def tell_one(lab, rounds, result):
    parts = ", ".join(
        f"{answer} {statistics.median(figures['took_ms'][answer] for figures in rounds):.2f}"
        for answer in ANSWERS)
    total = result["total_ms"]
    lab.say(f"    ms: {parts}")
    lab.say(f"    together with connecting {total['median']:.2f} ms (target <= {MS_TARGET}), "
            f"{total['range'][0]:.2f} to {total['range'][1]:.2f} in {total['count']} rounds; CPU "
            f"time of the server {result['cpu_ms']:.2f} ms")
    lab.say(f"    grown by {result['grown'] / 2**20:.2f} MiB resident (target <= "
            f"{GROWN_TARGET / 2**20:.0f}), {result['grown_pss'] / 2**20:.2f} MiB proportional; at "
            f"most meanwhile {result['grown_peak'] / 2**20:.2f} MiB")
    if result["per_hour"] is not None:
        lab.say(f"    index {result['per_hour'] / 1e6:.3f} MB an hour of film (target <= "
                f"{HOUR_TARGET / 1e6:.1f})")
    lab.say(f"    targets: {'met' if result['met'] else 'NOT MET'}")


def run_one(lab, options, seconds):
    rounds = {engine: [] for engine in servers.engines(options)}
    for number in range(options.rounds):
        for engine in rounds:
            lab.note(f"{engine}: round {number + 1} of {options.rounds}")
            rounds[engine].append(measure_one(lab, options, engine))
    lab.note("")
    results = []
    for engine, figures in rounds.items():
        title = f"first segment of a film of {seconds / 3600:g} hours, engine {engine}"
        lab.say(title)
        result = judge_one(figures, seconds / 3600)
        tell_one(lab, figures, result)
        results.append({"title": title, "rounds": figures, "result": result,
                        "met": result["met"]})
    return results


# -- a hundred


def start_burst(lab, running, count):
    """All films' first answers, then all their second ones, and so on."""
    paths = [f"/short-{number}.mp4/{answer}" for answer in ANSWERS for number in range(count)]
    load = Load(paths[0], count, requests=len(paths), then=paths[1:])
    argv = ["nice", "-n", "19", *generator.argv(lab, running.address, load)]
    return lab.spawn(argv, lab.client_core, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE), load


def measure_many(lab, options, engine, count, others_s):
    others = Load("/1k.txt", OTHERS, others_s, rate=RATE)
    with lab.serve(server(options, engine), lab.content()) as running:
        generator.measure(lab, running.address, Load("/1k.txt", OTHERS, requests=500))
        alone = generator.measure(lab, running.address, others)
        before = rollup(running, "Rss")
        process, load = start_burst(lab, running, count)
        beside = generator.measure(lab, running.address, others)
        has_outlasted = process.poll() is None
        burst = generator.finish(process, load)
        return {"alone": alone, "beside": beside, "burst": burst, "others_s": others_s,
                "has_outlasted": has_outlasted, "grown": rollup(running, "Rss") - before}


def run_many(lab, options, count):
    results = []
    for engine in servers.engines(options):
        # How long a burst takes, and so for how long the others are to ask meanwhile.
        took_s = measure_many(lab, options, engine, count, OTHERS_LEAST_S)["burst"]["seconds"]
        others_s = max(OTHERS_LEAST_S, BURST_SHARE * took_s)
        rounds = []
        for number in range(options.rounds):
            lab.note(f"{engine}: round {number + 1} of {options.rounds}")
            rounds.append(measure_many(lab, options, engine, count, others_s))
        lab.note("")
        phases = {"alone": [figures["alone"] for figures in rounds],
                  "beside": [figures["beside"] for figures in rounds]}
        ratio = paired.verdict(paired.ratios(phases, "beside", "alone", "p99"), at_most=P99_TARGET)
        lost = sum(figures["errors"] + figures["unfinished"] for side in phases.values()
                   for figures in side)
        wrong = sum(figures["burst"]["errors"] for figures in rounds)
        title = f"{count} films at once beside {RATE} requests/s, engine {engine}"
        lab.say(title)
        paired.table(lab, phases, [("p50 us", "p50", ".0f"), ("p99 us", "p99", ".0f"),
                                   ("max us", "max", ".0f"), ("requests", "requests", ".0f")])
        burst = [figures["burst"]["seconds"] for figures in rounds]
        outlasted = sum(figures["has_outlasted"] for figures in rounds)
        lab.say(f"    {len(ANSWERS) * count} answers of films in {statistics.median(burst):.2f} s, "
                f"{wrong} wrong; the others asked for {others_s:.2f} s, in {outlasted} of "
                f"{len(rounds)} rounds no longer than that; grown by "
                f"{statistics.median(f['grown'] for f in rounds) / 2**20:.1f} MiB")
        paired.tell(lab, "others' p99, beside / alone", ratio)
        lab.say(f"    lost requests: {lost}")
        results.append({"title": title, "rounds": rounds, "ratio": ratio,
                        "met": ratio["met"] and lost == 0 and wrong == 0})
    return results


def run(lab, options):
    count, seconds = make(lab, options)
    with on_core(lab.client_core):
        one = run_one(lab, options, seconds)
    return one + run_many(lab, options, count)
