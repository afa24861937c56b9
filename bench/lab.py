#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The laboratory: redraws leat's performance claims on this machine, beside its peers.

    bench/lab.py EXPERIMENT [--rounds N] [--seconds S] [--json FILE] [--quick] …

Each experiment holds one claim against a target; bench/README.md says what each one measures.
Exit status: 0 every target met (with --quick: it ran), 1 one was missed, 2 something is broken,
77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import (cold, experiment, fibers, framework, idle, instructions, laboratory, large, pacing,
                 pool, relay, replace, slow, small, upload, wire)

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds and seconds in full, and with --quick, what it is)
EXPERIMENTS = {
    "small": (small.run_small, (41, 2), (2, 0.3), "1 KiB from memory against bare servers"),
    "file1k": (small.run_file1k, (41, 2), (2, 0.3), "1 KiB file against nginx"),
    "connect": (small.run_connect, (41, 2), (1, 0.3), "a new connection for each request"),
    "framework": (framework.run, (41, 2), (1, 0.2), "router and middleware against the peers"),
    "large": (large.run, (41, 2), (2, 0.3), "1 MiB file against bare sendfile, and strace"),
    "cold": (cold.run, (9, 4), (1, 1), "a warm file beside a film on a slow disk"),
    "pacing": (pacing.run, (5, 12), (1, 2.5), "1 MB/s streams: evenness, and the cost of 200"),
    "pool": (pool.run, (1, 0), (1, 0), "connections opened for a million requests, 1 and 2 cores"),
    "relay": (relay.run, (41, 2), (2, 0.3), "socket to socket against a bare splice loop"),
    "fibers": (fibers.run, (11, 0), (1, 0), "fiber switch, spawn and join, gather"),
    "idle": (idle.run_idle, (3, 0), (1, 0), "memory of 18,000 idle connections"),
    "waiting": (idle.run_waiting, (3, 0), (1, 0), "memory of 10,000 handlers that wait"),
    "rss": (idle.run_rss, (5, 2), (1, 0.3), "peak memory under 16 downloads"),
    "upload": (upload.run, (21, 0), (1, 0), "1 GB to a file: CPU time and memory"),
    "crowd": (slow.run, (11, 5), (1, 0.5), "500 clients beside 18,000 slow ones"),
    "replace": (replace.run, (50, 1.5), (2, 0.5), "SIGUSR2 under 5,000 requests/s"),
    "wire": (wire.run, (7, 10), (1, 1), "leat load's latencies against tcpdump's"),
    "instructions": (instructions.run, (1, 0), (1, 0), "instructions a request (callgrind)"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, (_, full, _, what) in EXPERIMENTS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--rounds", type=int, help=f"default {full[0]}")
        command.add_argument("--seconds", type=float, help=f"of each round; default {full[1]}")
        command.add_argument("--quick", action="store_true",
                             help="a few seconds, as a test that it works; judges nothing "
                             "but instructions")
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        command.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
        command.add_argument("--leat", type=Path, help="default: the one in the build folder")
        command.add_argument("--engine", choices=["uring", "epoll", "both"], default="both")
        command.add_argument("--server", metavar="CMD",
                             help="measure this instead of leat: a template with {listen}, {port}, "
                             "{dir}, {engine}, {build}, {bin}, {rate} (pacing), {upstream} (relay)")
        command.add_argument("--path", help="what to ask for (large, pacing)")
        command.add_argument("--connections", type=int, help="of the load (small, file1k, large)")
        command.add_argument("--no-peers", action="store_true",
                             help="cold, pacing, idle, rss, crowd: leave them out")
        if name == "cold":
            command.add_argument("--warm-open", action="store_true",
                                 help="drop the film's pages, not its inode")
        if name == "framework":
            command.add_argument("--size", choices=["1k", "1m", "both"], default="both")
        if name == "pacing":
            command.add_argument("--skip", type=float, default=0.0,
                                 help="seconds at the start of a stream that do not count")
        if name == "instructions":
            command.add_argument("--update", action="store_true", help="store what is measured")
    options = parser.parse_args()
    _, full, quick, _ = EXPERIMENTS[options.experiment]
    options.rounds = options.rounds or (quick if options.quick else full)[0]
    options.seconds = options.seconds or (quick if options.quick else full)[1]
    options.no_peers = options.no_peers or options.quick
    built = [options.build / "leat", options.build / "apps" / "leat" / "leat"]
    options.leat = (options.leat or next(filter(Path.exists, built), built[0])).resolve()
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    # Instructions are exact however few rounds there are; all else needs time to be judged.
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "receive",
                            is_exact=options.experiment == "instructions")


def main():
    return laboratory.exit_status("lab.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
