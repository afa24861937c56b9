# SPDX-License-Identifier: MIT
"""Conditions and ranges as RFC 9110, sections 13 and 14 have them, for the files of the generator.

What the standard leaves open (a list of tags that is none, a date that only looks like one, several
ranges) is not judged: the answer is then None.
"""

import re
import urllib.parse

from generator import DATE, EARLIER, FILES, LATER, MTIME

TAGS = re.compile(rb'[ \t]*(?:\*|,*[ \t]*(?:W/)?"[^"]*"(?:[ \t]*,[ \t]*(?:(?:W/)?"[^"]*")?)*)\Z')
TAG = re.compile(rb'(?:W/)?"[^"]*"')
DAY_S = 86400
DATES = {
    DATE: MTIME, LATER: MTIME + DAY_S, EARLIER: MTIME - DAY_S,
    "Tuesday, 14-Nov-23 22:13:20 GMT": MTIME, "Tue Nov 14 22:13:20 2023": MTIME,
    "Fri, 01 Jan 2100 00:00:00 GMT": 4102444800,
}
LIKE_A_DATE = re.compile(r"[A-Za-z]+,? .*\d\d:\d\d:\d\d.*")
ODD_DATES = ("Tue, 14 Nov 2023 22:13:20", "Tue, 31 Feb 2023 22:13:20 GMT", DATE + ", " + DATE,
             "Tue, 14 Nov 2023 22:13:20 +0000")
RANGE = re.compile(rb"bytes=(?:(\d+)-(\d*)|-(\d+))\Z")


class Open(Exception):
    """The standard does not say."""


def name_of(target):
    """Which file a target means; None where its path is not plain."""
    path = re.sub(rb"(?i)\Ahttp://[^/?]*", b"", target).partition(b"?")[0]
    if not re.fullmatch(rb"/(?:[A-Za-z0-9._/-]|%[0-9A-Fa-f]{2})+", path):
        return None
    name = urllib.parse.unquote(path.decode("ascii"), errors="replace").removeprefix("/")
    return name if name in FILES else None


def date_of(values):
    """Seconds, or None for what is no single date and so is ignored."""
    if len(values) != 1:
        return None
    text = values[0].decode("latin-1")
    if text in DATES:
        return DATES[text]
    if LIKE_A_DATE.match(text) and text not in ODD_DATES:
        raise Open
    return None


def has_tag(values, tag, is_weak):
    """Is the file's tag among these? Each line is a list."""
    found = False
    for value in values:
        if not TAGS.match(value):
            raise Open
        found = found or value.strip() == b"*" or \
            any(other == tag or (is_weak and other == b"W/" + tag) for other in TAG.findall(value))
    if len(values) > 1 and any(value.strip() == b"*" for value in values):
        raise Open
    return found


def range_of(value, size):
    """(first, last), 416, or None for a Range that is ignored."""
    match = RANGE.match(value)
    if not match:
        raise Open
    if match[3] is not None:
        length = int(match[3])
        if length == 0:
            return 416
        return (max(0, size - length), size - 1) if size > 0 else None  # satisfied by nothing
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return None
    if first >= size:
        return 416
    return first, min(int(match[2]), size - 1) if match[2] else size - 1


def is_same(values, tag):
    """If-Range: the tag, compared strongly, or the very date."""
    if len(values) != 1:
        return False
    if values[0].startswith((b'"', b"W/")):
        return values[0] == tag
    return date_of(values) == MTIME


def expected(message):
    """(status, body or None) of a GET or HEAD for one of the files; None: it is not judged."""
    name = name_of(message.target)
    if name is None or message.method not in (b"GET", b"HEAD"):
        return None
    content = FILES[name]
    tag = b'"strong"' if name == "a.txt" else b'"of another file"'

    def values(field):
        return [value.replace(b"@STRONG@", b'"strong"') for value in message.values(field)]

    try:
        status = precondition(values, tag)
        if status:
            return status, None
        if message.method == b"GET" and values(b"range") and \
                (not values(b"if-range") or is_same(values(b"if-range"), tag)):
            if len(values(b"range")) > 1:
                raise Open
            part = range_of(values(b"range")[0], len(content))
            if part == 416:
                return 416, None
            if part:
                return 206, content[part[0]:part[1] + 1]
    except Open:
        return None
    return 200, content if message.method == b"GET" else b""


def precondition(values, tag):
    """412, 304, or 0: in the order of section 13.2.2."""
    if values(b"if-match"):
        if not has_tag(values(b"if-match"), tag, False):
            return 412
    else:
        date = date_of(values(b"if-unmodified-since"))
        if date is not None and MTIME > date:
            return 412
    if values(b"if-none-match"):
        if has_tag(values(b"if-none-match"), tag, True):
            return 304
    else:
        date = date_of(values(b"if-modified-since"))
        if date is not None and MTIME <= date:
            return 304
    return 0
