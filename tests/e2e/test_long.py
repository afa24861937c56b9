# SPDX-License-Identifier: MIT
"""What only shows after a while, or in a crowd."""

import random
import resource
import socket
import threading
import time

import pytest

from peer import Peer

FILM = "/watercourse.mp4"
pytestmark = pytest.mark.long


def test_eight_thousand_idle_connections(serve, media, film):
    wanted = 8000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 1000:
        pytest.skip(f"needs {wanted + 1000} descriptors; the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 1000), hard))
    server = serve(media)
    idle = []
    try:
        for _ in range(wanted):
            idle.append(socket.create_connection(server.address))
        time.sleep(1)
        assert server.connections() >= wanted
        before = server.cpu_s()
        for _ in range(200):
            assert server.get(FILM, fields=["Range: bytes=0-9"]).body == film[:10]
        time.sleep(2)
        assert server.cpu_s() - before < 1
    finally:
        for connection in idle:
            connection.close()
    server.await_connections(0, 20)


def misbehave(server, film, until, seed, failures):
    """A client in a mood: each time another of the things that clients do."""
    moods = random.Random(seed)
    while time.monotonic() < until:
        try:
            with server.connect(receive_buffer=moods.choice([None, 8192])) as peer:
                for _ in range(moods.randint(0, 4)):
                    first = moods.randrange(len(film))
                    size = moods.choice([1, 100, 5000, 300_000])
                    answer = peer.get(FILM, fields=[f"Range: bytes={first}-{first + size - 1}"])
                    assert answer.body == film[first:first + size]
                ending = moods.randrange(6)
                if ending == 0:
                    peer.ask(FILM)
                    peer.socket.recv(moods.randint(1, 200_000))
                    Peer.reset(peer)
                elif ending == 1:
                    peer.send(moods.randbytes(moods.randint(1, 3000)))
                    peer.socket.recv(100)
                elif ending == 2:
                    peer.ask(FILM)
                    peer.finish()
                    assert peer.answer().body == film
                    assert peer.rest() == b""
                elif ending == 3:
                    peer.send(f"GET {FILM} HTTP/1.1\r\nHost: a\r\n"[:moods.randint(1, 40)])
                elif ending == 4:
                    peer.ask(FILM)
        except (ConnectionError, TimeoutError):
            failures.append("cut")  # only who misbehaves may be
        except AssertionError as error:
            failures.append(repr(error))


def test_half_a_minute_of_disorder(serve, media, film):
    server = serve(media, "--head-timeout-ms", "2000")
    until = time.monotonic() + 30
    failures = []
    threads = [threading.Thread(target=misbehave, args=(server, film, until, seed, failures))
               for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]
    server.await_connections(0)
    assert server.get(FILM).body == film
    assert server.descriptors() < 40
