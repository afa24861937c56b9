# SPDX-License-Identifier: MIT
"""What leat load writes of a load of a real server: the forms agree with each other, programs can
read them as the manual says, and what cannot be written is said."""

import html.parser
import json
import re
import signal
import subprocess
import time
import xml.etree.ElementTree

import pytest

from conftest import ENGINE, LEAT, ROOT, run_leat

COUNT = 2000
EMPTY = {"meta", "link"}  # elements that have no end


@pytest.fixture
def url(serve, folder):
    (folder / "1k").write_bytes(b"x" * 1024)
    return serve(folder).url.rstrip("/") + "/1k"


def load(*flags):
    return run_leat("load", "--engine", ENGINE, *flags)


@pytest.fixture
def outputs(url, tmp_path):
    """All forms of one result."""
    done = load("-n", str(COUNT), "-c", "8", "--json", tmp_path / "json", "--html",
                tmp_path / "html", "--histogram", tmp_path / "hist", "--expect", "errors = 0",
                "--expect", "max<1us", url)
    assert done.returncode == 1 and done.stderr == "", done  # one is not met
    return done.stdout, json.loads((tmp_path / "json").read_text()), tmp_path


def in_us(text):
    number, unit = text.split()
    return float(number) * {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[unit]


def test_text_and_json_agree(outputs, url):
    text, figures, _ = outputs
    assert all(len(line) < 80 for line in text.splitlines())
    assert text.startswith(f"GET {url}\n\n") and figures["url"] == url
    assert re.search(r"^  requests      2,000  ", text, re.MULTILINE)
    assert figures["requests"] == COUNT and figures["statuses"] == {"200": COUNT}
    assert figures["body_bytes"] == COUNT * 1024 < figures["bytes_received"]
    assert re.search(r"^  statuses      200: 2,000$", text, re.MULTILINE)
    assert re.search(r"^  errors        none$", text, re.MULTILINE)
    shown = dict(re.findall(r"^    (min|mean|stddev|p[\d.]+|max) +([\d.]+ [num]?s)\b", text,
                            re.MULTILINE))
    assert list(shown) == list(figures["latency_us"])
    for name, value in figures["latency_us"].items():
        assert in_us(shown[name]) == pytest.approx(value, rel=0.006), name
    assert figures["latency_us"]["min"] <= figures["latency_us"]["p50"]
    assert sum(second["requests"] for second in figures["seconds"]) == COUNT
    assert [(entry["text"], entry["met"]) for entry in figures["expect"]] == [
        ("errors = 0", True), ("max<1us", False)]
    assert re.search(r"max<1us +is +[\d.]+ [mu]s   NOT met$", text, re.MULTILINE)


def commands_of_the_manual():
    """Its two awk programs: the one that adds files up, the one that makes percentiles."""
    text = (ROOT / "man" / "leat-load.1.scd").read_text(encoding="utf-8")
    return re.findall(r"```\n(awk .*?)```\n", text, re.DOTALL)


def run_shell(command, folder):
    return subprocess.run(["sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20, check=True).stdout


def test_histogram_is_read_as_the_manual_says(outputs):
    _, figures, folder = outputs
    add, percentiles = commands_of_the_manual()
    hist = (folder / "hist").read_text().splitlines()
    assert hist[0] == "# leat histogram 1" and f"# count {COUNT}" in hist
    buckets = [tuple(map(int, line.split())) for line in hist if line[0] != "#"]
    assert sum(count for _, _, count in buckets) == COUNT and buckets == sorted(buckets)
    (folder / "latency.hist").write_text((folder / "hist").read_text())
    rows = [line.split() for line in run_shell(percentiles, folder).splitlines()]
    assert rows[-1][1:] == ["1.000000000", str(COUNT), "inf"]
    for name, share in ("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999):
        ms = next(float(row[0]) for row in rows if float(row[1]) >= share)
        assert min(ms * 1000, figures["latency_us"]["max"]) == pytest.approx(
            figures["latency_us"][name], rel=1e-5), name

    for name in "a.hist", "b.hist":
        (folder / name).write_text((folder / "hist").read_text())
    lines = run_shell(add, folder).splitlines()
    assert lines[0] == f"# count {2 * COUNT}"
    assert [tuple(map(int, line.split())) for line in lines[1:]] == [
        (low, high, 2 * count) for low, high, count in buckets]


class Page(html.parser.HTMLParser):
    """Its elements end in the order they begin, and nothing is fetched from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.heading = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert tag not in ("script", "iframe", "img", "object") and "src" not in dict(attrs)
        assert dict(attrs).get("href", "data:,") == "data:,"
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_data(self, data):
        self.heading += data if self.open and self.open[-1] == "h1" else ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def plots_of(page):
    return [xml.etree.ElementTree.fromstring(svg)
            for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def check_plot(plot):
    """It has a name and a description, and its lines stay inside."""
    assert plot.find("title").text and plot.find("desc").text
    width, height = map(float, plot.get("viewBox").split()[2:])
    drawn = 0
    for path in plot.iter("path"):
        for command, numbers in re.findall(r"([MHV])([\d. -]+)", path.get("d")):
            values = [float(number) for number in numbers.split()]
            assert len(values) == (2 if command == "M" else 1)
            assert 0 <= values[0] <= (height if command == "V" else width)
            assert command != "M" or 0 <= values[1] <= height
        drawn += path.get("class") != "grid"
    assert drawn >= 1
    return drawn


def test_page_is_whole_and_needs_nothing(outputs):
    _, _, folder = outputs
    text = (folder / "html").read_text(encoding="utf-8")
    assert Page(text).seen.count("svg") == 4
    assert "<td class=\"unmet\">not met</td>" in text and "coordinated omission" in text
    plots = plots_of(text)
    assert [plot.find("title").text for plot in plots] == [
        "Latency by percentile", "Latency by second", "Requests/s", "Received bytes/s"]
    assert [check_plot(plot) for plot in plots] == [1, 6, 1, 1]  # three lines and their keys


def test_an_open_loop_is_told_as_one(url, tmp_path):
    done = load("-r", "500", "-d", "1s", "--html", tmp_path / "html", "--json", "-", "--expect",
                "unfinished=0", "--expect", "rps>400", url)
    figures = json.loads(done.stdout)  # and nothing else is there
    assert done.returncode == 0 and done.stderr == ""
    assert figures["loop"] == "open" and figures["rate"] == 500 and figures["requests"] == 500
    text = (tmp_path / "html").read_text(encoding="utf-8")
    assert "In an open loop" in text and Page(text)


def test_a_url_is_escaped_wherever_it_is_shown(url, tmp_path):
    strange = url + "?a='%22&b=%3Cscript%3E&c=\"<i>&lt;"
    done = load("-n", "10", "-c", "1", "--json", tmp_path / "json", "--html", tmp_path / "html",
                strange)
    assert done.returncode == 0 and done.stdout.startswith(f"GET {strange}\n"), done
    assert json.loads((tmp_path / "json").read_text())["url"] == strange
    assert Page((tmp_path / "html").read_text(encoding="utf-8")).heading == f"GET {strange}"


@pytest.mark.parametrize("flag", ["--json", "--html", "--histogram"])
def test_what_cannot_be_written_is_said(url, flag):
    done = load("-n", "10", "-c", "1", flag, "/dev/full", url)
    assert done.returncode == 1
    assert done.stderr == "leat load: cannot write '/dev/full': No space left on device\n"
    assert "requests      10 " in done.stdout  # the rest is there


def test_a_text_that_is_lost_is_no_success(url):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([LEAT, "load", "-n", "10", "-c", "1", url], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "No space left on device" in done.stderr


def test_interrupted_it_writes_what_it_has(url, tmp_path):
    files = [tmp_path / name for name in ("json", "html", "hist")]
    process = subprocess.Popen([LEAT, "load", "--engine", ENGINE, "-r", "200", "-d", "60",
                                "--json", files[0], "--html", files[1], "--histogram", files[2],
                                url], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "; INTERRUPTED before its end\n" in text
    assert json.loads(files[0].read_text())["interrupted"] is True
    page = files[1].read_text(encoding="utf-8")
    assert Page(page) and "Interrupted before its end" in page
    assert files[2].read_text().startswith("# leat histogram 1\n")


def test_another_status_is_an_answer_and_a_failure(url):
    done = load("-n", "10", "-c", "1", "--json", "-", "--expect", "p99<10s", url + "none")
    figures = json.loads(done.stdout)
    assert done.returncode == 0 and figures["failures"] == figures["requests"] == 10
    done = load("-n", "10", "-c", "1", "--expect", "failures<1%", url + "none")
    assert done.returncode == 1
    assert re.search(r"failures<1% +is +100 %   NOT met$", done.stdout, re.MULTILINE)
    assert "10 (100 %) had a status of 400 or above" in done.stdout
