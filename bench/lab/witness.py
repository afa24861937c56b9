# SPDX-License-Identifier: MIT
"""wrk and h2load measure some servers beside our own load generator, in turn with it: whoever does
not believe ours may compare. Each figure is given where its program tells it; h2load tells no
percentiles."""
import re
import shutil
import subprocess

from . import generator, laboratory, tables
from .generator import Load

OURS = generator.NAME
# Of each the first that takes part. Go's is slow enough that no client is the limit.
SERVERS = (("leat-uring", "leat-epoll"), ("nginx",), ("go",))
UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}
PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS_US[unit]


def read_wrk(text):
    figures = {"requests": int(re.search(r"(\d+) requests in", text).group(1)),
               "requests_per_s": float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1))}
    failures = "".join(re.findall(r"Socket errors: .*|Non-2xx or 3xx responses: .*", text))
    kinds = r"(?:connect|read|write|timeout|responses:) (\d+)"
    figures["errors"] = sum(map(int, re.findall(kinds, failures)))
    for key, percent in (("p50", "50%"), ("p99", "99%")):
        found = re.search(rf"^\s+{percent}\s+(\S+)$", text, re.M)
        if found:
            figures[key] = microseconds(found.group(1))
    return figures


def read_h2load(text):
    return {"requests": int(re.search(r"(\d+) succeeded", text).group(1)),
            "errors": int(re.search(r"(\d+) failed", text).group(1)),
            "requests_per_s": float(re.search(r"([\d.]+) req/s", text).group(1))}


COMMANDS = {  # both count whole seconds only
    "wrk": (["wrk", "-t1", "-c{connections}", "-d{seconds}s", "--latency", "{url}"], read_wrk),
    "h2load": (["h2load", "--h1", "-t1", "-c{connections}", "-D{seconds}", "{url}"], read_h2load)}


def run(lab, name, address, what):
    """One round of one witness: its figures."""
    if name == OURS:
        raw = generator.measure(lab, address, what)
        figures = {key: raw[key] for key in ("requests", "requests_per_s", "errors", "p50", "p99")}
        cpu_us = raw["client_cpu_total_us"]
    else:
        command, read = COMMANDS[name]
        words = {"connections": what.connections, "seconds": round(what.seconds),
                 "url": f"http://{address}{what.path}"}
        out, cpu_us = generator.run_client(lab, [part.format(**words) for part in command],
                                           what.seconds + generator.GRACE_S)
        try:
            figures = read(out)
        except (AttributeError, ValueError, KeyError) as error:
            raise laboratory.Fault(f"{name}: its output is not understood") from error
    requests = figures.pop("requests")
    return figures | {"client_cpu_us": cpu_us / max(requests, 1)}


def version(name):
    flag = "-v" if name == "wrk" else "--version"
    done = subprocess.run([name, flag], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=10)
    found = re.search(r"\d+\.\d+[\w.+~-]*", done.stdout + done.stderr)
    return found.group(0) if found else ""


def blank_row(name, leat_version):
    row = {"name": name, "status": "ok", "reason": "",
           "version": leat_version, "rounds": [], "figures": {}}
    if name != OURS:
        if shutil.which(name) is None:
            return row | {"status": "not run", "reason": f"no {name} (Debian: {PACKAGES[name]})",
                          "version": ""}
        row["version"] = version(name)
    return row


def chosen(entries):
    """The servers that are measured, of those that can be: the named, else whoever is first."""
    by_name = {entry.name: entry for entry in entries}
    found = [[by_name[name] for name in names if name in by_name][:1] for names in SERVERS]
    return sum(found, []) or entries[:1]


def testify(lab, entry, rounds, seconds, leat_version, done):
    """A witness table of one server."""
    rows = {name: blank_row(name, leat_version) for name in (OURS, *COMMANDS)}
    path = entry.row.answers["small"][0]
    for number in range(rounds):
        order = list(rows)[number % len(rows):] + list(rows)[:number % len(rows)]
        for name in order:
            if rows[name]["status"] != "ok":
                continue
            try:
                with lab.serve(entry, lab.content()) as running:
                    generator.measure(lab, running.address, Load(path, 64, 0.2))
                    rows[name]["rounds"].append(run(lab, name, running.address,
                                                    Load(path, 64, seconds)))
            except (laboratory.Fault, OSError) as error:
                rows[name] |= {"status": "not run", "reason": str(error).strip()[-300:]}
            done()
    for row in rows.values():
        row["figures"] = tables.summarize(row["rounds"])
    return {"server": entry.name, "test": "small", "rows": list(rows.values())}
