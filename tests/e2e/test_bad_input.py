# SPDX-License-Identifier: MIT
"""Clients that are wrong, hostile, slow or gone: they get an answer or an end, and hurt nobody."""

import contextlib
import os
import resource
import select
import shutil
import socket
import subprocess
import time

import pytest

from conftest import LEAT, await_true
from peer import Peer

FILM = "/watercourse.mp4"
MIB = 1 << 20


def is_served(server, film):
    """Somebody else, in good order."""
    answer = server.get(FILM, fields=["Range: bytes=0-9"])
    return answer.body == film[:10]


def ends_within(peer, seconds):
    """Whether the server ends the connection in that time, without a word."""
    peer.socket.settimeout(seconds)
    try:
        return peer.socket.recv(1) == b""
    except TimeoutError:
        return False


# --------------------------------------------------------------------------------------- heads


HEADS = {
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "no-host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two-hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "bad-host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "space-before-colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "folded-line": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    "bare-lf": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "nul": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    "two-spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no-slash": (b"GET film HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "control-in-target": (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad-escape": (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "both-lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    "two-lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
                    400),
    "negative-length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400),
    "long-target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "long-field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431),
    "many-fields": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
    "endless-head": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000, 431),
    "gzip-coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    "gzip-then-chunked": (b"POST / HTTP/1.1\r\nHost: a\r\n"
                          b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http-3": (b"GET / HTTP/3.1\r\nHost: a\r\n\r\n", 505),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_answered(serve, media, film, name):
    head, status = HEADS[name]
    server = serve(media)
    with server.connect() as peer, server.connect() as other:
        peer.send(head)
        answer = peer.answer()
        assert answer.status == status, answer.body
        assert answer.body.startswith(str(status).encode())
        if name != "bad-escape":  # a path that is wrong does not make the framing doubtful
            assert answer.get("Connection") == "close"
            assert peer.rest() == b""
        assert other.get(FILM, fields=["Range: bytes=0-9"]).body == film[:10]


UPLOADS = {
    "malformed": b"nonsense\r\n\r\n",
    "too-long": b"GET / HTTP/1.1\r\nX: ",
    "upload": b"POST /watercourse.mp4 HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n",
    "chunked": b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("name", UPLOADS)
def test_an_error_can_be_read_while_the_client_still_sends(serve, media, name):
    """The answer must not be lost to a reset, which unread input provokes (RFC 9112, 9.6)."""
    with serve(media).connect() as peer:
        peer.send(UPLOADS[name])
        for _ in range(14):
            peer.send(b"x" * 65536)  # does not fail: it is read away
            time.sleep(0.002)
        answer = peer.answer()
        assert answer.status in (400, 405, 431)
        assert peer.rest() == b""
        peer.finish()


def test_a_client_that_never_stops_sending_is_cut(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        peer.send(b"nonsense\r\n\r\n")
        start = time.monotonic()
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while time.monotonic() - start < 10:
                peer.send(b"x" * MIB)
        assert time.monotonic() - start < 5
        assert is_served(server, film)


# ----------------------------------------------------------------------------------- traversal


@pytest.fixture
def house(folder):
    """A folder beside a secret, with links that lead around and out."""
    secret = folder.parent / "secret.txt"
    secret.write_text("secret")
    (folder / "deep").mkdir()
    (folder / "deep" / "film.mp4").write_text("film")
    (folder / "inner").symlink_to("deep/film.mp4")
    (folder / "inner-folder").symlink_to("deep")
    (folder / "deep" / "up").symlink_to("../deep/film.mp4")
    (folder / "outer").symlink_to("../secret.txt")
    (folder / "outer-folder").symlink_to("..")
    (folder / "absolute").symlink_to(secret)
    (folder / "root").symlink_to("/")
    (folder / "around").symlink_to("../films/deep/film.mp4")
    (folder / "round").symlink_to("round")
    (folder / "proc").symlink_to("/proc/self/root")
    return folder


OUT = """
/../secret.txt /deep/../../secret.txt /./../secret.txt /deep/./.././../secret.txt
/%2e%2e/secret.txt /%2E%2E/secret.txt /.%2e/secret.txt /%2e./secret.txt
/..%2fsecret.txt /..%2Fsecret.txt /%2e%2e%2fsecret.txt /deep%2f..%2f..%2fsecret.txt
/%2f../secret.txt
/%2f..%2f../secret.txt //../secret.txt ///../../secret.txt /deep//..//..//secret.txt
/..\\secret.txt /..%5csecret.txt /%5c..%5csecret.txt /%2e%2e%5csecret.txt
/%c0%ae%c0%ae/secret.txt /%c0%ae%c0%ae%c0%afsecret.txt /..%c0%afsecret.txt
/%e0%80%ae%e0%80%ae/secret.txt
/%252e%252e/secret.txt /..%252fsecret.txt /..;/secret.txt /...//secret.txt /.../secret.txt
/etc/passwd //etc/passwd /%2fetc/passwd /%2f%2fetc/passwd /../../../../../../../../etc/passwd
/outer /outer-folder/secret.txt /absolute /root/etc/passwd /proc/etc/passwd /around /round
/deep/film.mp4/../../../secret.txt /deep/film.mp4/. /deep/film.mp4/ /nowhere/../../secret.txt
http://mill/../secret.txt http://mill/%2e%2e/secret.txt
/secret.txt%00.mp4 /%00 /deep/film.mp4%00 /../secret.txt%00 /..%00/secret.txt
""".split()


def test_nothing_leads_out(serve, house):
    server = serve(house)
    server.expect_on_stderr("leat serve: refused '")
    with server.connect() as peer:
        for target in OUT:
            answer = peer.get(target)
            assert answer.status in ((400, 404) if "%00" in target else (404,)), target
            assert b"secret" not in answer.body and b"root:" not in answer.body, target
        assert peer.get("/deep/film.mp4").body == b"film"
        assert peer.get("/deep/../deep/./film.mp4").body == b"film"
        # Links that stay inside are the operator's own.
        for target in ("/inner", "/inner-folder/film.mp4", "/deep/up"):
            assert peer.get(target).body == b"film", target


def test_a_page_does_not_lead_out_either(serve, house):
    server = serve(house)
    server.expect_on_stderr("leat serve: refused '")
    with server.connect() as peer:
        for target in ("/..", "/../", "/deep/../..", "/outer-folder/", "/outer-folder", "/root/",
                       "/%2e%2e/", "/.%2e"):
            answer = peer.get(target)
            assert answer.status == 404, target
            assert b"secret" not in answer.body


# ------------------------------------------------------------------------------------- slowness


def test_a_head_that_trickles_in_is_late(serve, media, film):
    server = serve(media, "--head-timeout-ms", "400")
    with server.connect() as peer:
        start = time.monotonic()
        for byte in b"GET /" + b"a" * 100:  # a byte now and then does not buy time
            peer.send(bytes([byte]))
            if select.select([peer.socket], [], [], 0.04)[0]:
                break
        else:
            pytest.fail("it is still waiting")
        assert time.monotonic() - start > 0.3
        answer = peer.answer()
        assert answer.status == 408 and answer.get("Connection") == "close"
        assert peer.rest() == b""
        assert is_served(server, film)


def test_an_idle_connection_is_closed(serve, media, film):
    server = serve(media, "--idle-timeout-ms", "300")
    with server.connect() as fresh, server.connect() as used:
        assert used.get(FILM).body == film
        assert ends_within(fresh, 10)
        assert ends_within(used, 10)


def test_who_reads_nothing_is_cut_and_hurts_nobody(serve, folder):
    with open(folder / "big.mkv", "wb") as big:
        big.truncate(64 * MIB)
    (folder / "small").write_text("small")
    server = serve(folder, "--send-timeout-ms", "700", "--threads", "1")
    with server.connect(receive_buffer=8192) as deaf:
        deaf.ask("/big.mkv")
        start = time.monotonic()
        worst_s = 0
        while time.monotonic() - start < 1.5:
            begin = time.monotonic()
            assert server.get("/small").body == b"small"
            worst_s = max(worst_s, time.monotonic() - begin)
            time.sleep(0.01)
        assert worst_s < 0.5
        server.await_connections(0)
        head = deaf.head()
        with contextlib.suppress(ConnectionError):
            deaf.rest()
        assert head.length == 64 * MIB and len(deaf.inbox) < head.length


def test_who_reads_slowly_but_steadily_is_not_cut(serve, folder):
    """A steady 200 KB/s, though the server's send buffer holds seconds of it."""
    with open(folder / "big.mkv", "wb") as big:
        big.truncate(64 * MIB)
    server = serve(folder, "--send-timeout-ms", "500", "--so-sndbuf", "2m")
    with server.connect(receive_buffer=32768) as slow:
        slow.ask("/big.mkv")
        for _ in range(150):
            assert slow.socket.recv(4000) != b"", "cut, although it reads"
            time.sleep(0.02)
        # (What the kernel had taken would come even after a cut.)
        assert server.connections() == 1, "cut, although it reads"
    assert server.cpu_s() < 1, "it spins while the socket is full"


# -------------------------------------------------------------------------------------- the gone


def test_clients_that_vanish_leave_nothing(serve, media, film):
    server = serve(media, "--threads", "1")
    heads = [b"", b"GET", f"GET {FILM} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
             f"GET {FILM} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 20, b"bad\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
    for head in heads:
        for delay_s in (0, 0.0005, 0.002, 0.01):
            for reads in (0, 1, 100_000):
                for vanish in (Peer.reset, lambda peer: peer.socket.close()):
                    peer = server.connect()
                    peer.send(head)
                    time.sleep(delay_s)
                    if reads and len(head) > 20:
                        peer.socket.recv(reads)
                    vanish(peer)
    server.await_connections(0)
    assert is_served(server, film)


def test_a_half_closed_client_gets_its_answers(serve, media, film):
    server = serve(media)
    with server.connect() as peer:
        peer.ask(FILM)
        peer.finish()
        assert peer.answer().body == film
        assert peer.rest() == b""
    with server.connect() as peer:
        peer.send(b"".join(f"GET {FILM} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for _ in range(5)))
        peer.finish()
        for _ in range(5):
            assert peer.answer().body == film
        assert peer.rest() == b""
    done = subprocess.run(["curl", "-sS", "--max-time", "5", "telnet://%s:%d" % server.address],
                          input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, check=False)
    assert b"200 OK" in done.stdout and b"</html>" in done.stdout


# ---------------------------------------------------------------------------------------- limits


def test_the_newcomer_is_told_when_all_places_are_taken(serve, media, film):
    server = serve(media, "--max-connections", "3", "--threads", "1")
    peers = [server.connect() for _ in range(3)]
    for peer in peers:
        assert peer.get(FILM).body == film
    with server.connect() as newcomer:
        answer = newcomer.get(FILM)
        assert answer.status == 503 and answer.get("Connection") == "close"
        assert newcomer.rest() == b""
    for peer in peers:  # those who were there are served on
        assert peer.get(FILM).body == film
    peers.pop().socket.close()
    await_true(lambda: is_served(server, film))
    for peer in peers:
        peer.socket.close()


def test_an_address_has_its_share(serve, media, film):
    server = serve(media, "--max-connections-per-address", "2", "--threads", "1")
    with server.connect() as one, server.connect() as two:
        assert one.get(FILM).body == film and two.get(FILM).body == film
        with server.connect() as third:
            assert third.get(FILM).status == 503
        elsewhere = socket.create_connection(server.address, source_address=("127.0.0.2", 0))
        with elsewhere:
            elsewhere.sendall(b"HEAD /" + FILM.lstrip("/").encode()
                              + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert elsewhere.recv(100).startswith(b"HTTP/1.1 200 ")
    await_true(lambda: is_served(server, film))


def test_requests_of_a_connection_are_counted(serve, media, film):
    server = serve(media, "--max-requests", "2")
    with server.connect() as peer:
        assert peer.get(FILM).get("Connection") is None
        last = peer.get(FILM)
        assert last.body == film and last.get("Connection") == "close"
        assert peer.rest() == b""


def test_heads_are_as_large_as_they_may_be(serve, media):
    server = serve(media, "--max-head-size", "1000")
    with server.connect() as peer:
        assert peer.get("/", fields=["X: " + "y" * 800]).status == 200
        assert peer.get("/", fields=["X: " + "y" * 1000]).status == 431


def test_who_reads_too_slowly_is_cut(serve, folder):
    (folder / "large").write_bytes(bytes(64 * MIB))
    server = serve(folder, "--send-timeout-ms", "500", "--min-send-rate", "1000000",
                   "--so-sndbuf", "64k")
    slow, fast = server.connect(), server.connect()
    for peer in (slow, fast):
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        peer.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    received = 0
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionError):
            received += len(slow.socket.recv(1000))
        for _ in range(8):
            assert fast.socket.recv(65536)
        time.sleep(0.02)
    slow.socket.settimeout(5)
    with contextlib.suppress(ConnectionError):  # what the kernel had still comes, or not
        while data := slow.socket.recv(65536):
            received += len(data)
    assert received < 16 * MIB
    assert fast.socket.recv(1000)
    slow.socket.close()
    fast.socket.close()


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        pytest.skip(f"needs {wanted} descriptors; the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_a_thousand_idle_connections_are_nothing(serve, media, film):
    raise_descriptor_limit(2048)
    server = serve(media)
    idle = [socket.create_connection(server.address) for _ in range(1000)]
    await_true(lambda: server.connections() == 1000)
    before = server.cpu_s()
    time.sleep(1)
    assert server.cpu_s() - before < 0.1
    for _ in range(20):
        assert is_served(server, film)
    for connection in idle:
        connection.close()


@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not installed")
def test_when_descriptors_run_out_accepting_pauses(serve, media, film):
    server = serve(media, "--threads", "1", prefix=["prlimit", "--nofile=64:64"])
    assert is_served(server, film)
    crowd = [server.connect() for _ in range(100)]  # the kernel's backlog takes what leat does not
    await_true(lambda: server.descriptors() >= 60)
    before = server.cpu_s()
    time.sleep(1)
    assert server.cpu_s() - before < 0.2, "it spins"
    # Who was accepted is served, or told that there are no descriptors left for the file.
    answer = crowd[0].get(FILM)
    assert answer.status in (200, 503)
    for peer in crowd:
        peer.socket.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        time.sleep(0.1)
        with server.connect() as peer:
            try:
                if peer.get(FILM).body == film:
                    break
            except (AssertionError, ConnectionError):
                continue
    else:
        pytest.fail("it does not recover")
    for _ in range(20):
        assert is_served(server, film)


def start_before_a_crowd(media, film, engine, core):
    """Starts a server with few descriptors and one core, on a socket at which 100 clients wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))
        address, descriptor = listener.getsockname(), listener.fileno()
        crowd = [stack.enter_context(Peer(address)) for _ in range(100)]
        script = (f'exec 3<&{descriptor}; LISTEN_FDS=1 LISTEN_PID=$$ '
                  'exec taskset -c "$1" prlimit --nofile=64:64 "${@:2}"')
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", core, LEAT, "serve", "--engine", engine, "--threads",
             "1", str(media)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=[descriptor])
        try:
            assert process.stdout.readline().startswith(b"listening on ")
            for peer in crowd:
                peer.socket.close()
            with Peer(address) as peer:
                assert peer.get(FILM, method="HEAD").length == len(film)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
            _, said = process.communicate()
        assert b"Too many open files" not in said


@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not installed")
def test_a_crowd_that_waits_already_takes_nothing_it_needs(media, film, engine):
    """What the server itself needs descriptors for it has before it accepts anybody. (Without
    that one start in four fails.)"""
    for _ in range(8):
        start_before_a_crowd(media, film, engine, str(min(os.sched_getaffinity(0))))
