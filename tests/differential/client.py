# SPDX-License-Identifier: MIT
"""Sends bytes on connections of their own, several at a time, and reads what comes back.

A connection is written to once and then shut for writing, so that no server waits for more: all
ends by itself, without a pause. What came back is taken apart here, strictly: a response that is
not well formed is an observation too.
"""

import re
import select
import socket
import time

TIMEOUT_S = 20
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) ([\x20-\x7e]*)\Z")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\Z")
CHUNK_HEAD = re.compile(rb"([0-9a-fA-F]+)\r\n")


class Broken(Exception):
    """What came back is no HTTP."""


class Response:
    """A final response, and the interim ones before it."""

    def __init__(self):
        self.status, self.framing, self.body = 0, "", b""
        self.fields = {}  # lower-case name: list of values
        self.interim = []

    def get(self, name):
        values = self.fields.get(name, [])
        return values[0] if values else ""

    def __repr__(self):
        return f"{self.status} {self.framing} {len(self.body)} B"


def read_head(data):
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        raise Broken(f"a head without end: {data[:60]!r}")
    line, *lines = head.split(b"\r\n")
    match = STATUS_LINE.match(line)
    if not match:
        raise Broken(f"no status line: {line[:60]!r}")
    response = Response()
    response.status = int(match[1])
    for text in lines:
        field = FIELD_LINE.match(text)
        if not field:
            raise Broken(f"no field line: {text[:60]!r}")
        response.fields.setdefault(field[1].decode().lower(), []).append(field[2].decode("latin-1"))
    return response, rest


def read_chunks(data):
    body = b""
    while True:
        match = CHUNK_HEAD.match(data)
        if not match:
            raise Broken(f"no chunk: {data[:40]!r}")
        size = int(match[1], 16)
        data = data[match.end():]
        if size == 0:
            trailer, separator, rest = (b"\r\n" + data).partition(b"\r\n\r\n")
            if not separator:
                raise Broken(f"no end of the trailer: {trailer[:40]!r}")
            return body, rest
        if data[size:size + 2] != b"\r\n":
            raise Broken("a chunk is cut")
        body += data[:size]
        data = data[size + 2:]


def read_response(data, may_be_head):
    """The first response in `data` and what is behind it."""
    response, data = read_head(data)
    lengths = response.fields.get("content-length", [])
    if "transfer-encoding" in response.fields:
        if response.fields["transfer-encoding"] != ["chunked"] or lengths:
            raise Broken(f"framing: {response.fields}")
        response.framing = "chunked"
    elif lengths:
        if len(lengths) != 1 or not lengths[0].isdecimal():
            raise Broken(f"Content-Length: {lengths}")
        response.framing = "length"
    else:
        response.framing = "close"
    if response.status < 200 or response.status in (204, 304):
        if response.framing == "chunked" or (lengths and response.status != 304):
            raise Broken(f"{response.status} with a body")
        response.framing = "none"
        return response, data
    if may_be_head and (not data or data.startswith(b"HTTP/1.")):
        response.framing = "none"
        return response, data
    if response.framing == "chunked":
        response.body, data = read_chunks(data)
    elif response.framing == "length":
        size = int(lengths[0])
        if len(data) < size:
            raise Broken(f"the body is cut: {len(data)} of {size} B")
        response.body, data = data[:size], data[size:]
    else:
        response.body, data = data, b""
    return response, data


class Observation:
    """What a server made of a request."""

    def __init__(self, request, data, end):
        self.responses, self.end, self.broken = [], end, ""
        may_be_head = b"HEAD" in request
        interim = []
        try:
            while data:
                response, data = read_response(data, may_be_head)
                if response.status < 200:
                    interim.append(response.status)
                    continue
                response.interim, interim = interim, []
                self.responses.append(response)
        except Broken as broken:
            self.broken = str(broken)


class Connection:
    def __init__(self, request, address):
        self.request = request
        self.data = b""
        self.socket = socket.create_connection(address, timeout=TIMEOUT_S)
        self.end = ""
        try:
            self.socket.sendall(request)
            self.socket.shutdown(socket.SHUT_WR)
        except TimeoutError:
            self.end = "the server does not read"
        except OSError:
            pass  # it has closed already; what it said can still be read
        self.socket.setblocking(False)
        self.deadline = time.monotonic() + TIMEOUT_S

    def receive(self):
        """False when there is nothing more to come."""
        try:
            while True:
                piece = self.socket.recv(1 << 16)
                if not piece:
                    self.end = "eof"
                    return False
                self.data += piece
        except BlockingIOError:
            return True
        except OSError:
            self.end = "reset"
            return False

    def observation(self):
        return Observation(self.request, self.data, self.end or "timeout")


class Client:
    """Exchanges several requests with several servers at once."""

    def __init__(self, width=16):
        self.width = width

    def run(self, jobs):
        """jobs: an iterator of (key, {server: (address, request)}); yields (key, {server:
        Observation}), not always in order."""
        poll = select.epoll()
        connections, waiting = {}, {}
        jobs = iter(jobs)
        more = True
        try:
            while more or waiting:
                while more and len(waiting) < self.width:
                    job = next(jobs, None)
                    more = job is not None
                    if more:
                        self._begin(job, poll, connections, waiting)
                yield from self._turn(poll, connections, waiting)
        finally:
            for connection, *_ in connections.values():
                connection.socket.close()
            poll.close()

    @staticmethod
    def _begin(job, poll, connections, waiting):
        key, targets = job
        waiting[key] = (set(targets), {})
        for server, (address, request) in targets.items():
            connection = Connection(request, address)
            descriptor = connection.socket.fileno()
            connections[descriptor] = (connection, key, server)
            poll.register(descriptor, select.EPOLLIN)

    @staticmethod
    def _turn(poll, connections, waiting):
        ready = [descriptor for descriptor, _ in poll.poll(1)]
        now = time.monotonic()
        if not ready:
            ready = [descriptor for descriptor, (connection, *_) in connections.items()
                     if connection.deadline < now]
        for descriptor in ready:
            connection, key, server = connections[descriptor]
            if connection.receive() and connection.deadline > now:
                continue
            poll.unregister(descriptor)
            connection.socket.close()
            del connections[descriptor]
            left, found = waiting[key]
            left.discard(server)
            found[server] = connection.observation()
            if not left:
                del waiting[key]
                yield key, found
