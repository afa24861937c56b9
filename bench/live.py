#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Live channels, measured on this machine against their targets.

    bench/live.py glass|viewers|latency [--rounds N] [--seconds S] [--json FILE] [--quick] …

bench/README.md says what is measured. Exit status: 0 every target met (with --quick: it ran), 1 one
was missed, 2 something is broken, 77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import experiment, laboratory, live_glass, live_viewers

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds and seconds in full, and with --quick, what it is)
EXPERIMENTS = {
    "glass": (live_glass.run, (1, 60), (1, 3),
              "from a camera's picture to the same on a browser's screen"),
    "viewers": (live_viewers.run, (3, 60), (1, 2), "1,000 viewers of a channel on one core"),
    "latency": (live_viewers.run_latency, (3, 20), (1, 2),
                "a part through a server with one viewer"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="live.py", description=__doc__,
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
        command.add_argument("--engine", choices=["uring", "epoll", "both"],
                             default="uring" if name == "glass" else "both")
        if name == "glass":
            command.add_argument("--players", metavar="NAMES", help="of "
                                 + ", ".join(live_glass.PLAYERS) + "; default all")
        elif name == "viewers":
            command.add_argument("--viewers", type=int, metavar="N",
                                 help=f"default {live_viewers.VIEWERS}")
    options = parser.parse_args()
    _, full, quick, _ = EXPERIMENTS[options.experiment]
    options.rounds = options.rounds or (quick if options.quick else full)[0]
    options.seconds = options.seconds or (quick if options.quick else full)[1]
    options.leat = (options.build / "apps" / "leat" / "leat").resolve()
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "live_viewers")


def main():
    return laboratory.exit_status("live.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
