#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does the report say what its data say, and only that? report.html and report.md from runs that
were made up: a whole one, one that was cut short, one where nothing ran, and nonsense.

    bench/test_report.py [FOLDER]     also leaves the whole run's report there, to be looked at

Exit status 0: it does."""
import html.parser
import random
import re
import sys
import tempfile
import traceback
import xml.etree.ElementTree
from pathlib import Path

from lab import plots, report, report_facts, report_verdict, tables

# name, title, role, source, note, CPU us of a small request, of a MiB, peak MiB, bytes when idle
SERVERS = [
    ("bare_uring", "bare io_uring", "limit", "memory", "", 7.3, 92, 1.9, 40),
    ("bare_epoll", "bare epoll", "limit", "memory", "", 7.9, 84, 1.8, 40),
    ("leat-uring", "leat, io_uring", "leat", "memory", "", 7.8, 95, 5.1, 256),
    ("leat-epoll", "leat, epoll", "leat", "memory", "", 8.5, 86, 4.9, 256),
    ("tokio", "Tokio, raw", "peer", "memory", "parses only the end of the head", 8.1, 580, 4.2,
     10_200),
    ("libuv", "libuv", "peer", "memory", "", 8.4, 240, 3.1, 900),
    ("hyper", "hyper", "peer", "memory", "", 9.1, 311, 5.8, 12_100),
    ("nginx", "nginx", "peer", "file", "open_file_cache", 9.3, 88, 9.4, 527),
    ("nginx-memory", "nginx, return", "peer", "memory", "its best way", 8.9, None, 9.3, 527),
    ("h2o", "h2o", "peer", "file", "", 10.3, 101, 12.3, 1056),
    ("haproxy", "HAProxy", "peer", "memory", "http-request return", 11.1, None, 21.0, 1136),
    ("rust-std", "Rust standard library, a thread a connection", "peer", "memory", "", 11.2, 1423,
     3.9, None),
    ("gin", "Gin", "peer", "memory", "as its tutorial has it", 19.2, 729, 14.9, 21_300),
    ("go", "Go net/http", "peer", "memory", "", 21.4, 184, 12.7, 20_400),
    ("node-stream", "Node http, createReadStream", "peer", "file", "as its documentation has it",
     28.3, 1509, 71.0, 9_100),
    ("node-readfile", "Node http, readFile", "peer", "file", "", 24.4, 804, 64.0, 9_100),
    ("rocket", "Rocket", "peer", "memory", "", None, None, None, None),
    ("hyperlane", "Hyperlane", "peer", "memory", "", None, None, None, None)]
LIMITS = ("bare_uring", "bare_epoll")


def figures_of(luck, drift, cost_us, size, peak_mib, share=1.0):
    """One round: a server that spends so much on a request, beside a client that needs 7 us."""
    def noise(by):
        return drift * luck.gauss(1, by)

    cost = cost_us * noise(0.02)
    client = 7.0 + size / 7000
    rate = 1e6 * min(0.99 / cost, 0.995 / client) * share
    p50 = 64e6 / rate * noise(0.02) if share == 1 else cost_us * (2 + 4 * share) * noise(0.05)
    return {"requests_per_s": rate, "bytes_per_s": rate * size, "p50": p50, "p90": p50 * 1.2,
            "p99": p50 * (1.4 + 3 * share * luck.random()), "p99.9": p50 * 7 * noise(0.2),
            "max": p50 * 25 * noise(0.3), "cpu_us": cost, "cpu_us_per_mib": cost * (1 << 20) / size,
            "cpu_user": 0.16 * cost, "cpu_system": 0.84 * cost,
            "cpu_percent": cost * rate / 1e4, "server_core_percent": min(100, cost * rate / 9.9e3),
            "client_core_percent": min(100, client * rate / 9.9e3), "client_cpu_us": client,
            "peak_bytes": peak_mib * (1 << 20), "errors": 0, "unfinished": 0}


def sample_rows(luck, rounds, make, labels=(("", 0),)):
    """A row for each server at each point; `make(server, x, drift)` gives a round or None."""
    drifts = [luck.gauss(1, 0.06) for _ in range(rounds)]
    rows = []
    for label, x in labels:
        for server in SERVERS:
            name, title, role, source, note = server[:5]
            found = [make(server, x, drift) for drift in drifts]
            runs = found[0] is not None
            reason = "" if runs else "crate not available here" if server[5] is None else \
                "cannot do this"
            rows.append({"name": name, "title": title, "peer": name.split("-")[0], "role": role,
                         "source": source, "note": note, "status": "ok" if runs else "not run",
                         "reason": reason, "label": label, "x": x,
                         "rounds": found if runs else []})
    return rows


def sample_test(name, title, what, order_by, rows, kind="closed", connections=64):
    rounds = max(len(row["rounds"]) for row in rows)
    return {"name": name, "title": title, "what": what, "kind": kind, "connections": connections,
            "rounds": rounds, "seconds": 1.5, "order_by": order_by,
            "rows": tables.finish(rows, order_by)}


def sample_tests(luck):
    def small(server, _, drift):
        return server[5] and figures_of(luck, drift, server[5], 1024, server[7])

    def large(server, _, drift):
        return server[6] and figures_of(luck, drift, server[6], 1 << 20, server[7])

    def at_rate(server, x, drift):
        return server[5] and figures_of(luck, drift, server[5], 1024, server[7], x / 100) | {
            "rate": 9e5 / server[5] * x / 100}

    def crowd(server, x, drift):
        return server[5] and figures_of(luck, drift, server[5] * (1 + x / 9000), 1024, server[7])

    def idle(server, _, drift):
        return server[8] and {"idle_bytes_each": server[8] * luck.gauss(1, 0.01), "errors": 0,
                              "peak_bytes": server[7] * (1 << 20) + server[8] * 10_000}

    return [
        sample_test("small", "1 KiB, keep-alive", "64 connections ask for 1 KiB again and again.",
                    "cpu_us", sample_rows(luck, 7, small)),
        sample_test("large", "1 MiB", "16 connections ask for 1 MiB and read it.",
                    "cpu_us_per_mib", sample_rows(luck, 7, large), connections=16),
        sample_test("rates", "1 KiB at fixed rates", "An open loop at shares of each server's own "
                    "saturation.", "p99", sample_rows(luck, 3, at_rate, [
                        (f"{share} %", share) for share in (50, 70, 90)]), "rates"),
        sample_test("connections", "From ten connections to 5,000", "1 KiB, as fast as it goes.",
                    "cpu_us", sample_rows(luck, 3, crowd, [
                        (f"{count:,} connections", count) for count in (10, 100, 1000, 5000)]),
                    "connections"),
        sample_test("idle", "Memory of idle connections", "10,000 connections that say nothing.",
                    "idle_bytes_each", sample_rows(luck, 3, idle), "memory", 10_000)]


def sample_messages(luck):
    def row(name, title, version, size, encode, decode):
        rounds = [{"encode_ns": encode * luck.gauss(1, 0.02),
                   "decode_ns": decode * luck.gauss(1, 0.02)} for _ in range(7)]
        return {"name": name, "title": title, "version": version, "status": "ok", "reason": "",
                "bytes": size, "figures": tables.summarize(rounds)}
    return {"title": "One trade, encoded and decoded", "what": "The trade of ITCH 5.0, type P.",
            "rows": [row("itch", "ITCH, by hand", "", 44, 3.8, 2.7),
                     row("msgpack", "msgpack-c", "4.0.0", 62, 13, 191),
                     row("protobuf", "protobuf-c", "1.4.1", 48, 97, 200),
                     row("json", "JSON (jansson)", "2.14", 131, 1100, 373),
                     {"name": "flat", "title": "FlatBuffers", "status": "not run",
                      "reason": "no flatcc (Debian: libflatcc-dev)", "bytes": None, "figures": {}}]}


def sample_witnesses(luck):
    def row(name, rate, client_us, p99=True):
        figures = {"requests_per_s": rate * luck.gauss(1, 0.01), "client_cpu_us": client_us}
        return {"name": name, "status": "ok", "reason": "", "version": "1.0",
                "figures": tables.summarize([figures | ({"p50": 470, "p99": 720} if p99 else {})])}
    return [{"server": server, "test": "small", "rows": [
        row("leat load", rate, 6.1), row("wrk", rate, 7.8), row("h2load", rate * 0.93, 9.3, False)]}
        for server, rate in (("leat-uring", 126_000), ("nginx-memory", 109_000))]


def test_a_witness_that_was_the_limit_is_said_to_be():
    def row(name, rate, client_us):
        return {"name": name, "status": "ok", "figures": tables.summarize(
            [{"requests_per_s": rate, "client_cpu_us": client_us}])}
    say = report_verdict.witness_sentence
    text = say([row("leat load", 200_000, 4.5), row("wrk", 140_000, 7.1)])
    assert text == ("wrk had nothing left of its core: there the client was the limit, not the "
                    "server."), text
    text = say([row("leat load", 74_000, 6), row("wrk", 75_000, 9), row("h2load", 73_000, 10)])
    assert text == "Their requests/s are 2.7 % apart.", text
    text = say([row("leat load", 110_000, 7), row("wrk", 112_200, 8), row("h2load", 96_000, 10.5)])
    assert text.startswith("h2load had nothing left") and text.endswith(
        "The requests/s of the others are 2.0 % apart."), text


def sample():
    """A whole run, as report.json has it."""
    luck = random.Random(4)
    return {
        "format": "leat bench 1", "started": "2026-11-22T20:31:00Z", "took_s": 2140.2,
        "interrupted": False, "quick": False, "command": ["bench/run", "--all"],
        "host": {"kernel": "6.18.5", "machine": "x86_64", "cpu": "Some Processor @ 2.90GHz",
                 "cores": 2, "memory_bytes": 8_210_000_000, "distribution": "Debian 12",
                 "congestion_control": "reno", "server_core": 0, "client_core": 1,
                 "cpu_time_from": "cpuacct", "load_average": [0.2, 0.4, 0.3], "virtual": "kvm"},
        "lost": [], "versions": {"leat": "0.3.0", "nginx": "1.22.1", "go": "1.19.8"},
        "tests": sample_tests(luck), "messages": sample_messages(luck),
        "witnesses": sample_witnesses(luck)}


# -------------------------------------------------------------------------------------- helpers --

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Elements closed in order, the texts of rows, and whatever would be fetched or run."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.rows, self.names, self.text = [], [], [], [], []
        self.ids, self.targets = [], []
        self.feed(text)
        self.close()
        self.problems += [f"<{name}> is not closed" for name in self.open]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object", "base") or attrs.get("src"):
            self.problems.append(f"<{tag}> loads something")
        self.problems += [f"{key} runs something" for key in attrs if key.startswith("on")]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.targets += [attrs["href"]] if "href" in attrs else []
        self.names.append(tag)
        if tag == "tr":
            self.rows.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.text.append(data)
        if "tr" in self.open:
            self.rows[-1] += data + " "


def written(data):
    """(HTML, Markdown) of a report."""
    with tempfile.TemporaryDirectory() as folder:
        paths = report.write(data, Path(folder) / "out")
        assert [path.name for path in paths] == ["report.html", "report.md"], paths
        return tuple(path.read_text(encoding="utf-8") for path in paths)


def checked(data):
    """The same, after a look at their form."""
    page, text = written(data)
    reader = Reader(page)
    assert not reader.problems, reader.problems[:5]
    assert len(set(reader.ids)) == len(reader.ids), "an id is there twice"
    assert {target[1:] for target in reader.targets} <= set(reader.ids), reader.targets
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg\")", page), "loads"
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        root = xml.etree.ElementTree.fromstring(drawing)
        assert [child.tag.split("}")[1] for child in root[:2]] == ["title", "desc"]
        assert all(child.text for child in root[:2]), drawing[:200]
        lengths = [float(number) for number in re.findall(r'(?:x|cx|x1|x2|width)="([\d.-]+)%"',
                                                           drawing)]
        assert all(0 <= number <= 100.5 for number in lengths), drawing[:200]
    for name in ("nan", "None", "inf "):
        assert not re.search(rf"\b{name}\b", " ".join(reader.text)), f"{name} in the page"
        assert not re.search(rf"\b{name}\b", text), f"{name} in report.md"
    check_tables(text)
    return page, text, reader


def check_tables(text):
    """Every line of a table in Markdown has as many cells as its head."""
    head = None
    for line in text.splitlines():
        cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else None
        head = (head or cells) if cells else None
        assert cells == head, line


def row(name, cpu, low, high, role="peer", rounds=7, **more):
    def spread(median, low, high):
        return {"median": median, "low": low, "high": high, "count": rounds}
    return {"name": name, "title": name, "role": role, "status": "ok", "label": "",
            "figures": {"cpu_us": spread(cpu, low, high)}, **more}


def test_of(*rows, order_by="cpu_us", rounds=7):
    return {"title": "A test", "order_by": order_by, "rounds": rounds, "rows": list(rows)}


def first_sentence(*rows, **how):
    return report_verdict.in_short(test_of(*rows, **how))


def report_of(*tests):
    return {"tests": list(tests)}


# ---------------------------------------------------------------------------------------- tests --

def test_a_whole_run_is_all_there():
    data = sample()
    page, text, reader = checked(data)
    cells = "\n".join(reader.rows)
    for test in data["tests"]:
        for one in test["rows"]:
            assert one["title"] in cells, f"{one['title']} is not in a table"
            assert one["title"] in text, f"{one['title']} is not in report.md"
    for word in ("2026-11-22, 20:31 UTC", "6.18.5", "Debian 12", "reno", "1.22.1",
                 "bench/run --all", "35 min 40 s", "kvm", "FlatBuffers", "h2load"):
        assert word in " ".join(reader.text) and word in text, f"{word} is missing"
    assert page.count("<svg") > 10 and reader.names.count("section") == 5 + 3


def test_every_row_is_there_once_a_test():
    data = sample()
    test = data["tests"][0]
    _, _, reader = checked(report_of(test))
    names = [one["title"] for one in test["rows"]]
    for name in names:
        count = sum(1 for line in reader.rows if re.match(rf"\S*\s*{re.escape(name)}\s", line))
        assert count == 1, f"{name}: {count} rows"


def test_rows_are_sorted_and_those_that_did_not_run_come_last():
    _, text, reader = checked(report_of(test_of(
        {"name": "gone", "title": "gone", "status": "not run", "reason": "no crate here"},
        row("slow", 20, 19, 21), row("quick", 10, 9, 11))))
    order = [next(name for name in ("gone", "slow", "quick") if name in line)
             for line in reader.rows if re.search("gone|slow|quick", line)]
    assert order == ["quick", "slow", "gone"], order
    assert "no crate here" in reader.rows[-1] and "gone: not run: no crate here" in text
    more = test_of(row("few", 1, 1, 1), row("many", 1, 1, 1), order_by="requests_per_s")
    for one, rate in zip(more["rows"], (1000, 2000)):
        one["figures"]["requests_per_s"] = {"median": rate, "low": rate, "high": rate, "count": 7}
    _, _, reader = checked(report_of(more))
    assert reader.rows[2].split()[0] == "many", reader.rows


def test_no_ranking_inside_an_overlap():
    rows = [row("leat", 8.0, 7.8, 8.2, "leat", rank=[1, 2]),
            row("near", 8.1, 7.9, 8.3, rank=[1, 2]),
            row("far", 9, 8.9, 9.1, rank=[3, 3])]
    tone, text = first_sentence(*rows)
    assert tone == "open" and "open between leat and near" in text and "far" not in text, text
    _, _, reader = checked(report_of(test_of(*rows)))
    assert [line.split()[0] for line in reader.rows[2:]] == ["1–2", "1–2", "3"], reader.rows
    assert not re.search(r"(?<!Who )is first", " ".join(reader.text))


def test_too_few_rounds_decide_nothing():
    rows = [row("leat", 8.0, 7.8, 8.2, "leat", rounds=2), row("far", 19, 18, 20, rounds=2)]
    tone, text = first_sentence(*rows, rounds=2)
    assert tone == "open" and "Too few rounds" in text, text


def test_leat_first():
    tone, text = first_sentence(
        row("leat", 8.0, 7.8, 8.2, "leat"),
        row("far", 9, 8.9, 9.1, to_leat={"cpu_us": {"median": 1.12, "low": 1.1, "high": 1.13}}),
        row("limit", 7, 6.9, 7.1, "limit"))
    assert tone == "first", (tone, text)
    assert text == ("leat is first: 8.00 µs (7.80 to 8.20); the next, far, needs 1.12 (1.10 to "
                    "1.13) of its CPU time a request."), text


def test_leat_alone_is_not_first_of_anything():
    tone, text = first_sentence(row("leat", 8.0, 7.8, 8.2, "leat"), row("limit", 7, 7, 7, "limit"))
    assert tone == "open" and "is first" not in text and "no peer" in text, (tone, text)


def test_two_rows_of_leat_are_not_ranked_either():
    tone, text = first_sentence(row("uring", 8.0, 7.8, 8.2, "leat"), row("far", 19, 18, 20),
                                row("epoll", 8.1, 7.9, 8.3, "leat"))
    assert tone == "first", (tone, text)
    assert text.startswith("leat is first (uring and epoll are not told apart); the "
                           "next, far, needs about 2.38 of uring’s CPU time a request"), text


def test_leat_not_first_is_said_plainly():
    ratio = {"cpu_us": {"median": 0.91, "low": 0.88, "high": 0.95, "count": 7}}
    rows = [row("leat", 8.0, 7.8, 8.2, "leat"), row("quicker", 7.3, 7.2, 7.4, to_leat=ratio)]
    tone, text = first_sentence(*rows)
    assert tone == "not first" and text == ("leat is not first here: quicker needs 0.91 (0.88 to "
                                            "0.95) of leat’s CPU time a request."), text
    page, markdown, _ = checked(report_of(test_of(*rows)))
    assert 'class="not-first">leat is not first here' in page and f"**{text}**" in re.sub(
        r"\s+", " ", markdown)


def test_against_leat_a_paired_ratio_is_enough():
    rows = [row("leat", 8.0, 7.8, 8.2, "leat"), row("near", 7.9, 7.7, 8.1)]
    assert first_sentence(*rows)[0] == "open"
    rows[1]["to_leat"] = {"cpu_us": {"median": 0.985, "low": 0.97, "high": 0.99, "count": 7}}
    assert first_sentence(*rows)[0] == "not first"
    rows[1]["to_leat"] = {"cpu_us": {"median": 1.02, "low": 1.01, "high": 1.03, "count": 7}}
    assert first_sentence(*rows)[0] == "open", "for leat it does not count"


def test_a_figure_of_which_more_is_better():
    def fast(name, rate, role="peer"):
        one = row(name, 1, 1, 1, role)
        one["figures"]["requests_per_s"] = {"median": rate, "low": rate - 9, "high": rate + 9}
        return one
    tone, text = first_sentence(fast("leat", 1000, "leat"), fast("more", 1200),
                                order_by="requests_per_s")
    assert tone == "not first" and "more reaches about 1.20 of leat’s requests/s" in text, text


def test_one_sentence_for_several_points():
    rows = [row("leat", 8, 7.9, 8.1, "leat", label="10", x=10), row("far", 9, 8.9, 9.1, label="10"),
            row("leat", 8, 7.9, 8.1, "leat", label="20", x=20), row("far", 7, 6.9, 7.1, label="20")]
    assert first_sentence(*rows) == ("not first", "leat is not first at 20.")


def test_where_the_client_was_the_limit_it_is_said():
    rows = [row("leat", 8.0, 7.8, 8.2, "leat", client_was_limit=True), row("far", 9, 8.9, 9.1)]
    assert "The client was the limit for leat: there requests/s says nothing" in \
        " ".join(checked(report_of(test_of(*rows)))[2].text)
    rows[1]["client_was_limit"] = True
    _, text, reader = checked(report_of(test_of(*rows)))
    sentence = "The client was the limit in every row: requests/s says nothing here."
    assert sentence in " ".join(reader.text) and sentence in text


def test_columns_of_one_test_alone_are_explained():
    one = row("leat", 8.0, 7.8, 8.2, "leat")
    one["figures"]["p99_calm"] = {"median": 411, "low": 400, "high": 420, "count": 7}
    _, text, reader = checked(report_of(test_of(one)))
    for form in (" ".join(reader.text), text):
        assert "411" in form and "“p99 before” is of the same load" in form


def test_errors_are_said():
    one = row("leat", 8.0, 7.8, 8.2, "leat")
    one["figures"]["errors"] = {"median": 12, "low": 12, "high": 12, "count": 7}
    _, text, reader = checked(report_of(test_of(one)))
    assert "Errors: leat (12)." in " ".join(reader.text) and "**12**" in text


def test_hostile_titles_stay_text():
    hostile = ("<script>alert(1)</script>\"'&amp;|`*_x_*[a](javascript:b)"
               "\x00\x1b\u202e]]>\ud800\n# y")
    data = sample()
    data["tests"] = data["tests"][:3]
    for test in data["tests"]:
        test["title"] = test["what"] = hostile
        for one in test["rows"]:
            one |= {"title": hostile + one["name"], "note": hostile, "reason": hostile,
                    "source": hostile, "label": one["label"] and hostile + one["label"]}
    data["host"] = {"cpu": hostile, hostile: hostile}
    data["versions"] = {hostile: hostile}
    data["command"] = ["bench/run", hostile, "```"]
    data["lost"] = [hostile]
    for one in data["messages"]["rows"]:
        one["title"] = one["version"] = hostile
    data["messages"]["title"] = hostile
    data["witnesses"][0]["server"] = hostile
    page, text, reader = checked(data)
    assert "<script" not in page and "\u202e" not in page + text and "\x1b" not in page + text
    assert "<script>alert(1)</script>\"'&amp;|`" in " ".join(reader.text), "shown as it is"
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside and not re.search(r"(?<!\\)\]\(", outside)
    assert not re.search(r"^# y", text, re.MULTILINE)


def test_a_run_that_was_cut_short():
    data = sample()
    data |= {"interrupted": True, "quick": True, "messages": None, "witnesses": [],
             "lost": ["no network namespace: not root"]}
    data["tests"] = data["tests"][:1]
    one = data["tests"][0]["rows"][7]
    one["status"] = "interrupted"
    one["rounds"] = one["rounds"][:2]
    tables.finish(data["tests"][0]["rows"], "cpu_us")
    _, text, reader = checked(data)
    for word in ("Interrupted", "A quick run", "no network namespace: not root",
                 "Interrupted, with the rounds until then: nginx."):
        assert word in " ".join(reader.text) and word in text.replace("\n", " "), word


def test_where_nothing_ran_all_rows_are_there_with_their_reasons():
    data = sample()
    for test in data["tests"]:
        for number, one in enumerate(test["rows"]):
            one |= {"status": "not run", "reason": f"reason {number}", "figures": {}, "rank": None}
    _, text, reader = checked(data)
    for test in data["tests"]:
        for number, one in enumerate(test["rows"]):
            assert any(one["title"] in line and f"reason {number}" in line
                       for line in reader.rows), one["title"]
            assert f"reason {number}" in text
    assert "Nothing was measured here." in " ".join(reader.text)


def test_what_is_missing_or_nonsense_is_left_out():
    whole = sample()
    for key in whole:
        checked({name: value for name, value in whole.items() if name != key})
        checked(whole | {key: None})
    for data in ({}, {"tests": []}, {"tests": [{}]}, {"tests": [{"rows": [{}]}]}, {"tests": 3},
                 {"host": [], "versions": "x", "lost": 5, "messages": {}, "witnesses": {}},
                 {"tests": [test_of(row("leat", float("nan"), 1, 2, "leat"), row("b", 0, 0, 0),
                                    row("c", 1e300, 0, float("inf")), row("d", "x", None, True))]}):
        checked(data)
    rows = [row("a", 1, 1, 1), row("b", 2, 2, 2)]
    rows[0]["figures"]["new_figure"] = {"median": 5}
    rows[1] |= {"figures": {"p99": 3}, "rank": "first", "to_leat": 7, "label": None}
    _, text, _ = checked(report_of(test_of(*rows, order_by="new_figure")))
    assert "new figure" in text


def test_report_md_is_not_wide():
    prose = [line for line in written(sample())[1].splitlines() if not line.startswith("|")]
    assert max(map(len, prose)) <= 110, max(prose, key=len)
    lines = [line for line in written(sample())[1].splitlines() if line.startswith("|")]
    assert max(map(len, lines)) <= 175, max(lines, key=len)


def test_numbers_as_people_read_them():
    cases = {7.923: "7.92", 126_412: "126,000", 0.13149: "0.131", 0: "0", 999.6: "1,000",
             41: "41.0", -3.456: "-3.46"}
    for value, text in cases.items():
        assert report_facts.significant(value) == text, (value, report_facts.significant(value))
    spread = report_facts.spread({"median": 0.996, "low": 0.99, "high": 0.999})
    assert report_facts.ratio_text(spread) == "0.996 (0.990 to 0.999)"
    assert report_facts.date_text("2026-11-22T20:31:00Z") == "2026-11-22, 20:31 UTC"
    assert report_facts.duration_text(540.2) == "9 min 0 s"


def test_scales():
    assert plots.steps(9.3) == [0, 2.5, 5, 7.5, 10] and plots.steps(0) == [0, 1]
    assert plots.decades(40, 2000) == [10, 100, 1000, 10_000]
    assert plots.decades(10, 10) == [10, 100]
    for most in (0.003, 1, 7, 126_000, 3e9):
        steps = plots.steps(most)
        assert steps[-1] >= most and len(steps) <= 6, steps


def main():
    failed = 0
    for name, test in [item for item in globals().items() if item[0].startswith("test_")
                       and item[0] != "test_of"]:
        try:
            test()
        except Exception:  # whatever goes wrong in the writing is a failure, too
            failed += 1
            print(f"{name}:\n{traceback.format_exc()}")
    if len(sys.argv) > 1:
        print(*report.write(sample(), Path(sys.argv[1])))
    print(f"{failed} failed" if failed else "the report says what its data say")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
