# SPDX-License-Identifier: MIT
"""A server and the processes that replace it, as an operator has them."""

import contextlib
import os
import pathlib
import re
import signal

from conftest import await_true, is_running

TAKEN_OVER = re.compile(r"leat (?:serve|proxy): process (\d+) has taken over; (\d+) ends with its")


class Reign:
    """A server and those that replace it."""

    def __init__(self, server):
        self.server = server
        self.pid = server.pid
        self.pids = [self.pid]
        server.expect_on_stderr(TAKEN_OVER.pattern)

    def replace(self, number=signal.SIGUSR2):
        """Returns the new process."""
        old = self.pid
        os.kill(old, number)
        self.pid = await_true(lambda: next((int(new) for new, pid in
                                            TAKEN_OVER.findall(self.server.stderr())
                                            if int(pid) == old), None))
        self.pids.append(self.pid)
        return self.pid

    def end(self):
        """The successors, who are nobody's children; the first is stopped by who started it."""
        for pid in self.pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in self.pids[1:]:
            await_true(lambda pid=pid: not is_running(pid))


def status_of_threads(pid):
    """What /proc says of each thread of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            text = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
            yield dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
