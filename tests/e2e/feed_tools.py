# SPDX-License-Identifier: MIT
"""leat feed's two ends as processes, MoldUDP64 spelled out once more for those who judge them, and
a network that drops what one likes."""

import array
import fcntl
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

from conftest import ENGINE, LEAT, ROOT, await_true

DATA = pathlib.Path(os.environ.get("LEAT_TEST_DATA") or ROOT.parent / "shared") / "market"
ITCH_DAY = DATA / "RITCH__extdata_ex20101224.TEST_ITCH_50"
START_S, END_S = 10, 30
HEADER = struct.Struct(">10sQH")  # MoldUDP64 1.00: session, sequence, count
END_OF_SESSION = 0xFFFF
# ITCH 5.0: bytes of each message, by its type.
ITCH_SIZES = {"S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35,
              "h": 21, "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44,
              "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48}

# ---- Messages ---------------------------------------------------------------------------------


def framed(messages):
    """As they lie in files: a big-endian u16 length before each."""
    return b"".join(struct.pack(">H", len(message)) + message for message in messages)


def unframed(data):
    messages, at = [], 0
    while at < len(data):
        size, = struct.unpack_from(">H", data, at)
        assert 0 < size <= len(data) - at - 2, f"no message at {at} of {len(data)}"
        messages.append(data[at + 2:at + 2 + size])
        at += 2 + size
    return messages


def make_messages(count, seed=1, size_max=80):
    """Each tells which it is, so that two that changed places are seen."""
    dice = random.Random(seed)
    return [struct.pack(">I", number) + dice.randbytes(dice.randint(1, size_max - 4))
            for number in range(count)]


def itch_day():
    """The messages of the sample day, whose lengths its file does not tell."""
    data, messages, at = ITCH_DAY.read_bytes(), [], 0
    while at < len(data):
        size = ITCH_SIZES[chr(data[at + 2])]
        messages.append(data[at + 2:at + 2 + size])
        at += 2 + size
    return messages


# ---- Packets ----------------------------------------------------------------------------------

def packet(session, sequence, messages):
    return HEADER.pack(session.ljust(10).encode(), sequence, len(messages)) + framed(messages)


def signal_packet(session, sequence, count=0):
    """A heartbeat, the end of the session, or a request."""
    return HEADER.pack(session.ljust(10).encode(), sequence, count)


def parse(data):
    session, sequence, count = HEADER.unpack_from(data)
    messages = unframed(data[HEADER.size:])
    assert len(messages) == (0 if count == END_OF_SESSION else count)
    return session.decode().rstrip(), sequence, count, messages


def free_port():
    """Of UDP. Nobody holds it, but ports are given out in turn."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_stuck(pipe, seconds=0.3):
    """Is there something in the pipe, and no more of it after a while? Then it is full."""
    def waiting():
        count = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, count)
        return count[0]
    before = waiting()
    time.sleep(seconds)
    return before > 0 and waiting() == before


def listener(address="127.0.0.1", port=0):
    """A socket that takes what a publisher sends."""
    taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    taker.bind((address, port))
    taker.settimeout(10)
    return taker


# ---- Processes --------------------------------------------------------------------------------

class Feed:
    """One of leat feed's commands, at work."""

    def __init__(self, name, flags, folder, number, prefix=(), **options):
        self.name = name
        self.stderr_path = folder / f"{name}-{number}.stderr"
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        command = [*prefix, LEAT, "feed", name, "--engine", ENGINE, *flags]
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen([str(part) for part in command], stderr=stderr,
                                            **options)
        self.lines = []

    def await_line(self, beginning):
        """The next line on stdout; returns what is behind its beginning."""
        deadline, text = time.monotonic() + START_S, b""
        while not text.endswith(b"\n"):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            byte = os.read(self.process.stdout.fileno(), 1) if ready else b""
            assert byte, f"no '{beginning}'; stdout: {text!r}; stderr: {self.stderr()}"
            text += byte
        line = text.decode().rstrip("\n")
        assert line.startswith(beginning), line
        self.lines.append(line)
        return line.removeprefix(beginning)

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def await_stderr(self, text):
        await_true(lambda: text in self.stderr())

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, status=0, seconds=END_S):
        """Its end; returns what is left of stdout."""
        try:
            left, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"{self.name} did not end: {self.stderr()}") from None
        assert self.process.returncode == status, (self.process.returncode, self.stderr())
        return left

    def finish(self):
        """A publisher lingers for those who ask; when nobody will, a signal ends that."""
        self.signal(signal.SIGTERM)
        self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Feeds:
    """Starts them, and sees to it that none is left."""

    def __init__(self, folder, prefix=()):
        self.folder, self.prefix = folder, prefix
        self.all = []

    def start(self, name, *flags, **options):
        options.setdefault("prefix", self.prefix)
        feed = Feed(name, flags, self.folder, len(self.all), **options)
        self.all.append(feed)
        return feed

    def publish(self, *flags, begins=1, requests=True, **options):
        """A publisher that publishes; .request is where it answers."""
        if requests:
            flags = (*flags, "--request-listen", options.pop("listen", "127.0.0.1:0"))
        feed = self.start("publish", *flags, **options)
        words = feed.await_line("publishing ").split()
        assert words[-3:-1] == ["from", "sequence"] and words[-1] == str(begins), words
        if requests:
            feed.request = feed.await_line("answering requests on ")
        return feed

    def subscribe(self, *flags, name="subscribe", **options):
        """A subscriber that misses nothing from now on."""
        feed = self.start(name, *flags, **options)
        await_true(lambda: feed.process.poll() is not None or "listening to" in feed.stderr())
        return feed

    def look(self, *flags, **options):
        return self.subscribe(*flags, name="stat", **options)

    def close(self):
        for feed in self.all:
            feed.kill()


# ---- A network that drops ---------------------------------------------------------------------

class Network:
    """A namespace of its own with a loopback; gone when its holder ends."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"],
                                       stdin=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/net")
        await_true(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours)
        self.prefix = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *command):
        subprocess.run([*self.prefix, *command], check=True, capture_output=True)

    def drop(self, port, percent):
        """So much of what comes for a port, by dice."""
        rules = ("add table inet feed; add chain inet feed input "
                 "{ type filter hook input priority 0; }; "
                 f"add rule inet feed input udp dport {port} numgen random mod 100 < {percent} "
                 "drop")
        self.inside("nft", rules)

    def close(self):
        self.holder.kill()
        self.holder.wait()


def why_no_network():
    """A reason to skip, or ""."""
    missing = [tool for tool in ("ip", "nft", "nsenter", "unshare") if not shutil.which(tool)]
    if missing:
        return f"{missing[0]} is not installed"
    return "" if os.geteuid() == 0 else "network namespaces need root here"
