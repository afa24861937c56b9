# SPDX-License-Identifier: MIT
"""A publisher over RTMP, down to the byte: what ffmpeg and OBS are too polite to send, and what
Debian 12's ffmpeg cannot send yet (HEVC in Enhanced RTMP)."""

import socket
import struct

from framehash import probe_tracks

AUDIO, VIDEO, COMMAND = 8, 9, 20
HANDSHAKE_SIZE = 1536


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def amf(value):
    """AMF 0: None, a number, a boolean, a text, a dict."""
    if value is None:
        return b"\5"
    if isinstance(value, bool):
        return bytes([1, value])
    if isinstance(value, (int, float)):
        return struct.pack(">Bd", 0, value)
    if isinstance(value, str):
        return b"\2" + text(value)
    return b"\3" + b"".join(text(key) + amf(value[key]) for key in value) + b"\0\0\x09"


def read_amf(data):
    """The first value, and what comes behind it."""
    kind, rest = data[0], data[1:]
    if kind == 0:
        return struct.unpack_from(">d", rest)[0], rest[8:]
    if kind == 1:
        return rest[0] != 0, rest[1:]
    if kind == 2:
        size, = struct.unpack_from(">H", rest)
        return rest[2:2 + size].decode(), rest[2 + size:]
    if kind == 5:
        return None, rest
    if kind == 10:
        values, (count,), rest = [], struct.unpack_from(">I", rest), rest[4:]
        for _ in range(count):
            value, rest = read_amf(rest)
            values.append(value)
        return values, rest
    assert kind == 3, f"AMF type {kind}"
    found = {}
    while rest[:3] != b"\0\0\x09":
        size, = struct.unpack_from(">H", rest)
        name = rest[2:2 + size].decode()
        found[name], rest = read_amf(rest[2 + size:])
    return found, rest[3:]


class Publisher:
    """A client that does as it is told. The server's messages are in one chunk each."""

    def __init__(self, address, timeout_s=10):
        self.socket = socket.create_connection(address, timeout_s)
        self.chunk_size = 128

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def is_closed(self):
        """Waits until the server has closed it, whatever it says before."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def shake_hands(self):
        client = bytes(8) + bytes(index * 7 % 256 for index in range(HANDSHAKE_SIZE - 8))
        self.send(b"\3" + client)
        answer = self.receive(1 + 2 * HANDSHAKE_SIZE)
        assert answer[0] == 3 and answer[1 + HANDSHAKE_SIZE:] == client
        self.send(answer[1:1 + HANDSHAKE_SIZE])

    def message(self, kind, body, time_ms=0, chunks=4):
        """The bytes of a message: a header of type 0, chunks of type 3 behind it."""
        late = struct.pack(">I", time_ms) if time_ms >= 0xFFFFFF else b""
        data = (bytes([chunks]) + struct.pack(">I", min(time_ms, 0xFFFFFF))[1:]
                + struct.pack(">I", len(body))[1:] + bytes([kind]) + struct.pack("<I", 1) + late)
        pieces = [body[at:at + self.chunk_size] for at in range(0, len(body), self.chunk_size)]
        return data + (bytes([0xC0 | chunks]) + late).join(pieces)

    def set_chunk_size(self, size):
        self.send(self.message(1, struct.pack(">I", size), chunks=2))
        self.chunk_size = size

    def call(self, name, number, *values):
        body = b"".join(amf(value) for value in (name, number, *values))
        self.send(self.message(COMMAND, body, chunks=3))

    def next_message(self):
        """Type and body."""
        head = self.receive(12)
        size, = struct.unpack_from(">I", head, 3)
        return head[7], self.receive(size & 0xFFFFFF)

    def next_command(self):
        """Its name and values; other messages are passed over."""
        while True:
            kind, body = self.next_message()
            if kind == COMMAND:
                values = []
                while body:
                    value, body = read_amf(body)
                    values.append(value)
                return values

    def next_status(self):
        """Code and description of the next command that has them."""
        while True:
            information = self.next_command()[-1]
            if isinstance(information, dict):
                return information["code"], information["description"]

    def connect(self, app="live"):
        self.shake_hands()
        self.call("connect", 1, {"app": app, "tcUrl": f"rtmp://host/{app}"})
        return self.next_status()

    def publish(self, name):
        """Everything up to the answer to publish: its code and description."""
        code, _ = self.connect()
        assert code == "NetConnection.Connect.Success"
        self.call("createStream", 2, None)
        assert self.next_command() == ["_result", 2, None, 1]
        self.call("publish", 0, None, name, "live")
        return self.next_status()

    def end(self, name):
        self.call("FCUnpublish", 3, None, name)
        self.call("deleteStream", 4, None, 1)
        return self.next_status()




def _config(data, kind):
    """What is in the first such box, wherever it is: avcC, hvcC."""
    at = data.index(kind)
    size, = struct.unpack_from(">I", data, at - 4)
    return data[at + 4:at - 4 + size]


def messages_of(film, fourcc="avc1", is_enhanced=False):
    """What a publisher sends of an MP4 with AVC or HEVC, and with AAC of 48,000 Hz or 44,100 Hz in
    stereo or mono: (type, time in ms, body), in the order of their times."""
    data = film.read_bytes()
    video, audio = probe_tracks(film)
    config = _config(data, {"avc1": b"avcC", "hvc1": b"hvcC"}[fourcc])
    specific = data.index(b"\x05\x80\x80\x80", data.index(b"esds")) + 4
    sound = data[specific + 1:specific + 1 + data[specific]]
    messages = [(VIDEO, 0, _video(fourcc, is_enhanced, True, 0, 0, config)),
                (AUDIO, 0, b"\xaf\0" + sound)]
    base = min(video.packets[0].dts, audio.packets[0].dts)
    for packet in video.packets:
        sample = data[packet.position:packet.position + packet.size]
        shift_ms = round((packet.pts - packet.dts) * 1000)
        messages.append((VIDEO, round((packet.dts - base) * 1000),
                         _video(fourcc, is_enhanced, packet.is_key, 1, shift_ms, sample)))
    for packet in audio.packets:
        sample = data[packet.position:packet.position + packet.size]
        messages.append((AUDIO, int((packet.dts - base) * 1000), b"\xaf\1" + sample))
    return sorted(messages, key=lambda message: message[1])


def _video(fourcc, is_enhanced, is_key, kind, shift_ms, data):
    frame = 0x10 if is_key else 0x20
    shift = struct.pack(">i", shift_ms)[1:]
    if not is_enhanced:
        return bytes([frame | 7, kind]) + shift + data
    return bytes([0x80 | frame | kind]) + fourcc.encode() + (shift if kind else b"") + data
