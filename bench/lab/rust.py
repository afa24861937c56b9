# SPDX-License-Identifier: MIT
"""How peers in Rust are built: from Debian's own crates, offline; or, where Debian has no package,
from whatever the user's cargo is set up to have."""
import re
import shutil
from pathlib import Path

from . import peer

REGISTRY = Path("/usr/share/cargo/registry")  # Debian's librust-*-dev: a cargo directory source
LOOK_LIMIT_S = 15

missing = {}  # what was looked for in vain in this run: it is not looked for again


def prepare(workshop):
    """A copy of the sources, for cargo writes beside its manifest."""
    folder = workshop.folder / "crate"
    folder.mkdir(parents=True, exist_ok=True)
    for source in workshop.sources.iterdir():
        if source.is_file():
            shutil.copy(source, folder)
    return folder


def version_of(name, crate):
    """For Peer.version: what cargo has chosen for the peer of that name."""
    return ["grep", "-A1", f'^name = "{crate}"$', "{build}/bench/peers/" + name
            + "/crate/Cargo.lock"]


def is_fresh(workshop, programs):
    return all(workshop.is_fresh(workshop.folder / program) for program in programs)


def build(workshop, programs, options):
    folder = workshop.folder / "crate"
    target = workshop.folder / "target"
    workshop.compile([workshop.tool("cargo", "cargo"), "build", "--release", "--quiet",
                      "--target-dir", target, *options], folder=folder)
    for program in programs:
        shutil.copy(target / "release" / program, workshop.folder / program)


def build_from_debian(workshop, programs, crates):
    """`crates` by the names of their packages: librust-NAME-dev."""
    if is_fresh(workshop, programs):
        return
    workshop.tool("cargo", "cargo")
    absent = [crate for crate in crates if not list(REGISTRY.glob(f"{crate}-[0-9]*"))]
    if absent:
        packages = ", ".join(f"librust-{crate}-dev" for crate in absent)
        raise peer.Missing(f"no crate {', '.join(absent)} in {REGISTRY} (Debian: {packages})")
    prepare(workshop)
    build(workshop, programs, ["--offline", "--config", 'source.crates-io.replace-with="debian"',
                               "--config", f'source.debian.directory="{REGISTRY}"'])


def resolve(workshop, options):
    """Are all crates to be had? Finds their versions, and fails fast where there is no network."""
    workshop.compile([workshop.tool("cargo", "cargo"), "generate-lockfile", *options],
                     {"CARGO_NET_RETRY": "0", "CARGO_HTTP_TIMEOUT": "5"},
                     workshop.folder / "crate", LOOK_LIMIT_S)


def build_from_crates(workshop, programs):
    """With the network, or with what cargo has kept of it."""
    if is_fresh(workshop, programs):
        return
    if workshop.folder in missing:
        raise missing[workshop.folder]
    workshop.compile([workshop.tool("cargo", "cargo"), "--version"])  # does it work at all?
    prepare(workshop)
    options = []
    try:
        resolve(workshop, options)
    except peer.Missing as reason:
        try:
            options = ["--offline"]
            resolve(workshop, options)
        except peer.Missing:
            why = re.sub(r" \(.*\)$", "", str(reason))  # not which host was not found
            missing[workshop.folder] = peer.Missing(
                f"crate not available here ({why})")
            raise missing[workshop.folder] from reason
    build(workshop, programs, options)
