# SPDX-License-Identifier: MIT
"""Peers in Go, built from one main.go and what Debian has installed: no network, no modules."""


def build(workshop, program, gopath=None):
    """`gopath`: where the sources of other packages are; without it the standard library alone."""
    workshop.compile([workshop.tool("go", "golang-go"), "build", "-o", program,
                      workshop.sources / "main.go"],
                     {"GOCACHE": str(workshop.folder / "cache"), "GO111MODULE": "off",
                      "GOPATH": str(gopath or workshop.folder), "GOFLAGS": "", "GOPROXY": "off",
                      "GOTOOLCHAIN": "local"})
