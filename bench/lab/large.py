# SPDX-License-Identifier: MIT
"""A 1 MiB file over 16 connections, read 256 KiB at a time, against the bare epoll server's
sendfile: GB/s and CPU time a MiB. Then once under strace: what the server asks of the kernel for
each MiB, which should be sendfile and at most two one-byte looks at the page cache."""
import re
from collections import Counter

from . import generator, paired, servers, small
from .generator import Load

ROWS = [("GB/s", "gb_per_s", ".2f"), ("CPU us/MiB", "cpu_us_per_mib", ".1f"),
        ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]
CALL = re.compile(r"^\d+\s+(?:<\.\.\. )?(\w+)")
PROBES_TARGET, SENDFILE_SHARE_TARGET = 2.0, 0.99


def measure(lab, options, side):
    server, path = side
    figures = small.measure(lab, options, server, path)
    mib = figures["bytes"] / 2**20
    return figures | {"gb_per_s": figures["bytes_per_s"] / 1e9,
                      "cpu_us_per_mib": figures["cpu_us"] / mib}


def read_trace(text):
    """Counts calls by name, one-byte probes, and the bytes that sendfile and splice moved."""
    calls, probes, long_probes, sent = Counter(), 0, 0, 0
    for line in text.splitlines():
        match = CALL.match(line)
        if match is None or "+++" in line or "---" in line:
            continue
        name = match.group(1)
        resumed = " resumed>" in line
        if not resumed:
            calls[name] += 1
            if "RWF_NOWAIT" in line:
                probes += 1
                size = re.search(r"= (\d+)$", line)
                long_probes += size is not None and int(size.group(1)) > 1
            if name in ("cachestat", "syscall_0x1c3"):
                probes += 1
        if name in ("sendfile", "sendfile64", "splice"):
            value = re.search(r"= (\d+)$", line)
            sent += int(value.group(1)) if value else 0
    return {"calls": dict(calls), "probes": probes, "long_probes": long_probes, "sent": sent}


def trace(lab, options, server, path):
    requests = 32 if options.quick else 512
    log = lab.directory / f"strace-{server.engine}"
    wrapper = [lab.tool("strace"), "-f", "-qq", "-s", "0", "-o", log]
    with lab.serve(server, lab.content(), wrapper=wrapper) as running:
        figures = generator.measure(lab, running.address, Load(path, 16, requests=requests))
    mib = figures["bytes"] / 2**20
    result = read_trace(log.read_text())
    result |= {"mib": mib, "probes_per_mib": result["probes"] / mib,
               "sent_share": result["sent"] / (mib * 2**20)}
    result["met"] = (result["probes_per_mib"] <= PROBES_TARGET and result["long_probes"] == 0
                     and result["sent_share"] >= SENDFILE_SHARE_TARGET)
    frequent = sorted(result["calls"].items(), key=lambda item: -item[1])[:8]
    lab.say("    strace, calls/MiB: "
            + ", ".join(f"{name} {count / mib:.2f}" for name, count in frequent))
    lab.say(f"    probes/MiB {result['probes_per_mib']:.2f} (target <= {PROBES_TARGET:.0f}, of one "
            f"byte), by sendfile {100 * result['sent_share']:.1f} % of the bytes: "
            f"{'met' if result['met'] else 'NOT MET'}")
    return result


def run(lab, options):
    options.connections = options.connections or 16
    results = []
    for engine in servers.engines(options):
        subject = servers.subject(options, engine, servers.LEAT)
        peer = servers.bare("epoll")
        path = options.path or "/1m.bin"
        sides = [(subject.name, (subject, path)), (f"{peer.name} (peer)", (peer, "/1m"))]
        figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side),
                                    options.rounds)
        names = [name for name, _ in sides]
        speed = paired.verdict(paired.ratios(figures, *names, "gb_per_s"), at_least=0.98)
        cost = paired.summary(paired.ratios(figures, *names, "cpu_us_per_mib"))
        title = f"1 MiB file, 16 connections, engine {engine}"
        lab.say(title)
        paired.table(lab, figures, ROWS)
        small.compare_sizes(lab, figures)
        paired.tell(lab, "ratio of GB/s", speed)
        lab.say(f"    ratio of CPU us/MiB: median {cost['median']:.3f}, interval "
                f"{cost['interval'][0]:.3f} to {cost['interval'][1]:.3f}")
        traced = trace(lab, options, subject, path)
        results.append({"title": title, "rounds": figures, "gb_per_s": speed,
                        "cpu_us_per_mib": cost, "strace": traced,
                        "met": speed["met"] and traced["met"]})
    return results
