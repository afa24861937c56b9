# SPDX-License-Identifier: MIT
"""Reads init and media segments as strictly as no player does: each box must fill its parent, each
sample must lie in the mdat of its own segment, and no byte may belong to two samples (ISO/IEC
14496-12, section 8.8). A violation is an AssertionError that says where."""

import collections
import fractions
import struct

CONTAINERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof",
              b"traf"}
SAMPLE_IS_NON_SYNC = 0x10000
TRUN_DATA_OFFSET, TRUN_FIRST_FLAGS = 0x1, 0x4
TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_CTO = 0x100, 0x200, 0x400, 0x800
TFHD_BASE, TFHD_ENTRY, TFHD_DURATION, TFHD_SIZE, TFHD_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
TFHD_EMPTY, TFHD_BASE_IS_MOOF = 0x10000, 0x20000

# Times in seconds, exactly: `time` is when it is presented, on the film's own clock.
Sample = collections.namedtuple("Sample", "offset size dts time duration is_sync is_run_start")


class Box:
    """A box and, for those that are known to have them, its children."""

    def __init__(self, data, kind, start, body, end):
        self.data, self.kind, self.start, self.body, self.end = data, kind, start, body, end
        self.children = walk(data, body, end) if kind in CONTAINERS else []

    def all(self, *path):
        found = [child for child in self.children if child.kind == path[0]]
        return found if len(path) == 1 else [box for one in found for box in one.all(*path[1:])]

    def one(self, *path):
        found = self.all(*path)
        assert len(found) == 1, f"{path} is there {len(found)} times"
        return found[0]

    def unpack(self, form, at=0):
        assert self.body + at + struct.calcsize(form) <= self.end, f"{self.kind} is too short"
        return struct.unpack_from(form, self.data, self.body + at)

    @property
    def version(self):
        return self.data[self.body]

    @property
    def flags(self):
        return self.unpack(">I")[0] & 0xffffff

    @property
    def payload(self):
        return self.data[self.body:self.end]


def walk(data, start=0, end=None):
    """The boxes that fill data[start:end], to the byte."""
    end = len(data) if end is None else end
    boxes = []
    while start < end:
        assert start + 8 <= end, f"{end - start} bytes at {start} are no box"
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            assert start + 16 <= end
            size, = struct.unpack_from(">Q", data, start + 8)
            head = 16
        assert size >= head, f"{kind} at {start} says it has {size} bytes"
        assert start + size <= end, f"{kind} at {start} ends behind its parent"
        boxes.append(Box(data, kind, start, start + head, start + size))
        start += size
    return boxes


class InitTrack:
    """A track of an init segment."""

    def __init__(self, trak):
        tkhd, mdhd = trak.one(b"tkhd"), trak.one(b"mdia", b"mdhd")
        self.id, = tkhd.unpack(">I", 20 if tkhd.version else 12)
        self.timescale, = mdhd.unpack(">I", 20 if mdhd.version else 12)
        assert self.id and self.timescale
        self.kind = {b"vide": "video", b"soun": "audio"}[trak.one(b"mdia", b"hdlr").payload[8:12]]
        self.media_time = self._media_time(trak)
        self.looks = looks_of(trak)
        stbl = trak.one(b"mdia", b"minf", b"stbl")
        for kind in (b"stts", b"stsc", b"stco"):
            assert stbl.one(kind).unpack(">I", 4) == (0,), f"{kind} of an init segment has entries"
        assert stbl.one(b"stsz").unpack(">I", 8) == (0,)

    @staticmethod
    def _media_time(trak):
        if not trak.all(b"edts"):
            return 0
        elst = trak.one(b"edts", b"elst")
        assert elst.unpack(">I", 4) == (1,), "an init segment's edit list has one entry"
        form = ">QqI" if elst.version else ">IiI"
        duration, media_time, rate = elst.unpack(form, 8)
        assert elst.body + 8 + struct.calcsize(form) == elst.end
        assert duration == 0, "the edit of a stream lasts to its end"
        assert media_time >= 0 and rate == 0x10000
        return media_time


class Init:
    """An init segment: ftyp and moov with tracks that have no samples."""

    def __init__(self, data):
        boxes = walk(data)
        assert [box.kind for box in boxes] == [b"ftyp", b"moov"], boxes
        ftyp, moov = boxes
        brands = {ftyp.payload[at:at + 4] for at in range(0, len(ftyp.payload), 4) if at != 4}
        assert b"cmfc" not in brands, "the segments do not keep CMAF's rules"
        self.tracks = [InitTrack(trak) for trak in moov.all(b"trak")]
        self.by_id = {track.id: track for track in self.tracks}
        assert len(self.by_id) == len(self.tracks) >= 1
        self.defaults = {}  # of trex: entry, duration, size, flags
        for trex in moov.all(b"mvex", b"trex"):
            number, *values = trex.unpack(">IIIII", 4)
            self.defaults[number] = values
        assert set(self.defaults) == set(self.by_id), "each track has its trex"


class Segment:
    """A media segment: one moof and one mdat."""

    def __init__(self, init, data):
        self.data = data
        boxes = walk(data)
        assert [box.kind for box in boxes] == [b"moof", b"mdat"], [box.kind for box in boxes]
        self.moof, self.mdat = boxes
        assert self.moof.start == 0
        self.sequence, = self.moof.one(b"mfhd").unpack(">I", 4)
        self.samples = {}  # of a track's id
        for traf in self.moof.all(b"traf"):
            number, samples = self._read_traf(init, traf)
            assert number not in self.samples, f"track {number} has two traf"
            self.samples[number] = samples
        self._check_places()

    def _read_traf(self, init, traf):
        tfhd, tfdt = traf.one(b"tfhd"), traf.one(b"tfdt")
        flags = tfhd.flags
        assert flags & TFHD_BASE_IS_MOOF and not flags & (TFHD_BASE | TFHD_EMPTY)
        number, = tfhd.unpack(">I", 4)
        track = init.by_id[number]
        defaults = list(init.defaults[number])
        at = 8
        for index, flag in enumerate((TFHD_ENTRY, TFHD_DURATION, TFHD_SIZE, TFHD_FLAGS)):
            if flags & flag:
                defaults[index], = tfhd.unpack(">I", at)
                at += 4
        assert tfhd.body + at == tfhd.end
        dts, = tfdt.unpack(">Q" if tfdt.version else ">I", 4)
        assert dts < 1 << 62, "a decoding time below 0"
        samples = []
        for trun in traf.all(b"trun"):
            dts = self._read_trun(track, trun, defaults, dts, samples)
        kinds = [box.kind for box in traf.children]
        assert kinds[:2] == [b"tfhd", b"tfdt"] and set(kinds[2:]) <= {b"trun"}, kinds
        return number, samples

    @staticmethod
    def _read_trun(track, trun, defaults, dts, samples):
        assert trun.version == 1, "composition offsets are signed in version 1 alone"
        flags = trun.flags
        assert flags & TRUN_DATA_OFFSET
        assert not (flags & TRUN_FIRST_FLAGS and flags & TRUN_FLAGS), "one or the other"
        count, offset = trun.unpack(">Ii", 4)
        assert count > 0, "a trun without samples"
        at = 12
        first_flags = None
        if flags & TRUN_FIRST_FLAGS:
            first_flags, = trun.unpack(">I", at)
            at += 4
        _, duration, size, sample_flags = defaults
        for index in range(count):
            cto, own_flags = 0, sample_flags
            if flags & TRUN_DURATION:
                (duration,), at = trun.unpack(">I", at), at + 4
            if flags & TRUN_SIZE:
                (size,), at = trun.unpack(">I", at), at + 4
            if flags & TRUN_FLAGS:
                (own_flags,), at = trun.unpack(">I", at), at + 4
            if flags & TRUN_CTO:
                (cto,), at = trun.unpack(">i", at), at + 4
            if index == 0 and first_flags is not None:
                own_flags = first_flags
            samples.append(Sample(offset, size, fractions.Fraction(dts, track.timescale),
                                  fractions.Fraction(dts + cto - track.media_time,
                                                     track.timescale),
                                  fractions.Fraction(duration, track.timescale),
                                  not own_flags & SAMPLE_IS_NON_SYNC, index == 0))
            offset += size
            dts += duration
        assert trun.body + at == trun.end, "bytes are left in a trun"
        return dts

    def _check_places(self):
        """Each sample lies in this mdat, and none on another."""
        end = self.mdat.body
        for sample in self.in_order():
            assert sample.offset >= end, "two samples share bytes, or one is not in the mdat"
            end = sample.offset + sample.size
        assert end <= self.mdat.end, "a sample ends behind the mdat"

    def in_order(self):
        """The samples of all tracks as they lie there."""
        together = [sample for samples in self.samples.values() for sample in samples]
        return sorted(together, key=lambda sample: (sample.offset, sample.size))

    def bytes_of(self, sample):
        return self.data[sample.offset:sample.offset + sample.size]

    @property
    def media_size(self):
        return sum(sample.size for samples in self.samples.values() for sample in samples)

    @property
    def slack_size(self):
        return self.mdat.end - self.mdat.body - self.media_size


def looks_of(trak):
    """What must be the same in a film and in what is made of it: the first sample entry, and how
    pictures are turned and how large they are shown. QuickTime ends lists of boxes with zeros,
    which may be left out: so its size does not count, nor do zeros at its end."""
    tkhd = trak.one(b"tkhd")
    stsd = trak.one(b"mdia", b"minf", b"stbl", b"stsd")
    size, = stsd.unpack(">I", 8)
    return stsd.payload[12:8 + size].rstrip(b"\0"), tkhd.payload[-44:]


# Of a track of a whole film: seconds of nothing before it, and where in the media it begins.
Trak = collections.namedtuple("Trak", "delay media_time looks")


def read_traks(data):
    """The tracks of a film and what their edit lists say (8.6.6). What stands outside of moov does
    not matter: films of the world have stray bytes."""
    moov = find_moov(data)
    mvhd = moov.one(b"mvhd")
    movie_scale, = mvhd.unpack(">I", 20 if mvhd.version else 12)
    traks = []
    for trak in moov.all(b"trak"):
        delay, media_times = 0, []
        for elst in trak.all(b"edts", b"elst"):
            form = ">QqI" if elst.version else ">IiI"
            for index in range(*elst.unpack(">I", 4)):
                duration, time, _ = elst.unpack(form, 8 + index * struct.calcsize(form))
                if time >= 0:
                    media_times.append(time)
                elif not media_times:
                    delay += duration
        mdhd = trak.one(b"mdia", b"mdhd")
        scale, = mdhd.unpack(">I", 20 if mdhd.version else 12)
        traks.append(Trak(fractions.Fraction(delay, movie_scale),
                          fractions.Fraction(media_times[0] if media_times else 0, scale),
                          looks_of(trak)))
    return traks


def find_moov(data):
    start = 0
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1:
            size, = struct.unpack_from(">Q", data, start + 8)
        if kind == b"moov":
            return walk(data, start, start + size)[0]
        assert size >= 8, "no moov"
        start += size
    raise AssertionError("no moov")


def count_ranges(segment, position_of):
    """In how many pieces of the file the mdat lies: position_of(sample) is its place there. What
    lies between two samples may be slack: it is one piece as long as both are equally far apart."""
    ends = [(position_of(sample), sample) for sample in segment.in_order() if sample.size]
    distances = [position - sample.offset for position, sample in ends]
    return sum(here != before for before, here in zip([None, *distances], distances))


def count_exact(segment, position_of):
    """In how many pieces its samples alone lie in the file."""
    places = sorted((position_of(sample), sample.size) for sample in segment.in_order()
                    if sample.size)
    return sum(index == 0 or places[index - 1][0] + places[index - 1][1] != position
               for index, (position, _) in enumerate(places))
