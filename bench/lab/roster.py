# SPDX-License-Identifier: MIT
"""Who takes part: the peers in bench/peers/, built, and each of their rows as a server that the
laboratory can start. What keeps a row from running is its reason, and never an exception."""
import contextlib
import importlib.util
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import laboratory, peer


@dataclass
class Entry:
    """A row that may take part, and in `reason` why it cannot after all."""

    peer: peer.Peer
    row: peer.Row
    workshop: peer.Workshop | None = None
    reason: str = ""
    connections: int = 64  # that will come at once: some servers have to be told

    @property
    def name(self):
        return self.row.name

    def argv(self, lab, directory, listen, _words):
        """For Laboratory.serve."""
        work = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=lab.directory))
        host, port = listen.rsplit(":", 1)
        words = {"listen": listen, "host": host, "port": port, "dir": directory, "work": work,
                 "folder": self.workshop.folder, "bin": self.workshop.bin,
                 "build": self.workshop.build, "connections": self.connections}
        try:
            if self.row.configure is not None:
                self.row.configure(work, words)
            # Filled in after the split, so that a folder's name may hold spaces.
            argv = [part.format(**words) for part in shlex.split(self.row.command)]
        except Exception as error:  # its author's
            raise laboratory.Fault(f"its command: {type(error).__name__}: {error}") from error
        if shutil.which(argv[0]) is None:
            packages = f" (Debian: {', '.join(self.peer.packages)})" if self.peer.packages else ""
            raise laboratory.Fault(f"no {Path(argv[0]).name}{packages}")
        return argv


class NoCompiler(peer.Workshop):
    """Of --quick: whatever is not compiled already stays so."""

    def compile(self, *_arguments, **_options):
        raise peer.Missing("not built yet, and --quick builds no peers")


def load_peer(path):
    """The PEER of a file. A file that is broken gives a peer of its name and the reason."""
    spec = importlib.util.spec_from_file_location(f"peer_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.PEER, ""
    except (Exception, SystemExit) as error:  # its author's: no fault of the others
        broken = peer.Row(path.stem, path.stem, "", {test: ("/", "") for test in peer.CONTENT})
        return peer.Peer(path.stem, path.stem, [broken]), f"{path.name}: {one_line(error)}"


def one_line(error):
    """What an error comes down to: the last line of what was said."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(":")[:300]


def load(folder):
    """Every row of every peer in the folder."""
    entries = []
    for path in sorted(folder.glob("*.py")):
        found, reason = load_peer(path)
        entries += [Entry(found, row, reason=reason) for row in found.rows]
    return entries


def choose(entries, names):
    """Those of a peer or a row named so; raises ValueError with a line for a name unknown."""
    known = {entry.peer.name for entry in entries} | {entry.name for entry in entries}
    for name in names:
        if name not in known:
            raise ValueError(f"no peer or row '{name}'; there are "
                             + ", ".join(sorted({entry.peer.name for entry in entries})))
    return [entry for entry in entries
            if entry.name in names or (entry.row.is_default
                                       and (not names or entry.peer.name in names))]


def is_ours(found):
    """leat and the limits come from leat's own build, which the makefile has just made."""
    return any(row.role in ("leat", "limit") for row in found.rows)


def build_one(found, workshop):
    """The reason why it could not be built, or ""."""
    try:
        if found.build is not None:
            workshop.folder.mkdir(parents=True, exist_ok=True)
            found.build(workshop)
        return ""
    except peer.Missing as error:
        return one_line(error)
    except Exception as error:  # its author's: no fault of the others
        return f"its build: {type(error).__name__}: {one_line(error)}"


def build(entries, folder, lab, quick, tell):
    """Builds each peer once, in the folder its sources have the name of; tells of each."""
    built = {}
    for entry in entries:
        name = entry.peer.name
        if name not in built:
            kind = NoCompiler if quick and not is_ours(entry.peer) else peer.Workshop
            shop = kind(folder=lab.bin / "peers" / name, sources=folder / name, bin=lab.bin,
                        build=lab.build)
            tell(f"building {name}")
            built[name] = shop, entry.reason or build_one(entry.peer, shop)
        entry.workshop, entry.reason = built[name]


def versions(entries, build_folder):
    """What each peer that can run says of itself."""
    found = {}
    for entry in entries:
        if entry.peer.name not in found and not entry.reason:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                found[entry.peer.name] = entry.peer.version_text(build_folder)
    return {name: text for name, text in found.items() if text}
