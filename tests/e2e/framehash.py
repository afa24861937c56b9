# SPDX-License-Identifier: MIT
"""What ffmpeg makes of a film: its packets, the hash of every decoded picture and of the sound, and
what it complains of. It is the judge of the tests of streams: what it sees in a film, it must see
in the streams that are made of it.

How ffmpeg (5.1) treats edit lists, which is not the same on either side:
- In a film with its samples in moov it obeys them: pictures and sound before the edit are decoded
  but not shown (flag D of the packet, or a number of samples to be skipped), and what lies behind
  the edit's end is left out. `-ignore_editlist 1` gives the samples as they lie there.
- An edit that begins within a picture shows the next one at 0, up to a picture too early.
- In fragments it only moves the times: media_time is subtracted, and pictures and sound before the
  edit come out with a time below 0.
- Sound to be skipped at the beginning of AAC (priming) and Opus (pre-skip) is cut off by it in the
  first case, and for Opus in the second too; `-flags2 +skip_manual` leaves all of it.
So decoded pictures are compared from time 0 on, and decoded sound without any skipping, where each
packet gives one frame; that the right sound is skipped follows from the times of the packets."""

import collections
import fractions
import subprocess

FFMPEG_S = 120  # for one run; a film of the tests takes a second

Packet = collections.namedtuple("Packet", "position size pts dts is_key is_shown")
Frame = collections.namedtuple("Frame", "time hash")


def run(command):
    """Status, output and complaints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=FFMPEG_S, check=False)
    return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if line]


class Track:
    """A track as ffprobe reads it; times are seconds, exactly."""

    def __init__(self, index, kind, codec, timescale):
        self.index, self.kind, self.codec, self.timescale = index, kind, codec, timescale
        self.packets = []


def probe_tracks(path, *options):
    """The tracks of sound and moving pictures. A packet's position is its place in the file."""
    status, text, _ = run(["ffprobe", "-v", "error", *options, "-show_entries",
                           "stream=index,codec_type,codec_name,time_base:packet=stream_index,pts,"
                           "dts,size,pos,flags:stream_disposition=attached_pic",
                           "-of", "compact", str(path)])
    assert status == 0, f"ffprobe cannot read {path}"
    tracks = {}
    packets = []
    for section, *fields in (line.split("|") for line in text.splitlines()):
        values = dict(field.split("=", 1) for field in fields if "=" in field)
        if section == "packet":
            packets.append(values)
        elif section == "stream" and values["codec_type"] in ("video", "audio") \
                and values.get("disposition:attached_pic", "0") == "0":
            numerator, denominator = values["time_base"].split("/")
            assert numerator == "1"
            tracks[values["index"]] = Track(int(values["index"]), values["codec_type"],
                                            values.get("codec_name", "?"), int(denominator))
    for values in packets:
        track = tracks.get(values["stream_index"])
        if track:
            pts, dts = (None if values[name] == "N/A"
                        else fractions.Fraction(int(values[name]), track.timescale)
                        for name in ("pts", "dts"))
            flags = values["flags"]
            track.packets.append(Packet(int(values["pos"]), int(values["size"]), pts, dts,
                                        "K" in flags, "D" not in flags))
    return list(tracks.values())


class Decoded:
    """What came out of the decoders: for each track its frames as they are presented."""

    def __init__(self, status, text, complaints):
        self.status, self.complaints = status, complaints
        self.tracks = {}
        bases = {}
        for line in text.splitlines():
            if line.startswith("#tb "):
                number, base = line[4:].split(": ")
                bases[number] = fractions.Fraction(base)
                self.tracks[number] = []
            elif line and not line.startswith("#"):
                number, _, pts, _, _, value = (part.strip() for part in line.split(","))
                self.tracks[number].append(Frame(int(pts) * bases[number], value))
        for frames in self.tracks.values():
            frames.sort(key=lambda frame: frame.time)

    @property
    def frames(self):
        """Of the only track there is, or none."""
        assert len(self.tracks) <= 1
        return next(iter(self.tracks.values()), [])


def decode(source, *, maps=("0:v:0?",), options=(), is_strict=True):
    """Decodes to the end; with is_strict the first error ends it and makes the status not 0."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "warning"]
    command += ["-xerror"] if is_strict else []
    command += ["-copyts", *options, "-i", str(source)]
    for selection in maps:
        command += ["-map", selection]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framemd5", "-"]
    return Decoded(*run(command))


def decode_sound(source, index=0, *, options=(), is_strict=True):
    """A track of sound, nothing skipped: a frame for each packet."""
    return decode(source, maps=[f"0:a:{index}"], options=["-flags2", "+skip_manual", *options],
                  is_strict=is_strict)
