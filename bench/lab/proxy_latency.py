# SPDX-License-Identifier: MIT
"""What a proxy adds to the latency of 1 KiB at half load: an open loop at half the requests/s that
the slowest of all could answer, the same for all, the upstream itself asked directly among them.
What a proxy adds to p99 is the difference to that one in the same round; leat's may be HAProxy's
and a tenth of it. Differences are judged, for what is added may be less than this machine's noise,
and then a ratio of two such would be anything."""
from . import generator, paired, proxy_sides
from .generator import Load

CONNECTIONS = 64
TOLERANCE = 1.10
DIRECT = "direct"
TUNING = proxy_sides.Tuning()
PEERS = {proxy_sides.HAPROXY: TUNING, proxy_sides.NGINX: TUNING}
ROWS = [("p50 us", "p50", ".0f"), ("p90 us", "p90", ".0f"), ("p99 us", "p99", ".0f"),
        ("max us", "max", ".0f"), ("CPU us/request", "cpu_us_per_request", ".2f"),
        ("errors", "errors", ".0f"), ("unfinished", "unfinished", ".0f"),
        ("proxy's core busy %", "server_core_percent", ".0f"),
        ("clients' core busy %", "client_core_percent", ".0f")]


def measure(lab, origin, side, load):
    if side != DIRECT:
        return proxy_sides.measure(lab, side, [origin.address], load)
    with lab.costs(origin) as cost:
        figures = generator.measure(lab, origin.address, load)
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / max(1, figures["requests"])}


def half_load(lab, options, origin, sides, count):
    """Requests a second: half of what the slowest of the proxies answers."""
    load = Load("/1k", count, options.seconds)
    return min(proxy_sides.measure(lab, side, [origin.address], load)["requests_per_s"]
               for _, side in sides) / 2


def excess(figures, subject, peer):
    """By how many us leat's p99 was beyond the target, in each round."""
    return [ours["p99"] - bare["p99"] - TOLERANCE * (theirs["p99"] - bare["p99"])
            for ours, theirs, bare in zip(figures[subject], figures[peer], figures[DIRECT])]


def judge(lab, figures, peer=proxy_sides.HAPROXY):
    found = {}
    for subject in [name for name in figures if name.startswith("leat-") and peer in figures]:
        verdict = paired.verdict(excess(figures, subject, peer), at_most=0.0)
        paired.tell(lab, f"us of p99 that {subject} adds beyond {TOLERANCE:g} x {peer}'s", verdict)
        whole = paired.summary(paired.ratios(figures, subject, peer, "p99"))
        lab.say(f"    ratio of the whole p99: median {whole['median']:.3f}, interval "
                f"{whole['interval'][0]:.3f} to {whole['interval'][1]:.3f}")
        found[f"{subject} to {peer}"] = verdict | {"whole": whole}
    return found


def run(lab, options):
    count = options.connections or CONNECTIONS
    with proxy_sides.origin(lab) as origin:
        sides = proxy_sides.fit(
            lab, proxy_sides.choose(options, TUNING, PEERS), [origin.address],
            [("/1k", "1k.txt")])
        rate = options.rate or half_load(lab, options, origin, sides, count)
        load = Load("/1k", count, options.seconds, rate=rate)
        figures = paired.interleave(lab, [*sides, (DIRECT, DIRECT)],
                                    lambda side: measure(lab, origin, side, load), options.rounds)
    title = f"latency at {rate:.0f} requests/s, {count} connections"
    lab.say(title)
    paired.table(lab, figures, ROWS)
    return [proxy_sides.result(title, figures, judge(lab, figures)) | {"rate": rate}]
