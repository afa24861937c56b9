# SPDX-License-Identifier: MIT
"""One TCP connection relayed: leat's example against the bare splice loop. The relay has the
server's core; the source (the bare epoll server sending a large file) and the sink share the
client's, so CPU time a MiB is the surer figure, and throughput means something only while the
client's core is not the one that is full. Both must hold."""
import os

from . import generator, paired, servers
from .generator import Load

RELAY = "{build}/examples/relay {listen} {upstream}"
TARGET = 0.9
ROWS = [("GB/s", "gb_per_s", ".2f"), ("CPU us/MiB", "cpu_us_per_mib", ".1f"),
        ("relay's core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def measure(lab, options, relay, upstream):
    with lab.serve(relay, lab.content(), upstream=upstream) as running:
        generator.measure(lab, running.address, Load("/big", 1, min(0.3, options.seconds)))
        with lab.costs(running) as cost:
            figures = generator.measure(lab, running.address, Load("/big", 1, options.seconds))
    return figures | cost | {"gb_per_s": figures["bytes_per_s"] / 1e9,
                             "cpu_us_per_mib": cost["cpu_us"] / (figures["bytes"] / 2**20)}


def run(lab, options):
    size = 16 if options.quick else 256
    with open(lab.content() / "big.bin", "wb") as big:
        for _ in range(size):
            big.write(os.urandom(1 << 20))
    peer = servers.Server("bare_splice", "{bin}/bare_splice {listen} {upstream}")
    results = []
    with lab.serve(servers.bare("epoll"), lab.content(), core=lab.client_core) as source:
        for engine in servers.engines(options):
            subject = servers.subject(options, engine, RELAY)
            subject.name = "relay" if options.server is None else subject.name
            sides = [(subject.name, subject), (f"{peer.name} (peer)", peer)]
            figures = paired.interleave(
                lab, sides, lambda side: measure(lab, options, side, source.address),
                options.rounds)
            names = [name for name, _ in sides]
            speed = paired.verdict(paired.ratios(figures, *names, "gb_per_s"), at_least=TARGET)
            cost = paired.verdict(paired.ratios(figures, *names, "cpu_us_per_mib"),
                                  at_most=round(1 / TARGET, 3))
            uses_engine = "{engine}" in (options.server or RELAY)
            title = "relay, socket to socket" + (f", engine {engine}" if uses_engine else "")
            lab.say(title)
            paired.table(lab, figures, ROWS)
            paired.tell(lab, "ratio of GB/s", speed)
            paired.tell(lab, "ratio of CPU us/MiB", cost)
            results.append({"title": title, "rounds": figures, "gb_per_s": speed,
                            "cpu_us_per_mib": cost, "met": speed["met"] and cost["met"]})
            if not uses_engine:
                break
    return results
