#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Films as streams, measured on this machine against their targets.

    bench/films.py segment|first|players [--rounds N] [--seconds S] [--json FILE] [--quick] …

The films are made by ffmpeg each time; bench/README.md says what is measured.
Exit status: 0 every target met (with --quick: it ran), 1 one was missed, 2 something is broken,
77 this host can not run it.
"""
import argparse
import sys
from pathlib import Path

from lab import experiment, films_first, films_players, films_segment, laboratory

ROOT = Path(__file__).resolve().parent.parent
# name: (run, rounds and seconds in full, and with --quick, what it is)
EXPERIMENTS = {
    "segment": (films_segment.run, (41, 2), (1, 0.3),
                "CPU time of segments against the same bytes as files"),
    "first": (films_first.run, (21, 0), (1, 0),
              "the first segment of films that nobody has asked for yet: time and memory"),
    "players": (films_players.run, (3, 60), (1, 5), "2,000 players of a film on one core"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="films.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, (_, full, _, what) in EXPERIMENTS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--rounds", type=int, help=f"default {full[0]}")
        if full[1]:
            command.add_argument("--seconds", type=float, help=f"of each round; default {full[1]}")
        command.add_argument("--quick", action="store_true",
                             help="a few seconds, as a test that it works; judges nothing")
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        command.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR")
        command.add_argument("--engine", choices=["uring", "epoll", "both"], default="both")
        command.add_argument("--premade", action="store_true",
                             help="ffmpeg's segments as files in the films' places: what the "
                             "measurement shows where nothing is packaged")
        if name == "players":
            command.add_argument("--players", type=int, metavar="N",
                                 help=f"default {films_players.PLAYERS}")
    options = parser.parse_args()
    _, full, quick, _ = EXPERIMENTS[options.experiment]
    options.rounds = options.rounds or (quick if options.quick else full)[0]
    options.seconds = getattr(options, "seconds", None) or (quick if options.quick else full)[1]
    options.leat = (options.build / "apps" / "leat" / "leat").resolve()
    if options.rounds < 1:
        parser.error("--rounds: want 1 or more")
    return options


def run(options):
    return experiment.judge(options, EXPERIMENTS[options.experiment][0], "players",
                            also=["premade"])


def main():
    return laboratory.exit_status("films.py", run, parse_arguments())


if __name__ == "__main__":
    sys.exit(main())
