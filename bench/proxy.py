#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""leat as a reverse proxy, measured on this machine beside HAProxy and nginx, against its targets.

    bench/proxy.py small|large|latency|slow|kill [--rounds N] [--sides NAMES] [--quick] …

bench/README.md says what is measured. Exit status: 0 every target met (with --quick: it ran), 1 one
was missed, 2 something is broken, 77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import (experiment, laboratory, proxy_kill, proxy_large, proxy_latency, proxy_sides,
                 proxy_slow, proxy_small)

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds and seconds in full, and with --quick, what it is)
EXPERIMENTS = {
    "small": (proxy_small.run, (41, 2), (1, 0.3), "CPU time of 1 KiB against HAProxy and nginx"),
    "large": (proxy_large.run, (41, 2), (1, 0.3),
              "CPU time of 1 MiB against both, throughput against a bare splice relay"),
    "latency": (proxy_latency.run, (41, 2), (1, 0.3), "p99 at half load against HAProxy's"),
    "slow": (proxy_slow.run, (3, 10), (1, 1), "9,000 slow clients of a large object: memory"),
    "kill": (proxy_kill.run, (5, 20), (1, 2.2), "one of three upstreams killed every second"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="proxy.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, (_, full, _, what) in EXPERIMENTS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--rounds", type=int, help=f"default {full[0]}")
        command.add_argument("--seconds", type=float, help=f"of each round; default {full[1]}")
        command.add_argument("--quick", action="store_true",
                             help="a few seconds, as a test that it works; judges nothing")
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        command.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
        command.add_argument("--leat", type=Path, help="default: the one in the build folder")
        command.add_argument("--engine", choices=["uring", "epoll", "both"], default="both")
        command.add_argument("--sides", metavar="NAMES", type=proxy_sides.names,
                             help="only these, such as leat-uring,haproxy; default all")
        if name == "slow":
            command.add_argument("--clients", type=int, metavar="N",
                                 help=f"default {proxy_slow.SLOW}")
        else:
            command.add_argument("--connections", type=int, metavar="N", help="of the clients")
        if name == "latency":
            command.add_argument("--rate", type=float, metavar="N",
                                 help="requests/s; default half of what the slowest answers")
    options = parser.parse_args()
    _, full, quick, _ = EXPERIMENTS[options.experiment]
    options.rounds = options.rounds or (quick if options.quick else full)[0]
    options.seconds = options.seconds or (quick if options.quick else full)[1]
    options.leat = (options.leat or options.build / "apps" / "leat" / "leat").resolve()
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "bare_splice",
                            also=["sides"])


def main():
    return laboratory.exit_status("proxy.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
