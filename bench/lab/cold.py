# SPDX-License-Identifier: MIT
"""A slow disk must not hurt those who do not need it. The server's reads are throttled to 2 MB/s
(cgroup v1, blkio); one client asks for a warm 1 KiB file 200 times a second, open loop, so that a
stall counts for every request it delays. Each pair is a round without and a round with a reader of
a film that is cold: its pages dropped, and where permitted its inode too, so that the open is cold
as well. Every round has a fresh server and its own film, for readahead of a killed server may still
be trickling in. Peers: nginx as it comes, and with threads for reading."""
import contextlib
import os
import statistics
import time
from pathlib import Path

from peers import nginx

from . import generator, laboratory, servers
from .generator import Load

DISK_BYTES_PER_S = 2 << 20
RATE = 200
P99_RATIO, P99_EXTRA_US, MAX_US = 1.2, 1000, 10_000


def disk_of(path):
    """MAJ:MIN of the whole disk under a path."""
    device = os.stat(path).st_dev
    node = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not node.exists():
        raise laboratory.Skip(f"{path} is not on a block device; build on a real disk")
    node = node.resolve()
    if (node / "partition").exists():
        node = node.parent
    return (node / "dev").read_text().strip()


def throttle(lab):
    group = laboratory.Group.make("blkio")
    if group is None:
        raise laboratory.Skip("no cgroup v1 blkio controller, which the slow disk needs")
    lab.exits.callback(group.remove)
    try:
        (group.path / "blkio.throttle.read_bps_device").write_text(
            f"{disk_of(lab.directory)} {DISK_BYTES_PER_S}")
    except OSError as error:
        raise laboratory.Skip(f"may not throttle the disk ({error})") from error
    return group


def make_film(lab, number, seconds):
    path = lab.content() / f"film-{number}.bin"
    size = max(16 << 20, int(DISK_BYTES_PER_S * (seconds + 4)))
    with open(path, "wb") as film:
        for _ in range(0, size, 1 << 20):
            film.write(os.urandom(1 << 20))
        film.flush()
        os.fsync(film.fileno())
    return path


def chill(path, cold_open):
    """Drops the film from memory; returns whether its inode went too."""
    film = os.open(path, os.O_RDONLY)
    os.posix_fadvise(film, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(film)
    if not cold_open:
        return False
    with contextlib.suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("2")
        return True
    return False


def measure(lab, options, server, group, film):
    """One round; `film` is None when nobody reads a cold one."""
    with lab.serve(server, lab.content(), groups=[group]) as running:
        generator.measure(lab, running.address, Load("/1k.txt", 1, requests=20))
        reader = None
        dropped = False
        if film is not None:
            dropped = chill(film, not options.warm_open)
            reader = lab.start_client("receive", "-d", str(options.seconds + 0.5),
                                      running.address, f"/{film.name}")
            time.sleep(0.1)
        figures = generator.measure(lab, running.address,
                                    Load("/1k.txt", 1, options.seconds, rate=RATE))
        if reader is not None:
            film_figures = lab.finish_client(reader)
            figures |= {"film_mb_per_s": film_figures["bytes"] / film_figures["secs"] / 1e6,
                        "film_first_byte_ms": film_figures["first_byte_ms"][0],
                        "inode_dropped": dropped}
    if film is not None:
        film.unlink()
    return figures


def judge(pairs):
    """p99 by the median over pairs of what it exceeds its limit by; max by the worst round."""
    over = [cold["p99"] - max(P99_RATIO * calm["p99"], calm["p99"] + P99_EXTRA_US)
            for calm, cold in pairs]
    worst = max(cold["max"] for _, cold in pairs)
    bad = sum(cold["errors"] + cold["unfinished"] for _, cold in pairs)
    # Too fast, and it was not cold; nothing at all, and nobody read it.
    film = statistics.median(cold["film_mb_per_s"] for _, cold in pairs)
    film_met = 0.2 < film < 4
    return {"pairs": len(pairs), "p99_over_limit_us": statistics.median(over),
            "p99_met": statistics.median(over) <= 0, "max_us": worst, "max_met": worst < MAX_US,
            "max_undisturbed_us": max(calm["max"] for calm, _ in pairs),
            "max_median_us": statistics.median(cold["max"] for _, cold in pairs),
            "lost": bad, "film_mb_per_s": film, "film_met": film_met,
            "met": statistics.median(over) <= 0 and worst < MAX_US and bad == 0 and film_met}


def run(lab, options):
    subjects = [(servers.subject(options, engine, servers.LEAT), True)
                for engine in servers.engines(options)]
    if not options.no_peers:
        subjects += [(servers.Nginx("nginx"), False),
                     (servers.Nginx("nginx aio threads",
                                    nginx.OPEN_FILE_CACHE + " aio threads;"), False)]
    group = throttle(lab)
    results = []
    count = 0
    for server, is_subject in subjects:
        pairs = []
        for number in range(options.rounds):
            film = make_film(lab, count, options.seconds)
            count += 1
            order = [None, film] if number % 2 == 0 else [film, None]
            lab.note(f"{server.name}: pair {number + 1} of {options.rounds}")
            pair = {side is not None: measure(lab, options, server, group, side)
                    for side in order}
            pairs.append((pair[False], pair[True]))
        lab.note("")
        result = judge(pairs)
        engine = f", engine {server.engine}" if is_subject else " (peer)"
        title = f"a cold film beside 200 requests/s, {server.name}{engine}"
        lab.say(title)
        for side, label in enumerate(("undisturbed", "beside a cold film")):
            figures = [pair[side] for pair in pairs]
            lab.say(f"    {label:20} p50 {statistics.median(f['p50'] for f in figures):8.0f} us, "
                    f"p99 {statistics.median(f['p99'] for f in figures):8.0f} us, max median "
                    f"{statistics.median(f['max'] for f in figures):8.0f} us, worst "
                    f"{max(f['max'] for f in figures):8.0f} us")
        lab.say(f"    the film came at {result['film_mb_per_s']:.1f} MB/s, first byte after "
                f"{statistics.median(c['film_first_byte_ms'] for _, c in pairs):.1f} ms")
        if not result["film_met"]:
            lab.say("    that is not a film read from a disk of 2 MB/s: these rounds are void")
        if is_subject:
            lab.say(f"    target p99 <= max(1.2 x, + 1 ms): {result['p99_over_limit_us']:+.0f} us "
                    f"({'met' if result['p99_met'] else 'NOT MET'}); max < 10 ms: "
                    f"{'met' if result['max_met'] else 'NOT MET'}")
        results.append({"title": title, "rounds": pairs, "result": result,
                        "met": result["met"] if is_subject else None})
    return results
