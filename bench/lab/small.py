# SPDX-License-Identifier: MIT
"""1 KiB over 64 connections: CPU time a request. `small`: from memory, by leat's handler in a
fiber, against a bare server on the same engine. `file1k`: a file of 1 KiB by `leat serve` against
nginx, which has it in its open-file cache. `connect`: the same with a connection for each
request."""
from . import paired, servers

WARM_S = 0.3
ROWS = [("CPU us/request", "cpu_us_per_request", ".2f"), ("requests/s", "rps", ".0f"),
        ("p50 us", "p50", ".0f"), ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def measure(lab, options, server, path, *flags):
    """A fresh server for each round, so that the luck of where its pages lie averages out."""
    connections = str(options.connections or 64)
    with lab.serve(server, lab.content()) as running:
        warm_s = min(WARM_S, options.seconds)
        lab.client("load", "-c", connections, "-d", str(warm_s), *flags, running.address, path)
        with lab.costs(running) as cost:
            figures = lab.client("load", "-c", connections, "-d", str(options.seconds), *flags,
                                 running.address, path)
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / figures["req"]}


def compare_sizes(lab, figures):
    """A bare server's head must be as long as leat's, or the two do not do the same work."""
    sizes = {name: rounds[0]["response_size"] for name, rounds in figures.items()}
    if len(set(sizes.values())) > 1:
        is_bare = any(name.startswith("bare") for name in sizes)
        lab.say("    responses differ in size: "
                + ", ".join(f"{name} {size} bytes" for name, size in sizes.items())
                + (" (a bare server's head is in peers/bare.h)" if is_bare else ""))


def compare(lab, options, title, subject, peer, path, target, *flags):
    sides = [(subject.name, subject), (f"{peer.name} (peer)", peer)]
    figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side, path, *flags),
                                options.rounds)
    result = paired.verdict(paired.ratios(figures, sides[0][0], sides[1][0],
                                          "cpu_us_per_request"), at_most=target)
    lab.say(title)
    paired.table(lab, figures, ROWS)
    compare_sizes(lab, figures)
    paired.tell(lab, "ratio of CPU us/request", result)
    errors = sum(figure["errors"] for figure in figures[sides[0][0]])
    return {"title": title, "rounds": figures, "ratio": result,
            "met": result["met"] and errors == 0}


def run_small(lab, options):
    return [compare(lab, options, f"1 KiB from memory, engine {engine}",
                    servers.subject(options, engine, servers.HELLO), servers.bare(engine), "/1k",
                    1.05) for engine in servers.engines(options)]


def run_file1k(lab, options):
    return [compare(lab, options, f"1 KiB file, engine {engine}",
                    servers.subject(options, engine, servers.LEAT), servers.nginx_file(1),
                    "/1k.txt", 1.0)
            for engine in servers.engines(options)]


def run_connect(lab, options):
    return [compare(lab, options, f"a connection for each request, 1 KiB file, engine {engine}",
                    servers.subject(options, engine, servers.LEAT), servers.nginx_file(1),
                    "/1k.txt", 1.0, "-x")
            for engine in servers.engines(options)]
