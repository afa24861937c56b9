# SPDX-License-Identifier: MIT
"""The limits: two servers in C that parse nothing, time nothing and log nothing, one an engine of
the kernel's. What a server takes more than these is the price of being a server."""
from lab import servers
from lab.peer import Peer, Row

ANSWERS = {"small": ("/1k", "memory"), "large": ("/1m", "file"),
           "64k": ("/64k", "file"), "16m": ("/16m", "file")}


def row(engine, how):
    return Row(f"bare_{engine}", f"bare C, {how}", servers.BARE.replace("{engine}", engine),
               ANSWERS, "parses nothing; files by sendfile", "limit")


PEER = Peer("bare", "bare C servers", [row("uring", "io_uring"), row("epoll", "epoll")])
