# SPDX-License-Identifier: MIT
"""An MP4 (ISO/IEC 14496-12) as a tree of boxes that tests may change and write again: to interleave
it otherwise, to make it long or large without encoding anything, and to break it. It believes its
input, which is what ffmpeg has just written."""

import struct

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf"}
COPY_SIZE = 1 << 20


class Box:
    """A type, and bytes or boxes in it."""

    def __init__(self, kind, data=b"", boxes=None):
        self.kind, self.data, self.boxes = kind, data, boxes

    def __bytes__(self):
        body = self.data if self.boxes is None else b"".join(bytes(box) for box in self.boxes)
        return struct.pack(">I4s", 8 + len(body), self.kind) + body

    def find(self, path):
        """The first box on a path such as "mdia/minf/stbl/stco"; None: there is none."""
        kind, _, rest = path.partition("/")
        for box in self.boxes or []:
            if box.kind == kind.encode():
                return box.find(rest) if rest else box
        return None

    def remove(self, path):
        """Takes all boxes of the last name on the path out."""
        folder, _, kind = path.rpartition("/")
        parent = self.find(folder) if folder else self
        parent.boxes = [box for box in parent.boxes if box.kind != kind.encode()]

    def table(self, entry):
        """The entries of a full box whose count stands first: stts, stsc, stco, …"""
        count, = struct.unpack_from(">I", self.data, 4)
        return list(struct.iter_unpack(">" + entry, self.data[8:8 + count * struct.calcsize(
            ">" + entry)]))

    def set_table(self, entry, rows):
        packer = struct.Struct(">" + entry)
        self.data = (self.data[:4] + struct.pack(">I", len(rows))
                     + b"".join(packer.pack(*row) for row in rows))


def parse(data):
    """The boxes of a piece of a file."""
    boxes, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + size]
        boxes.append(Box(kind, boxes=parse(body)) if kind in CONTAINERS else Box(kind, body))
        at += size
    return boxes


def top_boxes(path):
    """(kind, where it begins, size of its header, its size) of each box of a file."""
    found, at = [], 0
    with open(path, "rb") as file:
        file.seek(0, 2)
        end = file.tell()
        while at + 8 <= end:
            file.seek(at)
            header = file.read(16)
            size, kind = struct.unpack_from(">I4s", header)
            head_size = 8
            if size == 1:
                size, head_size = struct.unpack_from(">Q", header, 8)[0], 16
            found.append((kind, at, head_size, size or end - at))
            at += size or end - at
    return found


class Track:
    """The samples of a trak: their sizes, where they are, and when."""

    def __init__(self, trak):
        self.trak = trak
        self.stbl = trak.find("mdia/minf/stbl")
        header = trak.find("mdia/mdhd").data
        self.timescale, = struct.unpack_from(">I", header, 12 if header[0] == 0 else 20)
        size, count = struct.unpack_from(">II", self.stbl.find("stsz").data, 4)
        self.sizes = ([size] * count if size else
                      list(struct.unpack_from(f">{count}I", self.stbl.find("stsz").data, 12)))
        self.deltas = self.stbl.find("stts").table("II")
        self.offsets = self._offsets()

    def _offsets(self):
        """Of each sample, from stsc and stco."""
        large = self.stbl.find("co64")
        chunks = [row[0] for row in (large.table("Q") if large
                                     else self.stbl.find("stco").table("I"))]
        runs = self.stbl.find("stsc").table("III")
        offsets = []
        for number, (first, samples, _) in enumerate(runs):
            last = runs[number + 1][0] - 1 if number + 1 < len(runs) else len(chunks)
            for chunk in range(first - 1, last):
                at = chunks[chunk]
                for _ in range(samples):
                    offsets.append(at)
                    at += self.sizes[len(offsets) - 1]
        assert len(offsets) == len(self.sizes)
        return offsets

    def times(self):
        """When each sample is decoded, in seconds."""
        ticks, times = 0, []
        for count, delta in self.deltas:
            for _ in range(count):
                times.append(ticks / self.timescale)
                ticks += delta
        return times

    def cut(self, seconds):
        """Leaves out the samples at its end that are decoded from then on."""
        count = len([time for time in self.times() if time < seconds - 1e-9])
        self.sizes, self.offsets = self.sizes[:count], self.offsets[:count]
        self.deltas = shorten(self.deltas, count)
        if self.stbl.find("ctts"):
            rows = self.stbl.find("ctts").table("Ii")
            self.stbl.find("ctts").set_table("Ii", shorten(rows, count))
        if self.stbl.find("stss"):
            rows = self.stbl.find("stss").table("I")
            self.stbl.find("stss").set_table("I", [row for row in rows if row[0] <= count])

    def set_chunks(self, chunks):
        """Chunks of (offset, samples); co64 where one lies beyond 4 GiB."""
        runs = []
        for number, (_, samples) in enumerate(chunks, 1):
            if not runs or runs[-1][1] != samples:
                runs.append((number, samples, 1))
        self.stbl.find("stsc").set_table("III", runs)
        is_large = any(offset >> 32 for offset, _ in chunks)
        box = self.stbl.find("co64") or self.stbl.find("stco")
        box.kind = b"co64" if is_large else b"stco"
        box.set_table("Q" if is_large else "I", [(offset,) for offset, _ in chunks])

    def chunks(self):
        """(offset, samples), as neighbours in the file."""
        chunks, end = [], None
        for offset, size in zip(self.offsets, self.sizes):
            if offset == end:
                chunks[-1][1] += 1
            else:
                chunks.append([offset, 1])
            end = offset + size
        return chunks


def shorten(rows, count):
    """The first `count` of what (how many, value) rows say."""
    kept = []
    for times, value in rows:
        kept += [(min(times, count), value)] if count > 0 else []
        count -= times
    return kept


class Movie:
    """A film that is not fragmented, small enough for the memory: ftyp, moov, and its media."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.boxes = {}
        for kind, begin, _, size in top_boxes(path):
            if kind in (b"ftyp", b"moov"):
                self.boxes[kind], = parse(self.data[begin:begin + size])
        self.ftyp, self.moov = self.boxes[b"ftyp"], self.boxes[b"moov"]
        self.tracks = [Track(trak) for trak in self.moov.boxes if trak.kind == b"trak"]

    def write(self, path, media, chunks, moov_first):
        """Writes it with `media` as its mdat, and for each track the chunks (offset from the first
        byte of that, samples)."""
        head = len(bytes(self.ftyp)) + 8
        for _ in range(2):  # how large moov is shows when its tables are set, and they need that
            shift = head + (len(bytes(self.moov)) if moov_first else 0)
            for track, runs in zip(self.tracks, chunks):
                track.set_chunks([(offset + shift, count) for offset, count in runs])
        mdat = struct.pack(">I4s", 8 + len(media), b"mdat") + media
        parts = [self.moov, mdat] if moov_first else [mdat, self.moov]
        path.write_bytes(bytes(self.ftyp) + b"".join(bytes(part) for part in parts))


def interleave(source, target, seconds, moov_first=True):
    """Writes the film with chunks of so many seconds, its tracks in turn, as MP4Box -inter does."""
    movie = Movie(source)
    turns = []  # (which interval, which track, first sample, behind the last)
    for index, track in enumerate(movie.tracks):
        begin = 0
        intervals = [int(time / seconds + 1e-6) for time in track.times()]
        for sample in range(1, len(intervals) + 1):
            if sample == len(intervals) or intervals[sample] != intervals[begin]:
                turns.append((intervals[begin], index, begin, sample))
                begin = sample
    media, chunks = bytearray(), [[] for _ in movie.tracks]
    for _, index, begin, end in sorted(turns):
        track = movie.tracks[index]
        chunks[index].append((len(media), end - begin))
        for sample in range(begin, end):
            offset = track.offsets[sample]
            media += movie.data[offset:offset + track.sizes[sample]]
    movie.write(target, bytes(media), chunks, moov_first)


def spread(source, target, hole_size):
    """Writes the film with moov at the end, and a hole of so many bytes in the middle of its media:
    a sparse file, whose mdat has 64 bits and which takes no more of the disk than before."""
    movie = Movie(source)
    begin, size = next((begin + head, size - head) for kind, begin, head, size in top_boxes(source)
                       if kind == b"mdat")
    cut = begin + size // 2
    new_begin = len(bytes(movie.ftyp)) + 16
    # A chunk goes to where its first byte does; the bytes of that one across the cut stay together.
    crossing = [offset + size for track in movie.tracks
                for offset, size in zip(track.offsets, track.sizes) if offset < cut]
    cut = max([cut, *crossing])
    for track in movie.tracks:
        track.set_chunks([(offset - begin + new_begin + (hole_size if offset >= cut else 0), 1)
                          for offset in track.offsets])
    with open(target, "wb") as file:
        file.write(bytes(movie.ftyp) + struct.pack(">I4sQ", 1, b"mdat", 16 + size + hole_size))
        file.write(movie.data[begin:cut])
        file.seek(hole_size, 1)
        file.write(movie.data[cut:begin + size])
        file.write(bytes(movie.moov))


def lengthen(source, target, times):
    """Writes the film so many times one behind the other, with its media there once and then holes:
    an index of hours in a moment, for tests that decode no more than the beginning. Tracks are cut
    to the length of the shortest, or they would drift apart."""
    movie = Movie(source)
    begin, size = next((begin + head, size - head) for kind, begin, head, size in top_boxes(source)
                       if kind == b"mdat")
    shift = len(bytes(movie.ftyp)) + 16 - begin
    shortest_s = min(sum(count * delta for count, delta in track.deltas) / track.timescale
                     for track in movie.tracks)
    for track in movie.tracks:
        track.cut(shortest_s)
        _lengthen_track(track, times, size, shift)
    for path in ["mvhd", *(f"{n}/{box}" for n in range(len(movie.tracks))
                           for box in ("tkhd", "mdia/mdhd"))]:
        number, _, rest = path.partition("/")
        owner = movie.tracks[int(number)].trak.find(rest) if rest else movie.moov.find(path)
        _stretch_duration(owner, times)
    with open(target, "wb") as file:
        file.write(bytes(movie.ftyp) + struct.pack(">I4sQ", 1, b"mdat", 16 + size * times))
        file.write(movie.data[begin:begin + size])
        file.seek(size * (times - 1), 1)
        file.write(bytes(movie.moov))


def _lengthen_track(track, times, size, shift):
    stbl = track.stbl
    count = len(track.sizes)
    stbl.find("stsz").data = (struct.pack(">III", 0, 0, count * times)
                              + struct.pack(f">{count}I", *track.sizes) * times)
    stbl.find("stts").set_table("II", track.deltas * times)
    if stbl.find("ctts"):
        stbl.find("ctts").set_table("Ii", stbl.find("ctts").table("Ii") * times)
    if stbl.find("stss"):
        numbers = [row[0] for row in stbl.find("stss").table("I")]
        stbl.find("stss").set_table("I", [(number + count * n,) for n in range(times)
                                          for number in numbers])
    for name in ("sgpd", "sbgp"):
        track.trak.remove("mdia/minf/stbl/" + name)
    track.trak.remove("edts")
    track.set_chunks([(offset + shift + size * n, samples) for n in range(times)
                      for offset, samples in track.chunks()])


def _stretch_duration(box, times):
    """Of mvhd, tkhd or mdhd."""
    version, is_track = box.data[0], box.kind == b"tkhd"
    at = (28 if is_track else 24) if version else (20 if is_track else 16)
    entry = ">Q" if version else ">I"
    duration, = struct.unpack_from(entry, box.data, at)
    box.data = (box.data[:at] + struct.pack(entry, duration * times)
                + box.data[at + struct.calcsize(entry):])
