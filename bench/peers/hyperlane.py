# SPDX-License-Identifier: MIT
"""Hyperlane, a web framework of Rust, on Tokio. Not packaged by Debian."""
from lab import rust
from lab.peer import Peer, Row

COMMAND = "{folder}/peer-hyperlane {listen} {dir}"


def build(workshop):
    rust.build_from_crates(workshop, ["peer-hyperlane"])


PEER = Peer(
    "hyperlane", "Hyperlane",
    [Row("hyperlane", "Hyperlane", COMMAND,
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), "wait": ("/wait/{ms}", "memory")},
         "by its documentation; files by tokio::fs::read"),
     Row("hyperlane-memory", "Hyperlane, from memory", COMMAND,
         {"large": ("/memory/1m.bin", "memory"), "64k": ("/memory/64k.bin", "memory"),
          "16m": ("/memory/16m.bin", "memory")},
         "its best way: files read once")],
    packages=["cargo"], version=rust.version_of("hyperlane", "hyperlane"), build=build)
