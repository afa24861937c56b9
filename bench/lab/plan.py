# SPDX-License-Identifier: MIT
"""What bench/run measures: its tests, and how long each may take. The first two and the messages
are done in ten minutes, all in forty, with twenty rows a table: where there are more, rounds become
shorter, and then fewer, and the report says how many and how long they were."""
import math
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
    is_closing: bool = False  # servers must close connections when asked to
    is_from_disk: bool = False  # and what they answer also must be files
    connections: int = 64
    points: list = field(default_factory=lambda: [Point()])
    phases: int = 1  # how often the seconds are spent in a turn
    overhead_s: float = 0.1  # of a turn beside these and warming up: starting, ending
    is_in_all: bool = True  # False: always there

    def takes(self, row, point):
        needs = (point.answer or self.answer, *self.answers_too)
        return all(need in row.answers for need in needs) and not (
            self.is_from_disk and any(row.answers[need][1] != "file" for need in self.answers_too))


TESTS = [
    Test("small", "1 KiB, keep-alive", "64 connections ask for 1 KiB again and again; ordered by "
         "the server's CPU time for a request.", trial.closed, "cpu_us", 9, 1.12, 292,
         is_in_all=False),
    Test("large", "1 MiB", "16 connections ask for 1 MiB again and again and read it 64 KiB at a "
         "time; ordered by the server's CPU time for a MiB.", trial.closed, "cpu_us_per_mib", 9,
         1.12, 262, answer="large", connections=16, is_in_all=False),
    Test("rates", "1 KiB at fixed rates", "An open loop over 64 connections at shares of each "
         "server's own saturation; a latency counts from when its request was due.", trial.at_rate,
         "p99", 3, 1.5, 300, kind="rates",
         points=[Point(f"{share} %", share) for share in (50, 70, 90)]),
    Test("sizes", "Other sizes", "16 connections ask for 64 KiB and for 16 MiB.", trial.closed,
         "cpu_us_per_mib", 3, 1.0, 140, kind="sizes", answer="64k", connections=16,
         points=[Point("64 KiB", 64 << 10, "64k"), Point("16 MiB", 16 << 20, "16m")]),
    Test("connections", "From ten connections to 5,000", "1 KiB, as fast as it goes; making the "
         "connections is a part of what is counted.", trial.closed, "cpu_us", 3, 1.0, 300,
         kind="connections",
         points=[Point(f"{count:,} connections", count) for count in (10, 100, 1000, 5000)],
         overhead_s=0.4),
    Test("connect", "A connection for each request", "1 KiB with Connection: close, 64 at a time.",
         trial.one_each, "cpu_us", 3, 1.2, 100, is_closing=True),
    Test("idle", "Memory of idle connections", "10,000 connections that asked once and then say "
         "nothing: what is resident in user space meanwhile, over their number.",
         trial.idle_connections, "idle_bytes_each", 3, 0, 175, kind="memory", connections=10_000,
         overhead_s=2.4),
    Test("waiting", "Memory of waiting handlers", "10,000 requests whose handlers sleep: what is "
         "resident in user space meanwhile, over their number.", trial.waiting_handlers,
         "idle_bytes_each", 3, 0, 175, kind="memory", answer="wait", connections=10_000,
         overhead_s=5.3),
    Test("slow", "Beside slow readers", "1,000 requests a second for 1 KiB, open loop, while 2,000 "
         "clients read 1 MiB each, 1 KiB every half second.", trial.beside_slow_readers, "p99", 3,
         1.0, 225, kind="latency", answers_too=("large",), connections=2_000, phases=2,
         overhead_s=1.8),
    Test("cold", "Beside a cold file", "500 requests a second for 1 KiB, open loop, while somebody "
         "reads 16 MiB from a disk that gives 2 MB/s.", trial.beside_a_cold_file, "p99", 3, 1.2,
         225, kind="latency", answers_too=("16m",), is_from_disk=True,
         connections=1, phases=2, overhead_s=1.5),
]
TITLES = {"messages": "one trade encoded and decoded", "witnesses": "wrk and h2load beside our own "
          "load generator"}
NAMES = [test.name for test in TESTS] + list(TITLES)
DEFAULT = [test.name for test in TESTS if not test.is_in_all] + list(TITLES)


@dataclass
class Shape:
    """How long one test will be, with a turn a round for each of `warm_s`: what its server needs to
    get warm."""

    test: Test
    warm_s: list
    is_quick: bool
    rounds: int
    seconds: float

    def turn_s(self, warm_s):
        """About what a turn takes."""
        beside = self.test.overhead_s + warm_s
        return self.test.phases * self.seconds + (min(beside, 0.6) if self.is_quick else beside)

    @property
    def round_s(self):
        return sum(self.turn_s(warm_s) for warm_s in self.warm_s)

    def fit(self):
        """As many rounds as possible, and as long, within the test's budget: first they become
        shorter, then fewer."""
        shortest, longest = min(SHORTEST_S, self.seconds), self.seconds
        self.seconds = shortest
        while self.rounds > 1 and self.rounds * self.round_s > self.test.budget_s:
            self.rounds -= 1
        spare_s = self.test.budget_s / self.rounds - self.round_s
        self.seconds += max(0.0, spare_s) / len(self.warm_s) / self.test.phases
        self.seconds = math.floor(100 * min(longest, self.seconds)) / 100


def shape(test, warm_s, options):
    rounds, seconds = (1, QUICK_S) if options.quick else (test.rounds, test.seconds)
    found = Shape(test, warm_s, options.quick, options.rounds or rounds,
                  options.seconds or seconds)
    if warm_s and not (options.quick or options.rounds or options.seconds):
        found.fit()
    return found
