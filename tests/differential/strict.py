# SPDX-License-Identifier: MIT
"""RFC 9112 read strictly, a second time: what leat must make of some bytes, and why.

It knows leat's limits and the choices that the RFC leaves and leat has made (docs/rfc-http.md), but
shares nothing with its parser: regular expressions over the whole instead of one pass over bytes.
"""

import ipaddress
import re

LINE_MAX, HEAD_MAX, FIELDS_MAX = 8 * 1024, 16 * 1024, 64
CHUNK_OVERHEAD_MAX, TRAILER_MAX = 16 * 1024, 8 * 1024
LENGTH_MAX = (1 << 63) - 1

LINE_END = re.compile(rb"[\r\n]")
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
METHOD = re.compile(TOKEN + rb"\Z")
TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+\Z")
VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
HOST = re.compile(rb"(?:\[([^\]]*)\]|((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*))"
                  rb"(?::([0-9]*))?\Z")
FUTURE = re.compile(rb"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\Z")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*|[ \t]+;)?\Z")


class Refused(Exception):
    """A status and the reason, a word that the rules use."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status, self.reason = status, reason


class Message:
    """A request as it must be understood. `status` 0: its end has not come; 1: it is good."""

    def __init__(self):
        self.status, self.reason = 1, ""
        self.method = self.target = b""
        self.minor = 1
        self.fields = []
        self.length, self.is_chunked = 0, False
        self.keep_alive = self.expects = self.is_https = False
        self.body = b""
        self.body_reason = ""  # of a body that is malformed ("bad-…") or not all there ("short")
        self.end = None  # where the next message begins

    def values(self, name):
        return [value for key, value in self.fields if key == name]


def is_host(host):
    match = HOST.match(host)
    if not match or match[1] is None:
        return match is not None
    if FUTURE.match(match[1]):
        return True
    try:
        ipaddress.IPv6Address(match[1].decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return False
    return b"%" not in match[1]


def line_at(data, start):
    """The line from `start` without its CRLF, and where the next begins; None: it has no end."""
    found = LINE_END.search(data, start)
    if not found:
        return None
    at = found.start()
    if data[at] == 0x0a:
        raise Refused(400, "bare-lf")
    if at + 1 == len(data):
        return None
    if data[at + 1] != 0x0a:
        raise Refused(400, "bare-cr")
    return data[start:at], at + 2


def read_request_line(message, line):
    parts = line.split(b" ")
    if not METHOD.match(parts[0]):
        raise Refused(400, "method")
    if len(parts) < 2 or not TARGET.match(parts[1]):
        raise Refused(400, "target")
    if len(parts) != 3:
        raise Refused(400, "version")
    message.method, message.target = parts[0], parts[1]
    match = VERSION.match(parts[2])
    if not match:
        raise Refused(400, "version")
    if match[1] != b"1":
        raise Refused(505, "version")
    message.minor = int(match[2])
    check_target(message)


def check_target(message):
    target = message.target
    if message.method == b"CONNECT":
        match = HOST.match(target)
        port = match[3] if match else None
        if not is_host(target) or target.startswith(b":") or not port or \
                not 1 <= int(port) <= 65535:
            raise Refused(400, "target-form")
    elif target.startswith(b"/") or (target == b"*" and message.method == b"OPTIONS"):
        return
    else:
        match = re.match(rb"(https?)://([^/?]*)", target, re.IGNORECASE)
        if not match or not match[2] or match[2].startswith(b":") or not is_host(match[2]):
            raise Refused(400, "target-form")
        message.is_https = match[1].lower() == b"https"


def read_field(message, line):
    name, colon, value = line.partition(b":")
    if not colon or not METHOD.match(name):
        raise Refused(400, "fold" if line[:1] in b" \t" else
                      "space-before-colon" if METHOD.match(name.rstrip(b" \t")) and colon else
                      "field-name")
    if not VALUE.match(value):
        raise Refused(400, "control")
    name, value = name.lower(), value.strip(b" \t")
    message.fields.append((name, value))
    if name == b"transfer-encoding":
        note_codings(message, value)
    elif name == b"content-length":
        if not re.match(rb"[0-9]+\Z", value) or int(value) > LENGTH_MAX:
            raise Refused(400, "content-length")
        if len(message.values(name)) > 1 and int(value) != message.length:
            raise Refused(400, "content-lengths")
        message.length = int(value)


def note_codings(message, value):
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if codings == [b"chunked"]:
        if message.is_chunked:
            raise Refused(400, "transfer-encoding")
        message.is_chunked = True
    elif codings[-1] != b"chunked" or b"" in codings or b"chunked" in codings[:-1]:
        raise Refused(400, "transfer-encoding")
    else:
        raise Refused(501, "transfer-encoding")


def settle(message):
    """What the fields must not say together."""
    if message.is_chunked and message.values(b"content-length"):
        raise Refused(400, "both-lengths")
    if message.is_chunked and message.minor == 0:
        raise Refused(400, "chunked-1.0")
    hosts = message.values(b"host")
    if len(hosts) > 1:
        raise Refused(400, "hosts")
    if not hosts and message.minor >= 1:
        raise Refused(400, "no-host")
    if hosts and not is_host(hosts[0]):
        raise Refused(400, "host")
    options = [option.strip(b" \t").lower() for value in message.values(b"connection")
               for option in value.split(b",")]
    message.keep_alive = b"close" not in options and \
        (message.minor >= 1 or b"keep-alive" in options)
    expects = message.values(b"expect")
    if message.is_https:
        raise Refused(421, "https")
    if message.method == b"CONNECT":
        raise Refused(501, "connect")
    message.expects = message.minor >= 1 and bool(expects) and expects[0].lower() == b"100-continue"


def read_head(data, start):
    """The message whose head begins at `start`."""
    message = Message()
    window = data[start:start + HEAD_MAX]
    try:
        at = 2 if window.startswith(b"\r\n") else 0
        found = line_at(window[:LINE_MAX], at)
        if found is None:
            check_part(window, at)
            if len(window) >= LINE_MAX:
                raise Refused(414, "line-size")
            message.status = 0
            return message
        read_request_line(message, found[0])
        at = found[1]
        while True:
            if len(message.fields) == FIELDS_MAX and window[at:at + 1] not in (b"", b"\r"):
                raise Refused(431, "fields")
            found = line_at(window, at)
            if found is None:
                check_field_part(window, at)
                if len(window) >= HEAD_MAX:
                    raise Refused(431, "head-size")
                message.status = 0
                return message
            at = found[1]
            if not found[0]:
                break
            read_field(message, found[0])
        settle(message)
        message.end = start + at
    except Refused as refused:
        message.status, message.reason = refused.status, refused.reason
    return message


def check_part(window, at):
    """A first line that has no end: what of it is there may be wrong already."""
    part = window[at:LINE_MAX]
    if re.match(TOKEN + rb"\Z", part) or part in (b"", b"\r"):
        return
    pieces = part.rstrip(b"\r").split(b" ")
    if not METHOD.match(pieces[0]):
        raise Refused(400, "method")
    if len(pieces) > 1 and pieces[1] and not TARGET.match(pieces[1]) or \
            (len(pieces) > 2 and not pieces[1]):
        raise Refused(400, "target")
    if len(pieces) > 2 and not re.match(rb"H?\Z|HT?\Z|HTT?\Z|HTTP/?\Z|HTTP/[0-9]\.?[0-9]?\Z",
                                        b" ".join(pieces[2:])):
        raise Refused(400, "version")


def check_field_part(window, at):
    """The same of a field line."""
    part = window[at:]
    if part in (b"", b"\r"):
        return
    name, colon, value = part.rstrip(b"\r").partition(b":")
    if (colon and not METHOD.match(name)) or not re.match(TOKEN + rb"\Z", name):
        raise Refused(400, "fold" if part[:1] in b" \t" else "field-name")
    if colon and not VALUE.match(value):
        raise Refused(400, "control")


# ---- Bodies -----------------------------------------------------------------------------------


def read_chunks(message, data, at):
    """The chunked body from `at`; sets body, end and body_reason."""
    while True:
        try:
            found = line_at(data, at)
        except Refused as refused:
            message.body_reason = "bad-" + refused.reason
            return
        if found is None:
            part = data[at:at + 40]
            message.body_reason = "short" if re.match(
                rb"[0-9A-Fa-f]{0,16}(?:[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?)\r?\Z", data[at:]) and \
                not part.startswith((b" ", b"\t", b";")) else "bad-chunk"
            return
        match = CHUNK.match(found[0])
        if not match or int(match[1], 16) > LENGTH_MAX:
            message.body_reason = "bad-chunk"
            return
        if len(found[0]) > CHUNK_OVERHEAD_MAX:
            message.body_reason = "bad-chunk"
            return
        size, at = int(match[1], 16), found[1]
        if size == 0:
            read_trailer(message, data, at)
            return
        message.body += data[at:at + size]
        at += size
        if at + 2 > len(data):
            message.body_reason = "short" if data[at:] in (b"", b"\r") else "bad-chunk-end"
            return
        if data[at:at + 2] != b"\r\n":
            message.body_reason = "bad-chunk-end"
            return
        at += 2


def read_trailer(message, data, at):
    start = at
    while True:
        try:
            found = line_at(data, at)
        except Refused as refused:
            message.body_reason = "bad-" + refused.reason
            return
        if found is None:
            message.body_reason = "trailer-part"
            return
        line, at = found
        if at - start > TRAILER_MAX:
            message.body_reason = "bad-trailer-size"
            return
        if not line:
            message.end = at
            return
        name, colon, value = line.partition(b":")
        if not colon or not METHOD.match(name) or not VALUE.match(value):
            message.body_reason = "bad-trailer"
            return


def read_body(message, data):
    at = message.end
    message.end = None
    if message.is_chunked:
        read_chunks(message, data, at)
    else:
        message.body = data[at:at + message.length]
        if len(message.body) == message.length:
            message.end = at + message.length
        else:
            message.body_reason = "short"


def read(data):
    """All messages in `data`, up to the one after which nothing can be read any more."""
    messages, at = [], 0
    while at is not None and at < len(data):
        message = read_head(data, at)
        messages.append(message)
        if message.status != 1:
            break
        read_body(message, data)
        at = message.end if message.keep_alive else None
    return messages
