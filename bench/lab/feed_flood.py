# SPDX-License-Identifier: MIT
"""Messages of 32 bytes a second from one core to another, none lost, in sequence, in full packets:
leat against bare UDP_SEGMENT to UDP_GRO with packets of the same size. The log is in memory of the
process, or in segments on tmpfs that are allocated once and then used again and again; messages
are written into their packets one by one, or handed over in batches."""
from . import feed_room, laboratory, paired

MESSAGES, MESSAGES_QUICK = 60_000_000, 1_000_000
SEGMENTS, SEGMENT_SIZE = 4, 4 << 20  # used again and again, they stay in the processor's cache
TARGET = 0.40


def measure(lab, side, messages):
    """A side is "bare", or where the log is; ", batches" behind it: the messages come in some."""
    where, _, batches = side.partition(", ")
    words = ["-n", messages, "-g", SEGMENT_SIZE, *(["-m"] if batches else [])]
    if where == "bare":
        return feed_room.play(lab, "feed_flood", *words, "bare")
    if where == "memory":
        return feed_room.play(lab, "feed_flood", *words, "leat")
    with feed_room.folder(lab, where) as path:
        return feed_room.play(lab, "feed_flood", *words, "-l", path, "-k", SEGMENTS, "leat")


def check(figures, messages):
    """In sequence, whole, and each byte right; or the figures are of nothing."""
    for one in figures:
        if one["wrong"] or one["messages"] < messages:
            raise laboratory.Fault(f"feed_flood: {one['messages']} of {messages} messages came, "
                                   f"{one['wrong']} of them wrong")


def run(lab, options):
    messages = MESSAGES_QUICK if options.quick else MESSAGES
    sides = [(name, name) for name in ("bare", options.log, f"{options.log}, batches", "memory",
                                       "memory, batches")]
    figures = paired.interleave(lab, sides, lambda side: measure(lab, side, messages),
                                options.rounds)
    lab.say(f"{messages / 1e6:g} M messages a round; \"{options.log}\": the log is there; segments "
            f"of {SEGMENT_SIZE >> 20} MiB")
    for one in figures.values():
        for round_ in one:
            round_["million_per_s"] = round_["messages_per_s"] / 1e6
    paired.table(lab, figures, [("million messages/s", "million_per_s", ".1f"),
                                ("publisher's CPU, s", "cpu_s", ".2f"),
                                ("recovered", "recovered", ".0f"),
                                ("waits for the log", "log_waits", ".0f")])
    results = []
    for name, _ in sides[1:]:
        check(figures[name], messages)
        result = feed_room.judge(paired.ratios(figures, name, "bare", "messages_per_s"),
                                 at_least=TARGET)
        feed_room.tell(lab, f"{name} / bare of the same round", result)
        results.append({"title": f"messages/s, log {name} / bare", "figures": figures,
                        "result": result, "met": result["met"]})
    return results
