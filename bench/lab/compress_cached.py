# SPDX-License-Identifier: MIT
"""What a coded file costs that was coded before: `leat serve`, asked by who takes codings, over 16
connections, CPU time a request. The copy is one that leat has made and keeps in memory, or the same
bytes beside their file (a sidecar); against plain files of just that size, on the disk's file
system and on tmpfs.

All four are sent by sendfile. What is kept in memory is in a file of tmpfs's kind, whose pages are
of 4 KiB, where a disk's file system has larger ones, so it is compared with a plain file that is
there, and the sidecar with one on disk: what is left is finding the copy. What the pages make of it
stands in the table. (Instructions cannot be counted: valgrind does not know openat2.)"""
import contextlib
import http.client
import os
import shutil
import tempfile
import time
from pathlib import Path

from . import compress_sides, compress_texts, generator, laboratory, paired, servers
from .generator import Load

TEXT = "corpus/corpora__news"  # of which some 120 KiB are sent
CODED, BESIDE, PLAIN = "/text.txt", "/beside.txt", "/plain.bin"
MEMORY = Path("/dev/shm")
TARGET = 1.05
MADE_LIMIT_S = 30
LOOK_S = 1.2  # leat looks for sidecars at most once a second
SUFFIXES = {"br": "br", "zstd": "zst", "gzip": "gz"}
CONNECTIONS, SECONDS, SECONDS_QUICK = 16, 0.8, 0.1
ROWS = [("CPU us/request", "cpu_us_per_request", ".2f"), ("requests/s", "requests_per_s", ".0f"),
        ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def ask(address, path):
    """(coding, body or None where it comes piece by piece) of a text."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        name, value = compress_sides.ACCEPTED.split(": ")
        connection.request("GET", path, headers={name: value})
        answer = connection.getresponse()
        body = answer.read()
        whole = answer.getheader("Content-Length") is not None
        return answer.getheader("Content-Encoding"), body if whole else None
    finally:
        connection.close()


def await_copy(address, path):
    """(coding, body) when it comes with a size, and again the same."""
    until = time.monotonic() + MADE_LIMIT_S
    while time.monotonic() < until:
        seen = ask(address, path)
        time.sleep(0.3)  # with jobs that go on it would change
        if seen[0] and seen[1] and ask(address, path) == seen:
            return seen
    raise laboratory.Fault(f"leat serve has no coded copy of {path}")


def prepare(lab, exits):
    """The folder on disk, with the text, and one in memory."""
    found = compress_texts.find(TEXT)
    if found is None:
        raise laboratory.Skip(f"no {TEXT} in {compress_texts.data_folder()} ($LEAT_TEST_DATA)")
    if not MEMORY.is_dir():
        raise laboratory.Skip(f"no {MEMORY}")
    disk = lab.directory / "files"
    disk.mkdir(mode=0o755)
    memory = Path(tempfile.mkdtemp(prefix=lab.directory.name + "-", dir=MEMORY))
    exits.callback(shutil.rmtree, memory, ignore_errors=True)
    memory.chmod(0o755)
    (disk / CODED[1:]).write_bytes(found[1])
    (disk / BESIDE[1:]).write_bytes(found[1])
    return disk, memory


def measure(lab, running, path, seconds):
    with lab.costs(running) as cost:
        figures = generator.measure(lab, running.address, Load(
            path, CONNECTIONS, seconds, fields=[compress_sides.ACCEPTED]))
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / figures["requests"]}


def compare(lab, options, engine, disk, memory):
    server = servers.Server("leat", options.server or servers.LEAT, engine, options.leat)
    seconds = SECONDS_QUICK if options.quick else SECONDS
    with lab.serve(server, disk) as running, lab.serve(server, memory) as other:
        coding, body = await_copy(running.address, CODED)
        (disk / f"{BESIDE[1:]}.{SUFFIXES[coding]}").write_bytes(body)
        for folder in (disk, memory):
            (folder / PLAIN[1:]).write_bytes(os.urandom(len(body)))
        time.sleep(LOOK_S)
        if await_copy(running.address, BESIDE)[1] != body:
            raise laboratory.Fault(f"leat serve does not use the copy beside {BESIDE}")
        sides = [("in memory", (running, CODED)), ("beside", (running, BESIDE)),
                 ("plain, disk", (running, PLAIN)), ("plain, tmpfs", (other, PLAIN))]
        figures = paired.interleave(lab, sides, lambda side: measure(lab, *side, seconds),
                                    options.rounds)
    title = f"a file coded before ({coding}, {len(body)} bytes), and plain ones as large, " \
        f"engine {engine}"
    lab.say(title)
    paired.table(lab, figures, ROWS)
    ratios = {}
    for left, right in (("in memory", "plain, tmpfs"), ("beside", "plain, disk")):
        ratios[left] = paired.verdict(
            paired.ratios(figures, left, right, "cpu_us_per_request"), at_most=TARGET)
        paired.tell(lab, f"ratio of CPU us/request, {left} to {right}", ratios[left])
    errors = sum(figure["errors"] for rounds in figures.values() for figure in rounds)
    return {"title": title, "rounds": figures, "ratios": ratios, "size": len(body),
            "met": all(ratio["met"] for ratio in ratios.values()) and errors == 0}


def run(lab, options):
    results = []
    for engine in servers.engines(options):
        with contextlib.ExitStack() as exits:
            results.append(compare(lab, options, engine, *prepare(lab, exits)))
    return results
