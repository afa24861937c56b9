# SPDX-License-Identifier: MIT
"""What a peer is: one small file in bench/peers/, with its sources, if it has any, in a folder of
the same name beside it. It says how the server is built, what starts it, and which rows of the
tables it fills: as its users would write it, and in its best way too where that is another one.

    PEER = Peer("go", "Go net/http", packages=["golang-go"], version=..., build=..., rows=[...])

Everything that can go wrong with a peer (not installed, does not build, does not start, answers
wrongly) becomes the reason in its rows; the rows themselves never disappear.
"""
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent / "peers"
BUILD_LIMIT_S = 600

# What is asked for. Every row that takes part in a test answers these paths with just the bytes of
# the file of that name in {dir}, with Content-Length and Date, and keeps the connection for ever.
# "/wait/MS" answers a short text after so many milliseconds, without holding up the others; in a
# row's answers it is "wait": ("/wait/{ms}", "memory").
CONTENT = {"small": "1k.txt", "large": "1m.bin", "64k": "64k.bin", "16m": "16m.bin"}


def load(name):
    """PEER of bench/peers/NAME.py. With bench/ in sys.path, for peers import lab.peer."""
    spec = importlib.util.spec_from_file_location(f"peer_{name}", PEERS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PEER


class Missing(Exception):
    """A peer cannot be had here; the text, one line, says why."""


@dataclass
class Workshop:
    """Where a peer is built and run."""

    folder: Path  # its own, in the build folder: for what it compiles; kept between runs
    sources: Path  # bench/peers/NAME
    bin: Path  # the folder of leat's own bench programs
    build: Path  # the build folder of leat

    def tool(self, name, package=None):
        found = shutil.which(name)
        if found is None:
            raise Missing(f"no {name}" + (f" (Debian: {package})" if package else ""))
        return found

    def compile(self, argv, environment=None, folder=None, limit_s=BUILD_LIMIT_S):
        """Runs a compiler; what it complains of becomes the reason."""
        try:
            done = subprocess.run([str(part) for part in argv], cwd=folder or self.folder,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  timeout=limit_s,
                                  env={**os.environ, **(environment or {})})
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Missing(f"{Path(argv[0]).name}: {error}") from error
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no word why"]
            raise Missing(f"{Path(argv[0]).name} failed: {lines[-1].strip()[:300]}")

    def is_fresh(self, program):
        """Is what was compiled younger than all its sources?"""
        sources = [path for path in self.sources.rglob("*") if path.is_file()]
        return program.exists() and all(source.stat().st_mtime <= program.stat().st_mtime
                                        for source in sources)


@dataclass
class Row:
    """A server in one of its ways: a row of the tables."""

    name: str  # for --peers and in report.json: "node-stream"
    title: str  # for people: "Node http, createReadStream"
    # Words with {listen} (ADDR:PORT), {host}, {port}, {dir} (the content), {work} (a fresh folder
    # of this start), {folder} and {bin} of the workshop, {build}.
    command: str
    # test -> (path, "memory" or "file"); a test that is not here the row cannot take part in.
    answers: dict[str, tuple[str, str]]
    note: str = ""  # "as its tutorial has it", "its best way", "can only serve a file", …
    role: str = "peer"  # "peer", "leat", or "limit": parses nothing, what the host allows at most
    warm_s: float = 0.2  # under load, until it is as fast as it gets: a JIT compiler takes longer
    is_default: bool = True  # False: takes part only when --peers names it
    # configure(work, words) writes what the command needs; words has "connections" too: how many
    # come at once, at most.
    configure: Callable | None = None


@dataclass
class Peer:
    name: str
    title: str
    rows: list[Row]
    packages: list[str] = field(default_factory=list)  # Debian's; for the reason, and for people
    version: list[str] | str = ""  # a command whose output has a number; {build}. Or the number
    build: Callable | None = None  # build(workshop), raises Missing; does nothing when all is fresh

    def version_text(self, build=""):
        """The first thing like a version in what the command says; "" when it says none."""
        if isinstance(self.version, str):
            return self.version
        argv = [part.format(build=build) for part in self.version]
        if not argv or shutil.which(argv[0]) is None:
            return ""
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL)
        found = re.search(r"\d+\.\d+[\w.+~-]*", done.stdout + done.stderr)
        return found.group(0) if found else ""
