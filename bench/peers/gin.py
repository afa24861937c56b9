# SPDX-License-Identifier: MIT
"""Gin, the most used framework on Go's net/http."""
from pathlib import Path

from lab import golang
from lab.peer import Missing, Peer, Row

PACKAGE = "golang-github-gin-gonic-gin-dev"
GOPATH = Path("/usr/share/gocode")  # where Debian's golang-*-dev packages put their sources
COMMAND = "env GOMAXPROCS=1 {folder}/peer-gin {listen} {dir}"


def build(workshop):
    program = workshop.folder / "peer-gin"
    if workshop.is_fresh(program):
        return
    if not (GOPATH / "src/github.com/gin-gonic/gin").is_dir():
        raise Missing(f"no Gin in {GOPATH} (Debian: {PACKAGE})")
    golang.build(workshop, program, GOPATH)


PEER = Peer(
    "gin", "Gin",
    [Row("gin", "Gin", COMMAND,
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file"), "wait": ("/wait/{ms}", "memory")},
         "as its documentation has it; files by Context.File, which copies"),
     Row("gin-memory", "Gin, from memory", COMMAND,
         {"large": ("/memory/1m.bin", "memory"), "64k": ("/memory/64k.bin", "memory"),
          "16m": ("/memory/16m.bin", "memory")},
         "its best way: Context.DataFromReader of bytes kept in memory")],
    packages=["golang-go", PACKAGE],
    version=["dpkg-query", "-W", "-f", "${{Version}}", PACKAGE], build=build)
