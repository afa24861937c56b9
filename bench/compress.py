#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What leat compresses, measured on this machine against its targets.

    bench/compress.py deliver|price|decide|cached|plain [--rounds N] [--quick] …

bench/README.md says what is measured. Exit status: 0 every target met (with --quick: it ran), 1 one
was missed, 2 something is broken, 77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import (compress_cached, compress_decide, compress_deliver, compress_plain,
                 compress_price, experiment, laboratory)

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds in full, and with --quick, what it is)
EXPERIMENTS = {
    "deliver": (compress_deliver.run, compress_deliver.ROUNDS, 2,
                "time to deliver, by leat's own choice and by fixed ones, over slow links"),
    "price": (compress_price.run, 11, 1, "CPU time for the same ratio, against nginx's gzip-6"),
    "decide": (compress_decide.run, 41, 2, "CPU time of a decision about 1 MiB"),
    "cached": (compress_cached.run, 21, 1, "CPU time of a file coded before, against a plain one"),
    "plain": (compress_plain.run, 21, 1, "what compression costs where it does not apply"),
}


def parse_rates(text):
    rates = [int(part) for part in text.split(",")]
    if not set(rates) <= set(compress_deliver.RATES):
        known = ", ".join(str(rate) for rate in compress_deliver.RATES)
        raise argparse.ArgumentTypeError(f"want some of {known}")
    return rates


def parse_arguments():
    parser = argparse.ArgumentParser(prog="compress.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, (_, full, _, what) in EXPERIMENTS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--rounds", type=int, help=f"default {full}")
        command.add_argument("--quick", action="store_true",
                             help="a few seconds, as a test that it works; judges nothing")
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        command.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
        command.add_argument("--leat", type=Path, help="default: the one in the build folder")
        command.add_argument("--server", help="another server's command line, as a template")
        command.add_argument("--engine", choices=["uring", "epoll", "both"], default="uring")
        if name == "deliver":
            command.add_argument("--rates", type=parse_rates, metavar="LIST",
                                 help="of 10,100,1000 (Mb/s); default all")
            command.add_argument("--core", choices=["free", "busy", "both"], default="both",
                                 help="the server's, without and with other work on it")
        if name == "plain":
            command.add_argument("--before", type=Path, metavar="DIR",
                                 help="a build of before compression came")
    options = parser.parse_args()
    _, full, quick, _ = EXPERIMENTS[options.experiment]
    options.rounds = options.rounds or (quick if options.quick else full)
    options.leat = (options.leat or options.build / "apps" / "leat" / "leat").resolve()
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "deliver",
                            also=["engine"])


def main():
    return laboratory.exit_status("compress.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
