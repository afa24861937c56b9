# SPDX-License-Identifier: MIT
"""1 MiB proxied. Over 16 connections: CPU time a GB against HAProxy, which splices answers when
told to, and nginx, which copies them. Over one: throughput against a bare splice relay, which holds
one connection at a time and knows nothing of HTTP; what a proxy takes longer is the price of
knowing.

HAProxy's pipes are of 1 MiB, as leat's are, which is cheapest for it. nginx is there as it comes
(but without temporary files), and beside it, without a target, as it was cheapest of all that was
tried: no buffering but what one buffer of 256 KiB holds, which the processor's cache can keep."""
from peers import haproxy

from . import paired, proxy_sides
from .generator import Load

CONNECTIONS = 16
CPU_TARGETS = {proxy_sides.HAPROXY: 1.0, proxy_sides.NGINX: round(1 / 3, 3)}
SPEED_TARGETS = {proxy_sides.RELAY: 0.9}
TUNING = proxy_sides.Tuning(haproxy=haproxy.SPLICE, haproxy_global="tune.pipesize 1048576")
PEERS = {proxy_sides.HAPROXY: TUNING, proxy_sides.NGINX: TUNING, proxy_sides.UNBUFFERED:
         proxy_sides.Tuning(nginx="proxy_buffering off; proxy_buffer_size 256k; "
                                  "proxy_buffers 8 256k;")}
PEERS_OF_ONE = {proxy_sides.RELAY: TUNING, proxy_sides.HAPROXY: TUNING}
ROWS = [("CPU s/GB", "cpu_s_per_gb", ".3f"), ("GB/s", "gb_per_s", ".2f"), ("p99 us", "p99", ".0f"),
        ("errors", "errors", ".0f"), ("proxy's core busy %", "server_core_percent", ".0f"),
        ("clients' core busy %", "client_core_percent", ".0f")]


def compare(lab, options, origin, title, connections, peers):
    load = Load("/1m", connections, options.seconds)
    sides = proxy_sides.fit(lab, proxy_sides.choose(options, TUNING, peers), [origin.address],
                            [("/1m", "1m.bin")])
    figures = paired.interleave(
        lab, sides, lambda side: proxy_sides.measure(lab, side, [origin.address], load),
        options.rounds)
    lab.say(title)
    paired.table(lab, figures, ROWS)
    return figures


def run(lab, options):
    count = options.connections or CONNECTIONS
    results = []
    with proxy_sides.origin(lab) as origin:
        title = f"1 MiB proxied, {count} connections"
        figures = compare(lab, options, origin, title, count, PEERS)
        results.append(proxy_sides.result(title, figures, proxy_sides.judge(
            lab, figures, "cpu_s_per_gb", "ratio of CPU s/GB", at_most=CPU_TARGETS)))
        title = "1 MiB proxied, one connection"
        figures = compare(lab, options, origin, title, 1, PEERS_OF_ONE)
        results.append(proxy_sides.result(title, figures, proxy_sides.judge(
            lab, figures, "gb_per_s", "ratio of GB/s", at_least=SPEED_TARGETS)))
    return results
