# SPDX-License-Identifier: MIT
"""What must hold for the streams of any film, checked against the film as ffmpeg sees it.

A film is asked for through `fetch(name)`: the bytes of what lies below its URL. What the checks
leave open, and why:
- A stream may hold samples before and behind what is shown, as decoders need them; what is shown
  is never missing, and the samples are the film's, in its order, none left out between.
- The film's presentation begins at 0; in the source it may begin later (an empty edit, a first
  decoding time of an hour). So times are compared after one shift, the same for all tracks."""

import collections
import fractions
import re
import urllib.parse
import xml.etree.ElementTree

from framehash import decode, decode_sound, probe_tracks
from segment_walker import Init, Segment, count_exact, count_ranges, read_traks

SYNC_S = fractions.Fraction(1, 1000)  # sound against pictures
PLAYLIST_S = fractions.Fraction(1, 1000)  # between what playlists and segments say
ROUNDING_S = fractions.Fraction(1, 10000)  # of a sum of durations with six decimals
MPD = {"mpd": "urn:mpeg:dash:schema:mpd:2011"}

Placed = collections.namedtuple("Placed", "segment sample packet")


class Source:
    """The film itself, read by ffmpeg once and kept."""

    def __init__(self, path, video_late_s=0):
        """video_late_s: by how much ffmpeg itself is known to show the pictures too late."""
        self.path = path
        self.data = path.read_bytes()
        self.raw = probe_tracks(path, "-ignore_editlist", "1")
        self.shown = probe_tracks(path)
        self._options = ()
        if not any(track.packets for track in self.shown):  # an edit list of nothing
            self._options = ("-ignore_editlist", "1")
            self.shown = self.raw
        for track in {id(track): track for track in self.raw + self.shown}.values():
            if track.kind == "video" and video_late_s:
                track.packets = [packet._replace(pts=packet.pts - video_late_s)
                                 for packet in track.packets]
        self.traks = read_traks(self.data)
        self._pictures = self._sound = None

    @property
    def pictures(self):
        if self._pictures is None:
            self._pictures = decode(self.path, is_strict=False, options=self._options)
        return self._pictures

    def sound(self, index):
        """Of audio track `index`, each packet a frame, whatever the edit list says."""
        self._sound = self._sound or {}
        if index not in self._sound:
            self._sound[index] = decode_sound(self.path, index, is_strict=False,
                                              options=["-ignore_editlist", "1"])
        return self._sound[index]

    def time_of(self, number, packet):
        """When a packet of track `number` is to be presented, by the film's edit list."""
        trak = self.traks[self.raw[number].index]
        return packet.pts + trak.delay - trak.media_time

    def is_sound(self):
        """Whether decoders have nothing to complain of: where they have, what they make of it
        depends on how they are fed, and the samples alone are compared."""
        return not self.pictures.complaints and all(
            not self.sound(index).complaints for index in
            range(sum(track.kind == "audio" for track in self.raw)))

    def index_among(self, number):
        """Of track `number`, among those of its kind."""
        return [track.kind for track in self.raw[:number]].count(self.raw[number].kind)


class Playlist:
    """A media playlist (RFC 8216, section 4.3.3)."""

    def __init__(self, text):
        lines = text.splitlines()
        assert lines[0] == "#EXTM3U" and lines[-1] == "#EXT-X-ENDLIST", text
        tags = dict(line[1:].partition(":")[::2] for line in lines if line.startswith("#"))
        self.is_independent = "EXT-X-INDEPENDENT-SEGMENTS" in tags
        self.init = re.search(r'URI="([^"]+)"', tags["EXT-X-MAP"])[1]
        self.durations = [fractions.Fraction(line[8:].split(",")[0]) for line in lines
                          if line.startswith("#EXTINF:")]
        self.names = [line for line in lines if line and not line.startswith("#")]
        assert len(self.durations) == len(self.names) >= 1
        assert all(duration > 0 for duration in self.durations)
        assert round(max(self.durations)) <= int(tags["EXT-X-TARGETDURATION"])
        assert int(tags["EXT-X-VERSION"]) >= 7 and tags["EXT-X-PLAYLIST-TYPE"] == "VOD"

    @property
    def begins(self):
        """When each begins, and when the last ends."""
        return [sum(self.durations[:index]) for index in range(len(self.durations) + 1)]


class Stream:
    """A stream of a film with everything it is made of, and every box of it read."""

    def __init__(self, name, fetch):
        self.name = name
        self.playlist = Playlist(fetch(f"{name}/index.m3u8").decode())
        place = f"{name}/"
        self.init_data = fetch(urllib.parse.urljoin(place, self.playlist.init))
        self.datas = [fetch(urllib.parse.urljoin(place, part)) for part in self.playlist.names]
        self.init = Init(self.init_data)
        self.segments = [Segment(self.init, data) for data in self.datas]
        self.video = next((track for track in self.init.tracks if track.kind == "video"), None)

    def samples_of(self, track):
        """(segment, sample) of a track, from its first segment to its last."""
        return [(segment, sample) for segment in self.segments
                for sample in segment.samples.get(track.id, [])]

    def whole(self):
        return self.init_data + b"".join(self.datas)

    def has_leading_pictures(self):
        """Whether a later segment has pictures before the one it begins with: an open GOP."""
        return any(sample.time < samples[0].time
                   for segment in self.segments[1:]
                   for samples in [segment.samples.get(self.video.id, [])] for sample in samples)


def hls_streams(fetch):
    """The streams that the multivariant playlist names."""
    text = fetch("master.m3u8").decode()
    assert text.startswith("#EXTM3U\n")
    found = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in text.splitlines():
        if line.startswith("#EXT-X-MEDIA:") and "TYPE=AUDIO" in line:
            found.append(re.search(r'URI="([^"]+)"', line)[1])
    assert all(name.endswith("/index.m3u8") for name in found), found
    return [name.removesuffix("/index.m3u8") for name in dict.fromkeys(found)]


def dash_streams(fetch):
    """The streams of the manifest, and when each of their segments begins; the end at last."""
    root = xml.etree.ElementTree.fromstring(fetch("manifest.mpd"))
    assert root.get("type") == "static"
    streams = {}
    for group in root.iterfind(".//mpd:AdaptationSet", MPD):
        for representation in group.iterfind("mpd:Representation", MPD):
            template = representation.find("mpd:SegmentTemplate", MPD)
            template = group.find("mpd:SegmentTemplate", MPD) if template is None else template
            base = "".join(place.text for one in (root, group, representation)
                           for place in one.iterfind("mpd:BaseURL", MPD))
            media = base + template.get("media").replace("$RepresentationID$",
                                                         representation.get("id"))
            assert media.endswith("/$Number$.m4s"), media
            assert template.get("startNumber") == "0"
            streams[media.removesuffix("/$Number$.m4s")] = read_timeline(template)
    return streams


def read_timeline(template):
    scale = int(template.get("timescale", 1))
    offset = int(template.get("presentationTimeOffset", 0))
    begins, end = [], 0
    for step in template.iterfind("mpd:SegmentTimeline/mpd:S", MPD):
        begin, duration = int(step.get("t", end)), int(step.get("d"))
        assert not begins or begin == end, "a gap in the timeline"
        for _ in range(int(step.get("r", 0)) + 1):
            begins.append(begin)
            begin += duration
        end = begin
    return [fractions.Fraction(time - offset, scale) for time in [*begins, end]]


# ------------------------------------------------------------------------------------- the checks


def check_order(stream):
    """Each segment begins with a picture to begin with; within each track time goes on."""
    sequences = [segment.sequence for segment in stream.segments]
    assert sequences == sorted(set(sequences)), "sequence numbers do not rise"
    for number, segment in enumerate(stream.segments):
        assert any(segment.samples.values()), f"segment {number} is empty"
        samples = segment.samples.get(stream.video.id) if stream.video else None
        if samples:  # none where sound goes on behind the last picture
            assert samples[0].is_sync, f"segment {number} does not begin with a sync sample"
            assert all(sample.is_run_start for sample in samples if sample.is_sync) or \
                all(sample.is_sync for sample in samples), "a sync sample within a trun"
    for track in stream.init.tracks:
        times = [sample.dts for _, sample in stream.samples_of(track)]
        assert times == sorted(times), f"decoding times of track {track.id} fall"
    if stream.playlist.is_independent and stream.video:
        assert not stream.has_leading_pictures(), "not as independent as the playlist says"


def check_playlist(stream):
    """The times in the segments are those of the playlist, within a frame."""
    begins = stream.playlist.begins
    for track in stream.init.tracks:
        found = [(number, segment.samples[track.id]) for number, segment
                 in enumerate(stream.segments) if segment.samples.get(track.id)]
        # The first may hold what decoders need before 0, or belong to a track that begins late.
        for number, samples in found[1:]:
            apart = samples[0].time - begins[number]
            assert abs(apart) <= max(sample.duration for sample in samples) + PLAYLIST_S, \
                f"{track.kind} of segment {number}: {float(apart)} s beside the playlist"
    ends = {track.kind: max(sample.time + sample.duration for _, sample in
                            stream.samples_of(track)) for track in stream.init.tracks}
    longest = max(sample.duration for segment in stream.segments
                  for samples in segment.samples.values() for sample in samples)
    end = max(ends.values())
    beside = f"it ends at {float(end)} s, the playlist at {float(begins[-1])} s"
    assert end - begins[-1] <= longest + PLAYLIST_S, beside
    # Sound that ends before the pictures may have a last segment as long as theirs.
    assert begins[-1] - end <= longest + PLAYLIST_S or not stream.video, beside


def check_timeline(stream, begins):
    """The manifest says the same as the playlist."""
    assert len(begins) == len(stream.playlist.begins)
    # A track that begins late says so in a manifest; a playlist begins at 0.
    assert stream.playlist.begins[1] > begins[0] >= 0
    for dash, hls in zip(begins[1:], stream.playlist.begins[1:]):
        assert abs(dash - hls) <= 2 * PLAYLIST_S, (float(dash), float(hls))


def place_samples(stream, source):
    """Finds the samples of each track in the film, byte for byte: {track: (number of the track in
    the source, [Placed])}."""
    return {track: place_track(stream, track, source) for track in stream.init.tracks}


def place_track(stream, track, source):
    samples = stream.samples_of(track)
    datas = [segment.bytes_of(sample) for segment, sample in samples]
    sizes = [len(data) for data in datas]
    best = "no track of its kind"
    for number, candidate in enumerate(source.raw):
        if candidate.kind != track.kind:
            continue
        packets = candidate.packets
        all_sizes = [packet.size for packet in packets]
        for first in range(len(packets) - len(sizes) + 1):
            if all_sizes[first:first + len(sizes)] != sizes:
                continue
            mine = packets[first:first + len(sizes)]
            wrong = next((index for index, (data, packet) in enumerate(zip(datas, mine))
                          if source.data[packet.position:packet.position + packet.size] != data),
                         None)
            if wrong is None:
                return number, [Placed(segment, sample, packet)
                                for (segment, sample), packet in zip(samples, mine)]
            best = f"sample {wrong} of {len(sizes)} has other bytes"
        best = f"{len(sizes)} samples, of {len(packets)} in the film" if best[0] == "n" else best
    raise AssertionError(f"{stream.name}: its {track.kind} is not the film's: {best}")


def check_times(stream, source, places):
    """Everything that is shown is there, at its time; pictures and sound belong together."""
    shifts, begins = [], []
    for track, (number, placed) in places.items():
        assert track.looks == source.traks[source.raw[number].index].looks, \
            f"{track.kind} is described in another way"
        check_decoding_times(track, placed)
        tick = fractions.Fraction(1, track.timescale)
        apart = [one.sample.time - source.time_of(number, one.packet) for one in placed
                 if one.packet.pts is not None]
        assert max(apart) - min(apart) <= tick, \
            f"{track.kind} drifts by {float(max(apart) - min(apart))} s"
        shifts.append(apart[0])
        check_shown(track, placed, source.shown[number], apart[0])
        begins.append(min(max(one.sample.time, 0) for one in placed
                          if one.sample.time + one.sample.duration > 0))
    assert max(shifts) - min(shifts) <= SYNC_S, \
        f"sound is {float(max(shifts) - min(shifts))} s beside the pictures"
    return shifts[0], min(begins)


def check_shown(track, placed, shown_track, shift):
    """What ffmpeg shows of the film is in the stream, at the time at which ffmpeg shows it, as well
    as that is to be had (framehash tells why)."""
    shown = {packet.position: packet for packet in reversed(shown_track.packets)
             if packet.is_shown}
    ours = [one for one in placed if one.packet.position in shown]
    assert len(ours) == len(shown), f"{len(shown) - len(ours)} shown samples are missing"
    for one in ours:
        theirs = shown[one.packet.position].pts
        if theirs is not None:
            apart = one.sample.time - theirs - shift
            assert abs(apart) <= one.sample.duration + SYNC_S, \
                f"ffmpeg shows a sample of {track.kind} {float(apart)} s beside its time"


def check_decoding_times(track, placed):
    """They are the film's, but for one shift; and so are the flags of sync samples."""
    apart = {one.sample.dts - one.packet.dts for one in placed if one.packet.dts is not None}
    tick = fractions.Fraction(1, track.timescale)
    assert not apart or max(apart) - min(apart) <= tick, \
        f"decoding times of {track.kind} differ by {[float(some) for some in sorted(apart)][:5]}"


def check_pictures(stream, source, whole):
    """The decoded pictures are the film's, and at their times from the first one on."""
    decoded = decode(whole)
    assert decoded.status == 0 and not decoded.complaints, f"{stream.name}: {decoded.complaints}"
    tick = fractions.Fraction(1, stream.video.timescale)
    # Where composition offsets are negative, ffmpeg shows all of a fragment's pictures too late.
    late = decoded.frames[0].time - min(sample.time for _, sample in
                                        stream.samples_of(stream.video))
    end = stream.playlist.begins[-1]
    mine = [frame for frame in decoded.frames if -tick < frame.time - late < end - ROUNDING_S]
    theirs = source.pictures.frames
    assert [frame.hash for frame in mine] == [frame.hash for frame in theirs], \
        f"{stream.name}: {len(mine)} pictures, {len(theirs)} in the film; " \
        f"first difference at {first_difference(mine, theirs)}"
    for one, other in zip(mine, theirs):
        apart = (one.time - mine[0].time) - (other.time - theirs[0].time)
        assert abs(apart) <= tick, f"a picture is {float(apart)} s late"
    return decoded


def first_difference(mine, theirs):
    return next((index for index, (one, other) in enumerate(zip(mine, theirs))
                 if one.hash != other.hash), min(len(mine), len(theirs)))


def check_sound(stream, track, source, places, whole):
    """The decoded sound is the film's, nothing skipped on either side."""
    number, placed = places[track]
    theirs = source.sound(source.index_among(number))
    mine = decode_sound(whole)
    assert mine.status == 0 and not mine.complaints, f"{stream.name}: {mine.complaints}"
    positions = [packet.position for packet in source.raw[number].packets]
    first = positions.index(placed[0].packet.position)
    # A decoder that begins within the sound is right from its third frame on at the latest.
    settled = 2 if first else 0
    assert [frame.hash for frame in mine.frames[settled:]] == \
        [frame.hash for frame in theirs.frames[first + settled:first + len(mine.frames)]], \
        f"{stream.name}: the sound differs"
    return mine


def check_each_alone(stream, decoded, folder):
    """A segment behind its init is a film of its own, with the same pictures."""
    known = set(decoded.frames)
    path = folder / "alone.mp4"
    for number, (data, segment) in enumerate(zip(stream.datas, stream.segments)):
        path.write_bytes(stream.init_data + data)
        times = [sample.time for sample in segment.samples.get(stream.video.id, [])]
        if not times:
            continue
        begin = times[0]
        if stream.playlist.is_independent:
            alone = decode(path)
            assert alone.status == 0 and not alone.complaints, f"{number}: {alone.complaints}"
            mine = alone.frames
        else:  # leading pictures lack what they are made of
            mine = [frame for frame in decode(path, is_strict=False).frames if frame.time >= begin]
            times = [time for time in times if time >= begin]
        assert len(mine) == len(times), f"{number}: {len(mine)} pictures of {len(times)} samples"
        differ = [float(frame.time) for frame in mine if frame not in known]
        assert not differ, f"segment {number} alone looks different at {differ[:5]} s"


def check_each_alone_sounds(stream, folder):
    path = folder / "alone.m4a"
    for number, (data, segment) in enumerate(zip(stream.datas, stream.segments)):
        path.write_bytes(stream.init_data + data)
        alone = decode_sound(path)
        count = sum(map(len, segment.samples.values()))
        assert alone.status == 0 and len(alone.frames) == count, f"segment {number}: {alone.status}"


Costs = collections.namedtuple("Costs", "ranges exact slack")


def costs_of(stream, places):
    """For each segment: ranges of the file it is sent in, ranges without slack, and slack as a
    part of the media."""
    position_of = {(id(one.segment), one.sample.offset): one.packet.position
                   for _, placed in places.values() for one in placed if one.sample.size}
    costs = []
    for segment in stream.segments:
        def place(sample, segment=segment):
            return position_of[id(segment), sample.offset]
        costs.append(Costs(count_ranges(segment, place), count_exact(segment, place),
                           segment.slack_size / max(1, segment.media_size)))
    return costs


def reorders(source):
    """Whether pictures are shown in another order than they are decoded."""
    times = [[packet.pts for packet in track.packets if packet.pts is not None]
             for track in source.raw if track.kind == "video"]
    return any(one != sorted(one) for one in times)


def check_decoded(stream, source, places, whole, is_thorough):
    if stream.video:
        decoded = check_pictures(stream, source, whole)
        if is_thorough:
            check_each_alone(stream, decoded, whole.parent)
    for track in stream.init.tracks:
        if track.kind == "audio":
            check_sound(stream, track, source, places, whole)
    if is_thorough and not stream.video:
        check_each_alone_sounds(stream, whole.parent)


def check_stream(stream, source, folder, is_decoded, is_thorough):
    """Everything above for one stream; returns its costs, its shift against the film's own clock,
    and when it begins."""
    check_order(stream)
    check_playlist(stream)
    places = place_samples(stream, source)
    shift, begin = check_times(stream, source, places)
    if is_decoded and source.is_sound():
        whole = folder / f"{stream.name}.mp4"
        whole.write_bytes(stream.whole())
        check_decoded(stream, source, places, whole, is_thorough)
    return costs_of(stream, places), shift, begin


def check_film(fetch, source, folder, *, is_decoded=True, is_thorough=True):
    """Every stream of a film, those of HLS and of DASH; returns {stream: costs}. What is decoded is
    compared as a whole; if is_thorough, each segment by itself too."""
    timelines = dash_streams(fetch)
    names = list(dict.fromkeys([*hls_streams(fetch), *timelines]))
    costs, shifts, begins = {}, [], []
    for name in names:
        stream = Stream(name, fetch)
        if name in timelines:
            check_timeline(stream, timelines[name])
        costs[name], shift, begin = check_stream(stream, source, folder, is_decoded, is_thorough)
        shifts.append(shift)
        begins.append(begin)
    assert max(shifts) - min(shifts) <= SYNC_S, "the streams do not belong together"
    assert abs(min(begins)) <= SYNC_S, f"the film begins at {float(min(begins))} s"
    return costs
