# SPDX-License-Identifier: MIT
"""What the log costs: processor time of a publisher's process at 5 million messages/s, all its
threads, with the log in files against memory of its own; and a process that sends as many packets
of nothing by UDP_SEGMENT, which is the kernel's part of both. A log that is kept as a whole always
needs new pages, whose making counts; one of so many segments uses those it has again, as memory
does. The first is then read again."""
from . import feed_flood, feed_room, paired

MESSAGES, MESSAGES_QUICK = 10_000_000, 500_000
RATE_PER_S = 5_000_000
SEGMENTS, SEGMENT_SIZE = 2, 16 << 20  # used again and again
TARGET = 1.25


def measure(lab, side, messages):
    words = ["-n", messages, "-r", RATE_PER_S]
    if side == "bare":
        return feed_room.play(lab, "feed_flood", *words, "bare")
    if side == "memory":
        return feed_room.play(lab, "feed_flood", *words, "leat")
    where, _, is_recycled = side.partition(", ")
    with feed_room.folder(lab, where) as path:
        if is_recycled:
            return feed_room.play(lab, "feed_flood", *words, "-l", path, "-k", SEGMENTS, "-g",
                                  SEGMENT_SIZE, "leat")
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
    kept, again = options.log, f"{options.log}, recycled"
    figures = paired.interleave(lab, [(name, name) for name in ("memory", kept, again, "bare")],
                                lambda side: measure(lab, side, messages), options.rounds)
    lab.say(f"{messages / 1e6:g} M messages at {RATE_PER_S / 1e6:g} M/s; \"{kept}\": the log is "
            f"there, all of it kept, \"recycled\": in {SEGMENTS} segments of "
            f"{SEGMENT_SIZE >> 20} MiB")
    for one in figures.values():
        for round_ in one:
            round_["million_per_s"] = round_["messages_per_s"] / 1e6
            round_["core_percent"] = 100 * round_["cpu_s"] / round_["seconds"]
    paired.table(lab, figures, [("million messages/s", "million_per_s", ".2f"),
                                ("publisher, % of a core", "core_percent", ".1f"),
                                ("publisher's CPU, s", "cpu_s", ".3f"),
                                ("waits for the log", "log_waits", ".0f")])
    feed_flood.check(figures["memory"], messages)
    results = []
    for name in (again, kept):
        feed_flood.check(figures[name], messages)
        result = feed_room.judge(paired.ratios(figures, name, "memory", "cpu_s"), at_most=TARGET)
        feed_room.tell(lab, f"CPU time, {name} / memory of the same round", result)
        results.append({"title": f"CPU time, {name} / memory", "figures": figures,
                        "result": result, "met": result["met"]})
    return results + [tell_replay(lab, figures[kept], messages)]
