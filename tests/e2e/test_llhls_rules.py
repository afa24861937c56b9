# SPDX-License-Identifier: MIT
"""The judge of live HLS is judged: a client's session with a server that does all as it should,
made up here, breaks no rule and gives each something to look at; and for each rule there is a
session that differs from it in one thing, and breaks it."""

import datetime
import re
import struct

import pytest

from film_boxes import Box
from llhls_playlist import Answer, Fetch, Poll, Session
from llhls_rules import RULES, judge

TARGET, PART_S, PARTS, WINDOW = 2, 0.5, 4, 11
JUMP, END = 9, 20           # the segment that begins with a discontinuity; how many there are
SAMPLES, SAMPLE_MS = 5, 100  # of a part
DAWN = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.timezone.utc)
HOST = "http://leat.test/live/name/"
STREAMS = ("video", "audio-1")
pytestmark = pytest.mark.mostly_on("uring")  # no server is asked
PACKED = {"content-type": "application/vnd.apple.mpegurl", "content-encoding": "gzip"}


# ---- Its media -----------------------------------------------------------------------------------

def full(kind, form, *values, version=0, flags=0):
    return Box(kind, struct.pack(">I" + form, version << 24 | flags, *values))


def init_of(stream, duration=0, brand=b"iso6", samples=0):
    handler = b"vide" if stream == "video" else b"soun"
    matrix = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    stbl = Box(b"stbl", boxes=[
        full(b"stsd", "I8s", 1, struct.pack(">I4s", 8, b"none")), full(b"stts", "I", 0),
        full(b"stsc", "I", 0), full(b"stsz", "II", 0, samples), full(b"stco", "I", 0)])
    trak = Box(b"trak", boxes=[
        full(b"tkhd", "IIIII8xHHHH9III", 0, 0, 1, 0, duration, 0, 0, 0, 0, *matrix, 0, 0, flags=3),
        Box(b"mdia", boxes=[full(b"mdhd", "IIIIHH", 0, 0, 1000, 0, 0x55c4, 0),
                            full(b"hdlr", "I4s12xx", 0, handler),
                            Box(b"minf", boxes=[stbl])])])
    mvex = Box(b"mvex", boxes=[full(b"trex", "IIIII", 1, 1, 0, 0, 0)])
    mvhd = full(b"mvhd", "IIIIIH10x9I24xI", 0, 0, 1000, duration, 0x10000, 0x100, *matrix, 2)
    return bytes(Box(b"ftyp", brand + struct.pack(">I", 0) + brand)) + \
        bytes(Box(b"moov", boxes=[mvhd, trak, mvex]))


def part_of(stream, msn, part, late_ms=0, is_sync=None):
    """One moof, one mdat. Behind the discontinuity media times go on seven seconds later."""
    begin = (msn * PARTS + part) * SAMPLES * SAMPLE_MS + 7000 * (msn >= JUMP) + late_ms
    is_sync = (part == 0 or stream != "video") if is_sync is None else is_sync
    first = 0 if is_sync else 0x10000
    rest = 0x10000 if stream == "video" else 0
    rows = [(SAMPLE_MS, 2, rest if index else first, 0) for index in range(SAMPLES)]

    def moof(offset):
        return bytes(Box(b"moof", boxes=[
            full(b"mfhd", "I", 1),
            Box(b"traf", boxes=[full(b"tfhd", "I", 1, flags=0x20000),
                                full(b"tfdt", "Q", begin, version=1),
                                full(b"trun", "Ii", SAMPLES, offset, version=1, flags=0xf01)])]))

    def with_rows(head):
        """trun is the last box: its rows, and so much more in it and all around it."""
        rows_data = b"".join(struct.pack(">IIIi", *row) for row in rows)
        head = bytearray(head + rows_data)
        for kind in (b"moof", b"traf", b"trun"):
            at = head.index(kind) - 4
            size, = struct.unpack_from(">I", head, at)
            struct.pack_into(">I", head, at, size + len(rows_data))
        return bytes(head)
    size = len(with_rows(moof(0)))
    return with_rows(moof(size + 8)) + bytes(Box(b"mdat", bytes([msn, part]) * SAMPLES))


def segment_of(stream, msn, **how):
    return b"".join(part_of(stream, msn, part, **how) for part in range(PARTS))


# ---- Its playlists -------------------------------------------------------------------------------

def date_of(msn):
    date = DAWN + datetime.timedelta(seconds=msn * TARGET + 3 * (msn >= JUMP))
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def segment_text(stream, msn, count, is_first, has_parts):
    lines = ["#EXT-X-DISCONTINUITY"] if msn == JUMP else []
    if msn in (0, JUMP) or is_first:
        lines.append(f'#EXT-X-MAP:URI="init-{int(msn >= JUMP)}.mp4"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_of(msn)}")
    for part in range(count if has_parts else 0):
        is_independent = part == 0 or stream != "video"
        lines.append(f'#EXT-X-PART:DURATION={PART_S:.6f},URI="{msn}.{part}.m4s"'
                     + ",INDEPENDENT=YES" * is_independent)
    return lines + ([f"#EXTINF:{TARGET:.6f},", f"{msn}.m4s"] if count == PARTS else [])


def playlist_text(stream, parts, skip=False, window=WINDOW, more=0):
    """When so many parts have been made; `more` segments too many are skipped."""
    msn, count = divmod(parts, PARTS)
    is_ended = parts == END * PARTS
    first = max(0, msn - window)
    until = msn * TARGET + count * PART_S - 6 * TARGET  # what ends before that may be skipped
    skipped = max(0, -(-int(until * 2) // (TARGET * 2)) - 1 - first + more) if skip else 0
    if is_ended:
        skipped = 0
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{9 if skipped else 6}",
             f"#EXT-X-TARGETDURATION:{TARGET}",
             f"#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={6 * TARGET},CAN-BLOCK-RELOAD=YES,"
             f"PART-HOLD-BACK={3 * PART_S:.6f}",
             f"#EXT-X-PART-INF:PART-TARGET={PART_S:.6f}", "#EXT-X-INDEPENDENT-SEGMENTS",
             f"#EXT-X-MEDIA-SEQUENCE:{first}",
             f"#EXT-X-DISCONTINUITY-SEQUENCE:{int(first > JUMP)}"]
    lines += [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"] * (skipped > 0)
    for number in range(first + skipped, msn + (count > 0)):
        has_parts = (msn - number) * TARGET + count * PART_S <= 3 * TARGET
        lines += segment_text(stream, number, PARTS if number < msn else count,
                              number == first, has_parts)
    if is_ended:
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
    last = divmod(parts - 1, PARTS)
    other = STREAMS[stream == STREAMS[0]]
    lines += [f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{msn}.{count}.m4s"',
              f'#EXT-X-RENDITION-REPORT:URI="../{other}/index.m3u8",LAST-MSN={last[0]},'
              f"LAST-PART={last[1]}"]
    return "\n".join([*lines, ""])


# ---- The session ---------------------------------------------------------------------------------

def url_of(stream):
    return f"{HOST}{stream}/index.m3u8"


def answer(url, status, body, sent_s, got_s, headers=()):
    return Answer(url, status, dict(headers), body, sent_s, got_s, got_s)


def poll(stream, parts, sent_s, got_s, status=200, **asked):
    text = playlist_text(stream, parts, asked.get("skip", False)) if status == 200 else ""
    return Poll(answer(url_of(stream), status, text.encode(), sent_s, got_s, PACKED), **asked)


def polls_of(stream):
    """Asks for each next part, and waits for it; after a segment for one more of the same."""
    polls, now = [poll(stream, PARTS, 2.0, 2.004)], 2.004
    for parts in range(PARTS + 1, END * PARTS + 1):
        msn, part = divmod(parts - 1, PARTS)
        if part == 0 and msn % 2:
            msn, part = msn - 1, PARTS
        got = parts * PART_S + 0.004
        polls.append(poll(stream, parts, now + 0.001, got, msn=msn, part=part, skip=True))
        now = got
        if parts % 16 == 3:  # the same as a whole
            polls.append(poll(stream, parts, now + 0.01, now + 0.02))
    now = END * TARGET
    polls += [poll(stream, END * PARTS, now + 1, now + 1.01, msn=END, part=0, skip=True),
              poll(stream, END * PARTS, now + 2, now + 2.01)]
    # At 10.1 s 20 parts are there: five segments.
    return polls + [poll(stream, 20, 10.1, 10.11, msn=4, part=2),
                    poll(stream, 20, 10.1, 10.11, msn=1),
                    poll(stream, 20, 10.1, 10.11, 400, part=2),
                    poll(stream, 20, 10.1, 10.11, 400, msn=9, part=0),
                    poll(stream, 20, 10.1, 10.11, 400, msn=4, part=12),
                    poll(stream, 20, 10.1, 16.12, 503, msn=6, part=0)]


def fetch(stream, kind, name, body, sent_s, got_s, msn=None, part=None, status=200, **times):
    url = f"{HOST}{stream}/{name}"
    return Fetch(answer(url, status, body, sent_s, got_s), kind, url_of(stream), msn, part, **times)


def fetches_of(stream):
    found = [fetch(stream, "map", f"init-{init}.mp4", init_of(stream), 2.1, 2.11)
             for init in range(2)]
    for number in range(END * PARTS):
        msn, part = divmod(number, PARTS)
        there = (number + 1) * PART_S
        how = stream, "hint", f"{msn}.{part}.m4s", part_of(stream, msn, part)
        found.append(fetch(*how, there - 0.49, there + 0.002, msn, part))
        if part % 2:
            how = stream, "part", *how[2:]
            found.append(fetch(*how, there + 0.01, there + 0.02, msn, part, listed_s=there))
    for msn in range(END):
        there = (msn + 1) * TARGET
        found.append(fetch(stream, "segment", f"{msn}.m4s", segment_of(stream, msn), there + 0.01,
                           there + 0.03, msn, listed_s=there))
    return found + [
        fetch(stream, "old part", "2.1.m4s", part_of(stream, 2, 1), 15.9, 15.95, 2, 1,
              listed_s=5.0, last_s=10.5),
        fetch(stream, "old segment", "0.m4s", segment_of(stream, 0), 25.9, 25.95, 0,
              listed_s=2.0, last_s=24.0),
        fetch(stream, "stranger", "4711.m4s", b"", 8, 8.01, status=404)]


def good_session():
    return Session({url_of(stream): polls_of(stream) for stream in STREAMS},
                   [one for stream in STREAMS for one in fetches_of(stream)],
                   [url_of(stream) for stream in STREAMS])


def test_a_good_session_breaks_no_rule():
    violations, looked = judge(good_session().read())
    assert not violations, "\n".join(f"{one.rule.name} {one.where}: {one.what}"
                                     for one in violations)
    assert not set(RULES) - set(looked), "rules that had nothing to look at"


def test_rules_are_told_as_they_should_be():
    for rule in RULES.values():
        assert re.fullmatch(r"B\.1|\d(\.\d+)*(, \d(\.\d+)*)*", rule.section)
        assert rule.words and len(rule.words) < 300
    assert set(BREAKS) == set(RULES), "each rule has what breaks it"


# ---- What breaks it ------------------------------------------------------------------------------

def every(pattern, text, stream=None):
    """All playlists differ."""
    def change(session):
        for one in all_polls(session, stream):
            one.answer.body = re.sub(pattern, text, one.answer.body.decode()).encode()
    return change


def once(pattern, text, stream=None, which=lambda one: True):
    """One playlist differs in one place: the last but two of those that can."""
    def change(session):
        fit = [one for one in all_polls(session, stream)
               if re.search(pattern, one.answer.body.decode()) and which(one)]
        one = fit[max(0, len(fit) - 3)]
        one.answer.body = re.sub(pattern, text, one.answer.body.decode(), count=1).encode()
    return change


def all_polls(session, stream=None):
    polls = [one for url, polls in session.polls.items() for one in polls
             if one.answer.status == 200 and stream in (None, url.split("/")[-2])]
    return sorted(polls, key=lambda one: one.answer.got_s)


def at_the_end(one):
    return b"ENDLIST" in one.answer.body


def is_whole_list(one):
    return b"EXT-X-SKIP" not in one.answer.body and not at_the_end(one)


def got(kind, number=0, **changes):
    """One answer to a fetch differs; a function makes it of what was."""
    def change(session):
        one = [fetch for fetch in session.fetches if fetch.kind == kind][number].answer
        for name, value in changes.items():
            setattr(one, name, value(getattr(one, name)) if callable(value) else value)
    return change


def told(which, **changes):
    """The answer to one poll differs."""
    def change(session):
        one = [poll for polls in session.polls.values() for poll in polls if which(poll)][0]
        for name, value in changes.items():
            owner = one if hasattr(one, name) else one.answer
            setattr(owner, name, value(getattr(owner, name)) if callable(value) else value)
    return change


def later(seconds):
    """From a moment on all playlists come later."""
    def change(session):
        for one in all_polls(session):
            if one.answer.got_s > 20.2:
                one.answer.got_s += seconds
                one.answer.first_s += seconds
                if one.answer.sent_s > 20.2:
                    one.answer.sent_s += seconds
    return change


def rewritten(which, parts, **how):
    """One playlist is another."""
    def change(session):
        one = [one for one in all_polls(session, "video") if which(one)][-1]
        one.answer.body = playlist_text("video", parts, **how).encode()
    return change


def parts_of_an_old_segment(text):
    return re.sub(r"(#EXTINF:2\.000000,\n8\.m4s)",
                  r'#EXT-X-PART:DURATION=0.500000,URI="8.0.m4s",INDEPENDENT=YES\n\1', text)


def stale_answers(session):
    """To a request for what comes behind a segment's last part: the playlist as it was."""
    polls = [one for one in all_polls(session, "video") if one.is_directed and one.skip]
    for before, one in zip(polls, polls[1:]):
        if one.part == PARTS:
            one.answer.body = before.answer.body


def swapped_dates(text):
    one, *_, other = re.findall("DATE-TIME:(.*)", text)
    return text.replace(one, "~").replace(other, one).replace("~", other)


def each_text(function, which=lambda one: True):
    def change(session):
        for one in all_polls(session, "video"):
            if which(one):
                one.answer.body = function(one.answer.body.decode()).encode()
    return change


CONTROL = "#EXT-X-SERVER-CONTROL:"
BREAKS = {
    "extinf-is-true": every(r"EXTINF:2\.0", "EXTINF:1.9"),
    "timestamps-continue": got("segment", 3, body=segment_of("video", 3, late_ms=40)),
    "init-has-no-samples": got("map", body=init_of("video", samples=1)),
    "init-is-ftyp-and-moov": got("map", body=init_of("video", brand=b"isom")),
    "init-is-of-fragments": got("map", body=init_of("video", duration=7)),
    "fragments-are-read": got("part", body=lambda body: body[:-1]),
    "map-applies": every("#EXT-X-MAP.*\n", ""),
    "parts-make-up-their-parent": got("segment", 5, body=segment_of("video", 4)),
    "is-identifiable": told(lambda poll: True, url=HOST, headers={}),
    "is-clean-text": once("#EXTINF:2", "#EXTINF:2\x07"),
    "can-be-read": once("#EXT-X-TARGETDURATION.*\n", ""),
    "begins-with-extm3u": once("^#EXTM3U", "\n#EXTM3U"),
    "tags-are-there-once": once("(#EXT-X-MEDIA-SEQ.*\n)", r"\1\1"),
    "no-multivariant-tags": once("(#EXT-X-MEDIA-SEQ)", r"#EXT-X-STREAM-INF:BANDWIDTH=1\n\1"),
    "version-suffices": every("VERSION:9", "VERSION:8"),
    "version-is-modest": every("VERSION:6", "VERSION:7"),
    "target-is-a-duration": every("TARGETDURATION:2", "TARGETDURATION:0"),
    "segments-keep-the-target": once(r"EXTINF:2\.0", "EXTINF:2.5"),
    "sequences-stand-first": once(r"(#EXT-X-MEDIA-SEQ.*\n)([^!]*?\.m4s\n)", r"\2\1"),
    "part-target-is-told": every("#EXT-X-PART-INF.*\n", ""),
    "skip-boundary-is-far": every("UNTIL=12", "UNTIL=11.9"),
    "dateranges-need-a-boundary": every("CAN-SKIP-UNTIL=12", "CAN-SKIP-DATERANGES=YES"),
    "hold-back-is-far": every(CONTROL, CONTROL + "HOLD-BACK=5.9,"),
    "part-hold-back-is-far": every(r"PART-HOLD-BACK=1\.5", "PART-HOLD-BACK=0.9"),
    "part-hold-back-is-enough": every(r"PART-HOLD-BACK=1\.5", "PART-HOLD-BACK=1.4"),
    "segments-have-durations": once("#EXTINF:.*\n", ""),
    "dates-are-exact": once(r"\.000Z", "Z"),
    "parts-are-told": once(r'(EXT-X-PART:DURATION=0.500000),URI=".*?"', r"\1"),
    "tags-stand-before-parts": once("(#EXT-X-PROGRAM.*\n)(#EXT-X-PART:.*\n)", r"\2\1"),
    "parts-are-short": once(r"PART:DURATION=0\.500000", "PART:DURATION=0.500100"),
    "parts-are-not-too-short": once(r"PART:DURATION=0\.500000(,.*\.1\.m4s\"\n)",
                                    r"PART:DURATION=0.424\1"),
    "independence-is-true": every(r'(PART:.*\.1\.m4s")\n', r"\1,INDEPENDENT=YES\n", "video"),
    "independence-is-told": every(",INDEPENDENT=YES", "", "video"),
    "segments-are-independent": got("segment", 2, body=segment_of("video", 2, is_sync=False)),
    "skip-is-told-once": once("(#EXT-X-SKIP.*\n)", r"\1\1"),
    "hints-are-told": once("TYPE=PART", "TYPE=SEGMENT"),
    "no-hint-at-the-end": once("#EXT-X-ENDLIST",
                               '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="20.0.m4s"\n#EXT-X-ENDLIST'),
    "one-hint-of-a-type": once("(#EXT-X-PRELOAD.*\n)", r"\1\1"),
    "hints-come-true": once(r'(TYPE=PART,URI=")(\d+\.[12]\.)', r"\g<1>1\2"),
    "hints-are-kept": once(r'(TYPE=PART,URI=")(\d+\.0\.)', r"\g<1>1\2"),
    "reports-are-told": once(r'URI="\.\./', 'URI="/live/name/'),
    "reports-are-true": once("LAST-MSN=1", "LAST-MSN="),
    "target-stays": once("TARGETDURATION:2", "TARGETDURATION:3"),
    "segments-stay": once(r"(EXTINF:.*\n15)\.m4s", r"\1.mp4", which=is_whole_list),
    "parts-stay": once(r"PART:DURATION=0\.500000", "PART:DURATION=0.499"),
    "promises-stay": once("PART-HOLD-BACK=1.5", "PART-HOLD-BACK=1.6"),
    "dates-do-not-overlap": each_text(swapped_dates, at_the_end),
    "segments-come-in-time": later(1.2),
    "parts-come-in-time": later(0.2),
    "the-end-is-the-end": rewritten(at_the_end, END * PARTS - 1),
    "sequence-counts": once(r"MEDIA-SEQUENCE:(\d+)", r"MEDIA-SEQUENCE:1\1", which=is_whole_list),
    "sequence-does-not-fall": once(r"MEDIA-SEQUENCE:\d+", "MEDIA-SEQUENCE:0",
                                   which=is_whole_list),
    "parts-go": each_text(parts_of_an_old_segment, is_whole_list),
    "parts-go-in-order": once(r"(13\.m4s\n.*\n)(?:#EXT-X-PART:.*\n)+(#EXTINF)", r"\1\2",
                              which=lambda one: b'"13.0.m4s"' in one.answer.body),
    "window-is-long": rewritten(is_whole_list, 67, window=2),
    "discontinuities-are-counted": every("#EXT-X-DISCONTINUITY-SEQ.*\n", ""),
    "discontinuity-numbers-stay": once("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"),
    "discontinuity-sequence-does-not-fall": told(lambda poll: poll.answer.got_s < 3, body=lambda
                                                 body: body.replace(b"NCE:0", b"NCE:1")),
    "has-no-type": once("(#EXT-X-MEDIA-SEQ)", r"#EXT-X-PLAYLIST-TYPE:EVENT\n\1",
                        which=is_whole_list),
    "segments-are-there": got("segment", status=404),
    "parts-are-there": got("part", got_s=lambda got_s: got_s + 1),
    "old-parts-are-there": got("old part", status=404),
    "old-segments-are-there": got("old segment", status=404),
    "hints-are-answered": got("hint", 7, status=404),
    "hints-come-in-one-go": got("hint", 7, first_s=lambda first_s: first_s - 0.3),
    "strangers-are-not-found": got("stranger", got_s=12, first_s=12),
    "text-is-packed": told(lambda poll: True, headers={"content-type": "audio/mpegurl"}),
    "targets-are-equal": every("TARGETDURATION:2", "TARGETDURATION:3", "audio-1"),
    "controls-are-equal": every(CONTROL, CONTROL + "HOLD-BACK=6,", "audio-1"),
    "discontinuities-match": every("DISCONTINUITY-SEQUENCE:", "DISCONTINUITY-SEQUENCE:1",
                                   "audio-1"),
    "dates-match-media": every("T12:", "T13:", "audio-1"),
    "updates-are-given": rewritten(lambda one: b"EXT-X-SKIP" in one.answer.body, END * PARTS - 1),
    "updates-skip-what-is-old": rewritten(lambda one: b"EXT-X-SKIP" in one.answer.body,
                                          END * PARTS - 1, skip=True, more=1),
    "updates-keep-the-rest": every(r"(SKIPPED-SEGMENTS=\d+\n)#EXT-X-PROGRAM.*\n", r"\1"),
    "no-updates-at-the-end": once(
        r"(#EXT-X-DISCONTINUITY-SEQ.*\n)[^!]*?(#EXTINF)", r"\1#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n\2",
        which=lambda one: at_the_end(one) and one.skip),
    "whole-unless-asked": told(lambda poll: poll.skip and poll.answer.got_s > 30, skip=False),
    "waits-for-what-was-asked": told(lambda poll: poll.part == 2, part=3),
    "goes-on-with-the-next-segment": stale_answers,
    "does-not-wait-for-what-is-there": told(lambda poll: poll.msn == 1 and poll.part is None,
                                            first_s=13),
    "does-not-wait-at-the-end": told(lambda poll: poll.msn == END, first_s=45),
    "refuses-what-is-too-far": told(lambda poll: poll.part == 12, status=503),
    "refuses-a-part-of-nothing": told(lambda poll: poll.answer.status == 400 and poll.msn is None,
                                      status=404),
    "gives-up-in-time": told(lambda poll: poll.answer.status == 503, first_s=18),
    "dates-are-there": every("#EXT-X-PROGRAM.*\n", ""),
    "parts-go-with-blocking": every("CAN-BLOCK-RELOAD=YES,", ""),
    "parts-go-with-hints": once("#EXT-X-PRELOAD.*\n", ""),
    "reports-of-all-others": once("#EXT-X-RENDITION.*\n", ""),
}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_can_be_broken(name):
    session = good_session()
    BREAKS[name](session)
    assert judge(session.read(), [name])[0]
