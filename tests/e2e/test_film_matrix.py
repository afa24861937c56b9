# SPDX-License-Identifier: MIT
"""Films as streams, for films in all the ways in which encoders and muxers make them: each stream
decodes to the film's own pictures and sound, at their times, for hardly more bytes than these take,
and by sendfile. The judge is ffmpeg; film_checks says what must hold."""

import random
import re
import shutil

import pytest

import film_maker
from conftest import ENGINE, await_true
from film_checks import Source, Stream, check_film, hls_streams, reorders
from framehash import decode
from segment_walker import find_moov
from test_sending import calls_on, trace

pytestmark = pytest.mark.mostly_on("epoll")

SECONDS = 8
OTHER_ENGINE = {"uring": "epoll", "epoll": "uring", "auto": "epoll"}[ENGINE]

# What film_maker.make() takes, beside the length.
PLAIN = {
    "no-b-frames": {},
    "moov-last": {"faststart": False},
    "interleave-0.25": {"interleave_s": 0.25},
    "interleave-0.5": {"interleave_s": 0.5, "faststart": False},
    "interleave-1": {"interleave_s": 1},
    "29.97": {"fps": "30000/1001"},
    "vfr": {"fps": "vfr"},
    "gop-0.8": {"gop_s": 0.8},
    "gop-4": {"gop_s": 4},
    "edit": {"edit_s": 1.3},
    "fragmented": {"fragmented": True},
    "video-only": {"audio": 0},
    "audio-only": {"video": False},
    "audio-only-moov-last": {"video": False, "faststart": False},
    "audio-only-edit": {"video": False, "edit_s": 1.3},
    "two-audio": {"audio": 2},
    "audio-late": {"audio_late_s": 0.7},
    "hevc": {"codec": "hevc"},
    "av1": {"codec": "av1"},
    "vp9": {"codec": "vp9"},
    "vp9-fragmented": {"codec": "vp9", "fragmented": True},
    "av1-interleave-1": {"codec": "av1", "interleave_s": 1},
}
REORDERED = {
    "b-frame": {"bframes": 1},
    "b-pyramid": {"bframes": 3},
    "b-interleave-0.25": {"bframes": 3, "interleave_s": 0.25},
    "b-interleave-0.5": {"bframes": 3, "interleave_s": 0.5},
    "b-interleave-1": {"bframes": 3, "interleave_s": 1, "faststart": False},
    "b-29.97": {"bframes": 2, "fps": "30000/1001"},
    "b-vfr": {"bframes": 2, "fps": "vfr"},
    "b-edit": {"bframes": 3, "edit_s": 1.3},
    "b-fragmented": {"bframes": 3, "fragmented": True},
    "b-video-only": {"bframes": 3, "audio": 0},
    "b-two-audio": {"bframes": 3, "audio": 2},
    "open-gop": {"bframes": 3, "open_gop": True},
    "open-gop-interleave-0.5": {"bframes": 3, "open_gop": True, "interleave_s": 0.5},
    "hevc-b": {"codec": "hevc", "bframes": 3},
    "hevc-cra": {"codec": "hevc", "bframes": 3, "open_gop": True},
}
UNEVEN = {"audio-shorter": (SECONDS, 4.7), "audio-longer": (4.7, SECONDS)}  # video, audio
QUICK = {"interleave-0.5", "vfr", "audio-only", "av1", "b-pyramid", "b-edit", "b-fragmented",
         "b-two-audio", "hevc-cra", "audio-shorter"}

RANGES_MAX, SLACK_MAX = 3, 0.01  # of a segment without B-frames
REORDERED_RANGES_MAX, REORDERED_SLACK_MAX = 6, 0.12

COSTS = {}  # of each film seen: for the table


def film_named(name):
    if name in UNEVEN:
        return make_uneven(name, *UNEVEN[name])
    return film_maker.make(seconds=SECONDS, **{**PLAIN, **REORDERED}[name])


def make_uneven(name, video_s, audio_s):
    """A film whose tracks do not end together."""
    path = film_maker.folder() / f"{name}.mp4"
    if not path.exists():
        film_maker.run_ffmpeg("-i", film_maker.make(seconds=video_s, audio=0, bframes=2),
                              "-i", film_maker.make(seconds=audio_s, video=False),
                              "-c", "copy", path)
    return path


def named(names, quick):
    return [pytest.param(name, marks=() if name in quick else pytest.mark.long) for name in names]


def fetcher(server, name):
    """Fetches what lies below a film."""
    def fetch(part):
        answer = server.get(f"/{name}/{part}")
        assert answer.status == 200, f"{part}: {answer.status} {answer.body[:200]}"
        return answer.body
    return fetch


def start(serve, folder, path, *flags):
    """Serves a film as film.mp4."""
    shutil.copy(path, folder / "film.mp4")
    server = serve(folder, *flags)
    return server, fetcher(server, "film.mp4")


def check_costs(source, costs):
    """Of the stream that most players take: muxed, or what there is of pictures."""
    name = next((name for name in ("muxed", "video") if name in costs), None)
    if name is None or (name == "video" and len(source.raw) > 1):
        return  # sound alone is packed, and pictures without their sound have holes
    for number, cost in enumerate(costs[name]):
        if reorders(source):
            fits = cost.ranges <= REORDERED_RANGES_MAX and cost.slack <= REORDERED_SLACK_MAX
        else:
            fits = cost.ranges <= RANGES_MAX and cost.slack <= SLACK_MAX
        assert fits, f"segment {number}: {cost.ranges} ranges ({cost.exact} exact), " \
                     f"{cost.slack:.2%} slack"


@pytest.mark.parametrize("name", named([*PLAIN, *REORDERED, *UNEVEN], QUICK))
def test_its_streams_are_the_film(serve, folder, tmp_path, name):
    path = film_named(name)
    _, fetch = start(serve, folder, path)
    source = Source(path)
    assert reorders(source) == (name in REORDERED or name in UNEVEN)
    costs = COSTS[name] = check_film(fetch, source, tmp_path)
    expected = {"audio-1"} if "audio-only" in name else {"video"} if "video-only" in name else \
        {"video", "audio-1", "audio-2"} if "two-audio" in name else {"muxed", "video", "audio-1"}
    assert set(costs) == expected
    check_costs(source, costs)


@pytest.mark.long
def test_what_they_cost(capsys):
    """Prints what the films above need: the most ranges of a segment, how many they would be
    without slack, and the most slack."""
    if not COSTS:
        pytest.skip("no film was seen in this run")
    with capsys.disabled():
        print(f"\n{'film':26}{'stream':10}{'segments':>9}{'ranges':>8}{'exact':>7}{'slack':>9}")
        for film, streams in COSTS.items():
            for name, costs in streams.items():
                print(f"{film:26}{name:10}{len(costs):9}{max(cost.ranges for cost in costs):8}"
                      f"{max(cost.exact for cost in costs):7}"
                      f"{max(cost.slack for cost in costs):9.2%}")


@pytest.mark.parametrize("entry", ["master.m3u8", "manifest.mpd"])
@pytest.mark.parametrize("name", named(["b-pyramid", "hevc-cra", "two-audio", "audio-only", "av1",
                                        "vfr", "b-edit", "fragmented", "audio-shorter"],
                                       {"b-pyramid", "two-audio"}))
def test_ffmpeg_plays_it_to_the_end(serve, folder, name, entry):
    """Track by track: its reader of manifests ends with the shortest of those it is asked for."""
    server, fetch = start(serve, folder, film_named(name))
    wanted = {"v": [], "a": []}
    for stream in [Stream(part, fetch) for part in hls_streams(fetch)]:
        for track in stream.init.tracks:
            wanted[track.kind[0]].append(len(stream.samples_of(track)))
    for kind, counts in wanted.items():
        for index, count in enumerate(counts):
            played = decode(f"{server.url}/film.mp4/{entry}", maps=[f"0:{kind}:{index}"],
                            options=["-flags2", "+skip_manual"])
            assert played.status == 0, played.complaints
            assert len(played.frames) == count, f"{kind}:{index}"


# ------------------------------------------------------------------------------ the same bytes


def test_a_segment_has_the_same_bytes_whichever_way_it_is_asked_for(serve, folder):
    path = film_named("b-pyramid")
    server, _ = start(serve, folder, path)
    cuts = random.Random(1)
    known = {}
    for target in ("muxed/init.mp4", "muxed/0.m4s", "muxed/2.m4s", "video/1.m4s", "audio-1/3.m4s"):
        target = f"/film.mp4/{target}"
        answer = server.get(target)
        tag = answer.get("ETag")
        assert answer.status == 200 and re.fullmatch('"[^"]+"', tag), f"{tag} is not strong"
        known[target] = tag, answer.body
        again = server.get(target)
        assert (again.body, again.get("ETag")) == (answer.body, tag)
        head = server.get(target, method="HEAD")
        assert (head.status, head.length, head.get("ETag")) == (200, len(answer.body), tag)
        assert server.get(target, fields=[f"If-None-Match: {tag}"]).status == 304
        check_pieces(server, target, tag, answer.body, cuts)
    assert len({tag for tag, _ in known.values()}) == len(known), "two bodies share a tag"
    server.stop()
    other = serve(folder, "--engine", OTHER_ENGINE)
    if OTHER_ENGINE == "uring":
        other.expect_on_stderr("leat serve: ")
    for target, (tag, body) in known.items():
        answer = other.get(target)
        assert (answer.get("ETag"), answer.body) == (tag, body), f"{target} on another engine"


def check_pieces(server, target, tag, body, cuts):
    """Ranges, cut anywhere, also within the head and where two ranges of the file meet."""
    places = sorted({0, len(body), *(cuts.randrange(len(body)) for _ in range(12)),
                     *(cuts.randrange(min(4096, len(body))) for _ in range(4))})
    with server.connect() as peer:
        for begin, end in zip(places, places[1:]):
            piece = peer.get(target, fields=[f"Range: bytes={begin}-{end - 1}",
                                             f"If-Range: {tag}"])
            assert piece.status == 206 and piece.body == body[begin:end], (begin, end)
            assert piece.get("Content-Range") == f"bytes {begin}-{end - 1}/{len(body)}"
            assert piece.get("ETag") == tag
        for first, last in ((len(body) - 1, len(body) - 1), (0, 0)):
            assert peer.get(target, fields=[f"Range: bytes={first}-{last}"]).body == \
                body[first:last + 1]
        assert peer.get(target, fields=[f"Range: bytes=-{len(body) // 2}"]).body == \
            body[-(len(body) // 2):]
        assert peer.get(target, fields=[f"Range: bytes={len(body)}-"]).status == 416


def test_a_film_that_has_changed_has_other_tags(serve, folder):
    """What is known of a file is believed for a second."""
    server, _ = start(serve, folder, film_named("b-pyramid"), "--threads", "1")
    before = server.get("/film.mp4/muxed/1.m4s")
    shutil.copy(film_named("vfr"), folder / "new")
    (folder / "new").rename(folder / "film.mp4")
    assert await_true(lambda: server.get("/film.mp4/muxed/1.m4s").get("ETag")
                      != before.get("ETag"))
    after = server.get("/film.mp4/muxed/1.m4s")
    assert after.status == 200 and after.body != before.body


# ---------------------------------------------------------------------------------- by sendfile

READ = re.compile(r"(\d+)(?:, RWF_\w+|, 0)?$")
WINDOW_SIZE = 4096  # the index is read through it: its last one may reach into the media


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("faststart", [True, False])
def test_media_goes_out_by_sendfile_and_is_never_read(serve, folder, tmp_path, faststart):
    """Seen on epoll, where every read is a system call of its own."""
    path = film_maker.make(seconds=SECONDS, bframes=2, video_bits=4_000_000, interleave_s=0.5,
                           faststart=faststart)
    server, fetch = start(serve, folder, path, "--engine", "epoll", "--threads", "1")
    sent = []

    def action():
        stream = Stream("muxed", fetch)
        sent.extend(segment.mdat.end - segment.mdat.body for segment in stream.segments)

    film = folder / "film.mp4"
    calls = calls_on(trace(server, tmp_path, action), film)
    assert sum(result for name, _, result in calls if name == "sendfile" and result > 0) == \
        sum(sent) > 1_000_000
    names = {name for name, _, _ in calls}
    assert names <= {"sendfile", "preadv2", "pread64"}, names
    data = film.read_bytes()
    moov = find_moov(data)
    read = set()
    for name, arguments, result in calls:
        if name != "sendfile" and result > 1:  # a byte is a look whether it is in memory
            begin = int(READ.search(arguments)[1])
            read.update(range(begin, begin + result))
    assert len(read) >= moov.end - moov.start
    beside = len(read) - sum(moov.start <= place < moov.end for place in read)
    assert beside <= 2 * WINDOW_SIZE, f"{beside} bytes beside the index were read"
