# SPDX-License-Identifier: MIT
"""The one door to the load generator, `leat load`: the laboratory knows its figures, not its flags.
Any other that reports the same figures may stand here."""
import json
import resource
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import laboratory

NAME = "leat load"
GRACE_S = 20  # beyond its own time, for connecting and for what an open loop still owes
BY_NUMBER_LIMIT_S = 120


@dataclass
class Load:
    """What is asked for: for so many seconds, or so many requests."""

    path: str
    connections: int
    seconds: float = 0
    requests: int = 0
    rate: float = 0  # requests a second, open loop; 0: closed loop
    one_each: bool = False  # a connection for each request
    then: list[str] = field(default_factory=list)  # more paths, in turn with the first
    fields: list[str] = field(default_factory=list)  # of the request: "Name: value"

    def flags(self):
        flags = ["--connections", self.connections]
        flags += ["--requests", self.requests] if self.requests else []
        flags += ["--duration", f"{self.seconds:g}s"] if self.seconds else []
        flags += ["--rate", f"{self.rate:.0f}"] if self.rate > 0 else []
        flags += ["--keep-alive", "off"] if self.one_each else []
        flags += [word for line in self.fields for word in ("--header", line)]
        return flags

    def limit_s(self):
        return (self.seconds or BY_NUMBER_LIMIT_S) + GRACE_S


def children_cpu_us():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e6


def finish_program(process, limit_s):
    """Waits for a program; returns what it printed."""
    try:
        out, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise laboratory.Fault(f"no answer: the client was still waiting after {limit_s:.0f} s") \
            from error
    if process.returncode != 0:
        text = errors.decode(errors="replace").strip()
        if not text and out:
            return out.decode()  # its figures say what was wrong: not one request was answered
        name = Path(process.args[0]).name
        raise laboratory.Fault(f"{name}: {text or f'status {process.returncode}'}")
    return out.decode()


def run_client(lab, argv, limit_s):
    """Runs a program on the client's core; returns (what it printed, its CPU us)."""
    before = children_cpu_us()
    process = lab.spawn(argv, lab.client_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out = finish_program(process, limit_s)
    return out, children_cpu_us() - before


def argv(lab, address, load):
    flags = load.flags()
    if load.then:
        listed = lab.directory / "paths"
        listed.write_text("".join(path + "\n" for path in load.then))
        flags += ["--urls", listed]
    return [lab.build / "apps" / "leat" / "leat", "load", "--json", "-", *flags,
            f"http://{address}{load.path}"]


def read(text):
    """The figures of a load: requests answered, seconds, requests_per_s, bytes, bytes_per_s,
    latencies in us (p50, p90, p99, p99.9, max), connects, unfinished; errors in all and by kind,
    `wrong` being answers with another status than 200."""
    raw = json.loads(text)
    errors = raw["errors"]
    wrong = raw["requests"] - raw["statuses"].get("200", 0)
    return {key: raw["latency_us"][key] for key in ("p50", "p90", "p99", "p99.9", "max")} | \
        {key: raw[key] for key in ("requests", "requests_per_s", "connects", "unfinished")} | \
        {key: errors[key] for key in ("refused", "cut", "malformed", "timeout")} | \
        {"seconds": raw["elapsed_s"], "bytes": raw["bytes_received"],
         "bytes_per_s": raw["bytes_per_s"], "wrong": wrong, "errors": errors["total"] + wrong}


def measure(lab, address, load):
    """Loads the server; returns its figures, and client_cpu_total_us."""
    out, cpu_us = run_client(lab, argv(lab, address, load), load.limit_s())
    return read(out) | {"client_cpu_total_us": cpu_us}


def start(lab, address, load):
    """The same while something else happens; finish() has the figures."""
    return lab.spawn(argv(lab, address, load), lab.client_core, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)


def finish(process, load):
    return read(finish_program(process, load.limit_s()))
