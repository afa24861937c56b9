# SPDX-License-Identifier: MIT
"""The clients people use: each gets what it asked for, to the byte."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

from conftest import FILM
from test_rfc import Echo

pytestmark = pytest.mark.mostly_on("epoll")

MIB = 1 << 20
NAME = FILM.name


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def run(*command, timeout_s=60, check=True, **options):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout_s, check=False, **options)
    assert not check or done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def big(media):
    """A file of 20 MiB that is nowhere the same; the folder has the film, too."""
    data = random.Random(1).randbytes(20 * MIB)
    (media / "big.bin").write_bytes(data)
    return data


@pytest.fixture
def echo(engine):
    started = Echo()
    yield started
    started.stop()


# ------------------------------------------------------------------------------------------- curl


def test_curl_ranges(serve, media, big):
    server = serve(media)
    for wish, expected in (("0-0", big[:1]), ("1000-1999", big[1000:2000]), ("-500", big[-500:]),
                           (f"{10 * MIB}-", big[10 * MIB:])):
        assert run("curl", "-sS", "-r", wish, f"{server.url}/big.bin").stdout == expected
    parts = run("curl", "-sS", "-r", "0-99,5000-5099", "-D", "-", f"{server.url}/big.bin").stdout
    assert b"multipart/byteranges" in parts
    assert big[:100] in parts and big[5000:5100] in parts


def test_curl_reuses_its_connection(serve, media, film):
    server = serve(media)
    urls = [f"{server.url}/{NAME}"] * 5
    done = run("curl", "-sS", "-v", "-w", "connects %{num_connects}\n", *urls)
    connects = re.findall(rb"connects (\d)", done.stdout)
    assert connects == [b"1", b"0", b"0", b"0", b"0"]
    assert done.stdout.count(film) == 5


def test_curl_of_http_1_0(serve, media, film):
    server = serve(media)
    done = run("curl", "-sS", "--http1.0", "-D", "-", f"{server.url}/{NAME}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert body == film and b"Transfer-Encoding" not in head
    assert run("curl", "-sS", "--http1.0", "-H", "Connection: keep-alive", f"{server.url}/{NAME}",
               f"{server.url}/{NAME}").stdout == film * 2


def test_curl_uploads_with_an_expectation(echo, tmp_path, big):
    """curl says Expect: 100-continue for more than 1 MiB; here it waits half a minute for it."""
    url = "http://%s:%d/stream" % echo.address
    path = tmp_path / "upload"
    path.write_bytes(big)
    for flags in (("-T", path), ("-T", path, "-H", "Transfer-Encoding: chunked"),
                  ("--data-binary", f"@{path}", "-H", "Expect: 100-continue")):
        start = time.monotonic()
        done = run("curl", "-sS", "--expect100-timeout", "30", "-D", tmp_path / "head", *flags, url)
        assert digest(done.stdout) == digest(big)
        assert time.monotonic() - start < 20, "it waited for 100 in vain"
        assert b"HTTP/1.1 100 Continue" in (tmp_path / "head").read_bytes()


def test_curl_asks_only_when_the_file_has_changed(serve, media, film, tmp_path):
    server = serve(media)
    url, path, tag = f"{server.url}/{NAME}", tmp_path / "copy", tmp_path / "tag"
    run("curl", "-sS", "--etag-save", tag, "-R", "-o", path, url)
    assert path.read_bytes() == film
    assert path.stat().st_mtime == int((media / NAME).stat().st_mtime)
    for flags in (("--etag-compare", tag), ("-z", path)):
        done = run("curl", "-sS", *flags, "-w", "%{http_code} %{size_download}", "-o",
                   tmp_path / "none", url)
        assert done.stdout == b"304 0"


# ----------------------------------------------------------------------------- other downloaders


def test_wget_goes_on_where_it_stopped(serve, media, big, tmp_path):
    need("wget")
    server = serve(media)
    path = tmp_path / "big.bin"
    path.write_bytes(big[:7 * MIB + 123])
    done = run("wget", "-c", "-nv", "-S", "-O", path, f"{server.url}/big.bin")
    assert b"206 Partial Content" in done.stderr
    assert digest(path.read_bytes()) == digest(big)
    run("wget", "-c", "-nv", "-O", path, f"{server.url}/big.bin", check=False)  # 416: there already
    assert digest(path.read_bytes()) == digest(big)


def test_wget_mirrors_a_folder(serve, media, film, tmp_path):
    need("wget")
    (media / "sub").mkdir()
    (media / "sub" / "b c.mp4").write_bytes(film[:1000])
    server = serve(media)
    run("wget", "-r", "-nH", "-nv", "-P", tmp_path, server.url + "/")
    assert digest((tmp_path / NAME).read_bytes()) == digest(film)
    assert (tmp_path / "sub" / "b c.mp4").read_bytes() == film[:1000]


def test_aria2_with_16_connections(serve, media, big, tmp_path):
    need("aria2c")
    server = serve(media)
    run("aria2c", "-x16", "-s16", "-k1M", "--file-allocation=none", "-q", "--no-conf", "-d",
        tmp_path, f"{server.url}/big.bin")
    assert digest((tmp_path / "big.bin").read_bytes()) == digest(big)


REQUESTS = """
import hashlib, sys
import requests
url = sys.argv[1]
session = requests.Session()
for _ in range(20):
    answer = session.get(url + "/big.bin")
    assert answer.status_code == 200
print(hashlib.sha256(answer.content).hexdigest())
part = session.get(url + "/big.bin", headers={"Range": "bytes=100-199"})
assert part.status_code == 206 and part.content == answer.content[100:200]
same = session.get(url + "/big.bin", headers={"If-None-Match": answer.headers["ETag"]})
assert same.status_code == 304 and same.content == b""
assert session.head(url + "/big.bin").headers["Content-Length"] == str(len(answer.content))
assert session.get(url + "/none").status_code == 404
assert session.post(url + "/big.bin", data=b"x" * 100000).status_code == 405
with session.get(url + "/big.bin", stream=True) as streamed:
    assert b"".join(streamed.iter_content(65536)) == answer.content
assert len(session.adapters["http://"].poolmanager.pools) == 1
"""


def test_python_requests_session(serve, media, big):
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    if run(python, "-c", "import requests", check=False).returncode != 0:
        pytest.skip("python3-requests is not installed")
    server = serve(media)
    assert run(python, "-c", REQUESTS, server.url).stdout.decode().strip() == digest(big)


def test_python_requests_uploads_pieces(echo, big):
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    if run(python, "-c", "import requests", check=False).returncode != 0:
        pytest.skip("python3-requests is not installed")
    program = """
import hashlib, sys, requests
pieces = [hashlib.sha256(b"%d" % number).digest() * 512 for number in range(200)]
answer = requests.post(sys.argv[1], data=iter(pieces))
assert answer.content == b"".join(pieces)
"""
    run(python, "-c", program, "http://%s:%d/stream" % echo.address)


NODE = """
const crypto = require('crypto');
(async () => {
    const url = process.argv[1];
    const all = await Promise.all(Array.from({length: 8}, () => fetch(url + '/big.bin')));
    const hashes = new Set();
    for (const answer of all) {
        const data = Buffer.from(await answer.arrayBuffer());
        hashes.add(crypto.createHash('sha256').update(data).digest('hex'));
    }
    const part = await fetch(url + '/big.bin', {headers: {Range: 'bytes=5-9'}});
    const aborted = new AbortController();
    const broken = fetch(url + '/big.bin', {signal: aborted.signal});
    (await broken).body.getReader().read().then(() => aborted.abort());
    const head = await fetch(url + '/big.bin', {method: 'HEAD'});
    const none = await fetch(url + '/none');
    console.log(JSON.stringify({hashes: [...hashes], part: part.status,
        size: (await part.arrayBuffer()).byteLength, head: head.headers.get('content-length'),
        none: none.status}));
})();
"""


def test_node_fetch(serve, media, big):
    need("node")
    if run("node", "-e", "process.exit(typeof fetch === 'function' ? 0 : 1)",
           check=False).returncode != 0:
        pytest.skip("this node has no fetch")
    server = serve(media)
    assert json.loads(run("node", "-e", NODE, server.url).stdout) == {
        "hashes": [digest(big)], "part": 206, "size": 5, "head": str(len(big)), "none": 404}


def test_node_fetch_streams_an_upload(echo):
    need("node")
    program = """
const body = new ReadableStream({
    start(controller) { this.count = 0; },
    pull(controller) {
        if (this.count++ === 100) controller.close();
        else controller.enqueue(new Uint8Array(10000).fill(this.count));
    },
});
fetch(process.argv[1], {method: 'POST', body, duplex: 'half'})
    .then((answer) => answer.arrayBuffer())
    .then((data) => console.log(data.byteLength));
"""
    url = "http://%s:%d/stream" % echo.address
    assert run("node", "-e", program, url).stdout.strip() == b"1000000"


# --------------------------------------------------------------------------------- load generators


def test_ab_keeps_its_connections(serve, media, film):
    need("ab")
    server = serve(media)
    for flags in (("-k",), ()):
        text = run("ab", "-q", "-n", "500", "-c", "20", *flags,
                   f"{server.url}/{NAME}").stdout.decode()
        assert re.search(r"Complete requests: +500\n", text)
        assert re.search(r"Failed requests: +0\n", text) and "Non-2xx" not in text
        assert re.search(rf"HTML transferred: +{500 * len(film)} bytes\n", text)
        if flags:  # ab speaks HTTP/1.0
            assert re.search(r"Keep-Alive requests: +500\n", text)


def test_wrk(serve, media):
    need("wrk")
    (media / "small.txt").write_bytes(b"x" * 1000)
    server = serve(media)
    text = run("wrk", "-t1", "-c30", "-d1s", f"{server.url}/small.txt").stdout.decode()
    assert "Socket errors" not in text and "Non-2xx" not in text
    assert int(re.search(r"(\d+) requests in", text)[1]) > 500


def test_h2load_over_http_1(serve, media):
    need("h2load")
    (media / "small.txt").write_bytes(b"x" * 1000)
    server = serve(media)
    for flags in ((), ("-m8",)):  # one at a time, and pipelined
        text = run("h2load", "--h1", "-n1000", "-c10", *flags,
                   f"{server.url}/small.txt").stdout.decode()
        assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in text
        assert re.search(r"status codes: 1000 2xx", text)


def test_ffmpeg_seeks_in_a_film(serve, media):
    need("ffmpeg")
    server = serve(media)
    decode = ("-an", "-frames:v", "5", "-f", "framemd5", "-")
    for start in ("0", "2.5"):
        local = run("ffmpeg", "-v", "error", "-ss", start, "-i", media / NAME, *decode).stdout
        remote = run("ffmpeg", "-v", "error", "-ss", start, "-i", f"{server.url}/{NAME}",
                     *decode).stdout
        assert local == remote and local.count(b"\n0,") == 5


# ------------------------------------------------------------------------------ slow on purpose


SLOW = {
    "headers": ("-H", "-i", "1"),
    "body": ("-B", "-i", "1", "-s", "8192"),
    "reading": ("-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "1"),
    "ranges": ("-R", "-a", "10", "-b", "3000"),
}


@pytest.mark.parametrize("name", SLOW)
def test_slowhttptest_hurts_nobody(serve, media, film, big, name, tmp_path):
    """300 clients that are slow; meanwhile a normal one is served as if they were not there."""
    need("slowhttptest")
    server = serve(media, "--head-timeout-ms", "4000", "--send-timeout-ms", "4000")
    # 300 that begin or end at once are 0.1 s of work, which a machine that is busy may stretch.
    server.expect_on_stderr("leat serve: 'loop' has held its loop")
    url = f"{server.url}/{'big.bin' if name in ('reading', 'ranges') else NAME}"
    times = []
    ended = threading.Event()

    def be_normal():
        while not ended.is_set():
            start = time.monotonic()
            assert server.get(f"/{NAME}", fields=["Range: bytes=0-99"]).body == film[:100]
            times.append(time.monotonic() - start)
            time.sleep(0.02)

    client = threading.Thread(target=be_normal)
    client.start()
    try:
        run("slowhttptest", *SLOW[name], "-c", "300", "-r", "300", "-l", "5", "-p", "3", "-u", url,
            check=False, cwd=tmp_path)
    finally:
        ended.set()
        client.join()
    assert len(times) > 10
    # Who was held up by another would have waited for one of the timeouts.
    assert max(times) < 3 and sorted(times)[len(times) // 2] < 0.5
    server.await_connections(0, 15)
    assert digest(server.get("/big.bin").body) == digest(big)
