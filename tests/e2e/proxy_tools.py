# SPDX-License-Identifier: MIT
"""Both sides of a proxy, down to the byte: an upstream that does as its script says and records
what it was asked, and a client that reads answers strictly. A proxy re-frames what it passes on,
so what it made of a message is never compared as text but taken apart here, by code of its own."""

import contextlib
import os
import re
import socket
import struct
import threading
import time

from peer import Answer, Peer

HEAD_MAX, INTERIM_MAX = 1 << 16, 100
CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]{1,16})(;[^\r\n]*)?\r\n")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\Z")
WAIT_S = 10


class Broken(Exception):
    """What has come is no whole message."""


# ------------------------------------------------------------------------------ the framing


class Inbox:
    """What comes on a socket, taken in pieces of the protocol's size."""

    def __init__(self, stream):
        self.stream = stream
        self.data = bytearray()

    def more(self):
        """Receives something; False at the end. A reset is Broken."""
        try:
            piece = self.stream.recv(1 << 18)
        except ConnectionError as error:
            raise Broken(f"reset, behind {bytes(self.data[:60])!r}") from error
        self.data += piece
        return bool(piece)

    def until(self, mark, what):
        """What comes before the mark, which is taken, too."""
        begin = 0
        while (found := self.data.find(mark, begin)) < 0:
            begin = max(0, len(self.data) - len(mark) + 1)
            if len(self.data) > HEAD_MAX or not self.more():
                raise Broken(f"{what} without its end: {bytes(self.data[:60])!r}")
        return self.take(found + len(mark))[:-len(mark)]

    def take(self, size):
        while len(self.data) < size:
            if not self.more():
                raise Broken(f"ended {size - len(self.data)} bytes early")
        piece = bytes(self.data[:size])
        del self.data[:size]
        return piece

    def rest(self):
        while self.more():
            pass
        return self.take(len(self.data))

    def head(self):
        """Start line and fields of the next head."""
        line, *lines = self.until(b"\r\n\r\n", "a head").split(b"\r\n")
        return line.decode("latin-1"), [field(text) for text in lines]

    def chunks(self):
        """A chunked body, and the fields of its trailer, names in lower case."""
        body = []
        while True:
            text = self.until(b"\r\n", "a chunk's size") + b"\r\n"
            match = CHUNK_HEAD.fullmatch(text)
            if not match:
                raise Broken(f"no chunk: {text[:40]!r}")
            if (size := int(match[1], 16)) == 0:
                break
            body.append(self.take(size))
            if self.take(2) != b"\r\n":
                raise Broken("a chunk longer than it said")
        trailer = []
        while (line := self.until(b"\r\n", "a trailer")):
            name, value = field(line)
            trailer.append((name.lower(), value))
        return b"".join(body), trailer


def field(line):
    match = FIELD_LINE.match(line)
    if not match:
        raise Broken(f"no field line: {line[:60]!r}")
    return match[1].decode(), match[2].decode("latin-1")


def framing(lines):
    """(is chunked, size or None), or Broken where the fields contradict each other."""
    codings = [value for name, value in lines if name.lower() == "transfer-encoding"]
    lengths = [value for name, value in lines if name.lower() == "content-length"]
    if len(codings) + len(lengths) > 1 or (codings and codings != ["chunked"]) or (
            lengths and not lengths[0].isdecimal()):
        raise Broken(f"framing: {codings} {lengths}")
    return bool(codings), int(lengths[0]) if lengths else None


# -------------------------------------------------------------------------------- the client


class Client(Peer):
    """A client that takes nothing for an answer that is not whole and well formed."""

    def __init__(self, address, **options):
        super().__init__(address, **options)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.box = Inbox(self.socket)

    def final(self, method="GET"):
        """The next final answer: with body, trailer (a list of pairs), interim (the heads before
        it) and chunked. Broken when it is not whole."""
        interim = []
        while True:
            answer = self.next_head()
            if answer.status >= 200 or answer.status == 101:
                break
            interim.append(answer)
            if len(interim) > INTERIM_MAX:
                raise Broken("interim answers without end")
        answer.interim, answer.trailer = interim, []
        answer.chunked, size = framing(answer.lines)
        if answer.chunked and answer.version == "HTTP/1.0":
            raise Broken("a chunked answer of HTTP/1.0")
        if method == "HEAD" or answer.status in (101, 204, 304):
            return answer
        if answer.chunked:
            answer.body, answer.trailer = self.box.chunks()
        else:
            answer.body = self.box.rest() if size is None else self.box.take(size)
        return answer

    def next_head(self):
        """The next head, be it interim; its body stays where it is."""
        line, lines = self.box.head()
        text = "\r\n".join([line, *(f"{name}: {value}" for name, value in lines)])
        if not re.match(r"HTTP/1\.[01] [1-9]\d\d [ -~\x80-\xff]*", text):
            raise Broken(f"no status line: {line[:60]!r}")
        return Answer(text.encode("latin-1"))

    def fetch(self, target="/", method="GET", fields=(), body=None, version="HTTP/1.1"):
        """A whole exchange. `fields` are whole lines; a body has its size said."""
        lines = list(fields) + ([] if body is None else [f"Content-Length: {len(body)}"])
        self.ask(target, method, lines, version)
        if body:
            self.send(body)
        return self.final(method)

    def ends(self):
        """Whether the other side ends the connection in good order, without a word more."""
        return not self.box.data and not self.box.more()


class Steady:
    """A client that connects anew when an answer has ended its connection."""

    def __init__(self, address):
        self.address, self.client = address, Client(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.socket.close()

    def fetch(self, *arguments, **options):
        reply = self.client.fetch(*arguments, **options)
        if "close" in (reply.get("Connection") or "").lower():
            self.client.socket.close()
            self.client = Client(self.address)
        return reply


def chunked(body, size=None, trailer=()):
    """A chunked body, in chunks of `size` (all in one), with lines of a trailer."""
    size = size or max(1, len(body))
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    text = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return text + b"0\r\n" + b"".join(line.encode() + b"\r\n" for line in trailer) + b"\r\n"


def answer(body=b"", *fields, status="200 OK", version="HTTP/1.1"):
    """An answer's bytes, with a length; `fields` are whole lines."""
    lines = [f"{version} {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# ------------------------------------------------------------------------------- the upstream


class Request:
    """What an upstream was asked; whole, or Broken was raised in its place."""

    def __init__(self, line, lines, raw):
        self.method, self.target, self.version = line.split(" ")
        self.lines, self.raw = lines, raw
        self.body, self.trailer, self.chunked = b"", [], False

    def get(self, name):
        found = [value for key, value in self.lines if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0] if found else None


class Call:
    """A connection as its origin's script sees it."""

    def __init__(self, origin, stream):
        self.stream, self.box = stream, Inbox(stream)
        self.requests = origin.requests  # those of this script: play() begins others

    def head(self):
        """The next request without its body; None: there is none, the connection has ended."""
        if not self.box.data and not self.box.more():
            return None
        line, lines = self.box.head()
        request = Request(line, lines, line)
        request.chunked, request.size = framing(lines)
        return request

    def body(self, request):
        """Reads the body; the request is recorded only when it is whole."""
        if request.chunked:
            request.body, request.trailer = self.box.chunks()
        else:
            request.body = self.box.take(request.size or 0)
        self.requests.append(request)
        return request

    def request(self):
        """The next request, whole; None: there is none. Says 100 where that is waited for."""
        request = self.head()
        if request is None:
            return None
        if (request.get("Expect") or "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.body(request)

    def send(self, data):
        self.stream.sendall(data)

    def trickle(self, data, pause_s=0.001):
        for at in range(len(data)):
            self.send(data[at:at + 1])
            time.sleep(pause_s)

    def end(self):
        """In good order: nothing that was sent is lost."""
        with contextlib.suppress(OSError):  # the other side may have reset it
            self.stream.shutdown(socket.SHUT_WR)

    def reset(self):
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()

    def await_end(self):
        """Until the other side has gone; what it still says is dropped."""
        with contextlib.suppress(Broken):
            while self.box.more():
                self.box.data.clear()


class Origin:
    """An upstream: each of its connections is a thread that runs the script, which gets a Call.
    Who is cut off by the proxy or reads something that is Broken ends; what it raises besides is
    raised again by `stop`."""

    def __init__(self, script, path=None, host="127.0.0.1", backlog=512):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(socket.AF_UNIX if path else family)
        self.listener.bind(str(path) if path else (host, 0))
        self.listener.listen(backlog)
        name = self.listener.getsockname()
        host = f"[{host}]" if ":" in host else host
        self.url = f"http://unix:{path}" if path else f"http://{host}:{name[1]}"
        self.port = None if path else name[1]
        self.failures, self.lock, self.threads = [], threading.Lock(), []
        self.play(script)
        threading.Thread(target=self._accept, daemon=True).start()

    def play(self, script):
        """Another script from now on; who plays the one before is cut, the records begin anew."""
        with self.lock:
            self._cut()
            self.script = script
            self.requests, self.broken = [], []
            self.accepted, self.streams = 0, set()

    def _cut(self):
        for stream in getattr(self, "streams", ()):
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                stream = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self.streams.add(stream)
                thread = threading.Thread(target=self._perform, args=(stream, self.script),
                                          daemon=True)
            self.threads.append(thread)
            thread.start()

    def _perform(self, stream, script):
        stream.settimeout(WAIT_S)
        broken = self.broken
        try:
            script(Call(self, stream))
        except (Broken, ConnectionError, TimeoutError) as error:
            broken.append(str(error))
        except OSError as error:
            if stream.fileno() >= 0:  # else the script had closed it
                self.failures.append(error)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failures.append(error)
        finally:
            with self.lock:
                self.streams.discard(stream)
            stream.close()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        if self.listener.family == socket.AF_UNIX:
            os.unlink(self.listener.getsockname())
        self.listener.close()
        with self.lock:
            self._cut()
        for thread in self.threads:
            thread.join(WAIT_S)
        if self.failures:
            raise self.failures[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def answering(make):
    """The script of an origin in good order: make(request) is the answer, as bytes."""
    def script(call):
        while (request := call.request()) is not None:
            call.send(make(request))
    return script


def saying(data, then="end"):
    """The script that reads one request and answers with these bytes; then it ends, resets, hangs
    or (keep) reads on."""
    def script(call):
        if call.request() is None:
            return
        call.send(data)
        if then == "reset":
            time.sleep(0.002)  # what was sent is read before the reset takes it away
            call.reset()
        elif then == "hang":
            call.await_end()
        elif then == "keep":
            while call.request() is not None:
                call.send(data)
        else:
            call.end()
            call.await_end()
    return script
