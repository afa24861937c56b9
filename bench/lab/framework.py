# SPDX-License-Identifier: MIT
"""What a user of the framework pays: leat's router with a middleware around every handler, and Date
(bench/router_1k.c), beside bare servers, nginx and hyper. 1 KiB: from memory and as a file, both
engines, CPU time a request. 1 MiB: a file, GB/s against bare sendfile, CPU time against nginx and
hyper. All sides of a size take turns in the same rounds."""
import statistics

from . import paired, peers, servers, small

COLUMNS = [("CPU us", "cpu_us", ".2f"), ("quartiles", "quartiles", ""),
           ("1/s", "requests_per_s", ".0f"), ("GB/s", "gb_per_s", ".2f"), ("p50 us", "p50", ".0f"),
           ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
           ("core %", "server_core_percent", ".0f")]
HEART_1K, HEART_1M, PEER = 1.05, 0.98, 1.0


def table(lab, figures):
    lab.say("    " + " " * 20 + "".join(f"{label:>15}" for label, _, _ in COLUMNS)
            + "   (medians; CPU of a request)")
    for name, rounds in figures.items():
        spread = paired.summary([figure["cpu_us"] for figure in rounds])["quartiles"]
        cells = [f"{spread[0]:.2f}-{spread[1]:.2f}" if key == "quartiles" else
                 format(statistics.median(figure[key] for figure in rounds), form)
                 for _, key, form in COLUMNS]
        lab.say(f"    {name:20}" + "".join(f"{cell:>15}" for cell in cells))


def measure(lab, options, side):
    server, path = side
    figures = small.measure(lab, options, server, path)
    return figures | {"cpu_us": figures["cpu_us_per_request"],
                      "gb_per_s": figures["bytes_per_s"] / 1e9}


def judge(lab, figures, name, rivals, key="cpu_us", **target):
    """`name` against each rival that took part; returns results."""
    results = []
    for rival in rivals:
        if rival not in figures:
            continue
        result = paired.verdict(paired.ratios(figures, name, rival, key), **target)
        errors = sum(figure["errors"] for figure in figures[name])
        label = "GB/s" if key == "gb_per_s" else "CPU us/request"
        paired.tell(lab, f"{name} / {rival}, {label}", result)
        results.append({"title": f"{name} against {rival}, {label}", "ratio": result,
                        "met": result["met"] and errors == 0})
    return results


def run_1k(lab, options, engines, hyper):
    sides = [(f"leat {engine}", (servers.subject(options, engine, servers.ROUTER), "/1k"))
             for engine in engines]
    sides += [(f"leat {engine}, file",
               (servers.subject(options, engine, servers.ROUTER), "/1k.txt")) for engine in engines]
    sides += [(f"bare_{engine}", (servers.bare(engine), "/1k")) for engine in engines]
    sides += [("nginx memory", (servers.nginx_memory(), "/1k")),
              ("nginx file", (servers.nginx_file(1), "/1k.txt"))]
    sides += [("hyper", (hyper, "/1k"))] if hyper else []
    figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side),
                                options.rounds)
    lab.say("1 KiB, router, Date and a middleware, 64 connections")
    table(lab, figures)
    small.compare_sizes(lab, {name: rounds for name, rounds in figures.items()
                              if name in ("leat uring", "leat epoll", "bare_uring", "bare_epoll")})
    results = []
    for engine in engines:
        results += judge(lab, figures, f"leat {engine}", [f"bare_{engine}"], at_most=HEART_1K)
        results += judge(lab, figures, f"leat {engine}", ["nginx memory", "nginx file", "hyper"],
                         at_most=PEER)
        results += judge(lab, figures, f"leat {engine}, file", ["nginx file"], at_most=PEER)
    return [{"title": "1 KiB", "rounds": figures, "met": None}, *results]


def run_1m(lab, options, engines, hyper):
    sides = [(f"leat {engine}", (servers.subject(options, engine, servers.ROUTER), "/1m.bin"))
             for engine in engines]
    sides += [("bare_epoll", (servers.bare("epoll"), "/1m")),
              ("nginx file", (servers.nginx_file(1024), "/1m.bin"))]
    sides += [("hyper memory", (hyper, "/1m"))] if hyper else []
    options.connections = options.connections or 16
    figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side),
                                options.rounds)
    lab.say("1 MiB, router, Date and a middleware, 16 connections")
    table(lab, figures)
    results = []
    for engine in engines:
        name = f"leat {engine}"
        results += judge(lab, figures, name, ["bare_epoll"], key="gb_per_s", at_least=HEART_1M)
        results += judge(lab, figures, name, ["nginx file", "hyper memory"], at_most=PEER)
    return [{"title": "1 MiB", "rounds": figures, "met": None}, *results]


def run(lab, options):
    engines = servers.engines(options)
    hyper = peers.find(lab, options, "hyper")
    results = []
    if options.size in ("1k", "both"):
        results += run_1k(lab, options, engines, hyper)
    if options.size in ("1m", "both"):
        results += run_1m(lab, options, engines, hyper)
    return results
