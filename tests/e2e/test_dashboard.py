# SPDX-License-Identifier: MIT
"""The dashboard: what its snapshots say is what happened; and the page, as an operator has it
before him, with a browser."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

import pytest

from conftest import FILM, await_true
from peer import Peer
from players import browser as browsers

pytestmark = pytest.mark.mostly_on("uring")

AXE = browsers.PACKAGES / "axe-core" / "axe.min.js"
HOSTILE = '<img src=x onerror="document.title=1">&amp; 水車'
PLAYER = '<script>"player\\ü'


@pytest.fixture
def watched(serve, folder):
    """watched(*flags): a server of two rungs and of a film whose name is no good, and the address
    of its administrator."""
    def start(*flags):
        for name in "river-720.mp4", "river-1080.mp4", HOSTILE + ".mp4":
            (folder / name).write_bytes(FILM.read_bytes())
        server = serve(folder, *flags, "--admin", "127.0.0.1:0")
        server.expect_on_stderr(r"leat serve: admin on http://127\.0\.0\.1:\d+$")
        found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
        return server, (found[1], int(found[2]))
    return start


def ask(admin, target):
    with Peer(admin) as peer:
        return peer.get(target)


def snapshot_of(admin):
    answer = ask(admin, "/snapshot.json")
    assert answer.status == 200 and answer.get("Content-Type") == "application/json"
    return json.loads(answer.body)


def segment(film, number, cmcd="", stream="muxed"):
    query = f"?CMCD={urllib.parse.quote(cmcd)}" if cmcd else ""
    return f"/{urllib.parse.quote(film)}/{stream}/{number}.m4s{query}"


def watch(server, film, numbers, **options):
    """Asks for segments on a connection of its own; how many bytes they had."""
    size = 0
    with server.connect() as peer:
        for number in numbers:
            answer = peer.get(segment(film, number, **options),
                              fields=[f"User-Agent: {PLAYER}"])
            assert answer.status == 200
            size += len(answer.body)
    return size


@contextlib.contextmanager
def events(admin):
    """The stream's events, as (type, data)."""
    with socket.create_connection(admin, timeout=10) as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: mill\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as stream:
            assert b" 200 " in stream.readline()

            def read():
                kind = None
                for line in stream:
                    text = line.decode().rstrip("\r\n")
                    if text.startswith("event: "):
                        kind = text.removeprefix("event: ")
                    if text.startswith("data: "):
                        yield kind, text.removeprefix("data: ")
            yield read()


def test_it_tells_who_watches_what(watched):
    server, admin = watched("--threads", "2")
    session = 'sid="6e2fb550-c457",bl=21000,br=1200'
    sent = watch(server, "river-720.mp4", range(2), cmcd=session)
    # the same player on another connection, which may be another thread's; it ran empty
    empty = session.replace("21000", "900") + ",bs"
    sent += watch(server, "river-1080.mp4", range(2, 4), cmcd=empty)
    other = watch(server, HOSTILE + ".mp4", range(3))
    with server.connect() as peer:  # what is not sent to anybody is not watched
        assert peer.get(segment(HOSTILE + ".mp4", 99)).status == 404
    seen = snapshot_of(admin)
    assert (seen["totals"]["viewers"], seen["totals"]["titles"]) == (2, 2)
    titles = {title["name"]: title for title in seen["titles"]}
    assert titles.keys() == {"river", HOSTILE}
    assert (titles["river"]["viewers"], titles["river"]["stalls"]) == (1, 2)
    assert (titles["river"]["sent_bytes"], titles[HOSTILE]["sent_bytes"]) == (sent, other)
    viewers = {viewer["title"]: viewer for viewer in seen["viewers"]}
    river, hostile = viewers["river"], viewers[HOSTILE]
    assert (river["session"], river["buffer_ms"], river["rung"]) == ("6e2fb550-c457", 900, "1080")
    assert (river["media_bits_per_s"], river["stalls"], river["streams"]) == (1200000, 2, "muxed")
    assert river["sent_bytes"] == sent and river["bits_per_s"] > 0
    assert hostile["session"] is None and hostile["buffer_ms"] is None
    assert hostile["agent"] == PLAYER
    assert re.fullmatch(r"127\.0\.0\.1:\d+", hostile["peer"]) and hostile["seen_s"] < 10
    metrics = ask(admin, "/metrics").body.decode()
    values = {key: float(value) for key, value in re.findall(r"^(\S+) (\S+)$", metrics, re.M)}
    assert sum(value for key, value in values.items() if "viewer_bytes" in key) == sent + other
    assert sum(value for key, value in values.items() if "leat_viewers{" in key) in (2, 3)
    assert sum(value for key, value in values.items() if "leat_viewer_stalls" in key) == 2


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_live_channels_are_shown(watched, tmp_path):
    server, admin = watched("--live", "on")
    assert snapshot_of(admin)["channels"] == []
    pushed = tmp_path / "pushed.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(FILM), "-c", "copy", "-movflags",
                    "frag_keyframe+empty_moov+default_base_moof", str(pushed)], check=True)
    data = pushed.read_bytes()
    with server.connect() as publisher:
        publisher.send("PUT /live/mill HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        publisher.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        [channel] = await_true(lambda: [one for one in snapshot_of(admin)["channels"]
                                        if one["segments"] > 2])
        assert (channel["name"], channel["state"], channel["viewers"]) == ("mill", "live", 0)
        assert (channel["width"], channel["height"]) == (960, 540)
        assert channel["bits_per_s"] > 100_000 and channel["parts"] >= channel["segments"]
        with server.connect() as viewer:
            playlist = viewer.get("/live/mill/muxed/index.m3u8").body.decode()
            name = re.findall(r"^\d+\.m4s$", playlist, re.MULTILINE)[0]
            answer = viewer.get(f"/live/mill/muxed/{name}")
            assert answer.status == 200
        seen = snapshot_of(admin)
        assert seen["channels"][0]["viewers"] == 1
        [viewer] = seen["viewers"]
        assert (viewer["title"], viewer["live"]) == ("mill", True)
        assert viewer["sent_bytes"] == len(answer.body)


def test_events_come_by_themselves(watched, folder):
    """Of bytes, while they go: a response that is not over is in no counter."""
    server, admin = watched("--threads", "1")
    with open(folder / "big", "wb") as big:
        big.truncate(1 << 28)
    with events(admin) as stream, server.connect(receive_buffer=4096) as reading:
        reading.ask("/big")
        reading.head()
        kind, data = next(stream)
        first = json.loads(data)
        assert kind == "snapshot"
        for _ in range(20):
            for _ in range(1000):
                assert reading.more()
            reading.inbox = b""
            kind, data = next(stream)
            latest = json.loads(data)
            if latest["totals"]["bits_per_s"] > 100_000:
                break
        assert kind == "snapshot" and latest["totals"]["bits_per_s"] > 100_000
        assert latest["history"]["bits_per_s"][-1] == latest["totals"]["bits_per_s"]
        assert latest["totals"]["sent_bytes"] > first["totals"]["sent_bytes"]
        assert latest["connections"]["sending"] == 1
        assert latest["workers"][0]["state"] == "on" and latest["workers"][0]["cpu"] is not None
        assert latest["time_ms"] - first["time_ms"] >= 700
    server.stop()  # while nobody has said goodbye


def test_the_page_runs_no_script_but_its_own(watched):
    _, admin = watched()
    answer = ask(admin, "/")
    page = answer.body.decode()
    assert answer.status == 200 and answer.get("Content-Type") == "text/html; charset=utf-8"
    policy = answer.get("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "style=" not in page and not re.search(r"<script(?![^>]* src=)", page)
    for name in re.findall(r'(?:src|href)="(/\.leat/[^"]+)"', page):
        assert ask(admin, name).status == 200
    assert "/.leat/dashboard.js" in page or "/metrics" in page
    assert "onerror=" not in page


# ---------------------------------------------------------------------------------- in a browser


@pytest.fixture
def page(watched, tmp_path):
    """page(*flags): (server, browser at its dashboard)"""
    if browsers.what_is_missing():
        pytest.skip(browsers.what_is_missing())
    with contextlib.ExitStack() as stack:
        def start(*flags):
            server, admin = watched(*flags)
            if b"/.leat/dashboard.js" not in ask(admin, "/").body:
                pytest.skip("this build is without the pages for browsers")
            driver = stack.enter_context(browsers.opened(tmp_path / "profile"))
            driver.get(f"http://{admin[0]}:{admin[1]}/")
            return server, driver
        yield start


def rows(driver, table):
    """The texts of its cells."""
    return driver.execute_script(
        "return [...document.querySelectorAll(`table[aria-labelledby=${arguments[0]}] tbody tr`)]"
        ".map(row => [...row.children].map(cell => cell.textContent));", table)


def sort_by(driver, name):
    heads = driver.find_elements("css selector", "table[aria-labelledby=table-viewers] th button")
    [button] = [head for head in heads if head.text == name]
    button.click()
    return button.find_element("xpath", "..").get_attribute("aria-sort")


def figure(driver, name):
    return driver.execute_script(
        "return [...document.querySelectorAll('.figures dt')].find("
        "  term => term.textContent === arguments[0])?.nextSibling.textContent", name)


def accept_no_violation(driver, scheme):
    """axe-core's rules for everybody (WCAG 2 A and AA), in this colour scheme."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then(result => done(result.violations.map("
        "  one => `${one.id}: ${one.nodes.map(node => node.html).slice(0, 3)}`)));")
    assert found == []


def test_the_page_shows_it_and_says_when_it_cannot(page):
    server, driver = page("--threads", "2")
    watch(server, "river-720.mp4", range(2), cmcd='sid="a",bl=21000')
    watch(server, HOSTILE + ".mp4", range(4), cmcd='sid="b",bl=1500,bs')
    await_true(lambda: figure(driver, "Viewers") == "2")
    await_true(lambda: len(rows(driver, "table-viewers")) == 2)
    titles = rows(driver, "table-films-and-channels-watched")
    assert {row[0] for row in titles} == {"river", HOSTILE}
    assert not driver.find_elements("css selector", "main img, main script")
    assert driver.title == "2 watching – leat"
    assert "Saved by compression" in driver.find_element("tag name", "main").text

    driver.execute_script("document.querySelectorAll('tbody tr').forEach(row => row.mark = 1)")
    assert sort_by(driver, "Buffer") == "descending"
    assert [row[0] for row in rows(driver, "table-viewers")] == ["river", HOSTILE]
    assert sort_by(driver, "Buffer") == "ascending"
    assert [row[0] for row in rows(driver, "table-viewers")] == [HOSTILE, "river"]
    charts = driver.find_elements("css selector", "svg[role=img]")
    await_true(lambda: all(re.search(r"\d", chart.get_attribute("aria-label") or "")
                           for chart in charts) and len(charts) == 3)
    # snapshots later the rows are those of before: what is selected stays
    time.sleep(1.2)
    assert driver.execute_script(
        "return [...document.querySelectorAll('table[aria-labelledby=table-viewers] tbody tr')]"
        ".every(row => row.mark)")

    if AXE.exists():
        # not by a script element: the page's policy would refuse it, as it should
        driver.execute_script(AXE.read_text(encoding="utf-8"))
        for scheme in "light", "dark":
            accept_no_violation(driver, scheme)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True})
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    assert driver.get_log("browser") == []

    alarm = driver.find_element("css selector", "[role=status]")
    assert not alarm.is_displayed()
    server.stop()
    await_true(lambda: "The connection is lost" in alarm.text)
    assert driver.find_element("css selector", ".state").text == "disconnected"


def test_the_page_of_a_proxy(proxy, serve, folder, tmp_path):
    """Upstreams, and nothing of films."""
    if browsers.what_is_missing():
        pytest.skip(browsers.what_is_missing())
    (folder / "a.txt").write_text("hello")
    upstream = serve(folder)
    server = proxy("--admin", "127.0.0.1:0", "--balance", "path", "--max-failures", "1",
                   upstream.url, "http://127.0.0.1:1/base")
    server.expect_on_stderr(r"leat proxy: admin on http://127\.0\.0\.1:\d+$")
    found = re.search(r"admin on http://([\d.]+):(\d+)", server.stderr())
    admin = (found[1], int(found[2]))
    if b"/.leat/dashboard.js" not in ask(admin, "/").body:
        pytest.skip("this build is without the pages for browsers")
    for number in range(20):
        assert server.get(f"/a.txt?{number}").body == b"hello"
    seen = snapshot_of(admin)
    assert seen["film_cache"] is None and seen["titles"] == []
    up, down = seen["upstreams"]
    assert (up["url"], up["state"], up["requests"]) == (upstream.url, "up", 20)
    assert down["failures"] > 0 and down["state"] in ("open", "probing")
    with browsers.opened(tmp_path / "profile") as driver:
        driver.get(f"http://{admin[0]}:{admin[1]}/")
        await_true(lambda: len(rows(driver, "table-upstreams")) == 2)
        shown = {row[0]: row for row in rows(driver, "table-upstreams")}
        assert shown[upstream.url][1:3] == ["/", "up"] and shown[upstream.url][4] == "20"
        assert not driver.find_element("css selector", "[aria-labelledby=table-viewers]"
                                       ).is_displayed()
        if AXE.exists():
            driver.execute_script(AXE.read_text(encoding="utf-8"))
            accept_no_violation(driver, "light")
        assert driver.get_log("browser") == []
