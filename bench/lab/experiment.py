# SPDX-License-Identifier: MIT
"""One experiment of bench/lab.py, films.py, live.py or feed.py, from its options to its verdict."""
import json
import sys
import time

from . import laboratory


def judge(options, experiment, needs, also=(), is_exact=False):
    """Measures, writes the file of --json, says what came of it: the exit status.

    `experiment(lab, options)` returns results with "met" each: True, False, or None for a peer's,
    which has no verdict. `needs` is a program of the build's bench/. `also` names options that
    belong to the figures. What `is_exact` is judged even when it was quick.
    """
    if not (options.build / "bench" / needs).exists():
        raise laboratory.Fault(f"{options.build}/bench: not built (make build)")
    started = time.time()
    with laboratory.Laboratory(options.build) as lab:
        facts = laboratory.host_facts(lab)
        seconds = f" of {options.seconds:g} s" if hasattr(options, "seconds") else ""
        lab.say(f"{options.experiment}: {options.rounds} rounds{seconds}, kernel "
                f"{facts['kernel']}, {facts['congestion_control']}, cores {lab.server_core} and "
                f"{lab.client_core}, load {facts['load_average']:.1f} before")
        results = experiment(lab, options)
    met = all(result["met"] is not False for result in results)
    if options.json:
        chosen = {name: getattr(options, name) for name in ("seconds", *also)
                  if hasattr(options, name)}
        options.json.write_text(json.dumps(
            {"experiment": options.experiment, "command": sys.argv, "host": facts,
             "started": started, "took_s": time.time() - started, "quick": options.quick,
             "rounds": options.rounds, **chosen, "results": results, "met": met},
            indent=1) + "\n")
    if options.quick and not is_exact:
        print("quick: it works; figures this short judge nothing")
        return 0
    print("all targets met" if met else "a target was NOT MET")
    return 0 if met else 1
