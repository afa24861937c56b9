# SPDX-License-Identifier: MIT
"""A slow disk hurts only those who wait for it: a film that is cold, on a disk throttled to 2 MB/s,
beside a client who asks for a small file that is warm. (bench/lab.py cold measures it; here no
more is asked than that nobody stalls.)"""

import contextlib
import os
import pathlib
import shutil
import threading
import time

import pytest

from conftest import BUILD

DISK_BYTES_PER_S = 2 << 20
FILM_SIZE = 24 << 20
WORST_S = 0.25  # who waits for one sendfile of 1 MiB from that disk waits 0.3 to 0.5 s
BLKIO = pathlib.Path("/sys/fs/cgroup/blkio")


def disk_of(path):
    """MAJ:MIN of the whole disk under a path."""
    device = os.stat(path).st_dev
    node = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not node.exists():
        pytest.skip(f"{path} is not on a block device")
    node = node.resolve()
    return ((node.parent if (node / "partition").exists() else node) / "dev").read_text().strip()


@pytest.fixture
def slow_folder():
    """A folder on a real disk, which pytest's own need not be."""
    path = pathlib.Path(BUILD) / f"e2e-cold-{os.getpid()}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def slow_disk(slow_folder):
    """A control group whose members read at 2 MB/s."""
    if os.geteuid() != 0 or not (BLKIO / "blkio.throttle.read_bps_device").exists():
        pytest.skip("needs root and cgroup v1's blkio controller to make a slow disk")
    group = BLKIO / f"leat-e2e-{os.getpid()}"
    group.mkdir()
    try:
        (group / "blkio.throttle.read_bps_device").write_text(
            f"{disk_of(slow_folder)} {DISK_BYTES_PER_S}")
        yield group
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.05)


def make_cold(path):
    with open(path, "wb") as film:
        for _ in range(FILM_SIZE >> 20):
            film.write(os.urandom(1 << 20))
        film.flush()
        os.fsync(film.fileno())
        os.posix_fadvise(film.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_a_cold_film_holds_up_nobody(serve, slow_folder, slow_disk):
    (slow_folder / "small").write_bytes(b"s" * 1024)
    make_cold(slow_folder / "film.mkv")
    server = serve(slow_folder, "--threads", "1")
    (slow_disk / "cgroup.procs").write_text(str(server.pid))
    assert server.get("/small").length == 1024
    received, stop = [0], threading.Event()

    def watch_film():
        with server.connect() as viewer:
            viewer.ask("/film.mkv")
            while not stop.is_set() and viewer.more():
                received[0] += len(viewer.inbox)
                viewer.inbox = b""

    viewer = threading.Thread(target=watch_film)
    viewer.start()
    start = time.monotonic()
    waits = []
    try:
        with server.connect() as peer:
            while time.monotonic() - start < 3:
                begin = time.monotonic()
                assert peer.get("/small").length == 1024
                waits.append(time.monotonic() - begin)
                time.sleep(0.005)
    finally:
        stop.set()
        server.stop()  # in mid-film; the disk goes on being slow
        viewer.join()
    rate = received[0] / (time.monotonic() - start)
    assert rate > 0.2e6, "the film did not come at all"
    assert rate < 2 * DISK_BYTES_PER_S, f"{rate / 1e6:.1f} MB/s: it was not cold"
    assert max(waits) < WORST_S, f"{max(waits) * 1e3:.0f} ms of {len(waits)} requests"
