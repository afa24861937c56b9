# SPDX-License-Identifier: MIT
"""The URLs of films as streams: what is there and what is not, conditions and ranges, ladders,
subtitles, what the server remembers, and how fast it sends. Whether what it sends is the film is
looked at by test_film_matrix."""

import contextlib
import json
import os
import re
import shutil
import threading
import time
import urllib.parse

import pytest

import film_maker
from conftest import await_true, run_leat
from framehash import decode

pytestmark = pytest.mark.mostly_on("epoll")

HLS, DASH = "application/vnd.apple.mpegurl", "application/dash+xml"


@pytest.fixture
def films(folder):
    """A film with one audio track, of 10 s."""
    shutil.copy(film_maker.make(), folder / "film.mp4")
    return folder


@pytest.fixture
def ladder(folder):
    """Two rungs, cut alike."""
    shutil.copy(film_maker.make(video_bits=1_200_000, size="640x360"), folder / "film-720.mp4")
    shutil.copy(film_maker.make(), folder / "film-360p.mp4")
    return folder


def lines_of(answer):
    assert answer.status == 200, answer.body
    return answer.body.decode().splitlines()


def uris(answer):
    return [line for line in lines_of(answer) if line and not line.startswith("#")]


def metric(server, name):
    page = server.admin.get("/metrics").body.decode()
    return float(re.search(rf"^{name} (\S+)$", page, re.MULTILINE)[1])


@pytest.fixture
def observed(serve):
    """observed(directory, *flags) starts a server with its administrator's address in .admin."""
    from peer import Peer

    class Admin:
        def __init__(self, address):
            self.address = address

        def get(self, target):
            with Peer(self.address) as peer:
                return peer.get(target)

    def start(directory, *flags):
        server = serve(directory, "--admin", "127.0.0.1:0", *flags)
        server.expect_on_stderr(r"leat serve: admin on ")
        url = await_true(lambda: re.search(r"admin on http://(\S+):(\d+)", server.stderr()))
        server.admin = Admin((url[1], int(url[2])))
        return server

    return start


# ------------------------------------------------------------------------------------------- URLs


def test_media_types(serve, films):
    server = serve(films)
    for path, media_type in [
            ("master.m3u8", HLS), ("manifest.mpd", DASH), ("muxed/index.m3u8", HLS),
            ("video/index.m3u8", HLS), ("audio-1/index.m3u8", HLS), ("muxed/init.mp4", "video/mp4"),
            ("video/init.mp4", "video/mp4"), ("audio-1/init.mp4", "audio/mp4"),
            ("muxed/0.m4s", "video/mp4"), ("video/4.m4s", "video/mp4"),
            ("audio-1/0.m4s", "audio/mp4")]:
        answer = server.get("/film.mp4/" + path)
        assert (answer.status, answer.get("Content-Type")) == (200, media_type), path
        assert answer.body and answer.get("ETag").startswith('"'), path


def test_what_is_not_there(serve, films):
    (films / "notes.txt").write_text("no film")
    server = serve(films)
    for path in ["film.mp4/muxed/5.m4s", "film.mp4/muxed/9999999.m4s", "film.mp4/muxed/00.m4s",
                 "film.mp4/audio-2/index.m3u8", "film.mp4/audio-0/0.m4s", "film.mp4/x/0.m4s",
                 "film.mp4/index.m3u8", "film.mp4/0.m4s", "film.mp4/", "film.mp4/muxed/",
                 "film.mp4/muxed", "film.mp4/subtitles-en.vtt", "film.mp4/subtitles-en.m3u8",
                 "none.mp4/master.m3u8", "none/master.m3u8", "none/muxed/0.m4s",
                 "notes.txt/master.m3u8", "notes.txt/muxed/0.m4s", "master.m3u8", "manifest.mpd",
                 "film/master.m3u8", "film.mp4/master.m3u8/master.m3u8"]:
        assert server.get("/" + path).status == 404, path
    assert server.get("/film.mp4/../film.mp4/muxed/0.m4s").status == 200
    assert server.get("/%66ilm.mp4/muxed%2F0.m4s").status == 200


def test_methods(serve, films):
    server = serve(films, "--cors", "https://player.example")
    answer = server.get("/film.mp4/muxed/0.m4s", method="POST")
    assert (answer.status, answer.get("Allow")) == (405, "GET, HEAD, OPTIONS")
    answer = server.get("/film.mp4/muxed/0.m4s", fields=["Origin: https://player.example"])
    assert answer.get("Access-Control-Allow-Origin") == "https://player.example"
    answer = server.get("/film.mp4/muxed/0.m4s", method="OPTIONS",
                        fields=["Origin: https://player.example",
                                "Access-Control-Request-Method: GET",
                                "Access-Control-Request-Headers: range, cmcd-request"])
    assert answer.status in (200, 204)


def test_files_win(serve, films):
    """A folder with prepared streams, and one by a film's name."""
    (films / "made").mkdir()
    (films / "made" / "master.m3u8").write_text("#EXTM3U mine\n")
    (films / "made.mp4" / "muxed").mkdir(parents=True)
    (films / "made.mp4" / "manifest.mpd").write_text("<mine/>")
    (films / "made.mp4" / "muxed" / "0.m4s").write_bytes(b"mine")
    server = serve(films)
    assert server.get("/made/master.m3u8").body == b"#EXTM3U mine\n"
    assert server.get("/made.mp4/manifest.mpd").body == b"<mine/>"
    assert server.get("/made.mp4/muxed/0.m4s").body == b"mine"
    assert server.get("/made.mp4/master.m3u8").status == 404
    assert server.get("/made.mp4/muxed/1.m4s").status == 404


def test_roots_and_hidden_names(serve, films, tmp_path):
    """As for files: names with a dot are not there, and nothing leads out."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(films / "film.mp4", other / "film.mp4")
    shutil.copy(films / "film.mp4", films / ".film.mp4")
    (films / ".secret").mkdir()
    shutil.copy(films / "film.mp4", films / ".secret" / "film.mp4")
    os.symlink(other / "film.mp4", films / "link.mp4")
    server = serve(films, "--root", f"other={other}")
    server.expect_on_stderr(r"leat serve: refused 'link.mp4")
    assert server.get("/other/film.mp4/muxed/0.m4s").status == 200
    for path in [".film.mp4/master.m3u8", ".secret/film.mp4/muxed/0.m4s", "link.mp4/master.m3u8",
                 "../other/film.mp4/master.m3u8", "..%2fother%2ffilm.mp4/master.m3u8"]:
        assert server.get("/" + path).status == 404, path


def test_odd_names(serve, folder):
    for name in ["a b&c?#%41.mp4", "größe.mp4", "it's \"x\"-720.mp4", "it's \"x\"-360.mp4"]:
        shutil.copy(film_maker.make(), folder / name)
    server = serve(folder)
    for name in ["a b&c?#%41.mp4", "größe.mp4", "it's \"x\""]:
        base = "/" + urllib.parse.quote(name) + "/master.m3u8"
        for uri in uris(server.get(base)):
            playlist = urllib.parse.urljoin(base, uri)
            for segment in uris(server.get(playlist)):
                assert server.get(urllib.parse.urljoin(playlist, segment)).status == 200


@pytest.mark.parametrize("page", ["master.m3u8", "manifest.mpd"])
def test_ffmpeg_plays_it(serve, folder, page):
    film = film_maker.make(audio=2)
    shutil.copy(film, folder / "film.mp4")
    server = serve(folder)
    found = decode(f"{server.url}/film.mp4/{page}")
    wanted = decode(film)
    assert [frame.hash for frame in found.frames] == [frame.hash for frame in wanted.frames]


# ------------------------------------------------------------------------- conditions and ranges


@pytest.mark.parametrize("path", ["muxed/1.m4s", "audio-1/1.m4s", "muxed/init.mp4", "master.m3u8",
                                  "manifest.mpd", "video/index.m3u8"])
def test_conditions_and_ranges(serve, films, path):
    server = serve(films)
    path = "/film.mp4/" + path
    whole = server.get(path)
    etag, size = whole.get("ETag"), len(whole.body)
    assert server.get(path, fields=[f"If-None-Match: {etag}"]).status == 304
    assert server.get(path, fields=['If-None-Match: "x"']).status == 200
    assert server.get(path, fields=['If-Match: "x"']).status == 412
    head = server.get(path, method="HEAD")
    assert (head.status, head.length, head.get("ETag")) == (200, size, etag)
    for first, last in [(0, 0), (0, size - 1), (size - 1, size - 1), (size // 3, size // 2)]:
        part = server.get(path, fields=[f"Range: bytes={first}-{last}", f"If-Range: {etag}"])
        assert part.status == 206
        assert part.get("Content-Range") == f"bytes {first}-{last}/{size}"
        assert part.body == whole.body[first:last + 1]
    assert server.get(path, fields=["Range: bytes=-5"]).body == whole.body[-5:]
    assert server.get(path, fields=[f"Range: bytes={size}-"]).status == 416
    several = server.get(path, fields=[f"Range: bytes=0-1,{size - 2}-"])
    assert several.status == 206 and whole.body[-2:] in several.body


def test_the_same_bytes_each_time(serve, films):
    """Also from another server, and in parts of any size."""
    one, other = serve(films), serve(films)
    for path in ["muxed/2.m4s", "audio-1/2.m4s", "video/init.mp4"]:
        first, second = one.get("/film.mp4/" + path), other.get("/film.mp4/" + path)
        assert first.body == second.body and first.get("ETag") == second.get("ETag")
        pieces = b""
        while len(pieces) < len(first.body):
            end = min(len(pieces) + 7777, len(first.body)) - 1
            pieces += one.get("/film.mp4/" + path,
                              fields=[f"Range: bytes={len(pieces)}-{end}"]).body
        assert pieces == first.body


def test_tags_are_of_their_own(serve, films):
    server = serve(films)
    tags = [server.get("/film.mp4/" + path, method="HEAD").get("ETag")
            for path in ["muxed/0.m4s", "muxed/1.m4s", "video/0.m4s", "video/1.m4s",
                         "audio-1/0.m4s", "audio-1/1.m4s", "muxed/init.mp4", "video/init.mp4",
                         "audio-1/init.mp4", "muxed/index.m3u8", "master.m3u8", "manifest.mpd"]]
    assert len(set(tags)) == len(tags)


# ------------------------------------------------------------------------------------- what is bad


@pytest.mark.parametrize("kind", sorted(set(film_maker.BAD) - {"folder"}))
def test_bad_films(serve, folder, films, kind):
    """One line says why, the same as `leat probe`; others are not disturbed."""
    film_maker.BAD[kind](folder / "bad.mp4")
    server = serve(folder)
    answers = {path: server.get("/bad.mp4/" + path)
               for path in ["master.m3u8", "manifest.mpd", "muxed/index.m3u8", "muxed/0.m4s",
                            "video/init.mp4"]}
    probed = run_leat("probe", "--json", str(folder / "bad.mp4"))
    reason = json.loads(probed.stdout).get("reason")
    for path, answer in answers.items():
        if not reason:  # it can be streamed after all, as far as it goes
            assert answer.status in (200, 404), path
            continue
        assert (answer.status, answer.get("Content-Type")) == (422, "text/plain; charset=utf-8")
        assert answer.body.decode() == reason + "\n", path
    assert server.get("/film.mp4/muxed/0.m4s").status == 200
    assert server.get("/bad.mp4").status == 200


def test_a_film_that_comes_and_changes(serve, films):
    """Copied in place of a text, and then another in its place: each is what it is."""
    server = serve(films, "--threads", "1")  # each believes what it saw for a second
    (films / "new.mp4").write_text("to come")
    assert server.get("/new.mp4/master.m3u8").status == 422
    shutil.copy(films / "film.mp4", films / "new.mp4")
    await_true(lambda: server.get("/new.mp4/master.m3u8").status == 200)
    before = server.get("/new.mp4/muxed/0.m4s")
    assert before.body == server.get("/film.mp4/muxed/0.m4s").body
    other = film_maker.make(seconds=4, video_bits=200_000)
    shutil.copy(other, films / "part.tmp")
    os.rename(films / "part.tmp", films / "new.mp4")
    await_true(lambda: len(uris(server.get("/new.mp4/muxed/index.m3u8"))) == 2)
    after = server.get("/new.mp4/muxed/0.m4s", fields=[f"If-None-Match: {before.get('ETag')}"])
    assert after.status == 200 and after.body != before.body
    (films / "new.mp4").unlink()
    await_true(lambda: server.get("/new.mp4/muxed/0.m4s").status == 404)


def test_a_film_that_is_cut_while_it_is_sent(serve, folder):
    """The answer ends early; the server and the others go on."""
    shutil.copy(film_maker.make(video_bits=8_000_000, size="640x360"), folder / "film.mp4")
    server = serve(folder, "--so-sndbuf", "64k")
    with server.connect(receive_buffer=65536) as slow:
        slow.ask("/film.mp4/muxed/0.m4s")
        head = slow.head()
        os.truncate(folder / "film.mp4", 100_000)
        with contextlib.suppress(ConnectionError):
            slow.rest()
        assert len(slow.inbox) < head.length
    time.sleep(1.2)  # what was found is believed for a second
    assert server.get("/film.mp4/muxed/0.m4s").status == 422


# ------------------------------------------------------------------------------------------ ladders


def test_a_ladder(serve, ladder):
    server = serve(ladder)
    assert sorted(uris(server.get("/film/master.m3u8"))) == [
        "../film-360p.mp4/muxed/index.m3u8", "../film-720.mp4/muxed/index.m3u8"]
    text = server.get("/film/master.m3u8").body.decode()
    assert "RESOLUTION=640x360" in text and "RESOLUTION=320x180" in text
    manifest = server.get("/film/manifest.mpd").body.decode()
    assert manifest.count("<Representation") == 3
    assert "<BaseURL>../film-360p.mp4/video/</BaseURL>" in manifest
    assert manifest.count("audio-1/</BaseURL>") == 1


def test_ladder_with_several_audio_tracks(serve, folder):
    for name, bits in [("film-720.mp4", 900_000), ("film-360.mp4", 300_000)]:
        shutil.copy(film_maker.make(audio=2, video_bits=bits), folder / name)
    server = serve(folder)
    text = server.get("/film/master.m3u8").body.decode()
    assert text.count("TYPE=AUDIO") == 2 and 'LANGUAGE="de"' in text
    assert text.count('URI="../film-720.mp4/audio-') == 2
    assert text.count("video/index.m3u8") == 2 and "muxed" not in text


def test_ladder_that_does_not_align(serve, ladder):
    shutil.copy(film_maker.make(gop_s=1.2), ladder / "film-480.mp4")
    server = serve(ladder)
    for page in ["master.m3u8", "manifest.mpd"]:
        answer = server.get("/film/" + page)
        assert (answer.status, answer.body) == (422,
                                                b"its keyframes do not align: film-480.mp4\n")
    assert server.get("/film-480.mp4/master.m3u8").status == 200
    (ladder / "film-480.mp4").write_text("no film")
    await_true(lambda: server.get("/film/master.m3u8").body.startswith(b"film-480.mp4: "))
    (ladder / "film-480.mp4").unlink()
    await_true(lambda: server.get("/film/master.m3u8").status == 200)


def test_ladder_by_a_list(serve, folder):
    shutil.copy(film_maker.make(video_bits=900_000), folder / "film high.mp4")
    shutil.copy(film_maker.make(), folder / "low.mp4")
    (folder / "film.ladder.json").write_text('{"rungs": ["low.mp4", "film high.mp4"]}')
    (folder / "bad.ladder.json").write_text('{"rungs": ["../low.mp4"]}')
    (folder / "gone.ladder.json").write_text('{"rungs": ["low.mp4", "gone.mp4"]}')
    (folder / "text.ladder.json").write_text("rungs: low.mp4")
    server = serve(folder)
    assert uris(server.get("/film/master.m3u8")) == [
        "../film%20high.mp4/muxed/index.m3u8", "../low.mp4/muxed/index.m3u8"]
    for name, why in [("bad", b"same folder"), ("gone", b"gone.mp4: it is not there"),
                      ("text", b"no JSON")]:
        answer = server.get(f"/{name}/master.m3u8")
        assert answer.status == 422 and why in answer.body
        assert answer.body.count(b"\n") == 1


# ---------------------------------------------------------------------------------------- subtitles


def test_subtitles(serve, ladder):
    srt = "1\r\n00:00:01,500 --> 00:00:02,000\r\n<i>Tschüß</i>\r\n"
    (ladder / "film.de.srt").write_bytes(srt.encode("cp1252"))
    (ladder / "film.en.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n")
    (ladder / "film-360p.fr.vtt").write_text("WEBVTT\n")
    (ladder / "film.it.vtt").write_text("no subtitles")
    (ladder / "film.es.srt").write_text("no subtitles")
    server = serve(ladder)
    text = server.get("/film/master.m3u8").body.decode()
    assert re.findall(r'LANGUAGE="(\w+)"', text) == ["de", "en", "es", "it"]
    assert 'SUBTITLES="subtitles"' in text
    assert server.get("/film/manifest.mpd").body.decode().count("text/vtt") == 4
    for base in ["/film/", "/film-720.mp4/"]:  # the rung's are the ladder's, if it has none itself
        answer = server.get(base + "subtitles-de.vtt")
        assert answer.get("Content-Type") == "text/vtt; charset=utf-8"
        assert answer.body.decode() == ("WEBVTT\n\n00:00:01.500 --> 00:00:02.000\n"
                                        "<i>Tschüß</i>\n")
        assert server.get(base + "subtitles-de.vtt",
                          fields=[f"If-None-Match: {answer.get('ETag')}"]).status == 304
        assert server.get(base + "subtitles-en.vtt").body.endswith(b"Hello\n")
        assert uris(server.get(base + "subtitles-en.m3u8")) == ["subtitles-en.vtt"]
        for language in ["it", "es"]:
            assert server.get(f"{base}subtitles-{language}.vtt").status == 422
        assert server.get(base + "subtitles-fr.vtt").status == 404
    text = server.get("/film-360p.mp4/master.m3u8").body.decode()
    assert re.findall(r'LANGUAGE="(\w+)"', text) == ["fr"]


# ----------------------------------------------------------------------------- what is remembered


def test_a_cold_crowd_costs_one_look(observed, films):
    """A hundred ask for a film nobody has asked for; it is built once, and served to all."""
    server = observed(films, "--threads", "2")
    wanted = ["/film.mp4/master.m3u8", "/film.mp4/muxed/init.mp4", "/film.mp4/muxed/0.m4s"]
    peers = [server.connect() for _ in range(100)]
    for number, peer in enumerate(peers):
        peer.ask(wanted[number % len(wanted)])
    assert all(peer.answer().status == 200 for peer in peers)
    for peer in peers:
        peer.socket.close()
    assert metric(server, "leat_film_builds_total") == 1
    assert metric(server, "leat_film_cache_entries") == 1
    assert metric(server, "leat_film_cache_bytes") > 1000


def test_metrics(observed, films):
    (films / "text.mp4").write_text("no film")
    server = observed(films)
    assert metric(server, "leat_film_builds_total") == 0
    packed = server.get("/film.mp4/audio-1/0.m4s")
    server.get("/film.mp4/muxed/0.m4s")
    server.get("/text.mp4/master.m3u8")
    server.get("/text.mp4/master.m3u8")
    assert metric(server, "leat_film_segments_total") == 2
    assert 1000 < metric(server, "leat_film_copied_bytes_total") < len(packed.body)
    assert metric(server, "leat_film_builds_total") == 2
    assert metric(server, "leat_film_failures_total") == 1
    assert metric(server, "leat_film_cache_entries") == 2


# ------------------------------------------------------------------------------------------ pacing


@pytest.fixture
def large(folder):
    """16 s of 6 Mbit/s, a segment each 2 s: 1.5 MB."""
    path = film_maker.make(video_bits=6_000_000, size="640x360", seconds=16, audio=0)
    shutil.copy(path, folder / "film.mp4")
    return folder


def seconds_of(peer, number, query="", fields=()):
    begin = time.monotonic()
    peer.ask(f"/film.mp4/video/{number}.m4s{query}", fields=fields)
    answer = peer.answer()
    assert answer.status == 200
    return time.monotonic() - begin, len(answer.body)


def test_pacing(serve, large):
    """The first 10 s at once; then 1.5 x the film's rate, until a seek."""
    server = serve(large)
    with server.connect(timeout_s=30) as peer:
        for number in range(5):
            assert seconds_of(peer, number)[0] < 0.6, number
        took, size = seconds_of(peer, 5)
        assert took > 0.4 * 2 / 1.5, f"{size} bytes in {took} s"
        seconds_of(peer, 7)
        assert seconds_of(peer, 0)[0] < 0.6  # a seek
    with server.connect(timeout_s=30) as peer:
        assert seconds_of(peer, 5)[0] < 0.6


def test_players_are_heard(serve, large):
    """CMCD in the query and in a field."""
    server = serve(large)
    with server.connect(timeout_s=30) as peer:
        for number in range(5):
            seconds_of(peer, number)
        full = urllib.parse.quote("bl=30000,rtp=8000")
        assert seconds_of(peer, 5, f"?CMCD={full}")[0] > 0.5
        empty = urllib.parse.quote("bl=0,su,rtp=8000")
        assert seconds_of(peer, 6, f"?CMCD={empty}")[0] < 0.6
        assert seconds_of(peer, 7, fields=["CMCD-Request: bl=1000"])[0] < 0.6


def test_pace_off_and_rates(serve, large):
    off = serve(large, "--pace", "off")
    with off.connect() as peer:
        for number in range(8):
            assert seconds_of(peer, number)[0] < 0.6
    rate = serve(large, "--pace", "1m")
    begin = time.monotonic()
    size = len(rate.get("/film.mp4/video/0.m4s").body)
    assert time.monotonic() - begin > 0.4 * size / 2**20
    begin = time.monotonic()
    rate.get("/film.mp4", fields=["Range: bytes=0-1500000"])
    assert time.monotonic() - begin > 0.4


def test_wrong_paces(leat):
    for text in ["", "fast", "0", "0.5x", "x", "-1"]:
        result = leat("serve", "--pace", text)
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert "--pace" in result.stderr and "1x to" in result.stderr


def test_many_films_at_once(observed, films):
    """Each is built; those who watch another are served meanwhile."""
    plain = (films / "film.mp4").read_bytes()
    for number in range(40):
        (films / f"film{number}.mp4").write_bytes(plain)
    server = observed(films)
    server.get("/film.mp4/muxed/0.m4s")
    statuses = []

    def ask(number):
        statuses.append(server.get(f"/film{number}.mp4/muxed/0.m4s").status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert server.get("/film.mp4/muxed/1.m4s").status == 200
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40
    assert metric(server, "leat_film_builds_total") == 41
