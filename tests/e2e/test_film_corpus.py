# SPDX-License-Identifier: MIT
"""Films of the world as streams: files of many muxers, phones and broken tools, and what their
streams are worth. Each is streamed, and then is what it was, or refused with one line of reason."""

import fractions
import os
import pathlib
import re

import pytest

from conftest import ROOT
from film_checks import Source, Stream, check_film, check_order, check_playlist, hls_streams
from test_film_matrix import start

DATA = pathlib.Path(os.environ.get("LEAT_TEST_DATA") or ROOT.parent / "shared") / "media"
FILES = sorted(path.name for path in DATA.glob("*")) if DATA.is_dir() else []
NO_NAME_OF_A_FILM = {".isma"}  # streamed only under another name

NO_CODEC, NO_TRACK = r"browsers play no such codec", r"neither video nor audio"
ENCRYPTED, DAMAGED = r"encrypted", r"."
# What cannot be streamed, and a word of the reason. All other files are to be streamed.
REFUSED = {
    "androidx__bbb_176x144_128kbps_15fps_h263.3gp": NO_CODEC,
    "androidx__sample.text.mp4": NO_TRACK,
    "androidx__sample_dthd.mp4": NO_CODEC,
    "androidx__sample_fragmented_sgpd_v2.mp4": ENCRYPTED,
    "filetype__fixture-mjpeg.mov": NO_CODEC,
    "filetype__fixture-moov.mov": r"moov",
    "filetype__fixture.3gp": NO_CODEC,
    "filetype__fixture2.3gp": NO_CODEC,
    "fq__lpcm.mp4": NO_CODEC,
    "gpac__gpac_cfg_test.mp4": NO_CODEC,
    "livesim2__mpegh_mhm1.mp4": NO_CODEC,
    "mp4ff__complseg-1.0001.mp4": ENCRYPTED,
    "mp4ff__iamf.mp4": NO_CODEC,
    "mp4ff__init_truncated.mp4": r"moov",
    "mp4ff__prog_8s_enc_dashinit.mp4": ENCRYPTED,
    "mp4ff__vvc_400kbps_2s.mp4": NO_CODEC,
    "mp4parse__av1-clearkey-cbcs-video.mp4": ENCRYPTED,
    "mp4parse__chunk_out_of_range.mp4": DAMAGED,
    "mp4parse__no_timescale.mp4": r"timescale",
    "mp4parse__short-cenc.mp4": ENCRYPTED,
    "mp4parse__test_case_1185230.mp4": DAMAGED,
    "mp4parser__MOV00006.3gp": NO_CODEC,
    "openpreserve__apple-prores-422-proxy.mov": NO_CODEC,
    "openpreserve__xdcam-ex-720p30.mov": NO_CODEC,
    "tinytag__mvhd_version_1.m4a": DAMAGED,
}
# ffmpeg 5.1 does not know xHE-AAC: its segments are read, and nobody decodes them.
NOT_FOR_FFMPEG = {"mp4parse__sine-3s-xhe-aac-44khz-mono.mp4"}
# Six minutes of 1080p, a tenth of a second of which is like all others: read, but not decoded.
TOO_LONG_TO_DECODE = {"androidx__long_1080p_lowbitrate.mp4"}
# It has no stss, so each sample is said to be a keyframe, which most are not: what is cut there
# plays in a row, and does not decode alone.
LIES_ABOUT_KEYFRAMES = {"mp4parser__example-sans-amf0.mp4"}
# Fragments with negative composition offsets and no edit list: ffmpeg adds the largest to all.
SHOWN_LATE_S = {"mediabunny__rotate-buck-bunny.mp4": fractions.Fraction(4800, 57600)}
# One of each kind of trouble, for every day; the others when there is time.
QUICK = {"androidx__bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4",  # begins at 10 s
         "androidx__sample_edit_list_only_preroll_sync_sample.mp4", "androidx__sample_av1.mp4",
         "androidx__sample_partially_fragmented.mp4", "livesim2__awsMediaLive_audio.cmfa",
         "mp4parse__white.mp4", "taglib__opus.m4a", "taglib__zero-length-mdat.m4a",
         "mp4parser__Tiny_Sample_-_NEW_-_Untouched.mp4", "filetype__fixture.mov", "fq__stz2.mp4"}

pytestmark = [
    pytest.mark.mostly_on("epoll"),
    pytest.mark.skipif(not FILES, reason="no LEAT_TEST_DATA/media: the films are not here"),
]
streamed = [pytest.param(name, marks=() if name in QUICK else pytest.mark.long)
            for name in FILES if name not in REFUSED]


def test_each_film_is_streamed_or_refused_with_a_reason(serve):
    """All in a row, to one server: none of them does harm to what comes after it."""
    server = serve(DATA)
    wrong = []
    for name in (name for name in FILES if pathlib.Path(name).suffix not in NO_NAME_OF_A_FILM):
        answers = {entry: server.get(f"/{name}/{entry}") for entry in ("master.m3u8",
                                                                      "manifest.mpd")}
        statuses = {answer.status for answer in answers.values()}
        reason = answers["master.m3u8"].body.decode(errors="replace")
        if name not in REFUSED:
            if statuses != {200}:
                wrong.append(f"{name}: {statuses} {reason[:200]}")
        elif statuses != {422} or not re.search(REFUSED[name], reason) or \
                reason.count("\n") != 1 or answers["manifest.mpd"].body.decode() != reason:
            wrong.append(f"{name}: {statuses} {reason[:200]!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_probe_gives_the_same_reason(serve, leat, name):
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not among the films here")
    reason = serve(DATA).get(f"/{name}/master.m3u8").body.decode().strip()
    probed = leat("probe", str(DATA / name))
    assert reason and reason in probed.stdout + probed.stderr


@pytest.mark.parametrize("name", streamed)
def test_its_streams_are_the_film(serve, folder, tmp_path, name):
    _, fetch = start(serve, folder, DATA / name)
    if name in NOT_FOR_FFMPEG:
        for stream in [Stream(part, fetch) for part in hls_streams(fetch)]:
            check_order(stream)
            check_playlist(stream)
        return
    costs = check_film(fetch, Source(DATA / name, SHOWN_LATE_S.get(name, 0)), tmp_path,
                       is_decoded=name not in TOO_LONG_TO_DECODE,
                       is_thorough=name not in LIES_ABOUT_KEYFRAMES)
    assert costs
