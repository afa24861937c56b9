# SPDX-License-Identifier: MIT
"""The table of rules of live HLS, what they look at, and the judge. A rule looks at one thing at a
time, a playlist, two that follow each other, an answer, and says what is wrong with it, or nothing.
judge() gives what is broken, and how often each rule had something to look at: one that never had
is no proof."""

import collections

from llhls_media import Media

EXACT_S = 1e-5  # durations have six decimals

Rule = collections.namedtuple("Rule", "name section words is_must over check")
Violation = collections.namedtuple("Violation", "rule where what")
RULES = {}


def rule(section, words, over, must=True):
    """Makes a function a rule, named after it: check(*subject) of each subject over(session)."""
    def add(check):
        name = check.__name__.replace("_", "-")
        assert name not in RULES
        RULES[name] = Rule(name, section, words, must, over, check)
        return check
    return add


def judge(session, names=None):
    """(violations, {rule: how much it looked at}) of a session that was read; by all rules, or by
    these."""
    violations, looked = [], collections.Counter()
    session.media = Media(session)
    for one in [RULES[name] for name in names or RULES]:
        said = set()
        for where, *subject in one.over(session):
            looked[one.name] += 1
            what = one.check(*subject)
            if what and what not in said:
                said.add(what)
                violations.append(Violation(one, where, what))
    return violations, looked


# ---- What rules look at: (where, what a check is given …) ----------------------------------------

def answers(session):
    for url, polls in session.polls.items():
        for poll in polls:
            if poll.answer.status == 200:
                yield f"{url} at {poll.answer.got_s:.3f}", poll


def playlists(session):
    for where, poll in answers(session):
        if poll.seen:
            yield where, poll.seen


def live(session):
    return ((where, playlist) for where, playlist in playlists(session) if not playlist.is_ended)


def controlled(session):
    return ((where, playlist) for where, playlist in playlists(session) if playlist.control)


def with_parts(session):
    return ((where, playlist) for where, playlist in playlists(session)
            if playlist.all("EXT-X-PART"))


def came(playlist):
    """The segments that were not skipped."""
    return playlist.segments[playlist.skipped or 0:]


def segments(session):
    for where, playlist in playlists(session):
        for segment in came(playlist):
            yield f"{where}, segment {segment.msn}", playlist, segment


def parts(session):
    for where, playlist, segment in segments(session):
        for index in range(len(segment.parts)):
            yield f"{where}, part {index}", playlist, segment, index


def reports(session):
    for url, polls in session.polls.items():
        for poll in polls:
            for report in poll.seen.reports if poll.seen else ():
                yield f"{url} at {poll.answer.got_s:.3f}", session, url, poll, report


def steps(session):
    """Each playlist and the one that followed it."""
    for url in session.polls:
        polls = list(session.good(url))
        for before, after in zip(polls, polls[1:]):
            yield f"{url} at {after.answer.got_s:.3f}", before.seen, after.seen


def deltas(session):
    """An update and the playlist it was put together with."""
    return ((where, before, after) for where, before, after in steps(session)
            if after.skipped is not None)


def fragments_of_parents(session):
    return session.media.parents()


def inits(session):
    return ((fetch.answer.url, fetch.answer.body) for fetch in session.fetches
            if fetch.kind == "map" and fetch.answer.status == 200)


def media(session):
    return session.media.all()
