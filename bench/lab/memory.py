# SPDX-License-Identifier: MIT
"""A server's memory in user space: what the kernel counts as resident (VmRSS), shared libraries and
all, over every process of the server. Socket buffers and the kernel's own objects are not in it."""
import contextlib
import resource
import threading
import time
from pathlib import Path

from . import laboratory

STABLE_S, STABLE_LIMIT_S = 0.25, 4.0


def processes(running):
    """The living processes of a server: they share the session that its first one leads, also
    those that took over from it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(session) == running.process.pid and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def total(running, key):
    """The sum of VmRSS or VmHWM in bytes."""
    size = 0
    for pid in processes(running):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(key + ":"):
                    size += int(line.split()[1]) * 1024
    return size


def resident(running):
    return total(running, "VmRSS")


def peak(running):
    return total(running, "VmHWM")


def reset_peak(running):
    """What was resident at most counts from now on."""
    for pid in processes(running):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def settled(running, limit_s=STABLE_LIMIT_S):
    """What is resident once that has stopped changing, or `limit_s` have passed."""
    until = time.monotonic() + limit_s
    before = resident(running)
    while True:
        time.sleep(STABLE_S)
        now = resident(running)
        if now == before or time.monotonic() > until:
            return now
        before = now


class Watch:
    """Notes what is resident every 20 ms while the block runs, as (seconds, bytes)."""

    PERIOD_S = 0.02

    def __init__(self, running):
        self.running = running
        self.samples = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        start = time.monotonic()
        while not self.over.wait(self.PERIOD_S):
            self.samples.append((time.monotonic() - start, resident(self.running)))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def need_descriptors(count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < count:
        raise laboratory.Skip(f"needs {count} descriptors a process; this host allows {most}")
