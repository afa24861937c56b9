# SPDX-License-Identifier: MIT
"""A server for each story. It must end in good order, with nothing unexpected on stderr."""

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time
import urllib.parse

import pytest

from peer import Peer

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LEAT_BUILD_DIR", ROOT / "build"))
LEAT = os.environ.get("LEAT_BINARY", str(BUILD / "apps" / "leat" / "leat"))
ENGINE = os.environ.get("LEAT_ENGINE", "auto")
FILM = ROOT / "examples" / "media" / "watercourse.mp4"
START_S, END_S = 10, 15
PROMPT_S = 7  # who ends without waiting for anybody has ended by then; the grace is 10 s
EXPECTED = re.compile(r"leat (serve|proxy): engine (uring|epoll)\b")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long; runs with LEAT_LONG=1 (make test-all)")
    config.addinivalue_line("markers", "mostly_on(engine): what it shows depends little on the "
                            "engine: in make test it runs on this one, in make test-all on both")


def pytest_collection_modifyitems(items):
    if os.environ.get("LEAT_LONG"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: make test-all runs it"))
        mostly_on = item.get_closest_marker("mostly_on")
        if mostly_on and ENGINE not in ("auto", mostly_on.args[0]):
            item.add_marker(pytest.mark.skip(
                reason=f"make test runs it on {mostly_on.args[0]}, make test-all on both"))


def await_true(condition, seconds=10):
    """Waits until it holds, or is something; returns that. On a machine that is busy everything
    takes longer: what is waited for is named, and no time is guessed."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
    return result


def is_running(pid):
    """A zombie, whom nobody has buried yet, is not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return status != "Z"
    return False


def descriptors_of(pid):
    """What each descriptor of a process leads to; those that are closed meanwhile are left out."""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    found = []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(folder / name))
    return found


class Server:
    """A running `leat serve`, or another command that serves: then `directory` is None."""

    def __init__(self, directory, flags, stderr_path, prefix=(), listens=("127.0.0.1:0",),
                 command="serve"):
        self.stderr_path = stderr_path
        self.expected = [EXPECTED]
        words = [*prefix, LEAT, command, "--engine", ENGINE]
        for address in listens:
            words += ["--listen", address]
        with open(stderr_path, "wb") as stderr:
            where = [] if directory is None else [str(directory)]
            self.process = subprocess.Popen([*words, *flags, *where],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=stderr)
        self.lines = []
        try:
            self._await_lines(len(listens))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.url = self.lines[0].removeprefix("listening on ")
        parts = urllib.parse.urlsplit(self.url)
        self.address = (parts.hostname, parts.port)
        self.listeners = 0
        self.listeners = self.connections()

    def _await_lines(self, count):
        deadline = time.monotonic() + START_S
        text = ""
        while text.count("\n") < count:
            left = deadline - time.monotonic()
            if left > 0 and select.select([self.process.stdout], [], [], left)[0]:
                data = os.read(self.process.stdout.fileno(), 4096)
                text += data.decode()
                if data:
                    continue
            pytest.fail(f"not listening; stdout: {text!r}, stderr: {self.stderr()!r}")
        self.lines = text.splitlines()
        assert all(line.startswith("listening on ") for line in self.lines), text

    @property
    def pid(self):
        """Of leat itself, also when something else runs it."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        name = pathlib.Path(f"/proc/{self.process.pid}/comm").read_text().strip()
        return self.process.pid if name == "leat" else int(children.read_text().split()[0])

    def stderr(self):
        return pathlib.Path(self.stderr_path).read_text(errors="replace")

    def connect(self, **options):
        return Peer(self.address, **options)

    def get(self, target="/", **options):
        """One request on a connection of its own."""
        with self.connect() as peer:
            return peer.get(target, **options)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connections(self):
        """Sockets it has open, less those it listens on."""
        return sum(target.startswith("socket:")
                   for target in descriptors_of(self.pid)) - self.listeners

    def await_connections(self, count, seconds=5):
        """Waits until no more than `count` are left."""
        deadline = time.monotonic() + seconds
        while self.connections() > count:
            assert time.monotonic() < deadline, f"{self.connections()} connections are left"
            time.sleep(0.02)

    def await_refusal(self):
        """Waits until it accepts nobody any more: it has been told to end."""
        def is_refused():
            try:
                self.connect().socket.close()
            except ConnectionError:
                return True
            return False
        await_true(is_refused)

    def expect_on_stderr(self, pattern):
        self.expected.append(re.compile(pattern))

    def stop(self, signal_number=signal.SIGTERM):
        """Ends it as an operator does (0: that was done), and looks at what it leaves."""
        if signal_number and self.process.poll() is None:
            os.kill(self.pid, signal_number)
        try:
            status = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            pytest.fail(f"it did not end within {END_S} s; stderr: {self.stderr()}")
        finally:
            self.process.stdout.close()
        unexpected = [line for line in self.stderr().splitlines()
                      if not any(pattern.match(line) for pattern in self.expected)]
        assert not unexpected, "on stderr:\n" + "\n".join(unexpected)
        assert status == 0, f"exit status {status}"

    def kill(self):
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def refuses_uring():
    if ENGINE != "uring":
        return False
    found = subprocess.run([LEAT, "doctor", "--json"], capture_output=True, text=True, check=False)
    return not re.search(r'"name":"io_uring","state":"ok"', found.stdout)


@pytest.fixture(scope="session")
def engine():
    if refuses_uring():
        pytest.skip("this host refuses io_uring (leat doctor)")
    return ENGINE


@contextlib.contextmanager
def stopping():
    """A list of servers: at the end all that still run are stopped."""
    servers = []
    yield servers
    with contextlib.ExitStack() as stack:
        for server in servers:
            if not server.process.stdout.closed:
                stack.callback(server.stop)


@pytest.fixture
def serve(tmp_path, engine):
    """serve(directory, *flags) starts a server; at the end of the test all are stopped."""
    with stopping() as servers:
        def start(directory, *flags, **options):
            server = Server(directory, flags, tmp_path / f"stderr-{len(servers)}", **options)
            servers.append(server)
            return server
        yield start


@pytest.fixture
def proxy(tmp_path, engine):
    """proxy(*flags_and_urls) starts a reverse proxy; at the end of the test all are stopped."""
    with stopping() as servers:
        def start(*words, **options):
            server = Server(None, words, tmp_path / f"stderr-proxy-{len(servers)}",
                            command="proxy", **options)
            servers.append(server)
            return server
        yield start


@pytest.fixture
def folder(tmp_path):
    """An empty folder to serve."""
    path = tmp_path / "films"
    path.mkdir()
    return path


@pytest.fixture
def media(folder):
    """A folder with the film, an hour old: a date of this second would be no validator."""
    shutil.copy(FILM, folder / FILM.name)
    hour_ago = time.time() - 3600
    os.utime(folder / FILM.name, (hour_ago, hour_ago))
    return folder


@pytest.fixture(scope="session")
def film():
    """The bytes of the film."""
    return FILM.read_bytes()


def run_leat(*arguments, **options):
    """Runs the command to its end."""
    return subprocess.run([LEAT, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=20, check=False, **options)


@pytest.fixture
def leat():
    return run_leat
