# SPDX-License-Identifier: MIT
"""How many connections the pool opens for a million requests of one thread, and of two that share
them under a load that is skewed and changes sides (bench/pool.c). The origin is nginx, which closes
a connection after a thousand requests, as it comes. Opened must be as many as were in flight at a
time and as the origin has closed, and 5 % more at most; on however many threads."""
import json
import shlex
import subprocess
from dataclasses import dataclass

from peers import nginx

from . import laboratory, servers

THREADS = (1, 2)
FIBERS = 64
SWAP_MS = 100
REQUESTS, REQUESTS_QUICK = 1_000_000, 10_000
KEEPALIVE_REQUESTS = 1000  # nginx's default
EXCESS = 1.05


@dataclass
class Origin:
    """nginx that answers from memory, on the server's core."""

    name: str = "nginx"

    def argv(self, lab, directory, listen, _words):
        work = lab.directory / f"nginx-{listen.rsplit(':', 1)[1]}"
        work.mkdir()
        config = work / "nginx.conf"
        location = nginx.from_memory(directory) + f" keepalive_requests {KEEPALIVE_REQUESTS};"
        config.write_text(nginx.configuration(work, listen, directory, location=location))
        return [lab.tool("nginx"), "-p", work, "-c", config, "-e", "stderr"]


def measure(lab, address, threads, requests, engine):
    """Its threads may run on both cores."""
    cores = f"{lab.server_core},{lab.client_core}"
    argv = [lab.tool("taskset"), "-c", cores, lab.bin / "pool", address, "/1k", threads, FIBERS,
            requests, engine, SWAP_MS]
    process = lab.spawn(argv, lab.client_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = process.communicate()
    if process.returncode != 0:
        raise laboratory.Fault(f"{shlex.join(process.args)}: {errors.decode().strip()}")
    return json.loads(out)


def tell(lab, title, figures):
    lab.say(f"{title}: opened {figures['opened']} for {figures['requests']} requests: "
            f"{figures['in_flight_peak']} in flight at most, {figures['closed']} closed by the "
            f"origin: ratio {figures['ratio']:.3f}, {EXCESS} allowed: "
            f"{'met' if figures['ratio'] <= EXCESS else 'NOT MET'}")
    lab.say(f"    moved from core to core {figures['moved']} times; {figures['cpu_us']:.1f} us CPU "
            f"a request, {figures['seconds']:.1f} s")


def run(lab, options):
    requests = REQUESTS_QUICK if options.quick else REQUESTS
    results = []
    for engine in servers.engines(options):
        for threads in THREADS:
            rounds = []
            title = f"pool, {engine}, {threads} thread{'s' if threads > 1 else ''}"
            for number in range(options.rounds):
                lab.note(f"{title}: round {number + 1} of {options.rounds}")
                with lab.serve(Origin(), lab.content()) as origin:
                    rounds.append(measure(lab, origin.address, threads, requests, engine))
            lab.note("")
            for figures in rounds:
                tell(lab, title, figures)
            results.append({"title": title, "rounds": rounds,
                            "met": all(figures["ratio"] <= EXCESS for figures in rounds)})
    return results
