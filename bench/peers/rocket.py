# SPDX-License-Identifier: MIT
"""Rocket, a web framework of Rust, on hyper. Not packaged by Debian."""
from lab import rust
from lab.peer import Peer, Row

# Its own configuration, by the environment: one worker, no log, connections kept.
COMMAND = ("env ROCKET_ADDRESS={host} ROCKET_PORT={port} ROCKET_WORKERS=1 ROCKET_KEEP_ALIVE=3600 "
           "ROCKET_LOG_LEVEL=off {folder}/peer-rocket {dir}")


def build(workshop):
    rust.build_from_crates(workshop, ["peer-rocket"])


PEER = Peer(
    "rocket", "Rocket",
    [Row("rocket", "Rocket", COMMAND,
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), "wait": ("/wait/{ms}", "memory")},
         "by its guide; files by its FileServer"),
     Row("rocket-memory", "Rocket, from memory", COMMAND,
         {"large": ("/1m", "memory"), "64k": ("/64k", "memory"), "16m": ("/16m", "memory")},
         "its best way: files read once")],
    packages=["cargo"], version=rust.version_of("rocket", "rocket"), build=build)
