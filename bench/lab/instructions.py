# SPDX-License-Identifier: MIT
"""The regression gate: user-space instructions a request, counted by callgrind. Time is noisy, an
instruction count is not: it repeats to a fraction of a percent on any machine with the same
compiler. The server runs twice, for N1 and for N2 requests on one connection (so that batching does
not depend on timing); the difference over N2 - N1 leaves start and end out. Engine epoll only:
valgrind has no io_uring. The stored figures are in bench/instructions.json; --update writes them."""
import json
import re
import subprocess
from pathlib import Path

from . import laboratory, servers

STORE = Path(__file__).resolve().parent.parent / "instructions.json"
TOLERANCE = 0.03
COUNTS, COUNTS_QUICK = (2000, 12000), (500, 2500)


def count(lab, server, requests):
    out = lab.directory / f"callgrind-{server.name}-{requests}"
    wrapper = [lab.tool("valgrind"), "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
    with lab.serve(server, lab.content(), wrapper=wrapper) as running:
        lab.client("load", "-c", "1", "-d", "120", "-n", str(requests), running.address, "/1k")
        running.may_end = True
        lab.end(running.process, grace_s=20)
    totals = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if totals is None:
        raise laboratory.Fault(f"callgrind left no total for {server.name}")
    return int(totals.group(1))


def compiler():
    version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
    return f"gcc {version.stdout.strip()}"


def run(lab, options):
    subject = servers.subject(options, "epoll", servers.HELLO)
    if options.server is None:
        subject.name = "hello_1k"
    stored = json.loads(STORE.read_text()) if STORE.exists() else {}
    first, last = COUNTS_QUICK if options.quick else COUNTS
    results = []
    for server in (subject, servers.bare("epoll")):
        lab.note(f"callgrind: {server.name}")
        figure = (count(lab, server, last) - count(lab, server, first)) / (last - first)
        lab.note("")
        known = stored.get(server.name, {}).get("instructions_per_request")
        change = figure / known - 1 if known else None
        met = change is None or change <= TOLERANCE
        lab.say(f"    {server.name}: {figure:.0f} instructions a request"
                + ("; no figure is stored (--update stores it)" if known is None else
                   f", stored {known:.0f}, {100 * change:+.1f} % (limit +{100 * TOLERANCE:.0f} %): "
                   f"{'met' if met else 'NOT MET'}"))
        if change is not None and change < -TOLERANCE:
            lab.say("    it became cheaper: store the new figure with --update")
        if options.update:
            stored[server.name] = {"instructions_per_request": round(figure),
                                   "compiler": compiler()}
        results.append({"title": server.name, "instructions_per_request": figure,
                        "stored": known, "met": met or options.update})
    if options.update:
        STORE.write_text(json.dumps(stored, indent=4, sort_keys=True) + "\n")
    return results
