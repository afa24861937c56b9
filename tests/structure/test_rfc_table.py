# SPDX-License-Identifier: MIT
"""docs/rfc-http.md and docs/rfc-proxy.md name a test or a reason for each requirement; the tests
must be there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLES = {name: ROOT / "docs" / f"{name}.md" for name in ("rfc-http", "rfc-proxy")}
NAMED = re.compile(r"\b([a-z_0-9]+\.(?:py|c))::([A-Za-z0-9_.+-]*[A-Za-z0-9_+])")
REASONS = ("handler", "never sent", "no proxy", "no cache", "no TLS", "tests/", "there is one",
           "never:", "no Server line", "every file has one", "all of this table", "no such content",
           "none are applied", "is the only", "nothing is kept", "gateway:")


def rows(table):
    """(line number, section, requirement, proof) of each row of its tables."""
    for number, line in enumerate(TABLES[table].read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[0][:1].isdigit():
            yield number, *cells


def named():
    return sorted({pair for table in TABLES for *_, proof in rows(table)
                   for pair in NAMED.findall(proof)})


def has(text, name, suffix):
    if suffix == ".c":
        return re.search(rf"\bvoid {re.escape(name)}\(", text) is not None
    if re.search(rf"^def {re.escape(name)}\(", text, re.MULTILINE):
        return True
    if re.search(rf'^ +"{re.escape(name)}"(: |:$)', text, re.MULTILINE) or \
            re.search(rf', "{re.escape(name)}": ', text):
        return True
    # A case whose name is made of its table's and its own: "length-" and "negative".
    first, _, rest = name.partition("-")
    return f'"{first}-{{name}}"' in text and \
        re.search(rf'(?:[ {{]|, )"{re.escape(rest)}": ', text) is not None


@pytest.mark.parametrize("file,name", named())
def test_the_tests_of_the_table_exist(file, name):
    found = [path for path in (ROOT / "tests").rglob(file) if "__pycache__" not in path.parts]
    assert len(found) == 1, f"{file} is there {len(found)} times"
    assert has(found[0].read_text(encoding="utf-8"), name, found[0].suffix)


@pytest.mark.parametrize("table", TABLES)
def test_every_requirement_has_a_test_or_a_reason(table):
    bare = [f"{number}: {section}" for number, section, _, proof in rows(table)
            if not NAMED.search(proof) and not any(reason in proof for reason in REASONS)]
    assert not bare, "neither test nor reason: " + ", ".join(bare)


@pytest.mark.parametrize("table, count, some", [
    ("rfc-http", 140, {"2.2", "5.1", "6.1", "6.3", "9.6", "13.2.2", "15.3.7.2"}),
    ("rfc-proxy", 100, {"5.1", "5.3", "6.3", "7.6.1", "7.6.3", "7.7", "9.2.2", "15.2"}),
])
def test_the_table_is_there(table, count, some):
    sections = [section for _, section, _, _ in rows(table)]
    assert len(sections) > count and some <= set(sections)
