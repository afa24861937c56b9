# SPDX-License-Identifier: MIT
"""What bench/live.py publishes: a film of fragments of 200 ms, as ffmpeg sends a camera's pictures.
Its sound begins with its pictures: ffmpeg's own would begin 21 ms before them (AAC's priming), and
the first pictures would be shown for longer, so that the first parts were no fragments."""
from . import films_material, servers

PICTURES_PER_S, SEGMENT_S, PART_MS = 25, 2, 200
PICTURE_K, SOUND_K = 1904, 96  # bits a second
PRIMING_S = 0.05


def record(lab, path, seconds):
    """x264 fills up to its rate, so that parts do not depend on what they show."""
    rate = f"{PICTURE_K}k"
    films_material.ffmpeg(
        lab, "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={PICTURES_PER_S}",
        "-itsoffset", PRIMING_S, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-t", seconds, "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency",
        "-pix_fmt", "yuv420p", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate,
        "-x264-params", "nal-hrd=cbr", "-g", PICTURES_PER_S * SEGMENT_S,
        "-keyint_min", PICTURES_PER_S * SEGMENT_S, "-sc_threshold", 0,
        "-c:a", "aac", "-ac", 2, "-b:a", f"{SOUND_K}k",
        "-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof",
        "-frag_duration", 1000 * PART_MS, path)


def server(options, engine):
    """leat serve, of one thread."""
    return servers.Server(f"leat {engine}", f"{servers.LEAT} --live on {servers.MANY}", engine,
                          options.leat)
