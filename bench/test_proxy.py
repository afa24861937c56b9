#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tests of what bench/proxy.py measures with, and of what it concludes from the figures.

    bench/test_proxy.py BUILD
"""
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from lab import (laboratory, proxy_kill, proxy_large, proxy_latency, proxy_sides, proxy_slow,
                 proxy_small)

BUILD = Path(sys.argv[1])
BENCH = Path(__file__).resolve().parent
LIMIT_S = 10


class Room(laboratory.Laboratory):
    """Without a namespace, so that it needs no root; it says nothing."""

    def __init__(self):
        super().__init__(BUILD)
        self.said = []
        self.directory = Path(tempfile.mkdtemp())
        self.exits.callback(shutil.rmtree, self.directory)

    def __enter__(self):
        return self

    def say(self, text=""):
        self.said.append(text)

    def choose_cores(self, cores):
        return cores[0], cores[-1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def options(**changed):
    return SimpleNamespace(**{"engine": "both", "sides": None, "leat": "leat"} | changed)


# -- the sides


def test_sides_are_chosen():
    tuning = proxy_sides.Tuning()
    peers = {"haproxy": tuning, "nginx": tuning}

    def chosen(**changed):
        return [name for name, _ in proxy_sides.choose(options(**changed), tuning, peers)]

    assert chosen() == ["leat-uring", "leat-epoll", "haproxy", "nginx"]
    assert chosen(engine="epoll") == ["leat-epoll", "haproxy", "nginx"]
    assert chosen(sides=proxy_sides.names("nginx,leat-uring")) == ["leat-uring", "nginx"]


def test_leat_is_told_all_upstreams():
    tuning = proxy_sides.Tuning(leat=["--more"])
    side = proxy_sides.Side("leat-epoll", tuning, "/a folder/leat", "epoll")
    words = side.argv(None, None, "127.0.0.1:1", {"upstreams": ["127.0.0.1:2", "127.0.0.1:3"]})
    assert words == ["/a folder/leat", "proxy", "--listen", "127.0.0.1:1", "--threads", "1",
                     "--engine", "epoll", "--more", "http://127.0.0.1:2", "http://127.0.0.1:3"]


def test_peers_take_their_configurations():
    """As they are written for each experiment, by the peers' own tests of them."""
    modules = (proxy_small, proxy_large, proxy_latency, proxy_slow, proxy_kill)
    with Room() as room:
        for module in modules:
            peers = getattr(module, "PEERS", dict.fromkeys(["haproxy", "nginx"], module.TUNING))
            for name, tuning in peers.items():
                with contextlib.suppress(laboratory.Skip):  # it is not installed
                    port = free_port()
                    words = proxy_sides.Side(name, tuning).argv(
                        room, None, f"127.0.0.1:{port}", {"upstreams": ["127.0.0.1:1"]})
                    checks = ["-c"] if name == "haproxy" else ["-t"]
                    words = [word for word in words if word != "-db"] + checks
                    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S)
                    assert done.returncode == 0, (module, name, done.stderr)


def test_a_peer_that_answers_wrongly_stays_away():
    with Room() as room, proxy_sides.origin(room) as origin:
        sides = [("bare_splice", proxy_sides.Side("bare_splice", proxy_sides.Tuning()))]
        found = proxy_sides.fit(room, sides, [origin.address], [("/1k", "1k.txt")])
        assert [name for name, _ in found] == ["bare_splice"], room.said
        found = proxy_sides.fit(room, sides, [origin.address], [("/1k", "1m.bin")])
        assert found == [] and "without bare_splice: /1k: other bytes" in room.said[-1], room.said
        ours = [("leat-epoll", proxy_sides.Side("leat-epoll", proxy_sides.Tuning(), "/bin/false",
                                                "epoll"))]
        try:
            proxy_sides.fit(room, ours, [origin.address], [("/1k", "1k.txt")])
        except laboratory.Fault:
            return
        raise AssertionError("leat may not stay away")


# -- what a proxy holds


def read_exactly(client, size):
    while size > 0:
        size -= len(client.recv(size))


def test_what_is_held_is_seen():
    """A proxy of ours that reads 200,000 of 300,000 bytes, passes 50,000 on, and has a client that
    reads 10,000 of these: by the kernel's count."""
    with contextlib.ExitStack() as exits:
        def joined():
            listener = exits.enter_context(socket.create_server(("127.0.0.1", 0)))
            for_large = 1 << 20
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, for_large)
            near = exits.enter_context(socket.socket())
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, for_large)
            near.connect(listener.getsockname())
            return near, exits.enter_context(listener.accept()[0]), listener.getsockname()[1]

        upstream, origin, origin_port = joined()
        client, accepted, proxy_port = joined()
        origin.sendall(bytes(300_000))
        read_exactly(upstream, 200_000)
        accepted.sendall(bytes(50_000))
        read_exactly(client, 10_000)
        running = [SimpleNamespace(address=f"127.0.0.1:{port}")
                   for port in (proxy_port, origin_port)]
        with Room() as room:
            seen = proxy_slow.sockets(room, *running)
    assert seen["upstreams"] == seen["clients"] == 1, seen
    for key, size in (("sent", 300_000), ("consumed", 200_000), ("accepted", 50_000),
                      ("unread", 100_000), ("unsent", 0)):
        assert abs(seen[key] - size) <= 2, (key, seen)  # SYN counts


def test_who_has_no_upstream_is_missing():
    for clients, upstreams, lost in ((9, 9, 0), (9, 10, 0), (9, 7, 2), (8, 9, 1)):
        assert proxy_slow.missing({"clients": clients, "upstreams": upstreams}, 9) == lost


def test_pipes_are_counted():
    program = "import os, time; p = os.pipe(), os.pipe(); print(1, flush=True); time.sleep(9)"
    with Room() as room:
        process = room.spawn([sys.executable, "-c", program], room.server_core,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        running = SimpleNamespace(process=process)
        assert proxy_slow.pipes(running) == 2 + 1  # its output


def test_slow_is_judged():
    room = SimpleNamespace(say=lambda text: None)
    good = {"kib_each": 10, "held_kib": 1}
    for change, met in (({}, True), ({"kib_each": 64.1}, False), ({"held_kib": 64.1}, False)):
        found = proxy_slow.judge(room, {"leat-epoll": [good, good | change], "nginx": [good]})
        assert list(found) == ["leat-epoll"] and found["leat-epoll"]["met"] == met, (change, found)


def test_what_came_is_judged():
    room = SimpleNamespace(say=lambda text: None)
    for ours, met in ((219, True), (221, False)):
        figures = {name: [{"came_kib": size}] for name, size in
                   (("leat-uring", ours), ("haproxy", 100), ("nginx", 200))}
        assert proxy_slow.judge_came(room, figures)["leat-uring"]["met"] == met, ours
    assert proxy_slow.judge_came(room, {"leat-uring": [{"came_kib": 1}]}) == {}


# -- who is killed


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as client:
            client.sendall(b"GET /1k HTTP/1.1\r\nHost: a\r\n\r\n")
            return client.recv(4) == b"HTTP"
    except OSError:
        return False


def wait_until(condition):
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, condition
        time.sleep(0.01)


def test_upstreams_are_killed_and_come_again():
    with Room() as room:
        ports = [free_port(), free_port(), free_port()]
        victims = [proxy_kill.Upstream([room.bin / "bare_epoll", port, room.content()],
                                       f"127.0.0.1:{port}") for port in ports]
        for victim in victims:
            victim.start(room)
        for port in ports:
            wait_until(lambda port=port: answers(port))
        first = [victim.process.pid for victim in victims]
        with proxy_kill.Reaper(room, victims, every_s=0.5, down_s=0.3) as reaper:
            for port in ports[:2]:  # the third's turn will not have come
                wait_until(lambda port=port: not answers(port))
                wait_until(lambda port=port: answers(port))
        assert reaper.killed >= 2 and reaper.trouble is None, vars(reaper)
        assert not set(first[:2]) & {victim.process.pid for victim in victims}
        assert not any(answers(port) for port in ports)


def test_kill_is_judged():
    room = SimpleNamespace(say=lambda text: None)
    good = {"errors": 0, "unfinished": 0, "killed": 3, "requests": 10}
    for change, met in (({}, True), ({"errors": 1}, False), ({"unfinished": 1}, False),
                        ({"killed": 0}, False), ({"requests": 0}, False)):
        found = proxy_kill.judge(room, {"leat-uring": [good | change], "nginx": [good]})
        assert found["leat-uring"]["met"] == met, (change, found)


# -- what is concluded


def rounds(key, *values):
    return [{key: value, "errors": 0} for value in values]


def test_ratios_are_judged():
    with Room() as room:
        figures = {"leat-uring": rounds("cpu", *[7] * 9), "leat-epoll": rounds("cpu", *[9] * 9),
                   "haproxy": rounds("cpu", *[10] * 9)}
        found = proxy_sides.judge(room, figures, "cpu", "CPU", at_most={"haproxy": 0.8,
                                                                        "nginx": 0.1})
        assert {name: one["met"] for name, one in found.items()} == {
            "leat-uring to haproxy": True, "leat-epoll to haproxy": False}
        assert proxy_sides.result("t", figures, found)["met"] is False
        del figures["leat-epoll"]
        found = proxy_sides.judge(room, figures, "cpu", "CPU", at_least={"haproxy": 0.6})
        assert found["leat-uring to haproxy"]["met"]
        assert proxy_sides.result("t", figures, found)["met"] is True
        figures["leat-uring"][3]["errors"] = 1
        assert proxy_sides.result("t", figures, found)["met"] is False
        del figures["leat-uring"]
        assert proxy_sides.result("t", figures, {})["met"] is None


def test_added_latency_is_judged():
    with Room() as room:
        for ours, met in ((1099, True), (1111, False)):
            figures = {"leat-uring": rounds("p99", *[ours] * 9),
                       "haproxy": rounds("p99", *[1010] * 9), "direct": rounds("p99", *[10] * 9)}
            found = proxy_latency.judge(room, figures)
            assert found["leat-uring to haproxy"]["met"] == met, (ours, found)
        del figures["haproxy"]
        assert proxy_latency.judge(room, figures) == {}


def test_wrong_usage():
    for words in ([], ["other"], ["small", "--sides", "nobody"], ["kill", "--clients", "3"],
                  ["small", "--rounds", "-1"]):
        done = subprocess.run([BENCH / "proxy.py", *words], capture_output=True, timeout=LIMIT_S)
        assert done.returncode == 2 and done.stderr, (words, done)


def main():
    failures = []
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        try:
            test()
        except (AssertionError, laboratory.Fault, OSError, subprocess.TimeoutExpired) as error:
            failures.append(f"{name}: {error!r}")
    print("\n".join(failures + [f"{len(failures)} failed" if failures
                                else "proxy.py sees what it should"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
