# SPDX-License-Identifier: MIT
"""1,000 model viewers of low-latency HLS (bench/live_viewers.c) of a channel of 2 Mb/s, on one core
of the server's: does anybody stall or miss a part, how long after it was published is a part at
those who wait for it, and what share of that core does it take? Then the same with fewer under
strace: how often each part was written. And one viewer of an idle server: what a part's way through
it takes.

The viewers, who also publish, have the other core. A part's time ends when the kernel has its last
byte at the viewer's socket; when the viewers' core comes to read it is told beside it."""
import json
import re
import select
import statistics
import subprocess

from . import generator, laboratory, live_material, memory, servers
from .films_segment import whole_calls

NAME = "cam"
VIEWERS, VIEWERS_QUICK, VIEWERS_TRACED = 1000, 40, 20
RAMP_S, RAMP_QUICK_S, LEAD_S, SETTLE_S, GRACE_S = 10, 0.5, 4, 1, 1
TRACED_S = 3
MEDIAN_TARGET_MS, P99_TARGET_MS, IDLE_TARGET_MS = 5, 20, 1
WRITTEN_SLACK = 0.03
CLIENT_PERCENT_MAX, LATE_MS_MAX = 97, 100  # beyond these it is the viewers' core that was measured


def next_line(process, limit_s):
    ready, _, _ = select.select([process.stdout], [], [], limit_s)
    line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        raise laboratory.Fault("live_viewers: "
                               + (process.stderr.read().decode().strip() or "no word from them"))
    return json.loads(line)


def film(lab, ramp_s, seconds):
    path = lab.directory / "live.mp4"
    live_material.record(lab, path, LEAD_S + ramp_s + SETTLE_S + seconds + GRACE_S + 2)
    return path


def start(lab, running, path, count, ramp_s, seconds):
    return lab.start_client("live_viewers", "-c", str(count), "-d", f"{seconds:g}", "-r",
                            f"{ramp_s:g}", "-l", str(LEAD_S), running.address, NAME, str(path))


def measure(lab, options, engine, path, count, ramp_s):
    """One round. The CPU time is of when all watch."""
    with lab.serve(live_material.server(options, engine), lab.content()) as running:
        process = start(lab, running, path, count, ramp_s, options.seconds)
        line = next_line(process, LEAD_S + ramp_s + 30)
        cost = {}
        if "begun" in line:
            with lab.costs(running) as cost:
                line = next_line(process, options.seconds + 30)
        if "ended" not in line:
            raise laboratory.Fault(f"live_viewers: all have failed: {line['reason']}")
        figures = next_line(process, 30)
        figures["resident"] = memory.resident(running)
        generator.finish_program(process, 10)
    answers = figures["parts_ms"]["count"] + figures["playlists_ms"]["count"]
    return figures | cost | {
        "cpu_percent": cost["cpu_us"] / cost["elapsed_s"] / 1e4,
        "cpu_us_per_answer": cost["cpu_us"] / max(1, answers),
        "gbit_per_s": figures["bytes"] * 8 / options.seconds / 1e9}


def bare(lab, count, figures):
    """What the kernel alone takes for a part to so many: (us each, ms until half have it)."""
    size = figures["bytes"] // max(1, figures["parts_ms"]["count"])
    process = lab.spawn([lab.bin / "fanout", "-c", count, "-s", size, "-p", lab.client_core],
                        lab.server_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    middle = json.loads(generator.finish_program(process, 30))["us_each"][1]
    return middle, middle * count / 2e3


def rounds_of(lab, options, engine, path, count, ramp_s):
    rounds = []
    for number in range(options.rounds):
        lab.note(f"{engine}: round {number + 1} of {options.rounds}")
        rounds.append(measure(lab, options, engine, path, count, ramp_s))
    lab.note("")
    return rounds


def is_void(figures):
    """Whether the viewers were themselves too slow to say anything of the server."""
    return figures["client_core_percent"] > CLIENT_PERCENT_MAX \
        or figures["late_ms"] > LATE_MS_MAX


def judge(rounds):
    """Whoever stalls in any round counts; of times the median over rounds does."""
    fit = [figures for figures in rounds if not is_void(figures)]
    result = {"void": len(rounds) - len(fit), "met": False}
    if not fit:
        return result
    result["lost"] = max(sum(figures[key] for key in
                             ("failed", "unbegun", "stalled", "missed", "mismatched"))
                         for figures in fit)
    # Without a single part there is no time of one.
    for key in ("p50", "p99"):
        result[key] = statistics.median(figures["parts_ms"].get(key, float("inf"))
                                        for figures in fit)
    return result | {"met": result["lost"] == 0 and result["p50"] <= MEDIAN_TARGET_MS
                     and result["p99"] <= P99_TARGET_MS}


def times(figures):
    return (f"median {figures['p50']:.2f} ms, p99 {figures['p99']:.2f}, at worst "
            f"{figures['max']:.2f}") if figures["count"] else "none"


def tell_round(lab, figures):
    lowest = figures["lowest_s"]
    held, listed = figures["held_ms"], figures["listed_ms"]
    lab.say(f"    parts: {times(figures['parts_ms'])}; {figures['stalled']} stalled, "
            f"{figures['failed']} failed, {figures['missed']} parts missed; lowest buffer "
            + (f"{lowest:.2f} s" if lowest is not None else "-"))
    lab.say(f"        {held['count']} announced and waited for: {times(held)}; {listed['count']} "
            f"asked for once listed: {times(listed)}")
    lab.say(f"        playlists: {times(figures['playlists_ms'])}; parts read by the viewers: "
            f"{times(figures['read_ms'])}")
    if figures["reason"]:
        lab.say(f"    the first failure: {figures['reason']}")


def tell_costs(lab, rounds):
    def middle(key):
        return statistics.median(figures[key] for figures in rounds)
    lab.say(f"    {middle('gbit_per_s'):.2f} Gb/s; server's process {middle('cpu_percent'):.1f} % "
            f"of its core, {middle('cpu_us_per_answer'):.1f} us an answer, core busy "
            f"{middle('server_core_percent'):.0f} %; resident {middle('resident') / 1e6:.1f} MB")
    lab.say(f"    the viewers' core busy {middle('client_core_percent'):.0f} %, published "
            f"{middle('late_ms'):.1f} ms late at worst")


def tell(lab, rounds, result):
    for figures in rounds:
        tell_round(lab, figures)
    tell_costs(lab, rounds)
    if result["void"]:
        lab.say(f"    {result['void']} of {len(rounds)} rounds are void: the viewers were too slow")
    if result["void"] == len(rounds):
        lab.say("    targets: NOT MET, for nothing was shown")
        return
    lab.say(f"    targets: none stalls, fails or misses a part ({result['lost']}), median <= "
            f"{MEDIAN_TARGET_MS} ms ({result['p50']:.2f}), p99 <= {P99_TARGET_MS} ms "
            f"({result['p99']:.2f}): {'met' if result['met'] else 'NOT MET'}")


# -- each part is written once


def read_trace(text):
    """What became of a channel's memory: how many writes, of how many bytes, how many of those
    twice; how many bytes were sent from it, and read."""
    counts = {"writes": 0, "written": 0, "twice": 0, "sent": 0, "read": 0}
    ranges = {}  # of a descriptor: what of its memory was written
    for call in whole_calls(text):
        created = re.match(r"memfd_create\(.*\) = (\d+)", call)
        if created:
            ranges[created.group(1)] = []
        done = re.match(r"(\w+)\((\d+)<[^>]*>(.*)\) = (\d+)$", call)
        if not done:
            continue
        name, descriptor, rest, size = *done.groups()[:3], int(done.group(4))
        source = re.match(r", (\d+)</memfd:", rest)
        if name == "sendfile" and source:
            counts["sent"] += size
        elif f"{name}({descriptor}</memfd:" not in call:
            continue
        elif name == "pwrite64":
            begin = int(rest.rsplit(", ", 1)[1])
            past = ranges.setdefault(descriptor, [])
            counts["twice"] += sum(max(0, min(begin + size, high) - max(begin, low))
                                   for low, high in past)
            past.append((begin, begin + size))
            counts["writes"] += 1
            counts["written"] += size
        elif "write" in name:
            raise laboratory.Fault(f"another way to write: {call}")
        elif "read" in name:
            counts["read"] += size
    return counts


def trace(lab, options, engine, path):
    log = lab.directory / f"strace-{engine}"
    wrapper = [lab.tool("strace"), "-f", "-y", "-qq", "-s", "0", "-e",
               "trace=memfd_create,sendfile,/.*write.*,/.*read.*", "-o", log]
    with lab.serve(live_material.server(options, engine), lab.content(),
                   wrapper=wrapper) as running:
        process = start(lab, running, path, VIEWERS_TRACED, 0.5, min(TRACED_S, options.seconds))
        figures = json.loads(generator.finish_program(process, LEAD_S + TRACED_S + 30)
                             .splitlines()[-1])
    counts = read_trace(log.read_text())
    pushed, ratio = figures["pushed"], counts["written"] / figures["pushed_bytes"]
    # What differs are the boxes around the samples, and what had not come to a part at the end.
    met = counts["twice"] == 0 and counts["read"] == 0 and abs(ratio - 1) <= WRITTEN_SLACK \
        and counts["sent"] > counts["written"]
    title = f"strace, {VIEWERS_TRACED} viewers, engine {engine}"
    each = counts["writes"] / pushed
    lab.say(f"{title}: {pushed} parts published, {each:.2f} writes each (heads "
            f"and bodies of video and sound), {ratio:.3f} times the bytes pushed, "
            f"{counts['twice']} of them twice; {counts['sent'] / counts['written']:.1f} times as "
            f"much sent from there by sendfile, {counts['read']} bytes read: written once "
            + ("met" if met else "NOT MET"))
    return {"title": title, "counts": counts, "pushed": pushed,
            "pushed_bytes": figures["pushed_bytes"], "met": met}


# -- the experiments


def run(lab, options):
    count = options.viewers or (VIEWERS_QUICK if options.quick else VIEWERS)
    memory.need_descriptors(2 * count + 500)
    ramp_s = RAMP_QUICK_S if options.quick else RAMP_S
    path = film(lab, ramp_s, max(options.seconds, TRACED_S))
    results = []
    for engine in servers.engines(options):
        rounds = rounds_of(lab, options, engine, path, count, ramp_s)
        kbit_per_s = live_material.PICTURE_K + live_material.SOUND_K
        title = f"{count} viewers of {kbit_per_s / 1000:g} Mb/s, parts of " \
            f"{live_material.PART_MS} ms, engine {engine}"
        lab.say(title)
        result = judge(rounds)
        tell(lab, rounds, result)
        each_us, half_ms = bare(lab, count, rounds[-1])
        lab.say(f"    a bare loop of send and sendfile takes {each_us:.1f} us a viewer: half of "
                f"them would have a part after {half_ms:.2f} ms")
        result |= {"bare_us": each_us, "bare_median_ms": half_ms}
        results.append({"title": title, "rounds": rounds, "result": result, "met": result["met"]})
        results.append(trace(lab, options, engine, path))
    return results


def run_latency(lab, options):
    path = film(lab, 0, options.seconds)
    results = []
    for engine in servers.engines(options):
        rounds = rounds_of(lab, options, engine, path, 1, 0)
        title = f"one viewer, engine {engine}"
        lab.say(title)
        for figures in rounds:
            tell_round(lab, figures)
        tell_costs(lab, rounds)
        median = statistics.median(figures["parts_ms"].get("p50", float("inf"))
                                   for figures in rounds)
        met = median <= IDLE_TARGET_MS and not any(figures["failed"] for figures in rounds)
        lab.say(f"    target: median <= {IDLE_TARGET_MS} ms ({median:.2f}): "
                f"{'met' if met else 'NOT MET'}")
        results.append({"title": title, "rounds": rounds, "median_ms": median, "met": met})
    return results
