# SPDX-License-Identifier: MIT
"""One turn of one row: a fresh server, warmed up, and what it does under a load. Each function here
is a way to measure; which test uses which is said in plan.py."""
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import cold, crowds, generator, idle, laboratory, memory
from .generator import Load

MIB = 1 << 20
OF_THE_LOAD = ("requests", "requests_per_s", "bytes_per_s", "p50", "p90", "p99", "p99.9", "max",
               "errors", "unfinished")


@dataclass
class Point:
    """Where on its axis a test is measured: a rate, a size, a number of connections."""

    label: str = ""
    x: float = 0
    answer: str = ""  # of Row.answers, when it is not the test's


@dataclass
class Turn:
    """What a measurement needs to know beside its row."""

    test: object  # plan.Test
    point: Point
    seconds: float
    is_quick: bool
    saturation: dict = field(default_factory=dict)  # row name -> its requests/s in a closed loop

    def path(self, entry):
        return entry.row.answers[self.point.answer or self.test.answer][0]

    @property
    def connections(self):
        return int(self.point.x) if self.test.kind == "connections" else self.test.connections

    def warm_s(self, entry):
        return min(entry.row.warm_s, self.seconds / 2) if self.is_quick else entry.row.warm_s


def per_request(figures, cost):
    """The figures of a load with what it has cost each request, in report.json's words."""
    if figures["requests"] == 0:
        raise laboratory.Fault("no request was answered")
    count, mib = figures["requests"], figures["bytes"] / MIB
    return {key: figures[key] for key in OF_THE_LOAD} | {
        "cpu_us": cost["cpu_us"] / count, "cpu_us_per_mib": cost["cpu_us"] / mib,
        "cpu_percent": 100 * cost["cpu_us"] / 1e6 / cost["elapsed_s"],
        "cpu_user": cost["cpu_user"], "cpu_system": cost["cpu_system"],
        "server_core_percent": cost["server_core_percent"],
        "client_core_percent": cost["client_core_percent"],
        "client_cpu_us": figures["client_cpu_total_us"] / count}


def load(lab, running, what):
    with lab.costs(running) as cost:
        figures = generator.measure(lab, running.address, what)
    return per_request(figures, cost)


def warm(lab, running, what, seconds):
    generator.measure(lab, running.address, Load(what.path, what.connections, seconds))


def measure_load(lab, turn, entry, what):
    with lab.serve(entry, lab.content()) as running:
        warm(lab, running, what, turn.warm_s(entry))
        figures = load(lab, running, what)
        return figures | {"peak_bytes": memory.peak(running)}


def closed(lab, turn, entry):
    """As fast as it goes: each connection asks again when it was answered."""
    return measure_load(lab, turn, entry, Load(turn.path(entry), turn.connections, turn.seconds))


def one_each(lab, turn, entry):
    """The same with a connection for each request."""
    return measure_load(lab, turn, entry, Load(turn.path(entry), turn.connections, turn.seconds,
                                               one_each=True))


def at_rate(lab, turn, entry):
    """An open loop at a share of the row's own saturation, which is measured when nobody has."""
    if entry.name not in turn.saturation:
        figures = measure_load(lab, turn, entry, Load(turn.path(entry), turn.connections,
                                                      min(turn.seconds, 1.0)))
        turn.saturation[entry.name] = figures["requests_per_s"]
    rate = turn.saturation[entry.name] * turn.point.x / 100
    what = Load(turn.path(entry), turn.connections, turn.seconds, rate=rate)
    return measure_load(lab, turn, entry, what) | {"rate": rate}


def waits_for(lab, turn, entry, mode, count, path, warm_path, **arguments):
    memory.need_descriptors(count + 500)
    figures = idle.measure(lab, entry, mode, count, path, warm_path, **arguments)
    return figures, {"idle_bytes_each": figures["bytes_each"], "peak_bytes": figures["during"],
                     "before_bytes": figures["before"], "errors": figures["crowd"]["lost"]}


def idle_connections(lab, turn, entry):
    count = turn.test.connections if not turn.is_quick else 200
    path = turn.path(entry)
    return waits_for(lab, turn, entry, "idle", count, path, path)[1]


def waiting_handlers(lab, turn, entry):
    count, wait_ms = (turn.test.connections, 4000) if not turn.is_quick else (100, 1500)
    path = turn.path(entry)
    raw, figures = waits_for(lab, turn, entry, "wait", count, path.format(ms=wait_ms),
                             path.format(ms=1), limit_s=wait_ms / 3e3, stays=False)
    crowd = raw["crowd"]
    if crowd["answered"] != count or crowd["secs"] < wait_ms / 1e3:
        raise laboratory.Fault(f"{crowd['answered']} of {count} waiting requests were answered in "
                               f"{crowd['secs']:.1f} s, want all after {wait_ms / 1e3:.1f} s")
    if raw["measured_s"] > wait_ms / 1e3:
        raise laboratory.Fault("memory was still changing when the first handlers were done")
    return figures


SLOW_RATE, SLOW_CONNECTIONS, SLOW_INTERVAL_S = 1000, 50, 0.5


def beside_slow_readers(lab, turn, entry):
    """An open loop while a crowd takes a large body 1 KiB at a time, slowly. The crowd needs a
    core, too, and it is the clients': so the same load is measured beside a crowd that reads from
    a second server of the same kind, and `p99_elsewhere` tells what that costs."""
    count = turn.test.connections if not turn.is_quick else 50
    memory.need_descriptors(count + SLOW_CONNECTIONS + 500)
    path, large = entry.row.answers["small"][0], entry.row.answers["large"][0]
    what = Load(path, SLOW_CONNECTIONS, turn.seconds, rate=SLOW_RATE)
    with lab.serve(entry, lab.content()) as running:
        warm(lab, running, what, turn.warm_s(entry))
        with lab.serve(entry, lab.content()) as bystander, \
                crowds.gather(lab, bystander, "read", count, large, SLOW_INTERVAL_S):
            elsewhere = load(lab, running, what)
        with crowds.gather(lab, running, "read", count, large, SLOW_INTERVAL_S) as crowd:
            figures = load(lab, running, what)
            peak = memory.peak(running)
    if crowd["there"] < 0.95 * count:
        raise laboratory.Fault(f"only {crowd['there']} of {count} slow readers were there in the "
                               "end")
    return figures | {"peak_bytes": peak, "p99_elsewhere": elsewhere["p99"], "rate": SLOW_RATE}


COLD_RATE = 500


@contextlib.contextmanager
def cold_content(lab):
    """A copy of the content with a 16m.bin of its own: what an earlier server has begun to read
    ahead must not warm it."""
    path = Path(tempfile.mkdtemp(prefix="cold-", dir=lab.directory))
    path.chmod(0o755)
    for name in ("1k.txt", "1m.bin", "64k.bin"):
        os.link(lab.content() / name, path / name)
    with open(path / "16m.bin", "wb") as film:
        film.write(os.urandom(16 * MIB))
        film.flush()
        os.fsync(film.fileno())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def beside_a_cold_file(lab, turn, entry):
    """An open loop for what is warm, while somebody reads a file that lies on a slow disk."""
    group = slow_disk(lab)
    warm_path, film_path = entry.row.answers["small"][0], entry.row.answers["16m"][0]
    with cold_content(lab) as content, lab.serve(entry, content, groups=[group]) as running:
        what = Load(warm_path, 1, turn.seconds, rate=COLD_RATE)
        warm(lab, running, what, turn.warm_s(entry))
        calm = load(lab, running, what)
        cold.chill(content / "16m.bin", True)
        reader = lab.start_client("receive", "-d", str(turn.seconds + 0.5), running.address,
                                  film_path)
        time.sleep(0.1)
        figures = load(lab, running, what)
        film = lab.finish_client(reader)
    speed = film["bytes"] / film["secs"]
    if speed > 2 * cold.DISK_BYTES_PER_S:
        raise laboratory.Fault(f"its file came at {speed / 1e6:.0f} MB/s: that was not cold (it "
                               "keeps files in memory of its own)")
    return figures | {"p99_calm": calm["p99"], "film_bytes_per_s": speed, "rate": COLD_RATE}


def slow_disk(lab):
    """Made once; a host that has none is told so by each row."""
    if not hasattr(lab, "slow_disk"):
        lab.slow_disk = cold.throttle(lab)
    return lab.slow_disk


def saturations(rows):
    """What the rows of the small test have reached, by name."""
    return {row["name"]: statistics.median(figure["requests_per_s"] for figure in row["rounds"])
            for row in rows if row["rounds"]}
