# SPDX-License-Identifier: MIT
"""h2o. Its file handler keeps descriptors open for the length of a turn of its loop and copies what
it sends; from memory it would answer by its mruby alone."""
import os

from lab.peer import Peer, Row

CONFIGURATION = """\
{user}num-threads: 1
max-connections: 20000
http1-request-timeout: 3600
pid-file: "{work}/h2o.pid"
listen:
  host: {host}
  port: {port}
hosts:
  default:
    paths:
      "/":
        file.dir: "{dir}"
"""


def build(workshop):
    workshop.tool("h2o", "h2o")


def configure(work, words):
    user = "user: root\n" if os.geteuid() == 0 else ""  # else it becomes nobody
    (work / "h2o.conf").write_text(CONFIGURATION.format(user=user, work=work, host=words["host"],
                                                        port=words["port"], dir=words["dir"]))


PEER = Peer(
    "h2o", "h2o",
    [Row("h2o", "h2o", "h2o -c {work}/h2o.conf",
         {"small": ("/1k.txt", "file"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file")},
         "can only serve a file, which it copies", configure=configure)],
    packages=["h2o"], version=["h2o", "--version"], build=build)
