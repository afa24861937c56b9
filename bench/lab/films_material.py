# SPDX-License-Identifier: MIT
"""The films that bench/films.py measures, made by ffmpeg: pictures and sound out of nothing, at a
constant rate, cut every 2 s, interleaved packet by packet as ffmpeg does it by itself. A long film
is a short one over and over. And what a player sees of a film: its playlists and segments.

With --premade a film's place is taken by a folder of the same name, with the segments that ffmpeg
makes of it as plain files: then nothing is packaged, and the figures are those of the measurement
itself. Everything lies in the laboratory's folder and goes with it."""
import contextlib
import http.client
import os
import shutil
import socket
import time

from . import laboratory, servers

SEGMENT_S = 2
PICTURES_PER_S = 30
LIMIT_S = 30


def need_space(lab, size):
    free = shutil.disk_usage(lab.directory).free
    if free < size * 1.2:
        raise laboratory.Skip(f"needs {size / 1e9:.1f} GB below {lab.directory.parent}; "
                              f"{free / 1e9:.1f} GB are free")


def ffmpeg(lab, *arguments):
    lab.command("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
                *[str(argument) for argument in arguments])


def encode(lab, path, seconds, kbit_per_s, picture="320x180"):
    """x264 fills up to its rate, so that a film's size does not depend on what it shows."""
    sound = 64 if kbit_per_s < 500 else 96
    rate = f"{kbit_per_s - sound}k"
    ffmpeg(lab, "-f", "lavfi", "-i", f"testsrc2=size={picture}:rate={PICTURES_PER_S}",
           "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", seconds,
           "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", rate,
           "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr",
           "-g", PICTURES_PER_S * SEGMENT_S, "-keyint_min", PICTURES_PER_S * SEGMENT_S,
           "-sc_threshold", 0, "-c:a", "aac", "-ac", 2, "-b:a", f"{sound}k", path)
    settle(path)


def repeat(lab, piece, times, path):
    """The same film so many times in a row, nothing encoded again."""
    listed = lab.directory / "pieces.ffconcat"
    listed.write_text("ffconcat version 1.0\n" + f"file '{piece}'\n" * times)
    ffmpeg(lab, "-f", "concat", "-safe", 0, "-i", listed, "-map", 0, "-c", "copy", path)
    settle(path)


WRITTEN_AT_ONCE = 1 << 20


def settle(path):
    """Written anew, a MiB at a time, and on the disk: pages lie in the page cache in the pieces in
    which they came there, and sending small ones costs half as much again. So a film, which
    ffmpeg writes in small pieces, and the files that it is held against are on one footing."""
    anew = path.with_name(path.name + ".anew")
    with open(path, "rb") as file, open(anew, "wb", buffering=0) as out:
        while piece := file.read(WRITTEN_AT_ONCE):
            out.write(piece)
        os.fsync(out.fileno())
    anew.replace(path)


def cut(lab, film, folder):
    """As leat lays out a film's muxed stream, in files."""
    stream = folder / "muxed"
    stream.mkdir(parents=True)
    ffmpeg(lab, "-i", film, "-c", "copy", "-f", "hls", "-hls_time", SEGMENT_S,
           "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
           "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", stream / "%d.m4s",
           stream / "index.m3u8")
    (folder / "master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\n"
                                        "muxed/index.m3u8\n")


@contextlib.contextmanager
def made(lab, options, name):
    """Inside, a film is made at the path given; then it is in the content as /`name`."""
    place = lab.content() / name
    path = lab.directory / name if options.premade else place
    yield path
    if options.premade:
        cut(lab, path, place)
        path.unlink()


def server(options, engine, flags=""):
    """leat serve, of one thread; `flags` are those of films."""
    template = servers.LEAT + ("" if options.premade else f" {flags}")
    return servers.Server(f"leat {engine}", template, engine, options.leat)


# -- what a player sees


class Viewer:
    """One connection, and a request at a time. http.client takes longer than the server does."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address = address
        self.socket = socket.create_connection((host, int(port)), LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def get(self, path):
        """The body, which must come with status 200."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.address}\r\n\r\n".encode())
        response = http.client.HTTPResponse(self.socket, method="GET")
        try:
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise laboratory.Fault(f"{path}: {error or type(error).__name__}") from error
        if response.status != 200:
            text = body.decode(errors="replace").strip()[:200]
            raise laboratory.Fault(f"{path}: {response.status} {text}")
        return body

    def timed(self, path):
        """(the body, ms)"""
        start = time.perf_counter()
        body = self.get(path)
        return body, (time.perf_counter() - start) * 1e3


def uris(playlist):
    """The segments of a media playlist (RFC 8216), as they stand there."""
    return [line for line in playlist.decode().splitlines() if line and not line.startswith("#")]


def segments(viewer, name):
    """The paths of a film's muxed segments."""
    found = [f"/{name}/muxed/{uri}" for uri in uris(viewer.get(f"/{name}/muxed/index.m3u8"))]
    if not found:
        raise laboratory.Fault(f"/{name}: no segments")
    return found


def mdat_ranges(path):
    """Where the media lies in a film's file: (begin, end) of what its mdat boxes hold."""
    found = []
    with open(path, "rb") as film:
        at, end = 0, os.fstat(film.fileno()).st_size
        while at < end:
            film.seek(at)
            head = film.read(16)
            size, header = int.from_bytes(head[:4], "big"), 8
            if size == 1:
                size, header = int.from_bytes(head[8:16], "big"), 16
            size = size or end - at
            if size < header:
                raise laboratory.Fault(f"{path}: no box at {at}")
            if head[4:8] == b"mdat":
                found.append((at + header, at + size))
            at += size
    return found
