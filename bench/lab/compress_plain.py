# SPDX-License-Identifier: MIT
"""What compression costs where it does not apply: 1 KiB from memory by hello_1k and a file of 1 KiB
by `leat serve`, with compression left to leat, against a build of the time before it (--before), or
without --before against the same program with compression off. Instructions a request by callgrind
(lab/instructions.py), CPU time a request by paired rounds over 64 connections.

It does not apply to who takes no coding, and to types that are not text; to 1 KiB of text it does:
that is told, for a look at it is not free, and has no verdict. Of files there are no instructions,
for valgrind does not know openat2."""
from . import compress_sides, generator, instructions, laboratory, paired, servers
from .generator import Load

HELLO = "{hello} --listen {listen} --engine {engine}"
AUTO, OFF, PICTURE = " --compress auto", " --compress off", " --type image/png"
INSTRUCTIONS_TARGET, CPU_TARGET = 1.03, 1.0
CONNECTIONS, SECONDS, SECONDS_QUICK = 64, 0.8, 0.1
ACCEPTED = [compress_sides.ACCEPTED]
BOTH, CPU, NOTHING = "both", "CPU time", "nothing"


class Side:
    """A program with its flags, and what is asked of it."""

    def __init__(self, name, template, path, fields=(), **words):
        self.name, self.template, self.path, self.fields = name, template, path, list(fields)
        self.words = words

    def server(self, engine):
        template = self.template
        for name, value in self.words.items():
            template = template.replace("{" + name + "}", str(value))
        return servers.Server(self.name, template, engine)


def is_given(options):
    if options.before is None:
        return False
    if not (options.before / "bench" / "hello_1k").exists():
        raise laboratory.Fault(f"{options.before}/bench/hello_1k: not built")
    return True


def sides_of(options):
    """{what: (side now, side before or with compression off, what is judged)}"""
    now = options.build.resolve()
    then = options.before.resolve() if is_given(options) else now
    off = "" if is_given(options) else OFF

    def hello(name, build, flags, fields=()):
        return Side(name, HELLO + flags, "/1k", fields, hello=build / "bench" / "hello_1k")

    def serve(name, build, flags, fields=()):
        return Side(name, servers.LEAT + flags, "/1k.txt", fields,
                    leat=build / "apps" / "leat" / "leat")

    return {
        "1 KiB from memory, no coding taken":
            (hello("now", now, AUTO), hello("before", then, off), BOTH),
        "1 KiB of a picture, codings taken":
            (hello("now", now, AUTO + PICTURE, ACCEPTED),
             hello("before", then, off + PICTURE, ACCEPTED), BOTH),
        "1 KiB file, no coding taken":
            (serve("now", now, AUTO), serve("before", then, off), CPU),
        "1 KiB of text, codings taken":
            (hello("now", now, AUTO, ACCEPTED), hello("before", then, off, ACCEPTED), NOTHING)}


def measure(lab, side, engine, seconds):
    load = Load(side.path, CONNECTIONS, seconds, fields=side.fields)
    with lab.serve(side.server(engine), lab.content()) as running:
        generator.measure(lab, running.address, load)
        with lab.costs(running) as cost:
            figures = generator.measure(lab, running.address, load)
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / figures["requests"]}


def compare_instructions(lab, options, what, now, before, is_judged):
    counts = instructions.COUNTS_QUICK if options.quick else instructions.COUNTS
    figures = {side.name: instructions.each(lab, side.server("epoll"),
                                            Load(side.path, 1, fields=side.fields), counts)
               for side in (now, before)}
    change = figures["now"] / figures["before"]
    met = change <= INSTRUCTIONS_TARGET if is_judged else None
    lab.say(f"    {figures['now']:.0f} instructions a request, {figures['before']:.0f} before, "
            f"x {change:.3f}" + (f"; target <= {INSTRUCTIONS_TARGET}: "
                                 + ("met" if met else "NOT MET") if is_judged else ""))
    return {"title": f"{what}, instructions", "figures": figures, "met": met}


def compare_cpu(lab, options, what, now, before, engine):
    seconds = SECONDS_QUICK if options.quick else SECONDS
    rounds = paired.interleave(lab, [(side.name, side) for side in (now, before)],
                               lambda side: measure(lab, side, engine, seconds), options.rounds)
    result = paired.verdict(paired.ratios(rounds, "now", "before", "cpu_us_per_request"),
                            at_most=CPU_TARGET)
    paired.tell(lab, f"CPU us/request to before, engine {engine}", result)
    return {"title": f"{what}, CPU time, {engine}", "rounds": rounds, "ratio": result,
            "met": result["met"]}


def compare(lab, options, what, now, before, judged):
    lab.say(what)
    results = []
    if judged != CPU:
        results.append(compare_instructions(lab, options, what, now, before, judged == BOTH))
    if judged != NOTHING:
        results += [compare_cpu(lab, options, what, now, before, engine)
                    for engine in servers.engines(options)]
    return results


def run(lab, options):
    if not is_given(options):
        lab.say("    no --before DIR: against this build with compression off")
    return [result for what, (now, before, judged) in sides_of(options).items()
            for result in compare(lab, options, what, now, before, judged)]
