# SPDX-License-Identifier: MIT
"""What connections cost in memory. `idle`: 18,000 keep-alive connections that asked once, then
nothing. `waiting`: 10,000 handlers that sleep, each in a fiber (a goroutine of Go's). `rss`: the
most that was resident under 16 parallel downloads of 1 MiB. Bytes each are the difference in
resident memory, before and during, over the number; before it the server has answered a few
requests on one connection, so that code and libraries are there and only connections count. What a
server has set aside at its start is therefore not in the difference: the total is shown as well."""
import statistics
import time

from . import crowds, generator, laboratory, memory, peers, servers
from .generator import Load

IDLE, IDLE_QUICK = 18_000, 500
WAITING, WAITING_QUICK = 10_000, 200
WAIT_MS, WAIT_QUICK_MS = 10_000, 2_000
DOWNLOADS = 16
IDLE_TARGET, RSS_TARGET = 400, 6_000_000
LEAT = f"{servers.LEAT} {servers.MANY}"


def measure(lab, server, mode, count, path, warm_path, limit_s=memory.STABLE_LIMIT_S,
            **arguments):
    with lab.serve(server, lab.content()) as running:
        generator.measure(lab, running.address, Load(warm_path, 1, requests=50))
        before = memory.settled(running)
        start = time.monotonic()
        with crowds.gather(lab, running, mode, count, path, **arguments) as crowd:
            during = memory.settled(running, limit_s)
            measured_s = time.monotonic() - start
    return {"before": before, "during": during, "bytes_each": (during - before) / count,
            "measured_s": measured_s, "crowd": crowd}


def judge(lab, title, figures, targets):
    """A line a server; `targets` is what its bytes each may be at most, of those with a target."""
    lab.say(title)
    results = []
    for name, rounds in figures.items():
        each = [figure["bytes_each"] for figure in rounds]
        middle = statistics.median(each)
        met = None if name not in targets else middle <= targets[name]
        line = (f"    {name:18} {middle:9.0f} bytes each ({min(each):.0f} to {max(each):.0f}, "
                f"{len(each)} rounds); resident {rounds[0]['before'] / 1e6:.1f} MB before, "
                f"{rounds[0]['during'] / 1e6:.1f} MB during")
        lab.say(line + ("" if met is None else
                        f"; target <= {targets[name]:.0f}: {'met' if met else 'NOT MET'}"))
        results.append({"title": f"{title}, {name}", "rounds": rounds, "bytes_each": middle,
                        "met": met})
    return results


def collect(lab, options, sides, measure_one):
    figures = {server.name: [] for server in sides}
    for number in range(options.rounds):
        for server in sides:
            lab.note(f"round {number + 1} of {options.rounds}: {server.name}")
            figures[server.name].append(measure_one(server))
    lab.note("")
    return figures


def subjects(options, default):
    found = []
    for engine in servers.engines(options):
        server = servers.subject(options, engine, default)
        server.name = f"{server.name} {engine}"
        found.append(server)
    return found


def run_idle(lab, options):
    count = IDLE_QUICK if options.quick else IDLE
    memory.need_descriptors(count + 500)
    ours = subjects(options, LEAT)
    sides = [*ours]
    if not options.no_peers:
        sides += [servers.nginx_many(), peers.find(lab, options, "go")]
    sides = [server for server in sides if server is not None]
    figures = collect(lab, options, sides, lambda server: measure(
        lab, server, "idle", count, "/1k.txt", "/1k.txt"))
    return judge(lab, f"{count} idle connections after a request each", figures,
                 {server.name: IDLE_TARGET for server in ours})


def measure_waiting(lab, server, count, wait_ms):
    figures = measure(lab, server, "wait", count, f"/wait/{wait_ms}", "/wait/1",
                      limit_s=wait_ms / 2e3, stays=False)
    crowd = figures["crowd"]
    if figures["measured_s"] > wait_ms / 1e3:
        raise laboratory.Fault(f"{server.name}: memory was still changing when the first handlers "
                               "were done; this host is too busy")
    if crowd["answered"] != count or crowd["secs"] < wait_ms / 1e3:
        raise laboratory.Fault(f"{server.name}: {crowd['answered']} of {count} were answered in "
                               f"{crowd['secs']:.1f} s, want all after {wait_ms / 1e3:.1f} s")
    return figures


def run_waiting(lab, options):
    count = WAITING_QUICK if options.quick else WAITING
    wait_ms = WAIT_QUICK_MS if options.quick else WAIT_MS
    memory.need_descriptors(count + 500)
    ours = subjects(options, servers.ROUTER)
    go = peers.find(lab, options, "go")
    figures = collect(lab, options, ours + ([go] if go else []),
                      lambda server: measure_waiting(lab, server, count, wait_ms))
    targets = {}
    if go:
        limit = statistics.median(figure["bytes_each"] for figure in figures[go.name])
        targets = {server.name: limit for server in ours}
    return judge(lab, f"{count} handlers waiting at once", figures, targets)


def measure_peak(lab, options, server):
    with lab.serve(server, lab.content()) as running:
        figures = generator.measure(lab, running.address,
                                    Load("/1m.bin", DOWNLOADS, options.seconds))
        return figures | {"peak": memory.peak(running), "resident": memory.resident(running)}


def run_rss(lab, options):
    ours = subjects(options, servers.LEAT)
    sides = ours + ([] if options.no_peers else [servers.Nginx("nginx (both processes)")])
    figures = collect(lab, options, sides, lambda server: measure_peak(lab, options, server))
    lab.say(f"peak resident memory under {DOWNLOADS} parallel downloads of 1 MiB")
    results = []
    for server in sides:
        rounds = figures[server.name]
        most = max(figure["peak"] for figure in rounds)
        errors = sum(figure["errors"] for figure in rounds)
        met = None if server not in ours else most <= RSS_TARGET and errors == 0
        lab.say(f"    {server.name:24} {most / 1e6:.2f} MB"
                + ("" if met is None else f"; target <= {RSS_TARGET / 1e6:.0f} MB: "
                   f"{'met' if met else 'NOT MET'}"))
        results.append({"title": server.name, "rounds": rounds, "peak": most, "met": met})
    return results
