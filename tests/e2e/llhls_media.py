# SPDX-License-Identifier: MIT
"""What is in the inits, segments and parts that a client of a live channel was given: fragments of
MP4, read by segment_walker, and put beside what the playlists tell of them."""

import collections
import dataclasses
import struct

import segment_walker

BRANDS = {b"iso6", b"iso7", b"iso8", b"iso9", b"isoa", b"isob", b"isoc", b"cmfc", b"cmf2"}
LISTED = ("segment", "old segment")
PARTS = ("part", "hint", "old part")

# Of one track in one moof; times in seconds, exactly.
Fragment = collections.namedtuple("Fragment", "track kind begin end shown has_sync "
                                  "begins_with_sync")
BROKEN = (AssertionError, KeyError, IndexError, struct.error, ValueError)


def read_fragments(init, data):
    """The fragments of a segment or part. Raises one of BROKEN where it is none."""
    found, moof = [], None
    for box in segment_walker.walk(data):
        if box.kind == b"moof":
            moof = box
        elif box.kind == b"mdat":
            assert moof, "an mdat without a moof"
            if is_empty(moof):
                moof = None
                continue
            segment = segment_walker.Segment(init, data[moof.start:box.end])
            found += [fragment_of(init.by_id[track], samples)
                      for track, samples in segment.samples.items()]
            moof = None
    assert found and not moof, "no whole fragment"
    return found


def is_empty(moof):
    """Whether it says so of itself (ISO/IEC 14496-12, section 8.8.7): a track may have nothing for
    a part."""
    return all(tfhd.flags & segment_walker.TFHD_EMPTY for tfhd in moof.all(b"traf", b"tfhd"))


def fragment_of(track, samples):
    last = samples[-1]
    return Fragment(track.id, track.kind, samples[0].dts, last.dts + last.duration,
                    min(sample.time for sample in samples),
                    any(sample.is_sync for sample in samples), samples[0].is_sync)


def problem_of_init(body):
    """{what: what is wrong} of an init segment: its samples, boxes and durations."""
    try:
        boxes = segment_walker.walk(body)
        kinds = [box.kind for box in boxes]
        assert kinds[:2] == [b"ftyp", b"moov"], f"{kinds}"
        ftyp, moov = boxes[:2]
        brands = {ftyp.payload[at:at + 4] for at in range(0, len(ftyp.payload), 4) if at != 4}
        assert brands & BRANDS, f"brands {brands}"
    except BROKEN as error:
        return {"boxes": f"{error}"}
    problems = {}
    tables = [stsz for trak in moov.all(b"trak")
              for stsz in trak.all(b"mdia", b"minf", b"stbl", b"stsz")]
    if b"mdat" in kinds or any(table.unpack(">I", 8)[0] for table in tables):
        problems["samples"] = "it has samples"
    headers = [(moov.one(b"mvhd"), 16, 24)]
    headers += [(tkhd, 20, 28) for tkhd in moov.all(b"trak", b"tkhd")]
    for box, short, long in headers:
        duration, = box.unpack(">Q", long) if box.version else box.unpack(">I", short)
        if duration:
            problems["durations"] = f"{box.kind} has {duration}"
    if not moov.all(b"mvex"):
        problems["durations"] = "no mvex"
    return problems


class Media:
    """Of a session that was read."""

    def __init__(self, session):
        self.session = session
        self.listed = {url: self._listed(url) for url in session.polls}
        self.inits, self.fragments, self.problems = {}, {}, {}
        for fetch in session.fetches:
            if fetch.kind == "map" and fetch.answer.status == 200:
                self._read_init(fetch)
        for fetch in session.fetches:
            if fetch.kind in LISTED + PARTS and fetch.answer.status == 200:
                self._read(fetch)

    def _listed(self, url):
        """{msn: segment}, each as it was last, with all of its parts that ever were listed."""
        found = {}
        for poll in self.session.good(url):
            for segment in poll.seen.segments:
                old = found.get(segment.msn, segment)
                parts = max(segment.parts, old.parts, key=len)
                found[segment.msn] = dataclasses.replace(segment, parts=parts)
        return found

    def _read_init(self, fetch):
        try:
            self.inits[fetch.answer.url] = segment_walker.Init(fetch.answer.body)
        except BROKEN as error:
            self.problems[fetch.answer.url] = f"{error}"

    def _read(self, fetch):
        key = fetch.playlist, fetch.msn, fetch.part
        segment = self.listed.get(fetch.playlist, {}).get(fetch.msn)
        init = segment and self.inits.get(self.session.resolve(fetch.playlist, segment.map or ""))
        if not init:
            return
        try:
            self.fragments[key] = read_fragments(init, fetch.answer.body)
        except BROKEN as error:
            self.problems[fetch.answer.url] = f"{type(error).__name__}: {error}"

    @staticmethod
    def lead(fragments):
        """Those of the video, or else of the first track."""
        video = [fragment for fragment in fragments if fragment.kind == "video"]
        return video or [one for one in fragments if one.track == fragments[0].track]

    def all(self):
        """What is wrong with each init, segment and part that came."""
        for fetch in self.session.fetches:
            if fetch.kind in LISTED + PARTS + ("map",) and fetch.answer.status == 200:
                yield fetch.answer.url, self.problems.get(fetch.answer.url)

    def _whole(self):
        """(where, URL of the playlist, listed segment, its fragments), by number."""
        for (url, msn, part), fragments in sorted(self.fragments.items(), key=str_key):
            segment = self.listed[url][msn]
            if part is None and segment.is_whole:
                yield f"{url}, segment {msn}", url, segment, fragments

    def segments(self):
        for where, _, segment, fragments in self._whole():
            yield where, segment, self.lead(fragments), fragments

    def parts(self):
        """But for those of sound alone where there is a video."""
        with_video = {key[0] for key, fragments in self.fragments.items()
                      if self.lead(fragments)[0].kind == "video"}
        for (url, msn, part), fragments in self.fragments.items():
            listed = self.listed[url][msn].parts
            if url in with_video and self.lead(fragments)[0].kind != "video":
                continue
            if part is not None and part < len(listed):
                yield f"{url}, part {msn}.{part}", listed[part], self.lead(fragments)

    def independent_segments(self):
        tagged = {url for url in self.session.polls for poll in self.session.good(url)
                  if poll.seen.all("EXT-X-INDEPENDENT-SEGMENTS")}
        for where, url, _, fragments in self._whole():
            if url in tagged:
                yield where, self.lead(fragments)

    def neighbours(self):
        """Where each fragment of a track ends and the next one begins, but for discontinuities."""
        ends, before = {}, {}
        for where, url, segment, fragments in self._whole():
            if segment.is_discontinuity or before.get(url) != segment.msn - 1:
                ends = {key: end for key, end in ends.items() if key[0] != url}
            before[url] = segment.msn
            for fragment in fragments:
                key = url, fragment.track
                if key in ends:
                    yield where, ends[key], fragment.begin
                ends[key] = fragment.end

    def parents(self):
        """The bytes of each segment, and those of its parts, where all of them came."""
        bodies = {(fetch.playlist, fetch.msn, fetch.part): fetch.answer.body
                  for fetch in self.session.fetches if fetch.answer.status == 200
                  and fetch.kind in LISTED + PARTS}
        for (url, msn, part), body in bodies.items():
            segment = self.listed[url].get(msn)
            if part is None and segment and segment.is_whole and segment.parts:
                keys = [(url, msn, index) for index in range(len(segment.parts))]
                if all(key in bodies for key in keys):
                    yield f"{url}, segment {msn}", body, b"".join(bodies[key] for key in keys)

    def dates(self):
        """When media time 0 is by each segment's date; and by that of the first playlist's segment
        of the same stretch without discontinuity."""
        first = {}
        for where, _, segment, fragments in self._whole():
            if segment.date:
                shown = min(fragment.shown for fragment in self.lead(fragments))
                zero = segment.date - float(shown)
                yield where, first.setdefault(segment.discontinuity, zero), zero


def str_key(item):
    (url, msn, part), _ = item
    return url, msn, -1 if part is None else part
