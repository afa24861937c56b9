# SPDX-License-Identifier: MIT
"""What bench/run measures: its tests, and how long each may take. The first two and the messages
are done in ten minutes, all in forty, with twenty rows a table: where there are more, rounds become
shorter, and then fewer, and the report says how many and how long they were."""
from collections.abc import Callable
from dataclasses import dataclass, field

from . import trial
from .trial import Point

QUICK_S = 0.3
SHORTEST_S = 0.5  # a round, when many rows have to share the time


@dataclass
class Test:
    name: str
    title: str
    what: str  # one sentence, for people
    measure: Callable
    order_by: str
    rounds: int
    seconds: float
    budget_s: float  # what it may take at most
    kind: str = "closed"
    answer: str = "small"  # what a row must be able to answer, of Row.answers
    answers_too: tuple = ()  # and also
    connections: int = 64
    points: list = field(default_factory=lambda: [Point()])
    phases: int = 1  # how often the seconds are spent in a turn
    overhead_s: float = 0.45  # of a turn: starting, warming up, ending
    is_in_all: bool = True  # False: always there

    def takes(self, row, point):
        needs = (point.answer or self.answer, *self.answers_too)
        return all(need in row.answers for need in needs)


TESTS = [
    Test("small", "1 KiB, keep-alive", "64 connections ask for 1 KiB again and again; ordered by "
         "the server's CPU time for a request.", trial.closed, "cpu_us", 6, 1.7, 258,
         is_in_all=False),
    Test("large", "1 MiB", "16 connections ask for 1 MiB again and again and read it 256 KiB at a "
         "time; ordered by the server's CPU time for a MiB.", trial.closed, "cpu_us_per_mib", 6,
         1.7, 258, answer="large", connections=16, is_in_all=False),
    Test("rates", "1 KiB at fixed rates", "An open loop over 64 connections at shares of each "
         "server's own saturation; a latency counts from when its request was due.", trial.at_rate,
         "p99", 3, 1.5, 335, kind="rates",
         points=[Point(f"{share} %", share) for share in (50, 70, 90)]),
    Test("sizes", "Other sizes", "16 connections ask for 64 KiB and for 16 MiB.", trial.closed,
         "cpu_us_per_mib", 3, 1.0, 140, kind="sizes", answer="64k", connections=16,
         points=[Point("64 KiB", 64 << 10, "64k"), Point("16 MiB", 16 << 20, "16m")]),
    Test("connections", "From ten connections to 5,000", "1 KiB, as fast as it goes; making the "
         "connections is a part of what is counted.", trial.connections, "cpu_us", 3, 1.0, 340,
         kind="connections",
         points=[Point(f"{count:,} connections", count) for count in (10, 100, 1000, 5000)],
         overhead_s=0.7),
    Test("connect", "A connection for each request", "1 KiB with Connection: close, 64 at a time.",
         trial.one_each, "cpu_us", 3, 1.2, 100),
    Test("idle", "Memory of idle connections", "10,000 connections that asked once and then say "
         "nothing: what is resident in user space meanwhile, over their number.",
         trial.idle_connections, "idle_bytes_each", 3, 0, 195, kind="memory", connections=10_000,
         overhead_s=3.2),
    Test("waiting", "Memory of waiting handlers", "10,000 requests whose handlers sleep: what is "
         "resident in user space meanwhile, over their number.", trial.waiting_handlers,
         "idle_bytes_each", 3, 0, 165, kind="memory", answer="wait", connections=10_000,
         overhead_s=5.5),
    Test("slow", "Beside slow readers", "1,000 requests a second for 1 KiB, open loop, while 2,000 "
         "clients read 1 MiB each, 1 KiB every half second.", trial.beside_slow_readers, "p99", 3,
         1.0, 225, kind="latency", answers_too=("large",), connections=2_000, phases=2,
         overhead_s=2.0),
    Test("cold", "Beside a cold file", "500 requests a second for 1 KiB, open loop, while somebody "
         "reads 16 MiB from a disk that gives 2 MB/s.", trial.beside_a_cold_file, "p99", 3, 1.2,
         225, kind="latency", answers_too=("16m",), connections=1, phases=2, overhead_s=1.5),
]
TITLES = {"messages": "one trade encoded and decoded", "witnesses": "wrk and h2load beside our own "
          "load generator"}
NAMES = [test.name for test in TESTS] + list(TITLES)
DEFAULT = [test.name for test in TESTS if not test.is_in_all] + list(TITLES)


@dataclass
class Shape:
    """How long one test will be."""

    rounds: int
    seconds: float
    turn_s: float
    count: int  # of turns in a round

    @property
    def estimate_s(self):
        return self.rounds * self.count * self.turn_s


def shape(test, count, options):
    """Rounds and seconds of a test with `count` turns a round."""
    rounds, seconds = (1, QUICK_S) if options.quick else (test.rounds, test.seconds)
    overhead_s = min(test.overhead_s, 0.6) if options.quick else test.overhead_s
    if not options.quick and options.rounds is None and options.seconds is None and count > 0:
        while True:
            fitting = (test.budget_s / (rounds * count) - overhead_s) / test.phases
            if fitting >= min(SHORTEST_S, seconds) or rounds == 1:
                seconds = min(seconds, max(fitting, SHORTEST_S))
                break
            rounds -= 1
    rounds, seconds = options.rounds or rounds, options.seconds or seconds
    seconds = round(seconds, 2)
    return Shape(rounds, seconds, test.phases * seconds + overhead_s, count)
