# SPDX-License-Identifier: MIT
"""What is lost on both lines is asked for: is all of it there at the end, each byte right, and how
late? The loss is the kernel's own packet filter's, in the laboratory's namespace."""
import subprocess

from . import feed_room, laboratory, paired

PORT = 15200
MESSAGES, MESSAGES_QUICK = 200_000, 20_000
WINDOW_US = 500
LOSS_PERCENT = 10
FACTOR = 2
WAYS = {"spins": ["-s"], "waits in the kernel": []}  # the subscriber


def lose(lab, percent):
    """So many of a hundred packets of each line are dropped on their way in."""
    lines = "".join(f"udp dport {port} numgen random mod 100 < {percent} counter drop\n"
                    for port in (PORT, PORT + 1))
    rules = f"""table inet feed
delete table inet feed
table inet feed {{
chain in {{
type filter hook input priority 0;
{lines}}}
}}
"""
    done = subprocess.run([lab.tool("nft"), "-f", "-"], input=rules, text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise laboratory.Skip(f"nft: {done.stderr.strip().splitlines()[0]}")


def measure(lab, messages, where, way):
    with feed_room.folder(lab, where) as path:
        figures = feed_room.play(lab, "feed_recovery", "-p", PORT, "-n", messages, "-w", WINDOW_US,
                                 "-l", path, *WAYS[way])
    if figures["recovered"]["count"] == 0:
        raise laboratory.Fault("feed_recovery: nothing had to be recovered")
    return figures


def is_whole(figures, messages):
    return figures["messages"] == messages and figures["wrong"] == 0 and figures["lost"] == 0


def judge(rounds, messages):
    """Each round must be whole; of the delays the median over rounds counts."""
    for figures in rounds:
        limit_us = FACTOR * (figures["round_trip"]["p50_us"] + figures["window_us"])
        figures["of_limit"] = figures["recovered"]["p99_us"] / limit_us
    result = feed_room.judge([figures["of_limit"] for figures in rounds], at_most=1)
    whole = all(is_whole(figures, messages) for figures in rounds)
    return result | {"whole": whole, "met": result["met"] and whole}


def tell_round(lab, figures):
    recovered, others, trip = (figures[key] for key in ("recovered", "others", "round_trip"))
    lab.say(f"    {figures['gaps']} gaps, {figures['requests']} requests, {recovered['count']} of "
            f"{figures['messages']} messages recovered: median {recovered['p50_us']:.0f} us after "
            f"they were published, p99 {recovered['p99_us']:.0f}; others {others['p50_us']:.0f}, "
            f"p99 {others['p99_us']:.0f}; a request's round trip {trip['p50_us']:.0f}, p99 "
            f"{trip['p99_us']:.0f}")


def run(lab, options):
    messages = MESSAGES_QUICK if options.quick else MESSAGES
    lose(lab, LOSS_PERCENT)
    rounds = paired.interleave(lab, [(way, way) for way in WAYS],
                               lambda way: measure(lab, messages, options.log, way),
                               options.rounds)
    lab.say(f"{messages} messages, {LOSS_PERCENT} % lost on each of two lines, window "
            f"{WINDOW_US} us, log: {options.log}")
    results = []
    for way, figures in rounds.items():
        lab.say(f"the subscriber {way}:")
        for one in figures:
            tell_round(lab, one)
        result = judge(figures, messages)
        lab.say("    complete, in sequence, each byte right: "
                + ("yes" if result["whole"] else "NO"))
        feed_room.tell(lab, f"p99 of the recovered / {FACTOR} x (a request's median round trip + "
                            "window)", result)
        results.append({"title": f"recovery, the subscriber {way}", "rounds": figures,
                        "result": result, "met": result["met"]})
    return results
