# SPDX-License-Identifier: MIT
"""Tokio without an HTTP library: the floor under every server written on it."""
from lab import rust
from lab.peer import Peer, Row

PROGRAMS = ["peer-tokio", "peer-tokio-best"]
WAIT = {"wait": ("/wait/{ms}", "memory")}


def build(workshop):
    rust.build_from_debian(workshop, PROGRAMS, ["tokio", "httpdate"])


PEER = Peer(
    "tokio", "Tokio, raw",
    [Row("tokio", "Tokio, raw", "{folder}/peer-tokio {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), **WAIT},
         "by its tutorial; files by tokio::fs::read"),
     Row("tokio-best", "Tokio, raw, from memory", "{folder}/peer-tokio-best {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m", "memory"), "64k": ("/64k", "memory"),
          "16m": ("/16m", "memory"), **WAIT},
         "its best way: one thread, files read once, writev")],
    packages=["cargo", "librust-tokio-dev", "librust-httpdate-dev"],
    version=rust.version_of("tokio", "tokio"), build=build)
