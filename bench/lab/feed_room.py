# SPDX-License-Identifier: MIT
"""What the experiments with feeds share: their programs bring both sides, a core each, and print
their figures; a bare half and leat's take turns; logs lie on the build's disk or in memory.

Verdicts are by the median over all rounds, as the targets are worded; the range is told beside
it."""
import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from . import laboratory, upload

MEMORY = Path("/dev/shm")
WARM_BYTES = 600 << 20  # what the greatest log takes, and more
LIMIT_S = 70  # the programs end themselves after 60


def play(lab, program, *words):
    """The figures of one run."""
    argv = [lab.bin / program, "-a", lab.server_core, "-b", lab.client_core, *words]
    process = lab.spawn(argv, lab.server_core, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        lab.end(process)
        raise laboratory.Fault(f"{program}: does not end") from error
    if process.returncode != 0:
        raise laboratory.Fault(f"{program}: {errors.decode().strip() or process.returncode}")
    return json.loads(out)


@contextlib.contextmanager
def folder(lab, where):
    """An empty folder for a log: "disk", beside the build, or "tmpfs". Memory enough for it has
    been touched just before: otherwise a round pays for what the host had taken back."""
    if where == "tmpfs" and not MEMORY.is_dir():
        raise laboratory.Skip(f"no {MEMORY}")
    path = Path(tempfile.mkdtemp(prefix=lab.directory.name + "-",
                                 dir=MEMORY if where == "tmpfs" else lab.directory))
    try:
        upload.touch_memory(path, WARM_BYTES)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def summary(values):
    return {"median": statistics.median(values), "range": [min(values), max(values)],
            "values": values}


def judge(values, at_most=None, at_least=None):
    result = summary(values)
    if at_most is not None:
        return result | {"target": f"<= {at_most:g}", "met": result["median"] <= at_most}
    return result | {"target": f">= {at_least:g}", "met": result["median"] >= at_least}


def tell(lab, label, result, form=".2f", unit=""):
    low, high = result["range"]
    text = f"    {label}: {result['median']:{form}}{unit} ({low:{form}} to {high:{form}})"
    if "target" in result:
        text += f"; target {result['target']}{unit}: {'met' if result['met'] else 'NOT MET'}"
    lab.say(text)
