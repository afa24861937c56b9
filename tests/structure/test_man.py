# SPDX-License-Identifier: MIT
"""The man pages and --help say the same: every command has a page, every flag is in it."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAT = pathlib.Path(os.environ.get("LEAT_BINARY", ROOT / "build" / "apps" / "leat" / "leat"))
PAGES = {page.name.split(".")[0]: page for page in (ROOT / "man").glob("*.scd")}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def help_of(*command):
    if not LEAT.exists():
        if not list((ROOT / "apps").rglob("*.c")):
            pytest.skip("there is no leat command in the tree yet")
        pytest.fail(f"{LEAT} is not built")
    result = subprocess.run([LEAT, *command, "--help"], capture_output=True, text=True, timeout=20,
                            check=False)
    assert result.returncode == 0 and result.stderr == "", (command, result)
    return result.stdout


def commands():
    """The words that start the indented lines of `leat --help`, as `  serve [DIR]   …`."""
    return [match[1] for match in re.finditer(r"^\s+(?:leat )?([a-z]+)\b", help_of(), re.MULTILINE)
            if (ROOT / "apps" / "leat" / f"cmd_{match[1]}.c").exists()]


def subcommands(command):
    """Those of a command that has some, by its help: `usage: leat feed COMMAND [OPTION...]`."""
    text = help_of(*command)
    if not command or " COMMAND " not in text.splitlines()[0]:
        return []
    return re.findall(r"^  ([a-z]+)\b", text, re.MULTILINE)


def offered_flags(command):
    """Of a command, or of all its subcommands, which share a page."""
    helps = [help_of(*command), *(help_of(*command, name) for name in subcommands(command))]
    return set().union(*map(help_flags, helps))


def page_flags(page):
    """The flags that a page describes: *--flag* at the start of a line."""
    text = page.read_text(encoding="utf-8").replace("\\", "")
    heads = [line for line in text.splitlines() if re.match(r"\s*\*-", line)]
    return {flag for line in heads for flag in FLAG.findall(line)}


def help_flags(text):
    heads = [line for line in text.splitlines() if re.match(r"\s+-", line)]
    return {flag for line in heads for flag in FLAG.findall(line)}


def test_every_command_has_a_page():
    missing = [name for name in commands() if f"leat-{name}" not in PAGES]
    assert not missing, "no man page for: " + " ".join(missing)


def test_every_page_has_a_command():
    known = {"leat"} | {f"leat-{name}" for name in commands()}
    assert set(PAGES) <= known, "pages of no command: " + " ".join(sorted(set(PAGES) - known))


@pytest.mark.parametrize("page", sorted(PAGES))
def test_help_and_page_offer_the_same_flags(page):
    command = page.split("-")[1:]
    offered, described = offered_flags(command), page_flags(PAGES[page])
    offered.discard("--help")
    described.discard("--help")
    assert sorted(offered - described) == [], f"in --help, not in man/{page}"
    assert sorted(described - offered) == [], f"in man/{page}, not in --help"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_page_is_well_formed(page):
    if shutil.which("scdoc") is None:
        pytest.skip("scdoc is not installed")
    with open(PAGES[page], "rb") as source:
        result = subprocess.run(["scdoc"], stdin=source, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert b".SH NAME" in result.stdout
