# SPDX-License-Identifier: MIT
"""A link of a rate of its own: server — router — client, three network namespaces and two veth
pairs of MTU 1500; what the router has for the client goes through tbf, at 10, 100 or 1000 Mb/s.

As with real network cards, the server hands the kernel segments of up to 64 KiB (TSO), and it is
not the server's core that cuts them: the router does, whose tbf lets no more than a few packets
pass at once. Ethernet's own 24 bytes a packet (preamble, checksum, gap) count. Each side's packets
are handled on its own core (RPS), the router's on the client's: the clock of the link does not
stand still while the server computes. Nothing is lost: the client's window (256 KiB) fits into the
router's queue. There is no delay but the queue's, for many kernels have no netem.
"""
import contextlib
import subprocess

from . import laboratory

SERVER, CLIENT = "10.77.0.1", "10.77.1.2"
SERVER_HOP, CLIENT_HOP = "10.77.0.254", "10.77.1.254"
RECEIVE_MEMORY = "4096 131072 262144"
QUEUE_BYTES = 4 << 20
OVERHEAD = 24
# What passes at once: a packet, and as much as the timer may be late by. Less costs of the rate; of
# more a small answer is there at once, and who measures the link by it is told of none.
BURST_BYTES, BURST_S = 1600, 60e-6
SPREAD = 'mount --make-rprivate / && mount -t sysfs none /sys && ' \
    'for queue in /sys/class/net/*/queues/rx-*/rps_cpus; do case $queue in */lo/*) ;; ' \
    '*) echo {mask:x} >"$queue" || exit 1;; esac; done'


class Link:
    """Of a laboratory that has been entered: its own namespace becomes the server's."""

    def __init__(self, lab):
        self.lab = lab
        self.server, self.host = lab.namespace, SERVER
        self.router, self.client = lab.new_namespace(), lab.new_namespace()
        holders = {namespace: lab.spawn(["sleep", "infinity"], lab.client_core,
                                        namespace=namespace)
                   for namespace in (self.server, self.router)}
        # One is in the client's namespace now.
        lab.command("ip", "link", "add", "client0", "mtu", "1500", "type", "veth",
                    "peer", "name", "router1", "mtu", "1500")
        lab.command("ip", "link", "set", "router1", "netns", str(holders[self.router].pid))
        self.set_up("client0", CLIENT, CLIENT_HOP)
        self.write_setting("tcp_rmem", RECEIVE_MEMORY)
        self.spread(lab.client_core)
        laboratory.libc_call("setns", self.router, laboratory.CLONE_NEWNET)
        lab.command("ip", "link", "add", "router0", "mtu", "1500", "type", "veth",
                    "peer", "name", "server0", "mtu", "1500")
        lab.command("ip", "link", "set", "server0", "netns", str(holders[self.server].pid))
        self.set_up("router0", SERVER_HOP)
        self.set_up("router1", CLIENT_HOP)
        self.write_setting("ip_forward", "1")
        self.spread(lab.client_core)
        laboratory.libc_call("setns", self.server, laboratory.CLONE_NEWNET)
        self.set_up("server0", SERVER, SERVER_HOP)
        self.spread(lab.server_core)

    def set_up(self, device, address, gateway=None):
        self.lab.command("ip", "address", "add", f"{address}/24", "dev", device)
        self.lab.command("ip", "link", "set", device, "up")
        if gateway is not None:
            self.lab.command("ip", "route", "add", "default", "via", gateway)

    def write_setting(self, name, text):
        """Of the namespace that one is in; /proc/sys/net is that of the process."""
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as setting:
            setting.write(text)

    def spread(self, core):
        """What comes to this namespace is handled on that core. sysfs shows the network of who
        mounted it, so it is mounted, where nobody else sees it."""
        done = subprocess.run(["unshare", "-m", "sh", "-c", SPREAD.format(mask=1 << core)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise laboratory.Skip(f"may not steer packets to cores: {done.stderr.strip()}")

    @contextlib.contextmanager
    def inside(self, namespace):
        laboratory.libc_call("setns", namespace, laboratory.CLONE_NEWNET)
        try:
            yield
        finally:
            laboratory.libc_call("setns", self.server, laboratory.CLONE_NEWNET)

    def limit(self, mbit_per_s):
        burst = BURST_BYTES + round(BURST_S * mbit_per_s * 1e6 / 8)
        with self.inside(self.router):
            try:
                self.lab.command("tc", "qdisc", "replace", "dev", "router1", "root", "tbf", "rate",
                                 f"{mbit_per_s}mbit", "burst", str(burst), "limit",
                                 str(QUEUE_BYTES), "overhead", str(OVERHEAD))
            except laboratory.Fault as fault:
                raise laboratory.Skip(f"no tbf: {fault}") from fault
