# SPDX-License-Identifier: MIT
"""The rules of llhls_rules that tell of answers: what can be had and when, renditions beside each
other, delta updates, and requests that wait."""

from llhls_playlist import SEGMENT_TAGS
from llhls_table import EXACT_S, answers, deltas, rule

PROMPT_S = 0.5  # what is there comes at once; with a session's slack
BURST_S = 0.05  # what is there comes at the full speed of the link; so, too
DATE_S = 0.05   # dates and media times of renditions


# ---- What rules look at --------------------------------------------------------------------------

def twins(session):
    """An update and a whole playlist that tell of the same moment."""
    for url in session.polls:
        whole = {(poll.seen.sequence, poll.seen.last): poll.seen for poll in session.good(url)
                 if poll.seen.skipped is None}
        for poll in session.good(url):
            key = poll.seen.sequence, poll.seen.last
            if poll.seen.skipped is not None and key in whole:
                yield f"{url} at {poll.answer.got_s:.3f}", poll.seen, whole[key]


def skip_requests(session):
    return ((where, poll) for where, poll in answers(session) if poll.skip and poll.seen)


def plain_requests(session):
    return ((where, poll) for where, poll in answers(session) if not poll.skip and poll.seen)


def directed(session):
    """Requests with _HLS_msn or _HLS_part, and what was known of the playlist when they were sent:
    the newest that had come by then."""
    for url, polls in session.polls.items():
        known = list(session.good(url))
        for poll in polls:
            before = [one.seen for one in known if one.answer.got_s <= poll.answer.sent_s]
            if poll.is_directed and before:
                yield f"{url} at {poll.answer.sent_s:.3f}", session, poll, before[-1]


def blocking(session):
    """Those that a server has to answer with a playlist, sooner or later."""
    return ((where, session, poll, known) for where, session, poll, known in directed(session)
            if poll.msn is not None and not is_too_far(poll, known) and not known.is_ended)


def fetched(*kinds):
    def over(session):
        return ((fetch.answer.url, session, fetch) for fetch in session.fetches
                if fetch.kind in kinds)
    return over


def renditions(session):
    """The first playlist and each other, at about the same moment: the last of each."""
    lasts = {url: polls[-1].seen for url in session.polls if (polls := list(session.good(url)))}
    first, *others = lasts.items() if len(lasts) > 1 else [None]
    for url, playlist in others:
        yield f"{first[0]} and {url}", first[1], playlist


# ---- 6.2.1, 6.2.2, 6.2.6: what can be had --------------------------------------------------------

def is_there(session, fetch, prompt_s=PROMPT_S):
    """None: it came, and at once."""
    if fetch.answer.status != 200 or not fetch.answer.body:
        return f"{fetch.answer.status}, {len(fetch.answer.body)} bytes"
    if fetch.answer.got_s - fetch.answer.sent_s > prompt_s + session.slack_s:
        return f"it took {fetch.answer.got_s - fetch.answer.sent_s:.3f} s"
    return None


@rule("6.2.1",
      "A Media Segment MUST be available for immediate download at the full speed of the link "
      "to the Client when it is added to a Playlist", over=fetched("segment", "map"))
def segments_are_there(session, fetch):
    return is_there(session, fetch)


@rule("6.2.1",
      "A Partial Segment MUST be similarly available at the time it is added to a Playlist",
      over=fetched("part"))
def parts_are_there(session, fetch):
    return is_there(session, fetch)


@rule("6.2.2",
      "Clients MUST be able to download the Partial Segment for at least three Target Durations "
      "after the EXT-X-PART tag is removed from the Playlist",
      over=lambda session: gone(session, "old part"))
def old_parts_are_there(session, fetch):
    return is_there(session, fetch)


@rule("6.2.2",
      "clients MUST be able to download the segment until the time at which it first appeared "
      "in the Playlist plus the segment's Availability Duration",
      over=lambda session: gone(session, "old segment"))
def old_segments_are_there(session, fetch):
    return is_there(session, fetch)


def gone(session, kind):
    """What was asked for while it still had to be there."""
    for where, _, fetch in fetched(kind)(session):
        lists = [poll.seen for poll in session.good(fetch.playlist)
                 if poll.seen.segment(fetch.msn)]
        if lists and fetch.answer.sent_s < kept_until_s(fetch, lists):
            yield where, session, fetch


def kept_until_s(fetch, lists):
    if fetch.part is not None:
        return fetch.last_s + 3 * lists[-1].target
    longest = max(playlist.duration for playlist in lists)
    return fetch.listed_s + lists[-1].segment(fetch.msn).duration + longest


@rule("6.2.6",
      "A hinted resource MUST be available for request when its EXT-X-PRELOAD-HINT tag is added "
      "to the Playlist", over=fetched("hint"))
def hints_are_answered(session, fetch):
    """A server MAY choose not to publish what it has hinted, when plans change or the channel ends:
    then it is in no playlist."""
    segment = session.media.listed.get(fetch.playlist, {}).get(fetch.msn)
    is_listed = segment and fetch.part < len(segment.parts)
    if is_listed and (fetch.answer.status != 200 or not fetch.answer.body):
        return f"{fetch.answer.status}"


@rule("6.2.6",
      "the server MUST refrain from transmitting any bytes belonging to a Partial Segment until "
      "all bytes of that Partial Segment can be transmitted at the full speed of the link",
      over=fetched("hint"))
def hints_come_in_one_go(session, fetch):
    took_s = fetch.answer.got_s - fetch.answer.first_s
    if took_s > BURST_S + session.slack_s:
        return f"{took_s:.3f} s from its first byte to its last"


@rule("6.2.6",
      "The server SHOULD respond with 'Not Found' to a request for a resource that it cannot "
      "find and that is not specified by an EXT-X-PRELOAD-HINT tag",
      over=fetched("stranger"), must=False)
def strangers_are_not_found(session, fetch):
    if fetch.answer.status not in (404, 410) or \
            fetch.answer.waited_s > PROMPT_S + session.slack_s:
        return f"{fetch.answer.status} after {fetch.answer.waited_s:.3f} s"


@rule("6.2.1",
      "HTTP servers SHOULD transfer text files … using the \"gzip\" Content-Encoding if the "
      "client indicates that it is prepared to accept it", over=answers, must=False)
def text_is_packed(poll):
    if poll.answer.headers.get("content-encoding") != "gzip":
        return "it is not"


# ---- 6.2.4: renditions ---------------------------------------------------------------------------

@rule("6.2.4",
      "Each Media Playlist in each Variant Stream and Rendition MUST have the same Target "
      "Duration", over=renditions)
def targets_are_equal(one, other):
    if one.target != other.target:
        return f"{one.target} and {other.target}"


@rule("6.2.4",
      "all Media Playlists in that Multivariant Playlist MUST contain that tag "
      "[EXT-X-SERVER-CONTROL], with the same attributes and values", over=renditions)
def controls_are_equal(one, other):
    if one.control != other.control:
        return f"{one.control} and {other.control}"


@rule("6.2.4",
      "Matching content in Variant Streams and Renditions MUST have matching Discontinuity "
      "Sequence Numbers", over=renditions)
def discontinuities_match(one, other):
    dates = {segment.date: segment.discontinuity for segment in one.segments if segment.date}
    for segment in other.segments:
        if dates.get(segment.date, segment.discontinuity) != segment.discontinuity:
            return f"{dates[segment.date]} and {segment.discontinuity} of segment {segment.msn}"


@rule("6.2.4",
      "all Media Playlists in that Multivariant Playlist MUST contain EXT-X-PROGRAM-DATE-TIME "
      "tags with consistent mappings of date and time to media timestamps",
      over=lambda session: session.media.dates())
def dates_match_media(zero, other):
    if abs(zero - other) > DATE_S:
        return f"media time 0 is {zero:.3f} here, {other:.3f} there"


# ---- 6.2.5.1: delta updates ----------------------------------------------------------------------

def old_enough(playlist, with_open):
    """How many segments end further back than the Skip Boundary."""
    until = playlist.number("CAN-SKIP-UNTIL")
    open_s = 0 if with_open or playlist.segments[-1].is_whole else playlist.segments[-1].duration
    return sum(end - open_s > until + EXACT_S for _, _, end in playlist.distances())


@rule("6.2.5.1",
      "requested URI contains an _HLS_skip directive whose value is YES or v2, it MUST respond "
      "with a Playlist Delta Update", over=skip_requests)
def updates_are_given(poll):
    playlist = poll.seen
    if playlist.is_ended or "CAN-SKIP-UNTIL" not in playlist.control:
        return None
    if playlist.skipped is None and old_enough(playlist, with_open=False) > 0:
        return "it is the whole playlist"


@rule("6.2.5.1",
      "Media Segments that are further from the end of the last (Parent) Media Segment in the "
      "Playlist than the Skip Boundary … are replaced", over=deltas)
def updates_skip_what_is_old(_, after):
    if "CAN-SKIP-UNTIL" not in after.control:
        return "no CAN-SKIP-UNTIL"
    least, most = old_enough(after, with_open=False), old_enough(after, with_open=True)
    if not least <= after.skipped <= most:
        return f"{after.skipped} are skipped, not {least} … {most}"


@rule("6.2.5.1",
      "All tags that were not skipped MUST remain in the Playlist Delta Update", over=twins)
def updates_keep_the_rest(update, whole):
    def kept(playlist):
        return [line for line in playlist.lines if not line.startswith(
            ("#EXT-X-VERSION", "#EXT-X-SKIP", "#EXT-X-RENDITION-REPORT"))]
    wanted = kept(whole)
    uris = [number for number, line in enumerate(wanted) if not line.startswith("#")]
    first = next(number for number, line in enumerate(wanted)
                 if line[1:].partition(":")[0] in SEGMENT_TAGS)
    if update.skipped:
        del wanted[first:uris[update.skipped - 1] + 1]
    if kept(update) != wanted:
        return f"another playlist than the whole one:\n{update.text}\n{whole.text}"


@rule("6.2.5.1",
      "A Server MUST ignore the _HLS_skip directive if … it contains an EXT-X-ENDLIST tag",
      over=lambda session: ((where, poll) for where, poll in skip_requests(session)
                            if poll.seen.is_ended))
def no_updates_at_the_end(poll):
    return poll.seen.skipped is not None and f"{poll.seen.skipped} are skipped"


@rule("6.2.5.2", "The Server MUST deliver the entire Playlist", over=plain_requests)
def whole_unless_asked(poll):
    return poll.seen.skipped is not None and f"{poll.seen.skipped} are skipped, unasked"


# ---- 6.2.5.2: blocking reload --------------------------------------------------------------------

def is_too_far(poll, known):
    """By a playlist that may have gone on since: sure only of what is far beyond. A part that is
    asked for is beyond by parts of its own segment."""
    msn, part = known.last
    if poll.msn is None or poll.msn > known.segments[-1].msn + 2:
        return True
    limit = advance_limit(known)
    return poll.part is not None and poll.msn == msn and poll.part > part + limit


def advance_limit(playlist):
    target = playlist.part_target or 1
    return 3 / target if target < 1 else 3


def is_not_prompt(session, poll, status):
    answer = poll.answer
    if answer.status != status or answer.waited_s > PROMPT_S + session.slack_s:
        return f"{answer.status} after {answer.waited_s:.3f} s to {poll.msn}, {poll.part}"
    return None


@rule("6.2.5.2",
      "until the Playlist contains a Media Segment with a Media Sequence Number of M or later … "
      "the Partial Segment with Part Index N and with a Media Sequence Number of M or later or "
      "it responds with an error", over=blocking)
def waits_for_what_was_asked(_, poll, __):
    if poll.seen and not poll.seen.is_ended and not poll.seen.has(poll.msn, poll.part):
        return f"asked for {poll.msn}, {poll.part}; the last is {poll.seen.last}"


@rule("6.2.5.2",
      "If the Client requests a Part Index greater than that of the final Partial Segment of "
      "the Parent Segment, the Server MUST treat the request as one for Part Index 0 of the "
      "following Parent Segment",
      over=lambda session: (
          (where, session, poll) for where, session, poll, _ in blocking(session)
          if poll.seen and is_behind_the_last(poll)))
def goes_on_with_the_next_segment(session, poll):
    if poll.seen.last < (poll.msn + 1, 0) and not poll.seen.is_ended:
        return f"asked for {poll.msn}, {poll.part}; the last is {poll.seen.last}"


def is_behind_the_last(poll):
    segment = poll.seen.segment(poll.msn)
    return poll.part is not None and segment and segment.is_whole and segment.parts and \
        poll.part >= len(segment.parts)


@rule("6.2.5.2",
      "(the same) of what is there already, \"and even if it is no longer in the Playlist\": it "
      "comes at once",
      over=lambda session: (
          (where, session, poll) for where, session, poll, known in blocking(session)
          if known.has(poll.msn, poll.part)))
def does_not_wait_for_what_is_there(session, poll):
    return is_not_prompt(session, poll, 200)


@rule("6.2.5.2",
      "A Server MUST ignore _HLS_msn and _HLS_part if the Playlist contains an EXT-X-ENDLIST "
      "tag",
      over=lambda session: (
          (where, session, poll) for where, session, poll, known in directed(session)
          if known.is_ended and poll.msn is not None))
def does_not_wait_at_the_end(session, poll):
    return is_not_prompt(session, poll, 200)


@rule("6.2.5.2",
      "greater than the Media Sequence Number of the last Media Segment in the current Playlist "
      "plus two, or if the _HLS_part exceeds the last Partial Segment … by the Advance Part "
      "Limit, then the server SHOULD immediately return Bad Request",
      over=lambda session: ((where, session, poll) for where, session, poll, known
                            in directed(session) if poll.msn is not None and not known.is_ended
                            and is_too_far(poll, known)), must=False)
def refuses_what_is_too_far(session, poll):
    return is_not_prompt(session, poll, 400)


@rule("6.2.5.2",
      "If the Playlist URI contains an _HLS_part directive but no _HLS_msn directive, the "
      "Server MUST return Bad Request, such as HTTP 400",
      over=lambda session: (
          (where, poll) for where, _, poll, known in directed(session)
          if poll.msn is None and not known.is_ended))
def refuses_a_part_of_nothing(poll):
    if poll.answer.status != 400:
        return f"{poll.answer.status}"


@rule("6.2.5.2",
      "A Server that cannot provide the requested Playlist after blocking for more than three "
      "Target Durations SHOULD return Service Unavailable, such as HTTP 503",
      over=blocking, must=False)
def gives_up_in_time(session, poll, known):
    longest_s = 3 * known.target + session.slack_s
    if poll.answer.waited_s > longest_s + PROMPT_S:
        return f"it waited for {poll.answer.waited_s:.3f} s"
    if poll.answer.status == 503 and poll.answer.waited_s < 3 * known.target - session.slack_s:
        return f"503 after {poll.answer.waited_s:.3f} s"
    return poll.answer.status not in (200, 503) and f"{poll.answer.status}"
