# SPDX-License-Identifier: MIT
"""How an operator ends, replaces and confines it: signals, systemd, users, the sandbox."""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BUILD, LEAT, PROMPT_S, await_true, descriptors_of, is_running, run_leat
from peer import Peer
from reign import Reign, status_of_threads

FILM = "/watercourse.mp4"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


def loops_of(pid):
    """How many loops a process has."""
    return sum(target.endswith(("[io_uring]", "[eventpoll]")) for target in descriptors_of(pid))


def sandbox_of(server):
    return re.search(r"sandbox: (.*)", server.stderr())[1]


@pytest.fixture
def program(tmp_path):
    """A copy of leat that a test may put another in the place of."""
    folder = tmp_path / "program"
    folder.mkdir()
    return pathlib.Path(shutil.copy(LEAT, folder / "leat"))


@pytest.fixture
def reign(serve):
    """reign(…) serves, as serve(…) does, and ends the successors as well."""
    reigns = []

    def start(directory, *flags, **options):
        reigns.append(Reign(serve(directory, *flags, **options)))
        return reigns[-1]

    yield start
    for one in reigns:
        one.end()


# ------------------------------------------------------------------------------------------- end


def test_a_slow_download_is_finished_within_the_grace(serve, media, film):
    (media / "long.bin").write_bytes(film * 4)
    server = serve(media)
    with server.connect(receive_buffer=65536) as peer:
        peer.ask("/long.bin")
        length = peer.head().length
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(1)
        assert is_running(server.pid)
        while len(peer.inbox) < length:
            assert peer.more()
        assert peer.rest() == film * 4
    start = time.monotonic()
    server.stop(0)
    assert time.monotonic() - start < PROMPT_S


def test_the_grace_ends(serve, media):
    (media / "large.bin").write_bytes(bytes(64 << 20))
    server = serve(media, "--grace-ms", "700")
    with server.connect(receive_buffer=16384) as peer:
        peer.ask("/large.bin")
        peer.head()
        start = time.monotonic()
        server.stop()
        assert 0.6 < time.monotonic() - start < PROMPT_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(serve, media, number):
    (media / "large.bin").write_bytes(bytes(64 << 20))
    server = serve(media, "--grace-ms", "60000")
    with server.connect(receive_buffer=16384) as peer:
        peer.ask("/large.bin")
        peer.head()
        server.process.send_signal(number)
        server.await_refusal()  # two of the same that nobody has looked at yet are one
        assert is_running(server.pid)
        server.process.send_signal(number)
        assert server.process.wait(10) == -number
        server.process.stdout.close()


def test_a_keep_alive_connection_ends_with_its_next_response(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        assert peer.get(FILM, fields=["Range: bytes=0-9"]).get("Connection") != "close"
        os.kill(server.pid, signal.SIGTERM)

        def is_last():  # asked again and again, or the connection would end as an idle one
            answer = peer.get(FILM, fields=["Range: bytes=0-9"])
            assert answer.status == 206 and answer.body == film[:10]
            return answer.get("Connection") == "close"

        await_true(is_last)
        assert peer.rest() == b""
    server.stop(0)


def test_sighup_does_no_harm(serve, media, film):
    server = serve(media)
    for _ in range(3):
        os.kill(server.pid, signal.SIGHUP)
    time.sleep(0.1)
    assert server.get(FILM).body == film


# --------------------------------------------------------------------------------------- replaced


class Load:
    """Threads that ask on kept connections, as a client should: one that was told "close" connects
    anew. Everything else that ends a connection is a failure."""

    def __init__(self, address, body, threads=6):
        self.address, self.body = address, body
        self.done, self.failures, self.is_over = 0, [], False
        self.threads = [threading.Thread(target=self._run, args=(index % 3 == 0,))
                        for index in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, is_one_each):
        fields = ["Range: bytes=0-99"] + (["Connection: close"] if is_one_each else [])
        while not self.is_over:
            try:
                with Peer(self.address) as peer:
                    is_last = False
                    while not is_last and not self.is_over:
                        answer = peer.get(FILM, fields=fields)
                        assert answer.status == 206 and answer.body == self.body[:100]
                        is_last = answer.get("Connection") == "close"
                        self.done += 1
                        time.sleep(0.005)
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("flags", [["--threads", "1"], ["--threads", "3"],
                                   ["--threads", "2", "--sandbox", "off"]], ids=" ".join)
def test_replaced_under_load_nobody_notices(reign, media, film, flags):
    one = reign(media, *flags)
    load = Load(one.server.address, film)
    try:
        for _ in range(5):
            one.replace()
            time.sleep(0.2)
    finally:
        load.end()
    assert load.failures == []
    assert load.done > 100
    assert len(set(one.pids)) == 6
    for pid in one.pids[:-1]:  # their connections have ended, and so have they
        await_true(lambda pid=pid: not is_running(pid))
    threads = int(flags[1])  # nothing of theirs was inherited
    assert loops_of(one.pid) == threads


def test_what_is_in_work_goes_on_when_replaced(reign, media, film):
    (media / "large.bin").write_bytes(film * 4)
    one = reign(media)
    with one.server.connect(receive_buffer=65536) as busy, one.server.connect() as idle:
        assert idle.get(FILM, fields=["Range: bytes=0-9"]).body == film[:10]
        busy.ask("/large.bin")
        length = busy.head().length
        one.replace()
        time.sleep(0.7)  # longer than an idle connection has at SIGTERM
        answer = idle.get(FILM, fields=["Range: bytes=5-9"])
        assert answer.body == film[5:10] and answer.get("Connection") == "close"
        assert is_running(one.pids[0])
        while len(busy.inbox) < length:
            assert busy.more()
        assert busy.inbox == film * 4
    await_true(lambda: not is_running(one.pids[0]))
    assert one.server.get(FILM).body == film


def test_a_replaced_process_can_be_hurried(reign, media):
    (media / "large.bin").write_bytes(bytes(64 << 20))
    one = reign(media, "--grace-ms", "500")
    with one.server.connect(receive_buffer=16384) as busy:
        busy.ask("/large.bin")
        busy.head()
        one.replace()
        os.kill(one.pids[0], signal.SIGTERM)
        assert one.server.process.wait(PROMPT_S) == 0
        assert one.server.get(FILM).status == 200


def test_the_program_at_the_path_is_taken(reign, media, program, monkeypatch):
    """A new file under the old name."""
    monkeypatch.setattr("conftest.LEAT", str(program))
    one = reign(media)
    new = program.with_name("new")
    shutil.copy(LEAT, new)
    os.replace(new, program)
    pid = one.replace()
    assert os.stat(f"/proc/{pid}/exe").st_ino == os.stat(program).st_ino
    assert one.server.get(FILM).status == 200


BROKEN = {
    "not a program": (b"\x7fELF", "Exec format error"),
    "ends": (b"#!/bin/sh\nexit 7\n", "status 7"),
    "dies": (b"#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_program_replaces_nobody(reign, media, film, program, monkeypatch, kind):
    content, words = BROKEN[kind]
    monkeypatch.setattr("conftest.LEAT", str(program))
    one = reign(media, "--sandbox", "off")  # confined it could start no shell
    load = Load(one.server.address, film, threads=3)
    one.server.expect_on_stderr(r"leat serve: not replaced by .*; process \d+ goes on$")
    program.unlink()
    program.write_bytes(content)
    program.chmod(0o755)
    os.kill(one.pid, signal.SIGUSR2)
    line = await_true(lambda: re.search("not replaced by.*", one.server.stderr()))[0]
    assert words in line
    time.sleep(0.2)
    assert load.failures == []
    program.unlink()
    shutil.copy(LEAT, program)
    one.replace()  # the next attempt counts anew
    load.end()
    assert load.failures == []


def test_a_program_that_is_gone_replaces_nobody(reign, media, program, monkeypatch):
    monkeypatch.setattr("conftest.LEAT", str(program))
    one = reign(media)
    one.server.expect_on_stderr(r"leat serve: not replaced by .*No such file")
    program.unlink()
    os.kill(one.pid, signal.SIGUSR2)
    await_true(lambda: "not replaced by" in one.server.stderr())
    assert one.server.get(FILM).status == 200


def test_more_and_fewer_threads(reign, media, film):
    """The cores it may use change in between; sockets stay, and whoever is in their queues."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core")
    one = reign(media)
    load = Load(one.server.address, film)
    try:
        for count in (1, 2, 1):
            os.sched_setaffinity(one.pid, cores[:count])
            pid = one.replace()
            assert loops_of(pid) == count
            time.sleep(0.2)
    finally:
        load.end()
    assert load.failures == []


def test_a_unix_socket_is_handed_over(reign, media, tmp_path):
    path = tmp_path / "leat.sock"

    def status():
        return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                               "--unix-socket", str(path), f"http://mill{FILM}"],
                              capture_output=True, text=True, check=False).stdout

    one = reign(media, listens=["127.0.0.1:0", f"unix:{path}"])
    one.replace()
    await_true(lambda: not is_running(one.pids[0]))
    assert path.exists() and status() == "200"
    os.kill(one.pid, signal.SIGTERM)
    await_true(lambda: not is_running(one.pid))
    assert not path.exists()


def test_log_and_admin_go_over(reign, media, tmp_path):
    """The successor writes and opens anew, and answers the administrator, from within the sandbox
    that it was born in."""
    log = tmp_path / "access.log"
    one = reign(media, "--access-log", str(log), "--admin", "127.0.0.1:0")
    one.server.expect_on_stderr("leat serve: admin on http://")
    port = int(re.search(r"admin on http://127.0.0.1:(\d+)", one.server.stderr())[1])
    for round_number in range(2):
        if round_number > 0:
            one.replace()
            await_true(lambda: not is_running(one.pids[0]))
        assert one.server.get(FILM).status == 200
        await_true(lambda: log.exists() and log.read_text().count("\n") == 1)
        log.rename(tmp_path / f"old-{round_number}")
        os.kill(one.pid, signal.SIGHUP)
        await_true(log.exists)
        with Peer(("127.0.0.1", port)) as peer:
            metrics = peer.get("/metrics").body.decode()
        assert re.search(r"^process_open_fds [1-9]", metrics, re.MULTILINE)
        assert re.search(r"^process_resident_memory_bytes [1-9]", metrics, re.MULTILINE)


def test_twenty_times(reign, media):
    """The kernel stacks 16 sandboxes at most: a successor is born in that of its predecessor."""
    one = reign(media, "--threads", "1")
    for _ in range(20):
        one.replace()
    assert one.server.get(FILM).status == 200


# ---------------------------------------------------------------------------------------- systemd


class Manager:
    """What $NOTIFY_SOCKET leads to."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(10)

    def next(self):
        return self.socket.recv(4096).decode().splitlines()


@pytest.mark.parametrize("is_abstract", [False, True], ids=["path", "abstract"])
def test_the_manager_is_told(reign, media, tmp_path, monkeypatch, is_abstract):
    name = f"@leat-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    manager = Manager(name.replace("@", "\0"))
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    one = reign(media)
    assert manager.next()[0] == "READY=1"
    os.kill(one.pid, signal.SIGHUP)
    reloading = manager.next()
    assert reloading[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
    assert manager.next() == ["READY=1"]
    pid = one.replace()
    assert manager.next() == [f"MAINPID={pid}"]
    os.kill(pid, signal.SIGTERM)
    assert manager.next() == ["STOPPING=1"]


def test_real_socket_activation(media, film, engine, tmp_path):
    activate = shutil.which("systemd-socket-activate")
    if not activate:
        pytest.skip("systemd-socket-activate is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path / "s"
    process = subprocess.Popen(
        [activate, "-l", f"127.0.0.1:{port}", "-l", str(path), LEAT, "serve", "--engine", engine,
         "--threads", "2", str(media)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True)
    try:
        def is_listening():
            with contextlib.suppress(ConnectionRefusedError), Peer(("127.0.0.1", port)) as peer:
                return peer.get(FILM).body == film
            return False

        await_true(is_listening)  # the connection that started it is served as well
        assert process.stdout.readline() == f"listening on http://127.0.0.1:{port}\n"
        assert process.stdout.readline() == f"listening on unix:{path}\n"
        process.terminate()
        assert process.wait(10) == 0
        assert path.exists()  # systemd's
    finally:
        process.kill()
        process.communicate()


def test_the_units_are_what_systemd_takes(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    if not (BUILD / "build.ninja").exists():
        pytest.skip(f"{BUILD} is no build folder")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", tmp_path],
                   check=True, capture_output=True)
    units = sorted(tmp_path.rglob("leat*.s*[et]"))
    assert [unit.name for unit in units] == ["leat-proxy.service", "leat.service", "leat.socket"]
    for unit in units[:2]:
        binary = re.search(r"^ExecStart=(\S+) (serve|proxy)", unit.read_text(), re.MULTILINE)[1]
        assert (tmp_path / binary.lstrip("/")).exists()
        # the program where it will be is not there; this one is
        unit.write_text(unit.read_text().replace(f"ExecStart={binary}", f"ExecStart={LEAT}"))
    result = subprocess.run([analyze, "--man=no", "verify", *map(str, units)],
                            capture_output=True, text=True, check=False)
    ours = [line for line in result.stderr.splitlines() if "leat" in line]
    assert result.returncode == 0 and ours == [], result.stderr


# ------------------------------------------------------------------------------------- privileges


@as_root
def test_another_user_with_a_port_of_root(reign, tmp_path):
    nobody = pwd.getpwnam("nobody")
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    for path in [tmp_path, *list(tmp_path.parents)[:2]]:
        if str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o055)
    try:
        with socket.create_server(("127.0.0.1", 871)):
            pass
    except OSError:
        pytest.skip("port 871 is taken")
    one = reign(folder, "--user", "nobody", "--threads", "3", listens=["127.0.0.1:871"])
    for generation in range(2):
        if generation > 0:  # a successor has no root to drop
            one.replace()
        statuses = list(status_of_threads(one.pid))
        assert len(statuses) >= 4
        for status in statuses:
            assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
            assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
            assert status["Groups"].split() in ([], [str(nobody.pw_gid)])
            assert status["CapEff"] == status["CapPrm"] == "0" * 16
            assert status["NoNewPrivs"] == "1"
        assert one.server.get("/a.txt").body == b"hello"


@pytest.mark.parametrize("user, word", [("no-such-user", "no such user"),
                                        ("nobody:no-such-group", "no such group"),
                                        ("root", "root"), ("0", "root")])
def test_a_wrong_user_is_explained(media, user, word):
    result = run_leat("serve", "--listen", "127.0.0.1:0", "--user", user, str(media))
    assert result.returncode == 2 and word in result.stderr and result.stderr.count("\n") == 1


# ---------------------------------------------------------------------------------------- sandbox


@pytest.fixture
def secret(tmp_path, media):
    """A file outside of the root that is linked to from within."""
    path = tmp_path / "shadow"
    path.write_text("root:*:1:0:::::\n")
    (media / "link.txt").symlink_to(path)
    return path


def confined(serve, media, *flags):
    """A server with the whole sandbox, where this host and build have it."""
    try:
        return serve(media, "--sandbox", "on", *flags)
    except pytest.fail.Exception as error:
        if "this host has no" in str(error):
            pytest.skip(str(error))
        raise


def test_what_is_outside_cannot_be_read_through_links(serve, media, secret, film):
    server = confined(serve, media, "--follow-symlinks", "on")
    assert sandbox_of(server) == "landlock, seccomp"
    assert server.get("/link.txt").status in (403, 404)
    assert server.get(FILM).body == film
    free = serve(media, "--sandbox", "off", "--follow-symlinks", "on")
    assert free.get("/link.txt").body == secret.read_bytes()


def test_links_that_were_asked_for_are_followed_by_default(serve, media, secret):
    server = serve(media, "--follow-symlinks", "on")
    assert server.get("/link.txt").body == secret.read_bytes()


def test_a_confined_server_is_so_in_all_its_threads(serve, media):
    server = confined(serve, media, "--threads", "3")
    assert server.get(FILM).status == 200
    for status in status_of_threads(server.pid):
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_off_is_off(serve, media):
    server = serve(media, "--sandbox", "off")
    assert sandbox_of(server) == "off"
    assert all(status["Seccomp"] == "0" for status in status_of_threads(server.pid))
