# SPDX-License-Identifier: MIT
"""A camera that films a clock: pictures that show when they were taken, in blocks that are black or
white (camera.js reads them), and a tone; encoded by ffmpeg in real time and pushed to a server.

    camera.py WIDTH HEIGHT FPS     writes pictures to standard output (raw, grey) until it is killed
"""

import os
import subprocess
import sys
import time

BITS = 44  # of milliseconds since 1970
BLOCKS = BITS + 3  # white and black before them, their parity behind

H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
        "-sc_threshold", "0"]
FORMS = {
    "put": ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof",
            "-frag_duration", "200000", "-method", "PUT", "{url}"],
    "hls": ["-f", "hls", "-hls_time", "2", "-hls_flags", "delete_segments", "-method", "PUT",
            "{url}/x.m3u8"],
    "dash": ["-f", "dash", "-ldash", "1", "-streaming", "1", "-seg_duration", "2",
             "-frag_type", "duration", "-frag_duration", "0.2", "-use_template", "1",
             "-use_timeline", "0", "-method", "PUT", "{url}/x.mpd"],
    "rtmp": ["-f", "flv", "{url}"],
}


def row_of(width, now_ms):
    """The pixels of a line: the time, the highest bit first."""
    bits = [now_ms >> bit & 1 for bit in reversed(range(BITS))]
    blocks = [1, 0, *bits, sum(bits) % 2]
    size = width // BLOCKS
    row = b"".join((b"\xeb" if bit else b"\x10") * size for bit in blocks)
    return row + b"\x80" * (width - len(row))


def film(width, height, fps):
    """Noise below the clock, so that pictures cost what those of a camera cost."""
    clock_height = height // 8 // 2 * 2
    noise = [bytes(0x60 + byte // 4 for byte in os.urandom(width // 8)) for _ in range(64)]
    begin = time.monotonic()
    for number in range(10 ** 9):
        time.sleep(max(0, begin + number / fps - time.monotonic()))
        row = row_of(width, time.time_ns() // 1_000_000)
        rest = b"".join(noise[(number + line) % 64] * 8 for line in range(height - clock_height))
        sys.stdout.buffer.write(row * clock_height + rest)
        sys.stdout.buffer.flush()


class Camera:
    """with Camera(url, "put"): it is on the air. `kill` is the end without a goodbye."""

    def __init__(self, url, form="put", *, width=640, height=360, fps=25, gop_s=2, kbit_s=1500,
                 headers="", log=None):
        shape = f"{width}x{height}"
        command = ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-nostdin",
                   "-f", "rawvideo", "-pix_fmt", "gray", "-s", shape, "-r", str(fps), "-i", "-",
                   "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", *H264,
                   "-g", str(gop_s * fps), "-b:v", f"{kbit_s}k", "-maxrate", f"{kbit_s}k",
                   "-bufsize", f"{kbit_s // 2}k", "-c:a", "aac", "-b:a", "96k", "-shortest",
                   *(["-headers", headers] if headers else []),
                   *(part.format(url=url) for part in FORMS[form])]
        self.lens = subprocess.Popen([sys.executable, __file__, str(width), str(height), str(fps)],
                                     stdout=subprocess.PIPE)
        self.encoder = subprocess.Popen(command, stdin=self.lens.stdout, stderr=log)
        self.lens.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """As when somebody ends the broadcast: ffmpeg writes what there is to the end."""
        self.lens.kill()
        self.lens.wait()
        try:
            self.encoder.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        for process in (self.lens, self.encoder):
            process.kill()
            process.wait()


if __name__ == "__main__":
    film(*map(int, sys.argv[1:4]))
