# SPDX-License-Identifier: MIT
"""The administrator's address: what it says agrees with what happened, also of a worker that does
not answer."""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import await_true, is_running
from peer import Peer

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


@pytest.fixture
def hello(folder):
    (folder / "hello.txt").write_text("hello, mill\n")
    return folder


@pytest.fixture
def watched(serve, hello):
    """watched(*flags): a server, and the address of its administrator."""
    def start(*flags):
        server = serve(hello, *flags, "--admin", "127.0.0.1:0")
        server.expect_on_stderr(r"leat serve: admin on http://127\.0\.0\.1:\d+$")
        found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
        return server, (found[1], int(found[2]))
    return start


def ask(admin, target):
    with Peer(admin) as peer:
        return peer.get(target)


def scrape(admin):
    """{name{labels}: value}, in the way of a page that has each once."""
    answer = ask(admin, "/metrics")
    assert answer.status == 200
    assert answer.get("Content-Type").startswith("text/plain; version=0.0.4")
    metrics = {}
    for line in answer.body.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in metrics, name
            metrics[name] = float(value)
    return metrics


def total(metrics, name, **labels):
    """The sum of a family's samples with these labels."""
    return sum(value for key, value in metrics.items()
               if key.split("{")[0] == name and
               all(f'{label}="{wanted}"' in key for label, wanted in labels.items()))


def scrape_until(admin, holds):
    """The first page of which that holds. A response has its line, and is counted, after it was
    sent: who has received it may be quicker to ask."""
    deadline = time.monotonic() + 10
    while not holds(metrics := scrape(admin)):
        assert time.monotonic() < deadline, metrics
        time.sleep(0.02)
    return metrics


def answered(count):
    return lambda metrics: total(metrics, "leat_http_requests_total") >= count


def test_metrics_agree_with_what_happened(watched):
    server, admin = watched("--threads", "2", "--access-log", "/dev/null")
    before = scrape(admin)
    assert total(before, "leat_http_requests_total") == 0
    sent = 0
    for _ in range(7):
        answer = server.get("/hello.txt")
        sent += len(answer.body)
    assert server.get("/none").status == 404
    assert server.get("/hello.txt", fields=["If-None-Match: *"]).status == 304
    with server.connect() as peer:
        peer.send("bad\r\n\r\n")
        assert peer.answer().status == 400
    after = scrape_until(admin, lambda metrics: answered(10)(metrics) and metrics[
        "leat_access_log_lines_total"] >= 10 and total(metrics, "leat_loop_held") == 0)
    assert after['leat_http_requests_total{code="2xx"}'] == 7
    assert after['leat_http_requests_total{code="3xx"}'] == 1
    assert after['leat_http_requests_total{code="4xx"}'] == 2
    assert total(after, "leat_http_requests_total") == 10
    assert total(after, "leat_worker_requests_total") == 9
    assert after["leat_http_malformed_total"] == 1
    assert after["leat_http_connections_total"] == 10
    assert after["leat_http_request_duration_seconds_count"] == 10
    assert after['leat_http_request_duration_seconds_bucket{le="+Inf"}'] == 10
    assert 0 <= after["leat_http_request_duration_seconds_sum"] < 5
    buckets = [value for name, value in after.items()
               if name.startswith("leat_http_request_duration_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert sent < after["leat_http_sent_bytes_total"] < sent + 10 * 1000
    assert after["leat_http_received_bytes_total"] > 10 * 30
    assert after["leat_access_log_lines_total"] == 10
    assert after["leat_access_log_dropped_lines_total"] == 0
    assert total(after, "leat_file_cache_hits_total") + total(
        after, "leat_file_cache_misses_total") >= 8
    assert total(after, "leat_fibers_spawned_total") >= 9
    assert total(after, "leat_loop_held") == 0


def test_connections_are_shown_by_state(watched, hello):
    server, admin = watched("--threads", "1")
    with open(hello / "big", "wb") as big:
        big.truncate(1 << 28)
    with server.connect(), server.connect() as asking, \
            server.connect(receive_buffer=4096) as reading:
        asking.send("GET / HT")
        reading.ask("/big")
        reading.head()
        expected = {"awaiting": 1, "head": 1, "sending": 1, "handling": 0}
        metrics = scrape_until(admin, lambda metrics: expected == {state: total(
            metrics, "leat_http_connections", worker=0, state=state) for state in expected})
        assert metrics['leat_http_connections{worker="0",state="parked"}'] == 0
        assert total(metrics, "leat_http_exchange_objects") == 2
        assert total(metrics, "leat_loop_operations") >= 3
    scrape_until(admin, lambda metrics: total(metrics, "leat_http_connections") == 0)


def test_counters_never_fall(watched):
    server, admin = watched("--threads", "2")
    counters, last = None, {}
    for _ in range(5):
        for _ in range(3):
            server.get("/hello.txt")
        text = ask(admin, "/metrics").body.decode()
        counters = set(re.findall(r"^# TYPE (\S+) counter$", text, re.MULTILINE))
        now = {name: value for name, value in scrape(admin).items()
               if name.split("{")[0] in counters or "_duration_seconds" in name}
        assert all(now[name] >= value for name, value in last.items())
        assert last.keys() <= now.keys()
        last = now
    assert {"leat_http_requests_total", "process_cpu_seconds_total"} <= counters


def test_promtool_accepts_the_page(watched):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (Debian's package is prometheus)")
    server, admin = watched("--access-log", "/dev/null")
    server.get("/hello.txt")
    result = subprocess.run([promtool, "check", "metrics"], input=ask(admin, "/metrics").body,
                            capture_output=True, check=False)
    assert result.returncode == 0 and result.stdout + result.stderr == b"", result


def test_the_client_library_reads_the_page(watched):
    parser = pytest.importorskip("prometheus_client.parser")
    server, admin = watched()
    server.get("/hello.txt")
    families = {family.name: family for family in
                parser.text_string_to_metric_families(ask(admin, "/metrics").body.decode())}
    assert families["leat_http_requests"].type == "counter"
    assert families["leat_http_request_duration_seconds"].type == "histogram"
    assert families["leat_http_connections"].type == "gauge"
    assert all(family.documentation and family.type != "unknown" for family in families.values())


def test_the_process_is_told_of(watched):
    server, admin = watched()
    metrics = scrape(admin)
    assert abs(metrics["process_start_time_seconds"] - time.time()) < 60
    assert abs(metrics["process_open_fds"] - server.descriptors()) < 5
    resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.pid}/status").read())[1])
    assert metrics["process_resident_memory_bytes"] == pytest.approx(resident * 1024, rel=0.3)
    assert 0 < metrics["process_cpu_seconds_total"] < 60
    assert metrics["process_max_fds"] > 100


def test_it_is_small_and_private(watched, leat, serve, hello):
    server, admin = watched()
    assert ask(admin, "/hello.txt").status == 404
    assert ask(admin, "/none").status == 404
    assert server.get("/metrics").status == 404  # nothing of it on the public address
    with Peer(admin) as peer:
        assert peer.get("/metrics", method="POST", fields=["Content-Length: 0"]).status == 405
    assert "admin on" not in serve(hello).stderr()
    for wrong in "9090", "unix:/tmp/x", "127.0.0.1":
        result = leat("serve", "--admin", wrong, str(hello))
        assert result.returncode == 2 and wrong in result.stderr
        assert re.fullmatch(r"leat serve: --admin '[^\n]*\n", result.stderr)
    taken = f"127.0.0.1:{server.address[1]}"
    result = leat("serve", "--listen", "127.0.0.1:0", "--admin", taken, str(hello))
    assert result.returncode == 2 and taken in result.stderr and "in use" in result.stderr


# ---------------------------------------------------------------------------------------- health


def test_healthz(watched, hello):
    server, admin = watched("--threads", "2")
    assert ask(admin, "/healthz").status == 200
    with open(hello / "big", "wb") as big:
        big.truncate(1 << 28)
    with server.connect(receive_buffer=4096) as reading:
        reading.ask("/big")
        reading.head()
        before = scrape(admin)
        os.kill(server.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while ask(admin, "/healthz").status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        answer = ask(admin, "/healthz")
        assert (answer.status, answer.body) == (503, b"draining\n")
        await_true(lambda: b"has ended" in ask(admin, "/debug/fibers").body)  # the other worker
        after = scrape(admin)  # what it had counted is still there
        assert total(after, "leat_http_connections", state="sending") == 1
        assert total(after, "leat_http_connections_total") >= total(
            before, "leat_http_connections_total")
    server.stop(0)
    with pytest.raises(ConnectionRefusedError):
        ask(admin, "/healthz")


def threads_of(server):
    """{thread: its name}"""
    folder = pathlib.Path(f"/proc/{server.pid}/task")
    return {int(path.name): (path / "comm").read_text().strip() for path in folder.iterdir()}


def is_asleep(thread):
    """Then it holds no lock that others may wait for."""
    stat = pathlib.Path(f"/proc/{thread}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "S"


@contextlib.contextmanager
def held(thread):
    """Holds one thread of a process of ours, and no other, while it waits for work."""
    await_true(lambda: is_asleep(thread))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        pytest.skip(f"this host does not let us trace: {os.strerror(ctypes.get_errno())}")
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
        os.waitpid(thread, WALL)
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)


def test_a_held_worker_is_told_of(watched):
    server, admin = watched("--threads", "2")
    server.expect_on_stderr(r"leat serve: '.*' has held its loop")
    for _ in range(20):
        server.get("/hello.txt")
    before = scrape_until(admin, answered(20))
    worker = [thread for thread, name in threads_of(server).items() if name == "worker 0"][0]
    with held(worker):
        for _ in range(3):  # late answers pile up, and come home later
            start = time.monotonic()
            answer = ask(admin, "/healthz")
            assert (answer.status, answer.body) == (503, b"worker 0 is held\n")
            assert 0.9 < time.monotonic() - start < 5
        metrics = scrape(admin)
        assert metrics['leat_loop_held{worker="0"}'] == 1
        assert metrics['leat_loop_held{worker="1"}'] == 0
        assert 'leat_fibers{worker="0"}' not in metrics
        assert 'leat_fibers{worker="1"}' in metrics
        for name in "leat_http_requests_total", "leat_worker_requests_total":
            assert total(metrics, name) == total(before, name) == 20
        assert b"worker 0 is held" in ask(admin, "/debug/fibers").body
    await_true(lambda: ask(admin, "/healthz").status == 200)
    assert scrape(admin)['leat_fibers{worker="0"}'] == 0


def test_fibers_are_shown(watched, hello):
    """A handler that waits for a thread of the pool."""
    server, admin = watched("--threads", "1")
    (hello / "other.txt").write_text("other")
    assert ask(admin, "/debug/fibers").body == b"worker 0: 0 fibers\n"
    known = threads_of(server)
    server.get("/hello.txt")
    pool = [thread for thread in threads_of(server) if thread not in known]
    assert len(pool) == 1
    with held(pool[0]), server.connect() as peer:
        peer.ask("/other.txt")
        await_true(lambda: re.search(rb"parked +\d\.[2-9]", ask(admin, "/debug/fibers").body))
        text = ask(admin, "/debug/fibers").body.decode()
        found = re.fullmatch(r"worker 0: 1 fibers\n  http handler +parked +(\d\.\d{3}) s  stack "
                             r"(\d+) of 65536  until in \d+\.\d{3} s\n", text)
        assert found, text
        assert 0.2 <= float(found[1]) < 5 and 500 < int(found[2]) < 65536
        metrics = scrape(admin)
        assert total(metrics, "leat_fibers") == 1
        assert total(metrics, "leat_http_connections", state="handling") == 1
        assert metrics["leat_offload_jobs"] >= 1
    server.await_connections(0)


def test_it_is_handed_over(watched):
    """SIGUSR2: the new process answers for itself, at the same address."""
    server, admin = watched("--threads", "1")
    for pattern in r"leat serve: process \d+ has taken over", r"leat serve: admin on":
        server.expect_on_stderr(pattern)
    server.get("/hello.txt")
    metrics = scrape_until(admin, answered(1))
    assert metrics['leat_http_requests_total{code="2xx"}'] == 1
    os.kill(server.pid, signal.SIGUSR2)

    def successor_of():
        assert ask(admin, "/healthz").status == 200
        return re.search(r"process (\d+) has taken over", server.stderr())

    successor = int(await_true(successor_of)[1])
    try:
        server.stop(0)
        assert scrape(admin)['leat_http_requests_total{code="2xx"}'] == 0
        assert ask(admin, "/healthz").status == 200
    finally:
        os.kill(successor, signal.SIGTERM)
        await_true(lambda: not is_running(successor))
