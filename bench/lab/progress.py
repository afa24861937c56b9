# SPDX-License-Identifier: MIT
"""One line for whoever waits: what is being done and how long it will take still. On a terminal it
is written over again and again; in a log it is a line now and then."""
import sys
import time

QUIET_S = 20


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    def __init__(self, planned_s=0.0):
        self.planned_s = planned_s  # of all that is still to come
        self.done_s = 0.0  # of it, by the plan
        self.started = time.monotonic()
        self.said = 0.0
        self.is_terminal = sys.stderr.isatty()

    def plan(self, seconds):
        self.planned_s, self.done_s, self.started = seconds, 0.0, time.monotonic()

    def left(self):
        """As slow as so far, once there is a while to go by."""
        took = time.monotonic() - self.started
        pace = took / self.done_s if self.done_s > 10 else 1.0
        return max(0.0, (self.planned_s - self.done_s) * pace)

    def tell(self, text, is_new=False):
        """Says it now on a terminal, and elsewhere if it is new or the last word is long past."""
        left = f", {clock(self.left())} left" if self.planned_s else ""
        now = time.monotonic()
        if self.is_terminal:
            print(f"\r\033[K{text}{left}", end="", file=sys.stderr, flush=True)
        elif is_new or now - self.said >= QUIET_S:
            print(f"{text}{left}", file=sys.stderr, flush=True)
            self.said = now

    def done(self, seconds):
        self.done_s += seconds

    def remark(self, text):
        """A line that stays."""
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr)
        print(text, file=sys.stderr, flush=True)

    def clear(self):
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
