#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does bench/run measure what it says, and survive what it meets? Its arithmetic, and whole runs:
two peers, peers that fail in every way there is, Ctrl-C, a user without rights, one core.

    bench/test_run.py BUILD_FOLDER

Exit status: 0 it does, 1 not, 77 nothing could be tried here."""
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

from lab import check, compare, plan, tables, witness

BUILD = Path(sys.argv[1]).resolve()
RUN = Path(__file__).resolve().parent / "run"
NOBODY = 65534
FIGURES = ("requests_per_s", "bytes_per_s", "p50", "p90", "p99", "p99.9", "max", "cpu_us",
           "cpu_user_us", "cpu_system_us", "cpu_percent", "cpu_us_per_mib", "peak_bytes",
           "server_core_percent", "client_core_percent", "client_cpu_us", "errors")
BARE = '"{bin}/bare_epoll {port} {dir}"'
ANSWERS = '{"small": ("/1k", "memory"), "large": ("/1m", "file")}'
PEER = """
from lab.peer import Missing, Peer, Row
def build(workshop):
    %s
PEER = Peer("%s", "a title", [Row("%s", "a row", %s, %s)], packages=["such-a-package"],
            build=build)
"""
SERVER = '"/usr/bin/python3 -c \\"exec(open(\'%s\').read())\\" {port}"'
KIB = ("leat carries water to a mill\n" * 64)[:1024]  # 1k.txt
# What a server may do wrong, as the head and body it answers with.
WRONG_ANSWERS = {
    "other-bytes": ("200 OK", "Date: now\r\nContent-Length: 4\r\n", "four"),
    "not-found": ("404 Not Found", "Date: now\r\nContent-Length: 4\r\n", "four"),
    "no-date": ("200 OK", "Content-Length: {size}\r\n", "{body}")}


def run(*arguments, limit_s=60, prefix=(), **options):
    return subprocess.run([*prefix, RUN, "--build", BUILD, *arguments], capture_output=True,
                          text=True, timeout=limit_s, stdin=subprocess.DEVNULL, **options)


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def rows_of(report, test="small"):
    (found,) = [stored for stored in report["tests"] if stored["name"] == test]
    return {row["name"]: row for row in found["rows"]}


# -- arithmetic

def row(name, values, role="peer", key="cpu_us", label=""):
    return {"name": name, "role": role, "status": "ok", "label": label,
            "rounds": [{key: value} for value in values]}


def test_who_overlaps_is_not_told_apart():
    rows = tables.finish([row("a", [10, 11, 12]), row("b", [12, 13, 14]), row("c", [20, 21, 22]),
                          row("limit", [1, 1, 1], "limit")], "cpu_us")
    assert [one["rank"] for one in rows] == [[1, 2], [1, 2], [3, 3], None], rows
    rows = tables.finish([row("a", [10, 11, 12], key="requests_per_s"),
                          row("b", [20, 21, 22], key="requests_per_s")], "requests_per_s")
    assert [one["rank"] for one in rows] == [[2, 2], [1, 1]], rows


def test_two_rounds_rank_nobody():
    rows = tables.finish([row("a", [1, 1]), row("b", [9, 9])], "cpu_us")
    assert [one["rank"] for one in rows] == [[1, 2], [1, 2]], rows


def test_points_are_ranked_apart():
    rows = tables.finish([row("a", [1, 1, 1], label="50 %"), row("b", [2, 2, 2], label="50 %"),
                          row("a", [3, 3, 3], label="90 %")], "cpu_us")
    assert [one["rank"] for one in rows] == [[1, 1], [2, 2], [1, 1]], rows


def test_ratios_are_of_one_round():
    """Drift hits both sides of a pair: absolute figures scatter, ratios do not."""
    rows = tables.finish([row("a", [10, 20, 40]), row("leat", [5, 10, 20], "leat"),
                          row("slow leat", [6, 12, 24], "leat"),
                          row("limit", [4, 8, 16], "limit")], "cpu_us")
    assert rows[0]["to_leat"]["cpu_us"] == {"median": 2, "low": 2, "high": 2, "count": 3}, rows[0]
    assert rows[0]["to_limit"]["cpu_us"]["high"] == 2.5, rows[0]


def test_cpu_is_divided_by_all_rounds_samples():
    rounds = [{"cpu_us": 10, "cpu_user": 0, "cpu_system": 1},
              {"cpu_us": 10, "cpu_user": 1, "cpu_system": 2}]
    figures = tables.summarize(rounds)
    assert figures["cpu_user_us"]["median"] == 2.5 and "cpu_user" not in figures, figures
    assert figures["cpu_system_us"]["median"] == 7.5, figures


def test_errors_add_up_and_the_worst_stays():
    figures = tables.summarize([{"errors": 1, "max": 5}, {"errors": 2, "max": 9}])
    assert figures["errors"]["median"] == 3 and figures["max"]["median"] == 9, figures


def test_the_plan_keeps_its_time():
    """With twenty rows a table, and with thirty. What is beside the tests takes a minute."""
    options = types.SimpleNamespace(quick=False, rounds=None, seconds=None)
    for count in (20, 30):
        times = {}
        for test in plan.TESTS:
            turns = 10 if test.name == "waiting" else count * len(test.points)
            shape = plan.shape(test, [1.0] + [0.2] * (turns - 1), options)
            times[test.name] = shape.rounds * shape.round_s
        assert times["small"] + times["large"] < 560, times
        assert sum(times.values()) < 2300, (count, sum(times.values()), times)
    shape = plan.shape(plan.TESTS[0], [0.2] * 22, options)
    assert shape.rounds >= 9 and shape.rounds * shape.seconds >= 10, shape
    options.rounds, options.seconds = 3, 0.5
    shape = plan.shape(plan.TESTS[0], [0.2] * 90, options)
    assert (shape.rounds, shape.seconds) == (3, 0.5), shape


def test_the_witnesses_are_understood():
    wrk = ("  Latency Distribution\n     50%  413.00us\n     75%  1.2ms\n     90%  2.00ms\n"
           "     99%    1.05s\n  154321 requests in 1.10s, 180MB read\n"
           "  Socket errors: connect 0, read 2, write 1, timeout 0\n"
           "  Non-2xx or 3xx responses: 4\nRequests/sec: 140292.2\n")
    assert witness.read_wrk(wrk) == {"requests": 154321, "requests_per_s": 140292.2, "errors": 7,
                                     "p50": 413, "p99": 1050000}, witness.read_wrk(wrk)
    h2load = ("finished in 1.00s, 122012.00 req/s, 139.2MB/s\nrequests: 122012 total, 122076 "
              "started, 122012 done, 122012 succeeded, 0 failed\n")
    assert witness.read_h2load(h2load) == {"requests": 122012, "requests_per_s": 122012,
                                           "errors": 0}


def test_an_answer_is_looked_at():
    response = types.SimpleNamespace(status=200, version=11, headers={
        "Content-Length": "2", "Date": "now"})
    response.getheader = response.headers.get
    assert check.complaint(response, b"ab", b"ab") == ""
    assert "other bytes" in check.complaint(response, b"ac", b"ab")
    del response.headers["Content-Length"]
    assert check.complaint(response, b"ab", b"ab") == "no Content-Length"


def test_two_reports_are_compared():
    def store(path, ratio):
        spread = {"median": ratio, "low": ratio - 0.1, "high": ratio + 0.1, "count": 7}
        path.write_text(json.dumps({"tests": [{"name": "small", "order_by": "cpu_us", "rows": [
            row("a", []) | {"to_limit": {"cpu_us": spread}}]}]}))
        return path
    with tempfile.TemporaryDirectory() as folder:
        one, two, far = (store(Path(folder, f"{ratio}.json"), ratio) for ratio in (1.0, 1.15, 1.3))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert compare.main(one, two) == 0
            assert compare.main(one, far) == 1
        assert said.getvalue().count("APART") == 1, said.getvalue()
        done = run("--compare", one, Path(folder, "nothing.json"))
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done


# -- whole runs

def test_names_that_nobody_has():
    for flag, name in (("--peers", "ngnix"), ("--test", "smal"), ("--rounds", "0")):
        done = run(flag, name)
        assert done.returncode == 2 and done.stdout == "", done
        assert len(done.stderr.splitlines()) == 1 and name in done.stderr, done


def check_spread(spread):
    assert spread["low"] <= spread["high"] and spread["count"] >= 1, spread


def test_quick(folder):
    start = time.monotonic()
    done = run("--quick", "--peers", "leat,nginx,bare_epoll", "--out", folder)
    assert done.returncode == 0, done
    assert time.monotonic() - start < 60
    report = report_of(folder)
    assert report["format"] == "leat bench 1" and report["quick"] and not report["interrupted"]
    assert report["host"]["cores"] and re.match(r"\d+\.\d+", report["versions"]["leat"]), report
    assert [test["name"] for test in report["tests"]] == ["small", "large"]
    for test in report["tests"]:
        rows = rows_of(report, test["name"])
        assert {"leat-epoll", "nginx", "bare_epoll"} <= rows.keys(), rows.keys()
        for one in rows.values():
            assert one["status"] in ("ok", "not run") and one["source"] in ("memory", "file"), one
        epoll = rows["leat-epoll"]
        assert epoll["status"] == "ok" and epoll["role"] == "leat", epoll["reason"]
        assert set(FIGURES) <= epoll["figures"].keys(), set(FIGURES) - epoll["figures"].keys()
        for spread in epoll["figures"].values():
            check_spread(spread)
        assert epoll["figures"]["errors"]["median"] == 0, epoll["figures"]["errors"]
        assert 0.2 < epoll["to_limit"]["cpu_us"]["median"] < 10, epoll["to_limit"]
        assert rows["bare_epoll"]["to_limit"]["cpu_us"]["median"] == 1
    assert report["messages"]["rows"] and report["witnesses"][0]["rows"], report["messages"]
    assert (folder / "report.html").stat().st_size > 1000 and (folder / "report.md").exists()


def write_peer(folder, name, command, build="pass", answers=ANSWERS):
    (folder / f"{name.replace('-', '_')}.py").write_text(
        PEER % (build, name, name, command, answers))


def write_wrong_server(folder, name):
    """A server that answers every request in one way."""
    status, fields, body = WRONG_ANSWERS[name]
    source = folder / f"{name}.txt"
    text = f"HTTP/1.1 {status}\r\n{fields}\r\n{body}"
    source.write_text(
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n"
        "    client = listener.accept()[0]\n"
        "    while client.recv(65536):\n"
        f"        client.sendall({text.format(size=1024, body=KIB)!r}.encode())\n")
    write_peer(folder, name, SERVER % source)


def test_peers_that_fail(folder):
    """Each is a row with its reason, and the good one is measured all the same."""
    peers = folder / "peers"
    peers.mkdir()
    (peers / "not_python.py").write_text("this is no Python\n")
    (peers / "no_peer.py").write_text("import lab.peer\n")
    write_peer(peers, "not-to-be-had", BARE, "raise Missing('crate not available here')")
    write_peer(peers, "not-compiled", BARE, "workshop.compile(['sh', '-c', 'echo oh dear >&2; "
               "exit 1'])")
    write_peer(peers, "bug-in-build", BARE, "None + 1")
    write_peer(peers, "not-installed", '"no-such-program-at-all"')
    write_peer(peers, "not-starting", '"false"')
    write_peer(peers, "bug-in-command", '"{bin}/bare_epoll {no_such_word}"')
    for name in WRONG_ANSWERS:
        write_wrong_server(peers, name)
    write_peer(peers, "good", BARE)
    done = run("--peers-from", peers, "--test", "small", "--rounds", "1", "--seconds", "0.2",
               "--out", folder)
    assert done.returncode == 0, done
    rows = rows_of(report_of(folder))
    assert rows["good"]["status"] == "ok" and rows["good"]["figures"], rows["good"]
    reasons = {name: one["reason"] for name, one in rows.items() if one["status"] == "not run"}
    for name, words in {"not_python": "not_python.py", "no_peer": "PEER", "not-to-be-had":
                        "crate not available here", "not-compiled": "oh dear",
                        "bug-in-build": "unsupported operand", "not-installed": "such-a-package",
                        "not-starting": "does not run", "bug-in-command": "no_such_word",
                        "other-bytes": "other bytes", "not-found": "404",
                        "no-date": "no Date"}.items():
        assert words in reasons.pop(name), (name, rows[name]["reason"])
        assert rows[name]["figures"] == {} and rows[name]["rank"] is None, rows[name]
    assert not reasons, reasons
    for path in (BUILD / "bench" / "peers").iterdir():
        with contextlib.suppress(OSError):
            path.rmdir()  # what was to be built in is empty


def leftovers(pid):
    """Control groups, folders and processes of a laboratory that has ended."""
    roots = [Path(name) for name in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup", BUILD / "bench")]
    found = [path for root in roots for path in root.glob(f"leat-lab-{pid}-*")]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"leat-lab-{pid}-".encode() in path.read_bytes():
                found.append(path)
    return found


def test_interrupted(folder):
    """The rows so far are in the report, and nothing stays behind."""
    process = subprocess.Popen([RUN, "--build", BUILD, "--test", "small,large", "--peers", "bare",
                                "--rounds", "500", "--seconds", "0.2", "--out", folder],
                               stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while time.monotonic() < until and not (folder / "report.json").exists():
        time.sleep(0.1)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted" in errors, (process.returncode, errors)
    report = report_of(folder)
    assert report["interrupted"] and [test["name"] for test in report["tests"]] == ["small"]
    rows = rows_of(report)
    assert rows["bare_epoll"]["status"] == "interrupted", rows["bare_epoll"]
    assert rows["bare_epoll"]["figures"]["cpu_us"]["count"] >= 1
    assert not leftovers(process.pid), leftovers(process.pid)


def test_without_rights(folder):
    """Another user: no namespace, no control groups; it says so, and runs on the host's network."""
    if os.geteuid() != 0:
        return
    folder.chmod(0o777)
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*prefix, BUILD / "apps" / "leat" / "leat", "load"], capture_output=True,
                      check=False).returncode != 2:
        print("test_without_rights: the build folder is not open to others, not tried")
        return
    done = run("--test", "small", "--rounds", "1", "--seconds", "0.3", "--peers", "bare,leat",
               "--out", folder, prefix=prefix)
    assert done.returncode == 0, done
    report = report_of(folder)
    lost = " ".join(report["lost"])
    assert "no network namespace" in lost and "not" in lost and "no control group" in lost, lost
    assert rows_of(report)["bare_epoll"]["figures"]["cpu_us"]["median"] > 0.5, report
    assert rows_of(report)["leat-epoll"]["status"] == "ok", rows_of(report)["leat-epoll"]


def test_one_core(folder):
    core = min(os.sched_getaffinity(0))
    done = run("--test", "small", "--rounds", "1", "--seconds", "0.2", "--peers", "bare_epoll",
               "--out", folder, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    assert done.returncode == 0, done
    report = report_of(folder)
    assert "one core only" in " ".join(report["lost"]), report["lost"]
    assert rows_of(report)["bare_epoll"]["status"] == "ok", report


def main():
    failed = 0
    for name, test in [item for item in globals().items() if item[0].startswith("test_")]:
        with tempfile.TemporaryDirectory(prefix="leat-run-") as folder:
            try:
                test(*[Path(folder)] * test.__code__.co_argcount)
            except (AssertionError, KeyError, OSError, ValueError,
                    subprocess.SubprocessError) as error:
                failed += 1
                print(f"{name}: {error!r}")
    print(f"{failed} failed" if failed else "bench/run does what it should")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
