# SPDX-License-Identifier: MIT
"""2,000 model players (bench/players.c) of a film of 2 Mb/s, paced by leat, on one core of the
server's: does any run empty, do all receive the same, and what share of that core does it take
while all of them play? The players begin within 10 s and play 60 s each with a buffer of 30 s. They
have the other core, and their own figures say whether that was enough: how busy it was, and how
late the latest of all requests was asked."""
import json
import select
import statistics

from . import films_material, generator, laboratory, memory, servers

NAME, KBIT_PER_S = "film-2.mp4", 2000
PLAYERS, PLAYERS_QUICK = 2000, 50
BUFFER_S, BUFFER_QUICK_S = 30, 4
RAMP_S, RAMP_QUICK_S = 10, 0.5
FAIRNESS_TARGET, CPU_PERCENT_TARGET = 0.99, 50
# Beyond these it is the players' core that was measured.
CLIENT_PERCENT_MAX, LATE_MS_MAX = 97, 500


def next_line(process, limit_s):
    ready, _, _ = select.select([process.stdout], [], [], limit_s)
    line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        raise laboratory.Fault("players: "
                               + (process.stderr.read().decode().strip() or "no word from them"))
    return json.loads(line)


def measure(lab, options, engine, count):
    """One round. The CPU time is of when all play: from the last one's begin to the first one's
    end."""
    buffer_s, ramp_s = (BUFFER_QUICK_S, RAMP_QUICK_S) if options.quick else (BUFFER_S, RAMP_S)
    server = films_material.server(options, engine, f"{servers.MANY} --pace auto")
    with lab.serve(server, lab.content()) as running:
        with films_material.Viewer(running.address) as viewer:
            segments = films_material.segments(viewer, NAME)
        process = lab.start_client("players", "-c", str(count), "-d", f"{options.seconds:g}", "-b",
                                   str(buffer_s), "-s", str(films_material.SEGMENT_S), "-r",
                                   str(ramp_s), running.address, f"/{NAME}/muxed",
                                   str(len(segments)))
        before = running.cpu_ns()
        next_line(process, ramp_s + 30)  # all have begun
        with lab.costs(running) as cost:
            line = next_line(process, options.seconds + 30)
        # Where all have failed none ended.
        figures = next_line(process, ramp_s + 60) if "ended" in line else line
        figures["server_cpu_s"] = (running.cpu_ns() - before) / 1e9
        figures["resident"] = memory.resident(running)
        generator.finish_program(process, 10)
    return figures | cost | {
        "cpu_percent": cost["cpu_us"] / cost["elapsed_s"] / 1e4,
        "players_cpu_percent": 100 * figures["cpu_s"] / figures["elapsed_s"],
        "gbit_per_s": figures["bytes"] * 8 / figures["elapsed_s"] / 1e9}


def is_void(figures):
    """Whether the players were themselves too slow to say anything of the server."""
    return figures["client_core_percent"] > CLIENT_PERCENT_MAX or figures["late_ms"] > LATE_MS_MAX


def judge(rounds):
    """Whoever ran empty in any round counts; of the shares of the core the median does. Void rounds
    would show a server with less to do."""
    fit = [figures for figures in rounds if not is_void(figures)]
    result = {"void": len(rounds) - len(fit), "met": False}
    if not fit:
        return result
    result["hungry"] = max(max(figures["emptied"], figures["failed"], figures["unbegun"])
                           for figures in fit)
    result["fairness"] = min(figures["fairness"] for figures in fit)
    result["cpu_percent"] = statistics.median(figures["cpu_percent"] for figures in fit)
    return result | {"met": result["hungry"] == 0 and result["fairness"] >= FAIRNESS_TARGET
                     and result["cpu_percent"] <= CPU_PERCENT_TARGET}


def tell(lab, rounds, result):
    def middle(key):
        return statistics.median(figures[key] for figures in rounds)
    for figures in rounds:
        lowest = figures["lowest_s"]
        lab.say(f"    {figures['emptied']} ran empty ({figures['stalled_s']:.1f} s in all), "
                f"{figures['failed']} failed, {figures['unbegun']} never began; lowest buffer "
                + (f"{lowest:.1f} s" if lowest is not None else "-")
                + f"; first segment after {figures['first_ms'][1]:.1f} ms, at worst "
                f"{figures['first_ms'][2]:.1f} ms")
        if figures["reason"]:
            lab.say(f"    the first failure: {figures['reason']}")
    lab.say(f"    {middle('gbit_per_s'):.2f} Gb/s over all; server's process "
            f"{middle('cpu_percent'):.1f} % of its core while all play, core busy "
            f"{middle('server_core_percent'):.0f} %; resident {middle('resident') / 1e6:.1f} MB")
    lab.say(f"    players {middle('players_cpu_percent'):.1f} % of theirs, core busy "
            f"{middle('client_core_percent'):.0f} %, asked {middle('late_ms'):.1f} ms late at "
            "worst")
    if result["void"]:
        lab.say(f"    {result['void']} of {len(rounds)} rounds are void: the players were too slow")
    if result["void"] == len(rounds):
        lab.say("    targets: NOT MET, for nothing was shown")
        return
    lab.say(f"    targets: none hungry ({result['hungry']}), Jain fairness >= {FAIRNESS_TARGET} "
            f"({result['fairness']:.4f}), CPU <= {CPU_PERCENT_TARGET} % "
            f"({result['cpu_percent']:.1f}): {'met' if result['met'] else 'NOT MET'}")


def run(lab, options):
    count = options.players or (PLAYERS_QUICK if options.quick else PLAYERS)
    memory.need_descriptors(count + 500)
    buffer_s = BUFFER_QUICK_S if options.quick else BUFFER_S
    with films_material.made(lab, options, NAME) as path:
        films_material.encode(lab, path, buffer_s + options.seconds + 10, KBIT_PER_S)
    results = []
    for engine in servers.engines(options):
        rounds = []
        for number in range(options.rounds):
            lab.note(f"{engine}: round {number + 1} of {options.rounds}")
            rounds.append(measure(lab, options, engine, count))
        lab.note("")
        title = f"{count} players of {KBIT_PER_S / 1000:g} Mb/s, engine {engine}"
        lab.say(title)
        result = judge(rounds)
        tell(lab, rounds, result)
        results.append({"title": title, "rounds": rounds, "result": result, "met": result["met"]})
    return results
