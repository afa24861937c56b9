# SPDX-License-Identifier: MIT
"""Films for players, made by ffmpeg: 20 s of moving pictures with a bar at the bottom that tells
the time, and a tone that tells which track it is of; play.js reads both."""

import subprocess

LENGTH_S = 20
RATE = 25
PITCHES_HZ = (330, 440)  # of the first audio track, of the second

X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50",
        "-sc_threshold", "0"]
AAC = ["-c:a", "aac", "-b:a", "96k"]
OPUS = ["-c:a", "libopus", "-b:a", "64k"]

# name: (what ffmpeg is told of the codecs, languages of the audio tracks)
KINDS = {
    "plain": ([*X264, "-bf", "0", *AAC], [""]),
    "b-frames": ([*X264, "-bf", "3", *AAC], [""]),  # an edit list hides their delay
    "two-audio": ([*X264, "-bf", "2", *AAC], ["eng", "deu"]),
    "vp9-opus": (["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50",
                  "-b:v", "600k", *OPUS], [""]),
    "av1-opus": (["-c:v", "libsvtav1", "-preset", "12", "-g", "50", "-crf", "40", *OPUS], [""]),
    "no-audio": ([*X264, "-bf", "3"], []),
}


def source(width, height, length_s, noise=0):
    """Pictures that move, and the bar: it comes in from the left."""
    noisy = f",noise=alls={noise}:allf=t" if noise else ""
    return (f"testsrc2=size={width}x{height}:rate={RATE}:duration={length_s}{noisy},format=yuv420p"
            f"[film];color=black:size={width}x8:rate={RATE}:duration={length_s}[black];"
            f"color=white:size={width}x8:rate={RATE}:duration={length_s}[white];"
            f"[black][white]overlay=x=-W+W*t/{length_s}[bar];[film][bar]overlay=y=H-8[out]")


def run(command):
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *command],
                   check=True, timeout=300)


def make(path, kind, width=640, height=180, length_s=LENGTH_S):
    codecs, languages = KINDS[kind]
    inputs, maps = [], ["-map", "[out]"]
    for number, language in enumerate(languages):
        inputs += ["-f", "lavfi", "-i",
                    f"sine=frequency={PITCHES_HZ[number]}:sample_rate=48000:duration={length_s}"]
        maps += ["-map", f"{number}:a", f"-metadata:s:a:{number}", f"language={language or 'und'}"]
    run(["-filter_complex", source(width, height, length_s), *inputs, *maps, *codecs, "-ac", "2",
         "-movflags", "+faststart", str(path)])


def make_rung(path, height, rate_k, length_s, noise=20):
    """A rung of a ladder, at a constant rate: noise fills it. The keyframes of all rungs align."""
    run(["-filter_complex", source(height * 16 // 9, height, length_s, noise),
         "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={length_s}",
         "-map", "[out]", "-map", "0:a", *X264[:2], "-preset", "ultrafast", *X264[4:], "-bf", "0",
         "-b:v", f"{rate_k}k", "-minrate", f"{rate_k}k", "-maxrate", f"{rate_k}k",
         "-bufsize", f"{rate_k}k", *AAC, "-ac", "2", "-movflags", "+faststart", str(path)])
