# SPDX-License-Identifier: MIT
"""What a segment of a film costs: CPU time a GB of its 2 s muxed segments, one after the other over
16 connections, against the same bytes as files, which leat and nginx send. The segments are saved
from leat beforehand, and each engine must have made the same. Pacing is off: it would be the
measure. Then each segment once under strace: what user space has read of the film's media, and how
much of what was sent went by sendfile. Reads through io_uring do not show there, so with that
engine the second says more."""
import re
from collections import Counter

from . import films_material, generator, laboratory, large, paired, servers
from .generator import Load

FILMS = (("film-8.mp4", 8000), ("film-4.mp4", 4000))  # kbit/s
SECONDS, SECONDS_QUICK = 60, 6
CONNECTIONS = 16
FILES_TARGET, NGINX_TARGET = 1.10, 1.05
ROWS = [("CPU s/GB", "cpu_s_per_gb", ".4f"), ("GB/s", "gb_per_s", ".2f"),
        ("p99 us", "p99", ".0f"), ("errors", "errors", ".0f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]
INDEX_WINDOW = 64 * 1024  # bytes: an index is read in pieces, which may reach into the media
# Where among its arguments a call says from where it reads.
OFFSETS = {"read": None, "readv": None, "pread64": -1, "preadv": -1, "preadv2": -2, "mmap": -1}


def make(lab, options, name, kbit_per_s):
    seconds = SECONDS_QUICK if options.quick else SECONDS
    with films_material.made(lab, options, name) as path:
        films_material.encode(lab, path, seconds, kbit_per_s, "640x360")


def save(lab, options, name):
    """Writes a film's segments to files beside it. Returns the paths of both, and their bytes."""
    folder = lab.content() / f"{name}.saved"
    folder.mkdir()
    for engine in servers.engines(options):
        server = films_material.server(options, engine, "--pace off")
        with lab.serve(server, lab.content()) as running, \
                films_material.Viewer(running.address) as viewer:
            made = films_material.segments(viewer, name)
            for number, path in enumerate(made):
                body, file = viewer.get(path), folder / f"{number}.m4s"
                if not file.exists():
                    file.write_bytes(body)
                elif file.read_bytes() != body:
                    raise laboratory.Fault(f"{path}: the engines made two of it")
    for file in folder.iterdir():
        films_material.settle(file)
    saved = [f"/{folder.name}/{number}.m4s" for number in range(len(made))]
    return made, saved, sum(file.stat().st_size for file in folder.iterdir())


def measure(lab, options, side):
    server, paths = side
    with lab.serve(server, lab.content()) as running:
        generator.measure(lab, running.address,
                          Load(paths[0], CONNECTIONS, requests=len(paths), then=paths[1:]))
        with lab.costs(running) as cost:
            figures = generator.measure(lab, running.address,
                                        Load(paths[0], CONNECTIONS, options.seconds,
                                             then=paths[1:]))
    return figures | cost | {"gb_per_s": figures["bytes_per_s"] / 1e9,
                             "cpu_s_per_gb": cost["cpu_us"] / 1e6 / (figures["bytes"] / 1e9)}


def whole_calls(trace):
    """The calls of a trace of several threads, as if none had been interrupted by another's."""
    begun = {}
    for line in trace.splitlines():
        pid, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if resumed:
            text = begun.pop(pid, "") + text[resumed.end():]
        yield text


def sending_begins(calls, name):
    """Where in a trace the first of a film's media is sent; before that its index was read."""
    return next((number for number, text in enumerate(calls)
                 if text.startswith("sendfile(") and f"/{name}>" in text), len(calls))


def media_read(calls, name, media):
    """(bytes, looks of one byte) of a film's media that came to user space. `media` has the ranges
    of the film's file where it lies; a read that does not say where it began counts in full."""
    read = looks = 0
    for text in calls:
        call = re.match(r"(\w+)\((.*)\) += (0x\w+|\d+)$", text)
        if call is None or call.group(1) not in OFFSETS or f"/{name}>" not in call.group(2):
            continue
        words = call.group(2).split(", ")
        if call.group(1) == "mmap":
            begin, size = int(words[-1], 0), int(words[1])
        else:
            offset = OFFSETS[call.group(1)]
            begin, size = offset and int(words[offset]), int(call.group(3))
        if size == 1 and "RWF_NOWAIT" in text:
            looks += 1
        elif begin is None:
            read += size
        else:
            read += sum(max(0, min(begin + size, high) - max(begin, low)) for low, high in media)
    return read, looks


def about(calls, name):
    """How often each call was made on the film's file or a connection."""
    return Counter(text.split("(")[0] for text in calls
                   if f"/{name}>" in text or "<socket:[" in text)


def trace(lab, options, engine, name, paths):
    log = lab.directory / f"strace-{engine}"
    film = lab.content() / name
    film.read_bytes()  # where a page is not at hand, leat has it fetched by a read
    wrapper = [lab.tool("strace"), "-f", "-y", "-qq", "-s", "0", "-o", log]
    with lab.serve(films_material.server(options, engine, "--pace off"), lab.content(),
                   wrapper=wrapper) as running:
        figures = generator.measure(lab, running.address,
                                    Load(paths[0], 1, requests=len(paths), then=paths[1:]))
    text = log.read_text()
    media = films_material.mdat_ranges(film)
    calls = list(whole_calls(text))
    begin = sending_begins(calls, name)
    index_read, _ = media_read(calls[:begin], name, media)
    read, looks = media_read(calls[begin:], name, media)
    counts = about(calls[begin:], name)
    result = {"calls": counts, "sent_share": large.read_trace(text)["sent"] / figures["bytes"],
              "media_read": read, "media_read_by_index": index_read, "looks": looks,
              "segments": figures["requests"]}
    result["met"] = read == 0 and index_read <= INDEX_WINDOW \
        and result["sent_share"] >= large.SENDFILE_SHARE_TARGET
    title = f"strace, {name}, engine {engine}"
    lab.say(f"{title}, calls/segment: "
            + ", ".join(f"{call} {count / figures['requests']:.2f}"
                        for call, count in counts.most_common(8)))
    lab.say(f"    read of the media: {read} bytes (target 0), {looks} looks of one byte into the "
            f"page cache; beside its index {index_read} (target <= {INDEX_WINDOW}); by sendfile "
            f"{100 * result['sent_share']:.2f} % of what was sent (target >= 99): "
            f"{'met' if result['met'] else 'NOT MET'}")
    return {"title": title, **result}


def compare(lab, options, name, kbit_per_s):
    make(lab, options, name, kbit_per_s)
    made, saved, size = save(lab, options, name)
    engines = servers.engines(options)
    sides = []
    for engine in engines:
        film = films_material.server(options, engine, "--pace off")
        sides += [(f"film, {engine}", (film, made)), (f"files, {engine}", (film, saved))]
    sides.append(("files, nginx", (servers.Nginx(), saved)))
    figures = paired.interleave(lab, sides, lambda side: measure(lab, options, side),
                                options.rounds)
    title = f"{len(made)} segments of {size / len(made) / 1e6:.2f} MB, {kbit_per_s / 1000:g} Mb/s"
    lab.say(title)
    paired.table(lab, figures, ROWS)
    result = {"title": title, "rounds": figures, "ratios": {}}
    for engine in engines:
        for other, target in ((f"files, {engine}", FILES_TARGET), ("files, nginx", NGINX_TARGET)):
            ratio = paired.verdict(paired.ratios(figures, f"film, {engine}", other,
                                                 "cpu_s_per_gb"), at_most=target)
            paired.tell(lab, f"film, {engine} / {other}: CPU s/GB", ratio)
            result["ratios"][f"film, {engine} / {other}"] = ratio
    errors = sum(figure["errors"] for rounds in figures.values() for figure in rounds)
    result["met"] = errors == 0 and all(ratio["met"] for ratio in result["ratios"].values())
    return made, result


def run(lab, options):
    results = []
    for name, kbit_per_s in FILMS:
        made, result = compare(lab, options, name, kbit_per_s)
        results.append(result)
        results += [trace(lab, options, engine, name, made)
                    for engine in servers.engines(options) if not options.premade]
    return results
