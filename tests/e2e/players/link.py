# SPDX-License-Identifier: MIT
"""A link of a chosen rate between a server in a network namespace of its own and the browser, which
stays in ours: a veth pair of MTU 1500 with a token bucket (tbf) on the server's side. All of it is
gone when its holder, a process that sleeps in the namespace, ends."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import time

# RFC 2544, section C.2.2: addresses for tests of networks, which no host has. A link takes four.
NETWORK = "198.18"
CLONE_NEWNET = 0x40000000
BURST = 16 * 1024
QUEUE_MS = 100  # what waits longer in front of the bucket is dropped


class Refused(Exception):
    """This host allows no such link; the text says why."""


def what_is_missing():
    """A reason to skip, or ""."""
    for tool in ("ip", "tc", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if os.geteuid() != 0:
        return "network namespaces need root here"
    return ""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Refused(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Link:
    def __init__(self, number):
        """`number` tells links of one process apart, 0 … 7."""
        reason = what_is_missing()
        if reason:
            raise Refused(reason)
        unique = os.getpid() * 8 % 16384 + number
        host = [f"{NETWORK}.{unique // 64}.{unique % 64 * 4 + last}" for last in (1, 2)]
        self.address, self.client = host
        self.ours, self.theirs = f"leat{unique}c", f"leat{unique}s"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"],
                                       stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            self._await_namespace()
            self._join()
        except BaseException:
            self.close()
            raise

    def _await_namespace(self):
        ours, end = os.readlink("/proc/self/ns/net"), time.monotonic() + 5
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == ours:
            if self.holder.poll() is not None or time.monotonic() > end:
                raise Refused("may not make a network namespace")
            time.sleep(0.01)

    def _join(self):
        run("ip", "link", "add", self.ours, "mtu", "1500", "type", "veth",
            "peer", "name", self.theirs, "mtu", "1500", "netns", self.holder.pid)
        run("ip", "address", "add", f"{self.client}/30", "dev", self.ours)
        run("ip", "link", "set", self.ours, "up")
        self.inside("ip", "address", "add", f"{self.address}/30", "dev", self.theirs)
        self.inside("ip", "link", "set", self.theirs, "up")
        self.inside("ip", "link", "set", "lo", "up")
        # bbr would pace for itself; reno is what everybody has.
        self.inside("sh", "-c", "echo reno >/proc/sys/net/ipv4/tcp_congestion_control")

    @property
    def prefix(self):
        """What runs a command on the server's side."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def inside(self, *command):
        return run(*self.prefix, *command)

    def cap(self, rate_k):
        """So many kilobits a second from the server to the browser."""
        self.inside("tc", "qdisc", "replace", "dev", self.theirs, "root", "tbf", "rate",
                    f"{rate_k}kbit", "burst", BURST, "latency", f"{QUEUE_MS}ms")

    def counters(self):
        """What the server's TCP has counted: segments sent, and those that were sent again."""
        lines = pathlib.Path(f"/proc/{self.holder.pid}/net/snmp").read_text().splitlines()
        names, values = [line.split()[1:] for line in lines if line.startswith("Tcp:")]
        table = dict(zip(names, map(int, values)))
        return {"segments": table["OutSegs"], "again": table["RetransSegs"]}

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.holder.kill()
        self.holder.wait()
        # The pair goes with the namespace, but that takes the kernel a moment.
        subprocess.run(["ip", "link", "delete", self.ours], capture_output=True, check=False)


@contextlib.contextmanager
def joined(number=0):
    link = Link(number)
    try:
        yield link
    finally:
        link.close()
