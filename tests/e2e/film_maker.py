# SPDX-License-Identifier: MIT
"""Films for tests: what ffmpeg makes in all the ways that matter to streaming, and what is broken.

`make(**options)` encodes a small film, once a session for the same options, into a folder that goes
with the process. Do not write to what it returns: copy it. `BAD` has a function for each way in
which a film can be wrong. Pictures are ffmpeg's testsrc2, where each frame differs from all others;
sound is a sine, whose pitch tells the tracks apart."""

import atexit
import dataclasses
import fractions
import pathlib
import shutil
import struct
import subprocess
import tempfile

import film_boxes
from film_boxes import Box, Movie

VIDEO_ENCODERS = {
    "h264": ["libx264", "-preset", "superfast"],
    "hevc": ["libx265", "-preset", "ultrafast", "-tag:v", "hvc1"],
    "av1": ["libsvtav1", "-preset", "10"],
    "vp9": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
}
AUDIO_ENCODERS = {"h264": "aac", "hevc": "aac", "av1": "libopus", "vp9": "libopus"}
PITCHES_HZ = (440, 660, 880)
ENCODE_S = 120  # a machine that is busy takes its time


@dataclasses.dataclass(frozen=True)
class Options:
    """What make() takes. An option that is not given is the plainest there is."""
    codec: str = "h264"        # h264, hevc (both with AAC), av1, vp9 (with Opus)
    bframes: int = 0           # h264 and hevc
    open_gop: bool = False     # h264 and hevc; makes sense with B-frames
    fps: str = "25"            # "30000/1001"; "vfr": 30 with gaps
    seconds: float = 10
    gop_s: float = 2           # from one keyframe to the next
    size: str = "320x180"
    video_bits: int = 400_000  # a second
    audio_bits: int = 64_000
    audio: int = 1             # tracks: 0, 1, 2, 3
    languages: tuple = ("eng", "deu", "fra")
    audio_late_s: float = 0    # the sound begins so much later
    video: bool = True
    faststart: bool = True     # moov first
    interleave_s: float = 0    # chunks of so much of each track in turn; 0: ffmpeg's own
    edit_s: float = 0          # this much cut off at the beginning, without encoding: an edit list
    fragmented: bool = False   # moofs, one a keyframe


_folder = None


def folder():
    """Where the films of this process are."""
    global _folder
    if _folder is None:
        _folder = pathlib.Path(tempfile.mkdtemp(prefix="leat-films-"))
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    return _folder


def run_ffmpeg(*arguments):
    result = subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
                             *map(str, arguments)], capture_output=True, text=True,
                            timeout=ENCODE_S, check=False)
    assert result.returncode == 0, (arguments, result.stderr)


def make(**options):
    """The path of a film with these Options."""
    wanted = Options(**options)
    return _once(_name(wanted), lambda path: _make(wanted, path))


def _once(name, write):
    """A file of the session, written when it is first asked for; never seen half written."""
    path = folder() / name
    if not path.exists():
        part = folder() / f"part-{name}"
        write(part)
        part.rename(path)
    return path


def _name(wanted):
    """Says in a listing what is special about it."""
    words = []
    for field in dataclasses.fields(wanted):
        value = getattr(wanted, field.name)
        if value != field.default:
            text = "+".join(value) if isinstance(value, tuple) else str(value)
            words.append(f"{field.name}={text}".replace("/", ":"))
    return "_".join(words or ["plain"]) + ".mp4"


def _make(wanted, path):
    if wanted.interleave_s:
        plain = make(**{**dataclasses.asdict(wanted), "interleave_s": 0})
        return film_boxes.interleave(plain, path, wanted.interleave_s, wanted.faststart)
    flags = ["faststart"] if wanted.faststart else []
    if wanted.fragmented:
        flags = ["frag_keyframe", "empty_moov", "default_base_moof"]
    output = ["-movflags", "+".join(flags)] if flags else []
    if wanted.edit_s:
        longer = make(**{**dataclasses.asdict(wanted), "edit_s": 0,
                         "seconds": wanted.seconds + wanted.edit_s})
        return run_ffmpeg("-ss", wanted.edit_s, "-i", longer, "-map", "0", "-c", "copy", *output,
                          path)
    return run_ffmpeg(*_inputs(wanted), *_video(wanted), *_audio(wanted), "-t", wanted.seconds,
                      "-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1",
                      *output, path)


def _inputs(wanted):
    rate = "30" if wanted.fps == "vfr" else wanted.fps
    sources = []
    if wanted.video:
        sources += ["-f", "lavfi", "-i", f"testsrc2=size={wanted.size}:rate={rate}"]
    for track in range(wanted.audio):
        sources += ["-itsoffset", wanted.audio_late_s] if wanted.audio_late_s else []
        sources += ["-f", "lavfi", "-i", f"sine=frequency={PITCHES_HZ[track]}:sample_rate=48000"]
    for stream in range(len([word for word in sources if word == "-i"])):
        sources += ["-map", str(stream)]
    return sources


def _video(wanted):
    if not wanted.video:
        return []
    rate = fractions.Fraction(30 if wanted.fps == "vfr" else wanted.fps)
    distance = round(wanted.gop_s * rate)
    options = ["-c:v", *VIDEO_ENCODERS[wanted.codec], "-pix_fmt", "yuv420p",
               "-b:v", str(wanted.video_bits)]
    if wanted.fps == "vfr":  # frames are missing: keyframes by time, not by number
        options += ["-vf", "select=not(eq(mod(n\\,7)\\,3))*not(eq(mod(n\\,11)\\,5))",
                    "-fps_mode", "vfr", "-force_key_frames", f"expr:gte(t,n_forced*{wanted.gop_s})"]
        distance = 1000
    if wanted.codec in ("h264", "hevc"):
        name = "x264-params" if wanted.codec == "h264" else "x265-params"
        words = [f"keyint={distance}", "scenecut=0", f"open-gop={int(wanted.open_gop)}",
                 f"bframes={wanted.bframes}", "b-adapt=0"]
        words += ["log-level=error"] if wanted.codec == "hevc" else []
        words += [] if wanted.fps == "vfr" else [f"min-keyint={distance}"]
        return [*options, f"-{name}", ":".join(words)]
    return [*options, "-g", str(distance)]


def _audio(wanted):
    if not wanted.audio:
        return []
    options = ["-c:a", AUDIO_ENCODERS[wanted.codec], "-b:a", str(wanted.audio_bits)]
    for track in range(wanted.audio):
        options += [f"-metadata:s:a:{track}", f"language={wanted.languages[track]}"]
    return options


# ----------------------------------------------------------------- large and long, without encoding


def make_large(hole_size=5 << 30, **options):
    """A film of more than 4 GiB: a sparse file with moov at its end, 64-bit mdat and co64, whose
    media lies half before and half behind a hole."""
    plain = make(**options)
    return _once(f"large-{hole_size}-{plain.name}",
                 lambda path: film_boxes.spread(plain, path, hole_size))


def make_long(hours=10, **options):
    """A film of so many hours with an index as large as that of a real one: 25 pictures and 47
    pieces of sound a second. Its media is there for the first 10 s; then there are holes, which
    decode to nothing."""
    period_s = 10.24  # 256 pictures and 480 pieces of AAC: the tracks stay together
    plain = make(**{"seconds": period_s, "gop_s": 1.28, **options})
    times = round(hours * 3600 / period_s)
    return _once(f"long-{hours}-{plain.name}",
                 lambda path: film_boxes.lengthen(plain, path, times))


# ------------------------------------------------------------------------------------------ broken


def _cut(size):
    """A film that ends after so many bytes."""
    def write(path):
        path.write_bytes(make(seconds=4).read_bytes()[:size])
    return write


def _cut_in(kind, moov_first):
    """A film that ends in the middle of a box at the top."""
    def write(path):
        film = make(seconds=4, faststart=moov_first)
        begin, size = next((begin, size) for name, begin, _, size in film_boxes.top_boxes(film)
                           if name == kind)
        path.write_bytes(film.read_bytes()[:begin + size // 2])
    return write


def _without_moov(path):
    film = make(seconds=4)
    data = film.read_bytes()
    path.write_bytes(b"".join(data[begin:begin + size]
                              for kind, begin, _, size in film_boxes.top_boxes(film)
                              if kind != b"moov"))


def _encrypted(path):
    run_ffmpeg("-i", make(seconds=4), "-c", "copy", "-encryption_scheme", "cenc-aes-ctr",
               "-encryption_key", "00112233445566778899aabbccddeeff",
               "-encryption_kid", "112233445566778899aabbccddeeff00", path)


def _without_samples(path):
    """An init segment alone."""
    film = make(seconds=4, fragmented=True)
    end = next(begin for kind, begin, _, _ in film_boxes.top_boxes(film) if kind == b"moof")
    path.write_bytes(film.read_bytes()[:end])


def _broken_table(change, **options):
    """A film in whose video's sample table `change(stbl)` has been at work."""
    def write(path):
        film = make(**{"seconds": 4, "bframes": 2, "faststart": False, **options})
        movie = Movie(film)
        change(movie.tracks[0].stbl)
        end = next(begin for kind, begin, _, _ in film_boxes.top_boxes(film) if kind == b"moov")
        path.write_bytes(movie.data[:end] + bytes(movie.moov))
    return write


def _no_duration(stbl):
    stbl.find("stts").set_table("II", [(count, 0) for count, _ in stbl.find("stts").table("II")])


def _four_billion(sample_size):
    def change(stbl):
        stsz = stbl.find("stsz")
        stsz.data = struct.pack(">III", 0, sample_size, 0xffffffff) + stsz.data[12:]
    return change


def _overstated(name):
    """A table that says it has more entries than there is room for."""
    def change(stbl):
        box = stbl.find(name)
        box.data = box.data[:4] + struct.pack(">I", 0x7fffffff) + box.data[8:]
    return change


def _replaced(name, entry, rows):
    return lambda stbl: stbl.find(name).set_table(entry, rows)


def _removed(name):
    return lambda stbl: stbl.remove(name)


def _wild_offsets(stbl):
    """Pictures that are shown hours before and after their time."""
    count = len(stbl.find("stsz").data) // 4 - 3
    stbl.find("ctts").data = b"\x01" + bytes(3)
    stbl.find("ctts").set_table("Ii", [(1, 0x7fffffff if sample % 2 else -0x7fffffff)
                                       for sample in range(count)])


def _nested(path):
    """Boxes in boxes, ten thousand deep: for who recurses."""
    film = Movie(make(seconds=4))
    box = bytes(film.moov)
    for _ in range(10_000):
        box = bytes(Box(b"moov", box))
    path.write_bytes(bytes(film.ftyp) + box)


def _text(path):
    path.write_text("This is a text, and no film.\n" * 100)


def _zeros(path):
    path.write_bytes(bytes(100_000))


def _tiny_box(path):
    """A box that is smaller than its own header: for who does not come to an end."""
    path.write_bytes(bytes(Movie(make(seconds=4)).ftyp) + struct.pack(">I4s", 4, b"moov") * 1000)


def _endless_box(path):
    """A box of nearly 2^64 bytes: for who adds."""
    path.write_bytes(bytes(Movie(make(seconds=4)).ftyp)
                     + struct.pack(">I4sQ", 1, b"moov", 0xfffffffffffffff0) + bytes(1000))


# name: what writes it to a path. None of them may be streamed, and none may do harm.
BAD = {
    "empty": lambda path: path.write_bytes(b""),
    "folder": lambda path: path.mkdir(),
    "text": _text,
    "zeros": _zeros,
    "cut-in-ftyp": _cut(6),
    "cut-behind-ftyp": _cut(40),
    "cut-in-moov": _cut_in(b"moov", moov_first=True),
    "cut-in-moov-at-the-end": _cut_in(b"moov", moov_first=False),
    "cut-in-mdat": _cut_in(b"mdat", moov_first=True),
    "cut-in-mdat-before-moov": _cut_in(b"mdat", moov_first=False),
    "no-moov": _without_moov,
    "no-samples": _without_samples,
    "no-duration": _broken_table(_no_duration, audio=0, bframes=0),
    "no-duration-of-its-video": _broken_table(_no_duration),
    "no-sync-samples": _broken_table(_replaced("stss", "I", [])),
    "encrypted": _encrypted,
    "four-billion-samples": _broken_table(_four_billion(0)),
    "four-billion-samples-of-a-byte": _broken_table(_four_billion(1)),
    "stsc-descends": _broken_table(_replaced("stsc", "III", [(7, 1, 1), (3, 1, 1), (1, 2, 1)])),
    "stsc-of-none": _broken_table(_replaced("stsc", "III", [(1, 0, 1)])),
    "stts-is-empty": _broken_table(_replaced("stts", "II", [])),
    "stts-of-count-0": _broken_table(_replaced("stts", "II", [(0, 512)])),
    "stts-is-overstated": _broken_table(_overstated("stts")),
    "stsc-is-overstated": _broken_table(_overstated("stsc")),
    "stco-is-overstated": _broken_table(_overstated("stco")),
    "stss-is-overstated": _broken_table(_overstated("stss")),
    "stco-behind-the-end": _broken_table(
        lambda stbl: stbl.find("stco").set_table("I", [(0xfffffff0,)] * len(
            stbl.find("stco").table("I")))),
    "no-stsz": _broken_table(_removed("stsz")),
    "no-stsd": _broken_table(_removed("stsd")),
    "no-stco": _broken_table(_removed("stco")),
    "nested": _nested,
    "tiny-box": _tiny_box,
    "endless-box": _endless_box,
}

# What is wrong without being damaged: it may be streamed as well as it goes, or refused.
ODD = {
    "stss-descends": _broken_table(_replaced("stss", "I", [(51,), (1,)])),
    "stss-of-one": _broken_table(_replaced("stss", "I", [(51,)])),
    "no-ctts": _broken_table(_removed("ctts")),
    "ctts-is-wild": _broken_table(_wild_offsets),
}


def make_bad(name):
    """The path of a film that is wrong in this way, one of BAD or ODD."""
    return _once(f"bad-{name}.mp4", {**BAD, **ODD}[name])
