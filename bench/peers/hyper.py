# SPDX-License-Identifier: MIT
"""hyper, the HTTP library under most of Rust's web frameworks."""
from lab import rust
from lab.peer import Peer, Row

COMMAND = "{folder}/peer-hyper {listen} {dir}"


def build(workshop):
    rust.build_from_debian(workshop, ["peer-hyper"], ["hyper", "tokio"])


PEER = Peer(
    "hyper", "hyper",
    [Row("hyper", "hyper", COMMAND,
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), "wait": ("/wait/{ms}", "memory")},
         "by its documentation; files by tokio::fs::read"),
     Row("hyper-memory", "hyper, from memory", COMMAND,
         {"large": ("/1m", "memory"), "64k": ("/64k", "memory"), "16m": ("/16m", "memory")},
         "its best way: files read once, as Bytes")],
    packages=["cargo", "librust-hyper-dev", "librust-tokio-dev"],
    version=rust.version_of("hyper", "hyper"), build=build)
