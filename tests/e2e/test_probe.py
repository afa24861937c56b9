# SPDX-License-Identifier: MIT
"""leat probe: what it says of films is what ffprobe finds in them; what cannot be streamed has one
line that says why, soon and without much memory, whatever is wrong."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import film_boxes
import film_maker
from conftest import FILM, LEAT, ROOT

pytestmark = pytest.mark.mostly_on("uring")

MEDIA = pathlib.Path(os.environ.get("LEAT_TEST_DATA", ROOT.parent / "shared")) / "media"
MEMORY_MAX = 64 << 20
SECONDS_MAX = 1
MEMORY_PER_HOUR_MAX = 1.5 * 1000 * 1000  # of the index, a media hour

# Starts the command from a small process, for a child's peak begins with that of its parent, and
# tells what it took.
WATCHER = """
import json, os, resource, subprocess, sys, time

begin = time.monotonic()
result = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"status": result.returncode, "seconds": time.monotonic() - begin,
                  "cpu_s": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024,
                  "stdout": result.stdout.decode(), "stderr": result.stderr.decode()}))
"""


def watched(*arguments):
    result = subprocess.run([sys.executable, "-S", "-c", WATCHER, LEAT, *map(str, arguments)],
                            capture_output=True, text=True, timeout=30, check=True)
    return json.loads(result.stdout)


def probe(leat, path):
    """The object of a film that is streamed."""
    result = leat("probe", "--json", str(path))
    assert result.returncode == 0 and result.stderr == "", (path, result)
    found = json.loads(result.stdout)
    assert found["streamable"] and found["reason"] is None
    return found


def stream(found, name):
    return next(stream for stream in found["streams"] if stream["name"] == name)


def refusal(result, path):
    """The reason on the first line of a refused film's report."""
    first = result.stdout.splitlines()[0]
    assert result.returncode == 1 and result.stderr == "", (path, result)
    match = re.fullmatch(re.escape(str(path)) + r": cannot be streamed: (\S[^\n]*[^.\s])", first)
    assert match, first
    return match[1]


# ---------------------------------------------------------------------------------- real films

# What ffprobe calls a codec; what stands behind a dot counts where it is another codec.
FAMILIES = {"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "av01": "av1",
            "vp09": "vp9", "mp4a": "aac", "mp4a.6b": "mp3", "mp4a.40.36": "mp4als", "opus": "opus",
            "ac-3": "ac3", "ec-3": "eac3", "flac": "flac", "alac": "alac"}

# What must be refused, and what the line must say. All others must stream.
REFUSED = {
    "androidx__bbb_176x144_128kbps_15fps_h263.3gp": "s263",
    "androidx__sample.text.mp4": "neither video nor audio",
    "androidx__sample_dthd.mp4": "mlpa",
    "androidx__sample_fragmented_sgpd_v2.mp4": "encrypted",
    "filetype__fixture-mjpeg.mov": "jpeg",
    "filetype__fixture-moov.mov": "cut off",
    "filetype__fixture.3gp": "s263",
    "filetype__fixture2.3gp": "s263",
    "fq__lpcm.mp4": "lpcm",
    "gpac__gpac_cfg_test.mp4": "mp4v",
    "livesim2__mpegh_mhm1.mp4": "mhm1",
    "mp4ff__complseg-1.0001.mp4": "encrypted",
    "mp4ff__iamf.mp4": "iamf",
    "mp4ff__init_truncated.mp4": "cut off",
    "mp4ff__prog_8s_enc_dashinit.mp4": "encrypted",
    "mp4ff__vvc_400kbps_2s.mp4": "vvc1",
    "mp4parse__av1-clearkey-cbcs-video.mp4": "encrypted",
    "mp4parse__chunk_out_of_range.mp4": "stsc",
    "mp4parse__no_timescale.mp4": "timescale",
    "mp4parse__short-cenc.mp4": "encrypted",
    "mp4parse__test_case_1185230.mp4": "timescale",
    "mp4parser__MOV00006.3gp": "s263",
    "openpreserve__apple-prores-422-proxy.mov": "apco",
    "openpreserve__xdcam-ex-720p30.mov": "xdv1",
    "tinytag__mvhd_version_1.m4a": "the file ends",
}

# ffprobe 5.1 finds no stream in it, or no packet.
UNSEEN = {"mp4parse__sine-3s-xhe-aac-44khz-mono.mp4", "mp4parser__example-sans-amf0.mp4"}


def media():
    """The real films, or one parameter that says why there are none."""
    names = sorted(path.name for path in MEDIA.glob("*")) if MEDIA.is_dir() else []
    return names or [pytest.param("", marks=pytest.mark.skip(reason=f"there is no {MEDIA}"))]


def seen_by_ffprobe(path):
    """(codecs, [(begin, end)], duration): of the tracks, the second of what is shown; the last is
    what the container says."""
    result = subprocess.run(["ffprobe", "-v", "quiet", "-show_entries",
                             "stream=codec_name:packet=stream_index,pts_time,duration_time,flags"
                             ":format=duration", "-of", "json", str(path)],
                            capture_output=True, text=True, check=True)
    seen = json.loads(result.stdout)
    codecs = [entry.get("codec_name") for entry in seen["streams"]]
    spans = [None] * len(codecs)
    for packet in seen["packets"]:
        if "D" in packet["flags"] or "pts_time" not in packet:
            continue
        index, begin = packet["stream_index"], float(packet["pts_time"])
        end = begin + float(packet.get("duration_time", 0))
        span = spans[index] or (begin, end)
        spans[index] = (min(span[0], begin), max(span[1], end))
    return codecs, spans, float(seen["format"].get("duration", 0))


@pytest.mark.parametrize("name", media())
def test_a_real_film_streams_as_ffprobe_sees_it_or_is_refused(leat, name):
    path = MEDIA / name
    result = leat("probe", str(path))
    if result.returncode == 1:
        reason = refusal(result, path)
        assert name in REFUSED, f"refused: {reason}"
        assert REFUSED[name] in reason
        return
    assert name not in REFUSED, result.stdout
    assert result.stdout.startswith(f"{path}: streams as HLS and DASH\n")
    found = probe(leat, path)
    if name in UNSEEN:
        return
    codecs, spans, duration_s = seen_by_ffprobe(path)
    assert len(found["tracks"]) == len(codecs)
    streamed = [index for index, track in enumerate(found["tracks"]) if track["streamed"]]
    for index in streamed:
        codec = found["tracks"][index]["codec"]
        family = FAMILIES.get(codec) or FAMILIES[codec.split(".")[0]]
        assert family == codecs[index]
    # Not all durations of packets are known to it, and not all of those of containers are true.
    begin = min(spans[index][0] for index in streamed)
    end = max(spans[index][1] for index in streamed)
    assert min(abs(found["duration_s"] - length) for length in (end - begin, duration_s)) <= 0.1


def test_the_table_names_files_that_are_there():
    if not MEDIA.is_dir():
        pytest.skip(f"there is no {MEDIA}")
    assert set(REFUSED) <= {path.name for path in MEDIA.iterdir()}


# ------------------------------------------------------------------------------------- figures


def test_a_film_of_our_own(leat):
    found = probe(leat, FILM)
    assert found["bytes"] == FILM.stat().st_size and found["file"] == str(FILM)
    assert found["duration_s"] == pytest.approx(24, abs=0.05) and found["segments"] == 12
    assert found["independent"] and found["container"]["kind"] == "mp4"
    video, audio = found["tracks"]
    assert (video["kind"], video["width"], video["height"], video["rotation"]) == (
        "video", 960, 540, 0)
    assert video["pictures_per_s"] == 25 and video["codec"].startswith("avc1.")
    assert video["keyframe_s"] == {"count": 12, "min": 2, "average": 2, "max": 2}
    assert (audio["kind"], audio["codec"], audio["channels"], audio["sample_rate"]) == (
        "audio", "mp4a.40.2", 2, 48000)
    assert video["channels"] is None and audio["width"] is None and audio["keyframe_s"] is None
    assert [entry["name"] for entry in found["streams"]] == ["muxed", "video", "audio-1"]


@pytest.mark.parametrize("options", [
    {}, {"bframes": 2}, {"fps": "30000/1001"}, {"fps": "vfr"}, {"audio": 2}, {"audio": 0},
    {"video": False}, {"fragmented": True}, {"interleave_s": 0.5}, {"codec": "hevc", "bframes": 3},
    {"codec": "vp9"}, {"codec": "av1"}], ids=str)
def test_its_figures_are_those_of_the_packets(leat, options):
    path = film_maker.make(seconds=6, **options)
    found = probe(leat, path)
    result = subprocess.run(["ffprobe", "-v", "error", "-show_entries",
                             "packet=stream_index,dts_time,size,flags", "-of", "json", str(path)],
                            capture_output=True, text=True, check=True)
    packets = json.loads(result.stdout)["packets"]
    for index, track in enumerate(found["tracks"]):
        own = [packet for packet in packets if packet["stream_index"] == index]
        assert track["streamed"] and track["samples"] == len(own)
        assert track["bytes"] == sum(int(packet["size"]) for packet in own)
        if track["kind"] == "video":
            keys = [float(packet["dts_time"]) for packet in own if "K" in packet["flags"]]
            assert track["keyframe_s"]["count"] == len(keys)
            distances = [after - before for before, after in zip(keys, keys[1:])]
            assert track["keyframe_s"]["max"] == pytest.approx(max(distances), abs=0.04)
    for entry in found["streams"]:
        assert entry["segment_s"]["count"] <= found["segments"]
        assert entry["segment_s"]["average"] * entry["segment_s"]["count"] == pytest.approx(
            found["duration_s"], abs=0.2)
        ranged = entry["ranges"]["count"] if entry["ranges"] else 0
        assert ranged + entry["packed_segments"] == entry["segment_s"]["count"]
    if options.get("video", True) and options.get("audio", 1) == 1:
        # What is sent of one is sent of the other; the edges of edit lists may be left out.
        parts = sum(stream(found, name)["media_bytes"] for name in ("video", "audio-1"))
        assert stream(found, "muxed")["media_bytes"] == parts
        assert parts == pytest.approx(sum(track["bytes"] for track in found["tracks"]), rel=0.02)


def test_tracks_have_their_languages_and_streams_their_names(leat):
    found = probe(leat, film_maker.make(seconds=4, audio=2))
    assert [track["language"] for track in found["tracks"][1:]] == ["eng", "deu"]
    assert [entry["name"] for entry in found["streams"]] == ["video", "audio-1", "audio-2"]


def test_audio_alone_is_packed_and_a_plain_film_is_one_range(leat):
    found = probe(leat, film_maker.make(seconds=6))
    sound, muxed = stream(found, "audio-1"), stream(found, "muxed")
    assert sound["packed_segments"] == sound["segment_s"]["count"] and sound["ranges"] is None
    assert sound["packed_bytes"] == sound["media_bytes"]
    assert muxed["packed_segments"] == 0 and muxed["ranges"]["max"] <= 3
    assert muxed["slack_percent"]["max"] <= 1


@pytest.mark.parametrize("options, words", [
    ({"gop_s": 8, "seconds": 16}, ["keyframes", "8.0 s", "-force_key_frames"]),
    ({"bframes": 3, "open_gop": True}, ["open GOPs", "open-gop=0"]),
    ({"faststart": False}, ["(moov) is at the end", "+faststart"]),
])
def test_advice_is_given_where_it_helps(leat, options, words):
    advice = probe(leat, film_maker.make(**options))["advice"]
    assert any(all(word in text for word in words) for text in advice), advice
    assert probe(leat, film_maker.make())["advice"] == []


def test_too_few_keyframes_are_a_reason_to_encode_anew(leat):
    path = film_maker.make(seconds=100, gop_s=90, size="64x36", fps="5", audio=0)
    result = leat("probe", str(path))
    assert "90 s apart" in refusal(result, path) and "-force_key_frames" in result.stdout


def test_a_beginning_without_a_keyframe_is_told(leat):
    found = probe(leat, film_maker.make_bad("stss-of-one"))
    assert found["tracks"][0]["keyframe_s"]["count"] == 1
    assert any("first 2.0 s cannot be decoded" in text for text in found["advice"])


def test_a_long_film_takes_little(leat):
    path = film_maker.make_long(hours=10)
    found = probe(leat, path)
    assert found["duration_s"] == pytest.approx(36000, abs=10)
    assert found["index_bytes"] <= 10 * MEMORY_PER_HOUR_MAX
    usage = watched("probe", path)
    assert usage["status"] == 0 and usage["cpu_s"] <= 3 and usage["memory"] <= MEMORY_MAX


def test_a_large_film_is_the_small_one(leat):
    small, large = (probe(leat, make(seconds=6, faststart=False))
                    for make in (film_maker.make, film_maker.make_large))
    assert large["bytes"] > 1 << 32 and large["segments"] == small["segments"]
    assert stream(large, "muxed")["media_bytes"] == stream(small, "muxed")["media_bytes"]


def test_no_media_is_read(leat, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    path, trace = film_maker.make(seconds=20, video_bits=2_000_000), tmp_path / "trace"
    begin, size = next((begin, size) for kind, begin, _, size in film_boxes.top_boxes(path)
                       if kind == b"mdat")
    subprocess.run(["strace", "-e", "trace=pread64", "-o", trace, LEAT, "probe", path],
                   capture_output=True, check=True)
    reads = [(int(offset), int(count)) for offset, count in re.findall(
        r"(\d+)\)\s+= (\d+)$", trace.read_text(), re.MULTILINE)]
    assert sum(count for _, count in reads) >= probe(leat, path)["container"]["moov_bytes"]
    farthest = max(offset + count for offset, count in reads if offset < begin + size)
    assert farthest <= begin + 4096, "the window in which the mdat's own head is looked for"


# ----------------------------------------------------------------------------------- bad films

# What the line must say of each film of film_maker.BAD.
REASONS = {
    "empty": "empty",
    "folder": "folder",
    "text": "no MP4",
    "zeros": "no MP4",
    "cut-in-ftyp": "no MP4",
    "cut-behind-ftyp": "(moov) is cut off",
    "cut-in-moov": "(moov) is cut off",
    "cut-in-moov-at-the-end": "(moov) is cut off",
    "cut-in-mdat": "ends before its media",
    "cut-in-mdat-before-moov": "ends before its index (moov)",
    "no-moov": "no index (moov)",
    "no-samples": "no samples",
    "no-duration": "edit list shows nothing of it",
    "no-duration-of-its-video": "lasts no time",
    "no-sync-samples": "no sync samples",
    "encrypted": "encrypted",
    "four-billion-samples": "4294967295",
    "four-billion-samples-of-a-byte": "4294967295",
    "stsc-descends": "stsc",
    "stsc-of-none": "stco",
    "stts-is-empty": "stts",
    "stts-of-count-0": "stts",
    "stts-is-overstated": "stts",
    "stsc-is-overstated": "stsc",
    "stco-is-overstated": "stco",
    "stss-is-overstated": "stss",
    "stco-behind-the-end": "ends before its media",
    "no-stsz": "stsz",
    "no-stsd": "stsd",
    "no-stco": "stco",
    "nested": "mvhd",
    "tiny-box": "no index (moov)",
    "endless-box": "(moov) is cut off",
}


@pytest.mark.parametrize("name", film_maker.BAD)
def test_a_bad_film_is_refused_in_one_line(name):
    path = film_maker.make_bad(name)
    result = watched("probe", path)
    lines = result["stdout"].splitlines()
    assert result["status"] == 1 and result["stderr"] == "", result
    assert sum("cannot be streamed" in line for line in lines) >= 1
    match = re.fullmatch(re.escape(str(path)) + r": cannot be streamed: (\S.*[^.\s])", lines[0])
    assert match and REASONS[name] in match[1], lines[0]
    assert all(line.startswith("  ") for line in lines[1:])
    assert result["cpu_s"] <= SECONDS_MAX
    assert result["memory"] <= MEMORY_MAX, result["memory"]
    found = json.loads(watched("probe", "--json", path)["stdout"])
    assert found["streamable"] is False and found["reason"] == match[1]


@pytest.mark.parametrize("name", film_maker.ODD)
def test_an_odd_film_does_no_harm(name):
    path = film_maker.make_bad(name)
    result = watched("probe", path)
    words = {0: ": streams as HLS and DASH", 1: ": cannot be streamed: "}[result["status"]]
    assert result["stdout"].startswith(f"{path}{words}") and result["stderr"] == ""
    assert result["cpu_s"] <= SECONDS_MAX and result["memory"] <= MEMORY_MAX


def test_every_cut_is_survived(tmp_path):
    """A film that ends anywhere in its index is refused; none brings the command down."""
    data = film_maker.make(seconds=4).read_bytes()
    paths = []
    for size in list(range(0, 300, 7)) + list(range(300, len(data), len(data) // 60)):
        paths.append(tmp_path / f"{size}.mp4")
        paths[-1].write_bytes(data[:size])
    result = watched("probe", "--json", *paths)
    assert result["status"] == 1 and result["stderr"] == ""
    found = [json.loads(line) for line in result["stdout"].splitlines()]
    assert [entry["file"] for entry in found] == list(map(str, paths))
    assert not any(entry["streamable"] for entry in found)


# --------------------------------------------------------------------------------- the command


def keys_of(value):
    if isinstance(value, dict):
        yield from value
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, (dict, list)):
            yield from keys_of(member)


def test_json_has_the_keys_of_its_page_always(leat):
    page = (ROOT / "man" / "leat-probe.1.scd").read_text().split("# JSON")[1].split("# EXIT")[0]
    documented = set(re.findall(r"\*([a-z_]+)\*", page.replace("\\_", "_"))) - {"null"}
    good = probe(leat, film_maker.make(seconds=4))
    assert set(keys_of(good)) == documented
    bad = json.loads(leat("probe", "--json", str(film_maker.make_bad("text"))).stdout)
    assert set(bad) == set(good) and bad["tracks"] == [] and bad["container"] is None
    encrypted = json.loads(leat("probe", "--json", str(film_maker.make_bad("encrypted"))).stdout)
    assert set(encrypted) == set(good)
    assert set(encrypted["tracks"][0]) == set(good["tracks"][0])


def test_several_films_each_have_their_lines(leat, tmp_path):
    good, bad = film_maker.make(seconds=4), film_maker.make_bad("text")
    missing = tmp_path / "none.mp4"
    result = leat("probe", str(good), str(missing), str(bad), str(good))
    heads = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [head.split(": ")[0] for head in heads] == [str(good), str(bad), str(good)]
    assert result.returncode == 2
    assert result.stderr == f"leat probe: '{missing}': No such file or directory\n"
    assert leat("probe", str(good), str(bad)).returncode == 1
    assert leat("probe", str(good), str(good)).returncode == 0


@pytest.mark.parametrize("arguments, words", [
    ([], ["leat probe FILE"]), (["--tidy"], ["--tidy", "--json"]), (["-"], ["'-'"])])
def test_a_wrong_line_is_explained(leat, arguments, words):
    result = leat("probe", *arguments)
    assert result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words)


def test_names_may_be_odd(leat, tmp_path):
    dashed = tmp_path / "-v.mp4"
    shutil.copy(film_maker.make(seconds=4), dashed)
    assert leat("probe", "--", dashed.name, cwd=tmp_path).returncode == 0
    ugly = tmp_path / "a\x1b[31m\n\"\\b.mp4"
    ugly.write_text("no film")
    result = leat("probe", str(ugly))
    assert result.returncode == 1 and result.stdout.count("\n") == 1 and "\x1b" not in result.stdout
    assert json.loads(leat("probe", "--json", str(ugly)).stdout)["file"] == str(ugly)
    foreign = os.fsencode(tmp_path) + b"/\xff.mp4"
    shutil.copy(film_maker.make(seconds=4), foreign)
    found = subprocess.run([LEAT, "probe", "--json", foreign], capture_output=True, check=True)
    assert json.loads(found.stdout)["file"].endswith("/\ufffd.mp4")


def test_a_pipe_is_no_film(leat, tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert "no regular file" in refusal(leat("probe", str(pipe)), pipe)


def test_a_file_that_ends_before_its_size_is_told(leat):
    """As one does that is cut while it is read. Files of sysfs say 4096 and have less."""
    path = pathlib.Path("/sys/devices/system/cpu/online")
    if not path.exists() or path.stat().st_size == len(path.read_bytes()):
        pytest.skip("sysfs is not as it was")
    result = leat("probe", str(path))
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == f"leat probe: '{path}': it changes while it is read\n"


def test_the_server_says_the_same(leat, serve, folder):
    """Of each film that is refused, and is a file."""
    names = [name for name in film_maker.BAD if name != "folder"]
    for name in names:
        shutil.copy(film_maker.make_bad(name), folder / f"{name}.mp4")
    server = serve(folder)
    for name in names:
        found = json.loads(leat("probe", "--json", str(folder / f"{name}.mp4")).stdout)
        for page in "master.m3u8", "manifest.mpd", "muxed/0.m4s":
            reply = server.get(f"/{name}.mp4/{page}")
            assert reply.status == 422, (name, page)
            assert reply.body.decode().rstrip("\n") == found["reason"]
        assert server.get(f"/{name}.mp4").status == 200
