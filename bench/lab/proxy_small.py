# SPDX-License-Identifier: MIT
"""1 KiB proxied over 64 connections: CPU time a request. Each client's request goes to the same
upstream, over connections that are kept; what is measured is heads, and turns of the loop."""
from . import paired, proxy_sides
from .generator import Load

CONNECTIONS = 64
TUNING = proxy_sides.Tuning()
TARGETS = {proxy_sides.HAPROXY: 1.0, proxy_sides.NGINX: 0.8}
ROWS = [("CPU us/request", "cpu_us_per_request", ".2f"), ("requests/s", "requests_per_s", ".0f"),
        ("p50 us", "p50", ".0f"), ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("proxy's core busy %", "server_core_percent", ".0f"),
        ("clients' core busy %", "client_core_percent", ".0f")]


def run(lab, options):
    count = options.connections or CONNECTIONS
    load = Load("/1k", count, options.seconds)
    with proxy_sides.origin(lab) as origin:
        sides = proxy_sides.fit(
            lab, proxy_sides.choose(options, TUNING, dict.fromkeys(TARGETS, TUNING)),
            [origin.address], [("/1k", "1k.txt")])
        figures = paired.interleave(
            lab, sides, lambda side: proxy_sides.measure(lab, side, [origin.address], load),
            options.rounds)
    title = f"1 KiB proxied, {count} connections"
    lab.say(title)
    paired.table(lab, figures, ROWS)
    return [proxy_sides.result(title, figures, proxy_sides.judge(
        lab, figures, "cpu_us_per_request", "ratio of CPU us/request", at_most=TARGETS))]
