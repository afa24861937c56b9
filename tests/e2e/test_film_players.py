# SPDX-License-Identifier: MIT
"""Films as streams, as viewers see them: Chromium with hls.js, Shaka Player, dash.js and its own
HLS. All players watch a film at once, each as if it were alone: plays, seeks twice, sees the end;
and a ladder's rungs are gone up and down while the link becomes better and worse."""

import re
import shutil
import time

import pytest

from players import browser, films, link

pytestmark = [
    pytest.mark.mostly_on("uring"),
    pytest.mark.skipif(bool(browser.what_is_missing()), reason=browser.what_is_missing()),
]

MARGIN_S = 0.1  # of a hole that nobody sees, and of where a film ends
SEGMENT = re.compile(r"/film-(\d+)\.mp4/(?:video|muxed)/\d+\.m4s$")
SUBTITLES = [(1.0, 3.5, "Water finds its way"), (13.0, 15.5, "and so do we")]
HIGH_K, LOW_K = 20_000, 1000
# The three rungs: height and kilobits a second. Heights are small, so that the pictures of three
# players fit into two cores; rates are those of real films.
RUNGS = {360: 3000, 270: 1500, 180: 700}
TOP, BOTTOM = max(RUNGS), min(RUNGS)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.opened(tmp_path_factory.mktemp("chromium") / "profile") as driver:
        yield driver


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """store(kind): a film, made once for the tests of this file."""
    folder = tmp_path_factory.mktemp("films")

    def film(kind):
        path = folder / f"{kind}.mp4"
        if not path.exists():
            films.make(path, kind)
        return path
    return film


def vtt_time(seconds):
    return f"00:00:{seconds:06.3f}"


def write_subtitles(folder):
    """In English as WebVTT, in German as SubRip."""
    cues = [f"{vtt_time(begin)} --> {vtt_time(end)}\n{text}\n" for begin, end, text in SUBTITLES]
    (folder / "film.en.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    (folder / "film.de.srt").write_text("\n".join(
        f"{number}\n{cue.replace('.', ',')}" for number, cue in enumerate(cues, 1)))


def rebuffers(record):
    """The waits of a viewer who had begun and had not sought. A short one with enough in advance is
    of a machine so busy that Chromium cannot decode in time."""
    return [wait for wait in record["waits"]
            if wait["phase"] == "play" and (wait["ahead_s"] < 0.5 or wait["seconds"] > 1)]


def holes(record):
    """Places of a film that were loaded on both sides but not themselves, smaller than a segment:
    what is missing by the second was not asked for."""
    ranges = record["buffered"]
    return [(before[1], after[0]) for before, after in zip(ranges, ranges[1:])
            if MARGIN_S < after[0] - before[1] < 1.9]


def check_story(record, has_audio=True):
    who = f"{record['player']}, {record['url'].rsplit('/', 1)[1]}: "
    assert record["failure"] is None, who + f"{record['failure']}; {record['notes']}"
    assert not [note for note in record["notes"] if note["kind"] == "fatal"], who + str(
        record["notes"])
    assert not rebuffers(record), who + f"{rebuffers(record)}; {record['notes']}"
    jumps = [jump for jump in record["jumps"] if abs(jump["to"] - jump["at"]) > 0.2]
    assert not jumps, who + f"jumped by itself: {jumps}"
    assert not holes(record), who + f"holes in {record['buffered']}"
    assert record["size"] == [640, 180], who + str(record["size"])
    assert abs(record["duration_s"] - films.LENGTH_S) < MARGIN_S, who + str(record["duration_s"])
    assert record["ended"] and abs(record["now"] - films.LENGTH_S) < MARGIN_S, who + str(
        record["now"])
    for picture in record["pictures"]:  # play.js waits until it is right, or gives up
        assert -0.06 < picture["off"] < 0.04, who + f"not the picture of its time: {picture}"
    first, end = record["at_first"], record["at_end"]
    assert 0 < first["video"] < end["video"], who + str((first, end))
    if has_audio:
        assert 0 < first["audio"] < end["audio"], who + str((first, end))
    assert end["dropped"] <= 0.3 * end["frames"], who + str(end)  # the machine may be busy
    return who


def watch(serve, folder, chromium, players, **options):
    """All of them watch folder/film.mp4."""
    browser.lay_page(folder)
    server = serve(folder)
    browser.open_page(chromium, server.url)
    options = {"length_s": films.LENGTH_S, "is_hurried": False, **options}
    return browser.stories(chromium, [[player, f"{server.url}/film.mp4/{name}", options]
                                      for player, name in players])


def test_a_film_is_played_by_all(serve, folder, chromium, store):
    """With B-frames, whose delay an edit list hides: pictures would be late without."""
    shutil.copy(store("b-frames"), folder / "film.mp4")
    for record in watch(serve, folder, chromium, browser.HLS + browser.DASH, is_hurried=True):
        check_story(record)


@pytest.mark.long
@pytest.mark.parametrize("kind", films.KINDS)
def test_a_film_of_each_kind_is_played_by_all(serve, folder, chromium, store, kind):
    """By viewers with time. The players tell of themselves (CTA-5004, Common Media Client Data)."""
    shutil.copy(store(kind), folder / "film.mp4")
    for record in watch(serve, folder, chromium, browser.HLS + browser.DASH, hls={"cmcd": {}},
                        shaka={"cmcd": {"enabled": True}}, dash={"cmcd": {"enabled": True}}):
        check_story(record, has_audio=kind != "no-audio")


@pytest.mark.parametrize("language", ["de", pytest.param("en", marks=pytest.mark.long)])
def test_languages_are_chosen(serve, folder, chromium, store, language):
    """Audio is switched while the film plays; subtitles come from .srt (de), from .vtt (en)."""
    shutil.copy(store("two-audio"), folder / "film.mp4")
    write_subtitles(folder)
    # Chromium's own HLS offers a page no choice of audio.
    players = [player for player in browser.HLS + browser.DASH if player[0] != "native"]
    for record in watch(serve, folder, chromium, players, audio="de", text=language,
                        hz=films.PITCHES_HZ, is_hurried=True):
        who = check_story(record)
        assert sorted(record["languages"]["audio"]) == ["de", "en"], who
        assert sorted(record["languages"]["text"]) == ["de", "en"], who
        shown = {(round(begin, 2), round(end, 2), text) for begin, end, text in record["texts"]}
        assert shown == set(SUBTITLES), who + str(record["texts"])


# ---- Ladders -------------------------------------------------------------------------------------


class Viewer:
    """A player behind a link of its own."""

    def __init__(self, chromium, line, url, player, name, **options):
        self.chromium, self.line, self.url, self.player = chromium, line, url, player
        self.number = browser.begin(chromium, player, f"{url}/film/{name}", options)

    def rungs(self, since_s=0):
        """Of the video segments that came since that time of the page's, oldest first."""
        found = []
        for address, when, _ in browser.fetched(self.chromium):
            match = SEGMENT.search(address)
            if match and address.startswith(self.url) and when >= since_s:
                found.append(int(match[1]))
        return found

    def state(self):
        return browser.state(self.chromium, self.number)

    def waits_s(self, since_s=0):
        return sum(wait["seconds"] for wait in rebuffers(self.state()["record"])
                   if wait["wall"] >= since_s)


def await_rung(viewers, rung, seconds):
    """Waits until each has loaded a segment of the rung; how long it took each."""
    start = time.monotonic()
    since_s = viewers[0].state()["wall"]
    took = {}
    while len(took) < len(viewers):
        for viewer in viewers:
            if rung in viewer.rungs(since_s):
                took.setdefault(viewer.player, round(time.monotonic() - start, 1))
        if time.monotonic() - start > seconds:
            break
        time.sleep(0.25)
    for viewer in viewers:
        state = viewer.state()
        assert viewer.player in took, (
            f"{viewer.player} did not reach {rung} within {seconds} s but {took}; it loaded "
            f"{viewer.rungs(since_s)}, believes in {state['estimate']} bits/s, has "
            f"{state['ahead_s']:.1f} s in advance; {state['record']['notes']}")
    return took


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    """ladder(seconds): a folder with film-360.mp4, film-270.mp4, film-180.mp4 of that length."""
    def make(seconds):
        folder = tmp_path_factory.mktemp("ladder")
        for height, rate_k in RUNGS.items():
            films.make_rung(folder / f"film-{height}.mp4", height, rate_k - 96, seconds)
        browser.lay_page(folder)
        return folder
    return make


@pytest.fixture
def links():
    """links(count): so many links, capped at LOW_K."""
    made = []

    def make(count):
        try:
            for number in range(count):
                made.append(link.Link(number))
        except link.Refused as reason:
            pytest.skip(str(reason))
        return made
    yield make
    for line in made:
        line.close()


def begin_capped(serve, chromium, folder, lines, players, **options):
    """A server and a viewer for each link; the page is loaded before the caps come."""
    servers = [serve(folder, "--cors", "*", "--timing-allow-origin", "*", prefix=line.prefix,
                     listens=(f"{line.address}:0",)) for line in lines]
    browser.open_page(chromium, servers[0].url)
    for line in lines:
        line.cap(LOW_K)
    return [Viewer(chromium, line, server.url, player, name, length_s=1, **options)
            for line, server, (player, name) in zip(lines, servers, players)]


@pytest.mark.long
def test_players_go_up_and_down_with_the_link(serve, chromium, ladder, links):
    """60 s at 1 Mb/s, then the cap is lifted: each player is at the top within 30 s, as if nobody
    paced it; capped again, it goes down in time."""
    players = (("hls", "master.m3u8"), ("shaka", "manifest.mpd"), ("dash", "manifest.mpd"))
    lines = links(len(players))
    folder = ladder(220)
    # With a minute in advance as their aim, players are at work when the cap goes. They judge a
    # link by what they load; with little to load, some would learn of it later than 30 s, whatever
    # the server does.
    viewers = begin_capped(serve, chromium, folder, lines, players, buffer_s=60)
    await_rung(viewers, BOTTOM, 20)
    time.sleep(60)
    settled_s = viewers[0].state()["wall"] - 40
    for viewer in viewers:
        assert TOP not in viewer.rungs(settled_s), (viewer.player, viewer.rungs())
    for viewer in viewers:
        viewer.line.cap(HIGH_K)
    up = await_rung(viewers, TOP, 30)
    for viewer in viewers:
        viewer.line.cap(LOW_K)
    down = await_rung(viewers, BOTTOM, 60)
    print(f"the top after {up} s, the bottom after {down} s")
    for viewer in viewers:
        record = viewer.state()["record"]
        assert not [note for note in record["notes"] if note["kind"] == "fatal"], record["notes"]
        # Some start too high; afterwards nobody waits.
        assert viewer.waits_s(settled_s) == 0, (viewer.player, record["waits"])
        viewer.line.cap(HIGH_K)
        browser.stop(chromium, viewer.number)


def test_a_player_climbs_when_the_link_is_better(serve, chromium, ladder, links):
    """The same, small: the player that learns of it first."""
    viewers = begin_capped(serve, chromium, ladder(40), links(1), [("dash", "manifest.mpd")],
                           buffer_s=60)
    await_rung(viewers, BOTTOM, 10)
    time.sleep(5)
    assert TOP not in viewers[0].rungs()
    viewers[0].line.cap(HIGH_K)
    await_rung(viewers, TOP, 20)
    assert not rebuffers(viewers[0].state()["record"])
    browser.stop(chromium, viewers[0].number)
