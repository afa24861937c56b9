# SPDX-License-Identifier: MIT
"""Rust's standard library: no runtime, no library, a thread for each connection."""
from lab import rust
from lab.peer import Peer, Row

PROGRAMS = ["peer-rust-std", "peer-rust-std-best"]
WAIT = {"wait": ("/wait/{ms}", "memory")}


def build(workshop):
    rust.build_from_debian(workshop, PROGRAMS, ["httpdate"])


PEER = Peer(
    "rust_std", "Rust standard library",
    [Row("rust-std", "Rust std", "{folder}/peer-rust-std {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), **WAIT},
         "as its book has it, a thread a connection; files by std::fs::read"),
     Row("rust-std-best", "Rust std, from memory", "{folder}/peer-rust-std-best {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m", "memory"), "64k": ("/64k", "memory"),
          "16m": ("/16m", "memory"), **WAIT},
         "its best way: files read once, writev, small stacks")],
    packages=["cargo", "librust-httpdate-dev"], version=["rustc", "--version"], build=build)
