# SPDX-License-Identifier: MIT
"""The one door to the load generator: bench/run knows its figures, not its flags. Any other that
reports the same figures may stand here."""
import json
import resource
import shlex
import subprocess
from dataclasses import dataclass

from . import laboratory

NAME = "load"
GRACE_S = 20  # beyond its own time, for connecting and for what an open loop still owes


@dataclass
class Load:
    """What is asked for."""

    path: str
    connections: int
    seconds: float
    rate: float = 0  # requests a second, open loop; 0: closed loop
    one_each: bool = False  # a connection for each request


def children_cpu_us():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e6


def run_client(lab, argv, limit_s):
    """Runs a program on the client's core; returns (what it printed, its CPU us)."""
    before = children_cpu_us()
    process = lab.spawn(argv, lab.client_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise laboratory.Fault(f"no answer: the client was still waiting after {limit_s:.0f} s") \
            from error
    if process.returncode != 0:
        text = errors.decode(errors="replace").strip() or f"status {process.returncode}"
        raise laboratory.Fault(f"{shlex.join(map(str, argv[:1]))}: {text}")
    return out.decode(), children_cpu_us() - before


def measure(lab, address, load):
    """Loads the server; returns its figures: requests answered, requests_per_s, bytes_per_s,
    bytes, latencies in us (p50, p90, p99, p99.9, max), errors, unfinished, client_cpu_total_us."""
    argv = [lab.bin / "load", "-c", str(load.connections), "-d", f"{load.seconds:g}"]
    if load.rate > 0:
        argv += ["-r", f"{load.rate:.0f}"]
    if load.one_each:
        argv.append("-x")
    out, cpu_us = run_client(lab, [*argv, address, load.path], load.seconds + GRACE_S)
    raw = json.loads(out)
    figures = {key: raw[key] for key in ("p50", "p90", "p99", "p99.9", "max", "bytes", "errors",
                                         "unfinished")}
    return figures | {"requests": raw["req"], "requests_per_s": raw["rps"],
                      "bytes_per_s": raw["bytes"] / raw["secs"], "client_cpu_total_us": cpu_us}
