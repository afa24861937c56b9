# SPDX-License-Identifier: MIT
"""What a fiber costs: runs leat's own micro-benchmark, pinned, several times, and holds its
figures against the targets. It prints a line of JSON a figure, {"name": …, "median": …, …};
figures without a target are shown and not judged."""
import json
import shlex
import statistics
import subprocess

from . import laboratory, paired

FIBERS = "{bin}/fibers"
TARGETS = {"switch_ns": 10, "spawn_join_ns": 100, "gather_1000_sleeps_cpu_ms": 1}


def parse(text):
    figures = {}
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        try:
            item = json.loads(line)
            figures[item["name"]] = item["median"]
        except (ValueError, KeyError) as error:
            raise laboratory.Fault(f"fibers printed {line!r}") from error
    missing = TARGETS.keys() - figures.keys()
    if missing:
        raise laboratory.Fault(f"fibers did not report {', '.join(sorted(missing))}")
    return figures


def run(lab, options):
    argv = [part.format(bin=lab.bin, build=lab.build)
            for part in shlex.split(options.server or FIBERS)]
    rounds = []
    for number in range(options.rounds):
        lab.note(f"round {number + 1} of {options.rounds}")
        process = lab.spawn(argv, lab.server_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, errors = process.communicate()
        if process.returncode != 0:
            raise laboratory.Fault(f"{shlex.join(argv)}: {errors.decode().strip()}")
        rounds.append(parse(out.decode()))
    lab.note("")
    results = []
    for key in sorted(set.intersection(*(set(figures) for figures in rounds))):
        values = [figures[key] for figures in rounds]
        if key in TARGETS:
            result = paired.verdict(values, at_most=TARGETS[key])
            paired.tell(lab, key, result)
            results.append({"title": key, "values": values, "result": result,
                            "met": result["met"]})
        else:
            lab.say(f"    {key}: median {statistics.median(values):.4g}")
            results.append({"title": key, "values": values, "met": None})
    return results
