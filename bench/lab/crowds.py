# SPDX-License-Identifier: MIT
"""Thousands of clients that wait, or dawdle: bench/crowd.c as a context."""
import contextlib
import json
import select
from pathlib import Path

from . import laboratory

IN_PLACE_LIMIT_S = 60


def first_line(process):
    ready, _, _ = select.select([process.stdout], [], [], IN_PLACE_LIMIT_S)
    line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        raise laboratory.Fault("the crowd is not in place: "
                               + (process.stderr.read().decode().strip() or "it takes too long"))
    return json.loads(line)


@contextlib.contextmanager
def gather(lab, running, mode, count, path, interval_s=None, stays=True):
    """Inside, `count` clients are in place, as the figures given say. At the end they are sent
    away, or, unless `stays`, waited for; the figures then tell what became of them."""
    arguments = ["-m", mode, "-c", str(count)]
    if interval_s is not None:
        arguments += ["-i", str(interval_s)]
    process = lab.start_client("crowd", *arguments, running.address, path)
    figures = first_line(process)
    if figures["there"] != count:
        process.kill()
        raise laboratory.Fault(f"{Path(running.process.args[0]).name} turned away "
                               f"{figures['lost']} of {count} clients: {running.complaint()}")
    yield figures
    if stays:
        process.terminate()
    figures |= lab.finish_client(process)
