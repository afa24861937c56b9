# SPDX-License-Identifier: MIT
"""Peers in other languages, built in the build folder where their toolchains are there: hyper from
Debian's own crates (no network), and Go's net/http. A peer that cannot be built is left out, and
the experiment says so; with --quick nothing is built, and only what is there already takes part."""
import os
import shutil
import subprocess
from pathlib import Path

from . import servers

SOURCES = Path(__file__).resolve().parent.parent / "peers"
REGISTRY = Path("/usr/share/cargo/registry")
BUILD_LIMIT_S = 600


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def is_fresh(program, sources):
    return program.exists() and all(source.stat().st_mtime <= program.stat().st_mtime
                                    for source in sources)


def compile_peer(argv, folder, environment=None):
    try:
        done = subprocess.run([str(part) for part in argv], cwd=folder, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=BUILD_LIMIT_S,
                              env={**os.environ, **(environment or {})})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode != 0:
        raise Missing(f"{argv[0]} failed: {done.stderr.strip()[-500:]}")


def need_tool(name, package):
    if shutil.which(name) is None:
        raise Missing(f"no {name} (Debian: {package})")


def build_hyper(folder):
    need_tool("cargo", "cargo")
    if not list(REGISTRY.glob("hyper-0.14.*")) or not list(REGISTRY.glob("tokio-1.*")):
        raise Missing(f"no hyper and tokio in {REGISTRY} (Debian: librust-hyper-dev, "
                      "librust-tokio-dev)")
    for source in (SOURCES / "hyper").iterdir():  # Cargo writes beside its manifest
        shutil.copy(source, folder)
    compile_peer(["cargo", "build", "--release", "--offline", "--quiet",
                  "--config", 'source.crates-io.replace-with="debian"',
                  "--config", f'source.debian.directory="{REGISTRY}"',
                  "--target-dir", folder / "target"], folder)
    shutil.copy(folder / "target" / "release" / "peer-hyper", folder / "peer-hyper")


def build_go(folder):
    need_tool("go", "golang-go")
    compile_peer(["go", "build", "-o", folder / "peer-go", SOURCES / "go" / "main.go"], folder,
                 {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "GOFLAGS": "",
                  "GOTOOLCHAIN": "local", "GOPROXY": "off"})


BUILDERS = {"hyper": build_hyper, "go": build_go}
COMMANDS = {"hyper": "{bin}/peers/hyper/peer-hyper {listen} {dir}",
            "go": "{bin}/peers/go/peer-go {listen}"}


def find(lab, options, name):
    """The peer as a server, built if need be; None, and a line that says why, if it is missing."""
    folder = lab.bin / "peers" / name
    sources = [source for source in (SOURCES / name).iterdir() if source.is_file()]
    try:
        if not is_fresh(folder / f"peer-{name}", sources):
            if options.quick:
                raise Missing("not built, and --quick builds no peers")
            lab.note(f"building {name}")
            folder.mkdir(parents=True, exist_ok=True)
            BUILDERS[name](folder)
            lab.note("")
    except Missing as reason:
        lab.say(f"    without {name}: {reason}")
        return None
    return servers.Server(name, COMMANDS[name])
