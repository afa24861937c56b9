# SPDX-License-Identifier: MIT
"""What draft-pantos-hls-rfc8216bis-22 (1 May 2026) asks of a server's live media playlists, of
parts, hints, reports, delta updates and blocking reloads, and of when what they name can be had:
rules, each with its section and its words. Here are those of what stands in playlists and segments,
and of how they change; those of answers are in llhls_answers.

Rules of SHOULD are advice. Left out: what concerns encryption, date ranges, gaps and I-frame
playlists, which leat does not write, and clients. Appendix B.1 is quoted from what others quote."""

import re

import llhls_answers
from llhls_media import problem_of_init
from llhls_table import (EXACT_S, RULES, answers, came, controlled, deltas, fragments_of_parents,
                         inits, judge, live, media, parts, playlists, reports, rule, segments,
                         steps, with_parts)

__all__ = ["RULES", "judge", "llhls_answers"]

SAMPLE_S = 1e-3      # EXTINF and the samples
SOUND_S = 0.1        # sound beside a video, which ends where the publisher ends, too
OVERLAP_S = 1        # of dates, "sub-second" (section 6.2.1)
MULTIVARIANT_TAGS = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF",
                     "EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY", "EXT-X-CONTENT-STEERING"}
ONCE = {"EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START", "EXT-X-TARGETDURATION",
        "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
        "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL"}
BEFORE_PARTS = {"EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME"}


# ---- 3: segments and parts -----------------------------------------------------------------------

@rule("3",
      "The value is the total presentation duration of samples in the segment … preferring "
      "video media over audio", over=lambda session: session.media.segments())
def extinf_is_true(listed, lead, fragments):
    """Where a publisher ends, sound may go on behind the last picture, and count."""
    slack_s = SAMPLE_S if lead[0].kind == "video" else SOUND_S
    told = listed.duration
    real = sum(fragment.end - fragment.begin for fragment in lead)
    longest = max(fragment.end for fragment in fragments) - lead[0].begin
    if not real - slack_s < told < max(real, longest) + slack_s:
        return f"{told} s are told, its samples last {float(real)} s"


@rule("3",
      "values in a series such as timestamps … MUST continue uninterrupted",
      over=lambda session: session.media.neighbours())
def timestamps_continue(end, begin):
    if abs(end - begin) > SAMPLE_S:
        return f"one ends at {float(end):.6f} s, the next begins at {float(begin):.6f} s"


@rule("3.1", "The Media Initialization Section MUST NOT contain sample data", over=inits)
def init_has_no_samples(body):
    return problem_of_init(body).get("samples")


@rule("3.1.2",
      "MUST contain a File Type Box containing a brand that is compatible with iso6 or higher. "
      "The File Type Box MUST be followed by a Movie Box", over=inits)
def init_is_ftyp_and_moov(body):
    return problem_of_init(body).get("boxes")


@rule("3.1.2",
      "Movie Header Boxes and Track Header Boxes MUST have durations of zero. The Movie Box "
      "MUST contain a Movie Extends Box", over=inits)
def init_is_of_fragments(body):
    return problem_of_init(body).get("durations")


@rule("3.1.2",
      "a Track Box for every Track Fragment Box, with matching track_ID … every Track Fragment "
      "Box MUST contain a Track Fragment Decode Time Box … MUST use movie-fragment-relative "
      "addressing", over=media)
def fragments_are_read(problem):
    return problem


@rule("3.1.2",
      "Each fMP4 Segment in a Media Playlist MUST have an EXT-X-MAP tag applied to it",
      over=segments)
def map_applies(_, segment):
    if not segment.map:
        return "no EXT-X-MAP applies to it"


@rule("3.2",
      "A Parent Segment and its entire set of Partial Segments MUST contain the same set of "
      "media samples, with the same timing and metadata", over=fragments_of_parents)
def parts_make_up_their_parent(body, joined):
    if body != joined:
        return f"{len(joined)} bytes of parts, {len(body)} of the segment, or others"


# ---- 4.1 … 4.4.2: the file -----------------------------------------------------------------------

@rule("4",
      "Each Playlist file MUST be identifiable either by the path component of its URI or by "
      "HTTP Content-Type", over=answers)
def is_identifiable(poll):
    media_type = poll.answer.headers.get("content-type", "").split(";")[0]
    path = re.sub(r"[?#].*", "", poll.answer.url)
    if media_type not in ("application/vnd.apple.mpegurl", "audio/mpegurl") and \
            not path.endswith((".m3u8", ".m3u")):
        return f"{media_type!r}"


@rule("4.1",
      "MUST be encoded in UTF-8 … MUST NOT contain any Byte Order Mark … MUST NOT contain UTF-8 "
      "control characters … with the exceptions of CR and LF", over=answers)
def is_clean_text(poll):
    try:
        text = poll.answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        return str(error)
    if found := re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]", text):
        return f"{found[0]!r} at {found.start()}"


@rule("4.2", "in our words: what a client cannot read is of no use", over=answers)
def can_be_read(poll):
    return poll.problem


@rule("4.4.1.1", "It MUST be the first line of every Media Playlist", over=answers)
def begins_with_extm3u(poll):
    if poll.answer.body.splitlines()[:1] != [b"#EXTM3U"]:
        return "it begins otherwise"


@rule("4.4.3",
      "There MUST NOT be more than one Media Playlist tag of each type in any Media Playlist "
      "(so sections 4.4.1.2, 4.4.2)", over=playlists)
def tags_are_there_once(playlist):
    twice = {tag.name for tag in playlist.tags if tag.name in ONCE
             and len(playlist.all(tag.name)) > 1}
    return twice and f"twice: {sorted(twice)}"


@rule("4.4.4",
      "Clients MUST fail to parse Playlists that contain both Media Segment tags and "
      "Multivariant Playlist tags", over=playlists)
def no_multivariant_tags(playlist):
    found = {tag.name for tag in playlist.tags} & MULTIVARIANT_TAGS
    return found and f"{sorted(found)}"


def version_needed(playlist):
    if playlist.all("EXT-X-SKIP"):
        return 9
    return 6 if playlist.all("EXT-X-MAP") else 3


@rule("8",
      "A Playlist MUST indicate an EXT-X-VERSION of 9 or higher if it contains: The EXT-X-SKIP "
      "tag (6: EXT-X-MAP; 3: floating-point EXTINF)", over=playlists)
def version_suffices(playlist):
    if playlist.version < version_needed(playlist):
        return f"{playlist.version}, but {version_needed(playlist)} is needed"


@rule("6.2.1",
      "The value of the EXT-X-VERSION tag SHOULD NOT be greater than what is required",
      over=playlists, must=False)
def version_is_modest(playlist):
    if playlist.version > version_needed(playlist):
        return f"{playlist.version}, but {version_needed(playlist)} is enough"


# ---- 4.4.3: tags of the playlist -----------------------------------------------------------------

@rule("4.4.3.1", "Its value MUST be at least 1", over=playlists)
def target_is_a_duration(playlist):
    if playlist.target < 1:
        return f"{playlist.target}"


@rule("4.4.3.1",
      "The EXTINF duration of each Media Segment, when rounded to the nearest integer, MUST be "
      "less than or equal to the Target Duration (so section 6.2.1)", over=segments)
def segments_keep_the_target(playlist, segment):
    if segment.is_whole and int(segment.duration + 0.5) > playlist.target:
        return f"{segment.duration} s, the target is {playlist.target} s"


@rule("4.4.3.2, 4.4.3.3",
      "MUST appear before the first Media Segment in the Playlist … MUST appear before any "
      "EXT-X-DISCONTINUITY tag", over=playlists)
def sequences_stand_first(playlist):
    lines = [tag.line for tag in playlist.tags
             if tag.name in ("EXTINF", "EXT-X-PART", "EXT-X-DISCONTINUITY")]
    for name in ("EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"):
        if any(tag.line > min(lines, default=tag.line) for tag in playlist.all(name)):
            return f"{name} stands behind a segment"


@rule("4.4.3.7",
      "It is REQUIRED if a Playlist contains one or more EXT-X-PART tags", over=with_parts)
def part_target_is_told(playlist):
    if playlist.part_target is None:
        return "no PART-TARGET"


@rule("4.4.3.8",
      "The Skip Boundary MUST be at least six times the Target Duration", over=controlled)
def skip_boundary_is_far(playlist):
    until = playlist.number("CAN-SKIP-UNTIL")
    if until is not None and until < 6 * playlist.target:
        return f"{until} s"


@rule("4.4.3.8",
      "CAN-SKIP-DATERANGES … REQUIRES the presence of the CAN-SKIP-UNTIL attribute",
      over=controlled)
def dateranges_need_a_boundary(playlist):
    if "CAN-SKIP-DATERANGES" in playlist.control and "CAN-SKIP-UNTIL" not in playlist.control:
        return "CAN-SKIP-DATERANGES alone"


@rule("4.4.3.8", "HOLD-BACK … MUST be at least three times the Target Duration", over=controlled)
def hold_back_is_far(playlist):
    back = playlist.number("HOLD-BACK")
    if back is not None and back < 3 * playlist.target:
        return f"{back} s"


@rule("4.4.3.8",
      "PART-HOLD-BACK is REQUIRED if the Playlist contains the EXT-X-PART-INF tag. Its value "
      "MUST be at least twice the Part Target Duration", over=playlists)
def part_hold_back_is_far(playlist):
    back = playlist.number("PART-HOLD-BACK")
    if playlist.part_target is not None and (
            back is None or back < 2 * playlist.part_target - EXACT_S):
        return f"{back}, the part target is {playlist.part_target} s"


@rule("4.4.3.8",
      "Its value SHOULD be at least three times the Part Target Duration",
      over=playlists, must=False)
def part_hold_back_is_enough(playlist):
    back = playlist.number("PART-HOLD-BACK")
    if playlist.part_target is not None and back is not None and \
            back < 3 * playlist.part_target - EXACT_S:
        return f"{back} s, the part target is {playlist.part_target} s"


# ---- 4.4.4: tags of segments ---------------------------------------------------------------------

@rule("4.4.4.1", "EXTINF … is REQUIRED for each Media Segment", over=segments)
def segments_have_durations(_, segment):
    if segment.is_whole and segment.extinf is None:
        return "no EXTINF"


@rule("4.4.4.6",
      "It SHOULD indicate a time zone and fractional parts of seconds, to at least millisecond "
      "accuracy", over=playlists, must=False)
def dates_are_exact(playlist):
    for tag in playlist.all("EXT-X-PROGRAM-DATE-TIME"):
        if not re.search(r"\.\d{3,}(Z|[+-]\d\d:?\d\d)$", tag.value):
            return tag.value


@rule("4.4.4.9", "URI … DURATION … This attribute is REQUIRED", over=parts)
def parts_are_told(_, segment, index):
    missing = {"URI", "DURATION"} - set(segment.parts[index].attributes)
    return missing and f"no {sorted(missing)}"


@rule("4.4.4.9",
      "EXT-X-DISCONTINUITY, EXT-X-KEY, EXT-X-MAP, or EXT-X-PROGRAM-DATE-TIME … MUST appear "
      "before the first EXT-X-PART tag of that Parent Segment", over=segments)
def tags_stand_before_parts(_, segment):
    if "EXT-X-PART" in segment.tags:
        late = BEFORE_PARTS & set(segment.tags[segment.tags.index("EXT-X-PART"):])
        return late and f"{sorted(late)} behind a part"


@rule("4.4.4.9",
      "The duration of a Partial Segment MUST be less than or equal to the Part Target Duration",
      over=parts)
def parts_are_short(playlist, segment, index):
    duration = segment.parts[index].duration
    if playlist.part_target is not None and duration > playlist.part_target + EXACT_S:
        return f"{duration} s, the target is {playlist.part_target} s"


@rule("4.4.4.9",
      "MUST be at least 85% of the Part Target Duration, with the exception of … "
      "INDEPENDENT=YES … and the final Partial Segment of any Parent Segment", over=parts)
def parts_are_not_too_short(playlist, segment, index):
    part = segment.parts[index]
    is_last = index + 1 == len(segment.parts)  # of one in the making: it may come to be the last
    if playlist.part_target is not None and not part.is_independent and not is_last and \
            part.duration < 0.85 * playlist.part_target - EXACT_S:
        return f"{part.duration} s, the target is {playlist.part_target} s"


@rule("4.4.4.9",
      "The value is an enumerated-string whose value is YES if the Partial Segment contains an "
      "independent frame", over=lambda session: session.media.parts())
def independence_is_true(part, fragments):
    if part.is_independent and not any(fragment.has_sync for fragment in fragments):
        return "INDEPENDENT=YES, but it has no sync sample"


@rule("4.4.4.9",
      "Every Partial Segment containing an independent frame SHOULD carry it",
      over=lambda session: session.media.parts(), must=False)
def independence_is_told(part, fragments):
    if not part.is_independent and any(fragment.has_sync for fragment in fragments):
        return "it has a sync sample, but not INDEPENDENT=YES"


@rule("4.4.2.1",
      "all media samples in a Media Segment can be decoded without information from other "
      "segments", over=lambda session: session.media.independent_segments())
def segments_are_independent(fragments):
    if not fragments[0].begins_with_sync:
        return "EXT-X-INDEPENDENT-SEGMENTS, but it begins with no sync sample"


# ---- 4.4.5: skips, hints and reports -------------------------------------------------------------

@rule("4.4.5.2",
      "This tag MUST NOT appear more than once in a Playlist. SKIPPED-SEGMENTS … REQUIRED",
      over=lambda session: ((where, after) for where, _, after in deltas(session)))
def skip_is_told_once(playlist):
    tags = playlist.all("EXT-X-SKIP")
    if len(tags) != 1 or "SKIPPED-SEGMENTS" not in tags[0].value:
        return f"{[tag.value for tag in tags]}"


@rule("4.4.5.3",
      "TYPE … URI … This attribute is REQUIRED",
      over=lambda session: ((where, hint) for where, playlist in playlists(session)
                            for hint in playlist.hints))
def hints_are_told(hint):
    if "URI" not in hint or hint.get("TYPE") not in ("PART", "MAP"):
        return f"{hint}"


@rule("4.4.5.3",
      "A Playlist containing an EXT-X-ENDLIST tag MUST NOT contain an EXT-X-PRELOAD-HINT tag",
      over=lambda session: ((where, playlist) for where, playlist in playlists(session)
                                   if playlist.is_ended))
def no_hint_at_the_end(playlist):
    return playlist.hints and f"{playlist.hints}"


@rule("6.2.6",
      "The Server SHOULD NOT add more than one EXT-X-PRELOAD-HINT tag with the same TYPE",
      over=live, must=False)
def one_hint_of_a_type(playlist):
    types = [hint.get("TYPE") for hint in playlist.hints]
    if len(types) != len(set(types)):
        return f"{playlist.hints}"


def added_parts(before, after):
    """(segment, index) of the parts that `after` has and `before` had not."""
    for segment in after.segments:
        for index in range(len(segment.parts)):
            if (segment.msn, index) > before.last:
                yield segment, index


def hint_steps(session):
    """Two playlists that follow each other, and all URIs of parts from then on."""
    for url in session.polls:
        polls, later = list(session.good(url)), set()
        for before, after in reversed(list(zip(polls, polls[1:]))):
            later |= {part.uri for segment in after.seen.segments for part in segment.parts}
            yield f"{url} at {after.answer.got_s:.3f}", before.seen, after.seen, set(later)


def failed_hint(before, after, later):
    """(what was hinted, the segment and the index of the part that came instead). A hint may come
    true later: as part 0 of a segment that was expected to begin earlier."""
    hinted = [hint.get("URI") for hint in before.hints if hint.get("TYPE") == "PART"]
    segment, index = next(added_parts(before, after), (None, None))
    if not hinted or not segment or later & set(hinted):
        return None
    return hinted, segment, index


@rule("4.4.5.3",
      "It MUST match the URI that will be subsequently added to the Playlist as a non-hinted "
      "resource", over=hint_steps)
def hints_come_true(*step):
    """Unless another segment has begun: a server MAY not publish what was hinted if the planned
    segmentation changes (section 6.2.6)."""
    hinted, segment, index = failed_hint(*step) or ([], None, 0)
    return index > 0 and f"{hinted} was hinted, {segment.parts[index].uri} came"


@rule("6.2.6",
      "in our words: planned segmentation changes are rare, and a hint that fails costs clients a "
      "request", over=hint_steps, must=False)
def hints_are_kept(*step):
    hinted, segment, index = failed_hint(*step) or ([], None, 0)
    if hinted and not segment.is_discontinuity:
        return f"{hinted} was hinted, {segment.parts[index].uri} came"


@rule("4.4.5.4",
      "URI … MUST be relative to the URI of the Media Playlist; LAST-MSN and LAST-PART are "
      "numbers", over=reports)
def reports_are_told(_, __, poll, report):
    uri = report.get("URI", "")
    if not uri or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|/", uri):
        return f"URI {uri!r}"
    numbers = [report.get(name, "0") for name in ("LAST-MSN", "LAST-PART")]
    return not all(number.isdecimal() for number in numbers) and f"{report}"


@rule("4.4.5.4",
      "carries information about an associated Rendition that is as up-to-date as the Playlist "
      "that contains it", over=reports)
def reports_are_true(session, url, poll, report):
    own = poll.seen.last  # what is the same may be left out
    told = int(report.get("LAST-MSN", own[0])), int(report.get("LAST-PART", own[1]))
    others = list(session.good(session.resolve(url, report.get("URI", ""))))
    before = [one.seen.last for one in others if one.answer.got_s <= poll.answer.sent_s]
    after = [one.seen.last for one in others if one.answer.sent_s >= poll.answer.got_s]
    if before and told < max(before):
        return f"{report} when {max(before)} had been seen"
    if after and told > after[0]:
        return f"{report} when later {after[0]} was the last"


# ---- 6.2.1, 6.2.2: what changes, and when --------------------------------------------------------

def common(before, after):
    """The same segment in both, where both have it whole."""
    for segment in after.segments:
        old = before.segment(segment.msn)
        if old and old.is_whole and segment.is_whole:
            yield old, segment


@rule("6.2.1",
      "The value of the EXT-X-TARGETDURATION tag in the Media Playlist MUST NOT change", over=steps)
def target_stays(before, after):
    if before.target != after.target:
        return f"{before.target}, then {after.target}"


@rule("6.2.1",
      "The server MUST NOT change the Media Playlist file, except to: Append lines … Remove "
      "Media Segment URIs … in the order that they appear", over=steps)
def segments_stay(before, after):
    for old, new in common(before, after):
        if old.same() != new.same():
            return f"segment {old.msn}: {old.same()}, then {new.same()}"
    if after.last < before.last:
        return f"the end was {before.last}, then {after.last}"


@rule("6.2.1",
      "(the same) of parts, which may be appended, and removed with the segment's others",
      over=steps)
def parts_stay(before, after):
    for segment in after.segments:
        old = before.segment(segment.msn)
        if not old or not old.parts or not segment.parts:
            continue
        both = list(zip(old.parts, segment.parts))
        if len(segment.parts) < len(old.parts) or any(one != other for one, other in both):
            return f"parts of segment {segment.msn}"
        if old.is_whole and len(segment.parts) != len(old.parts):
            return f"segment {segment.msn} was whole and has one more part"


@rule("6.2.1",
      "(the same) of tags that tell of the whole: what they say holds for the playlist", over=steps)
def promises_stay(before, after):
    for name in ("EXT-X-SERVER-CONTROL", "EXT-X-PART-INF", "EXT-X-INDEPENDENT-SEGMENTS"):
        values = [[tag.value for tag in playlist.all(name)] for playlist in (before, after)]
        if values[0] != values[1]:
            return f"{name}: {values[0]}, then {values[1]}"


@rule("6.2.1",
      "MUST NOT add any EXT-X-PROGRAM-DATE-TIME tag … that would cause the mapping between "
      "program date and Media Segment to become ambiguous", over=playlists)
def dates_do_not_overlap(playlist):
    pairs = zip(playlist.segments, playlist.segments[1:])
    for old, new in pairs:
        if None not in (old.date, new.date) and new.date < old.date + old.duration - OVERLAP_S:
            return f"segment {new.msn} begins {old.date + old.duration - new.date:.3f} s early"


@rule("6.2.1",
      "MUST be made available no later than 1.5 times the Target Duration after the previous "
      "time the Playlist was updated with a Media Segment",
      over=lambda session: arrivals(
          session, lambda playlist: playlist.last_whole))
def segments_come_in_time(session, playlist, waited_s):
    if waited_s > 1.5 * playlist.target + session.slack_s:
        return f"{waited_s:.3f} s after the last one"


@rule("6.2.1",
      "the Server MUST add a new Partial Segment to the Playlist within one Part Target "
      "Duration after it added the previous Partial Segment",
      over=lambda session: arrivals(
          session, lambda playlist: playlist.last))
def parts_come_in_time(session, playlist, waited_s):
    if playlist.part_target is not None and waited_s > playlist.part_target + session.slack_s:
        return f"{waited_s:.3f} s after the last one"


def arrivals(session, mark):
    """How long after something new the next new thing was seen, in live playlists. Only as true as
    the requests are close: those that blocked."""
    for url in session.polls:
        seen, since = None, None
        for poll in session.good(url):
            now = mark(poll.seen)
            if seen is not None and now > seen and since is not None and poll.is_directed:
                yield (f"{url} at {poll.answer.got_s:.3f}", session, poll.seen,
                       poll.answer.got_s - since)
            if now != seen:
                seen, since = now, poll.answer.got_s


@rule("4.4.3.4",
      "no more Media Segments will be added to the Media Playlist file",
      over=lambda session: ((where, before, after) for where, before, after in steps(session)
                            if before.is_ended))
def the_end_is_the_end(before, after):
    if not after.is_ended or after.last > before.last:
        return f"it ended at {before.last}, then came {after.last}"


@rule("6.2.2",
      "Its value MUST be incremented by 1 for every Media Segment that is removed", over=steps)
def sequence_counts(before, after):
    numbers = {segment.uri: segment.msn for segment in before.segments if segment.is_whole}
    for segment in after.segments:
        if segment.is_whole and numbers.get(segment.uri, segment.msn) != segment.msn:
            return f"{segment.uri} was {numbers[segment.uri]}, then {segment.msn}"


@rule("6.2.2", "It MUST NOT decrease or wrap", over=steps)
def sequence_does_not_fall(before, after):
    if after.sequence < before.sequence:
        return f"{before.sequence}, then {after.sequence}"


@rule("6.2.2",
      "EXT-X-PART tags SHOULD be removed from the Playlist after they are greater than three "
      "Target Durations from the end of the Playlist", over=with_parts, must=False)
def parts_go(playlist):
    for segment, _, end in playlist.distances():
        if segment.parts and end > 3 * playlist.target:
            return f"parts of segment {segment.msn}, {end:.3f} s from the end"


@rule("6.2.2",
      "Media Segments and EXT-X-PART tags MUST be removed from the Playlist in the order that "
      "they appear in the Playlist", over=with_parts)
def parts_go_in_order(playlist):
    has_parts = [bool(segment.parts) for segment in came(playlist)]
    if has_parts != sorted(has_parts):
        return f"segments with parts: {has_parts}"


@rule("6.2.2",
      "MUST NOT remove a Media Segment … if that would produce a Playlist whose duration is "
      "less than three times the Target Duration",
      over=lambda session: (
          (where, after) for where, before, after in steps(session)
          if after.sequence > before.sequence and not after.is_ended))
def window_is_long(playlist):
    if playlist.duration < 3 * playlist.target - EXACT_S:
        return f"{playlist.duration} s"


@rule("6.2.2",
      "If the server wishes to remove segments from a Media Playlist containing an "
      "EXT-X-DISCONTINUITY tag, the Media Playlist MUST contain an EXT-X-DISCONTINUITY-SEQUENCE "
      "tag",
      over=lambda session: ((where, playlist) for where, playlist in live(session)
                            if playlist.all("EXT-X-DISCONTINUITY")))
def discontinuities_are_counted(playlist):
    if not playlist.all("EXT-X-DISCONTINUITY-SEQUENCE"):
        return "no EXT-X-DISCONTINUITY-SEQUENCE"


@rule("6.2.2",
      "it MUST increment the value of the EXT-X-DISCONTINUITY-SEQUENCE tag so that the "
      "Discontinuity Sequence Numbers of the segments still in the Media Playlist remain "
      "unchanged (so section 4.4.5.2, of EXT-X-SKIP)", over=steps)
def discontinuity_numbers_stay(before, after):
    for old, new in common(before, after):
        if old.discontinuity != new.discontinuity:
            return f"segment {old.msn} was of {old.discontinuity}, then of {new.discontinuity}"


@rule("6.2.2",
      "The value of the EXT-X-DISCONTINUITY-SEQUENCE tag MUST NOT decrease or wrap", over=steps)
def discontinuity_sequence_does_not_fall(before, after):
    if after.discontinuity_sequence < before.discontinuity_sequence:
        return f"{before.discontinuity_sequence}, then {after.discontinuity_sequence}"


@rule("6.2.2", "A Live Playlist MUST NOT contain the EXT-X-PLAYLIST-TYPE tag", over=live)
def has_no_type(playlist):
    return playlist.all("EXT-X-PLAYLIST-TYPE") and "EXT-X-PLAYLIST-TYPE"


# ---- Appendix B.1: the profile of servers with low latency ---------------------------------------

@rule("B.1", "in our words: Media Playlists have EXT-X-PROGRAM-DATE-TIME", over=with_parts)
def dates_are_there(playlist):
    if not any(segment.date for segment in playlist.segments):
        return "no EXT-X-PROGRAM-DATE-TIME"


@rule("B.1", "in our words: with parts goes CAN-BLOCK-RELOAD=YES", over=with_parts)
def parts_go_with_blocking(playlist):
    if playlist.control.get("CAN-BLOCK-RELOAD") != "YES":
        return "no CAN-BLOCK-RELOAD"


@rule("B.1",
      "in our words: with parts goes a hint of the next one that is expected",
      over=lambda session: ((where, playlist) for where, playlist in with_parts(session)
                            if not playlist.is_ended), must=False)
def parts_go_with_hints(playlist):
    if not any(hint.get("TYPE") == "PART" for hint in playlist.hints):
        return "no hint"


@rule("B.1",
      "Each Media Playlist MUST contain one EXT-X-RENDITION-REPORT tag for each Media Playlist "
      "(Rendition) in the Multivariant Playlist, except for the Media Playlist to which the "
      "EXT-X-RENDITION-REPORT tag is being added",
      over=lambda session: (
          (where, session, url, poll) for url, polls in session.polls.items()
          for where, poll in [(f"{url} at {poll.answer.got_s:.3f}", poll) for poll in polls]
          if poll.seen and not poll.seen.is_ended and len(session.renditions) > 1))
def reports_of_all_others(session, url, poll):
    told = sorted(session.resolve(url, report.get("URI", "")) for report in poll.seen.reports)
    wanted = sorted(set(session.renditions) - {url})
    if told != wanted:
        return f"{told}, not {wanted}"
