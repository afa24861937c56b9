# SPDX-License-Identifier: MIT
"""Binary replacement under load: 5,000 requests a second, open loop, four fifths over 64
connections that are kept and one fifth with a connection each, while SIGUSR2 has the server start
its successor, again and again. The clients take "Connection: close" for what it is and connect
anew; they try nothing else again, so that a connection refused or reset, an answer cut short or
wrong, or one that never came is a failed request. None may be.

Each replacement is sent to the process that is the only one then, and counts when its successor
alone is left: the predecessor has served what it had and is gone, by itself."""
import os
import signal
import statistics
import time

from . import generator, laboratory, memory, servers
from .generator import Load

RATE, RATE_QUICK = 5_000, 500
CLIENTS = {"kept": (0.8, False), "one each": (0.2, True)}
FAILURES = ("refused", "cut", "malformed", "timeout", "wrong", "unfinished")
REPLACE_LIMIT_S = 30


def replace(running, old):
    """Has `old` replaced; returns its successor, and the seconds until it was alone."""
    start = time.monotonic()
    os.kill(old, signal.SIGUSR2)
    while time.monotonic() < start + REPLACE_LIMIT_S:
        living = memory.processes(running)
        if len(living) == 1 and living[0] != old:
            return living[0], time.monotonic() - start
        if not living:
            raise laboratory.Fault(f"nobody took over: {running.complaint()}")
        time.sleep(0.005)
    raise laboratory.Fault(f"{REPLACE_LIMIT_S} s after SIGUSR2 the processes are "
                           f"{memory.processes(running)}, of which {old} is the old one: "
                           f"{running.complaint()}")


def end_all(running):
    """The laboratory's own handle is of the first process, which has gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 5
        for pid in memory.processes(running):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        while memory.processes(running) and time.monotonic() < until:
            time.sleep(0.02)


def measure(lab, options, server):
    rate = RATE_QUICK if options.quick else RATE
    total_s = options.rounds * options.seconds + 1
    with lab.serve(server, lab.content()) as running:
        running.may_end = True
        try:
            loads = {name: Load("/1k.txt", 64, total_s, rate=share * rate, one_each=one_each)
                     for name, (share, one_each) in CLIENTS.items()}
            clients = {name: generator.start(lab, running.address, load)
                       for name, load in loads.items()}
            start = time.monotonic()
            current, times = running.process.pid, []
            for number in range(options.rounds):
                time.sleep(max(0, start + 0.5 + number * options.seconds - time.monotonic()))
                lab.note(f"replacement {number + 1} of {options.rounds}")
                current, taken = replace(running, current)
                running.process.poll()
                times.append(taken)
            lab.note("")
            was_loaded = all(client.poll() is None for client in clients.values())
            figures = {name: generator.finish(client, loads[name])
                       for name, client in clients.items()}
        finally:
            end_all(running)
    return {"clients": figures, "times_s": times, "was_loaded": was_loaded, "rate": rate}


def run(lab, options):
    results = []
    for engine in servers.engines(options):
        server = servers.subject(options, engine, servers.LEAT)
        figures = measure(lab, options, server)
        times, clients = figures["times_s"], figures["clients"]
        title = f"{options.rounds} replacements at {figures['rate']} requests/s, engine {engine}"
        lab.say(title)
        for name, client in clients.items():
            failed = ", ".join(f"{client[kind]} {kind}" for kind in FAILURES)
            lab.say(f"    {name:8} {client['requests']} answered, {client['connects']} connections "
                    f"made meanwhile; failed: {failed}; p50 {client['p50']:.0f} us, p99 "
                    f"{client['p99']:.0f}, max {client['max']:.0f}")
        lab.say(f"    until the successor was alone: median {statistics.median(times):.2f} s, "
                f"most {max(times):.2f} s")
        if not figures["was_loaded"]:
            lab.say("    the load had ended before the last replacement: give --seconds more")
        failed = sum(client[kind] for client in clients.values() for kind in FAILURES)
        # Every replacement ends the connections that are kept: else there was none.
        met = (failed == 0 and figures["was_loaded"]
               and clients["kept"]["connects"] >= options.rounds)
        lab.say(f"    target 0 failed: {'met' if met else 'NOT MET'}")
        results.append({"title": title, "figures": figures, "failed": failed, "met": met})
    return results
