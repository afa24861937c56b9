# SPDX-License-Identifier: MIT
"""Fragmented MP4 as no encoder makes it: any times, any sizes, any samples. Its pictures are noise,
which nobody looks at here."""

import functools
import socket
import struct
import subprocess

from film_boxes import Box, parse

VIDEO, AUDIO = 1, 2
SYNC, NO_SYNC = 0x02000000, 0x01010000


@functools.cache
def _encoded(size, has_audio):
    audio = ["-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:a", "aac"] if has_audio else []
    return subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={size}",
         *audio, "-t", "0.2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
         "-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-"],
        check=True, capture_output=True, timeout=60).stdout


def init(timescale=1000, tracks=(VIDEO,), size="160x90", audio_timescale=48000):
    """An init segment: of H.264, of AAC or of both."""
    boxes = parse(_encoded(size, AUDIO in tracks))
    kept = [box for box in boxes if box.kind in (b"ftyp", b"moov")]
    moov = kept[1]
    traks = [box for box in moov.boxes if box.kind == b"trak"]
    for trak, kind in zip(traks, (VIDEO, AUDIO)):
        mdhd = trak.find("mdia/mdhd")
        scale = timescale if kind == VIDEO else audio_timescale
        mdhd.data = mdhd.data[:12] + struct.pack(">I", scale) + mdhd.data[16:]
        if kind not in tracks:
            moov.boxes = [box for box in moov.boxes if box is not trak]
    return b"".join(bytes(box) for box in kept)


def fragment(dts, samples, track=VIDEO, data=None):
    """Samples are (duration, size, is_sync, cto)."""
    runs = b"".join(struct.pack(">IIIi", duration, size, SYNC if is_sync else NO_SYNC, cto)
                    for duration, size, is_sync, cto in samples)
    total = sum(size for _, size, _, _ in samples)

    def moof(offset):
        return bytes(Box(b"moof", boxes=[
            Box(b"mfhd", struct.pack(">II", 0, 1)),
            Box(b"traf", boxes=[
                Box(b"tfhd", struct.pack(">II", 0x020000, track)),
                Box(b"tfdt", struct.pack(">IQ", 0x01000000, dts)),
                Box(b"trun", struct.pack(">IIi", 0x01000f01, len(samples), offset) + runs)])]))
    head = moof(len(moof(0)) + 8)
    return head + struct.pack(">I4s", 8 + total, b"mdat") + (data or b"\x5a" * total)


def picture(duration=40, size=100, is_sync=True, cto=0):
    return duration, size, is_sync, cto


class Push:
    """A PUT in chunks that is in the sender's hands."""

    def __init__(self, server, path="/live/cam", fields="", method="PUT"):
        self.socket = socket.create_connection(server.address, 10)
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                            f"{fields}\r\n".encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")

    def end(self):
        """(status, text) of the answer."""
        self.socket.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self, timeout_s=10):
        self.socket.settimeout(timeout_s)
        data = b""
        while b"\r\n\r\n" not in data and (piece := self.socket.recv(65536)):
            data += piece
        return int(data.split(None, 2)[1]), data.partition(b"\r\n\r\n")[2]
