# SPDX-License-Identifier: MIT
"""Live channels against those who mean no good: publishers whose media is none, and viewers who do
not read, ask for everything, or go. The server stays, and so does what others see."""

import re

import pytest

from conftest import await_true
from pushed_mp4 import Push, fragment, init, picture
from test_live import channels, get, index_of

pytestmark = pytest.mark.mostly_on("epoll")


def pictures(seconds, begin_s=0, size=1000, gop=50):
    """A fragment of 25 pictures a second; its times are milliseconds."""
    return fragment(int(begin_s * 1000), [picture(40, size, number % gop == 0)
                                     for number in range(int(seconds * 25))])


def last_whole(server, name="cam"):
    return int(re.findall(r"^(\d+)\.m4s", index_of(server, name=name), re.M)[-1])


@pytest.fixture
def server(serve, folder):
    return serve(folder, "--live", "on", "--threads", "1")


# ---- Viewers -------------------------------------------------------------------------------------

def test_a_channel_ends_twice_while_somebody_reads_slowly(server):
    """Who waits in the middle of a segment keeps what he waits at, whatever the channel does."""
    with Push(server) as push:
        push.send(init(), pictures(4.04))
        await_true(lambda: "cam" in channels(server))
        number = last_whole(server) + 1
        with server.connect(receive_buffer=4096) as viewer:
            viewer.ask(f"/live/cam/muxed/{number}.m4s")
            push.send(pictures(1, 4.04, 500_000, gop=10**6))
            assert viewer.more()
            assert push.end()[0] == 204
            for _ in range(3):
                with Push(server) as another:
                    another.send(init())
                    assert another.end()[0] == 204
                await_true(lambda: channels(server)["cam"]["state"] == "ended")
            while b"0\r\n\r\n" not in viewer.inbox[-5:]:
                viewer.inbox = viewer.inbox[-5:]
                assert viewer.more()
    assert get(server, "/live/cam/master.m3u8")[0] == 200
