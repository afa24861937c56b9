# SPDX-License-Identifier: MIT
"""Promise 1: no byte of a film is copied in user space. strace sees what its descriptor is for."""

import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import await_true

FILM = "/watercourse.mp4"
MIB = 1 << 20
CALL = re.compile(r"^(?:\[pid +)?\d*\]? *(\w+)\((.*)\) += (-?\d+)")

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def calls_on(trace, path):
    """(name, arguments, result) of the calls that name the file; strace -y shows paths."""
    found = []
    for line in trace.splitlines():
        match = CALL.match(line)
        if match and f"{path}>" in match[2] and match[1] != "openat2":
            found.append((match[1], match[2], int(match[3])))
    return found


def are_traced(pid):
    """Whether somebody traces each thread of a process."""
    try:
        statuses = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status")]
    except FileNotFoundError:  # it has ended meanwhile
        return False
    return not any("TracerPid:\t0\n" in status for status in statuses)


def trace(server, tmp_path, action):
    """What leat, with one thread, asks of the kernel about descriptors while `action` goes on."""
    log = tmp_path / "strace"
    strace = subprocess.Popen(
        ["strace", "-f", "-y", "-qq", "-s", "8", "-o", str(log), "-p", str(server.pid), "-e",
         "trace=sendfile,splice,read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendmsg,"
         "write,sendto"], stderr=subprocess.PIPE)
    try:
        await_true(lambda: strace.poll() is not None or are_traced(server.pid))
        if strace.poll() is not None:
            pytest.skip("strace may not attach: " + strace.stderr.read().decode().strip())
        action()
        # The last bytes are here before strace has written how they were sent. It has, once the
        # thread that sent them does something else.
        server.get("/", method="HEAD")
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=10)
    return log.read_text()


@pytest.fixture
def big(folder):
    path = folder / "film.mp4"
    path.write_bytes(bytes(range(256)) * (20 * MIB // 256))
    return path


def check(calls, size, parts=1):
    sent = sum(result for name, _, result in calls if name == "sendfile" and result > 0)
    assert sent == size
    probes = [call for call in calls if call[0] in ("preadv2", "pread64")]
    others = {name for name, _, _ in calls} - {"sendfile", "preadv2", "pread64"}
    assert not others, others
    assert all(result <= 1 for _, _, result in probes), "more than a byte was read"
    # Two a window of 1 MiB; a part may lie in one window more than it fills.
    assert len(probes) <= 2 * (size // MIB + 2 * parts - 1), f"{len(probes)} probes"


def test_a_film_goes_out_by_sendfile_alone(serve, big, folder, tmp_path):
    server = serve(folder, "--threads", "1")

    def action():
        assert len(server.get("/film.mp4").body) == 20 * MIB

    check(calls_on(trace(server, tmp_path, action), big), 20 * MIB)


def test_so_does_a_range_of_it(serve, big, folder, tmp_path):
    server = serve(folder, "--threads", "1")

    def action():
        answer = server.get("/film.mp4", fields=["Range: bytes=1000-9999999"])
        assert answer.length == 9999000

    check(calls_on(trace(server, tmp_path, action), big), 9999000)


def test_so_do_several(serve, big, folder, tmp_path):
    server = serve(folder, "--threads", "1")

    def action():
        answer = server.get("/film.mp4", fields=["Range: bytes=0-99,5000000-9999999,-7"])
        assert answer.status == 206 and answer.length > 5000106

    check(calls_on(trace(server, tmp_path, action), big), 100 + 5000000 + 7, parts=3)


def test_a_small_file_rides_behind_its_head(serve, folder, tmp_path):
    """What a sendfile of its own would cost more than: one read of it, one send for all."""
    (folder / "small.vtt").write_bytes(b"WEBVTT\n" * 100)
    server = serve(folder, "--threads", "1")
    server.get("/small.vtt")

    def action():
        with server.connect() as peer:
            for _ in range(5):
                assert peer.get("/small.vtt").length == 700

    calls = calls_on(trace(server, tmp_path, action), folder / "small.vtt")
    assert [name for name, _, result in calls if result > 0] == ["preadv2"] * 5
