# SPDX-License-Identifier: MIT
"""What `meson install` leaves is what a user needs: an example is built out of tree against it,
shared and static, every public header stands alone in C and in C++, and only leat_* is exported."""

import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LEAT_BUILD_DIR", ROOT / "build"))
HEADERS = sorted(path.name for path in (ROOT / "include" / "leat").glob("*.h"))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

needs_build = pytest.mark.skipif(not (BUILD / "build.ninja").exists(),
                                 reason=f"{BUILD} is not a build folder; make build makes one")


def run(command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                            check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that stands for / after an installation."""
    root = tmp_path_factory.mktemp("root")
    run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root])
    return root


def find(root, name):
    found = sorted(root.rglob(name))
    assert found, f"{name} was not installed"
    return found[0]


def pkg_config(root, *arguments):
    """What pkg-config says of leat as it is installed below `root`; others are the host's."""
    folder = find(root, "leat.pc").parent
    output = run(["pkg-config", f"--define-variable=prefix={prefix_of(root)}", *arguments, "leat"],
                 env={**os.environ, "PKG_CONFIG_PATH": str(folder)})
    return output.split()


def prefix_of(root):
    return find(root, "leat.h").parents[2]


def is_sanitized():
    options = run(["meson", "introspect", "--buildoptions", BUILD])
    return '"name": "b_sanitize", "value": "none"' not in options


@needs_build
def test_what_is_installed(installed):
    library = find(installed, "libleat.so").resolve()
    assert re.fullmatch(r"libleat\.so\.\d+\.\d+\.\d+", library.name)
    soname = re.search(r"SONAME\)\s+Library soname: \[(.+)\]", run(["readelf", "-d", library]))[1]
    assert soname == "libleat.so.0"
    assert (library.parent / soname).resolve() == library
    assert find(installed, "libleat.a").stat().st_size > 0
    have = {path.name for path in (prefix_of(installed) / "include" / "leat").iterdir()}
    assert have >= set(HEADERS), set(HEADERS) - have
    assert pkg_config(installed, "--modversion")[0] in library.name


@needs_build
def test_only_the_public_names_are_exported(installed):
    lines = run(["nm", "-D", "--defined-only", find(installed, "libleat.so")]).splitlines()
    names = {line.split()[-1].split("@")[0] for line in lines if line.split()[-2] != "A"}
    assert "leat_run" in names
    assert {name for name in names if not name.startswith("leat_")} == set()


@needs_build
def test_every_public_function_is_exported(installed):
    """What a header declares can be linked with."""
    names = run(["nm", "-D", "--defined-only", find(installed, "libleat.so")])
    exported = set(re.findall(r" T (leat_\w+)", names))
    for header in sorted((ROOT / "include" / "leat").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"^\s*(typedef|#).*?$", "", text, flags=re.MULTILINE)
        declared = set(re.findall(r"^(?!static )[a-z][\w \*]*?\b\*?(leat_\w+)\(", text,
                                  re.MULTILINE))
        missing = {name for name in declared if not name.endswith("_fn")} - exported
        assert not missing, f"{header.name}: {missing}"


@needs_build
@pytest.mark.parametrize("compiler, suffix, standard", [
    ("cc", ".c", "-std=gnu11"), ("cc", ".c", "-std=gnu17"), ("c++", ".cc", "-std=gnu++17")])
@pytest.mark.parametrize("header", HEADERS)
def test_each_header_stands_alone(installed, tmp_path, header, compiler, suffix, standard):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    source = tmp_path / f"alone{suffix}"
    source.write_text(f'#include "leat/{header}"\n#include "leat/{header}"\n'
                      "int nothing(void);\nint nothing(void) { return 0; }\n", encoding="utf-8")
    run([compiler, standard, *STRICT, *pkg_config(installed, "--cflags"), "-c", source,
         "-o", tmp_path / "alone.o"])


@needs_build
def test_cpp_links(installed, tmp_path):
    if not shutil.which("c++"):
        pytest.skip("there is no c++ here")
    if is_sanitized():
        pytest.skip("a sanitized library links with its own compiler's run time alone")
    source = tmp_path / "main.cc"
    source.write_text('#include "leat/leat.h"\n'
                      "int main() { return leat_error_text(0) == nullptr; }\n", encoding="utf-8")
    run(["c++", "-std=gnu++17", *STRICT, "-Wno-missing-field-initializers", source, "-o",
         tmp_path / "main", *pkg_config(installed, "--cflags", "--libs")])
    run([tmp_path / "main"], env=with_library(installed))


def with_library(root):
    return {**os.environ, "LD_LIBRARY_PATH": str(find(root, "libleat.so").parent)}


@needs_build
@pytest.mark.parametrize("kind", ["shared", "static"])
@pytest.mark.parametrize("name, others, question, answer", [
    ("echo", [], b"hello", b"hello"),
    ("hello", ["jansson"], b"GET /films/x HTTP/1.0\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK")])
def test_an_example_is_built_out_of_tree(installed, tmp_path, kind, name, others, question, answer):
    if is_sanitized():
        pytest.skip("a sanitized library links with its own compiler's run time alone")
    program = tmp_path / name
    options = ["--cflags", "--libs"] + (["--static"] if kind == "static" else [])
    flags = pkg_config(installed, *options, *others)
    if kind == "static":
        flags = ["-static", *flags]
    run(["cc", *STRICT, "-Wno-unused-parameter", ROOT / "examples" / f"{name}.c", "-o", program,
         *flags])
    needed = run(["readelf", "-d", program])
    assert ("libleat.so.0" in needed) == (kind == "shared")
    with subprocess.Popen([program, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                          env=with_library(installed)) as process:
        try:
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(question)
                assert connection.recv(1000).startswith(answer)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
