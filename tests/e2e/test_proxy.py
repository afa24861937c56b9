# SPDX-License-Identifier: MIT
"""Real servers behind the proxy, real clients before it, and other proxies on either side: what
comes out is what went in. test_proxy_hostile.py is about those who misbehave."""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

import pytest

import proxy_origins as origins
from conftest import FILM, Server
from proxy_tools import Client, Origin, Steady, answer, answering, chunked

MIB = 1 << 20
SIZES = [0, 1, 1000, 70_000, MIB, MIB + 1]
on_uring = pytest.mark.mostly_on("uring")
on_epoll = pytest.mark.mostly_on("epoll")


class House:
    """A proxy before each of the servers; `counted` of them are asked at /counts."""

    def __init__(self, stack, work):
        self.folder, self.work, self.stack = work / "files", work, stack
        self.folder.mkdir()
        for size in SIZES:
            (self.folder / f"{size}.bin").write_bytes(origins.pattern(size))
        hour_ago = time.time() - 3600  # a date of this second would be no validator
        for path in self.folder.iterdir():
            os.utime(path, (hour_ago, hour_ago))
        self.nginx = self.before(stack.enter_context(origins.nginx(work / "n", self.folder)))
        self.node_url = stack.enter_context(origins.node())
        self.node = self.before(self.node_url)
        self.python = self.before(stack.enter_context(origins.python(self.folder)))

    def before(self, *words):
        number = len(list(self.work.glob("stderr-*")))
        server = Server(None, ("--threads", "2", *words), self.work / f"stderr-{number}",
                        command="proxy")
        self.stack.callback(server.stop)
        return server


@pytest.fixture(scope="module", name="house")
def three_proxies(tmp_path_factory, engine):
    with contextlib.ExitStack() as stack:
        yield House(stack, tmp_path_factory.mktemp("house"))


def client_of(server, **options):
    return Client(server.address, **options)


def fetch(server, *arguments, **options):
    with client_of(server) as client:
        return client.fetch(*arguments, **options)


def seen(reply):
    """What Node was asked: fields by name in lower case, each a list."""
    found = json.loads(reply.body)
    names = [name.lower() for name in found["fields"][::2]]
    found["by_name"] = {name: [value for key, value in zip(names, found["fields"][1::2])
                               if key == name] for name in names}
    return found


def curl(*words, **options):
    origins.need("curl")
    done = subprocess.run(["curl", "-sS", *[str(word) for word in words]], check=False, timeout=120,
                          stdin=subprocess.DEVNULL, capture_output=True, **options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def digest(data):
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------------------- bodies downward


KINDS = {
    "nginx": ("nginx", "/{}.bin"),
    "node-sized": ("node", "/body?size={}"),
    "node-chunked": ("node", "/body?size={}&as=chunks"),
    "node-to-the-end": ("node", "/body?size={}&as=end"),
    "python-sized": ("python", "/{}.bin"),
    "python-to-the-end": ("python", "/end?{}"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_come_as_they_are(house, kind):
    """All of them over one connection of the client as far as they say where they end."""
    name, target = KINDS[kind]
    with Steady(getattr(house, name).address) as client:
        for size in SIZES * 2:
            reply = client.fetch(target.format(size))
            assert reply.status == 200 and reply.body == origins.pattern(size), size
            assert reply.chunked or reply.get("Content-Length") or "to-the-end" in kind


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_http_1_0_get_them_without_chunks(house, kind):
    name, target = KINDS[kind]
    for size in (0, 70_000, MIB):
        reply = fetch(getattr(house, name), target.format(size), version="HTTP/1.0")
        assert reply.status == 200 and not reply.chunked and reply.body == origins.pattern(size)
    with client_of(house.nginx) as client:
        for _ in range(3):
            reply = client.fetch("/1000.bin", fields=["Connection: keep-alive"],
                                 version="HTTP/1.0")
            assert reply.body == origins.pattern(1000)


@on_epoll
@pytest.mark.parametrize("kind", KINDS)
def test_head_says_what_get_would_and_no_body(house, kind):
    name, target = KINDS[kind]
    if kind == "python-to-the-end":
        pytest.skip("it knows no HEAD of that")
    with Steady(getattr(house, name).address) as client:
        for size in (0, 1000, MIB):
            reply = client.fetch(target.format(size), "HEAD")
            assert reply.status == 200
            if kind in ("nginx", "python-sized", "node-sized"):
                assert reply.get("Content-Length") == str(size)
            assert client.fetch(target.format(1)).body == origins.pattern(1)


@on_epoll
def test_ranges_and_conditions_are_the_upstreams(house):
    data = origins.pattern(MIB)
    with client_of(house.nginx) as client:
        whole = client.fetch(f"/{MIB}.bin")
        tag, date = whole.get("ETag"), whole.get("Last-Modified")
        part = client.fetch(f"/{MIB}.bin", fields=["Range: bytes=1000-69999"])
        assert part.status == 206 and part.body == data[1000:70_000]
        assert part.get("Content-Range") == f"bytes 1000-69999/{MIB}"
        parts = client.fetch(f"/{MIB}.bin", fields=["Range: bytes=0-9,50-59"])
        assert parts.status == 206 and data[:10] in parts.body and data[50:60] in parts.body
        assert client.fetch(f"/{MIB}.bin", fields=[f"Range: bytes={MIB}-"]).status == 416
        for condition in (f"If-None-Match: {tag}", f"If-Modified-Since: {date}"):
            reply = client.fetch(f"/{MIB}.bin", fields=[condition])
            assert reply.status == 304 and reply.get("ETag") == tag
        moved = client.fetch(f"/{MIB}.bin", fields=["Range: bytes=0-9", 'If-Range: "other"'])
        assert moved.status == 200 and moved.body == data


# --------------------------------------------------------------------------------- bodies upward


@pytest.mark.parametrize("is_chunked", [False, True], ids=["sized", "chunked"])
def test_uploads_arrive_as_they_are(house, is_chunked):
    with client_of(house.node) as client:
        for size in SIZES * 2:
            body = origins.pattern(size)
            if is_chunked:
                client.ask("/seen", "POST", ["Transfer-Encoding: chunked"])
                client.send(chunked(body, 9000))
                found = seen(client.final("POST"))
            else:
                found = seen(client.fetch("/seen", "PUT", body=body))
            assert (found["size"], found["digest"]) == (size, digest(body))


def test_uploads_come_back_while_they_are_sent(house):
    """16 MiB up and down at once, by curl, with and without a length."""
    path = house.work / "upload"
    path.write_bytes(random.Random(1).randbytes(16 * MIB))
    for flags in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
        found = curl(*flags, "-T", path, f"{house.node.url}/echo")
        assert digest(found) == digest(path.read_bytes()), flags


def test_files_are_put_with_nginx(house):
    path = house.work / "put"
    path.write_bytes(random.Random(2).randbytes(5 * MIB))
    curl("-f", "-T", path, f"{house.nginx.url}/put/new.bin")
    assert (house.folder / "new.bin").read_bytes() == path.read_bytes()
    assert fetch(house.nginx, "/new.bin").body == path.read_bytes()


def test_a_body_waits_for_its_100(house):
    """curl waits a minute for it; who is refused has not sent a byte (RFC 9110, 10.1.1)."""
    path = house.work / "expected"
    path.write_bytes(bytes(3 * MIB))
    start = time.monotonic()
    flags = ("-H", "Expect: 100-continue", "--expect100-timeout", "60", "-T", path)
    said = curl(*flags, "-w", "%{size_upload} %{http_code}", f"{house.node.url}/refused")
    assert said == b"no0 403"
    said = curl(*flags, "-D", house.work / "head", f"{house.node.url}/seen")
    assert json.loads(said)["size"] == 3 * MIB
    assert (house.work / "head").read_bytes().count(b"HTTP/1.1 100 Continue") == 1
    assert time.monotonic() - start < 20, "it waited for 100 in vain"


# ------------------------------------------------------------------------ heads, hints, trailers


def test_what_node_sees_of_a_request(house):
    fields = ["X-Mine: kept", "Connection: X-Gone", "X-Gone: 1", "Keep-Alive: timeout=5",
              "Accept: text/html, */*;q=0.5", "Cookie: a=b", "Cookie: c=d"]
    found = seen(fetch(house.node, "/seen?a=%20b&c", fields=fields))
    assert (found["method"], found["url"], found["version"]) == ("GET", "/seen?a=%20b&c", "1.1")
    names = found["by_name"]
    assert names["x-mine"] == ["kept"] and names["cookie"] == ["a=b", "c=d"]
    assert not {"x-gone", "keep-alive"} & names.keys()
    assert names["x-forwarded-for"] == ["127.0.0.1"]
    assert len(names["host"]) == 1
    assert re.search(r"\b1\.1 ", names["via"][0])


def test_hints_come_before_the_answer(house):
    reply = fetch(house.node, "/hints")
    assert [hint.status for hint in reply.interim] == [103]
    assert "/style.css" in reply.interim[0].get("Link")
    assert reply.body == b"after the hints"


def test_trailers_both_ways(house):
    with client_of(house.node) as client:
        reply = client.fetch("/trailer", fields=["TE: trailers"])
        assert reply.body == b"summed up" and reply.trailer == [("x-sum", "9")]
        client.ask("/seen", "POST", ["Transfer-Encoding: chunked", "Trailer: X-Sum"])
        client.send(chunked(b"summed up", 4, ["X-Sum: 9"]))
        found = seen(client.final("POST"))
        assert found["size"] == 9 and [word.lower() for word in found["trailer"]] == ["x-sum", "9"]


def test_an_event_is_not_held_back(house):
    """The first event arrives although the second is sent only when it has."""
    with client_of(house.node) as listener:
        listener.ask("/events")
        head = listener.next_head()
        assert head.get("Content-Type") == "text/event-stream"
        while b"data: first\n\n" not in listener.box.data:
            assert listener.box.more()
        assert fetch(house.node, "/next").body == b"sent"
        assert listener.box.chunks()[0] == b"data: first\n\ndata: next\n\n"


def test_pipelined_answers_come_in_order(house):
    targets = ["/body?size=1000", "/body?size=70000&as=chunks", "/seen", "/body?size=5"] * 5
    with client_of(house.node) as client:
        for target in targets:
            client.ask(target)
        for target in targets:
            reply = client.final()
            size = re.search(r"size=(\d+)", target)
            if size:
                assert reply.body == origins.pattern(int(size[1]))
            else:
                assert json.loads(reply.body)["url"] == "/seen"


# ----------------------------------------------------------------------- connections to upstreams


def counts(server):
    return json.loads(fetch(server, "/counts").body)["connections"]


def test_connections_are_used_again(proxy):
    with origins.node() as url:
        server = proxy("--threads", "1", url)
        with client_of(server) as client:
            for _ in range(200):
                assert client.fetch("/body?size=1000").status == 200
        for _ in range(50):
            assert fetch(server, "/body?size=1000&as=chunks").status == 200
        assert counts(server) == 1


@on_epoll
def test_upstreams_that_close_what_is_idle(proxy):
    """Node closes what was idle for as long as the next request may take to come."""
    with origins.node(keep_alive_ms=15) as url:
        server = proxy(url)
        moods = random.Random(4)
        with client_of(server) as client:
            for _ in range(60):
                assert client.fetch("/body?size=1000").status == 200
                time.sleep(moods.uniform(0.010, 0.022))


def test_a_unix_socket(proxy, tmp_path):
    with origins.node(tmp_path / "node.sock") as url:
        server = proxy(url)
        body = origins.pattern(MIB)
        with client_of(server) as client:
            for _ in range(3):
                assert client.fetch(f"/body?size={MIB}").body == body
                assert seen(client.fetch("/seen", "POST", body=body))["digest"] == digest(body)


def test_a_name(proxy):
    with origins.node() as url:
        server = proxy(url.replace("127.0.0.1", "localhost"))
        assert fetch(server, "/body?size=1000").body == origins.pattern(1000)


@on_epoll
@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="this host has no IPv6")
def test_an_address_of_ipv6(proxy):
    with Origin(answering(lambda request: answer(request.get("Host").encode())),
                host="::1") as origin:
        assert fetch(proxy(origin.url), "/").body == f"[::1]:{origin.port}".encode()


@on_epoll
@pytest.mark.parametrize("way", ["path", "field:X-User"])
def test_the_same_upstream_for_the_same_key(proxy, way):
    """When one of four has gone, who was not its stays where it was."""
    with contextlib.ExitStack() as stack:
        names = [b"a", b"b", b"c", b"d"]
        members = [stack.enter_context(Origin(answering(lambda request, name=name: answer(name))))
                   for name in names]
        server = proxy("--balance", way, "--max-failures", "1", *[who.url for who in members])

        def whose(client, key):
            target, fields = (key, []) if way == "path" else ("/", [f"X-User: {key}"])
            return client.fetch(target, fields=fields).body
        with client_of(server) as client:
            keys = [f"/{index}" for index in range(60)]
            first = [whose(client, key) for key in keys]
            assert set(first) == set(names)
            assert [whose(client, key) for key in keys] == first
            members[0].stop()
            second = [whose(client, key) for key in keys]
            assert all(now == before or before == b"a" for now, before in zip(second, first))
            assert b"a" not in second


@on_epoll
def test_answers_are_paced(proxy):
    with Origin(answering(lambda request: answer(bytes(2 * MIB)))) as origin:
        server = proxy("--pace", "4m", origin.url)
        start = time.monotonic()
        assert len(fetch(server, "/").body) == 2 * MIB
        assert 0.3 < time.monotonic() - start < 3


def test_several_upstreams_share_the_work(proxy):
    scripts = [answering(lambda request, name=name: answer(name)) for name in (b"a", b"b", b"c")]
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(Origin(script)).url for script in scripts]
        server = proxy(*urls)
        with client_of(server) as client:
            found = [client.fetch(f"/{index}").body for index in range(300)]
    assert all(found.count(name) > 30 for name in (b"a", b"b", b"c"))


def test_a_base_before_the_path(proxy):
    with Origin(answering(lambda request: answer(request.target.encode()))) as origin:
        server = proxy(f"{origin.url}/films/new")
        assert fetch(server, "/a/b?c=d").body == b"/films/new/a/b?c=d"
        assert fetch(server, "/").body == b"/films/new/"


def test_a_prefix_of_leat_serve(serve, house, media, film):
    """Files of its own beside what it passes on, which loses the prefix."""
    server = serve(media, "--proxy", f"/api={house.node_url}")
    assert fetch(server, "/watercourse.mp4").body == film
    assert fetch(server, "/api/body?size=1000").body == origins.pattern(1000)
    assert seen(fetch(server, "/api/seen?x=y"))["url"] == "/seen?x=y"
    assert fetch(server, "/apiary").status == 404


# --------------------------------------------------------------------------------------- HAProxy


@pytest.mark.parametrize("where", ["before", "behind"])
def test_haproxy_in_the_line(house, where, tmp_path):
    with contextlib.ExitStack() as stack:
        if where == "before":
            url = stack.enter_context(origins.haproxy(tmp_path / "h", house.node.url))
            address = urllib.parse.urlsplit(url)
            address = (address.hostname, address.port)
        else:
            url = stack.enter_context(origins.haproxy(tmp_path / "h", house.node_url))
            address = house.before(url).address
        with Steady(address) as client:
            for size in SIZES:
                for way in ("", "&as=chunks", "&as=end"):
                    reply = client.fetch(f"/body?size={size}{way}")
                    assert reply.body == origins.pattern(size), (size, way)
                found = seen(client.fetch("/seen", "POST", body=origins.pattern(size)))
                assert found["digest"] == digest(origins.pattern(size))
            hops = ", ".join(found["by_name"]["x-forwarded-for"]).split(", ")
            assert set(hops) == {"127.0.0.1"}
        with Client(address) as client:
            client.ask("/seen", "POST", ["Transfer-Encoding: chunked"])
            client.send(chunked(origins.pattern(MIB), 9000))
            assert seen(client.final())["digest"] == digest(origins.pattern(MIB))
            client.ask("/", fields=["Connection: Upgrade", "Upgrade: echo"])
            assert client.final().status == 101
            client.send(b"through all of them")
            assert client.box.take(19) == b"through all of them"


# -------------------------------------------------------------------------------------- WebSocket


@pytest.fixture(scope="module", name="sockets")
def proxied_websockets(house):
    """The address of a proxy before a server of WebSockets."""
    with origins.websockets_echo() as url:
        yield house.before(url)


def websocket(server, path="/", **options):
    import websockets  # pylint: disable=import-outside-toplevel
    return websockets.connect(f"ws://{server.address[0]}:{server.address[1]}{path}",
                              max_size=None, **options)


def test_websockets(sockets):
    async def story():
        async with websocket(sockets, subprotocols=["film"]) as mill:
            assert mill.subprotocol == "film"
            for message in ("hello", "", b"\0\1\2", "ü" * 70_000, random.Random(6).randbytes(MIB)):
                await mill.send(message)
                assert await mill.recv() == message
            await asyncio.wait_for(await mill.ping(), 5)
        assert mill.close_code == 1000
    asyncio.run(story())


def test_websockets_close_from_the_other_side(sockets):
    import websockets  # pylint: disable=import-outside-toplevel

    async def story():
        async with websocket(sockets) as mill:
            await mill.send("bye")
            with pytest.raises(websockets.ConnectionClosed):
                await mill.recv()
            assert (mill.close_code, mill.close_reason) == (4321, "as you wish")
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await websocket(sockets, "/no")
        assert refused.value.status_code == 403 and refused.value.headers["X-Why"] == "no"
    asyncio.run(story())


@on_epoll
def test_many_websockets_at_once(sockets):
    async def talk(number):
        moods = random.Random(number)
        async with websocket(sockets) as mill:
            for _ in range(5):
                message = moods.randbytes(moods.choice([1, 125, 126, 65_536, 200_000]))
                await mill.send(message)
                assert await mill.recv() == message

    async def story():
        await asyncio.gather(*(talk(number) for number in range(40)))
    asyncio.run(story())


# --------------------------------------------------------------------------------------- Chromium

PAGE = """<!doctype html><title>Mill</title><video src="/watercourse.mp4" muted></video><script>
window.told = {};
const socket = new WebSocket(`ws://${location.hash.slice(1)}/`);
socket.onopen = () => socket.send('turn');
socket.onmessage = event => { window.told.socket = event.data; };
fetch('/1048576.bin').then(reply => reply.arrayBuffer()).then(
  data => { window.told.size = data.byteLength; });
</script>"""


@on_uring
def test_chromium_plays_a_film_and_talks(house, sockets, film, tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is missing")
    from test_browser import CHROMIUM, DRIVER, FLAGS  # pylint: disable=import-outside-toplevel
    if not (os.path.exists(CHROMIUM) and os.path.exists(DRIVER)):
        pytest.skip("chromium and chromium-driver are not installed")
    (house.folder / "page.html").write_text(PAGE)
    shutil.copy(FILM, house.folder / FILM.name)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(service=webdriver.chrome.service.Service(DRIVER), options=options)
    try:
        browser.get(f"{house.nginx.url}/page.html#127.0.0.1:{sockets.address[1]}")
        await_script(browser, "window.told.socket === 'turn' && window.told.size === 1048576")
        await_script(browser, "document.querySelector('video').readyState >= 1")
        for second in (20, 3):
            browser.execute_script(f"document.querySelector('video').currentTime = {second}")
            await_script(browser, "!document.querySelector('video').seeking && "
                                  "document.querySelector('video').readyState >= 2")
    finally:
        browser.quit()
        shutil.rmtree(tmp_path / "profile", ignore_errors=True)
    assert fetch(house.nginx, f"/{FILM.name}").body == film


def await_script(browser, condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not browser.execute_script(f"return {condition}"):
        assert time.monotonic() < deadline, f"never: {condition}; " + str(
            browser.execute_script("return JSON.stringify(window.told)"))
        time.sleep(0.05)


# ------------------------------------------------------------------------------------ much, large


def test_many_clients_at_once(house):
    """Thirty-two, of all sizes, up and down; nobody gets another's."""
    failures = []

    def talk(seed):
        moods = random.Random(seed)
        try:
            with Steady(house.node.address) as client:
                for _ in range(12):
                    size = moods.choice([1, 1000, 70_000, 300_000])
                    way = moods.choice(["", "&as=chunks", "&as=end"])
                    assert client.fetch(f"/body?size={size}{way}").body == origins.pattern(size)
                    body = moods.randbytes(size)
                    found = seen(client.fetch("/seen", "POST", body=body))
                    assert found["digest"] == digest(body)
        except Exception as error:  # pylint: disable=broad-exception-caught
            failures.append(repr(error))
    threads = [threading.Thread(target=talk, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


@pytest.mark.long
@pytest.mark.parametrize("way", ["down", "up", "up-in-chunks"])
def test_a_gibibyte(house, way):
    """By curl, and by nginx."""
    path = house.work / "gibibyte"
    source, moods, summed = house.folder / "huge.bin", random.Random(8), hashlib.sha256()
    with open(source, "wb") as file:
        for _ in range(1024):
            block = moods.randbytes(MIB)
            summed.update(block)
            file.write(block)
    if way == "down":
        curl("-f", "-o", path, f"{house.nginx.url}/huge.bin")
    else:
        flags = ("-H", "Transfer-Encoding: chunked") if way == "up-in-chunks" else ()
        curl("-f", *flags, "-T", source, f"{house.nginx.url}/put/{path.name}")
        path = house.folder / path.name
    with open(path, "rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == summed.digest()
    path.unlink()
    source.unlink()
