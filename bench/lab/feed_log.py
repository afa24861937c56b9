# SPDX-License-Identifier: MIT
"""What the log costs: processor time of a publisher's process at 5 million messages/s, all its
threads, with the log in files against memory of its own; and a process that sends as many packets
of nothing by UDP_SEGMENT, which is the kernel's part of both. Then the log is read again."""
from . import feed_flood, feed_room, paired

MESSAGES, MESSAGES_QUICK = 10_000_000, 500_000
RATE_PER_S = 5_000_000
TARGET = 1.25


def measure(lab, side, messages):
    words = ["-n", messages, "-r", RATE_PER_S]
    if side == "bare":
        return feed_room.play(lab, "feed_flood", *words, "bare")
    if side == "memory":
        return feed_room.play(lab, "feed_flood", *words, "leat")
    with feed_room.folder(lab, side) as path:
        figures = feed_room.play(lab, "feed_flood", *words, "-l", path, "leat")
        again = feed_room.play(lab, "feed_flood", "-l", path, "replay")
    return figures | {"replayed": again["messages"], "replayed_wrong": again["wrong"],
                      "replayed_per_s": again["messages_per_s"]}


def tell_replay(lab, rounds, messages):
    same = all(one["replayed"] == messages and one["replayed_wrong"] == 0 for one in rounds)
    speed = feed_room.summary([one["replayed_per_s"] / 1e6 for one in rounds])
    lab.say(f"    {messages / 1e6:g} M messages read again from the log, identical: "
            + ("yes" if same else "NO"))
    feed_room.tell(lab, "million messages/s while reading", speed, form=".1f")
    return {"title": "replay", "identical": same, "speed": speed, "met": same}


def run(lab, options):
    messages = MESSAGES_QUICK if options.quick else MESSAGES
    sides = [("memory", "memory"), (options.log, options.log), ("bare", "bare")]
    figures = paired.interleave(lab, sides, lambda side: measure(lab, side, messages),
                                options.rounds)
    lab.say(f"{messages / 1e6:g} M messages at {RATE_PER_S / 1e6:g} M/s; \"{options.log}\": the "
            "log is there, all of it kept")
    for one in figures.values():
        for round_ in one:
            round_["million_per_s"] = round_["messages_per_s"] / 1e6
            round_["core_percent"] = 100 * round_["cpu_s"] / round_["seconds"]
    paired.table(lab, figures, [("million messages/s", "million_per_s", ".2f"),
                                ("publisher, % of a core", "core_percent", ".1f"),
                                ("publisher's CPU, s", "cpu_s", ".3f"),
                                ("waits for the log", "log_waits", ".0f")])
    for name in ("memory", options.log):
        feed_flood.check(figures[name], messages)
    result = feed_room.judge(paired.ratios(figures, options.log, "memory", "cpu_s"),
                             at_most=TARGET)
    feed_room.tell(lab, f"CPU time, {options.log} / memory of the same round", result)
    return [{"title": "CPU time, log / memory", "figures": figures, "result": result,
             "met": result["met"]}, tell_replay(lab, figures[options.log], messages)]
