# SPDX-License-Identifier: MIT
"""The other end of a connection, down to the byte: what curl is too polite to send."""

import socket
import struct


class Answer:
    """A response: status, fields (names in lower case), body."""

    def __init__(self, head):
        line, *lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = line.split(" ", 2)
        self.status = int(status)
        self.lines = [tuple(part.strip() for part in text.split(":", 1)) for text in lines]
        self.body = b""

    def get(self, name):
        found = [value for key, value in self.lines if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0] if found else None

    @property
    def length(self):
        return int(self.get("Content-Length") or 0)


class Peer:
    """A client that does as it is told."""

    def __init__(self, address, timeout_s=10, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:  # before connecting: the window is announced then
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        self.socket.connect(address)
        self.inbox = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, target="/", method="GET", fields=(), version="HTTP/1.1"):
        """Sends a request; `fields` are whole lines."""
        lines = [f"{method} {target} {version}", "Host: mill", *fields, "", ""]
        self.send("\r\n".join(lines))

    def more(self):
        """Receives something; False at the end."""
        data = self.socket.recv(1 << 18)
        self.inbox += data
        return bool(data)

    def head(self):
        """The head of the next answer; its body stays in the inbox."""
        while b"\r\n\r\n" not in self.inbox:
            assert self.more(), f"the connection ended within a head: {self.inbox!r}"
        head, self.inbox = self.inbox.split(b"\r\n\r\n", 1)
        return Answer(head)

    def answer(self, method="GET"):
        answer = self.head()
        if method != "HEAD" and answer.status not in (204, 304):
            while len(self.inbox) < answer.length:
                assert self.more(), "the connection ended within a body"
            answer.body, self.inbox = self.inbox[:answer.length], self.inbox[answer.length:]
        return answer

    def get(self, target="/", method="GET", fields=(), version="HTTP/1.1"):
        self.ask(target, method, fields, version)
        return self.answer(method)

    def rest(self):
        """Everything until the server ends the connection."""
        while self.more():
            pass
        rest, self.inbox = self.inbox, b""
        return rest

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Vanishes: RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
