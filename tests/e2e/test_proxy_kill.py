# SPDX-License-Identifier: MIT
"""Upstreams that die under load: every second another of three is killed (SIGKILL) and started
again, and who asks for what is safe to ask for twice must not notice."""

import contextlib
import json
import re
import signal
import subprocess
import threading
import time

import pytest

import proxy_origins as origins
from conftest import ENGINE, LEAT, await_true
from peer import Peer

UPSTREAMS = 3
CONNECTIONS = 32
on_uring = pytest.mark.mostly_on("uring")
on_epoll = pytest.mark.mostly_on("epoll")
BODY = b"x" * 1024
# One process, so that to kill it is to kill all of it.
NGINX = """\
user root; daemon off; master_process off; pid {work}/pid; error_log {work}/log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2; sendfile on;
    fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
    server {{ listen 127.0.0.1:{port}; root {folder}; keepalive_requests 1000000; }}
}}
"""
NODE = """\
const body = 'x'.repeat(1024);
require('http').createServer((request, response) => response.end(body))
    .listen({port}, '127.0.0.1');
"""


class Upstream:
    """A server that comes and goes, and keeps its port."""

    def __init__(self, kind, work):
        self.work = work
        self.port = origins.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.words = getattr(self, kind)()
        self.process = None

    def nginx(self):
        origins.need("nginx")
        conf = self.work / "conf"
        conf.write_text(NGINX.format(work=self.work, folder=self.work, port=self.port))
        return ["nginx", "-p", self.work, "-c", conf, "-e", "stderr"]

    def node(self):
        origins.need("node")
        return ["node", "-e", NODE.format(port=self.port)]

    def leat(self):
        return [LEAT, "serve", "--engine", ENGINE, "--threads", "1", "--listen",
                f"127.0.0.1:{self.port}", self.work]

    def start(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        assert self.process.poll() is None, f"{self.words[0]} ended"
        return origins.listens(self.port)


@pytest.fixture(name="three")
def three_upstreams(tmp_path):
    """three(kind) starts them."""
    with contextlib.ExitStack() as stack:
        def start(kind):
            found = []
            for number in range(UPSTREAMS):
                work = tmp_path / f"upstream-{number}"
                work.mkdir()
                (work / "1k").write_bytes(BODY)
                found.append(Upstream(kind, work))
                found[-1].start()
                stack.callback(found[-1].kill)
            for upstream in found:
                await_true(upstream.is_ready)
            return found
        yield start


class Reaper:
    """Kills one after the other and starts it again, as long as the block lasts."""

    def __init__(self, victims, every_s, down_s):
        self.victims, self.every_s, self.down_s = victims, every_s, down_s
        self.killed = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.reap)

    def reap(self):
        begin = time.monotonic()
        while not self.over.wait(
                max(0, begin + (self.killed + 0.5) * self.every_s - time.monotonic())):
            victim = self.victims[self.killed % len(self.victims)]
            victim.kill()
            self.killed += 1
            time.sleep(self.down_s)
            victim.start()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def load(server, seconds):
    """What leat load found out."""
    url = server.url.rstrip("/") + "/1k"
    done = subprocess.run([LEAT, "load", "--engine", ENGINE, "-c", str(CONNECTIONS), "-d",
                           f"{seconds}s", "--json", "-", url], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds + 30, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def kill_under_load(server, upstreams, seconds, every_s=1.0, down_s=0.0):
    with Reaper(upstreams, every_s, down_s) as reaper:
        figures = load(server, seconds)
    assert reaper.killed >= (seconds - 1) / every_s
    return figures


def start(proxy, upstreams, *flags):
    return proxy("--threads", "2", *flags, *(upstream.url for upstream in upstreams))


def expect_no_error(figures):
    assert figures["requests"] > 100
    assert figures["statuses"] == {"200": figures["requests"]}, figures
    assert figures["errors"]["total"] == figures["unfinished"] == 0, figures


@pytest.mark.parametrize("kind", ["nginx", pytest.param("node", marks=on_uring),
                                  pytest.param("leat", marks=on_epoll)])
def test_nobody_notices(proxy, three, kind):
    upstreams = three(kind)
    server = start(proxy, upstreams)
    expect_no_error(kill_under_load(server, upstreams, 4))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["nginx", "node", "leat"])
def test_nobody_notices_for_half_a_minute(proxy, three, kind):
    upstreams = three(kind)
    server = start(proxy, upstreams, "--health-path", "/1k", "--health-interval-ms", "200")
    expect_no_error(kill_under_load(server, upstreams, 30, down_s=0.3))


@pytest.mark.long
def test_nobody_notices_when_all_circuits_are_open(proxy, three):
    """Each is back at once, but the others are killed before its circuit has closed again."""
    upstreams = three("nginx")
    server = start(proxy, upstreams)
    expect_no_error(kill_under_load(server, upstreams, 20, every_s=0.3))


@on_uring
def test_without_a_second_try_it_shows(proxy, three):
    """So those who are killed do have requests in work."""
    upstreams = three("nginx")
    server = start(proxy, upstreams, "--max-retries", "0")
    figures = kill_under_load(server, upstreams, 3, every_s=0.5)
    assert figures["statuses"].get("502", 0) > 0, figures


@on_epoll
def test_who_is_alone_is_missed_and_found_again(proxy, three):
    """While nobody else is up it does not take the circuit's whole time."""
    upstream = three("nginx")[0]
    server = start(proxy, [upstream], "--max-failures", "1")
    assert server.get("/1k").status == 200
    for _ in range(2):
        upstream.kill()
        answers = [server.get("/1k") for _ in range(2)]
        assert {answer.status for answer in answers} <= {502, 503}
        upstream.start()
        await_true(upstream.is_ready)
        begin = time.monotonic()
        await_true(lambda: server.get("/1k").status == 200, 3)
        assert time.monotonic() - begin < 2


@contextlib.contextmanager
def stopped(upstream):
    """It takes connections, as its kernel does for it, and says nothing."""
    upstream.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        upstream.process.send_signal(signal.SIGCONT)


@on_uring
def test_one_that_hangs_keeps_few(proxy, three):
    """Who asked it is told late; but soon nobody asks it any more, save one a while."""
    upstreams = three("nginx")
    server = start(proxy, upstreams, "--answer-timeout-ms", "300")
    with stopped(upstreams[0]):
        figures = load(server, 3)
    late = figures["statuses"].pop("504", 0)
    # Those in work when its circuit opens, and then the probes.
    assert 1 <= late <= CONNECTIONS + 5 < figures["requests"] / 10, figures
    assert list(figures["statuses"]) == ["200"] and figures["errors"]["total"] == 0, figures


def metrics_of(server):
    port = int(re.search(r"admin on http://127\.0\.0\.1:(\d+)", server.stderr())[1])
    with Peer(("127.0.0.1", port)) as peer:
        return peer.get("/metrics").body.decode()


@on_epoll
def test_one_that_is_unwell_is_not_asked(proxy, three):
    """The check finds out before any client does, who would have no second try."""
    upstreams = three("nginx")
    server = start(proxy, upstreams, "--health-path", "/1k", "--health-interval-ms", "50",
                   "--max-retries", "0", "--admin", "127.0.0.1:0")
    server.expect_on_stderr("leat proxy: admin on http://")

    def is_up(upstream):
        line = rf'leat_upstream_up\{{[^}}]*"{upstream.url}"\}} ([01])'
        return re.search(line, metrics_of(server))[1] == "1"
    assert all(is_up(upstream) for upstream in upstreams)
    upstreams[0].kill()
    await_true(lambda: not is_up(upstreams[0]))
    expect_no_error(load(server, 1))
    upstreams[0].start()
    await_true(lambda: is_up(upstreams[0]))
    expect_no_error(load(server, 1))
