# SPDX-License-Identifier: MIT
"""A crowd that dawdles must not hurt the others: 500 normal clients ask 2,000 times a second in
all, open loop, for a file of 1 KiB; then the same beside 9,000 slow readers (1 MiB each, 1 KiB
every 2 s) and 9,000 slow writers (a byte of a head every 2 s; whoever the server sends away comes
back at once). The slow ones need a core, too, and it is the clients': so there is a bystander, a
second server of the same kind that has the crowd in a phase between, while the normal clients ask
the first. What the crowd costs them there is not the server's doing; the ratio of p99 in the crowd
to p99 beside the bystander's is judged, and that to the quiet phase is told."""
from . import crowds, generator, memory, paired, servers
from .generator import Load

SLOW, SLOW_QUICK = 9_000, 200
NORMAL, NORMAL_QUICK = 500, 50
RATE = 2_000
INTERVAL_S = 2
TARGET = 2.0
LEAT = f"{servers.LEAT} {servers.MANY}"
ROWS = [("p50 us", "p50", ".0f"), ("p99 us", "p99", ".0f"), ("max us", "max", ".0f"),
        ("errors", "errors", ".0f"), ("unfinished", "unfinished", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def normal(lab, options, running):
    count = NORMAL_QUICK if options.quick else NORMAL
    with lab.costs(running) as cost:
        figures = generator.measure(lab, running.address,
                                    Load("/1k.txt", count, options.seconds, rate=RATE))
    return figures | cost


def measure(lab, options, server, slow):
    with lab.serve(server, lab.content()) as running:
        generator.measure(lab, running.address, Load("/1k.txt", 1, requests=50))
        calm = normal(lab, options, running)
        with lab.serve(server, lab.content()) as bystander, \
                crowds.gather(lab, bystander, "read", slow, "/1m.bin", INTERVAL_S), \
                crowds.gather(lab, bystander, "write", slow, "/", INTERVAL_S):
            beside = normal(lab, options, running)
        with crowds.gather(lab, running, "read", slow, "/1m.bin", INTERVAL_S) as readers, \
                crowds.gather(lab, running, "write", slow, "/", INTERVAL_S) as writers:
            crowded = normal(lab, options, running)
            resident = memory.resident(running)
    return {"calm": calm, "beside": beside, "crowded": crowded, "resident": resident,
            "readers": readers, "writers": writers}


def is_void(figures, slow):
    """Whether the crowd was not there until the end, as it was meant to be."""
    return min(figures[side]["there"] for side in ("readers", "writers")) < 0.95 * slow


def run(lab, options):
    slow = SLOW_QUICK if options.quick else SLOW
    memory.need_descriptors(2 * slow + NORMAL + 500)
    subjects = [(servers.subject(options, engine, LEAT), True)
                for engine in servers.engines(options)]
    if not options.no_peers:
        subjects.append((servers.nginx_many(), False))
    results = []
    for server, is_subject in subjects:
        rounds = []
        for number in range(options.rounds):
            lab.note(f"{server.name}: round {number + 1} of {options.rounds}")
            rounds.append(measure(lab, options, server, slow))
        lab.note("")
        phases = {"alone": [figures["calm"] for figures in rounds],
                  "crowd elsewhere": [figures["beside"] for figures in rounds],
                  "in the crowd": [figures["crowded"] for figures in rounds]}
        ratio = paired.verdict(paired.ratios(phases, "in the crowd", "crowd elsewhere", "p99"),
                               at_most=TARGET)
        to_alone = paired.verdict(paired.ratios(phases, "in the crowd", "alone", "p99"),
                                  at_most=TARGET)
        lost = sum(phase["errors"] + phase["unfinished"] for side in phases.values()
                   for phase in side)
        void = sum(is_void(figures, slow) for figures in rounds)
        engine = f", engine {server.engine}" if is_subject else " (peer)"
        title = f"{slow} slow readers and {slow} slow writers, {server.name}{engine}"
        lab.say(title)
        paired.table(lab, phases, ROWS)
        lab.say(f"    sent away and back again: readers "
                f"{sum(figures['readers']['returned'] for figures in rounds)}, writers "
                f"{sum(figures['writers']['returned'] for figures in rounds)}; resident "
                f"{max(figures['resident'] for figures in rounds) / 1e6:.0f} MB"
                + (f"; VOID: in {void} rounds the crowd was not all there" if void else ""))
        lab.say(f"    p99 in the crowd to p99 alone: median {to_alone['median']:.1f}")
        paired.tell(lab, "ratio of p99 in the crowd to that with the crowd elsewhere", ratio)
        met = ratio["met"] and lost == 0 and void == 0
        results.append({"title": title, "rounds": rounds, "ratio": ratio, "lost": lost,
                        "void": void, "met": met if is_subject else None})
    return results
