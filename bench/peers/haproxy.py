# SPDX-License-Identifier: MIT
"""HAProxy, answering by itself: its buffers hold 16 KiB, so it takes part with 1 KiB alone. And as
what it is, a proxy, for bench/proxy.py: one thread, no log, no fields added, connections to the
upstreams shared by all clients and kept for ever."""
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
PROXY = """\
global
    nbthread 1
    maxconn {connections}
    no strict-limits
    {tuning}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    timeout http-request 1h
    {options}
frontend laboratory
    bind {listen} backlog 4096
    default_backend upstreams
backend upstreams
    balance random
    http-reuse always
    {upstreams}
"""
# Bodies go from socket to socket through pipes. `splice-auto` decides by itself, and gains little.
SPLICE = "option splice-response"
# A connection that broke, or was refused, is another server's try, as long as nothing was answered.
SAFE_RETRIES = """retries 3
    option redispatch 1
    retry-on all-retryable-errors"""


def proxy_configuration(listen, upstreams, options="", tuning="", connections=4000):
    lines = [f"server upstream{number} {address} pool-max-conn -1 pool-purge-delay 1h"
             for number, address in enumerate(upstreams)]
    return PROXY.format(listen=listen, upstreams="\n    ".join(lines), options=options,
                        tuning=tuning, connections=connections)


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
