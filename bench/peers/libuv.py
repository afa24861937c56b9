# SPDX-License-Identifier: MIT
"""libuv, the event loop below Node: a C server that parses no more than it must."""
import shlex
import subprocess

from lab.peer import Missing, Peer, Row


def build(workshop):
    program = workshop.folder / "peer-libuv"
    if workshop.is_fresh(program):
        return
    found = subprocess.run([workshop.tool("pkg-config", "pkg-config"), "--cflags", "--libs",
                            "libuv"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if found.returncode != 0:
        raise Missing("no libuv (Debian: libuv1-dev)")
    workshop.compile([workshop.tool("cc", "gcc"), "-O2", "-D_GNU_SOURCE", "-o", program,
                      workshop.sources / "main.c", *shlex.split(found.stdout)])


PEER = Peer(
    "libuv", "libuv",
    [Row("libuv", "libuv", "{folder}/peer-libuv {listen} {dir}",
         {"small": ("/1k", "memory"), "large": ("/1m.bin", "memory"),
          "64k": ("/64k.bin", "memory"), "16m": ("/16m.bin", "memory")},
         "as its guide has it; parses no more than a head's end, its path and Connection")],
    packages=["libuv1-dev"], version=["pkg-config", "--modversion", "libuv"], build=build)
