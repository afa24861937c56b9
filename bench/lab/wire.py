# SPDX-License-Identifier: MIT
"""Are the latencies of `leat load` true? At a fixed rate they are compared with those that tcpdump
saw on the wire. Requests are sent in the order in which they are due, so the k-th in the capture
was due k intervals after the begin of the schedule, and that begin is the latest one that makes
none of them early. The wire's latency counts from the intended send, then, as leat load's does, and
lacks only what passes between a packet's way through the device and the client's look at the clock.

Twice: a server that does nothing but answer; and one where every fiftieth request waits 20 ms in
its handler, so that the tail is long for a reason we know."""
import statistics
import struct
import subprocess
import time

from . import generator, laboratory, paired, servers
from .generator import Load

RATE, CONNECTIONS = 2000, 64
QUANTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
TARGET = 0.05  # of p99.9
SNAP_BYTES = 128
HANDED_OVER_S = 1.5  # by then tcpdump has what the kernel had kept for it


def packets(path):
    """(time in s, from the server?, the client's port, bytes of payload) of a capture of IPv4."""
    data = path.read_bytes()
    if struct.unpack_from("<I", data)[0] != 0xA1B23C4D:
        raise laboratory.Fault("tcpdump wrote no little-endian capture in nanoseconds")
    at = 24
    while at + 16 <= len(data):
        seconds, nanoseconds, kept, _ = struct.unpack_from("<IIII", data, at)
        frame = at + 16 + 14  # behind the Ethernet header, which loopback has, too
        at += 16 + kept
        header = (data[frame] & 15) * 4
        size, = struct.unpack_from(">H", data, frame + 2)
        source, target = struct.unpack_from(">HH", data, frame + header)
        payload = size - header - (data[frame + header + 12] >> 4) * 4
        yield seconds + nanoseconds / 1e9, source, target, payload


def latencies(path, port, rate):
    """Of each request, from when it was due to the last packet of its response, in us."""
    sent, last, under_way = [], {}, {}
    for when, source, target, payload in packets(path):
        if payload <= 0:
            continue
        if target == port:
            under_way[source] = len(sent)
            sent.append(when)
        elif source == port and target in under_way:
            last[under_way[target]] = when
    begin = min(when - number / rate for number, when in enumerate(sent))
    return [(last[number] - begin - number / rate) * 1e6 for number in range(len(sent))
            if number in last]


def quantile(ordered, share):
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def capture(lab, port, path):
    process = lab.spawn([lab.tool("tcpdump"), "-i", "lo", "-w", path, "-s", SNAP_BYTES, "-B", 65536,
                         "--time-stamp-precision=nano", "-Z", "root", "tcp", "port", port],
                        lab.client_core, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in process.stderr:  # "listening on lo, …"
        if b"listening" in line:
            return process
    raise laboratory.Fault("tcpdump does not listen")


def measure(lab, options, urls):
    server = servers.subject(options, "uring", servers.ROUTER)
    with lab.serve(server, lab.content()) as running:
        port = running.address.rsplit(":", 1)[1]
        path = lab.directory / "wire.pcap"
        process = capture(lab, port, path)
        told = generator.measure(lab, running.address,
                                 Load(urls[0], CONNECTIONS, options.seconds, rate=RATE,
                                      then=urls[1:]))
        time.sleep(HANDED_OVER_S)
        lab.end(process)
    seen = sorted(latencies(path, int(port), RATE))
    return {"requests": told["requests"], "on_the_wire": len(seen),
            "told": {name: told[name] for name, _ in QUANTILES},
            "seen": {name: quantile(seen, share) for name, share in QUANTILES}}


def compare(lab, options, title, urls):
    rounds = []
    for number in range(options.rounds):
        lab.note(f"{title}: round {number + 1} of {options.rounds}")
        rounds.append(measure(lab, options, urls))
    lab.note("")
    lab.say(f"{title}, {RATE} requests/s, {CONNECTIONS} connections")
    for name, _ in QUANTILES:
        told, seen = ([figures[side][name] for figures in rounds] for side in ("told", "seen"))
        ratios = [one / other for one, other in zip(told, seen)]
        lab.say(f"    {name:6} us: told {statistics.median(told):9.1f}   on the wire "
                f"{statistics.median(seen):9.1f}   ratio {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})")
    ratio = paired.summary([round["told"]["p99.9"] / round["seen"]["p99.9"] for round in rounds])
    met = abs(ratio["median"] - 1) <= TARGET and \
        all(round["requests"] == round["on_the_wire"] for round in rounds)
    lab.say(f"    target: p99.9 within {TARGET:.0%}: {'met' if met else 'NOT MET'}")
    return {"title": title, "rounds": rounds, "ratio": ratio, "met": met}


def run(lab, options):
    return [compare(lab, options, "1 KiB, nothing waits", ["/1k"]),
            compare(lab, options, "1 KiB, one in fifty waits 20 ms",
                    ["/wait/20", *["/1k"] * 49])]
