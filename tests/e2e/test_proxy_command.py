# SPDX-License-Identifier: MIT
"""leat proxy as its operator has it: flags and what is wrong with them, ending and being replaced
with requests in work, users, the sandbox, metrics; and --proxy of leat serve. What passes through
it is other files' (test_proxy*.py)."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import PROMPT_S, await_true, run_leat
from peer import Peer
from proxy_tools import Broken, Client, Origin, answer, answering
from reign import Reign, status_of_threads

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


def named(name):
    """The script of an upstream that says its name, and what it was asked for."""
    return answering(lambda request: answer(f"{name} {request.method} {request.target}".encode()))


@pytest.fixture
def origin():
    with Origin(named("one")) as one:
        yield one


@pytest.fixture
def reign(proxy):
    """reign(…) is proxy(…) with the successors."""
    reigns = []

    def start(*words, **options):
        reigns.append(Reign(proxy(*words, **options)))
        return reigns[-1]

    yield start
    for one in reigns:
        one.end()


def metrics_page(server):
    address = re.search(r"admin on http://(\S+):(\d+)", server.stderr())
    with Peer((address[1], int(address[2]))) as peer:
        return peer.get("/metrics").body.decode()


def metrics_of(server):
    """{name with its labels: value}."""
    lines = [line for line in metrics_page(server).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


# ----------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize("words, expected", [
    ([], ["which upstream", "http://127.0.0.1:9000"]),
    (["127.0.0.1:9000"], ["127.0.0.1:9000", "http://"]),
    (["http://127.0.0.1:1", "ftp://mill/"], ["ftp://mill/: "]),
    (["https://mill/"], ["https://mill/: ", "plain http"]),
    (["http://mill:99999/"], ["http://mill:99999/: "]),
    (["http://mill/?query"], ["http://mill/?query: "]),
    (["http://" + "m" * 600], ["511 bytes"]),
    ([f"http://10.0.0.{number}" for number in range(65)], ["one argument too many"]),
    (["--balance", "fair", "http://mill"], ["--balance", "least", "'fair'"]),
    (["--balance", "field:", "http://mill"], ["--balance", "field:"]),
    (["--prefix", "api", "http://mill"], ["--prefix", "/api", "'api'"]),
    (["--prefix", "/" + "a" * 300, "http://mill"], ["--prefix"]),
    (["--health-path", "up", "http://mill"], ["--health-path", "'up'"]),
    (["--via", "a b", "http://mill"], ["--via", "'a b'"]),
    (["--queue-timeout-ms", "0", "http://mill"], ["--queue-timeout-ms", "from 1"]),
    (["--pace", "fast", "http://mill"], ["'fast'", "64k"]),
    (["--turbo", "on", "http://mill"], ["--turbo", "leat proxy --help"]),
    (["--listen", "mill", "http://mill"], ["--listen", "mill"]),
])
def test_what_is_wrong_is_told_in_a_line(words, expected):
    result = run_leat("proxy", *words)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("leat proxy: ") and result.stderr.count("\n") == 1
    for word in expected:
        assert word in result.stderr, result.stderr


@pytest.mark.parametrize("value, expected", [
    ("http://mill", "PREFIX=URL"), ("api=http://mill", "PREFIX=URL"),
    ("/a b=http://mill", "PREFIX=URL"), ("/api=ftp://mill", "PREFIX=URL"),
    ("/api=http://", "http://: "), ("/api=https://mill", "https://mill: ")])
def test_what_is_wrong_with_a_prefix_of_serve(media, value, expected):
    result = run_leat("serve", "--proxy", value, str(media))
    assert result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert result.stderr.startswith("leat serve: --proxy ") and expected in result.stderr


def test_help_tells_only_flags_that_work(proxy, origin):
    """Each flag of --help is accepted with the default that it names."""
    defaults = re.findall(r"^  --([\w-]+) .*\(default: (\S+)\)$",
                          run_leat("proxy", "--help").stdout, re.MULTILINE)
    flags = [part for name, value in defaults
             if value != "unset" and name not in ("listen", "engine")
             for part in (f"--{name}", value)]
    assert {"--prefix", "--balance", "--max-queue", "--pace", "--idle-timeout-ms"} <= set(flags)
    assert proxy(*flags, origin.url).get("/a").body == b"one GET /a"


# --------------------------------------------------------------------------------- what it passes


def test_what_is_below_the_prefix_is_passed_on(proxy, origin):
    server = proxy("--prefix", "/api/", origin.url + "/base")
    for target, seen in [("/api", "/base"), ("/api/", "/base/"), ("/api/a%20b?c=/api", None)]:
        assert server.get(target).body.decode() == "one GET " + (seen or "/base/a%20b?c=/api")
    asked = len(origin.requests)
    for target in ["/", "/apis", "/ap", "/%61pi/", "/API/", "/x/api/"]:
        assert server.get(target).status == 404
    assert len(origin.requests) == asked


def test_a_unix_socket_behind_it(proxy, tmp_path):
    with Origin(named("unix"), path=tmp_path / "app.sock") as upstream:
        server = proxy("--sandbox", "auto", upstream.url)
        assert server.get("/a").body == b"unix GET /a"


def test_a_name_behind_it(proxy, origin):
    """Names are looked up within the sandbox, too."""
    server = proxy(f"http://localhost:{origin.port}")
    assert server.get("/a").body == b"one GET /a"
    assert origin.requests[0].get("Host") == f"localhost:{origin.port}"


def answer_names(server, names):
    """A name server: each of `names` is 127.0.0.1, others there are none (RFC 1035, section 4). An
    empty datagram ends it."""
    while True:
        question, peer = server.recvfrom(512)
        if not question:
            return
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, body = question[at + 1:at + 3], question[12:at + 5]
        is_known = ".".join(labels) in names
        record = b""
        if is_known and kind == b"\0\1":
            record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1"
        flags = b"\x81\x80" if is_known else b"\x81\x83"
        counts = b"\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0"
        server.sendto(question[:2] + flags + counts + body + record, peer)


@pytest.fixture
def name_server():
    """Knows mill.example; as --name-server takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=answer_names, args=(server, ["mill.example"]))
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.sendto(b"", server.getsockname())
        thread.join()


def test_names_are_asked_of_the_server_that_was_named(proxy, origin, name_server):
    server = proxy("--name-server", name_server, f"http://mill.example:{origin.port}")
    assert server.get("/a").body == b"one GET /a"
    nowhere = proxy("--name-server", name_server, f"http://weir.example:{origin.port}")
    assert nowhere.get("/a").status in (502, 503)


def test_larger_bodies_than_were_allowed(proxy, origin):
    server = proxy("--max-body-size", "1k", origin.url)
    with Client(server.address) as client:
        assert client.fetch("/", "POST", body=b"a" * 1024).status == 200
    with Client(server.address) as client:
        assert client.fetch("/", "POST", body=b"a" * 1025).status == 413
    free = proxy(origin.url)
    with Client(free.address) as client:
        assert client.fetch("/", "POST", body=b"a" * (3 << 20)).status == 200
    assert [len(request.body) for request in origin.requests] == [1024, 3 << 20]


def test_the_access_log_has_it(proxy, origin, tmp_path):
    log = tmp_path / "access.log"
    server = proxy("--access-log", str(log), origin.url)
    assert server.get("/logged").status == 200
    await_true(lambda: '"GET /logged HTTP/1.1" 200 ' in log.read_text())


# ------------------------------------------------------------------------------- serve --proxy


def test_serve_asks_others_below_prefixes(serve, media, film, origin):
    with Origin(named("deep")) as deep, Origin(named("twin")) as twin:
        server = serve(media, "--proxy", f"/api={origin.url}", "--proxy", f"/api/deep={deep.url}",
                       "--proxy", f"/api={twin.url}", "--cors", "https://player.example")
        assert server.get("/watercourse.mp4").body == film
        assert server.get("/api/deep/x").body == b"deep GET /x"
        assert server.get("/api/deeper").body.endswith(b" GET /deeper")
        seen = {server.get("/api/").body for _ in range(60)}
        assert seen == {b"one GET /", b"twin GET /"}
        answered = server.get("/api/", fields=["Origin: https://player.example"])
        assert answered.get("Access-Control-Allow-Origin") is None  # the upstream says who may
        with Client(server.address) as client:
            body = b"b" * (2 << 20)  # more than leat serve takes for itself
            assert client.fetch("/api/deep/up", "PUT", body=body).body == b"deep PUT /up"
        assert deep.requests[-1].body == body
        assert server.get("/", method="DELETE").status == 405


def test_serve_beside_an_upstream_that_is_down(serve, media, film):
    server = serve(media, "--proxy", "/api=http://127.0.0.1:1")
    assert server.get("/api/x").status in (502, 503)
    assert server.get("/watercourse.mp4").body == film


# ------------------------------------------------------------------------------------- the end


class Slow:
    """The script of an upstream that answers when it is allowed to."""

    def __init__(self):
        self.allowed = threading.Event()
        self.asked = threading.Event()

    def __call__(self, call):
        while call.request() is not None:
            self.asked.set()
            self.allowed.wait(20)
            call.send(answer(b"late"))


@pytest.fixture
def slow():
    script = Slow()
    with Origin(script) as upstream:
        script.url = upstream.url
        yield script
        script.allowed.set()


def test_what_is_in_work_is_answered_before_the_end(proxy, slow):
    server = proxy(slow.url)
    with Client(server.address) as client:
        client.ask("/")
        assert slow.asked.wait(10)
        os.kill(server.pid, signal.SIGTERM)
        server.await_refusal()
        slow.allowed.set()
        last = client.final()
        assert last.body == b"late" and last.get("Connection") == "close"
        assert client.ends()
    start = time.monotonic()
    server.stop(None)
    assert time.monotonic() - start < PROMPT_S


def test_the_grace_ends(proxy, slow):
    server = proxy("--grace-ms", "300", slow.url)
    with Client(server.address) as client:
        client.ask("/")
        assert slow.asked.wait(10)
        start = time.monotonic()
        server.stop()
        assert 0.2 < time.monotonic() - start < PROMPT_S


def test_tunnels_have_the_grace(proxy):
    def echo(call):
        assert call.request().get("Upgrade") == "echo"
        call.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
                  b"Connection: Upgrade\r\n\r\n")
        while call.box.more():
            call.send(call.box.take(len(call.box.data)))

    with Origin(echo) as upstream:
        server = proxy("--grace-ms", "500", upstream.url)
        with Client(server.address) as client:
            client.ask("/", fields=["Upgrade: echo", "Connection: upgrade"])
            assert client.final().status == 101
            client.send(b"one")
            assert client.box.take(3) == b"one"
            start = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            server.await_refusal()
            client.send(b"two")
            assert client.box.take(3) == b"two"
            with contextlib.suppress(Broken):
                assert client.box.rest() == b""
            assert 0.4 < time.monotonic() - start < PROMPT_S
        server.stop(None)


@pytest.mark.parametrize("flags", [["--threads", "1"], ["--threads", "3"],
                                   ["--threads", "2", "--sandbox", "off"]], ids=" ".join)
def test_replaced_under_load_nobody_notices(reign, origin, flags):
    one = reign(*flags, origin.url)
    failures, done, is_over = [], [], threading.Event()

    def ask():
        try:
            while not is_over.is_set():
                with Client(one.server.address) as client:
                    is_last = False
                    while not is_last and not is_over.is_set():
                        got = client.fetch("/x", "POST", body=b"body")
                        assert got.status == 200 and got.body == b"one POST /x"
                        is_last = got.get("Connection") == "close"
                        done.append(1)
                        time.sleep(0.005)
        except Exception as error:  # pylint: disable=broad-exception-caught
            failures.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            one.replace()
            time.sleep(0.2)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == [] and len(done) > 50
    assert len(set(one.pids)) == 4


def test_what_is_in_work_goes_on_when_replaced(reign, slow):
    one = reign(slow.url)
    with Client(one.server.address) as client:
        client.ask("/")
        assert slow.asked.wait(10)
        one.replace()
        slow.allowed.set()
        assert client.final().body == b"late"
    assert one.server.get("/").body == b"late"


# ------------------------------------------------------------------------- users, the sandbox


@as_root
def test_as_another_user(reign, origin):
    nobody = pwd.getpwnam("nobody")
    one = reign("--user", "nobody", "--threads", "2", f"http://localhost:{origin.port}")
    for generation in range(2):
        if generation > 0:
            one.replace()
        for status in status_of_threads(one.pid):
            assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
            assert status["CapEff"] == "0" * 16
        assert one.server.get("/a").body == b"one GET /a"


def confined(start, *words):
    """A server with the whole sandbox, where this host and build have it."""
    try:
        return start("--sandbox", "on", *words)
    except pytest.fail.Exception as error:
        if "this host has no" in str(error):
            pytest.skip(str(error))
        raise


def test_a_confined_proxy_reaches_its_upstreams(proxy, origin, tmp_path):
    with Origin(named("unix"), path=tmp_path / "app.sock") as upstream:
        server = confined(proxy, "--threads", "2", origin.url, upstream.url,
                          f"http://localhost:{origin.port}")
        assert "sandbox: landlock, seccomp" in server.stderr()
        seen = {server.get("/").body for _ in range(60)}
        assert seen == {b"one GET /", b"unix GET /"}
        for status in status_of_threads(server.pid):
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


# ------------------------------------------------------------------------------------- metrics


def test_metrics_tell_what_came_of_requests(proxy, origin):
    server = proxy("--admin", "127.0.0.1:0", origin.url, listens=("127.0.0.1:0",))
    server.expect_on_stderr("leat proxy: admin on http://")
    with Client(server.address) as client:
        for _ in range(10):
            assert client.fetch("/").status == 200
    found = metrics_of(server)
    assert found['leat_proxy_requests_total{prefix="/"}'] == 10
    assert found['leat_proxy_answered_total{prefix="/"}'] == 10
    assert found['leat_proxy_failed_total{prefix="/"}'] == 0
    upstream = f'{{prefix="/",upstream="{origin.url}"}}'
    assert found["leat_upstream_requests_total" + upstream] == 10
    assert found["leat_upstream_up" + upstream] == 1
    assert found["leat_upstream_in_flight" + upstream] == 0
    opened = found["leat_upstream_connections_opened_total" + upstream]
    assert opened + found["leat_upstream_connections_reused_total" + upstream] == 10
    assert opened == origin.accepted


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_page_of_proxies(serve, media, origin):
    server = serve(media, "--admin", "127.0.0.1:0", "--proxy", f"/a={origin.url}", "--proxy",
                   "/b=http://127.0.0.1:1", "--proxy", f"/a={origin.url}/base")
    server.expect_on_stderr("leat serve: admin on http://")
    assert server.get("/a/x").status == 200
    page = metrics_page(server)
    assert f'leat_upstream_up{{prefix="/a",upstream="{origin.url}/base"}} 1' in page
    result = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0 and result.stderr == "", result.stderr + result.stdout
