# SPDX-License-Identifier: MIT
"""The round trip of a message of 32 bytes, both sides spinning: all that leat adds (MoldUDP64, the
log that survives kill -9, the request server, the window) against sendto and recvfrom alone."""
from . import feed_room, paired

PINGS, PINGS_QUICK = 50000, 2000
TARGETS_US = {"p50": 2, "p99": 5}


def measure(lab, side, pings):
    words = ["-n", pings]
    if side == "bare":
        return feed_room.play(lab, "feed_rtt", *words, "bare")
    if side == "memory":
        return feed_room.play(lab, "feed_rtt", *words, "leat")
    with feed_room.folder(lab, side) as path:
        return feed_room.play(lab, "feed_rtt", *words, "-l", path, "leat")


def run(lab, options):
    pings = PINGS_QUICK if options.quick else PINGS
    sides = [("bare", "bare"), ("leat", options.log), ("memory", "memory")]
    figures = paired.interleave(lab, sides, lambda side: measure(lab, side, pings),
                                options.rounds)
    lab.say(f"round trips, {pings} each, log: {options.log}; \"memory\" has none that survives")
    paired.table(lab, figures, [(f"{key}, us", f"{key}_us", ".2f")
                                for key in ("p50", "p99", "p999", "max")])
    results = []
    for key, target in TARGETS_US.items():
        more = [leat[f"{key}_us"] - bare[f"{key}_us"]
                for leat, bare in zip(figures["leat"], figures["bare"])]
        result = feed_room.judge(more, at_most=target)
        feed_room.tell(lab, f"{key}, leat - bare of the same round", result, unit=" us")
        results.append({"title": f"round trip, {key}, us more than bare", "figures": figures,
                        "result": result, "met": result["met"]})
    return results
