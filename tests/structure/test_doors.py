# SPDX-License-Identifier: MIT
"""Kernel calls are named only in src/loop/: see tests/doors.txt for the rule and its exceptions.

Reads the undefined symbols of the library's objects, as they were built: what the compiler
made of the source cannot hide behind a macro.
"""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LEAT_BUILD_DIR", ROOT / "build"))


def read_doors(path=ROOT / "tests" / "doors.txt"):
    """[(kind, pattern of sources, [patterns of symbols])]"""
    sections = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.split("#")[0].strip()
        heading = re.fullmatch(r"\[(deny|allow) (\S+)\]", line)
        if heading:
            sections.append((heading[1], heading[2], []))
        elif line:
            assert sections and not line.startswith("["), f"doors.txt:{number}: {line}"
            sections[-1][2].extend(line.split())
    return sections


def variants(symbol):
    """The symbol and what it is a variant of: fortified, large file, versioned."""
    name = symbol.split("@")[0]
    names = {name}
    plain = re.sub(r"^__(isoc\d+_)?", "", name)
    plain = re.sub(r"(_chk|_2|_unlocked|_time64)$", "", plain)
    names.add(plain)
    names.add(re.sub(r"(64)?(_2)?$", "", plain))
    names.add(re.sub(r"64v2$", "2", plain))
    return names


def is_forbidden(source, symbol, doors):
    def listed(kind):
        return any(section == kind and fnmatch.fnmatchcase(source, sources)
                   and any(fnmatch.fnmatchcase(name, pattern)
                           for name in variants(symbol) for pattern in patterns)
                   for section, sources, patterns in doors)
    return listed("deny") and not listed("allow")


def symbols(obj):
    """(section, name) of each. By readelf, for nm would look at what LTO keeps beside the code."""
    output = subprocess.run(["readelf", "--symbols", "--wide", str(obj)], check=True,
                            capture_output=True, text=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return [(row[6], row[7]) for row in rows if len(row) >= 8 and row[0].rstrip(":").isdigit()]


def undefined_symbols(obj):
    return [name for section, name in symbols(obj) if section == "UND"]


def has_code(obj):
    """Objects for LTO alone have none; those of our release have both."""
    return ("COM", "__gnu_lto_slim") not in symbols(obj)


def library_objects(build):
    """{source below src/: object}, each source once."""
    objects = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        folder = pathlib.Path(entry["directory"])
        source = pathlib.Path(os.path.normpath(folder / entry["file"]))
        if source.is_relative_to(ROOT / "src") and "output" in entry:
            obj = folder / entry["output"]
            if re.search(r"libleat\.(so|a)", entry["output"]):
                objects[str(source.relative_to(ROOT / "src"))] = obj
    return objects


def plain_build(tmp_path_factory):
    """A build whose objects hold plain code and in which no sanitizer calls things by itself."""
    options = {option["name"]: option["value"] for option in json.loads(subprocess.run(
        ["meson", "introspect", "--buildoptions", str(BUILD)], check=True, capture_output=True,
        text=True).stdout)}
    if not options.get("b_lto") and options.get("b_sanitize", "none") == "none" \
            and not options.get("b_coverage"):
        return BUILD
    build = tmp_path_factory.mktemp("doors") / "build"
    subprocess.run(["meson", "setup", str(build), str(ROOT), "--buildtype=release",
                    "-Db_lto=false"], check=True, capture_output=True)
    objects = [str(path.relative_to(build)) for path in library_objects(build).values()]
    subprocess.run(["ninja", "-C", str(build), *objects], check=True, capture_output=True)
    return build


def find_problems(objects, doors):
    return [f"src/{source} calls {symbol}" for source, obj in sorted(objects.items())
            for symbol in undefined_symbols(obj) if is_forbidden(source, symbol, doors)]


def test_kernel_calls_go_through_the_door(tmp_path_factory):
    sources = [path for path in (ROOT / "src").rglob("*.[cS]")]
    if not (BUILD / "compile_commands.json").exists():
        pytest.fail(f"{BUILD} is not a build folder; make build makes one")
    objects = library_objects(plain_build(tmp_path_factory))
    assert objects or not sources, "compile_commands.json names no object of libleat"
    gone = [str(path) for path in objects.values() if not path.exists()]
    assert not gone, "not built: " + " ".join(gone)
    assert all(map(has_code, objects.values())), "these objects are for LTO alone"
    problems = find_problems(objects, read_doors())
    assert not problems, "\n" + "\n".join(problems)


def test_every_source_is_in_the_library():
    """A file that nobody compiles would pass every test."""
    if not (BUILD / "compile_commands.json").exists():
        pytest.fail(f"{BUILD} is not a build folder; make build makes one")
    commands = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    compiled = {os.path.normpath(os.path.join(entry["directory"], entry["file"]))
                for entry in commands}
    sources = {str(path) for path in (ROOT / "src").rglob("*.c")}
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True,
                             text=True, check=False).stdout.split()
    if tracked:  # what is being written need not be in meson.build yet
        sources &= {str(ROOT / name) for name in tracked}
    optional = {str(path) for path in (ROOT / "src").rglob("*_ucontext.c")}
    missing = sorted(sources - compiled - optional)
    assert not missing, "in no meson.build: " + " ".join(missing)


CALLS = {
    "read": "#include <unistd.h>\nlong f(char *p, unsigned n) { return read(0, p, n); }",
    "open": "#define _FILE_OFFSET_BITS 64\n#include <fcntl.h>\nint f(void) "
            "{ return open(\"/\", O_RDONLY); }",
    "preadv2": "#define _GNU_SOURCE\n#include <sys/uio.h>\nlong f(struct iovec *v) "
               "{ return preadv2(0, v, 1, 0, 0); }",
    "mmap": "#include <sys/mman.h>\nvoid *f(void) "
            "{ return mmap(0, 4096, 1, MAP_PRIVATE, 0, 0); }",
    "epoll_wait": "#include <sys/epoll.h>\nint f(struct epoll_event *e) "
                  "{ return epoll_wait(0, e, 1, 0); }",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("flags", [["-O0"], ["-O2", "-D_FORTIFY_SOURCE=2"],
                                   ["-O2", "-flto", "-ffat-lto-objects"]])
def test_a_call_past_the_door_is_seen(tmp_path, call, flags):
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler
    source, obj = tmp_path / "probe.c", tmp_path / "probe.o"
    source.write_text(CALLS[call])
    subprocess.run([compiler, "-c", *flags, str(source), "-o", str(obj)], check=True)
    problems = find_problems({"net/probe.c": obj}, read_doors())
    assert len(problems) == 1 and call in problems[0]
    assert find_problems({"loop/probe.c": obj}, read_doors()) == []


@pytest.mark.parametrize("source, symbol, forbidden", [
    ("net/file.c", "__read_chk", True),
    ("net/file.c", "pread64", True),
    ("net/file.c", "preadv64v2", True),
    ("net/file.c", "__open64_2", True),
    ("net/file.c", "fstat@GLIBC_2.33", True),
    ("net/file.c", "sendfile64", True),
    ("net/mapped.c", "mmap", True),
    ("fiber/stack.c", "mmap", False),
    ("fiber/stack.c", "read", True),
    ("loop/sys_linux.c", "openat64", False),
    ("net/send.c", "malloc", False),
    ("net/send.c", "clock_gettime", False),
    ("net/send.c", "pthread_mutex_lock", False),
    ("net/send.c", "leat_stream_read", False),
    ("net/send.c", "snprintf", False),
    ("wire/http1.c", "malloc", True),
    ("wire/http1.c", "clock_gettime", True),
    ("wire/http1.c", "memcpy", False),
    ("base/assert.c", "__fprintf_chk", False),
    ("base/error.c", "__fprintf_chk", True),
])
def test_the_list(source, symbol, forbidden):
    assert is_forbidden(source, symbol, read_doors()) == forbidden
