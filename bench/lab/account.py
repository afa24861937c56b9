# SPDX-License-Identifier: MIT
"""What a server has cost: CPU time in all, and how it divides into user and system.

Where a control group can be made, it keeps the account (version 1's cpuacct, or version 2, which
needs no controller for it): threads and children that have ended are in it. Else the processes of
the server's session are asked, which forgets threads that are gone.

The total is in nanoseconds, exact at a context switch. How it divides is not always: a kernel with
CONFIG_TICK_CPU_ACCOUNTING samples that at its clock ticks, 100 to 1000 times a second, so `user`
and `system` are only to be read as shares of the total, and over many seconds.
"""
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cpu:
    total_ns: int
    user: float  # in whatever unit: shares
    system: float

    def __sub__(self, before):
        return Cpu(self.total_ns - before.total_ns, self.user - before.user,
                   self.system - before.system)


def unified_root():
    """Where this process may make groups of version 2, or None."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind = line.split()[:3]
        if kind == "cgroup2":
            for own in Path("/proc/self/cgroup").read_text().splitlines():
                if own.startswith("0::") and Path(mount + own[3:]).is_dir():
                    return Path(mount + own[3:])
            return Path(mount)
    return None


def source(cpuacct_root):
    """The name of the account that servers will have here."""
    if cpuacct_root is not None and os.access(cpuacct_root, os.W_OK):
        return "cpuacct"
    if unified_root() is not None and os.access(unified_root(), os.W_OK):
        return "cgroup v2"
    return "schedstat"


def read_group(path):
    if (path / "cpuacct.usage").exists():
        return Cpu(*(int((path / f"cpuacct.{name}").read_text())
                     for name in ("usage", "usage_user", "usage_sys")))
    fields = dict(line.split() for line in (path / "cpu.stat").read_text().splitlines())
    return Cpu(int(fields["usage_usec"]) * 1000, int(fields["user_usec"]),
               int(fields["system_usec"]))


def read_session(leader):
    """The living processes of the session that `leader` leads."""
    cpu = Cpu(0, 0, 0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) != leader:
                continue
            cpu.user += int(fields[11])
            cpu.system += int(fields[12])
            for thread in stat.parent.glob("task/*/schedstat"):
                cpu.total_ns += int(thread.read_text().split()[0])
    return cpu
