#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the pages of web/ with Vite and makes of them what site_assets.c serves: a table in C and,
for the assembler, the bytes themselves, each with twins in gzip and Brotli where they are smaller.

The table does not change with the time or the place of the build. Where Vite cannot do its work the
table is empty, unless the pages are required: then leat serves its plain pages, as it does without
Node."""

import argparse
import gzip
import hashlib
import pathlib
import re
import subprocess
import sys

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
ENTRIES = ("library.js", "library.css", "dashboard.js", "dashboard.css")
HASH_SIZE = 16  # hexadecimal digits: to tell versions apart, not to resist anybody
INPUTS = ("package.json", "vite.config.ts", "tsconfig.json")
TOOLS = "node_modules/.package-lock.json"  # npm's note of what is installed

TWINS = ("gzip", "brotli")
# Node packs as well as anything: with it a build needs nothing that building the pages does not.
PACK = """
const fs = require("fs"), zlib = require("zlib");
for (const path of process.argv.slice(1))
    fs.writeFileSync(path + ".br", zlib.brotliCompressSync(fs.readFileSync(path), {
        params: {[zlib.constants.BROTLI_PARAM_MODE]: zlib.constants.BROTLI_MODE_TEXT}}));
"""

HEAD = """/* SPDX-License-Identifier: MIT */
/* Made by site_assets.py of what Vite made of web/. */
"""


def build(web, folder):
    """Runs Vite; returns why it failed, or None."""
    vite = web / "node_modules" / "vite" / "bin" / "vite.js"
    if not vite.exists():
        return "web/node_modules has no vite (scripts/install-deps brings it)"
    done = subprocess.run(["node", vite, "build", "--logLevel", "warn", "--outDir", folder,
                           "--emptyOutDir"], cwd=web, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"vite build failed:\n{done.stdout}{done.stderr}"
    missing = [name for name in ENTRIES if not (folder / name).exists()]
    return f"vite build has left no {', '.join(missing)}" if missing else None


def check(name, data):
    """A page asks for its entry with ?v=HASH; a chunk that asked for it without would get a second
    copy of the module, with a state of its own."""
    if name.startswith("chunks/") and re.search(
            rb"""["'`]\.\./(library|dashboard)\.js["'`]""", data):
        sys.exit(f"{name} imports an entry of the bundle")


def read_assets(folder):
    """(name, media type, bytes, those of TWINS or None), by name."""
    assets = []
    paths = [path for path in sorted(folder.rglob("*"))
             if path.is_file() and path.suffix in MEDIA_TYPES]
    subprocess.run(["node", "-e", PACK, *paths], stdin=subprocess.DEVNULL, check=True)
    for path in paths:
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        check(name, data)
        twins = [gzip.compress(data, 9, mtime=0), path.with_name(path.name + ".br").read_bytes()]
        assets.append((name, MEDIA_TYPES[path.suffix], data,
                       [twin if len(twin) < len(data) * 9 // 10 else None for twin in twins]))
    return sorted(assets)


def write_table(path, assets):
    lines = [HEAD, '#include "site_assets.h"\n']
    for index, (_, _, _, twins) in enumerate(assets):
        names = [f"site_asset_{index}"]
        names += [f"site_asset_{index}_{kind}" for kind, data in zip(TWINS, twins) if data]
        lines += [f"extern const char {name}[];" for name in names]
    lines.append("\nconst struct site_asset site_assets[] = {")
    for index, (name, media_type, data, twins) in enumerate(assets):
        digest = hashlib.sha256(data).hexdigest()[:HASH_SIZE]
        lines.append(f'    {{.name = "{name}", .media_type = "{media_type}", .hash = "{digest}",')
        lines.append(f"     .data = site_asset_{index}, .size = {len(data)},")
        lines += [f"     .{kind} = site_asset_{index}_{kind}, .{kind}_size = {len(twin)},"
                  for kind, twin in zip(TWINS, twins) if twin]
        lines.append("    },")
    # An array of nothing is not C.
    lines += ["    {0},", "};", f"const unsigned site_asset_count = {len(assets)};\n"]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_bytes(path, folder, assets):
    """The assembler takes the bytes from files beside it."""
    lines = [HEAD, '    .section .rodata, "a"']

    def add(label, file, data):
        file.write_bytes(data)
        name = str(file).replace("\\", "\\\\").replace('"', '\\"')
        lines.extend([f"    .globl {label}", f"    .hidden {label}", "    .balign 16", f"{label}:",
                      f'    .incbin "{name}"'])

    folder.mkdir(exist_ok=True)
    for index, (_, _, data, twins) in enumerate(assets):
        add(f"site_asset_{index}", folder / f"{index}.bin", data)
        for kind, twin in zip(TWINS, twins):
            if twin:
                add(f"site_asset_{index}_{kind}", folder / f"{index}.{kind}", twin)
    lines.append('    .section .note.GNU-stack, "", @progbits\n')
    path.write_text("\n".join(lines), encoding="utf-8")


def write_depfile(path, target, web):
    """What is there now: a source that is new is named by one that has changed. The tools are
    named also while they are gone, so that the next build looks for them again."""
    inputs = [web / name for name in INPUTS if (web / name).is_file()]
    inputs += [path for path in sorted((web / "src").rglob("*")) if path.is_file()]
    names = [str(name).replace(" ", "\\ ") for name in [*inputs, web / TOOLS]]
    path.write_text(f"{target}: " + " ".join(names) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--required", action="store_true", help="fail where there is no bundle")
    parser.add_argument("--depfile", type=pathlib.Path, required=True)
    parser.add_argument("web", type=pathlib.Path, help="the folder of package.json")
    parser.add_argument("table", type=pathlib.Path, help="C")
    parser.add_argument("bytes", type=pathlib.Path, help="assembler")
    options = parser.parse_args()
    private = options.table.resolve().parent / "site_assets.d"
    private.mkdir(exist_ok=True)
    web = options.web.resolve()
    problem = build(web, private / "dist")
    if problem:
        print(f"the pages are plain ones: {problem}", file=sys.stderr)
        if options.required:
            sys.exit(1)
    assets = [] if problem else read_assets(private / "dist")
    write_table(options.table, assets)
    write_bytes(options.bytes, private / "bytes", assets)
    write_depfile(options.depfile, options.table, web)


if __name__ == "__main__":
    main()
