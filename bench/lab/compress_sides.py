# SPDX-License-Identifier: MIT
"""The two programs of bench/compress.py: bench/coded, leat with every policy at a path of its own,
and bench/deliver, who asks for one thing after the other and tells of each answer."""
import json
import subprocess

from . import laboratory, servers

CODED = "{bin}/coded --listen {listen} --engine {engine} --texts {texts}"
ACCEPTED = "Accept-Encoding: gzip, br, zstd"  # as deliver asks
LIMIT_S = 300


def coded(options, engine):
    return servers.Server("coded", options.server or CODED, engine, options.leat)


def deliver(lab, running, turns, namespace=None, has_to_decode=False):
    """The answers to [(number of a connection, path)], in their order."""
    plan = lab.directory / "plan"
    plan.write_text("".join(f"{connection} {path}\n" for connection, path in turns))
    argv = [lab.bin / "deliver", *(["-d"] if has_to_decode else []), running.address, plan]
    process = lab.spawn(argv, lab.client_core, namespace=namespace, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
    try:
        out, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        lab.end(process)
        raise laboratory.Fault("deliver: does not end") from error
    if process.returncode != 0:
        raise laboratory.Fault(f"{errors.decode().strip()} {running.complaint()}".strip())
    answers = [json.loads(line) for line in out.decode().splitlines()]
    wrong = next((answer for answer in answers if answer["status"] != 200), None)
    if wrong is not None:
        raise laboratory.Fault(f"{wrong['path']}: status {wrong['status']}")
    return answers


def measure(lab, running, path, count):
    """CPU us of an answer, of so many on one connection after its first; and what they were."""
    deliver(lab, running, [(0, path)])
    with lab.costs(running) as cost:
        answers = deliver(lab, running, [(0, path)] * count)
    return {"cpu_us": cost["cpu_us"] / count, "body": answers[-1]["body"],
            "coded": sum(answer["coding"] != "" for answer in answers)}
