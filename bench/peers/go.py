# SPDX-License-Identifier: MIT
"""Go's net/http, which sends files by sendfile(2)."""
from lab import golang
from lab.peer import Peer, Row


def build(workshop):
    program = workshop.folder / "peer-go"
    if not workshop.is_fresh(program):
        golang.build(workshop, program)


PEER = Peer(
    "go", "Go net/http",
    [Row("go", "Go net/http", "env GOMAXPROCS=1 {folder}/peer-go {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), "wait": ("/wait/{ms}", "memory")},
         "as its documentation has it; files by http.FileServer, which uses sendfile")],
    packages=["golang-go"], version=["go", "version"], build=build)
