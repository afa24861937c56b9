# SPDX-License-Identifier: MIT
"""9,000 clients that take 1 KiB of a 100 MB object every 2 s through a small window: what does each
cost the proxy in user space, and does the proxy take from the upstream what no client has room for?

Memory is what is resident (lab/memory.py), the difference before and during over the number. What
was taken and given is the kernel's own count of each socket, by ss: a proxy holds (in user space or
in pipes) what it has read of its upstreams' sockets and not yet written to its clients'. Sockets
keep bytes beyond that, which are the kernel's and told beside it; by its usual settings those may
be some MB each, and so many would be more than tcp_mem allows all of them, so that connections
would stall for lack of it, whoever is measured. So the room's sockets are bounded. Then the same
with few clients and sockets as the kernel grows them, which they do for who reads fast: no more may
have come from the upstream than does by way of HAProxy or nginx. (What has left the upstream's
program is told, too; that depends on its own socket.) At the end of each round other clients ask
for a small object, to see that the proxy is still there for them."""
import contextlib
import math
import re
import statistics
import subprocess
import time
from pathlib import Path

from . import crowds, generator, laboratory, memory, paired, proxy_sides
from .generator import Load

SLOW, SLOW_QUICK = 9_000, 200
FEW = 50  # of more the sockets alone may be all that tcp_mem allows this host
ROOM = 9_400  # for the others, too
INTERVAL_S = 2
LIMIT_KIB = 64
CAME_TOLERANCE = 1.1
SOCKET_BUFFER = 32 * 1024
OTHERS, OTHERS_REQUESTS = 16, 2000
# A process may have 20,000 descriptors here: two for each client, and few are left for pipes.
DESCRIPTORS_SPARE = 1_500
# HAProxy (2.6.12) without its splicing: with more clients than pipes it was seen to turn in its
# loop for ever, and there are not descriptors enough for both.
TUNING = proxy_sides.Tuning(
    leat=["--max-connections", str(ROOM), "--max-upstream-connections", str(ROOM)],
    connections=ROOM)
PEERS = {proxy_sides.HAPROXY: TUNING, proxy_sides.NGINX: TUNING}
ROWS = [("user space, KiB each", "kib_each", ".1f"), ("resident before, MB", "before_mb", ".1f"),
        ("resident during, MB", "during_mb", ".1f"), ("held, KiB each", "held_kib", ".1f"),
        ("pipes open", "pipes", ".0f"), ("clients took, KiB each", "taken_kib", ".1f"),
        ("upstream sent, KiB each", "sent_kib", ".1f"), ("of that came, KiB", "came_kib", ".1f"),
        ("unread in its sockets, KiB", "unread_kib", ".1f"),
        ("unsent in its sockets, KiB", "unsent_kib", ".1f"),
        ("CPU % meanwhile", "cpu_percent", ".1f"), ("others' p99 us", "others_p99", ".0f"),
        ("errors", "errors", ".0f")]


def number(text, pattern):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def read_sockets(text, proxy_port, origin_port):
    """What ss said of a namespace: bytes that passed the ends of the connections of a proxy."""
    sums = dict.fromkeys(
        ("consumed", "accepted", "sent", "unread", "unsent", "upstreams", "clients"), 0)
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        unread, unsent = int(words[0]), int(words[1])
        local, remote = (int(address.rsplit(":", 1)[1]) for address in words[2:4])
        received = number(line, r"bytes_received:(\d+)") - unread
        written = number(line, r"bytes_acked:(\d+)") + unsent
        if local == origin_port:
            sums["sent"] += written
        elif remote == origin_port:
            sums["upstreams"] += 1
            sums["consumed"] += received
            sums["unread"] += unread
        elif local == proxy_port:
            sums["clients"] += 1
            sums["accepted"] += written
            sums["unsent"] += unsent
    return sums


def sockets(lab, proxy, origin):
    ports = [int(running.address.rsplit(":", 1)[1]) for running in (proxy, origin)]
    done = subprocess.run([lab.tool("ss"), "-tinHO", "state", "established"], capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise laboratory.Fault(f"ss: {done.stderr.strip()}")
    return read_sockets(done.stdout, *ports)


def pipes(running):
    """How many pipes a proxy's processes have."""
    found = set()
    for pid in memory.processes(running):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("pipe:"):
                found.add(target)
    return len(found)


@contextlib.contextmanager
def bounded_sockets():
    """Of the room alone: these settings are a network namespace's own."""
    paths = [Path("/proc/sys/net/ipv4", name) for name in ("tcp_rmem", "tcp_wmem")]
    before = [path.read_text() for path in paths]
    for path in paths:
        path.write_text(f"4096 {SOCKET_BUFFER} {SOCKET_BUFFER}")
    yield
    for path, text in zip(paths, before):
        path.write_text(text)


def missing(seen, count):
    """Clients that are gone, and those who were answered something else than an upstream's."""
    return abs(count - seen["clients"]) + max(0, count - seen["upstreams"])


def measure(lab, options, side, origin, count):
    with proxy_sides.proxy(lab, side, [origin.address]) as running:
        generator.measure(lab, running.address, Load("/1k", 1, requests=50))
        before = memory.settled(running)
        start = time.monotonic()
        with crowds.gather(lab, running, "read", count, "/big", INTERVAL_S) as crowd:
            with lab.costs(running) as cost:
                time.sleep(options.seconds)
            during = memory.resident(running)
            seen = sockets(lab, running, origin)
            open_pipes = pipes(running)
            took_s = time.monotonic() - start
            others = generator.measure(lab, running.address,
                                       Load("/1k", OTHERS, requests=OTHERS_REQUESTS))
    # The crowd went on taking while the others asked: its bytes are of a little later.
    shares = {"taken_kib": crowd["bytes"], "sent_kib": seen["sent"],
              "came_kib": seen["consumed"] + seen["unread"],
              "unread_kib": seen["unread"], "unsent_kib": seen["unsent"],
              "kib_each": during - before,
              "held_kib": seen["consumed"] - seen["accepted"]}
    return {key: value / count / 1024 for key, value in shares.items()} | {
        "before_mb": before / 1e6, "during_mb": during / 1e6, "sockets": seen, "pipes": open_pipes,
        "took_s": took_s, "cpu_percent": cost["cpu_us"] / cost["elapsed_s"] / 1e4,
        "others_p99": others["p99"] or math.inf, "crowd": crowd,
        "errors": others["errors"] + crowd["returned"] + missing(seen, count)}


def judge(lab, figures):
    """Of leat's sides: by the worst round, for memory is not a matter of luck."""
    found = {}
    for name in [name for name in figures if name.startswith("leat-")]:
        most = {key: max(figure[key] for figure in figures[name])
                for key in ("kib_each", "held_kib")}
        met = all(value <= LIMIT_KIB for value in most.values())
        lab.say(f"    {name}: in user space {most['kib_each']:.1f} KiB each at most, held "
                f"{most['held_kib']:.1f}; targets <= {LIMIT_KIB}: {'met' if met else 'NOT MET'}")
        found[name] = most | {"met": met}
    return found




def judge_came(lab, figures):
    """What came from the upstream, against the peer by whom it was more; medians."""
    middle = {name: statistics.median(figure["came_kib"] for figure in rounds)
              for name, rounds in figures.items()}
    peers = [size for name, size in middle.items() if name in PEERS]
    found = {}
    for name in [name for name in figures if name.startswith("leat-") and peers]:
        limit = CAME_TOLERANCE * max(peers)
        met = middle[name] <= limit
        lab.say(f"    {name}: {middle[name]:.0f} KiB came for each; target <= {limit:.0f}: "
                f"{'met' if met else 'NOT MET'}")
        found[name] = {"came_kib": middle[name], "limit_kib": limit, "met": met}
    return found


def compare(lab, options, sides, origin, count, title):
    figures = {name: [] for name, _ in sides}
    for turn in range(options.rounds):
        for name, side in sides:
            lab.note(f"round {turn + 1} of {options.rounds}: {name}")
            figures[name].append(measure(lab, options, side, origin, count))
    lab.note("")
    lab.say(title)
    paired.table(lab, figures, ROWS)
    return figures


def run(lab, options):
    many = options.clients or (SLOW_QUICK if options.quick else SLOW)
    memory.need_descriptors(2 * many + DESCRIPTORS_SPARE)
    proxy_sides.big_file(lab)
    with proxy_sides.origin(lab) as origin:
        sides = proxy_sides.fit(
            lab, proxy_sides.choose(options, TUNING, PEERS), [origin.address],
            [("/1k", "1k.txt")])
    title = f"{many} slow clients of {proxy_sides.BIG_MIB} MiB"
    with bounded_sockets(), proxy_sides.origin(lab) as origin:
        figures = compare(lab, options, sides, origin, many, title)
        results = [proxy_sides.result(title, figures, judge(lab, figures))]
    title = f"{FEW} of them, sockets as the kernel grows them"
    with proxy_sides.origin(lab) as origin:
        figures = compare(lab, options, sides, origin, FEW, title)
        results.append(proxy_sides.result(title, figures, judge_came(lab, figures)))
    return results
