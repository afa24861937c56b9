# SPDX-License-Identifier: MIT
"""leat on both of its engines: bench/router_1k.c, which is what a user of the framework writes
(router, Date, a middleware), and `leat serve`."""
from lab import servers
from lab.peer import Peer, Row

LEAT = "{build}/apps/leat/leat"
FILES = {"large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"), "16m": ("/16m.bin", "file")}
ENGINES = {"uring": "io_uring", "epoll": "epoll"}
BURN_NS = 1000


def rows(engine, how):
    router = servers.ROUTER.replace("{engine}", engine)
    serve = servers.LEAT.replace("{engine}", engine).replace("{leat}", LEAT)
    return [
        Row(f"leat-{engine}", f"leat, {how}", router,
            {"small": ("/1k", "memory"), "wait": ("/wait/{ms}", "memory"), **FILES},
            "router and middleware", "leat"),
        Row(f"leat-{engine}-file", f"leat, {how}, a file", router,
            {"small": ("/1k.txt", "file")}, "router and middleware", "leat"),
        Row(f"leat-serve-{engine}", f"leat serve, {how}", serve,
            {"small": ("/1k.txt", "file"), **FILES}, "the command, as it comes", "leat")]


def slowed(engine, how):
    """Does the laboratory see a microsecond? Only for who asks for it."""
    return Row(f"leat-slowed-{engine}", f"leat, {how}, slowed by 1 us",
               servers.ROUTER.replace("{engine}", engine) + f" --burn-ns {BURN_NS}",
               {"small": ("/1k", "memory")}, "1 us of CPU time planted in each request", "leat",
               is_default=False)


PEER = Peer("leat", "leat", [row for engine, how in ENGINES.items() for row in rows(engine, how)]
            + [slowed(engine, how) for engine, how in ENGINES.items()],
            version=[LEAT, "--version"])
