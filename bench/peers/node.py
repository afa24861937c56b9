# SPDX-License-Identifier: MIT
"""Node's own http, without a framework, in the three ways its users send a file."""
import shutil

from lab.peer import Peer, Row

COMMAND = "node {folder}/server.js {listen} {dir}"
WARM_S = 1.0  # its compiler needs 0.6 to 0.8 s; before that a request costs up to ten times as much


def build(workshop):
    workshop.tool("node", "nodejs")
    shutil.copyfile(workshop.sources / "server.js", workshop.folder / "server.js")


def files(prefix, kind):
    return {test: (f"{prefix}/{name}", kind)
            for test, name in (("large", "1m.bin"), ("64k", "64k.bin"), ("16m", "16m.bin"))}


PEER = Peer(
    "node", "Node http",
    [Row("node", "Node http", COMMAND,
         {"small": ("/1k", "memory"), "wait": ("/wait/{ms}", "memory"), **files("", "file")},
         "as its documentation has it; files by fs.readFile, whole", warm_s=WARM_S),
     Row("node-stream", "Node http, createReadStream", COMMAND, files("/stream", "file"),
         "as its documentation has it for large files; 64 KiB at a time", warm_s=WARM_S),
     Row("node-memory", "Node http, from memory", COMMAND, files("/memory", "memory"),
         "its best way: a Buffer kept in memory", warm_s=WARM_S)],
    packages=["nodejs"], version=["node", "--version"], build=build)
