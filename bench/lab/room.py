# SPDX-License-Identifier: MIT
"""The laboratory of bench/run, which runs wherever it is started. What a host denies (root, a
network namespace, a second core, control groups) costs the figures something, and `lost` says what;
the laboratory of bench/lab.py, which judges claims, gives up instead."""
import contextlib
import os
import re
import socket
import tempfile
import time
from pathlib import Path

from . import account, laboratory, peer

SIZES = {"1k.txt": 1 << 10, "1m.bin": 1 << 20, "64k.bin": 64 << 10, "16m.bin": 16 << 20}
BUSY_PERCENT = 10
CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def siblings(core):
    """The logical cores that share a physical one with it."""
    with contextlib.suppress(OSError):
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
        found = set()
        for part in text.strip().split(","):
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
        return found
    return {core}


def distribution():
    with contextlib.suppress(OSError):
        found = re.search(r'^PRETTY_NAME="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M)
        return found.group(1) if found else ""
    return ""


def memory_bytes():
    found = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return int(found.group(1)) * 1024 if found else 0


class Room(laboratory.Laboratory):
    def __init__(self, build):
        self.lost = []
        self.has_namespace = False
        super().__init__(build)

    def choose_cores(self, cores):
        if len(cores) == 1:
            self.lost.append("one core only: server and client share it, so requests/s is what "
                             "both reach together; CPU time a request still is the server's own")
            return cores[0], cores[0]
        apart = [core for core in cores if core not in siblings(cores[0])]
        if not apart:
            self.lost.append(f"cores {cores[0]} and {cores[1]} are threads of one physical core: "
                             "server and client slow each other down")
        return cores[0], (apart or cores[1:])[0]

    def enter_namespace(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.exits.callback(os.close, home)
        try:
            super().enter_namespace()
            self.has_namespace = True
        except (laboratory.Skip, laboratory.Fault) as reason:
            if os.geteuid() == 0:
                with contextlib.suppress(OSError):  # it may have failed half-way
                    laboratory.libc_call("setns", home, laboratory.CLONE_NEWNET)
            control = CONGESTION.read_text().strip()
            paces = "; bbr paces even on loopback, so large bodies show a timer's speed" \
                if control == "bbr" else ""
            self.lost.append(f"no network namespace of our own ({reason}): on the host's network, "
                             f"with its congestion control, {control}{paces}")
        if account.source(laboratory.group_root("cpuacct")) == "schedstat":
            self.lost.append("no control group: CPU time is that of the processes alive at the end "
                             "of a round, without threads that ended in it")

    def make_directory(self):
        try:
            return super().make_directory()
        except OSError:
            self.lost.append("the build folder may not be written to: the content lies in the "
                             "folder for temporary files")
            return Path(tempfile.mkdtemp(prefix=f"{laboratory.PREFIX}{os.getpid()}-"))

    def next_port(self, host):
        if self.has_namespace:
            return super().next_port(host)
        with socket.create_server((host, 0)) as probe:
            return probe.getsockname()[1]

    def content(self):
        """A folder with every file of peer.CONTENT, in the page cache."""
        path = super().content()
        for name in peer.CONTENT.values():
            if not (path / name).exists():
                (path / name).write_bytes(os.urandom(SIZES[name]))
        return path

    def look_around(self, seconds=0.5):
        """How busy the cores are while nothing of ours runs; others' work is in every figure."""
        cores = {self.server_core, self.client_core}
        before = {core: laboratory.core_times(core) for core in cores}
        time.sleep(seconds)
        busy = {}
        for core in cores:
            spent, total = (now - then for now, then in
                            zip(laboratory.core_times(core), before[core]))
            busy[core] = 100 * spent / total if total else 0.0
        worst = max(busy.values())
        if worst > BUSY_PERCENT:
            self.lost.append(f"a quiet machine: before any measurement others had {worst:.0f} % of "
                             "a core; latencies and requests/s are worse for it, and less certain")
        return worst

    def facts(self):
        return laboratory.host_facts(self) | {
            "distribution": distribution(), "memory_bytes": memory_bytes(),
            "descriptors": laboratory.resource.getrlimit(laboratory.resource.RLIMIT_NOFILE)[1]}
