# SPDX-License-Identifier: MIT
"""The regression gate: user-space instructions a request, counted by callgrind. Time is noisy, an
instruction count is not: it repeats to a fraction of a percent on any machine with the same
compiler. The server runs twice, for N1 and for N2 requests on one connection (so that batching
does not depend on timing); the difference over N2 - N1 leaves start and end out. Engine epoll
only: valgrind has no io_uring. bench/instructions.json keeps the figures; --update writes them."""
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from . import generator, laboratory, servers
from .generator import Load

STORE = Path(__file__).resolve().parent.parent / "instructions.json"
TOLERANCE = 0.03
COUNTS, COUNTS_QUICK = (2000, 12000), (500, 2500)


def count(lab, server, load):
    """All instructions of a server that is started, answers the load and ends."""
    out = lab.directory / f"callgrind-{server.name}-{load.requests}"
    wrapper = [lab.tool("valgrind"), "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
    with lab.serve(server, lab.content(), wrapper=wrapper) as running:
        figures = generator.measure(lab, running.address, load)
        if figures["errors"]:
            raise laboratory.Fault(f"{server.name}: {figures['errors']} errors under callgrind")
        running.may_end = True
        lab.end(running.process, grace_s=20)
    totals = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if totals is None:
        raise laboratory.Fault(f"callgrind left no total for {server.name}")
    return int(totals.group(1))


def each(lab, server, load, counts):
    """Instructions a request, start and end left out."""
    first, last = (count(lab, server, replace(load, requests=requests)) for requests in counts)
    return (last - first) / (counts[1] - counts[0])


def compiler():
    version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
    return f"gcc {version.stdout.strip()}"


def measure(lab, server, options):
    lab.note(f"callgrind: {server.name}")
    figure = each(lab, server, Load("/1k", 1), COUNTS_QUICK if options.quick else COUNTS)
    lab.note("")
    return figure


def change_since(stored, name, figure):
    known = stored.get(name, {}).get("instructions_per_request")
    return None if known is None else figure / known - 1


def run(lab, options):
    """The bare server is the canary: when its own figure moved, the compiler or the C library is
    another one, and leat's stored figure says nothing here."""
    subject = servers.subject(options, "epoll", servers.HELLO)
    if options.server is None:
        subject.name = "hello_1k"
    canary = servers.bare("epoll")
    stored = json.loads(STORE.read_text()) if STORE.exists() else {}
    figures = {server.name: measure(lab, server, options) for server in (subject, canary)}
    for name, figure in figures.items():
        change = change_since(stored, name, figure)
        lab.say(f"    {name}: {figure:.0f} instructions a request, "
                + ("none stored" if change is None else f"{100 * change:+.1f} % of the stored"))
    change = change_since(stored, subject.name, figures[subject.name])
    drift = change_since(stored, canary.name, figures[canary.name])
    met = None
    if options.update:
        stored |= {name: {"instructions_per_request": round(figure), "compiler": compiler()}
                   for name, figure in figures.items()}
        STORE.write_text(json.dumps(stored, indent=4, sort_keys=True) + "\n")
        lab.say(f"    stored in {STORE.name}")
    elif change is None or drift is None:
        lab.say("    nothing to compare with: store a figure with --update")
    elif abs(drift) > TOLERANCE:
        lab.say("    another compiler or C library than the stored figures': not judged")
    else:
        met = change <= TOLERANCE
        lab.say(f"    limit +{100 * TOLERANCE:.0f} %: {'met' if met else 'NOT MET'}"
                + ("; it became cheaper, store that with --update" if change < -TOLERANCE else ""))
    return [{"title": subject.name, "figures": figures, "change": change, "drift": drift,
             "met": met}]
