# SPDX-License-Identifier: MIT
"""What a coded file costs that leat has coded before: `leat serve`, asked for a text by who takes
codings, until it has made the copy that it keeps; then CPU time a request against a plain file of
just that copy's size, over 16 connections, and user-space instructions of both (lab/instructions.py
says how). Both are sent by sendfile; what is left is finding the copy."""
import http.client
import os
import time
from dataclasses import replace

from . import compress_sides, compress_texts, generator, instructions, laboratory, paired, servers
from .generator import Load

TEXT = "corpus/corpora__news"  # of which some 120 KiB are sent
CODED, PLAIN = "/text.txt", "/plain.bin"
TARGET = 1.05
MADE_LIMIT_S = 30
CONNECTIONS, SECONDS, SECONDS_QUICK = 16, 0.8, 0.1
COUNTS, COUNTS_QUICK = (200, 1200), (50, 250)
ROWS = [("CPU us/request", "cpu_us_per_request", ".2f"), ("requests/s", "requests_per_s", ".0f"),
        ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def ask(address):
    """(coding, size or None where it comes piece by piece) of the text."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        name, value = compress_sides.ACCEPTED.split(": ")
        connection.request("GET", CODED, headers={name: value})
        answer = connection.getresponse()
        body = answer.read()
        whole = answer.getheader("Content-Length") is not None
        return answer.getheader("Content-Encoding"), len(body) if whole else None
    finally:
        connection.close()


def await_copy(address):
    """Until the text comes from its copy: with a size, that stays the same. That size."""
    until = time.monotonic() + MADE_LIMIT_S
    while time.monotonic() < until:
        seen = ask(address)
        time.sleep(0.3)  # with jobs that go on it would change
        if seen[0] and seen[1] and ask(address) == seen:
            return seen
    raise laboratory.Fault(f"leat serve keeps no coded copy of {CODED}")


def prepare(lab):
    found = compress_texts.find(TEXT)
    if found is None:
        raise laboratory.Skip(f"no {TEXT} in {compress_texts.data_folder()} ($LEAT_TEST_DATA)")
    folder = lab.directory / "files"
    folder.mkdir(mode=0o755)
    (folder / CODED[1:]).write_bytes(found[1])
    return folder


def load(path, **words):
    return Load(path, CONNECTIONS, fields=[compress_sides.ACCEPTED], **words)


def measure(lab, running, path, seconds):
    with lab.costs(running) as cost:
        figures = generator.measure(lab, running.address, load(path, seconds=seconds))
    return figures | cost | {"cpu_us_per_request": cost["cpu_us"] / figures["requests"]}


def tell_instructions(lab, options, folder):
    """The copy is made before the load, in both counts alike."""
    server = servers.Server("leat", servers.LEAT, "epoll", options.leat)
    counts = COUNTS_QUICK if options.quick else COUNTS
    figures = {path: instructions.each(lab, server, replace(load(path), connections=1), counts,
                                       directory=folder, ready=await_copy)
               for path in (CODED, PLAIN)}
    lab.say(f"    instructions a request, epoll: {figures[CODED]:.0f} coded, {figures[PLAIN]:.0f} "
            "plain")
    return figures


def run(lab, options):
    folder = prepare(lab)
    seconds = SECONDS_QUICK if options.quick else SECONDS
    results = []
    for engine in servers.engines(options):
        server = servers.Server("leat", options.server or servers.LEAT, engine, options.leat)
        with lab.serve(server, folder) as running:
            coding, size = await_copy(running.address)
            (folder / PLAIN[1:]).write_bytes(os.urandom(size))
            sides = [("coded", CODED), ("plain", PLAIN)]
            figures = paired.interleave(
                lab, sides, lambda path: measure(lab, running, path, seconds), options.rounds)
        result = paired.verdict(paired.ratios(figures, "coded", "plain", "cpu_us_per_request"),
                                at_most=TARGET)
        title = f"a file coded before ({coding}, {size} bytes), against a plain one as large, " \
            f"engine {engine}"
        lab.say(title)
        paired.table(lab, figures, ROWS)
        paired.tell(lab, "ratio of CPU us/request", result)
        errors = sum(figure["errors"] for rounds in figures.values() for figure in rounds)
        results.append({"title": title, "rounds": figures, "ratio": result, "size": size,
                        "met": result["met"] and errors == 0})
    results.append({"title": "instructions", "met": None,
                    "figures": tell_instructions(lab, options, folder)})
    return results
