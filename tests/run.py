#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Runs every test of leat and ends with one line: N passed, N failed, N skipped.
#
# The suites are the table SUITES below. Each single test counts (a cmocka test, a scenario of the
# simulator, a pytest case), not each program. A suite that has its folder in the tree but nothing
# to run is a failure: silence is not success. Skips are listed with their reasons. The complete
# output of everything is in BUILD/test-logs/.
"""Runs leat's tests."""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
JOBS = max(2, min(4, os.cpu_count() or 2))
TAIL_LINES = 40  # of a failed program's output

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
Result = collections.namedtuple("Result", "name verdict reason", defaults=("",))


@dataclasses.dataclass
class Suite:
    name: str
    run: callable  # (suite, options) -> list of Result
    folder: str  # no such folder in the tree: nothing to do yet
    what: str
    arguments: dict = dataclasses.field(default_factory=dict)


# ---------------------------------------------------------------------------------------- helpers


def log_path(options, suite, name):
    folder = options.build_dir / "test-logs"
    folder.mkdir(exist_ok=True)
    return folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{suite.name}-{name}") + ".log")


def execute(options, suite, name, command, env=None, timeout_s=120, cwd=ROOT):
    """Runs a program in a process group of its own; returns (exit status or None, output)."""
    environment = dict(os.environ)
    for key, value in (env or {}).items():
        if key != "LEAT_TEST_DATA":  # ours has been decided in main()
            environment[key] = value
    timeout_s *= options.timeout_multiplier
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout_s)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)  # a core or a sanitizer's report may say more
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        output += f"\n(stopped after {timeout_s:g} s)\n"
        status = None
    finally:
        try:  # what the test has left behind
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    with open(log_path(options, suite, name), "w", encoding="utf-8") as log:
        log.write("$ " + " ".join(map(str, command)) + "\n" + output + f"\n(status {status})\n")
    return status, output


def ending(status):
    if status is None:
        return "timed out"
    if status < 0:
        return f"died by {signal.Signals(-status).name}"
    return f"exit status {status}"


def tail(output):
    return "\n".join(output.rstrip().splitlines()[-TAIL_LINES:])


TAP_LINE = re.compile(r"(not )?ok\b\s*(\d+)?\s*(?:- )?(.*)")
TAP_PLAN = re.compile(r"1\.\.(\d+)\s*$")


def read_tap(program, status, output):
    """The results of a program that speaks TAP, as cmocka writes it (one plan a group)."""
    results, planned, reason, notes = [], 0, "", []
    for line in output.splitlines():
        plan = TAP_PLAN.match(line)
        if plan:
            planned += int(plan[1])
            continue
        skip_note = re.match(r"#?\s*skip(?:ped)?:\s*(.+)", line, re.IGNORECASE)
        if skip_note:
            reason = skip_note[1].strip()
            continue
        match = TAP_LINE.match(line)
        if not match:
            if line.startswith("#") and results and results[-1].verdict == FAILED:
                results[-1] = results[-1]._replace(reason=results[-1].reason + "\n" + line)
            notes.append(line)
            continue
        text = match[3].strip()
        directive = re.search(r"#\s*SKIP\b\s*(.*)", text, re.IGNORECASE)
        if directive:  # cmocka: "not ok 2 # SKIP name", the reason on a line of its own before
            name = text[:directive.start()].strip() or directive[1].strip()
            why = reason or (directive[1].strip() if directive.start() else "")
            results.append(Result(f"{program}: {name}", SKIPPED, why or "no reason given"))
        elif match[1]:
            results.append(Result(f"{program}: {text}", FAILED, "\n".join(notes[-10:])))
        else:
            results.append(Result(f"{program}: {text}", PASSED))
        reason, notes = "", []
    missing = planned - len(results)
    if missing > 0 or not results:
        for _ in range(max(1, missing)):
            name = f"{program}: a test that was not reached"
            results.append(Result(name, FAILED, ending(status)))
        results[-1] = results[-1]._replace(reason=f"{ending(status)}\n{tail(output)}")
    elif status != 0 and not any(result.verdict == FAILED for result in results):
        results.append(Result(f"{program}: its end", FAILED, f"{ending(status)}\n{tail(output)}"))
    return results


def read_exit_status(program, status, output):
    """The result of a program that says it by exit status: 0 passed, 77 skipped."""
    if status == 0:
        return [Result(program, PASSED)]
    if status == 77:
        lines = [line for line in output.splitlines() if line.strip()]
        return [Result(program, SKIPPED, lines[-1] if lines else "no reason given")]
    return [Result(program, FAILED, f"{ending(status)}\n{tail(output)}")]


def in_parallel(jobs, count=JOBS):
    """Calls the functions, `count` at a time; their results in order, in one list."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [result for results in pool.map(lambda job: job(), jobs) for result in results]


def introspect(options, what):
    """A list of what Meson knows: "tests", "benchmarks"."""
    text = subprocess.run(["meson", "introspect", f"--{what}", str(options.build_dir)],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text)


# ------------------------------------------------------------------------------------- the runners


def meson_suite(suite, options):
    """The tests that meson.build registers in a suite; cmocka programs are read test by test."""
    labels = suite.arguments.get("labels", (suite.name,))
    exclude = suite.arguments.get("exclude", ())
    tests, skipped = [], []
    for test in introspect(options, "tests") + introspect(options, "benchmarks"):
        found = {label.split(":")[-1] for label in test["suite"]}
        known = {label for other in SUITES for label in other.arguments.get("labels", ())}
        stray = suite.arguments.get("strays") and not found & known
        if found & set(labels) or stray:
            if "long" in found and not options.long:
                skipped.append(Result(test["name"], SKIPPED, "long: make test-all runs it"))
            elif not any(pathlib.Path(part).name in exclude for part in test["cmd"][:1]):
                tests.append(test)

    def job(test):
        env = dict(test["env"])
        if test["protocol"] == "tap":
            env.setdefault("CMOCKA_MESSAGE_OUTPUT", "TAP")
        status, output = execute(options, suite, test["name"], test["cmd"], env,
                                 test["timeout"] or 600, test["workdir"] or options.build_dir)
        read = read_tap if test["protocol"] == "tap" else read_exit_status
        return read(test["name"], status, output)

    alone = [test for test in tests if not test["is_parallel"] or suite.arguments.get("serial")]
    together = [test for test in tests if test not in alone]
    return (skipped + in_parallel([lambda test=test: job(test) for test in together])
            + in_parallel([lambda test=test: job(test) for test in alone], 1))


def pytest_suite(suite, options):
    """A folder of pytest files."""
    report = options.build_dir / "test-logs" / f"{suite.name}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    env = {"LEAT_BINARY": str(options.build_dir / "apps" / "leat" / "leat"),
           "LEAT_BUILD_DIR": str(options.build_dir),
           **suite.arguments.get("env", {})}
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "-rN",
               f"--junitxml={report}", *suite.arguments.get("options", ()), suite.folder]
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    status, output = execute(options, suite, "pytest", command, env,
                             suite.arguments.get("timeout_s", 300) * (6 if options.long else 1))
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return [Result("pytest", FAILED, f"{ending(status)}, no report\n{tail(output)}")]
    results = []
    for case in cases:
        name = f"{case.get('classname', '').split('.')[-1]}: {case.get('name')}"
        broken = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if broken is not None:
            results.append(Result(name, FAILED, tail(broken.text or broken.get("message", ""))))
        elif skipped is not None:
            results.append(Result(name, SKIPPED, skipped.get("message") or "no reason given"))
        else:
            results.append(Result(name, PASSED))
    if status not in (0, 1, 5):  # 5: nothing was collected; the caller calls that a failure
        results.append(Result("pytest", FAILED, f"{ending(status)}\n{tail(output)}"))
    return results


def simulator(suite, options):
    """Every scenario of the simulator under many seeds; a scenario is a test."""
    program = options.build_dir / "tests" / "sim" / "sim"
    if not program.exists():
        return [Result("sim", FAILED, f"{program} is not built")]
    status, output = execute(options, suite, "list", [program, "--list"], timeout_s=10)
    scenarios = [line.split()[0] for line in output.splitlines() if line.strip()]
    if status != 0 or not scenarios:
        return [Result("sim --list", FAILED, f"{ending(status)}\n{tail(output)}")]

    def job(scenario):
        command = [program, "--scenario", scenario, "--seeds", str(options.seeds)]
        start = time.monotonic()
        status, output = execute(options, suite, scenario, command,
                                 timeout_s=60 + options.seeds * 0.05)
        each_ms = (time.monotonic() - start) * 1000 / options.seeds
        name = f"{scenario}, {options.seeds} seeds, {each_ms:.2f} ms a seed"
        return read_exit_status(name, status, output)

    results = in_parallel([lambda scenario=scenario: job(scenario) for scenario in scenarios], 2)
    for result in results:
        print(f"  {result.name}")
    return results


def command_suite(suite, options):
    """A program that speaks TAP."""
    command = [part.format(build=options.build_dir, seconds=60 if options.long else 1,
                           requests=100000 if options.long else 2000)
               for part in suite.arguments["command"]]
    status, output = execute(options, suite, "command", command,
                             timeout_s=suite.arguments.get("timeout_s", 300) *
                             (10 if options.long else 1))
    return read_tap(suite.name, status, output)


# --------------------------------------------------------------------------------------- the table

SUITES = (
    Suite("structure", pytest_suite, "tests/structure",
          "includes, doors, style, man pages, scripts"),
    Suite("unit", meson_suite, "tests/unit", "cmocka, module by module",
          {"labels": ("unit",)}),
    Suite("sim", simulator, "tests/sim", "scenarios under many seeds", {"labels": ("sim",)}),
    Suite("sim-other", meson_suite, "tests/sim", "the simulator's own tests, planted faults",
          {"labels": ("sim", "faults"), "exclude": ("sim",), "optional": True}),
    Suite("examples", meson_suite, "examples", "every example built and exercised",
          {"labels": ("examples",)}),
    Suite("other", meson_suite, "tests", "what meson.build registers under no known suite",
          {"strays": True, "optional": True}),
    Suite("fuzz", command_suite, "tests/fuzz", "each fuzz target for some seconds",
          {"command": ("scripts/fuzz", "--tap", "{seconds}")}),
    Suite("e2e-uring", pytest_suite, "tests/e2e", "end to end on io_uring",
          {"env": {"LEAT_ENGINE": "uring"}, "timeout_s": 600}),
    Suite("e2e-epoll", pytest_suite, "tests/e2e", "end to end on epoll, at the same time",
          {"env": {"LEAT_ENGINE": "epoll"}, "timeout_s": 600, "with_previous": True}),
    Suite("differential", command_suite, "tests/differential",
          "generated requests to leat, nginx and Node: every difference is explained",
          {"command": ("tests/differential/run.py", "--tap", "--build-dir", "{build}",
                       "--requests", "{requests}")}),
    Suite("bench", meson_suite, "bench", "the benchmarks, small: do they run and hold roughly",
          {"labels": ("bench",), "serial": True}),
)


# ---------------------------------------------------------------------------------------- the front


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", default="build", type=pathlib.Path)
    parser.add_argument("--long", action="store_true", help="the long parts too")
    parser.add_argument("--only", default="",
                        help="names of suites or beginnings of them, with commas: unit,sim,e2e")
    parser.add_argument("--seeds", type=int, default=0,
                        help="of each scenario (default: 2000, 100000 with --long)")
    parser.add_argument("--timeout-multiplier", type=float, default=1, help="for sanitizers")
    parser.add_argument("--list", action="store_true", help="show the suites")
    options = parser.parse_args()
    options.seeds = options.seeds or (100000 if options.long else 2000)
    options.build_dir = options.build_dir.resolve()
    return options


def chosen_suites(only):
    wanted = [word for word in only.split(",") if word]
    for word in wanted:
        if not any(suite.name.startswith(word) for suite in SUITES):
            names = ", ".join(suite.name for suite in SUITES)
            sys.exit(f"run.py: no suite called '{word}'; there are {names}")
    return [suite for suite in SUITES
            if not wanted or any(suite.name.startswith(word) for word in wanted)]


def is_empty(folder):
    """True for a folder that holds nothing but build files: it announces tests, has none yet."""
    files = [path for path in (ROOT / folder).rglob("*")
             if path.is_file() and path.suffix in (".c", ".py", ".sh")
             and "__pycache__" not in path.parts]
    return not files


def build_tests(options):
    """Test programs are not part of the default target, so that users need not wait for them."""
    command = ["ninja", "-C", str(options.build_dir), "--quiet", "all", "meson-test-prereq",
               "meson-benchmark-prereq"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if result.returncode != 0 or "warning:" in result.stdout:
        print(result.stdout, flush=True)
    return result.returncode


def print_failures(results):
    """All names first, then why: a log that is cut somewhere still names every test that failed."""
    failures = [result for result in results if result.verdict == FAILED]
    for result in failures:
        print(f"  FAILED {result.name}")
    for result in failures:
        print(f"  {result.name}:")
        for line in result.reason.strip().splitlines():
            print(f"    {line}")
    sys.stdout.flush()


def run_suite(suite, options):
    """(suite, its results, seconds)"""
    start = time.monotonic()
    try:
        results = suite.run(suite, options)
    except Exception as error:  # a runner that breaks is a failure, not the end of the rest
        results = [Result("its runner", FAILED, repr(error))]
    if not results and not suite.arguments.get("optional"):
        results = [Result("the suite", FAILED, f"{suite.folder}/ is in the tree, but nothing "
                          "was run: does meson.build register its tests in this suite?")]
    return suite, results, time.monotonic() - start


def run_all(suites, options):
    """What run_suite says of each, as it comes. End to end tests mostly wait, for players and for
    what is late on purpose: those of one engine fill the pauses of the other's."""
    groups = []
    for suite in suites:
        if not (ROOT / suite.folder).is_dir() or is_empty(suite.folder):
            print(f"{suite.name:<12} not in the tree yet", flush=True)
        elif groups and suite.arguments.get("with_previous"):
            groups[-1].append(suite)
        else:
            groups.append([suite])
    for group in groups:
        with concurrent.futures.ThreadPoolExecutor(len(group)) as pool:
            for suite, results, seconds in pool.map(lambda one: run_suite(one, options), group):
                if results:
                    yield suite, results, seconds


def main():
    options = parse_arguments()
    os.chdir(ROOT)
    if options.list:
        for suite in SUITES:
            print(f"{suite.name:<12} {suite.what}")
        return 0
    suites = chosen_suites(options.only)
    if not (options.build_dir / "build.ninja").exists():
        sys.exit(f"run.py: {options.build_dir} is not a build folder; make build makes one")
    os.environ["LEAT_TEST_DATA"] = str(
        pathlib.Path(os.environ.get("LEAT_TEST_DATA", "../shared")).resolve())
    if options.long:
        os.environ["LEAT_LONG"] = "1"
    total = collections.Counter()
    everything = []
    if build_tests(options) != 0:
        everything.append(("build", Result("the tests", FAILED, "they do not build")))
        total[FAILED] += 1
        suites = []

    start_all = time.monotonic()
    for suite, results, seconds in run_all(suites, options):
        count = collections.Counter(result.verdict for result in results)
        total += count
        everything += [(suite.name, result) for result in results]
        print(f"{suite.name:<12} {count[PASSED]:5} passed {count[FAILED]:4} failed "
              f"{count[SKIPPED]:4} skipped {seconds:8.1f} s", flush=True)
        print_failures(results)

    for verdict, title in ((SKIPPED, "Skipped:"), (FAILED, "Failed:")):
        lines = [f"  {name} {result.name}" + (f": {result.reason}" if verdict == SKIPPED else "")
                 for name, result in everything if result.verdict == verdict]
        if lines:
            print(title)
            print("\n".join(lines))
    print(f"Total time {time.monotonic() - start_all:.0f} s")
    print(f"{total[PASSED]} passed, {total[FAILED]} failed, {total[SKIPPED]} skipped", flush=True)
    return 1 if total[FAILED] or not total[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main())
