# SPDX-License-Identifier: MIT
"""How soon are texts there, coded by leat's own choice and by each of the fixed ones, over links of
10, 100 and 1000 Mb/s (lab/link.py), the server's core free or wanted by other work for 90 % of the
time?

One server (bench/coded) serves every policy, each over a connection of its own. A round begins with
new connections and one answer on each that is not measured, the same text for all; then each text
by each policy, in an order drawn by lot. The time is from the request's first byte to the answer's
last, at the client (bench/deliver), who turns on the other core; in the first round of each setting
everything is decoded and compared, and timed: that is no part of the time to deliver.
"""
import contextlib
import random
import statistics
import sys
import zlib
from pathlib import Path

from . import compress_judge, compress_sides, compress_texts, laboratory, link, servers

POLICIES = ["auto", "off", "gzip-1", "gzip-6", "zstd-1", "zstd-3", "zstd-9", "br-4", "br-5"]
# Mb/s: rounds with a free core, and with a busy one. A slow link is an even one, and takes longest.
RATES = {10: (3, 2), 100: (11, 15), 1000: (25, 35)}
QUICK_RATES = {100: (2, 0), 1000: (2, 2)}
ROUNDS = RATES[1000][0]  # what --rounds is of; the others in proportion
BUSY_SHARE = 0.9
TARGETS = {False: 1.05, True: 1.10}
WORST = 8


class Course:
    """The server, its texts and the client's turns through them."""

    def __init__(self, lab, running, texts, namespace, seed):
        self.lab, self.running, self.texts, self.namespace = lab, running, texts, namespace
        self.policies = POLICIES
        self.draw = random.Random(seed)

    def plan(self):
        """[(policy, number of the text)]; the first of each policy is not measured."""
        first = self.draw.randrange(len(self.texts))
        turns = [(policy, first) for policy in self.policies]
        for number in self.draw.sample(range(len(self.texts)), len(self.texts)):
            turns += [(policy, number)
                      for policy in self.draw.sample(self.policies, len(self.policies))]
        return turns

    def run(self, has_to_decode):
        """One round: {(policy, number): answer}."""
        turns = self.plan()
        answers = compress_sides.deliver(
            self.lab, self.running, [(self.policies.index(policy), f"/{policy}/{number}")
                                     for policy, number in turns],
            self.namespace, has_to_decode)
        for (policy, number), answer in zip(turns, answers, strict=True):
            self.check(policy, self.texts[number], answer)
        return dict(list(zip(turns, answers))[len(self.policies):])

    def check(self, policy, text, answer):
        """What was not the text says nothing."""
        what = f"{policy}, {text.name}"
        if policy == "off" and answer["coding"]:
            raise laboratory.Fault(f"{what}: is coded")
        if "crc" in answer and (answer["plain"] != len(text.data)
                                or answer["crc"] != zlib.crc32(text.data)):
            raise laboratory.Fault(f"{what}: decodes to something else")


@contextlib.contextmanager
def busy_core(lab, share):
    """Other work on the server's core."""
    process = lab.spawn([sys.executable, Path(__file__).with_name("burner.py"), str(share)],
                        lab.server_core)
    try:
        yield
    finally:
        lab.end(process)


def measure(lab, course, rounds, label):
    """All rounds of one setting: the answers, by round."""
    found = []
    for number in range(rounds):
        lab.note(f"{label}: round {number + 1} of {rounds}")
        found.append(course.run(has_to_decode=number == 0))
    lab.note("")
    return found


def times_of(course, rounds):
    return {text.name: {policy: [answers[policy, number]["ns"] for answers in rounds]
                        for policy in course.policies}
            for number, text in enumerate(course.texts)}


def codings_of(course, rounds):
    """{text: {policy: [coding, bytes of the body]}}: of the last round, when all is learned."""
    return {text.name: {policy: [rounds[-1][policy, number][key] for key in ("coding", "body")]
                        for policy in course.policies}
            for number, text in enumerate(course.texts)}


def chosen(course, rounds, kind):
    """How often AUTO left a text of the kind as it was, or coded it by what."""
    found = {}
    for answers in rounds:
        for number, text in enumerate(course.texts):
            if kind in (text.kind, compress_judge.ALL):
                coding = answers["auto", number]["coding"] or "none"
                found[coding] = found.get(coding, 0) + 1
    total = sum(found.values())
    return " ".join(f"{coding} {100 * count / total:.0f}%"
                    for coding, count in sorted(found.items(), key=lambda item: -item[1]))


def tell(lab, course, label, rounds, verdicts, times, middle):
    lab.say(label)
    kind_of_sum = "ms, sum of " + ("means" if middle is statistics.fmean else "medians")
    lab.say(f"    {kind_of_sum:18}" + "".join(f"{name:>9}" for name in course.policies)
            + "   auto/best (95 %)")
    for kind, verdict in verdicts.items():
        low, high = verdict["interval"]
        lab.say(f"    {kind:18}"
                + "".join(f"{verdict['ns'][name] / 1e6:9.2f}" for name in course.policies)
                + f"   {verdict['ratio']:.3f} ({low:.3f} to {high:.3f}) of {verdict['best']}"
                + ("" if verdict["met"] else "  NOT MET") + f"; {chosen(course, rounds, kind)}")
    first = {name: {policy: values[:1] for policy, values in by_policy.items()}
             for name, by_policy in times.items()}
    once = compress_judge.sums(first, list(first), [0])
    best = compress_judge.best_fixed(once)
    lab.say(f"    the first round alone: {once['auto'] / once[best]:.3f} of {best}")
    worst = [f"{name} {loss / 1e6:+.2f} ms x{ratio:.2f} ({best})"
             for loss, ratio, name, best in compress_judge.regrets(times, middle)[:WORST]]
    lab.say("    most was lost with: " + ", ".join(worst))


def tell_decoding(lab, course, rounds):
    """What the client's core needs for it, of each policy; for all texts together."""
    figures = {policy: sum(rounds[0][policy, number]["decode_ns"]
                           for number in range(len(course.texts))) / 1e6
               for policy in course.policies}
    lab.say("    decoding all of it takes, in ms of the client's CPU: "
            + ", ".join(f"{policy} {ms:.1f}" for policy, ms in figures.items()))
    return figures


def run_setting(lab, course, rate, is_busy, count):
    target = TARGETS[is_busy]
    label = f"{rate} Mb/s, server's core " + (f"{100 * BUSY_SHARE:.0f} % taken by other work"
                                              if is_busy else "free")
    with contextlib.ExitStack() as exits:
        if is_busy:
            exits.enter_context(busy_core(lab, BUSY_SHARE))
        with lab.costs(course.running) as cost:
            rounds = measure(lab, course, count, label)
    times = times_of(course, rounds)
    kinds = {text.name: text.kind for text in course.texts}
    middle = statistics.fmean if is_busy else statistics.median
    verdicts = compress_judge.judge(times, kinds, target, middle)
    cores = {side: cost[f"{side}_core_percent"] for side in ("server", "client")}
    tell(lab, course, f"{label}; target {target}; {count} rounds in {cost['elapsed_s']:.0f} s, "
         f"cores busy: server's {cores['server']:.0f} %, client's {cores['client']:.0f} %", rounds,
         verdicts, times, middle)
    return {"title": label, "rate": rate, "busy": is_busy, "verdicts": verdicts, "times": times,
            "codings": codings_of(course, rounds), "cores": cores,
            "decode_ms": tell_decoding(lab, course, rounds) if not is_busy else None,
            "met": all(verdict["met"] for verdict in verdicts.values())}


def settings(options):
    """[(Mb/s, is the core busy, rounds)]"""
    rates = QUICK_RATES if options.quick else RATES
    scale = 1 if options.quick else options.rounds / ROUNDS
    return [(rate, is_busy, max(1, round(scale * rates[rate][is_busy])))
            for is_busy in (False, True) for rate in options.rates or rates
            if rates[rate][is_busy] and options.core in ("both", "busy" if is_busy else "free")]


def run(lab, options):
    texts = compress_texts.choose(lab, options.quick)
    compress_texts.tell(lab, texts)
    listed = compress_texts.write(lab, texts)
    way = link.Link(lab)
    results = []
    for engine in servers.engines(options):
        server = compress_sides.coded(options, engine)
        with lab.serve(server, lab.directory, host=link.SERVER, texts=listed) as running:
            course = Course(lab, running, texts, way.client, seed=9)
            for rate, is_busy, count in settings(options):
                way.limit(rate)
                results.append(run_setting(lab, course, rate, is_busy, count)
                               | {"engine": engine})
    return results
