# SPDX-License-Identifier: MIT
"""The scripts around the project: install-deps in a pretended system, run.py's arithmetic."""

import importlib.util
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALL = ROOT / "scripts" / "install-deps"
NPM_FOLDERS = ("web", "tests/e2e")


@pytest.fixture(name="system")
def pretended_system(tmp_path):
    """A Debian 12 with apt, dpkg-query and id of our own: runs install-deps, returns what was
    called."""
    log, tools = tmp_path / "log", tmp_path / "bin"
    tools.mkdir()
    release = tmp_path / "os-release"
    npm = tmp_path / "npm"
    for folder in NPM_FOLDERS:
        (npm / folder / "node_modules").mkdir(parents=True)

    def run(*groups, installed=(), distribution="debian", version="12", uid=0, apt_status=0,
            npm_status=0, has_packages=True):
        for folder in NPM_FOLDERS:
            (npm / folder / "package-lock.json").write_text("a lock")
            if has_packages:
                (npm / folder / "node_modules" / ".installed-lock.json").write_text("a lock")
        release.write_text(f'ID={distribution}\nVERSION_ID="{version}"\n')
        log.write_text("")
        lines = "".join(f"installed {name}\\n" for name in installed)
        for name, text in {
                "dpkg-query": f"printf '{lines}'; exit 1",
                "apt-get": f'echo "apt-get $*" >>{log}; exit {apt_status}',
                "npm": f'echo "${{PWD#{npm}/}}: npm $*" >>{log}; exit {npm_status}',
                "sudo": f'echo "sudo $1" >>{log}; [ "$1" = -n ] && shift; exec "$@"',
                "id": f"echo {uid}"}.items():
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "LEAT_OS_RELEASE": str(release),
                       "LEAT_NPM_ROOT": str(npm)}
        result = subprocess.run([INSTALL, *groups], env=environment, capture_output=True, text=True,
                                timeout=20, stdin=subprocess.DEVNULL, check=False)
        return result, log.read_text().splitlines()
    return run


def packages(*groups):
    text = subprocess.run([INSTALL, "--list", *groups], check=True, capture_output=True,
                          text=True).stdout
    return [line.split()[0] for line in text.splitlines()]


def test_nothing_missing_asks_apt_nothing(system):
    result, calls = system("all", installed=packages("all"))
    assert (result.returncode, result.stdout, result.stderr, calls) == (0, "", "", [])


def test_what_is_missing_is_named_with_its_purpose_and_installed_once(system):
    result, calls = system("run", "test", installed=set(packages("test")) - {"meson", "ffmpeg"})
    assert result.returncode == 0
    assert re.search(r"^  meson +the build system$", result.stdout, re.MULTILINE)
    assert re.search(r"^  ffmpeg +makes", result.stdout, re.MULTILINE)
    assert len(calls) == 2 and calls[0].endswith(" update")
    assert calls[1].endswith(" install -y --no-install-recommends meson ffmpeg")


def test_a_user_installs_through_sudo(system):
    result, calls = system("run", uid=1000)
    assert result.returncode == 0 and calls[0].startswith("sudo")


def test_apt_that_fails_is_said_so(system):
    result, _ = system("run", apt_status=100)
    assert result.returncode == 1 and "apt-get update failed" in result.stderr


def test_packages_of_npm_come_once_with_the_group_that_needs_them(system):
    installed = packages("all")
    assert system("lint", installed=installed, has_packages=False)[1] == []
    result, calls = system("run", installed=installed, has_packages=False)
    assert result.returncode == 0 and len(calls) == 1 and calls[0].startswith("web: npm ci ")
    result, calls = system("test", installed=installed, has_packages=False)
    assert result.returncode == 0 and len(calls) == 1 and calls[0].startswith("tests/e2e: npm ci ")
    assert system("test", installed=installed, has_packages=False)[1] == []


def test_no_registry_of_npm_is_no_failure_and_not_asked_with_each_build(system):
    result, calls = system("test", installed=packages("all"), has_packages=False, npm_status=1)
    assert result.returncode == 0 and len(calls) == 2
    assert "web: leat will have its plain pages" in result.stderr
    assert "tests/e2e: the tests that need its packages will be skipped" in result.stderr
    result, calls = system("test", installed=packages("all"), has_packages=False, npm_status=1)
    assert (result.returncode, result.stderr, calls) == (0, "", [])


@pytest.mark.parametrize("distribution, version", [("fedora", "40"), ("debian", "11"), ("", "")])
def test_elsewhere_it_lists_by_purpose_and_stops(system, distribution, version):
    result, calls = system("test", distribution=distribution, version=version)
    assert result.returncode == 2 and calls == []
    for package in packages("test"):
        assert re.search(rf"^  {re.escape(package)} +\S", result.stderr, re.MULTILINE)


def test_make_run_installs_nothing_that_only_tests_need():
    for package in ("chromium", "ffmpeg", "nginx-light", "libcmocka-dev", "clang"):
        assert package in packages("test") and package not in packages("run")
    assert set(packages("run")) < set(packages("test")) < set(packages("all"))


def test_an_unknown_group_is_refused(system):
    result, calls = system("everything")
    assert result.returncode == 2 and calls == [] and result.stderr.count("\n") == 1


@pytest.fixture(name="runner", scope="module")
def load_runner():
    spec = importlib.util.spec_from_file_location("runner", ROOT / "tests" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TAP = """1..4
noise of the test
ok 1 - works
skip: no such kernel
not ok 2 # SKIP needs_more
not ok 3 - breaks
# 0x1 != 0x2
"""


def verdicts(results):
    return [result.verdict for result in results]


def test_tap_of_cmocka_is_read(runner):
    results = runner.read_tap("unit", 1, TAP + "ok 4 - last\n")
    assert verdicts(results) == ["passed", "skipped", "failed", "passed"]
    assert results[1].name == "unit: needs_more" and results[1].reason == "no such kernel"
    assert "0x1 != 0x2" in results[2].reason


def test_tap_of_others_is_read(runner):
    results = runner.read_tap("fuzz", 0, "1..2\nok 1 - a\nok 2 - b # SKIP no clang\n")
    assert verdicts(results) == ["passed", "skipped"]
    assert results[1].name == "fuzz: b" and results[1].reason == "no clang"


def test_tests_that_were_not_reached_have_failed(runner):
    assert verdicts(runner.read_tap("unit", -11, TAP)) == ["passed", "skipped", "failed", "failed"]
    results = runner.read_tap("unit", -11, "")
    assert verdicts(results) == ["failed"] and "SIGSEGV" in results[0].reason


def test_a_bad_end_after_good_tests_is_a_failure(runner):
    results = runner.read_tap("unit", 23, "1..1\nok 1 - a\nLeakSanitizer: detected memory leaks\n")
    assert verdicts(results) == ["passed", "failed"] and "LeakSanitizer" in results[1].reason


def test_groups_add_up(runner):
    assert verdicts(runner.read_tap("unit", 0, "1..1\nok 1 - a\n# ok - g\n1..1\nok 1 - b\n")) == \
        ["passed", "passed"]


def test_exit_statuses_are_read(runner):
    assert verdicts(runner.read_exit_status("x", 0, "")) == ["passed"]
    assert verdicts(runner.read_exit_status("x", 1, "")) == ["failed"]
    assert verdicts(runner.read_exit_status("x", None, "")) == ["failed"]
    assert runner.read_exit_status("x", 77, "needs root\n")[0].reason == "needs root"


def test_names_of_failures_come_before_their_reasons(runner, capsys):
    long = "\n".join(f"line {number}" for number in range(50))
    runner.print_failures([runner.Result("one", "failed", long), runner.Result("two", "passed"),
                           runner.Result("three", "failed", "why")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["  FAILED one", "  FAILED three", "  one:"]
    assert lines[-2:] == ["  three:", "    why"] and "two" not in "".join(lines)


def test_every_make_target_is_in_its_help():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (help .*)$", text, re.MULTILINE)[1].split()) - {"help"}
    named = set(re.findall(r"^\t@echo 'make ([a-z-]+)", text, re.MULTILINE))
    assert targets == named


def test_the_film_says_how_it_was_made():
    script = (ROOT / "examples" / "media" / "make-film").read_text(encoding="utf-8")
    page = (ROOT / "examples" / "media" / "README.md").read_text(encoding="utf-8")
    assert script[script.index("\nffmpeg "):] in page
    assert (ROOT / "examples" / "media" / "watercourse.mp4").stat().st_size <= 3 << 20
