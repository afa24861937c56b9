#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Feeds of market data, measured on this machine against their targets.

    bench/feed.py rtt|flood|recovery|log [--rounds N] [--log disk|tmpfs] [--json FILE] [--quick] …

bench/README.md says what is measured. Exit status: 0 every target met (with --quick: it ran), 1 one
was missed, 2 something is broken, 77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import experiment, feed_flood, feed_log, feed_recovery, feed_rtt, laboratory

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds in full, where the log is, what it is)
EXPERIMENTS = {
    "rtt": (feed_rtt.run, 5, "disk", "there and back, both sides spinning"),
    "flood": (feed_flood.run, 5, "tmpfs", "messages a second from core to core"),
    "recovery": (feed_recovery.run, 3, "disk", "a tenth lost on each line"),
    "log": (feed_log.run, 5, "disk", "what the log costs at 5 million messages/s"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="feed.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, (_, rounds, log, what) in EXPERIMENTS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--rounds", type=int, help=f"default {rounds}")
        command.add_argument("--log", choices=["disk", "tmpfs"], default=log,
                             help="beside the build, or in memory; default %(default)s")
        command.add_argument("--quick", action="store_true",
                             help="a few seconds, as a test that it works; judges nothing")
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        command.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 1 if options.quick else EXPERIMENTS[options.experiment][1]
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "feed_flood", also=["log"])


def main():
    return laboratory.exit_status("feed.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
