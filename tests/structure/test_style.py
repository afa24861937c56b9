# SPDX-License-Identifier: MIT
"""What every text file of ours must look like; what clang-format decides is left to it."""

import pathlib
import re
import subprocess
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = 100
LINES = 800  # about: warned of, not refused
CODE = {".c", ".h", ".S", ".py", ".sh", ".ts", ".build"}
NOT_OURS = ("web/node_modules/", "tests/fuzz/corpus/")


def files():
    """What git has or would take (.gitignore counts); a tarball without git: everything."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
        names = [name for name in names if not name.startswith(("build", ".git/"))]
    return [ROOT / name for name in sorted(names)
            if not name.startswith(NOT_OURS) and (ROOT / name).is_file()]


def is_code(path):
    if path.suffix in CODE or path.name == "Makefile":
        return True
    if path.suffix:
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def code():
    return [path for path in files() if is_code(path)]


def lines_of(path):
    return path.read_text(encoding="utf-8").split("\n")


def check_spdx(lines):
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    return [] if "SPDX-License-Identifier: MIT" in first else [(1, "no SPDX line")]


def check_lines(lines):
    problems = []
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            problems.append((number, f"{len(line)} columns, {COLUMNS} are allowed"))
        if re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", line):
            problems.append((number, "a note without its issue, as in TO" "DO(#2)"))
        if line.rstrip() != line:
            problems.append((number, "space at the end of the line"))
    if lines and lines[-1] != "":
        problems.append((len(lines), "no newline at the end of the file"))
    return problems


def report(problems):
    assert not problems, "\n" + "\n".join(problems)


def test_spdx_line_comes_first():
    report([f"{path.relative_to(ROOT)}:{number}: {what}" for path in code()
            for number, what in check_spdx(lines_of(path))])


def test_lines():
    here = pathlib.Path(__file__).resolve()
    report([f"{path.relative_to(ROOT)}:{number}: {what}" for path in code() if path != here
            for number, what in check_lines(lines_of(path))])


def test_no_tabs_in_code():
    report([f"{path.relative_to(ROOT)}:{number}: a tab" for path in code()
            if path.name != "Makefile"
            for number, line in enumerate(lines_of(path), 1) if "\t" in line])


def test_files_have_a_size_one_can_read():
    for path in code():
        count = len(lines_of(path)) - 1
        if count > LINES:
            warnings.warn(f"{path.relative_to(ROOT)} has {count} lines; about {LINES} are a file")
        assert count <= 2 * LINES, f"{path.relative_to(ROOT)} has {count} lines: split it"


def test_scripts_are_executable():
    report([str(path.relative_to(ROOT)) for path in code()
            if lines_of(path)[0].startswith("#!") and not path.stat().st_mode & 0o100])


def test_names_belong_to_structs():
    """No typedef of structs, unions and enums (style, rule 2)."""
    found = re.compile(r"^\s*typedef\s+(struct|union|enum)\b", re.MULTILINE)
    report([f"{path.relative_to(ROOT)}: {match[0].strip()}" for path in code()
            if path.suffix in (".c", ".h")
            for match in found.finditer(path.read_text(encoding="utf-8"))])


@pytest.mark.parametrize("text, complaint", [
    ("int a;\n", "no SPDX line"),
    ("#!/bin/sh\necho\n", "no SPDX line"),
    ("// SPDX-License-Identifier: MIT\n" + "x" * 101 + "\n", "101 columns"),
    ("// SPDX-License-Identifier: MIT\n// TODO: later\n", "a note without its issue"),
    ("// SPDX-License-Identifier: MIT\nint a; \n", "space at the end"),
    ("// SPDX-License-Identifier: MIT\nint a;", "no newline"),
])
def test_a_breach_is_seen(text, complaint):
    lines = text.split("\n")
    problems = check_spdx(lines) + check_lines(lines)
    assert len(problems) == 1 and complaint in problems[0][1]


def test_good_text_passes():
    lines = "#!/bin/sh\n# SPDX-License-Identifier: MIT\n# TODO(#12): more\n".split("\n")
    assert check_spdx(lines) + check_lines(lines) == []
