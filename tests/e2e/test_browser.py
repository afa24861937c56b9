# SPDX-License-Identifier: MIT
"""A viewer with a browser: opens the library, plays the film, seeks; headless Chromium."""

import os
import pathlib
import shutil
import time

import pytest

from conftest import BUILD, ENGINE, await_true

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
pytestmark = [
    pytest.mark.mostly_on("uring"),
    pytest.mark.skipif(not (os.path.exists(CHROMIUM) and os.path.exists(DRIVER)),
                       reason="chromium and chromium-driver are not installed"),
]

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage
--autoplay-policy=no-user-gesture-required --window-size=1000,900 --mute-audio""".split()

# The film's bar at the bottom fills from the left, 40 pixels a second: its end tells the time.
BAR = """
const video = document.querySelector('video'), canvas = document.createElement('canvas');
canvas.width = video.videoWidth; canvas.height = video.videoHeight;
const context = canvas.getContext('2d');
context.drawImage(video, 0, 0);
const row = context.getImageData(0, canvas.height - 3, canvas.width, 1).data;
const light = x => row[4 * x] + row[4 * x + 1] + row[4 * x + 2];
let end = 0;
while (end < canvas.width && light(end) > 3 * 200) end++;
return end / 40;
"""
SEEK = """
const [time, done] = arguments, video = document.querySelector('video');
video.pause();
video.addEventListener('seeked', () => done(true), {once: true});
video.currentTime = time;
"""


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=webdriver.chrome.service.Service(DRIVER), options=options)
    driver.set_script_timeout(20)
    yield driver
    driver.quit()
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)


def wait_for(browser, condition, seconds=15):
    deadline = time.monotonic() + seconds
    script = f"const v = document.querySelector('video'); return {condition}"
    while not browser.execute_script(script):
        assert time.monotonic() < deadline, f"never: {condition}; " + str(browser.execute_script(
            "const v = document.querySelector('video'); return [v.src, v.currentTime, v.readyState,"
            " v.error && v.error.message]"))
        time.sleep(0.05)


# The film's card; without a script, where leat was built without Node, its link.
CLICK = """
const links = document.querySelectorAll(document.querySelector('script[src]') ? 'a.card' : 'a');
const found = [...links].find(link => (link.title || link.textContent) === arguments[0]);
found?.click();
return found !== undefined;
"""


def click_on(browser, name):
    await_true(lambda: browser.execute_script(CLICK, name))


def play(browser, server):
    browser.get(server.url)
    assert browser.title == "Library"
    click_on(browser, "watercourse.mp4")
    wait_for(browser, "v.currentTime > 1 && v.readyState >= 3 && !v.paused")


def seek(browser, wanted):
    """Seeks, and waits for the picture that belongs there: it is painted a little later."""
    browser.execute_async_script(SEEK, wanted)
    deadline = time.monotonic() + 5
    while abs(browser.execute_script(BAR) - wanted) > 0.2:
        assert time.monotonic() < deadline, \
            f"the picture is of {browser.execute_script(BAR)} s, not of {wanted}"
        time.sleep(0.05)


def test_the_film_plays_and_seeks(serve, media, browser):
    server = serve(media)
    play(browser, server)
    assert browser.execute_script(
        "const v = document.querySelector('video'); return [v.videoWidth, v.videoHeight,"
        " Math.round(v.duration)]") == [960, 540, 24]
    assert browser.execute_script(BAR) > 0.9
    wait_for(browser, "v.currentTime > 2.5")

    shot = pathlib.Path(BUILD) / "test-logs" / f"browser-{ENGINE}.png"
    shot.parent.mkdir(exist_ok=True)
    assert browser.save_screenshot(str(shot)) and shot.stat().st_size > 10_000

    for wanted in (12.0, 22.5, 1.5):  # what is behind the bar is darker there
        seek(browser, wanted)
    browser.execute_script("document.querySelector('video').play()")
    wait_for(browser, "v.currentTime > 2 && v.currentTime < 9")
    assert browser.get_log("browser") == []
    browser.get("about:blank")  # the film is let go in the middle


def test_it_plays_to_its_end_from_two_threads(serve, media, browser):
    server = serve(media, "--threads", "2")
    play(browser, server)
    seek(browser, 22.5)
    browser.execute_script("document.querySelector('video').play()")
    wait_for(browser, "v.ended")
    assert browser.get_log("browser") == []


def test_names_reach_the_player(serve, media, browser):
    odd = "<b>Die Mühle & 水車</b> 100% #1?.mp4".replace("/", "∕")
    (media / "watercourse.mp4").rename(media / odd)
    browser.get(serve(media).url)
    click_on(browser, odd)
    wait_for(browser, "v.currentTime > 0.3")
    assert browser.get_log("browser") == []


# A range with a field that must be asked about beforehand, and what of the answer a page may see.
FETCH = """
const [url, done] = arguments;
fetch(url, {headers: {'Range': 'bytes=0-9,5000-5009', 'X-Player': '1'}})
  .then(async answer => done([answer.status, answer.headers.get('Content-Type'),
                              answer.headers.get('Accept-Ranges'),
                              (await answer.arrayBuffer()).byteLength,
                              performance.getEntriesByName(url).pop().responseStart > 0]))
  .catch(error => done(String(error)));
"""


def test_a_page_from_elsewhere_reads_along_if_it_may(serve, media, browser):
    page = serve(media, "--listing", "plain")  # the library's own page may ask nobody else
    browser.get(page.url)
    film = "/watercourse.mp4?cors"
    refused = browser.execute_async_script(FETCH, serve(media).url + film)
    assert "Failed to fetch" in refused
    others = serve(media, "--cors", "https://player.example", "--cors", "http://b.example")
    assert "Failed to fetch" in browser.execute_async_script(FETCH, others.url + film)
    for flags in (["--cors", "*"], ["--cors", page.url],
                  ["--cors", "https://player.example", "--cors", page.url]):
        server = serve(media, "--timing-allow-origin", page.url, *flags)
        status, kind, ranges, size, has_timing = browser.execute_async_script(
            FETCH, server.url + film)
        assert (status, ranges, has_timing) == (206, "bytes", True)
        assert kind.startswith("multipart/byteranges") and 200 < size < 400


def test_a_download_is_saved_under_its_name(serve, folder, browser, tmp_path):
    name = "Die Mühle – 水車.txt"
    (folder / name).write_text("content")
    saved = tmp_path / "saved"
    saved.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior",
                            {"behavior": "allow", "downloadPath": str(saved)})
    browser.get(serve(folder, "--listing", "plain").url)
    browser.execute_script("location.href = document.querySelector('td a').href + '?download'")
    deadline = time.monotonic() + 10
    while not (saved / name).exists():
        assert time.monotonic() < deadline, list(saved.iterdir())
        time.sleep(0.05)
    assert (saved / name).read_text() == "content"
