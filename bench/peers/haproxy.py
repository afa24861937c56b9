# SPDX-License-Identifier: MIT
"""HAProxy, answering by itself. Its buffers hold 16 KiB, so it takes part with 1 KiB alone."""
from lab.peer import Peer, Row

# It counts two descriptors a connection, one for a server behind it; here there is none.
CONFIGURATION = """\
global
    nbthread 1
    maxconn 19000
    no strict-limits
defaults
    mode http
    timeout client 1h
    timeout http-keep-alive 1h
frontend laboratory
    bind {listen} backlog 4096
    http-request return status 200 content-type text/plain file "{dir}/1k.txt" \
hdr Date "%[date,http_date]"
"""


def build(workshop):
    workshop.tool("haproxy", "haproxy")


def configure(work, words):
    (work / "haproxy.cfg").write_text(CONFIGURATION.format(listen=words["listen"],
                                                           dir=words["dir"]))


PEER = Peer(
    "haproxy", "HAProxy",
    [Row("haproxy", "HAProxy", "haproxy -db -f {work}/haproxy.cfg", {"small": ("/1k", "memory")},
         "by `http-request return`, with a Date it makes for each answer", configure=configure)],
    packages=["haproxy"], version=["haproxy", "-v"], build=build)
