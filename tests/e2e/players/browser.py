# SPDX-License-Identifier: MIT
"""Headless Chromium with the players of the web (hls.js, Shaka Player, dash.js, its own HLS), on a
page that the server under test serves beside its films: play.html."""

import contextlib
import os
import pathlib
import shutil

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = HERE.parent / "node_modules"
PLAYERS = ("hls.js/dist/hls.min.js", "shaka-player/dist/shaka-player.compiled.js",
           "dashjs/dist/modern/umd/dash.all.min.js")
PAGE = "players"  # the folder below the server's root

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage
--autoplay-policy=no-user-gesture-required --window-size=1400,900 --mute-audio""".split()

# The players of each kind of stream: who plays what.
HLS = (("hls", "master.m3u8"), ("shaka", "master.m3u8"), ("native", "master.m3u8"))
DASH = (("shaka", "manifest.mpd"), ("dash", "manifest.mpd"))


def what_is_missing():
    """A reason to skip, or "": what plays is here."""
    try:
        import selenium.webdriver  # noqa: F401, as a question
    except ImportError:
        return "python3-selenium is not installed"
    if not (os.path.exists(CHROMIUM) and os.path.exists(DRIVER)):
        return "chromium and chromium-driver are not installed"
    if not all((PACKAGES / name).exists() for name in PLAYERS):
        return "the players are not installed (scripts/install-deps test)"
    return ""


def lay_page(root):
    """Puts the page and the players below what is served."""
    folder = root / PAGE
    folder.mkdir(exist_ok=True)
    pages = [HERE / name for name in ("play.html", "play.js", "live.js")]
    for path in [PACKAGES / name for name in PLAYERS] + pages:
        shutil.copy(path, folder / path.name)


@contextlib.contextmanager
def opened(profile):
    """A browser; `profile` is a folder that may be thrown away."""
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.chrome.service.Service(DRIVER)
    driver = webdriver.Chrome(service=service, options=options)
    try:
        driver.set_script_timeout(120)
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def open_page(driver, url):
    driver.get(f"{url}/{PAGE}/play.html")
    assert driver.execute_script("return typeof Viewer + typeof Hls + typeof shaka + typeof dashjs"
                                 ) == "functionfunctionobjectobject"


def stories(driver, wanted):
    """Lets viewers, (player, url, options), see their films to the end; what each has to tell."""
    return driver.execute_async_script(
        "const [wanted, done] = arguments; stories(wanted).then(done)", wanted)


def begin(driver, player, url, options):
    """Starts a viewer who is looked at later; its number."""
    return driver.execute_script(
        "new Viewer(...arguments); return viewers.length - 1", player, url, options)


def state(driver, number):
    return driver.execute_script("return viewers[arguments[0]].state()", number)


def fetched(driver):
    """[URL, when it was there, bytes] of everything so far."""
    return driver.execute_script("return fetched")


def watch(driver, player, url, options):
    """Starts a viewer of a live channel; its number."""
    return driver.execute_script(
        "new LiveViewer(...arguments); return live_viewers.length - 1", player, url, options)


def seen(driver, number):
    """What a viewer of a live channel has to tell so far."""
    return driver.execute_script("return live_viewers[arguments[0]].record", number)


def forget(driver, number):
    driver.execute_script("live_viewers[arguments[0]].forget()", number)


def leave(driver, number):
    driver.execute_script("live_viewers[arguments[0]].player.stop()", number)


def stop(driver, number):
    driver.execute_script("viewers[arguments[0]].stop()", number)
