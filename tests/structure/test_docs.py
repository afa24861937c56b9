# SPDX-License-Identifier: MIT
"""What the pages point to is there: files, and targets of make."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted(path for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "bench/**/*.md")
               for path in ROOT.glob(pattern))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    dead = [target for target in targets if not re.match(r"[a-z]+:", target)
            and not (page.parent / target).exists()]
    assert not dead, f"{page.relative_to(ROOT)} points to nothing: {' '.join(dead)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_of_make_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"),
                             re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"),
                           re.MULTILINE))
    assert named <= targets, "no such targets: " + " ".join(sorted(named - targets))


def test_decisions_are_numbered_once():
    pages = [path.name for path in (ROOT / "docs" / "decisions").glob("*.md")
             if path.name != "README.md"]
    odd = [name for name in pages if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name)]
    assert not odd, "not called NNNN-short-name.md: " + " ".join(odd)
    numbers = [name[:4] for name in pages]
    assert len(numbers) == len(set(numbers)), "a number is used twice"
