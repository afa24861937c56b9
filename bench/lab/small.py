# SPDX-License-Identifier: MIT
"""1 KiB over 64 connections: CPU time a request. `small`: from memory, by leat's handler in a
fiber, against a bare server on the same engine. `file1k`: a file of 1 KiB by `leat serve` against
nginx, which has it in its open-file cache. `connect`: the same with a connection for each
request."""
from dataclasses import replace

from . import check, generator, paired, servers
from .generator import Load

WARM_S = 0.3
ROWS = [("CPU us/request", "cpu_us_per_request", ".2f"), ("requests/s", "requests_per_s", ".0f"),
        ("p50 us", "p50", ".0f"), ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def measure(lab, options, server, path, one_each=False):
    """A fresh server for each round, so that the luck of where its pages lie averages out."""
    load = Load(path, options.connections or 64, options.seconds, one_each=one_each)
    with lab.serve(server, lab.content()) as running:
        size = check.response_size(running.address, path)
        generator.measure(lab, running.address,
                          replace(load, seconds=min(WARM_S, options.seconds)))
        with lab.costs(running) as cost:
            figures = generator.measure(lab, running.address, load)
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / figures["requests"],
                             "response_size": size}


def compare_sizes(lab, figures):
    """A bare server's head must be as long as leat's, or the two do not do the same work."""
    sizes = {name: rounds[0]["response_size"] for name, rounds in figures.items()}
    if len(set(sizes.values())) > 1:
        is_bare = any(name.startswith("bare") for name in sizes)
        lab.say("    responses differ in size: "
                + ", ".join(f"{name} {size} bytes" for name, size in sizes.items())
                + (" (a bare server's head is in peers/bare.h)" if is_bare else ""))


def compare(lab, options, title, subject, peer, path, target, one_each=False):
    sides = [(subject.name, subject), (f"{peer.name} (peer)", peer)]
    figures = paired.interleave(
        lab, sides, lambda side: measure(lab, options, side, path, one_each), options.rounds)
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
                    "/1k.txt", 1.0, one_each=True)
            for engine in servers.engines(options)]
