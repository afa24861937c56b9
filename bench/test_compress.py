#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tests of what bench/compress.py measures with, and of what it concludes from the figures.

    bench/test_compress.py BIN
"""
import contextlib
import gzip
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

from lab import compress_deliver, compress_judge, compress_price, compress_texts, laboratory

BIN = Path(sys.argv[1])
LIMIT_S = 10
TEXT = b"so much water, so much to mill\n" * 400


def expect_fault(function, *arguments):
    try:
        function(*arguments)
    except (laboratory.Fault, laboratory.Skip):
        return
    raise AssertionError(f"{function.__name__} took what is wrong")


# -- the judgement


def times(**changed):
    """Two texts of a kind each, three rounds, in ns."""
    found = {"a": {"auto": [10, 11, 12], "off": [40, 40, 40], "gzip-1": [10, 10, 10]},
             "b": {"auto": [100, 100, 900], "off": [100, 100, 100], "gzip-1": [300, 300, 300]}}
    for name, by_policy in changed.items():
        found[name] |= by_policy
    return found


KINDS = {"a": "text", "b": "picture"}


def test_the_best_is_of_each_kind():
    found = compress_judge.judge(times(), KINDS, 1.05)
    assert {kind: verdict["best"] for kind, verdict in found.items()} == \
        {"text": "gzip-1", "picture": "off", "all": "off"}
    assert found["text"]["ratio"] == 1.1
    assert found["picture"]["ratio"] == 1.0, "a median, for a hiccup is no policy's fault"
    assert found["all"]["ns"] == {"auto": 111, "off": 140, "gzip-1": 310}
    assert found["all"]["ratio"] == 111 / 140, "one choice for all is worse than one for each"


def test_targets_are_missed_when_the_interval_excludes_them():
    found = compress_judge.judge(times(a={"auto": [12, 12, 12]}), KINDS, 1.05)
    assert found["text"]["interval"] == [1.2, 1.2] and not found["text"]["met"]
    found = compress_judge.judge(times(a={"auto": [9, 12, 12]}), KINDS, 1.05)
    assert found["text"]["ratio"] == 1.2 and found["text"]["interval"][0] == 0.9
    assert found["text"]["met"]


def test_on_a_busy_core_what_was_put_aside_counts():
    found = compress_judge.judge(times(), KINDS, 1.1, statistics.fmean)
    assert round(found["picture"]["ratio"], 3) == 3.667 and found["picture"]["interval"][0] == 1


def test_regrets_have_the_greatest_first():
    found = compress_judge.regrets(times())
    assert [(loss, name, best) for loss, _, name, best in found] == \
        [(1, "a", "gzip-1"), (0, "b", "off")]


def test_the_same_ratio_is_the_cheapest_that_sends_no_more():
    def side(cpu, size):
        return [{"text": {"cpu_us": cpu, "bytes": size}}] * 3

    figures = {compress_price.NGINX: side(100, 1000), "gzip-4": side(40, 1010),
               "gzip-5": side(60, 1000), "gzip-6": side(80, 990), "br-4": side(10, 1100)}
    assert compress_price.same_ratio(figures, ["text"], "gzip") == "gzip-5"
    assert compress_price.same_ratio(figures, ["text"], "br") is None


# -- the texts and the plan


@contextlib.contextmanager
def corpus():
    before = os.environ.get("LEAT_TEST_DATA")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "corpus").mkdir()
        (Path(folder) / "corpus" / "of__page.html").write_bytes(TEXT)
        os.environ["LEAT_TEST_DATA"] = folder
        yield
    if before is None:
        del os.environ["LEAT_TEST_DATA"]
    else:
        os.environ["LEAT_TEST_DATA"] = before


def test_texts_are_found_and_cut():
    with corpus():
        assert compress_texts.find("corpus/of__page.html") == ("page.html", TEXT)
        assert compress_texts.find("40:corpus/of__page.html") == ("page.html[:40]", TEXT[:40])
        assert compress_texts.find("corpus/none|corpus/of__page.html")[0] == "page.html"
        assert compress_texts.find("corpus/none") is None
        expect_fault(compress_texts.choose, SimpleNamespace(say=print), True)
    assert compress_texts.media_type("page.html[:40]") == "text/html"
    assert compress_texts.media_type("sum") == "application/octet-stream"


def test_plans_have_each_text_by_each_policy_once():
    texts = [compress_texts.Text(name, "", "", b"") for name in "abc"]
    course = compress_deliver.Course(None, None, texts, None, seed=1)
    turns, other = course.plan(), course.plan()
    assert turns != other
    for plan in (turns, other):
        count = len(compress_deliver.POLICIES)
        assert [policy for policy, _ in plan[:count]] == compress_deliver.POLICIES
        assert len({number for _, number in plan[:count]}) == 1, "the same text for all"
        assert sorted(plan[count:]) == sorted((policy, number) for number in range(3)
                                              for policy in compress_deliver.POLICIES)


def test_settings():
    def settings(**changed):
        return compress_deliver.settings(SimpleNamespace(
            **{"quick": False, "rounds": compress_deliver.ROUNDS, "rates": None, "core": "both"}
            | changed))

    assert settings(rates=[10]) == [(10, False, 3), (10, True, 2)]
    assert settings(rates=[1000], core="busy", rounds=5) == [(1000, True, 7)]
    assert settings(quick=True) == [(100, False, 2), (1000, False, 2), (1000, True, 2)]


def test_answers_are_compared():
    course = compress_deliver.Course(None, None, [], None, seed=1)
    text = compress_texts.Text("a", "", "", TEXT)
    fine = {"coding": "gzip", "plain": len(TEXT), "crc": zlib.crc32(TEXT)}
    course.check("gzip-1", text, fine)
    expect_fault(course.check, "gzip-1", text, fine | {"crc": 1})
    expect_fault(course.check, "off", text, fine)


# -- deliver


def serve(listener, answers):
    """Each answer, a list of pieces, to one request; then it hangs up."""
    client, _ = listener.accept()
    with client:
        for pieces in answers:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            for piece in pieces:
                client.sendall(piece)
        client.shutdown(socket.SHUT_WR)


def deliver(*answers, flags=("-d",)):
    """What deliver says to these answers: (status, [what it printed])."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            tempfile.NamedTemporaryFile("w") as plan:
        plan.write("3 /a\n" * len(answers))
        plan.flush()
        threading.Thread(target=serve, args=(listener, answers), daemon=True).start()
        address = "%s:%d" % listener.getsockname()
        done = subprocess.run([BIN / "deliver", *flags, address, plan.name], capture_output=True,
                              text=True, timeout=LIMIT_S)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def head(*fields):
    return "\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""]).encode()


def chunked(data, size):
    pieces = [b"%x\r\n%s\r\n" % (len(data[at:at + size]), data[at:at + size])
              for at in range(0, len(data), size)]
    return b"".join(pieces) + b"0\r\n\r\n"


def test_deliver_reads_answers_of_all_shapes():
    coded = gzip.compress(TEXT)
    whole = head("content-length: %d" % len(TEXT)) + TEXT
    streamed = head("Content-Encoding: gzip", "Transfer-Encoding: chunked") + chunked(coded, 7)
    status, found = deliver([whole], [streamed], [bytes([byte]) for byte in streamed],
                            [head("Content-Length: 0")])
    assert status == 0 and len(found) == 4
    for answer, coding, body in zip(found, ("", "gzip", "gzip"),
                                    (len(TEXT), len(coded), len(coded))):
        assert answer["status"] == 200 and answer["connection"] == 3 and answer["path"] == "/a"
        assert answer["coding"] == coding and answer["body"] == body
        assert answer["plain"] == len(TEXT) and answer["crc"] == zlib.crc32(TEXT)
        assert 0 < answer["first_ns"] <= answer["ns"]
    assert found[0]["received"] == len(whole) and found[1]["received"] == len(streamed)
    assert found[3]["body"] == 0


def test_deliver_takes_no_answer_that_is_none():
    coded = gzip.compress(TEXT)
    for wrong in ([head("Content-Length: 9") + b"short"], [b"HTTP/1.1 200"],
                  [head("Content-Length: 2") + b"longer"],
                  [head("Content-Length: 5", "Content-Encoding: gzip") + b"plain"],
                  [head("Content-Length: 9", "Content-Encoding: gzip") + coded[:9]],
                  [head("Content-Length: 2", "Content-Encoding: other") + b"ab"]):
        assert deliver(wrong)[0] == 1, wrong
    # Who does not ask for it to be decoded does not see that.
    status, found = deliver([head("Content-Length: 5", "Content-Encoding: gzip") + b"plain"],
                            flags=())
    assert status == 0 and "crc" not in found[0]


def test_deliver_wants_a_plan():
    for plan in ("1\n", "one /a\n", "64 /a\n"):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(plan)
            file.flush()
            done = subprocess.run([BIN / "deliver", "127.0.0.1:1", file.name],
                                  capture_output=True, text=True, timeout=LIMIT_S)
            assert done.returncode == 1 and done.stderr.strip(), plan
    assert subprocess.run([BIN / "deliver"], capture_output=True).returncode == 2


def test_the_burner_takes_its_share():
    burner = Path(compress_deliver.__file__).with_name("burner.py")
    with subprocess.Popen([sys.executable, burner, "0.3"]) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.6)
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        process.terminate()
    seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    assert 0.02 < seconds < 0.4, seconds


def main():
    failures = []
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        try:
            test()
        except (AssertionError, laboratory.Fault, OSError, subprocess.TimeoutExpired) as error:
            failures.append(f"{name}: {error!r}")
    print("\n".join(failures + [f"{len(failures)} failed" if failures
                                else "compress.py sees what it should"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
