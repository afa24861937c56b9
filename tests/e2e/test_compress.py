# SPDX-License-Identifier: MIT
"""Content codings, as clients see them: what they decode is what was there; who gets which; and
validators, ranges and caches are told the truth."""

import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time
import zlib

import pytest

import film_maker
from conftest import FILM, ROOT, await_true
from feed_tools import Network, why_no_network
from peer import Peer
from players import browser as browsers
from test_interop import need, run
from test_live import await_channel, clip, put

__all__ = ["clip"]

pytestmark = pytest.mark.mostly_on("epoll")

CORPUS = pathlib.Path(os.environ.get("LEAT_TEST_DATA") or ROOT.parent / "shared") / "corpus"
SETTINGS = {"gzip": "gzip-6", "br": "br-5", "zstd": "zstd-3"}
ALL = ["Accept-Encoding: gzip, deflate, br, zstd"]
COMPRESSED = ("icons__bootstrap-icons.woff2", "sharp__alpha-premultiply-1024x768-paper.png",
              "sharp__4.webp", "snappy__fireworks.jpeg")
HOUR_S = 3600


def sources(size):
    """So much of our own."""
    text = b"".join(path.read_bytes() for path in sorted((ROOT / "src").rglob("*.[ch]")))
    return (text * (size // len(text) + 1))[:size]


@pytest.fixture(name="texts", scope="module")
def texts_of_all_sizes():
    """In one go, in several blocks, and more than any codec takes as a whole."""
    entries = [{"name": f"film {number}", "size": number * 1234567} for number in range(60)]
    return {
        "list.json": json.dumps(entries).encode(),
        "page.html": (b"<!doctype html><title>mill</title>"
                      + b"<p>The wheel &amp; the water</p>\n" * 50),
        "guide.md": (ROOT / "docs" / "guide.md").read_bytes(),
        "wheel.svg": b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"".join(
            b"<path d='M%d %dl%d %d'/>" % (n, n * 7 % 100, n % 13, n % 17)
            for n in range(4000)) + b"</svg>",
        "sources.txt": sources(3 << 20),
    }


def fill(folder, texts):
    """Files of an hour ago: a date of this second would be no validator."""
    for name, text in texts.items():
        (folder / name).write_bytes(text)
        then = time.time() - HOUR_S
        os.utime(folder / name, (then, then))


@pytest.fixture(name="start")
def starter(serve, folder, texts):
    """start(*flags): a server of the texts."""
    def start(*flags):
        fill(folder, texts)
        return serve(folder, "--threads", "1", *flags)
    return start


# ---- Reading ----------------------------------------------------------------------------------


def decode(coding, data):
    """By others' decoders, all of it and nothing beyond."""
    if coding is None:
        return data
    if coding == "gzip":
        decoder = zlib.decompressobj(wbits=31)
        text = decoder.decompress(data) + decoder.flush()
        assert decoder.eof and not decoder.unused_data
        return text
    if coding == "zstd":
        need("zstd")
        command = ["zstd", "-dc"]
    else:
        need("node")
        command = ["node", "-e", "process.stdout.write("
                   'require("zlib").brotliDecompressSync(require("fs").readFileSync(0)))']
    return subprocess.run(command, input=data, capture_output=True, timeout=30, check=True).stdout


def take(peer, size):
    while len(peer.inbox) < size:
        assert peer.more(), "the connection ended within a body"
    data, peer.inbox = peer.inbox[:size], peer.inbox[size:]
    return data


def take_line(peer):
    while b"\r\n" not in peer.inbox:
        assert peer.more(), "the connection ended within a chunk's head"
    line, peer.inbox = peer.inbox.split(b"\r\n", 1)
    return line


def take_chunks(peer):
    body = b""
    while (size := int(take_line(peer), 16)) > 0:
        body += take(peer, size)
        assert take_line(peer) == b""
    assert take_line(peer) == b""
    return body


def read_answer(peer, method="GET"):
    """Framed in any way."""
    answer = peer.head()
    if method == "HEAD" or answer.status in (204, 304):
        return answer
    if answer.get("Transfer-Encoding"):
        assert answer.get("Transfer-Encoding") == "chunked" and not answer.get("Content-Length")
        answer.body = take_chunks(peer)
    elif answer.get("Content-Length") is not None:
        answer.body = take(peer, answer.length)
    else:
        answer.body = peer.rest()
    return answer


def get(server, target, *fields, method="GET", version="HTTP/1.1"):
    with server.connect() as peer:
        peer.ask(target, method, fields, version)
        return read_answer(peer, method)


def coding_of(answer):
    return answer.get("Content-Encoding")


def varies(answer):
    names = (answer.get("Vary") or "").lower().replace(" ", "").split(",")
    return "accept-encoding" in names


def accept(text):
    return [] if text is None else [f"Accept-Encoding: {text}"]


# ---- The clients people use -------------------------------------------------------------------


@pytest.mark.parametrize("coding", SETTINGS)
def test_every_coding_and_size(start, texts, coding):
    """Again and again: on the fly, and from the copies that are made meanwhile."""
    server = start("--compress", SETTINGS[coding])
    for _ in range(2):
        for name, text in texts.items():
            answer = get(server, f"/{name}", *ALL)
            assert coding_of(answer) == coding and varies(answer), name
            assert decode(coding, answer.body) == text
            assert len(answer.body) < len(text) * 0.7, name


@pytest.mark.parametrize("setting", [*SETTINGS.values(), "auto"])
def test_curl_decodes(start, texts, tmp_path, setting):
    need("curl")
    server = start("--compress", setting)
    for name, text in texts.items():
        done = run("curl", "-sS", "--compressed", "-D", tmp_path / "head", f"{server.url}/{name}")
        assert done.stdout == text
        if setting != "auto":
            head = (tmp_path / "head").read_text().lower()
            assert f"content-encoding: {setting.split('-')[0]}\n" in head


NODE = """
const crypto = require('crypto'), http = require('http'), zlib = require('zlib');
const hash = (data) => crypto.createHash('sha256').update(data).digest('hex');
const decoders = {gzip: zlib.createGunzip, br: zlib.createBrotliDecompress};
const piecewise = (url, coding) => new Promise((resolve, reject) => {
    http.get(url, {headers: {'Accept-Encoding': coding}}, (answer) => {
        const pieces = [];
        const decoder = decoders[answer.headers['content-encoding']]();
        answer.pipe(decoder).on('data', (piece) => pieces.push(piece)).on('error', reject)
            .on('end', () => resolve(hash(Buffer.concat(pieces))));
    });
});
(async () => {
    const [url, coding, ...names] = process.argv.slice(1), found = {};
    for (const name of names) {
        const answer = await fetch(url + '/' + name);
        found[name] = [hash(Buffer.from(await answer.arrayBuffer()))];
        if (coding in decoders) found[name].push(await piecewise(url + '/' + name, coding));
    }
    console.log(JSON.stringify(found));
})();
"""


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("coding", SETTINGS)
def test_node_decodes(start, texts, coding):
    """fetch by itself, and zlib piece by piece."""
    need("node")
    server = start("--compress", SETTINGS[coding])
    found = json.loads(run("node", "-e", NODE, server.url, coding, *texts).stdout)
    ways = 1 if coding == "zstd" else 2
    assert found == {name: [digest(text)] * ways for name, text in texts.items()}


REQUESTS = """
import hashlib, json, sys
import requests
url, *names = sys.argv[1:]
session, found = requests.Session(), {}
for name in names:
    answer = session.get(f"{url}/{name}")
    with session.get(f"{url}/{name}", stream=True) as streamed:
        pieces = b"".join(streamed.iter_content(1000))
    assert pieces == answer.content
    found[name] = [answer.headers.get("Content-Encoding"),
                   hashlib.sha256(answer.content).hexdigest()]
assert len(session.adapters["http://"].poolmanager.pools) == 1
print(json.dumps(found))
"""


def test_python_requests_decode(start, texts):
    if run("/usr/bin/python3", "-c", "import requests", check=False).returncode != 0:
        pytest.skip("python3-requests is not installed")
    server = start("--compress", "gzip-6")
    found = json.loads(run("/usr/bin/python3", "-c", REQUESTS, server.url, *texts).stdout)
    assert found == {name: ["gzip", digest(text)] for name, text in texts.items()}


CHROMIUM = """
const [names, done] = arguments;
const hex = (data) => Array.from(new Uint8Array(data),
                                 (byte) => byte.toString(16).padStart(2, '0')).join('');
(async () => {
    const found = {};
    for (const name of names) {
        const answer = await fetch('/' + name, {cache: 'no-store'});
        const text = await answer.arrayBuffer();
        found[name] = [answer.headers.get('content-encoding'),
                       hex(await crypto.subtle.digest('SHA-256', text))];
    }
    return found;
})().then(done, (error) => done(String(error)));
"""


@pytest.mark.skipif(browsers.what_is_missing() != "", reason=browsers.what_is_missing())
def test_chromium_decodes(start, texts, tmp_path):
    """It takes all of them from 127.0.0.1, as it does over TLS from anywhere."""
    with browsers.opened(tmp_path / "browser") as driver:
        for coding, setting in SETTINGS.items():
            server = start("--compress", setting)
            driver.get(server.url + "/page.html")
            assert driver.title == "mill"
            found = driver.execute_async_script(CHROMIUM, list(texts))
            assert found == {name: [coding, digest(text)] for name, text in texts.items()}


def test_wget_resumes_the_plain_text(start, texts, tmp_path):
    """Who goes on where it stopped goes on with the bytes it has."""
    need("wget")
    server, path = start("--compress", "gzip-6"), tmp_path / "sources.txt"
    run("wget", "--compression=auto", "-nv", "-O", path, f"{server.url}/sources.txt")
    assert path.read_bytes() == texts["sources.txt"]
    path.write_bytes(texts["sources.txt"][:100001])
    done = run("wget", "--header", ALL[0], "-c", "-nv", "-S", "-O", path,
               f"{server.url}/sources.txt")
    assert b"206 Partial Content" in done.stderr and b"Content-Encoding" not in done.stderr
    assert path.read_bytes() == texts["sources.txt"]


# ---- Negotiation ------------------------------------------------------------------------------

# What may come; None is the plain text.
AUTO = {
    "nothing": (None, {None}),
    "empty": ("", {None}),
    "identity": ("identity", {None}),
    "unknown": ("deflate, compress, exi", {None}),
    "gzip": ("gzip", {None, "gzip"}),
    "browser": ("gzip, deflate, br, zstd", {None, "gzip", "br", "zstd"}),
    "any": ("*", {None, "gzip", "br", "zstd"}),
    "not-gzip": ("gzip;q=0, *", {None, "br", "zstd"}),
    "plain-preferred": ("identity, gzip;q=0.9", {None}),
    "plain-by-star": ("gzip;q=0.5, br;q=0.5, zstd;q=0.5, *", {None}),
    "ranked": ("br;q=0.9, gzip;q=0.8, zstd;q=0.7", {None, "br"}),
    "only-gzip": ("gzip, identity;q=0", {"gzip"}),
    "only-x-gzip": ("X-GZIP;Q=0.001 , identity ; q=0.000", {"gzip"}),
    "only-br": ("br, *;q=0", {"br"}),
    "only-zstd": ("zstd;q=0.9, br;q=0.8, identity;q=0", {"zstd"}),
    "not-plain": ("identity;q=0, *", {"gzip", "br", "zstd"}),
    "none-at-all": ("*;q=0", {None}),
    "refused-twice": ("gzip;q=0, gzip, identity;q=0", {None}),
    "malformed": ("gzip;q=2, br;level=9, \"zstd\"", {None}),
    "malformed-beside": ("br;q=high, gzip, *;q=0", {"gzip"}),
}


@pytest.mark.parametrize("name", AUTO)
def test_auto_sends_what_is_accepted(start, texts, name):
    line, allowed = AUTO[name]
    server = start()
    for file in ("list.json", "guide.md", "sources.txt"):
        answer = get(server, f"/{file}", *accept(line))
        assert coding_of(answer) in allowed and varies(answer)
        assert decode(coding_of(answer), answer.body) == texts[file]


FIXED = {
    "gzip": {"gzip": True, "br, gzip;q=0.1": True, "br": False, "*": True, "gzip;q=0, *": False,
             "identity, gzip;q=0.5": False, "identity;q=0.5, gzip;q=0.5": True, "x-gzip": True},
    "br": {"br": True, "gzip, deflate": False, "gzip, deflate, br;q=0.01": True, "*;q=0.1": True},
    "zstd": {"gzip, br, zstd": True, "zstd;q=0": False, "zstandard": False},
}


@pytest.mark.parametrize("coding", FIXED)
def test_a_fixed_coding_is_sent_to_who_takes_it(start, texts, coding):
    server = start("--compress", SETTINGS[coding])
    for line, takes_it in FIXED[coding].items():
        answer = get(server, "/guide.md", *accept(line))
        assert coding_of(answer) == (coding if takes_it else None), line
        assert varies(answer) and decode(coding_of(answer), answer.body) == texts["guide.md"]


def test_several_lines_are_one_list(start):
    server = start("--compress", "gzip-6")
    lines = ["Accept-Encoding: br", "Accept: */*", "Accept-Encoding: gzip;q=0.5"]
    assert coding_of(get(server, "/guide.md", *lines)) == "gzip"
    assert coding_of(get(server, "/guide.md", *lines, "accept-encoding: x-gzip;q=0")) is None


def test_long_and_strange_lists_do_no_harm(start, texts):
    """A client may lie about what it takes, and gets what it asked for; nobody else suffers."""
    server = start("--compress", "gzip-6")
    dice = random.Random(9)
    words = ["gzip", "br", "*", "identity", "q=0", ";", ",", "=", "\t", '"', ";q=0.5", "x", "é"]
    lines = ["gzip," * 2000, ";q=1," * 2000, "a" * 12000, '"gzip', "gzip\\", "=;,q"]
    lines += ["".join(dice.choice(words) for _ in range(dice.randrange(30))) for _ in range(100)]
    with server.connect() as peer:
        for line in lines:
            peer.send(f"GET /list.json HTTP/1.1\r\nHost: mill\r\nAccept-Encoding: {line}\r\n"
                      "TE: gzip\r\nContent-Encoding: br\r\n\r\n".encode("latin-1"))
            answer = read_answer(peer)
            assert answer.status == 200 and coding_of(answer) in (None, "gzip")
            assert decode(coding_of(answer), answer.body) == texts["list.json"], line
        peer.ask("/list.json", fields=["Accept-Encoding: gzip" + ", gzip" * 9000])
        assert read_answer(peer).status == 431


# ---- What is coded, and what never ------------------------------------------------------------


@pytest.mark.parametrize("setting", ["auto", "gzip-6"])
def test_media_and_what_is_compressed_are_left(serve, media, setting):
    names = [FILM.name]
    for name in COMPRESSED:
        if (CORPUS / name).exists():
            shutil.copy(CORPUS / name, media / name)
            names.append(name)
    text = (ROOT / "docs" / "guide.md").read_bytes()
    (media / "guide.tar.gz").write_bytes(gzip.compress(text))
    (media / "song.m4s").write_bytes(text)
    server = serve(media, "--compress", setting)
    for name in [*names, "guide.tar.gz", "song.m4s"]:
        for line in ("gzip, deflate, br, zstd", "gzip, *;q=0"):
            answer = get(server, f"/{name}", f"Accept-Encoding: {line}")
            assert answer.status == 200 and answer.body == (media / name).read_bytes()
            assert coding_of(answer) is None and answer.get("Vary") is None, name
            assert answer.get("Accept-Ranges") == "bytes" and answer.get("ETag")[0] == '"'


def test_what_is_small_is_left(start, folder):
    (folder / "small.txt").write_bytes(b"x" * 100)
    (folder / "empty.txt").write_bytes(b"")
    server = start("--compress", "gzip-6")
    for name in ("small.txt", "empty.txt", "none"):
        answer = get(server, f"/{name}", "Accept-Encoding: gzip")
        assert coding_of(answer) is None and answer.length == len(answer.body)


@pytest.fixture(name="long_film", scope="module")
def film_of_twenty_minutes(tmp_path_factory):
    """Small, but its playlists are not."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    film_maker.run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x36:r=2:d=1200", "-c:v", "libx264",
                          "-preset", "ultrafast", "-g", "4", "-pix_fmt", "yuv420p", path)
    return path


def check_coded(server, target, media_type):
    """The plain text, having looked at the coded one."""
    plain = get(server, target)
    assert plain.status == 200 and plain.get("Content-Type").split(";")[0] == media_type
    assert coding_of(plain) is None and len(plain.body) > 1000, target
    coded = get(server, target, "Accept-Encoding: gzip")
    assert coding_of(coded) == "gzip" and varies(coded) and varies(plain), target
    assert coded.get("Content-Type") == plain.get("Content-Type")
    assert coded.get("Cache-Control") == plain.get("Cache-Control")
    assert decode("gzip", coded.body) == plain.body and len(coded.body) < len(plain.body) * 0.7
    return plain.body


def test_playlists_and_manifests_are_coded(serve, folder, long_film):
    shutil.copy(long_film, folder / "long.mp4")
    server = serve(folder, "--compress", "gzip-6")
    master = get(server, "/long.mp4/master.m3u8").body.decode()
    [index] = [line for line in master.splitlines() if line and not line.startswith("#")]
    text = check_coded(server, f"/long.mp4/{index}", "application/vnd.apple.mpegurl").decode()
    [first, *_] = [line for line in text.splitlines() if line and not line.startswith("#")]
    manifest = get(server, "/long.mp4/manifest.mpd", "Accept-Encoding: gzip")
    assert coding_of(manifest) == "gzip" and b"<MPD" in decode("gzip", manifest.body)
    folder_of_index = index.rpartition("/")[0]
    segment = get(server, f"/long.mp4/{folder_of_index}/{first}".replace("//", "/"), *ALL)
    assert segment.status == 200
    assert coding_of(segment) is None and segment.get("Vary") is None


def test_lists_of_folders_are_coded(serve, folder):
    for number in range(100):
        (folder / f"film number {number}.txt").write_bytes(b"")
    server = serve(folder, "--compress", "gzip-6")
    assert len(json.loads(check_coded(server, "/?list=json", "application/json"))["entries"]) == 100
    check_coded(server, "/?plain", "text/html")


def test_live_playlists_are_coded(serve, folder, clip):
    server = serve(folder, "--live", "on", "--compress", "gzip-6")
    stream = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-movflags",
         "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", "-"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True).stdout
    status, _ = put(server, "/live/cam", stream)
    assert status < 300
    await_channel(server, state="ended")
    target = "/live/cam/muxed/index.m3u8"
    plain, coded = get(server, target), get(server, target, "Accept-Encoding: gzip")
    assert len(plain.body) > 256 and coding_of(coded) == "gzip"
    assert decode("gzip", coded.body) == plain.body


# ---- Validators, ranges, HEAD -----------------------------------------------------------------


class Forms:
    """A text that a server has plain and in one coding, and the tags of the two."""

    def __init__(self, server, name, text, coding):
        self.server, self.target, self.text, self.coding = server, f"/{name}", text, coding
        self.line = f"Accept-Encoding: {coding}, identity;q=0"
        self.plain = get(server, self.target).get("ETag")
        self.coded = self.get(self.line).get("ETag")

    def get(self, *fields, **options):
        return get(self.server, self.target, *fields, **options)

    def await_copy(self):
        """Until it comes from a copy that was made in advance, whose size is known."""
        await_true(lambda: self.get(self.line).get("Content-Length"))


@pytest.fixture(name="forms", params=["made at once", "stored"])
def forms_of_a_text(request, start, texts):
    if request.param == "made at once":
        return Forms(start("--compress", "gzip-6"), "guide.md", texts["guide.md"], "gzip")
    forms = Forms(start("--compress", "auto"), "wheel.svg", texts["wheel.svg"], "br")
    forms.await_copy()
    return forms


def test_a_coding_has_a_tag_of_its_own(start):
    """RFC 9110, section 8.8.3.3; weak, for the next time it may be coded otherwise (8.8.1)."""
    for coding, setting in SETTINGS.items():
        server = start("--compress", setting)
        plain, coded = get(server, "/guide.md"), get(server, "/guide.md", *ALL)
        tag = plain.get("ETag")
        assert tag[0] == '"' and coded.get("ETag") == f'W/{tag[:-1]}-{coding}"'
        assert plain.get("Accept-Ranges") == "bytes" and coded.get("Accept-Ranges") is None
        assert coded.get("Last-Modified") == plain.get("Last-Modified")


def test_who_has_a_form_it_may_get_is_told_so(forms):
    plain, coded = forms.plain, forms.coded
    assert coded == f'W/{plain[:-1]}-{forms.coding}"'
    for told, answered in ((plain, plain), (f"W/{plain}", plain), (coded, coded),
                           (coded.removeprefix("W/"), coded), (f'"x", {coded}', coded)):
        answer = forms.get(forms.line, f"If-None-Match: {told}")
        assert answer.status == 304 and answer.get("ETag") == answered, told
        assert varies(answer) and coding_of(answer) is None and answer.body == b""
    for told in (coded.replace(f"-{forms.coding}", "-zstd"), coded[:-1] + 'x"', '"x"'):
        answer = forms.get(forms.line, f"If-None-Match: {told}")
        assert answer.status == 200 and coding_of(answer) == forms.coding, told


def test_who_has_a_form_it_may_not_get_gets_another(forms):
    answer = forms.get(f"If-None-Match: {forms.coded}")
    assert answer.status == 200 and answer.body == forms.text
    assert forms.get(f"If-None-Match: {forms.plain}").status == 304


def test_other_conditions_are_of_the_plain_text(forms):
    date = forms.get(forms.line).get("Last-Modified")
    assert forms.get(forms.line, f"If-Match: {forms.plain}").status == 200
    # A weak tag matches nothing here (section 13.1.1).
    assert forms.get(forms.line, f"If-Match: {forms.coded}").status == 412
    unchanged = forms.get(forms.line, f"If-Modified-Since: {date}")
    assert unchanged.status == 304 and varies(unchanged)
    assert forms.get(forms.line, f"If-Unmodified-Since: {date}").status == 200


def test_ranges_are_of_the_plain_text(forms):
    wish = "Range: bytes=100-1199"
    for condition in ([], [f"If-Range: {forms.plain}"]):
        part = forms.get(forms.line, wish, *condition)
        assert part.status == 206 and part.body == forms.text[100:1200]
        assert coding_of(part) is None and part.get("ETag") == forms.plain and varies(part)
    for condition in (forms.coded, forms.coded.removeprefix("W/")):
        whole = forms.get(forms.line, wish, f"If-Range: {condition}")
        assert whole.status == 200 and decode(coding_of(whole), whole.body) == forms.text
    beyond = forms.get(forms.line, "Range: bytes=99999999-")
    assert beyond.status == 416 and coding_of(beyond) is None
    several = forms.get(forms.line, "Range: bytes=0-9,5000-5009")
    assert several.status == 206 and coding_of(several) is None


@pytest.mark.parametrize("name", ["list.json", "guide.md", "sources.txt"])
def test_head_has_the_fields_of_get(start, name):
    server = start("--compress", "gzip-6")
    for _ in range(2):
        # A copy that is made meanwhile has another size.
        whole, head, again = (get(server, f"/{name}", "Accept-Encoding: gzip", method=method)
                              for method in ("GET", "HEAD", "GET"))
        for field in ("Content-Encoding", "ETag", "Vary", "Content-Type", "Last-Modified",
                      "Accept-Ranges"):
            assert head.get(field) == whole.get(field), field
        assert head.get("Content-Length") in (None, whole.get("Content-Length"),
                                              again.get("Content-Length"))
        assert head.status == 200 and coding_of(head) == "gzip"


def test_a_changed_file_is_another(start, folder, texts):
    server = start("--compress", "gzip-6")
    before = get(server, "/guide.md", "Accept-Encoding: gzip")
    (folder / "guide.md").write_bytes(texts["guide.md"] + b"more\n")

    def changed():
        answer = get(server, "/guide.md", "Accept-Encoding: gzip",
                     f"If-None-Match: {before.get('ETag')}")
        return answer if answer.status == 200 else None

    after = await_true(changed)
    assert after.get("ETag") != before.get("ETag")
    assert decode("gzip", after.body) == texts["guide.md"] + b"more\n"


# ---- Connections ------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [*SETTINGS.values(), "auto"])
def test_pipelined_answers_come_whole_and_in_order(start, texts, setting):
    server = start("--compress", setting)
    dice = random.Random(4)
    wishes = [(dice.choice(list(texts)), dice.choice(("GET", "GET", "HEAD")),
               dice.choice((None, "gzip", "gzip, br, zstd"))) for _ in range(40)]
    with server.connect() as peer:
        for name, method, line in wishes:
            peer.ask(f"/{name}", method, accept(line))
        for name, method, line in wishes:
            answer = read_answer(peer, method)
            assert answer.status == 200 and (coding_of(answer) is None or line)
            if method == "GET":
                assert decode(coding_of(answer), answer.body) == texts[name], (name, line)


def test_others_are_answered_meanwhile(start, texts):
    """A long text is coded block by block, also for who takes it at once."""
    server = start("--compress", "br-5")
    answers = []
    with server.connect() as quick, server.connect() as greedy:
        quick.get("/page.html")
        greedy.ask("/sources.txt", fields=ALL)
        reader = threading.Thread(target=lambda: answers.append(read_answer(greedy)))
        reader.start()
        count = 0
        while reader.is_alive():
            assert quick.get("/page.html").status == 200
            count += 1
        reader.join()
    assert coding_of(answers[0]) == "br" and len(answers[0].body) < len(texts["sources.txt"]) / 3
    assert count > 20, f"{count} of them"


def test_http_1_0_gets_no_chunks(start, texts):
    server = start("--compress", "gzip-6")
    for name, text in texts.items():
        answer = get(server, f"/{name}", "Accept-Encoding: gzip", version="HTTP/1.0")
        assert answer.get("Transfer-Encoding") is None
        assert decode(coding_of(answer), answer.body) == text
    with server.connect() as peer:  # it stays open for what has a length
        for _ in range(2):
            peer.ask("/list.json", fields=["Accept-Encoding: gzip", "Connection: keep-alive"],
                     version="HTTP/1.0")
            answer = read_answer(peer)
            assert answer.get("Connection") == "keep-alive" and coding_of(answer) == "gzip"


def test_a_proxy_passes_codings_as_they_are(start, proxy, texts):
    server = start("--compress", "gzip-6")
    before = proxy(server.url)
    for name, text in texts.items():
        answer = get(before, f"/{name}", "Accept-Encoding: gzip")
        assert coding_of(answer) == "gzip" and decode("gzip", answer.body) == text
        again = get(before, f"/{name}", "Accept-Encoding: gzip",
                    f"If-None-Match: {answer.get('ETag')}")
        assert again.status == 304
        assert get(before, f"/{name}").body == text


NGINX = """
user root; daemon off; worker_processes 1; pid {work}/pid; error_log {work}/log;
events {{ }}
http {{
    access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2;
    fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
    proxy_cache_path {work}/cache keys_zone=all:1m;
    server {{
        listen {port};
        location / {{
            proxy_pass {url}; proxy_http_version 1.1; proxy_cache all; proxy_cache_valid 200 1s;
            proxy_cache_revalidate on; add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


class Cache:
    """nginx before a server; it keeps what it has seen for a second, and then asks again."""

    def __init__(self, url, work):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = found.getsockname()
        work.mkdir()
        (work / "conf").write_text(NGINX.format(work=work, port=self.address[1], url=url))
        self.process = subprocess.Popen(["nginx", "-p", work, "-c", work / "conf"],
                                        stderr=subprocess.DEVNULL)
        await_true(self.is_there)

    def is_there(self):
        with contextlib.suppress(ConnectionError):
            self.connect().socket.close()
            return True
        return False

    def connect(self):
        return Peer(self.address)

    def close(self):
        self.process.terminate()
        self.process.wait()


def test_a_cache_gives_everybody_what_he_takes(start, texts, tmp_path):
    """By Vary and the tags: each client its own form, and an old one is asked for again by its
    tag."""
    need("nginx")
    cache = Cache(start("--compress", "auto").url, tmp_path / "nginx")
    lines = {None: None, "gzip": "gzip, identity;q=0", "br": "br, identity;q=0"}
    try:
        for name in ("guide.md", "sources.txt"):
            for states in (("MISS",), ("HIT", "REVALIDATED"), ("REVALIDATED",)):
                if len(states) == 1 and states[0] != "MISS":
                    time.sleep(2.1)  # it counts whole seconds
                for coding, line in lines.items():
                    answer = get(cache, f"/{name}", *accept(line))
                    assert coding_of(answer) == coding and answer.get("X-Cache") in states
                    assert decode(coding, answer.body) == texts[name]
    finally:
        cache.close()


# ---- A slow link ------------------------------------------------------------------------------


@pytest.mark.skipif(why_no_network() != "", reason=why_no_network())
def test_auto_codes_for_a_slow_link(serve, folder, texts, tmp_path):
    """4 Mb/s: text arrives in a fraction of its size, and in a fraction of the time."""
    need("tc")
    need("curl")
    fill(folder, texts)
    network = Network()
    try:
        network.inside("ip", "link", "set", "lo", "mtu", "1500")
        network.inside("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "4mbit", "burst",
                       "16k", "latency", "400ms")
        server = serve(folder, "--compress", "auto", prefix=network.prefix)
        plain, coded = (json.loads(run(
            *network.prefix, "curl", "-sS", *flags, "-o", tmp_path / "first", "-o",
            tmp_path / "second", "-w", "%{json}\n", f"{server.url}/list.json",
            f"{server.url}/wheel.svg").stdout.decode().splitlines()[1])
            for flags in ((), ("--compressed",)))
        assert (tmp_path / "second").read_bytes() == texts["wheel.svg"]
        assert plain["size_download"] == len(texts["wheel.svg"])
        assert coded["size_download"] < plain["size_download"] / 2
        assert coded["time_total"] < plain["time_total"] / 2
    finally:
        network.close()
