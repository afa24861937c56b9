# SPDX-License-Identifier: MIT
"""Media playlists of HLS as a client reads them (draft-pantos-hls-rfc8216bis-22): tags, segments
and their parts, delta updates put together with what is known already; and what a client that
watches a channel has asked for and been given. What it means is left to llhls_rules."""

import collections
import dataclasses
import datetime
import re
import urllib.parse

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)')
SEGMENT_TAGS = {"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP",
                "EXT-X-PROGRAM-DATE-TIME", "EXT-X-GAP", "EXT-X-BITRATE", "EXT-X-PART"}

Tag = collections.namedtuple("Tag", "name value line")


def attributes(value):
    """An attribute list (section 4.2) as {name: value}; quoted strings lose their quotes."""
    found, at = {}, 0
    while at < len(value):
        match = ATTRIBUTE.match(value, at)
        if not match or match[1] in found:
            raise ValueError(f"no attribute list: {value!r}")
        found[match[1]] = match[2].strip('"')
        at = match.end()
    return found


def unix_time(date):
    """ISO 8601, with a time zone or in UTC."""
    parsed = datetime.datetime.fromisoformat(date.replace("Z", "+00:00"))
    return parsed.replace(tzinfo=parsed.tzinfo or datetime.timezone.utc).timestamp()


@dataclasses.dataclass
class Part:
    attributes: dict

    @property
    def uri(self):
        return self.attributes.get("URI")

    @property
    def duration(self):
        return float(self.attributes.get("DURATION", 0))

    @property
    def is_independent(self):
        return self.attributes.get("INDEPENDENT") == "YES"


@dataclasses.dataclass
class Segment:
    msn: int = 0
    uri: str = None  # None: it is being made, and has parts alone
    extinf: float = None
    date: float = None
    map: str = None
    is_discontinuity: bool = False
    discontinuity: int = 0  # its Discontinuity Sequence Number
    parts: list = dataclasses.field(default_factory=list)
    tags: list = dataclasses.field(default_factory=list)  # names, as they stand

    @property
    def is_whole(self):
        return self.uri is not None

    @property
    def duration(self):
        if self.extinf is not None:
            return self.extinf
        return sum(part.duration for part in self.parts)

    def same(self):
        """What may not change once it is whole."""
        return self.uri, self.extinf, self.date, self.map, self.is_discontinuity


class Playlist:
    """Raises ValueError (or KeyError) where a client could not go on. `base`: the whole playlist
    that a delta update continues."""

    def __init__(self, text, base=None):
        self.text = text
        self.lines = text.splitlines()
        self.tags = [Tag(*line[1:].partition(":")[::2], number)
                     for number, line in enumerate(self.lines) if line.startswith("#EXT")]
        self.target = int(self.value("EXT-X-TARGETDURATION"))
        self.version = int(self.value("EXT-X-VERSION", 1))
        self.sequence = int(self.value("EXT-X-MEDIA-SEQUENCE", 0))
        self.discontinuity_sequence = int(self.value("EXT-X-DISCONTINUITY-SEQUENCE", 0))
        self.control = attributes(self.value("EXT-X-SERVER-CONTROL", ""))
        part_inf = attributes(self.value("EXT-X-PART-INF", ""))
        self.part_target = float(part_inf["PART-TARGET"]) if part_inf else None
        self.skipped = None
        if self.all("EXT-X-SKIP"):
            self.skipped = int(attributes(self.value("EXT-X-SKIP")).get("SKIPPED-SEGMENTS", 0))
        self.is_ended = bool(self.all("EXT-X-ENDLIST"))
        self.hints = [attributes(tag.value) for tag in self.all("EXT-X-PRELOAD-HINT")]
        self.reports = [attributes(tag.value) for tag in self.all("EXT-X-RENDITION-REPORT")]
        self.segments = self._known(base) + self._read()
        self._count(self.segments)

    def all(self, name):
        return [tag for tag in self.tags if tag.name == name]

    def value(self, name, default=None):
        found = self.all(name)
        if not found and default is None:
            raise ValueError(f"no {name}")
        return found[0].value if found else default

    def _known(self, base):
        """What the client has of the skipped segments (section 6.3.7). Their parts are not listed
        any more."""
        if not self.skipped:
            return []
        wanted = range(self.sequence, self.sequence + self.skipped)
        if base is None or not {*wanted} <= {segment.msn for segment in base.segments}:
            raise ValueError("an update of a playlist that is not known")
        return [dataclasses.replace(base.segment(msn), parts=[]) for msn in wanted]

    def _read(self):
        found, now = [], Segment()
        for line in self.lines:
            if line.startswith("#EXT"):
                name, _, value = line[1:].partition(":")
                if name in SEGMENT_TAGS:
                    now.tags.append(name)
                    self._apply(now, name, value)
            elif line and not line.startswith("#"):
                now.uri = line
                found.append(now)
                now = Segment()
        return found + [now] if now.parts else found

    @staticmethod
    def _apply(segment, name, value):
        if name == "EXTINF":
            segment.extinf = float(value.split(",")[0])
        elif name == "EXT-X-DISCONTINUITY":
            segment.is_discontinuity = True
        elif name == "EXT-X-MAP":
            segment.map = attributes(value)["URI"]
        elif name == "EXT-X-PROGRAM-DATE-TIME":
            segment.date = unix_time(value)
        elif name == "EXT-X-PART":
            segment.parts.append(Part(attributes(value)))

    def _count(self, segments):
        """Numbers, and what holds on until it is said otherwise."""
        discontinuity, init = self.discontinuity_sequence, None
        for index, segment in enumerate(segments):
            segment.msn = self.sequence + index
            discontinuity += segment.is_discontinuity
            segment.discontinuity = discontinuity
            init = segment.map = segment.map or init

    def segment(self, msn):
        """None: it is not there."""
        index = msn - self.sequence
        return self.segments[index] if 0 <= index < len(self.segments) else None

    def number(self, name):
        """An attribute of EXT-X-SERVER-CONTROL; None: it is not there."""
        return float(self.control[name]) if name in self.control else None

    def distances(self):
        """(segment, how far before the end it begins, and ends) of all, the last one first."""
        end = 0
        for segment in reversed(self.segments):
            yield segment, end + segment.duration, end
            end += segment.duration

    @property
    def duration(self):
        return sum(segment.duration for segment in self.segments if segment.is_whole)

    @property
    def last(self):
        """(msn, index) of the last part; -1: a segment whose parts are not listed."""
        segment = self.segments[-1]
        return segment.msn, len(segment.parts) - 1

    @property
    def last_whole(self):
        return max((segment.msn for segment in self.segments if segment.is_whole), default=-1)

    def has(self, msn, part=None):
        """Whether it is what a request with these directives waits for (section 6.2.5.2)."""
        last = self.segments[-1]
        if part is None:
            return self.last_whole >= msn
        if last.msn != msn:
            return last.msn > msn
        return part < len(last.parts)  # behind the last one of a whole segment: part 0 of the next


@dataclasses.dataclass
class Answer:
    """What came to a request. Times are those of a clock that never goes back."""
    url: str
    status: int
    headers: dict  # names in lower case
    body: bytes
    sent_s: float
    first_s: float  # its first byte
    got_s: float    # its last one

    @property
    def waited_s(self):
        return self.first_s - self.sent_s


@dataclasses.dataclass
class Poll:
    """A request for a media playlist."""
    answer: Answer
    msn: int = None
    part: int = None
    skip: bool = False
    seen: Playlist = None  # put together with what was known; None: an error
    problem: str = None    # it could not be read

    @property
    def is_directed(self):
        return self.msn is not None or self.part is not None


@dataclasses.dataclass
class Fetch:
    """A request for a resource. `kind`: map, segment, part, hint (a part that was asked for before
    it was listed), old part, old segment (no longer listed), stranger (never named)."""
    answer: Answer
    kind: str
    playlist: str = ""
    msn: int = None
    part: int = None
    listed_s: float = None  # when it was first seen in a playlist,
    last_s: float = None    # and when it was last seen there


@dataclasses.dataclass
class Session:
    """What a client has seen: {URL of a playlist: polls}, and fetches. `slack_s`: by how much times
    may be off because of the network and of how busy machines are."""
    polls: dict
    fetches: list
    renditions: list = dataclasses.field(default_factory=list)  # of the multivariant playlist
    slack_s: float = 0.1

    def read(self):
        """Reads all playlists, in the order they came."""
        for polls in self.polls.values():
            known = None
            for poll in sorted(polls, key=lambda poll: poll.answer.got_s):
                if poll.answer.status == 200:
                    self.read_one(poll, known)
                    known = poll.seen or known
        return self

    @staticmethod
    def read_one(poll, known):
        """`known`: the playlist that came before it."""
        poll.seen, poll.problem = None, None
        try:
            playlist = Playlist(poll.answer.body.decode("utf-8"), known)
            if not playlist.segments:
                raise ValueError("no segment")
            poll.seen = playlist
        except (ValueError, KeyError) as error:
            poll.problem = f"{type(error).__name__}: {error}"

    def good(self, url=None):
        """Polls that brought a playlist, in the order they came."""
        for name, polls in self.polls.items():
            if url in (None, name):
                yield from sorted((poll for poll in polls if poll.seen),
                                  key=lambda poll: poll.answer.got_s)

    def resolve(self, playlist, uri):
        return urllib.parse.urljoin(playlist, uri)
