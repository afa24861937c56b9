# SPDX-License-Identifier: MIT
"""Clients of a proxy that vanish, finish early or never read; queues that are full and upstreams
that are not there; tunnels; and all of it at once. test_proxy_hostile.py is about what upstreams
say."""

import contextlib
import itertools
import pathlib
import random
import re
import socket
import threading
import time

import pytest

from conftest import await_true
from peer import Peer
from proxy_stage import BODY, CHUNKED, CHUNKS, EVIL, HASTY, MIB, PATIENT, WELL, at_once, staged
from proxy_tools import WAIT_S, Broken, Client, Origin, answer, answering, chunked

on_epoll = pytest.mark.mostly_on("epoll")


@pytest.fixture(scope="module", name="stage")
def patient_stage(tmp_path_factory, engine):
    yield from staged(PATIENT, tmp_path_factory.mktemp("patient"))


@pytest.fixture(scope="module", name="hasty")
def hasty_stage(tmp_path_factory, engine):
    yield from staged(HASTY, tmp_path_factory.mktemp("hasty"))


# --------------------------------------------------------------------------- clients that vanish

POST = b"POST /whole HTTP/1.1\r\nHost: mill\r\nContent-Length: 10\r\n\r\n" + BODY
POST_CHUNKS = (b"POST /whole HTTP/1.1\r\nHost: mill\r\nTransfer-Encoding: chunked\r\n\r\n"
               + chunked(BODY, 4, ["X-Sum: 45"]))


@pytest.mark.parametrize("ending", ["close", "reset", "half-close"])
@pytest.mark.parametrize("data", [POST, POST_CHUNKS], ids=["sized", "chunked"])
def test_clients_that_vanish_at_each_byte_of_a_request(stage, data, ending):
    """What was not whole never becomes whole on its way."""
    origin = stage.play(WELL)
    for cut in range(len(data)):
        client = stage.client()
        client.send(data[:cut])
        if ending == "reset":
            client.reset()
            continue
        if ending == "half-close":
            client.finish()
            with contextlib.suppress(Broken):
                assert not client.box.rest().startswith(b"HTTP/1.1 200")
        client.socket.close()
    with stage.client() as client:
        client.send(data)
        assert client.final("POST").body == b"/whole"
    assert [request.body for request in origin.requests] == [BODY]
    assert stage.is_well()


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
def test_clients_that_vanish_within_a_large_body(stage, is_chunked):
    """What goes from socket to socket within the kernel, too, is not taken for whole."""
    body, moods = random.Random(29).randbytes(500_000), random.Random(31)
    origin = stage.play(WELL)
    data = chunked(body, 70_000) if is_chunked else body
    fields = ["Transfer-Encoding: chunked"] if is_chunked else [f"Content-Length: {len(body)}"]
    for index in range(40):
        client = stage.client()
        client.ask("/", "POST", fields)
        client.send(data[:moods.choice([len(data) - 1, moods.randrange(len(data))])])
        if index % 2:
            client.reset()
        else:
            client.socket.close()
    with stage.client() as client:
        client.ask("/", "POST", fields)
        client.send(data)
        assert client.final().status == 200
    assert [request.body for request in origin.requests] == [body]
    assert stage.is_well()


def test_clients_that_stall_are_not_their_upstreams_fault(proxy):
    """Within a request's body: nobody else is told that the upstream is broken."""
    with Origin(WELL) as origin:
        server = proxy("--threads", "1", "--answer-timeout-ms", "300", "--read-timeout-ms", "300",
                       "--max-failures", "2", origin.url)
        stalled = [Client(server.address) for _ in range(8)]
        for index, client in enumerate(stalled):
            client.ask("/", "POST", ["Content-Length: 100000"])
            client.send(bytes(index * 10_000))
        time.sleep(1)
        with Client(server.address) as client:
            for _ in range(5):
                assert client.fetch("/fine").body == b"/fine"
        for index, client in enumerate(stalled):
            client.send(bytes(100_000 - index * 10_000))
            assert client.final().status == 200
            client.socket.close()


def circuits_opened(server):
    port = int(re.search(r"admin on http://127.0.0.1:(\d+)", server.stderr())[1])
    with Client(("127.0.0.1", port)) as client:
        page = client.fetch("/metrics").body.decode()
    return sum(map(int, re.findall(r"leat_upstream_circuits_opened_total\{.*\} (\d+)", page)))


@on_epoll
@pytest.mark.parametrize("is_chunked", [False, pytest.param(True, marks=pytest.mark.long)],
                         ids=["sized", "chunked"])
def test_clients_that_read_too_slowly_are_not_their_upstreams_fault(proxy, is_chunked):
    """An upstream may lose patience with who takes nothing, and that is no failure of it."""
    body, impatient = bytes(24 * MIB), []

    def script(call):
        while (request := call.request()) is not None:
            if request.target == "/fine":
                call.send(answer(b"/fine"))
                continue
            call.stream.settimeout(0.3)
            try:
                call.send(CHUNKED + chunked(body, 100_000) if is_chunked else answer(body))
            except TimeoutError:
                call.reset()
                impatient.append(call)
                return
    with Origin(script) as origin:
        server = proxy("--threads", "1", "--max-failures", "2", "--admin", "127.0.0.1:0",
                       origin.url)
        server.expect_on_stderr("leat proxy: admin on ")
        slow = [Client(server.address, receive_buffer=4096) for _ in range(6)]
        for client in slow:
            client.ask("/slow")
        await_true(lambda: len(impatient) == len(slow))
        time.sleep(1.2)
        ends = at_once(lambda index: slow[index].final(), len(slow))
        assert all(isinstance(end, Broken) for end in ends), ends
        assert circuits_opened(server) == 0
        with Client(server.address) as client:
            assert client.fetch("/fine").body == b"/fine"
        for client in slow:
            client.socket.close()


@pytest.mark.parametrize("size", [200, 3 * MIB])
def test_clients_that_vanish_while_they_read(stage, size):
    origin = stage.play(answering(lambda request: answer(bytes(size))))
    moods = random.Random(5)
    for cut in range(0, 236, 2):
        client = stage.client(receive_buffer=4096)
        client.ask("/")
        left = cut if size < MIB else moods.randrange(size // 8)
        while left and (piece := client.socket.recv(min(left, 1 << 16))):
            left -= len(piece)
        if cut % 4:
            client.reset()
        else:
            client.socket.close()
    assert not origin.failures
    assert stage.is_well()
    stage.server.await_connections(20)  # of the pool


def test_an_upstream_hears_that_its_client_has_gone(stage):
    """By a reset: who has only finished sending may still want to hear."""
    gone = threading.Event()

    def script(call):
        if call.request() is not None:
            call.await_end()
            gone.set()
    origin = stage.play(script)
    client = stage.client()
    client.ask("/")
    await_true(lambda: origin.requests)
    client.reset()
    assert gone.wait(5)
    assert stage.is_well()


@pytest.mark.parametrize("name", ["sized", "chunked", "large"])
def test_a_client_that_has_finished_sending_gets_its_answer(stage, name):
    """A half-closed connection: RFC 9112, 9.6, and many a netcat."""
    body = BODY if name != "large" else random.Random(3).randbytes(4 * MIB)

    def script(call):
        if call.request() is not None:
            time.sleep(0.1)
            call.send(CHUNKED + CHUNKS if name == "chunked" else answer(body))
    stage.play(script)
    with stage.client() as client:
        client.ask("/")
        client.finish()
        reply = client.final()
        assert reply.body == body
        assert client.ends()
    assert stage.is_well()


def anonymous_kib(server):
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1])


def kernel_room():
    """What two connections may hold at most, and a pipe."""
    settings = pathlib.Path("/proc/sys/net/ipv4")
    most = [int((settings / name).read_text().split()[2]) for name in ("tcp_rmem", "tcp_wmem")]
    return 2 * sum(most) + MIB


def test_clients_that_never_read(stage):
    """Nothing is taken of the upstream that the client has not taken: what waits, waits in the
    kernel's buffers of the two connections."""
    clients, sent = 12, []
    piece = bytes(65536)

    def script(call):
        if call.request() is None:
            return
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        sent.append(0)
        index = len(sent) - 1
        while True:
            call.send(piece)
            sent[index] += len(piece)
    stage.play(WELL)
    at_once(lambda _: stage.fetch("/warm"), clients)
    before = anonymous_kib(stage.server)
    stage.play(script)
    idle = [stage.client(receive_buffer=4096) for _ in range(clients)]
    for client in idle:
        client.ask("/")
    await_true(lambda: len(sent) == clients)
    seen = []
    await_true(lambda: seen.append(sum(sent)) or time.sleep(0.2) or seen[-1] == sum(sent))
    assert max(sent) < kernel_room()
    assert anonymous_kib(stage.server) - before < clients * 64 + 512
    for client in idle:
        client.reset()
    assert stage.is_well()


def test_an_upstream_that_never_reads(stage):
    """… nor of the client more than the upstream takes."""
    def script(call):
        call.head()
        time.sleep(3)
    stage.play(script)
    sent = 0
    with stage.client(timeout_s=1) as client:
        client.ask("/", "POST", [f"Content-Length: {1 << 30}"])
        with contextlib.suppress(TimeoutError):
            while sent < 1 << 30:
                client.send(bytes(65536))
                sent += 65536
    assert sent < kernel_room()
    assert stage.is_well()


def test_a_slow_reader_gets_all_of_it(stage):
    body = random.Random(9).randbytes(4 * MIB)
    stage.play(answering(lambda request: answer(body)))
    with stage.client(receive_buffer=4096) as client:
        client.ask("/")
        time.sleep(0.2)
        assert client.final().body == body


# ------------------------------------------------------------------- requests behind one another

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: mill\r\n\r\n"


def refusing(call):
    """Answers each request by its head alone; what its body says is of no interest."""
    while (request := call.head()) is not None:
        call.requests.append(request)
        if request.target != "/wait":
            call.send(answer(b"no", status="403 Forbidden"))
        if request.method == "POST":
            call.await_end()
            return


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("who", ["refuses", "is-dead", "is-busy"])
def test_a_body_that_nobody_read_is_never_a_request(proxy, who, is_chunked):
    """Whoever answers before the body was read: what is left of it is dropped, or its connection
    is."""
    body = SMUGGLED * 2000
    fields = ["Transfer-Encoding: chunked"] if is_chunked else [f"Content-Length: {len(body)}"]
    with Origin(refusing) as origin:
        flags = ["--max-upstream-connections", "1", "--queue-timeout-ms", "100"]
        server = proxy(*flags, "--max-failures", "1000000", origin.url)
        with Client(server.address) as blocker, Client(server.address) as client:
            if who == "is-busy":
                blocker.ask("/wait", "POST", ["Content-Length: 1"])
                await_true(lambda: origin.requests)
            elif who == "is-dead":
                origin.stop()
            statuses = []
            client.ask("/", "POST", fields)
            with contextlib.suppress(Broken, ConnectionError):
                for piece in (body[:5000], body[5000:]):
                    client.send(chunked(piece, 900)[:-5] if is_chunked else piece)
                    time.sleep(0.02)
                client.send(b"0\r\n\r\n" if is_chunked else b"")
                client.ask("/last", fields=["Connection: close"])
                while not client.ends():
                    statuses.append(client.final().status)
        expected = {"refuses": {403}, "is-dead": {502, 503}, "is-busy": {503}}[who]
        assert set(statuses) <= expected and len(statuses) <= 2, statuses
        assert not [request for request in origin.requests if request.target == "/smuggled"]


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
@pytest.mark.parametrize("size", [10, 20_000, 500_000])
def test_what_follows_a_body_is_the_next_request(stage, size, is_chunked):
    """To the byte, also when the body goes from socket to socket, and each in one piece."""
    body = random.Random(size).randbytes(size)
    data = chunked(body, 70_000) if is_chunked else body
    field = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    origin = stage.play(WELL)
    with stage.client() as client:
        sent = b"".join(f"PUT /{index} HTTP/1.1\r\nHost: mill\r\n{field}\r\n\r\n".encode() + data
                        for index in range(8))
        sender = threading.Thread(target=client.send, args=(sent,))
        sender.start()
        assert [client.final().body for _ in range(8)] == [b"/%d" % n for n in range(8)]
        sender.join()
    assert [request.body for request in origin.requests] == [body] * 8


def test_a_switch_before_the_body_has_come(stage):
    """A strange wish, granted early: it ends, one way or the other."""
    def script(call):
        request = call.head()
        if request is not None and request.get("Upgrade"):
            call.send(SWITCHED + b"early")
            call.await_end()
    stage.play(script)
    with stage.client() as client:
        client.ask("/", "POST", [*UPGRADE, "Content-Length: 100000"])
        with contextlib.suppress(Broken, ConnectionError):
            reply = client.final()
            assert reply.status in (101, 400, 502)
            client.send(bytes(100_000))
            client.finish()
            client.box.rest()
    assert stage.is_well()


# -------------------------------------------------------------------------- limits, queues, names


def test_beyond_the_queue_the_newcomer_is_told(proxy):
    """One connection, one place in the line: the third hears 503 and when to come again."""
    go = threading.Event()

    def script(call):
        while (request := call.request()) is not None:
            go.wait(10)
            call.send(answer(request.target.encode()))
    with Origin(script) as origin:
        server = proxy("--max-upstream-connections", "1", "--max-queue", "1", origin.url)
        with Client(server.address) as first, Client(server.address) as second:
            first.ask("/first")
            await_true(lambda: origin.requests)
            second.ask("/second")
            time.sleep(0.2)
            with Client(server.address) as third:
                start = time.monotonic()
                reply = third.fetch("/third")
                assert reply.status == 503 and int(reply.get("Retry-After")) >= 0
                assert time.monotonic() - start < 2
                go.set()
                assert first.final().body == b"/first"
                assert second.final().body == b"/second"
                assert third.fetch("/again").body == b"/again"
        assert origin.accepted == 1


def test_no_descriptors_left(proxy):
    """Who cannot be passed on is told so; when there are some again, all is well."""
    go = threading.Event()

    def script(call):
        while (request := call.request()) is not None:
            go.wait(10)
            call.send(answer(request.target.encode()))
    with Origin(script) as origin:
        server = proxy("--threads", "1", "--max-failures", "1000000", origin.url,
                       prefix=("prlimit", "--nofile=64"))
        clients = [Client(server.address) for _ in range(30)]
        for client in clients:
            client.ask("/wait")
        time.sleep(0.3)
        go.set()
        found = at_once(lambda index: clients[index].final().status, len(clients))
        statuses = [status for status in found if isinstance(status, int)]
        assert set(statuses) <= {200, 502, 503} and 200 in statuses, found
        for client in clients:
            client.socket.close()

        def is_well():
            with contextlib.suppress(Broken, ConnectionError), Client(server.address) as client:
                return client.fetch("/well").body == b"/well"
        await_true(is_well)


@on_epoll
def test_who_has_waited_too_long_in_the_line_is_told(proxy):
    go = threading.Event()

    def script(call):
        while (request := call.request()) is not None:
            go.wait(10)
            call.send(answer(request.target.encode()))
    with Origin(script) as origin:
        server = proxy("--max-upstream-connections", "1", "--queue-timeout-ms", "300", origin.url)
        with Client(server.address) as first:
            first.ask("/first")
            await_true(lambda: origin.requests)
            with Client(server.address) as second:
                reply = second.fetch("/second")
                assert reply.status == 503 and int(reply.get("Retry-After")) >= 0
            go.set()
            assert first.final().body == b"/first"


def unused_port():
    """Of nobody: a connection to it is refused as long as the socket lives."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, holder.getsockname()[1]


@on_epoll
def test_nobody_there_and_back_again(proxy):
    """Refused is 502; after some in a row the circuit is open and says when to come again; who is
    back is found again."""
    holder, port = unused_port()
    server = proxy(f"http://127.0.0.1:{port}")
    with Client(server.address) as client:
        assert client.fetch().status == 502
        statuses = [client.fetch() for _ in range(12)]
        assert {reply.status for reply in statuses} <= {502, 503}
        for reply in statuses:
            assert reply.status == 502 or int(reply.get("Retry-After")) >= 0
        holder.listen(16)
        threading.Thread(target=accept_well, args=(holder,), daemon=True).start()
        await_true(lambda: client.fetch("/back").body == b"/back")
    server.stop()
    holder.close()


def accept_well(listener):
    """Answers one request at a time, until the listener is closed."""
    with contextlib.suppress(OSError):
        while True:
            stream = listener.accept()[0]
            stream.recv(65536)
            stream.sendall(answer(b"/back", "Connection: close"))
            stream.close()


@on_epoll
def test_an_upstream_that_accepts_nobody(proxy):
    """Its backlog is full: SYNs are dropped, and connecting takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        server = proxy("--connect-timeout-ms", "300",
                       f"http://127.0.0.1:{listener.getsockname()[1]}")
        start = time.monotonic()
        with Client(server.address) as client:
            assert client.fetch().status in (502, 503, 504)
        assert time.monotonic() - start < 5
        server.stop()
        for filler in fillers:
            filler.close()


def test_a_unix_socket_that_accepts_nobody(proxy, tmp_path):
    """connect(2) says EAGAIN there, and nothing tells when to try again: but soon there is room."""
    path = tmp_path / "origin.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        fillers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(str(path))
        server = proxy("--connect-timeout-ms", "300", f"http://unix:{path}")
        start = time.monotonic()
        with Client(server.address) as client:
            assert client.fetch().status in (502, 503, 504)
        assert time.monotonic() - start < 5
        server.stop()
        for filler in fillers:
            filler.close()


def test_a_unix_socket_without_anybody(proxy, tmp_path):
    path = tmp_path / "origin.sock"
    server = proxy(f"http://unix:{path}")
    with Client(server.address) as client:
        assert client.fetch().status in (502, 503)
        with Origin(WELL, path):
            await_true(lambda: client.fetch("/there").body == b"/there")
        await_true(lambda: client.fetch("/gone").status in (502, 503))


@on_epoll
def test_a_name_that_is_nobodys(proxy):
    """.invalid never exists (RFC 6761, section 6.4)."""
    server = proxy("http://no-such-host.invalid:8080")
    with Client(server.address, timeout_s=20) as client:
        assert client.fetch().status in (502, 503, 504)


def test_one_of_two_that_is_dead_is_not_noticed(proxy):
    holder, port = unused_port()
    with Origin(WELL) as origin:
        server = proxy(f"http://127.0.0.1:{port}", origin.url)
        with Client(server.address) as client:
            for index in range(100):
                assert client.fetch(f"/{index}").body == f"/{index}".encode()
        server.stop()
    holder.close()


# -------------------------------------------------------------------------------------- upgrades

UPGRADE = ["Connection: Upgrade", "Upgrade: mill"]
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mill\r\n\r\n"


def tunnel(call, request):
    """Echoes what comes until the other side has finished."""
    if request.get("Upgrade") != "mill":
        call.send(answer(b"no upgrade"))
        return
    call.send(SWITCHED + bytes(call.box.data))
    call.box.data.clear()
    while call.box.more():
        call.send(bytes(call.box.data))
        call.box.data.clear()


def echo_tunnel(call):
    request = call.request()
    if request is not None:
        tunnel(call, request)


def test_a_tunnel_carries_bytes_both_ways_at_once(stage):
    data = random.Random(13).randbytes(4 * MIB)
    stage.play(echo_tunnel)
    with stage.client() as client:
        client.ask("/", fields=UPGRADE)
        reply = client.final()
        assert reply.status == 101 and reply.get("Upgrade") == "mill"
        start = time.monotonic()
        sender = threading.Thread(target=lambda: (client.send(data), client.finish()))
        sender.start()
        assert client.box.rest() == data
        sender.join()
        assert time.monotonic() - start < WAIT_S / 2, "the upstream gave up: it heard of no end"
    assert stage.is_well()


@on_epoll
def test_a_tunnel_that_is_idle_ends_and_one_that_is_not_does_not(proxy):
    with Origin(echo_tunnel) as origin:
        server = proxy("--tunnel-idle-timeout-ms", "300", origin.url)
        with Client(server.address) as client, Client(server.address) as idle:
            for peer in (client, idle):
                peer.ask("/", fields=UPGRADE)
                assert peer.final().status == 101
            start = time.monotonic()
            while time.monotonic() - start < 1:
                client.send(b"still here")
                assert client.box.take(10) == b"still here"
                time.sleep(0.02)
            idle.socket.settimeout(0.1)
            with contextlib.suppress(Broken):
                assert idle.ends()


def test_bytes_before_the_switch_wait_for_it(stage):
    stage.play(echo_tunnel)
    with stage.client() as client:
        client.ask("/", fields=UPGRADE)
        client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.final().status == 101
        assert client.box.take(21) == b"GET /smuggled HTTP/1."
    assert [request.target for request in stage.origin.requests] == ["/"]
    assert stage.is_well()


def test_an_upgrade_that_is_not_granted_is_an_ordinary_answer(stage):
    stage.play(WELL)
    with stage.client() as client:
        for index in range(3):
            assert client.fetch(f"/{index}", fields=UPGRADE).body == f"/{index}".encode()


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_tunnel_ends_with_a_reset_of_either_side(stage, who):
    over = threading.Event()

    def script(call):
        if call.request() is None:
            return
        call.send(SWITCHED + b"hello")
        if who == "upstream":
            call.stream.recv(2)
            call.reset()
        call.await_end()
        over.set()
    stage.play(script)
    with stage.client() as client:
        client.ask("/", fields=UPGRADE)
        assert client.final().status == 101
        assert client.box.take(5) == b"hello"
        client.send(b"ok")
        if who == "client":
            client.reset()
        else:
            with contextlib.suppress(Broken):
                assert client.box.rest() == b""
            return
    assert over.wait(5)
    assert stage.is_well()


# -------------------------------------------------------------------------------------- disorder


def moody_origin(moods):
    """Each answer is of its request, if it is one; each time in another of many ways."""
    def script(call):
        while (request := call.request()) is not None:
            name, mood = request.target.encode(), moods.randrange(14)
            body = name * moods.choice([1, 10, 1000, 20_000])
            sized = answer(body)
            spelled = CHUNKED + chunked(body, moods.choice([1000, 70_000, None]))
            if mood < 4:
                call.send(sized)
            elif mood < 7:
                call.send(spelled)
            elif mood == 7:
                call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + sized)
            elif mood == 8:
                call.send(sized + EVIL)
            elif mood == 9:
                call.send(moods.choice([sized, spelled])[:moods.randrange(len(body))])
                return
            elif mood == 10:
                call.send(spelled[:moods.randrange(len(spelled))])
                call.reset()
                return
            elif mood == 11:
                call.send(moods.randbytes(50))
                return
            elif mood == 12:
                call.send(b"HTTP/1.0 200 OK\r\n\r\n" + body)
                return
            else:
                call.send(sized)
                return
    return script


def moody_client(stage, names, until, moods, failures):
    while time.monotonic() < until:
        with stage.client(receive_buffer=moods.choice([None, 8192])) as client:
            try:
                for name in itertools.islice(names, moods.randint(1, 5)):
                    body = moods.choice([None, None, b"x" * 5000])
                    method = "GET" if body is None else "PUT"
                    if moods.randrange(8) == 0:
                        client.ask(f"/{name}/", method)
                        client.socket.recv(moods.randint(1, 20_000))
                        Peer.reset(client)
                        break
                    reply = client.fetch(f"/{name}/", method, body=body)
                    size = len(f"/{name}/")
                    if reply.status == 200 and (len(reply.body) % size or reply.body != (
                            f"/{name}/".encode() * (len(reply.body) // size))):
                        failures.append(f"{name}: {reply.body[:80]!r}")
                    if reply.status not in (200, 502, 503, 504):
                        failures.append(f"{name}: {reply.status}")
            except (Broken, ConnectionError):
                pass
            except Exception as error:  # pylint: disable=broad-exception-caught
                failures.append(repr(error))


@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.long)])
def test_nobody_ever_gets_the_answer_to_another_question(stage, seconds):
    """Upstreams and clients in all moods at once. An answer that is whole is of its request, or an
    honest error; `to the end` may be cut, which nobody can see, but not mixed."""
    stage.play(moody_origin(random.Random(17)))
    names, failures, until = itertools.count(1000), [], time.monotonic() + seconds
    at_once(lambda seed: moody_client(stage, names, until, random.Random(seed), failures), 8)
    assert not failures, failures[:5]
    assert next(names) > 1000 + 20 * seconds
    assert stage.is_well()
    stage.server.await_connections(40)
