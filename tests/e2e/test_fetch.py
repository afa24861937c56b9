# SPDX-License-Identifier: MIT
"""The client of the library with servers of other people: nginx, Node, python3 -m http.server and
HAProxy. Every body is compared byte by byte."""

import hashlib
import json
import subprocess
import time

import pytest

from conftest import BUILD, ENGINE
from proxy_origins import haproxy, nginx, node, pattern, python

SIZES = (0, 1, 1000, 16 * 1024, 100_000, 3_000_000)


class Client:
    """A running fetch_http: a line of words for a request, a line for its answer."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([BUILD / "tests" / "e2e" / "fetch_http", ENGINE],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def fetch(self, method, url, *words):
        """The status, the body and the words that follow."""
        path = self.folder / "body"
        answer = self.say(method, url, f"save={path}", *words)
        assert not answer.startswith("error"), answer
        status, size, *rest = answer.split()
        body = path.read_bytes()
        assert len(body) == int(size)
        return int(status), body, rest

    def seen(self, method, url, *words):
        """What Node says of the request."""
        return json.loads(self.fetch(method, f"{url}/seen", *words)[1])

    def counters(self):
        words = self.say("counters").split()
        return dict(zip(words[::2], map(int, words[1::2])))


@pytest.fixture
def client(tmp_path, engine):  # pylint: disable=unused-argument
    asker = Client(tmp_path)
    yield asker
    asker.process.stdin.close()
    assert asker.process.wait(10) == 0


@pytest.fixture
def files(tmp_path):
    """A folder of files of all sizes."""
    folder = tmp_path / "files"
    (folder / "deep").mkdir(parents=True)
    for size in SIZES:
        (folder / f"file{size}").write_bytes(pattern(size))
    (folder / "deep" / "index.html").write_text("deep")
    return folder


@pytest.fixture
def node_url():
    with node() as url:
        yield url


def test_files_of_nginx(client, files, tmp_path):
    with nginx(tmp_path / "nginx", files) as url:
        for size in SIZES:
            assert client.fetch("GET", f"{url}/file{size}")[:2] == (200, pattern(size))
            assert client.fetch("HEAD", f"{url}/file{size}", "show=Content-Length") == (
                200, b"", [f"{url}/file{size}", str(size)])
        status, body, _ = client.fetch("GET", f"{url}/file100000", "field=Range:bytes=10-19")
        assert (status, body) == (206, pattern(100_000)[10:20])
        assert client.fetch("GET", f"{url}/nothing")[0] == 404
        # a folder without its slash is sent on, to where nginx says that it is
        assert client.fetch("GET", f"{url}/deep", "redirects=3")[:2] == (200, b"deep")
        assert client.fetch("PUT", f"{url}/put/new", "body=3000000")[0] == 201
        assert (files / "new").read_bytes() == pattern(3_000_000)
        assert client.fetch("PUT", f"{url}/put/new", "stream=700001")[0] == 204
        assert (files / "new").read_bytes() == pattern(700_001)
        assert client.fetch("PUT", f"{url}/put/new", "stream=-1", "expect")[0] == 204
        assert (files / "new").read_bytes() == pattern(300_000)
        counters = client.counters()
        assert counters["opened"] <= 2 and counters["retries"] == 0, counters


def test_python_closes_every_time(client, files):
    """HTTP/1.0, some answers without a length."""
    with python(files) as url:
        for size in SIZES:
            assert client.fetch("GET", f"{url}/file{size}")[:2] == (200, pattern(size))
            assert client.fetch("GET", f"{url}/end?{size}")[:2] == (200, pattern(size))
        assert client.fetch("GET", f"{url}/deep", "redirects=1")[:2] == (200, b"deep")
        counters = client.counters()
        assert counters["opened"] == 2 * len(SIZES) + 2 and counters["reused"] == 0


@pytest.mark.parametrize("form", ["", "&as=chunks", "&as=end"])
def test_bodies_of_node(client, node_url, form):
    for size in SIZES:
        url = f"{node_url}/body?size={size}{form}"
        assert client.fetch("GET", url)[:2] == (200, pattern(size))


def test_what_node_hears(client, node_url):
    seen = client.seen("GET", node_url, "field=X-A:1", "field=Accept:text/plain")
    host = node_url.removeprefix("http://")
    assert seen["method"] == "GET" and seen["version"] == "1.1"
    names = seen["fields"][::2]
    assert names == ["Host", "User-Agent", "X-A", "Accept"], names
    assert seen["fields"][1] == host and seen["fields"][3].startswith("leat/")
    for size in SIZES:
        digest = hashlib.sha256(pattern(size)).hexdigest()
        for words in ([f"body={size}"], [f"body={size}", "expect"], [f"stream={size}"],
                      [f"stream={size}", "expect"]):
            if size == 0 and words[0].startswith("stream"):
                continue
            seen = client.seen("POST", node_url, *words)
            assert (seen["size"], seen["digest"]) == (size, digest), words
    seen = client.seen("PATCH", node_url, "stream=-1")
    assert (seen["method"], seen["size"]) == ("PATCH", 300_000)
    assert ["Transfer-Encoding", "chunked"] == seen["fields"][-2:], seen["fields"]
    assert client.counters()["opened"] == 1


def test_node_answers_while_it_reads(client, node_url):
    """Nobody waits for the other: more than all sockets between them can hold goes round."""
    for size in (1000, 20_000_000):
        assert client.fetch("POST", f"{node_url}/echo", f"stream={size}", "both")[:2] == (
            200, pattern(size))


def test_early_hints_and_trailers(client, node_url):
    assert client.fetch("GET", f"{node_url}/hints")[:2] == (200, b"after the hints")
    status, body, rest = client.fetch("GET", f"{node_url}/trailer", "show=x-sum")
    assert (status, body, rest[1:]) == (200, b"summed up", ["9"])


def test_node_wants_no_body(client, node_url):
    """Asked first, it says so, and nothing is sent."""
    begin = time.monotonic()
    assert client.fetch("POST", f"{node_url}/refused", "body=3000000", "expect")[:2] == (403, b"no")
    assert time.monotonic() - begin < 1


def test_a_server_that_closes_what_rests(client):
    """Its end of a connection at rest is seen before the next request is sent over it."""
    with node(keep_alive_ms=50) as url:
        for _ in range(3):
            assert client.seen("POST", url, "body=10")["size"] == 10
            time.sleep(1.2)  # Node looks once a second
        counters = client.counters()
        assert counters["opened"] == 3 and counters["stale"] >= 2, counters
        assert counters["retries"] == 0


def test_through_haproxy(client, files, tmp_path):
    with nginx(tmp_path / "nginx", files) as behind, haproxy(tmp_path / "haproxy", behind) as url:
        for size in SIZES:
            assert client.fetch("GET", f"{url}/file{size}")[:2] == (200, pattern(size))
        assert client.fetch("PUT", f"{url}/put/new", "stream=-1")[0] == 201
        assert (files / "new").read_bytes() == pattern(300_000)
        assert client.counters()["opened"] == 1


def test_nobody_is_there(client):
    assert client.say("GET", "http://127.0.0.1:1/") == "error Connection refused"
    assert client.say("GET", "https://127.0.0.1/") == "error Protocol not supported"
    assert client.say("GET", "http://127.0.0.1:99999/") == "error Invalid argument"
