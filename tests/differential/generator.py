# SPDX-License-Identifier: MIT
"""Requests by the thousand: valid ones, slightly broken ones, wrecks.

A request is made of its seed and number alone, so that one line of the report makes it again. What
differs from server to server, an entity tag, is written as a mark (@STRONG@) which the caller
replaces.
"""

import random

FILES = {
    "a.txt": b"".join(b"line %04d of the file\n" % number for number in range(100)),
    "empty.txt": b"",
    "dir/b.txt": b"in the folder\n",
    "with space.txt": b"a name with a space\n",
    "\u00fcber.txt": "\u00fcber\n".encode(),
    "20k.bin": bytes((7 * i + i // 251) & 255 for i in range(20000)),
    "canary": b"the canary sings\n",
}
MTIME = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER = "Wed, 15 Nov 2023 22:13:20 GMT"
EARLIER = "Mon, 13 Nov 2023 22:13:20 GMT"

# Behind each request: who takes it for a request of its own has seen the same end as we have.
CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"

METHODS = ["GET"] * 12 + ["HEAD"] * 3 + ["POST"] * 5 + ["PUT", "DELETE", "OPTIONS", "PATCH"]
RARE_METHODS = ["TRACE", "CONNECT", "BREW", "get", "G", "GET/", "M-SEARCH", "PROPFIND", "GE T",
                "GET\t", "P\u00dcT", "A" * 300, ""]
TARGETS = (["/a.txt"] * 8 + ["/20k.bin"] * 3 + ["/empty.txt", "/dir/b.txt", "/none", "/dir/none",
           "/a.txt?x=1&y=%20", "/with%20space.txt", "/%C3%BCber.txt", "/%61.txt", "/canary"])
RARE_TARGETS = ["/dir", "//a.txt", "/dir/../a.txt", "/./a.txt", "/dir/%2e%2e/a.txt", "/..",
                "/../a.txt", "/%2e%2e/%2e%2e/etc/passwd", "/a.txt/", "/a.txt%00", "/%", "/%zz",
                "/a%2ftxt", "http://localhost/a.txt", "HTTP://localhost:80/a.txt",
                "http://localhost?x", "http://localhost", "https://localhost/a.txt",
                "http:///a.txt",
                "http://u@localhost/a.txt", "ftp://localhost/a.txt", "*", "a.txt", "localhost:80",
                "/a.txt#x", "/a\x7f", "/\x01", "/\xff", "/a\\b", "/a{b}|", "?x", "",
                "/" + "a" * 3000,
                "/" + "a" * 9000, "/a.txt HTTP/1.1 x"]
VERSIONS = ["HTTP/1.1"] * 12 + ["HTTP/1.0"] * 2
RARE_VERSIONS = ["HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/1", "HTTP/1.10",
                 "HTTP/01.1", "http/1.1", "Http/1.1", "HTTP/1.1 ", "HTTP /1.1", "HTTPS/1.1",
                 "HTTP/1,1", "HTTP/11", "ICE/1.0", "", "HTTP/1.", "HTTP/-1.1"]
HOSTS = ["localhost"] * 6 + ["localhost:8080", "127.0.0.1", "[::1]", "[::1]:80", "a.b-c.d", ""]
RARE_HOSTS = ["a b", "a,b", "a/b", "u@a", "a:80:80", "a:x", "[::1", "[zz]", "a%zz", "a%41", "\xfc",
              "a\tb", "[::1]x", ":80", "a_b", "*", "a?b", "a#b", "[v1.x]"]
RANGES = ["bytes=0-9", "bytes=10-", "bytes=-10", "bytes=0-", "bytes=0-0", "bytes=5-5", "bytes=-0",
          "bytes=99999-", "bytes=0-99999", "bytes=9-5", "bytes=a-b", "bytes=", "bytes=-", "bytes",
          "items=0-9", "Bytes=0-9", "bytes =0-9", "bytes= 0-9", "bytes=0-9,20-29", "bytes=0-9, 20-",
          "bytes=0-4,2-9", "bytes=0-0,-1", "bytes=,0-9", "bytes=0-9,", "bytes=0-9,99999-",
          "bytes=99999-,88888-", "bytes=18446744073709551616-", "bytes=0-18446744073709551616",
          "bytes=-99999", "bytes=0-9;x", "bytes=0 -9", "bytes=+0-9", "bytes=0x0-9"]
TAGS = ["@STRONG@", 'W/@STRONG@', '"nope"', 'W/"nope"', "*", '"a", @STRONG@', '@STRONG@, "a"',
        '"a","b"', "@STRONG@x", "nope", '""', '"a" "b"', ", @STRONG@"]
DATES = [DATE, LATER, EARLIER, "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023",
         "Tue, 14 Nov 2023 22:13:20", "Tue, 31 Feb 2023 22:13:20 GMT", "0", "now", "",
         "Tue, 14 Nov 2023 22:13:20 +0000", "tue, 14 nov 2023 22:13:20 gmt", DATE + ", " + DATE,
         "Fri, 01 Jan 2100 00:00:00 GMT"]
CONNECTIONS = ["close", "keep-alive", "Close", "KEEP-ALIVE", "close, keep-alive", "keep-alive, x",
               "x", "TE, close", "upgrade", ", close", "", "close,", "c lose", "\"close\"",
               "closed"]
EXPECTS = ["100-continue", "100-Continue", "magic", "100-continue, x", "", "100-continue=1"]
LENGTHS = ["+3", "-3", "0x3", "3, 3", "3,4", "3 ", " 3", "3 3", "", "3.0", "three", "03", "0003",
           "18446744073709551617", "9223372036854775808", "99999999999999999999999", "1e1", "3;",
           "\"3\"", "3\x0b", "3_0", "-0", ",3", "3,"]
CODINGS = ["chunked, chunked", "gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked",
           "chunkedx", "chunked;q=1", " chunked", "chunked ", "\tchunked", "chunked\x0b", "CHUNKED",
           "Chunked", ",chunked", "chunked,", "\"chunked\"", "'chunked'", "", "chu nked",
           "identity, chunked", "chunked\x00", "\x00chunked", "cow", "chunked, identity"]
CHUNK_SIZES = ["3 ", " 3", "+3", "-3", "0x3", "3;x", "3;x=y", "3;x=\"y;z\"", "3 ;x", "3; x = y",
               "03", "0000000000000000003", "00000000000000003", "10000000000000003",
               "FFFFFFFFFFFFFFFF3", "g", "", "3\t", "3\x0b", "3,", "3_", "3;", "3;\x00", "3\n3",
               "3;x\n", "3;" + "x" * 5000, "3\r", "3h", "\u0663"]
FIELDS = [
    ("User-Agent", ["differential/1.0"]), ("Accept", ["*/*", "text/html;q=0.5", ""]),
    ("Accept-Encoding", ["gzip, br", "identity", "*;q=0"]), ("Cookie", ["a=b; c=d"]),
    ("Cache-Control", ["no-cache"]), ("Pragma", ["no-cache"]), ("TE", ["trailers", "gzip"]),
    ("Referer", ["http://localhost/"]), ("X-Empty", [""]), ("X_Under", ["1"]),
    ("X-Latin", ["\xe4\xf6"]), ("X-Tabs", ["a\tb"]), ("X-Quote", ["\"a\\\"b\""]),
    ("Upgrade", ["h2c", "websocket"]), ("HTTP2-Settings", ["AAMAAABkAAQAAP__"]),
    ("Max-Forwards", ["0"]), ("Content-Type", ["text/plain"]), ("Trailer", ["X-T"]),
    ("Content-Range", ["bytes 0-1/2"]), ("Authorization", ["Basic eDp5"]), ("Via", ["1.0 x"]),
    ("Keep-Alive", ["timeout=5"]), ("Proxy-Connection", ["close"]), ("X", ["y" * 2000]),
]
CONDITIONS = [("If-Match", TAGS), ("If-None-Match", TAGS), ("If-Modified-Since", DATES),
              ("If-Unmodified-Since", DATES), ("If-Range", TAGS + DATES), ("Range", RANGES)]
NASTY = [b"\x00", b"\r", b"\n", b"\r\n", b"\t", b" ", b":", b",", b";", b"\x0b", b"\x0c", b"\x7f",
         b"\x80", b"\xff", b"\"", b"\\", b"%", b"/", b"?", b"#", b"0", b"1", b"-", b"+",
         b"\r\n\r\n", b"\n\n", b"HTTP/1.1", b"GET ", b"chunked", b"\x16\x03\x01"]


class Request:
    """The parts of a request, which mutations change one by one."""

    def __init__(self):
        self.before = b""
        self.method, self.target, self.version = "GET", "/a.txt", "HTTP/1.1"
        self.fields = []  # (name, separator, value, line end)
        self.line_end = "\r\n"
        self.head_end = "\r\n"
        self.body = b""

    def add(self, name, value, separator=": ", end="\r\n"):
        self.fields.append((name, separator, value, end))

    def encode(self):
        lines = "".join(name + separator + value + end
                        for name, separator, value, end in self.fields)
        line = f"{self.method} {self.target} {self.version}{self.line_end}"
        head = (line + lines + self.head_end).encode("latin-1", "replace")
        return self.before + head + self.body


def chunks(draw, pieces):
    """A chunked body without fault."""
    body = b""
    for piece in pieces:
        extension = draw.choice([b"", b"", b"", b";a=b", b";a"])
        size = draw.choice([b"%x", b"%X", b"0%x"]) % len(piece)
        body += size + extension + b"\r\n" + piece + b"\r\n"
    trailer = draw.choice([b"", b"", b"", b"X-T: 1\r\n", b"X-T: 1\r\nX-U: 2\r\n"])
    return body + b"0\r\n" + trailer + b"\r\n"


def put_body(draw, request):
    pieces = [bytes(draw.choices(b"abc\r\n0GET /", k=draw.randint(1, 40)))
              for _ in range(draw.randint(0, 3))]
    if draw.random() < 0.5:
        request.body = b"".join(pieces)
        request.add("Content-Length", str(len(request.body)))
    else:
        request.body = chunks(draw, pieces)
        request.add("Transfer-Encoding", "chunked")


def valid(draw):
    request = Request()
    request.method = draw.choice(METHODS)
    request.target = draw.choice(TARGETS)
    request.version = draw.choice(VERSIONS)
    if request.version == "HTTP/1.1" or draw.random() < 0.5:
        request.add(draw.choice(["Host", "host", "HOST"]), draw.choice(HOSTS))
    for name, values in draw.sample(FIELDS, draw.choice([0, 0, 1, 2, 3])):
        request.add(name, values[0])
    if draw.random() < 0.2:
        request.add("Connection", draw.choice(CONNECTIONS[:6]))
    if request.method in ("GET", "HEAD") and draw.random() < 0.4:
        for name, values in draw.sample(CONDITIONS, draw.choice([1, 1, 1, 2, 3])):
            request.add(name, draw.choice(values))
    if request.method in ("POST", "PUT", "PATCH") or draw.random() < 0.03:
        if request.version == "HTTP/1.1":
            put_body(draw, request)
            if draw.random() < 0.1:
                request.add("Expect", draw.choice(EXPECTS[:2]))
        else:
            request.body = b"ten bytes."
            request.add("Content-Length", "10")
    draw.shuffle(request.fields)
    return request


# ---- One thing wrong --------------------------------------------------------------------------


def change_line(draw, request):
    part = draw.choice(["method", "target", "target", "version"])
    rare = {"method": RARE_METHODS, "target": RARE_TARGETS, "version": RARE_VERSIONS}[part]
    setattr(request, part, draw.choice(rare))


def change_host(draw, request):
    kind = draw.choice(["bad", "bad", "bad", "none", "twice", "twice-other", "empty"])
    if kind != "twice" and kind != "twice-other":
        request.fields = [field for field in request.fields if field[0].lower() != "host"]
    if kind == "bad":
        request.add("Host", draw.choice(RARE_HOSTS))
    elif kind != "none":
        request.add("Host", {"twice": "localhost", "twice-other": "other"}.get(kind, ""))


def change_separator(draw, request):
    if request.fields:
        index = draw.randrange(len(request.fields))
        name, _, value, end = request.fields[index]
        separator = draw.choice([" : ", "\t: ", ":", ":\t", " ", "", ":  ", ": \x0b", "::", ": \r",
                                 ":\r\n ", ": \x00"])
        request.fields[index] = (name, separator, value, end)


def change_end(draw, request):
    end = draw.choice(["\n", "\r", "\r\r\n", "\n\r", "\r\n\r", "", " \r\n", "\x00\r\n", "\r\n ",
                       "\r\n\t", "\r\n x\r\n", "\x0b\r\n", "\x85", "\n\n"])
    place = draw.randrange(len(request.fields) + 2)
    if place == 0:
        request.line_end = end
    elif place == 1:
        request.head_end = end
    else:
        name, separator, value, _ = request.fields[place - 2]
        request.fields[place - 2] = (name, separator, value, end)


def change_name(draw, request):
    name = draw.choice(["", "A B", "A\x00", "A\xe4", "(A)", "A,", "A@", "A/B", "\"A\"", "A\x7f",
                        " A", "\tA", "A;", "{A}", "Content-Length ", "Transfer-Encoding\t",
                        "Content_Length", "ContentLength"])
    request.fields.insert(draw.randint(0, len(request.fields)), (name, ": ", "3", "\r\n"))


def change_value(draw, request):
    value = draw.choice(["\x00", "a\x00b", "a\rb", "a\nb", "\x01", "\x1f", "\x7f", "\x80\xff",
                         "a" * 9000, "a" * 17000, "a\x0bb", "\x0c", "\ta\t", "\x1b[0m"])
    request.fields.insert(draw.randint(0, len(request.fields)), ("X-Odd", ": ", value, "\r\n"))


def change_length(draw, request):
    fields = [field for field in request.fields
              if field[0] not in ("Content-Length", "Transfer-Encoding")]
    kind = draw.choice(["odd", "odd", "odd", "twice", "twice-other", "long", "short"])
    request.fields = fields
    request.body = b"abc"
    if kind == "odd":
        request.add("Content-Length", draw.choice(LENGTHS))
    else:
        first, second = {"twice": ("3", "3"), "twice-other": ("3", "4"), "long": ("3000", None),
                         "short": ("1", None)}[kind]
        request.add("Content-Length", first)
        if second:
            request.add("content-length", second)


def change_coding(draw, request):
    request.fields = [field for field in request.fields
                      if field[0] not in ("Content-Length", "Transfer-Encoding")]
    request.body = b"3\r\nabc\r\n0\r\n\r\n"
    kind = draw.choice(["odd", "odd", "odd", "twice", "both", "both-odd", "old"])
    if kind in ("odd", "both-odd"):
        request.add("Transfer-Encoding", draw.choice(CODINGS))
    else:
        request.add("Transfer-Encoding", "chunked")
    if kind == "twice":
        request.add("Transfer-Encoding", draw.choice(["chunked", "gzip", "identity", ""]))
    if kind in ("both", "both-odd"):
        request.fields.insert(draw.randint(0, len(request.fields)),
                              ("Content-Length", ": ", draw.choice(["3", "13", "0"]), "\r\n"))
    if kind == "old":
        request.version = "HTTP/1.0"


def change_chunks(draw, request):
    request.fields = [field for field in request.fields
                      if field[0] not in ("Content-Length", "Transfer-Encoding")]
    request.add("Transfer-Encoding", "chunked")
    if request.version != "HTTP/1.1":
        request.version = "HTTP/1.1"
        request.add("Host", "localhost")
    body = {
        "size": draw.choice(CHUNK_SIZES).encode("utf-8") + b"\r\nabc\r\n0\r\n\r\n",
        "end": b"3" + draw.choice([b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n"]) +
               b"abc\r\n0\r\n\r\n",
        "data-end": b"3\r\nabc" + draw.choice([b"\n", b"\r", b"", b"x\r\n", b"\n\r\n", b"\r\r\n"]) +
                    b"0\r\n\r\n",
        "last": b"3\r\nabc\r\n" + draw.choice([b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"00\r\n\r\n",
                                               b"0;x\r\n\r\n", b"-0\r\n\r\n", b"0x0\r\n\r\n",
                                               b"0 \r\n\r\n", b"0\r\r\n\r\n", b"\r\n", b"0\r\n"]),
        "trailer": b"3\r\nabc\r\n0\r\n" + draw.choice([
            b"A: b\r\n\r\n", b"A: b\n\r\n", b" A: b\r\n\r\n", b"A : b\r\n\r\n", b"A\r\n\r\n",
            b"Content-Length: 5\r\n\r\n", b"A: \x00\r\n\r\n", b"A: b\r\n c\r\n\r\n", b": b\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n", b"Host: x\r\n\r\n", b"A: b\r\r\n\r\n",
            b"A: " + b"b" * 9000 + b"\r\n\r\n"]),
    }
    request.body = body[draw.choice(list(body))]


def change_start(draw, request):
    request.before = draw.choice([
        b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\r", b"\n\n\n", b"\xef\xbb\xbf",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x80\x2e\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /a.txt\r\n"])


def change_count(draw, request):
    for number in range(draw.choice([40, 63, 64, 70, 110, 300])):
        request.add(f"X-{number}", "v")


def change_conditions(draw, request):
    if request.method not in ("GET", "HEAD"):
        request.method = "GET"
    name, values = draw.choice(CONDITIONS)
    request.add(name, draw.choice(values))
    if draw.random() < 0.5:  # again
        request.add(name, draw.choice(values))


def change_connection(draw, request):
    request.add("Connection", draw.choice(CONNECTIONS))


def change_expect(draw, request):
    request.add("Expect", draw.choice(EXPECTS))


SLIGHT = ([change_line] * 5 + [change_host] * 2 + [change_separator] * 2 + [change_end] * 3 +
          [change_name, change_value] * 2 + [change_length] * 4 + [change_coding] * 4 +
          [change_chunks] * 5 + [change_start] * 2 + [change_count, change_expect] +
          [change_connection] * 2 + [change_conditions] * 2)


def wreck(draw, data):
    """Bytes lost, doubled, swapped, inserted, anywhere."""
    for _ in range(draw.choice([1, 1, 2, 3, 6])):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            data = data[:at] + draw.choice(NASTY) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + draw.choice([1, 1, 2, 5, 20]):]
        elif kind == 2 and at < len(data):
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1:]
        elif kind == 3:
            end = at + draw.randint(1, 30)
            data = data[:end] + data[at:end] + data[end:]
        elif kind == 4:
            data = data[:at] + draw.choice(NASTY) + data[at + 1:]
    return data


def generate(seed, number):
    """Request `number` of this seed: its bytes, and how it was made."""
    draw = random.Random(f"{seed}-{number}")
    request = valid(draw)
    kind = draw.random()
    if kind < 0.3:
        return request.encode(), "valid"
    changes = draw.choices(SLIGHT, k=1 if kind < 0.75 else draw.choice([1, 2, 3]))
    for change in changes:
        change(draw, request)
    data = request.encode()
    names = [change.__name__ for change in changes]
    if kind >= 0.9:
        data = wreck(draw, data)
        names.append("wreck")
    return data, " ".join(names)
