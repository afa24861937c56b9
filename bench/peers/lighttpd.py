# SPDX-License-Identifier: MIT
"""lighttpd, which serves files and nothing else without a module of its own."""
import resource

from lab.peer import Peer, Row

FDS_MAX = 40_000
# It wants two descriptors for each connection it allows.
# 65535 is the most that fits: the request after these has "Connection: close" in its answer.
CONFIGURATION = """\
server.document-root = "{dir}"
server.bind = "{host}"
server.port = {port}
server.listen-backlog = 4096
server.max-fds = {fds}
server.max-connections = {connections}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-read-idle = 3600
server.max-write-idle = 3600
mimetype.assign = (".txt" => "text/plain", "" => "application/octet-stream")
"""


def build(workshop):
    workshop.tool("lighttpd", "lighttpd")


def configure(work, words):
    fds = min(FDS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    (work / "lighttpd.conf").write_text(CONFIGURATION.format(
        dir=words["dir"], host=words["host"], port=words["port"], fds=fds, connections=fds // 2))


PEER = Peer(
    "lighttpd", "lighttpd",
    [Row("lighttpd", "lighttpd", "lighttpd -D -f {work}/lighttpd.conf",
         {"small": ("/1k.txt", "file"), "large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"),
          "16m": ("/16m.bin", "file")},
         "can only serve a file; a connection ends with its 65,536th request",
         configure=configure)],
    packages=["lighttpd"], version=["lighttpd", "-v"], build=build)
