# SPDX-License-Identifier: MIT
"""Three upstreams, each second another of them killed (SIGKILL) and started again half a second
later, under 64 connections that ask for 1 KiB as fast as they are answered: no client may see an
error. GET is safe, so whatever breaks before the first byte of an answer is another upstream's to
answer. HAProxy and nginx, told to do just that, have the same done to them."""
import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from peers import haproxy

from . import generator, laboratory, paired, proxy_sides, servers
from .generator import Load

CONNECTIONS = 64
UPSTREAMS = 3
EVERY_S, DOWN_S = 1.0, 0.5
TUNING = proxy_sides.Tuning(
    haproxy=haproxy.SAFE_RETRIES,
    nginx="proxy_next_upstream error timeout; proxy_next_upstream_tries 3;",
    nginx_server="max_fails=1 fail_timeout=1s")
PEERS = {proxy_sides.HAPROXY: TUNING, proxy_sides.NGINX: TUNING}
ROWS = [("errors", "errors", ".0f"), ("of these, not 200", "wrong", ".0f"),
        ("killed", "killed", ".0f"), ("requests/s", "requests_per_s", ".0f"),
        ("p99 us", "p99", ".0f"), ("max us", "max", ".0f"),
        ("CPU us/request", "cpu_us_per_request", ".2f"),
        ("proxy's core busy %", "server_core_percent", ".0f"),
        ("clients' core busy %", "client_core_percent", ".0f")]


@dataclass
class Upstream:
    """A server that comes and goes, and keeps its address."""

    argv: list
    address: str
    process: subprocess.Popen | None = None

    def start(self, lab):
        self.process = lab.spawn(self.argv, lab.client_core, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)

    def kill(self):
        """All of it, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def upstreams(lab, count=UPSTREAMS):
    """nginx, so many times: a server that people have behind their proxies."""
    found = []
    for _ in range(count):
        lab.port = lab.next_port("")
        address = f"127.0.0.1:{lab.port}"
        one = Upstream(servers.Nginx().argv(lab, lab.content(), address, {}), address)
        one.start(lab)
        found.append(one)
    for one in found:
        running = laboratory.Running(one.process, one.address, None, None)
        lab.await_listener(running, ("127.0.0.1", int(one.address.rsplit(":", 1)[1])))
    return found


class Reaper:
    """Kills one after the other, and starts it again, while the block runs. `killed` counts, and
    `trouble` is what kept it from that. (A process dies with the thread that started it, as
    laboratory.spawn has it, so this thread lives as long as its children.)"""

    def __init__(self, lab, victims, every_s=EVERY_S, down_s=DOWN_S):
        self.lab, self.victims, self.every_s, self.down_s = lab, victims, every_s, down_s
        self.killed, self.trouble = 0, None
        self.over, self.gone = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.over.wait(self.every_s - self.down_s):
                victim = self.victims[self.killed % len(self.victims)]
                victim.kill()
                self.killed += 1
                time.sleep(self.down_s)
                victim.start(self.lab)
        except (OSError, laboratory.Fault) as error:
            self.trouble = error
        self.gone.wait()
        for victim in self.victims:
            victim.kill()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.gone.set()
        self.thread.join()


def measure(lab, options, side):
    victims = upstreams(lab)
    addresses = [victim.address for victim in victims]
    load = Load("/1k.txt", options.connections or CONNECTIONS, options.seconds)
    with proxy_sides.proxy(lab, side, addresses) as running, lab.costs(running) as cost, \
            Reaper(lab, victims) as reaper:
        figures = generator.measure(lab, running.address, load)
    if reaper.trouble:
        raise laboratory.Fault(f"an upstream: {reaper.trouble}")
    return figures | cost | {
        "killed": reaper.killed,
        "cpu_us_per_request": cost["cpu_us"] / max(1, figures["requests"])}


def judge(lab, figures):
    found = {}
    for name in [name for name in figures if name.startswith("leat-")]:
        errors = sum(figure["errors"] + figure["unfinished"] for figure in figures[name])
        killed = sum(figure["killed"] for figure in figures[name])
        requests = sum(figure["requests"] for figure in figures[name])
        # Who was not killed, or answered nothing, has shown nothing.
        met = errors == 0 and killed > 0 and requests > 0
        lab.say(f"    {name}: {errors} errors in {requests} requests, {killed} upstreams killed; "
                f"target 0: {'met' if met else 'NOT MET'}")
        found[name] = {"errors": errors, "killed": killed, "requests": requests, "met": met}
    return found


def run(lab, options):
    lab.tool("nginx")
    sides = proxy_sides.choose(options, TUNING, PEERS)
    behind = upstreams(lab, 1)
    try:
        sides = proxy_sides.fit(lab, sides, [behind[0].address], [("/1k.txt", "1k.txt")])
    finally:
        behind[0].kill()
    figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side),
                                options.rounds)
    title = f"{UPSTREAMS} upstreams, one killed every second"
    lab.say(title)
    paired.table(lab, figures, ROWS)
    return [proxy_sides.result(title, figures, judge(lab, figures))]
