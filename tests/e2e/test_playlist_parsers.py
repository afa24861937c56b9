# SPDX-License-Identifier: MIT
"""Playlists and manifests as parsers of others see them: m3u8-parser, hls-parser (strict) and
mpd-parser of npm, xmllint. They have nothing to complain of, they agree with each other, and HLS,
DASH and ffprobe tell the same of a film."""

import itertools
import json
import pathlib
import re
import shutil
import subprocess
import urllib.parse

import pytest

import film_maker
from framehash import probe_tracks

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 7
CLOCK_S = 2e-6   # both round a time to a microsecond
TICK_S = 1e-3    # a track's times may be no whole ticks of the film's
FRAME_S = 0.1    # of where a track ends: the last picture, or piece of sound
ROOT = "http://leat.test/"  # what relative URLs are resolved against
MISSING = [name for name in ("m3u8-parser", "hls-parser", "mpd-parser")
           if not (HERE / "node_modules" / name).is_dir()]

pytestmark = [
    pytest.mark.mostly_on("uring"),
    pytest.mark.skipif(not shutil.which("node") or not shutil.which("xmllint"),
                       reason="node and xmllint are not installed"),
    pytest.mark.skipif(bool(MISSING),
                       reason=f"not installed by scripts/install-deps test: {', '.join(MISSING)}"),
]

FILMS = {
    "plain": {},
    "29.97": {"fps": "30000/1001"},
    "vfr": {"fps": "vfr"},
    "b-edit": {"bframes": 3, "edit_s": 1.3},
    "two-audio": {"audio": 2},
    "audio-late": {"audio_late_s": 0.7, "audio": 2},
    "audio-only": {"video": False},
    "video-only": {"audio": 0},
    "av1": {"codec": "av1"},
}


def parse(kind, url, text):
    """What each parser found, by its name; none may have complained."""
    result = subprocess.run(["node", HERE / "parse_playlists.js", kind, url], input=text,
                            capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, f"{url}: {result.stderr}\n{text}"
    found = json.loads(result.stdout)
    for parser, seen in found.items():
        assert not seen.pop("complaints"), f"{url}: {parser} of\n{text}"
    return found


class Site:
    """What a server has below a URL, read by the parsers."""

    def __init__(self, server):
        self.server = server

    def text(self, url, media_type):
        answer = self.server.get("/" + url.removeprefix(ROOT))
        assert answer.status == 200, f"{url}: {answer.status} {answer.body[:200]!r}"
        assert answer.get("Content-Type").split(";")[0] == media_type
        return answer.body.decode("utf-8")

    def hls(self, url):
        """A playlist, in which both parsers see the same."""
        one, other = parse("hls", url, self.text(url, "application/vnd.apple.mpegurl")).values()
        assert one == other
        return one

    def dash(self, url):
        text = self.text(url, "application/dash+xml")
        result = subprocess.run(["xmllint", "--noout", "--nonet", "-"], input=text, timeout=30,
                                capture_output=True, text=True, check=False)
        assert result.returncode == 0 and not result.stderr, result.stderr
        return parse("dash", url, text)["mpd-parser"]

    def assert_there(self, urls):
        for url in sorted(urls):
            answer = self.server.get("/" + url.removeprefix(ROOT), method="HEAD")
            assert answer.status == 200 and answer.length > 0, f"{url}: {answer.status}"


@pytest.fixture(name="site")
def site_of_films(serve, folder):
    """site(name=film, …): a server that has these films."""
    def start(**films):
        for name, film in films.items():
            shutil.copy(film, folder / f"{name}.mp4")
        return Site(serve(folder))
    return start


def media_playlists(site, master):
    """{url: playlist} of all that a multivariant playlist names."""
    urls = [stream["url"] for stream in master["variants"] + master["renditions"]]
    assert len(set(urls)) == len(urls)
    return {url: site.hls(url) for url in urls}


def check_media(site, playlist):
    durations = [segment["duration"] for segment in playlist["segments"]]
    assert playlist["isComplete"] and min(durations) > 0
    assert max(round(duration) for duration in durations) <= playlist["target"]
    site.assert_there({segment["url"] for segment in playlist["segments"]})
    site.assert_there({segment["init"] for segment in playlist["segments"] if "init" in segment})


def duration_of(segments):
    return sum(segment["duration"] for segment in segments)


@pytest.mark.parametrize("name", FILMS)
def test_both_tell_the_same_of_a_film(site, name):
    film = film_maker.make(seconds=SECONDS, **FILMS[name])
    tracks = probe_tracks(film)
    kinds = [track.kind for track in tracks]
    films = site(film=film)
    master = films.hls(ROOT + "film.mp4/master.m3u8")
    playlists = media_playlists(films, master)
    for playlist in playlists.values():
        check_media(films, playlist)
        assert abs(duration_of(playlist["segments"]) - SECONDS) < FRAME_S
    variant, = master["variants"]
    assert (variant.get("size") == [320, 180]) == ("video" in kinds)
    assert len(variant["codecs"].split(",")) == len(set(kinds))
    renditions = master["renditions"]
    assert len(renditions) == (kinds.count("audio") if kinds.count("audio") > 1 else 0)
    assert [rendition["language"] for rendition in renditions] == ["en", "de"][:len(renditions)]
    assert [rendition["isDefault"] for rendition in renditions] == [True, False][:len(renditions)]

    manifest = films.dash(ROOT + "film.mp4/manifest.mpd")
    assert abs(manifest["duration"] - SECONDS) < FRAME_S
    assert sorted(stream["kind"] for stream in manifest["streams"]) == sorted(kinds)
    for stream in manifest["streams"]:
        is_late = stream["kind"] == "audio"
        check_timeline(films, manifest, stream, FILMS[name].get("audio_late_s", 0) * is_late)
        url = urllib.parse.urljoin(stream["segments"][0]["url"], "index.m3u8")
        check_alike(playlists.get(url) or films.hls(url), stream)


def check_alike(playlist, stream):
    """The same segments, which end at the same times. Where they begin, HLS does not say: of sound
    that begins late, the first one lasts longer there."""
    assert [segment["url"] for segment in playlist["segments"]] == \
        [segment["url"] for segment in stream["segments"]]
    ends = itertools.accumulate(segment["duration"] for segment in playlist["segments"])
    assert list(ends) == pytest.approx(
        [segment["begin"] + segment["duration"] for segment in stream["segments"]], abs=CLOCK_S)


def check_timeline(site, manifest, stream, begin_s=0):
    """Segments follow one another without a hole, from the beginning to the end."""
    now = stream["segments"][0]["begin"]
    assert abs(now - begin_s) < FRAME_S
    for segment in stream["segments"]:
        assert segment["begin"] == pytest.approx(now, abs=CLOCK_S)
        now = segment["begin"] + segment["duration"]
    assert manifest["duration"] + TICK_S > now > manifest["duration"] - FRAME_S
    site.assert_there({segment["url"] for segment in stream["segments"]})
    site.assert_there({segment["init"] for segment in stream["segments"]})


def test_subtitles_are_found(site, folder):
    (folder / "film.de.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\nWasser & <i>Weg\n")
    (folder / "film.en.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.500\nwater\n")
    films = site(film=film_maker.make(seconds=SECONDS))
    master = films.hls(ROOT + "film.mp4/master.m3u8")
    group, = {variant["subtitles"] for variant in master["variants"]}
    found = {rendition["language"]: rendition["url"] for rendition in master["renditions"]
             if rendition["group"] == group}
    assert set(found) == {"de", "en"}
    texts = {}
    for language, url in found.items():
        playlist = films.hls(url)
        assert playlist["isComplete"]
        assert abs(duration_of(playlist["segments"]) - SECONDS) < FRAME_S
        segment, = playlist["segments"]
        texts[language] = films.text(segment["url"], "text/vtt")
    assert "00:00:01.000 --> 00:00:02.500\nWasser &amp; <i>Weg</i>\n" in texts["de"]
    assert all(text.startswith("WEBVTT\n") for text in texts.values())
    streams = films.dash(ROOT + "film.mp4/manifest.mpd")["streams"]
    assert {stream["language"]: [segment["url"] for segment in stream["segments"]]
            for stream in streams if stream["kind"] == "text"} == \
        {language: [re.sub(r"m3u8$", "vtt", url)] for language, url in found.items()}


def test_a_ladder_has_all_its_rungs(site):
    rungs = {180: 200_000, 360: 700_000}
    made = {height: film_maker.make(seconds=SECONDS, size=f"{height * 16 // 9}x{height}",
                                    video_bits=bits) for height, bits in rungs.items()}
    films = site(**{f"film-{height}": film for height, film in made.items()})
    master = films.hls(ROOT + "film/master.m3u8")
    assert {variant["size"][1] for variant in master["variants"]} == set(rungs)
    for playlist in media_playlists(films, master).values():
        check_media(films, playlist)
    manifest = films.dash(ROOT + "film/manifest.mpd")
    pictures = [stream for stream in manifest["streams"] if stream["kind"] == "video"]
    assert {stream["size"][1] for stream in pictures} == set(rungs)
    assert len({stream["bandwidth"] for stream in pictures}) == len(rungs)
    for stream in manifest["streams"]:
        check_timeline(films, manifest, stream)
