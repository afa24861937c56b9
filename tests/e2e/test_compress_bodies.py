# SPDX-License-Identifier: MIT
"""Bodies of requests with a content coding, which a handler has asked to be taken off: as curl,
Node, requests and the codecs' own programs make them; bombs, lies and limits. The server is
echo_http.c.
"""

import gzip
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading

import pytest

from conftest import ROOT
from test_rfc import Echo

pytestmark = pytest.mark.mostly_on("epoll")

DATA = pathlib.Path(os.environ.get("LEAT_TEST_DATA", ROOT.parent / "shared")) / "corpus"
MIB = 1 << 20
TAKEN = "zstd, gzip, br"
NAMES = ("corpora__alice29.txt", "simdjson-data__twitter.json", "corpora__kennedy.xls",
         "brotli__empty", "brotli__x", "snappy__fireworks.jpeg")
TOOLS = {"gzip": ("gzip", "-c"), "x-gzip": ("gzip", "-3c"), "zstd": ("zstd", "-qc"),
         "br": ("brotli", "-c")}
WORDS = [b"leat", b"mill", b"water", b"slope", b"stone", b"wheel", b"race", b"pond", b"sluice"]


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def run(*command, data=None):
    done = subprocess.run([str(part) for part in command], input=data, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 0, (done.stdout[:1000] + done.stderr).decode(errors="replace")
    return done.stdout


def coded(coding, data, *flags):
    """By the codec's own program."""
    need(TOOLS[coding][0])
    return run(*TOOLS[coding], *flags, data=data)


def make_text(size, seed=1):
    chosen = random.Random(seed).choices(WORDS, k=size // 4)
    return b" ".join(chosen)[:size]


@pytest.fixture(name="corpus")
def find_corpus():
    if not DATA.is_dir():
        pytest.skip(f"there is no {DATA}")
    return {name: (DATA / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def echo(engine):
    started = Echo()
    yield started
    started.stop()


def post(echo, path, body, *codings, connection=None):
    """Status, fields and content of the answer; a body that is an iterable is chunked."""
    used = connection or http.client.HTTPConnection(*echo.address, timeout=30)
    used.putrequest("POST", path)
    for coding in codings:
        used.putheader("Content-Encoding", coding)
    if isinstance(body, bytes):
        used.putheader("Content-Length", str(len(body)))
        used.endheaders(body)
    else:
        used.putheader("Transfer-Encoding", "chunked")
        used.endheaders(body, encode_chunked=True)
    answer = used.getresponse()
    text = answer.read()
    if not connection:
        used.close()
    return answer.status, answer.headers, text


def status_of(echo, path, body, *codings):
    return post(echo, path, body, *codings)[0]


def url_of(echo, path):
    return "http://%s:%d%s" % (*echo.address, path)


# ------------------------------------------------------------------------------------ real clients


@pytest.mark.parametrize("coding", TOOLS)
def test_curl_sends_what_the_codecs_program_made(echo, corpus, coding, tmp_path):
    for name, data in corpus.items():
        path = tmp_path / "body"
        path.write_bytes(coded(coding, data))
        for extra in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
            got = run("curl", "-sSf", "--data-binary", f"@{path}", "-H",
                      f"Content-Encoding: {coding}", *extra, url_of(echo, "/decoded"))
            assert got == data, (name, coding, extra)


NODE = """
const http = require('http'), zlib = require('zlib'), { pipeline, Readable } = require('stream');
const [url, size] = [process.argv[1], Number(process.argv[2])];
const line = i => Buffer.from(JSON.stringify({id: i, name: 'leat', water: i * i % 977}) + '\\n');
const lines = [];
for (let i = 0, all = 0; all < size; i++) { lines.push(line(i)); all += lines[i].length; }
const whole = Buffer.concat(lines);
const send = (coding, coder) => new Promise((done, fail) => {
    const request = http.request(url, {method: 'POST', headers: {'Content-Encoding': coding}});
    request.on('response', async answer => {
        const parts = [];
        for await (const part of answer) parts.push(part);
        done(answer.statusCode === 200 && Buffer.concat(parts).equals(whole));
    });
    request.on('error', fail);
    pipeline(Readable.from(lines), coder, request, error => error && fail(error));
});
(async () => {
    const flushing = {flush: zlib.constants.Z_SYNC_FLUSH, chunkSize: 64};
    const all = await Promise.all([
        send('gzip', zlib.createGzip()), send('gzip', zlib.createGzip(flushing)),
        send('br', zlib.createBrotliCompress(
            {params: {[zlib.constants.BROTLI_PARAM_QUALITY]: 4}}))]);
    const answer = await fetch(url, {method: 'POST', body: zlib.gzipSync(whole),
                                     headers: {'Content-Encoding': 'gzip'}});
    all.push(Buffer.from(await answer.arrayBuffer()).equals(whole));
    console.log(JSON.stringify(all));
})();
"""


def test_node_streams_gzip_and_brotli(echo):
    need("node")
    got = run("node", "-e", NODE, url_of(echo, "/decoded"), 300_000)
    assert json.loads(got) == [True] * 4


REQUESTS = """
import gzip, sys, requests
url, text = sys.argv[1], b"the leat leads water to the mill\\n" * 5000
coded = gzip.compress(text)
session = requests.Session()
for body in (coded, iter([coded[at:at + 100] for at in range(0, len(coded), 100)])):
    answer = session.post(url, data=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200 and answer.content == text
assert session.post(url, data=coded, headers={"Content-Encoding": "deflate"}).status_code == 415
assert len(session.adapters["http://"].poolmanager.pools) == 1
"""


def test_python_requests(echo):
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import requests"], capture_output=True,
                      check=False).returncode:
        pytest.skip("python3-requests is not installed")
    run(python, "-c", REQUESTS, url_of(echo, "/decoded"))


@pytest.mark.parametrize("coding", TOOLS)
def test_large_bodies_come_whole(echo, coding):
    text = make_text(20 * MIB)
    body = coded(coding, text, *(("-q", "5") if coding == "br" else ()))
    assert post(echo, "/decoded", body, coding)[2] == text
    pieces = [body[at:at + 7919] for at in range(0, len(body), 7919)]
    assert post(echo, "/decoded", iter(pieces), coding)[2] == text


def test_json_of_a_coded_body(echo):
    said = {"name": "leat", "stones": list(range(500))}
    body = gzip.compress(json.dumps(said).encode())
    status, _, text = post(echo, "/json", body, "gzip")
    assert status == 200 and json.loads(text) == said
    assert status_of(echo, "/json", gzip.compress(b'{"a":1,"a":2}'), "gzip") == 400


def test_what_is_not_asked_for_stays_as_it_was_sent(echo):
    body = gzip.compress(b"leat")
    status, _, text = post(echo, "/any", body, "gzip")
    assert status == 200 and text.endswith(body)


# ---------------------------------------------------------------------------------------- codings


def test_other_codings_are_told_which_ones_are_taken(echo):
    body = gzip.compress(b"leat")
    connection = http.client.HTTPConnection(*echo.address, timeout=30)
    for codings in (("deflate",), ("compress",), ("gzip, br",), ("gzip", "gzip"), ("br, gzip",),
                    ("gzip;q=1",), ("lz4",), ("aes128gcm",), ("*",), ("identity, lz4",)):
        status, fields, _ = post(echo, "/decoded", body, *codings, connection=connection)
        assert (status, fields["Accept-Encoding"]) == (415, TAKEN), codings
    for codings in ((), ("identity",), ("",), (",",), ("identity, identity",)):
        status, fields, text = post(echo, "/decoded", body, *codings, connection=connection)
        assert status == 200 and text == body and "Accept-Encoding" not in fields, codings
    for codings in (("gzip",), ("GZIP",), ("x-gzip",), ("identity", "gzip"), (" gzip ,",)):
        assert post(echo, "/decoded", body, *codings, connection=connection)[2] == b"leat", codings
    connection.close()


def test_members_and_frames_one_behind_the_other(echo):
    for coding in ("gzip", "zstd"):
        body = b"".join(coded(coding, part) for part in (b"the ", b"", b"leat"))
        assert post(echo, "/decoded", body, coding)[2] == b"the leat"


# ------------------------------------------------------------------------------------------- lies


@pytest.mark.parametrize("coding", TOOLS)
def test_lies_are_400_and_the_connection_goes_on(echo, coding):
    text = make_text(20_000)
    body = coded(coding, text)
    lies = [text, b"\0" * 100, body[1:], body + b"x", body + body[:10], body[:-1], body[:10],
            body[:len(body) // 2], body[:100] + bytes(100) + body[200:]]
    if coding in ("gzip", "x-gzip"):  # its sum, its size
        lies += [body[:-8] + bytes([body[-8] ^ 1]) + body[-7:], body[:-1] + b"\x01"]
    connection = http.client.HTTPConnection(*echo.address, timeout=30)
    for number, lie in enumerate(lies):
        status, _, got = post(echo, "/decoded", lie, coding, connection=connection)
        # what was damaged in its middle may be another text all the same, or too large a one
        assert status in (400, 413) or number == 8 and got != text, (coding, number, status)
        assert post(echo, "/decoded", body, coding, connection=connection)[2] == text
    connection.close()


def test_a_body_that_never_comes_whole(echo):
    """The client goes away in its middle; the next one is served."""
    body = coded("zstd", make_text(MIB))
    head = "POST /decoded HTTP/1.1\r\nHost: x\r\nContent-Encoding: zstd\r\n" \
           f"Content-Length: {len(body)}\r\n\r\n".encode()
    for at in range(0, len(body), len(body) // 50):
        connection = http.client.HTTPConnection(*echo.address, timeout=30)
        connection.connect()
        connection.sock.sendall(head + body[:at])
        connection.close()
    assert status_of(echo, "/decoded", body, "zstd") == 200


# ------------------------------------------------------------------------------------------ limits


def most_resident(echo):
    with open(f"/proc/{echo.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def test_the_limit_is_the_decoded_size(echo):
    text = make_text(100_000)
    for coding in (*TOOLS, "identity"):
        body = text if coding == "identity" else coded(coding, text)
        for path, status in (("/decoded/100000", 200), ("/decoded/99999", 413),
                             ("/decoded/100001", 200), ("/decoded/0", 413)):
            assert status_of(echo, path, body, coding) == status, (coding, path)
        assert status_of(echo, "/decoded/0", coded(coding, b"") if coding in TOOLS else b"",
                         coding) == 200


def test_bombs(echo):
    """42 KiB that become 42 MiB, and far worse: told 413, at the price of a mebibyte."""
    assert status_of(echo, "/decoded", gzip.compress(bytes(MIB)), "gzip") == 200
    zeros = bytes(64 * MIB)
    bombs = [("gzip", gzip.compress(bytes(42 * MIB))), ("zstd", coded("zstd", zeros)),
             ("br", coded("br", zeros, "-q", "5", "-w", "22"))]
    bombs.append(("zstd", bombs[1][1] * 64))  # 4 GiB
    bombs.append(("gzip", gzip.compress(zeros) * 64))
    before = most_resident(echo)
    for path in ("/decoded", f"/decoded/{1 << 50}"):
        for coding, bomb in bombs:
            assert status_of(echo, path, bomb, coding) == 413, (path, coding, len(bomb))
    assert most_resident(echo) - before < 24 * MIB


def test_windows_of_zstd_beyond_what_http_has(echo):
    """RFC 9659: 8 MiB is the most. (With its size told the program makes the window as large.)"""
    data = random.Random(1).randbytes(MIB)
    assert status_of(echo, f"/decoded/{MIB}", coded("zstd", data, "--long=23"), "zstd") == 200
    assert status_of(echo, f"/decoded/{MIB}", coded("zstd", data, "--long=27"), "zstd") == 413


def test_the_servers_limit_is_that_of_what_is_sent(echo):
    body = gzip.compress(random.Random(1).randbytes(MIB + 1000))
    assert status_of(echo, "/json", body, "gzip") == 413
    assert status_of(echo, "/json", iter([body]), "gzip") == 413


def test_others_are_answered_meanwhile(echo):
    """A body that is there at once, and takes long to decode."""
    lines = b"".join(b"%d: the leat leads water to the mill by slope alone\n" % (at // 4)
                     for at in range(1_000_000))
    body = coded("zstd", lines)
    assert len(lines) < 190 * len(body) and len(body) < MIB
    counts, path = [], f"/decoded/{1 << 40}"
    others = http.client.HTTPConnection(*echo.address, timeout=30)

    def decode():
        counts.append(int(post(echo, path, body, "zstd")[2]))
    thread = threading.Thread(target=decode)
    thread.start()
    answered = 0
    while thread.is_alive():
        assert post(echo, "/decoded", b"leat", connection=others)[2] == b"leat"
        answered += 1
    thread.join()
    others.close()
    assert counts == [len(lines)]
    assert answered > 40, f"{answered} of them"
