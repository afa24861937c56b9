# SPDX-License-Identifier: MIT
"""A strict client of live HLS with low latency: watch_channel() asks for each part of each playlist
of a channel before it is there, as blocking reload, delta updates and hints let it; fetches all
that is named, what is no longer named while it must still be there, and what it must not be given;
and has the judge of llhls_rules tell what it thinks of that.

    print(watch_channel("http://127.0.0.1:8080/live/NAME/master.m3u8", 20).text())
"""

import concurrent.futures
import gzip
import http.client
import sys
import threading
import time
import urllib.parse

from llhls_playlist import Answer, Fetch, Poll, Session, attributes
from llhls_rules import RULES, judge

TIMEOUT_S = 60
MARGIN_S = 1.0  # before what is no longer named may go, it is asked for
WORKERS = 16    # requests at a time: hints wait
WHOLE_EVERY = 6  # polls
SHOWN = 3       # violations of a rule
NO_ANSWER = 0   # a status: the connection broke


class Connections(threading.local):
    """A connection for each thread and host, kept."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get(self, url):
        """An Answer. A kept connection may have ended meanwhile: then once more, with another."""
        parts = urllib.parse.urlsplit(url)
        if parts.netloc in self.kept:
            try:
                return self._ask(parts, url)
            except (OSError, http.client.HTTPException):
                self.kept.pop(parts.netloc).close()
        self.kept[parts.netloc] = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
        sent_s = time.monotonic()
        try:
            return self._ask(parts, url)
        except (OSError, http.client.HTTPException) as error:
            self.kept.pop(parts.netloc).close()
            now = time.monotonic()
            return Answer(url, NO_ANSWER, {"error": str(error)}, b"", sent_s, now, now)

    def _ask(self, parts, url):
        connection = self.kept[parts.netloc]
        sent_s = time.monotonic()
        connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""),
                           headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read(1)  # of the body: a head that comes early is no byte of a part
        first_s = time.monotonic()
        body += response.read()
        got_s = time.monotonic()
        headers = {name.lower(): value for name, value in response.getheaders()}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Answer(url, response.status, headers, body, sent_s, first_s, got_s)


connections = Connections()


class Watcher:
    """Of one playlist; polls it in a thread of its own."""

    def __init__(self, url, session, pool, end_s):
        self.url, self.session, self.pool, self.end_s = url, session, pool, end_s
        self.polls = session.polls.setdefault(url, [])
        self.lock = threading.Lock()
        self.asked = set()   # (kind, msn, part), or URIs
        self.listed = {}     # (msn, part): [when first, when last, URI]
        self.due = []        # (when, kind, (msn, part))
        self.known = None    # the last playlist that came, put together

    def watch(self):
        self.poll()
        probes = [self.probe_past, self.probe_part_alone, self.probe_too_far, self.probe_far_part,
                  self.probe_stranger]
        for number in range(1, sys.maxsize):
            if time.monotonic() > self.end_s or not self.known:
                break
            if self.known.is_ended:
                self.poll(msn=self.known.segments[-1].msn + 1, part=0, skip=True)
                break
            self.poll(**self.next())
            if number % WHOLE_EVERY == 0:
                self.poll()
            if number % WHOLE_EVERY == WHOLE_EVERY // 2 and probes:
                probes.pop()()
            self.ask_what_is_due()

    def tell_hints(self):
        """What was hinted is known by its name once it is listed."""
        keys = {self.session.resolve(self.url, uri): key
                for key, (_, _, uri) in self.listed.items() if uri}
        for fetch in self.session.fetches:
            if fetch.kind == "hint" and fetch.playlist == self.url:
                fetch.msn, fetch.part = keys.get(fetch.answer.url, (None, None))

    def next(self):
        """Directives of what comes next (section 6.3.8). Behind a whole segment it is either its
        next part, which must be taken for the other, or part 0 of the one that follows."""
        msn, part = self.known.last
        if self.known.segments[-1].is_whole and msn % 2:
            directives = {"msn": msn + 1, "part": 0}
        else:
            directives = {"msn": msn, "part": part + 1}
        if self.known.part_target is None:
            directives = {"msn": self.known.last_whole + 1}
        until = self.known.number("CAN-SKIP-UNTIL")
        fresh = time.monotonic() - self.polls[-1].answer.got_s
        return {**directives, "skip": until is not None and fresh < until / 2}

    def poll(self, msn=None, part=None, skip=False):
        query = {"_HLS_msn": msn, "_HLS_part": part, "_HLS_skip": "YES" if skip else None}
        text = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
        if not self.known and self.polls:
            return None
        poll = Poll(connections.get(self.url + ("?" + text if text else "")), msn, part, skip)
        self.polls.append(poll)
        if poll.answer.status == 200:
            self.session.read_one(poll, self.known)
            if poll.seen:
                self.known = poll.seen
                self.look(poll)
        elif not poll.is_directed or poll.answer.status == NO_ANSWER:
            self.known = None
        return poll

    # ---- What playlists name ---------------------------------------------------------------------

    def look(self, poll):
        now, is_first = poll.answer.got_s, not self.listed
        named = set()
        for segment in poll.seen.segments:
            if segment.map:
                self.fetch("map", segment.map)
            for index, part in enumerate(segment.parts):
                named.add((segment.msn, index))
                self.name("part", (segment.msn, index), part.uri, now)
            if segment.is_whole:
                named.add((segment.msn, None))
                self.name("segment", (segment.msn, None), segment.uri, now, is_first)
        for hint in poll.seen.hints:
            self.fetch("hint", hint.get("URI", ""))
        self.note_what_went(poll.seen, named)

    def name(self, kind, key, uri, now, is_old=False):
        """`is_old`: it was there before this client was."""
        if key not in self.listed:
            self.listed[key] = [now, now, uri]
            if not is_old:
                self.fetch(kind, uri, key)
        self.listed[key][1] = now

    def note_what_went(self, playlist, named):
        for key in set(self.listed) - named:
            first, last, _ = self.listed[key]
            if ("old", key) in self.asked:
                continue
            self.asked.add(("old", key))
            keep_s = 3 * playlist.target if key[1] is not None else \
                playlist.duration + playlist.target - (last - first)
            kind = "old segment" if key[1] is None else "old part"
            self.due.append((last + keep_s - MARGIN_S, kind, key))

    def ask_what_is_due(self):
        for one in [one for one in self.due if one[0] < time.monotonic()]:
            self.due.remove(one)
            _, kind, key = one
            if kind == "old part" and key[0] % 3:
                continue  # those of some segments are enough
            self.fetch(kind, self.listed[key][2], key)

    def fetch(self, kind, uri, key=(None, None)):
        with self.lock:
            if (kind, uri) in self.asked:
                return
            self.asked.add((kind, uri))
        self.pool.submit(self.fetch_now, kind, self.session.resolve(self.url, uri), key)

    def fetch_now(self, kind, url, key):
        answer = connections.get(url)
        first, last, _ = self.listed.get(key, (None, None, None))
        self.session.fetches.append(Fetch(answer, kind, self.url, *key, listed_s=first,
                                          last_s=last))

    # ---- What must be refused, and what comes at once --------------------------------------------

    def probe_past(self):
        self.poll(msn=self.known.last_whole)
        self.poll(msn=max(self.known.sequence - 1, 0), part=0)

    def probe_part_alone(self):
        self.poll(part=0)

    def probe_too_far(self):
        self.poll(msn=self.known.segments[-1].msn + 5, part=0)

    def probe_far_part(self):
        """So far that it is beyond whatever has come meanwhile."""
        msn, part = self.known.last
        if self.known.part_target and not self.known.segments[-1].is_whole:
            self.poll(msn=msn, part=part + 100)

    def probe_stranger(self):
        self.fetch("stranger", f"{self.known.segments[-1].msn + 1000}.m4s")


class Report:
    """What came of it. `broken` and `advice`: violations of MUST, and of SHOULD."""

    def __init__(self, session):
        self.session = session
        violations, self.looked = judge(session.read())
        self.broken = [one for one in violations if one.rule.is_must]
        self.advice = [one for one in violations if not one.rule.is_must]
        self.idle = sorted(set(RULES) - set(self.looked))

    def text(self):
        lines = [f"{sum(map(len, self.session.polls.values()))} polls of "
                 f"{len(self.session.polls)} playlists, {len(self.session.fetches)} fetches, "
                 f"{len(self.looked)} of {len(RULES)} rules had something to look at"]
        for one in self.broken + self.advice:
            group = [other for other in self.broken + self.advice if other.rule is one.rule]
            if one is group[0]:
                lines.append(f"{'MUST' if one.rule.is_must else 'SHOULD'} {one.rule.name} "
                             f"({one.rule.section}: {one.rule.words}), {len(group)} times:")
                lines += [f"    {other.where}: {other.what}" for other in group[:SHOWN]]
        return "\n".join(lines + [f"nothing to look at: {', '.join(self.idle)}"])


def playlists_of(master_url):
    """The media playlists that a multivariant playlist names."""
    answer = connections.get(master_url)
    assert answer.status == 200, f"{master_url}: {answer.status} {answer.body[:200]}"
    found = []
    for line in answer.body.decode().splitlines():
        if line.startswith("#EXT-X-MEDIA:"):
            found.append(attributes(line.partition(":")[2]).get("URI"))
        elif line and not line.startswith("#"):
            found.append(line)
    return [urllib.parse.urljoin(master_url, uri) for uri in dict.fromkeys(found) if uri]


def watch_channel(url, seconds, slack_s=0.1):
    """Watches the channel of a multivariant playlist for so long, or until it ends; a Report."""
    session = Session({}, [], playlists_of(url), slack_s)
    end_s = time.monotonic() + seconds
    with concurrent.futures.ThreadPoolExecutor(WORKERS * len(session.renditions)) as pool:
        watchers = [Watcher(one, session, pool, end_s) for one in session.renditions]
        threads = [threading.Thread(target=watcher.watch) for watcher in watchers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for watcher in watchers:
        watcher.tell_hints()
    return Report(session)


if __name__ == "__main__":
    result = watch_channel(sys.argv[1], float(sys.argv[2]))
    print(result.text())
    sys.exit(bool(result.broken))
