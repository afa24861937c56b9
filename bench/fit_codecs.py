#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fits the model of codecs (src/codec/model_table.h), and shows what its choices are worth.

    bench/fit_codecs.py BUILD [--data ../shared] [--write src/codec/model_table.h] [--rows FILE]

Texts of every kind (the corpus, and what is installed here: headers, scripts, pages, records), cut
to several sizes, are coded by every setting as the server does it (BUILD/bench/codec_texts). Half
of the files teach: least squares of the logarithms of ratio and time. The other half examine: what
the choices of this BUILD would take, by the times that were measured, beside the best fixed choice
and beside an oracle that has seen all results. A table is judged once it is built in: write, build,
and run again. Ratios are the same anywhere; times are this machine's, and a loop learns its own.
"""

import argparse
import collections
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import zlib

SETTINGS = ("zstd-1 zstd-2 zstd-3 zstd-4 zstd-5 zstd-6 zstd-7 zstd-9 zstd-12 gzip-1 gzip-3 gzip-6 "
            "gzip-9 br-1 br-2 br-3 br-4 br-5 br-6 lz4-0").split()
FIXED = "none gzip-1 gzip-6 zstd-1 zstd-3 zstd-9 br-4 br-5".split()
SIZES = [1 << 10, 3 << 10, 8 << 10, 24 << 10, 64 << 10, 200 << 10, 512 << 10, 1 << 20]
FILES_A_KIND = 20

# kind: (where, file names); at most FILES_A_KIND of each, spread over all that there are.
INSTALLED = {
    "source": [("/usr/include", "*.h"), ("/usr/lib/python3", "*.py")],
    "script": [("/usr/share", "*.js"), ("/usr/share", "*.css"), ("/usr/lib", "*.css")],
    "page": [("/usr/share", "*.html"), ("/usr/lib", "*.html")],
    "prose": [("/usr/share/doc", "copyright"), ("/usr/share", "*.txt"),
              ("/usr/share/perl", "*.pod")],
    "json": [("/usr/lib", "*.json"), ("/usr/share", "*.json")],
    "xml": [("/usr/share", "*.xml"), ("/usr/share", "*.svg"), ("/usr/share", "*.rng")],
    "binary": [("/usr/bin", "*"), ("/usr/share/locale", "*.mo"), ("/usr/share", "*.ttf")],
}
CORPUS = {
    "html": "page", "urls.10K": "records", "geo.protodata": "binary", "kennedy.xls": "binary",
    "sum": "binary", "xargs.1": "prose", "alice29.txt": "prose", "geo": "binary", "obj2": "binary",
    "news": "prose", "trans": "prose", "mapsdatazrh": "binary", "twitter.json": "json",
    "github_events.json": "json", "apache_builds.json": "json",
    "amazon_cellphones.ndjson": "records", "google_maps_api_compact_response.json": "json",
    "seattle-weather.csv": "records", "sp500-2000.csv": "records", "unemployment.tsv": "records",
    "12-2860-1367.mvt": "binary", "bootstrap-icons.json": "json",
    "SourceCodePro-Regular.ttf": "binary",
}


# ---- Texts ---------------------------------------------------------------------------------------

def installed_files(kind):
    """A share of the kind's files, the same on each run; larger ones are rarer, and all wanted."""
    found = {path for folder, names in INSTALLED[kind]
             for path in pathlib.Path(folder).rglob(names)
             if path.is_file() and not path.is_symlink() and path.stat().st_size > 2000}
    by_size = sorted(found, key=lambda path: (path.stat().st_size, str(path)))
    step = max(1, len(by_size) // FILES_A_KIND)
    return by_size[step // 2::step][:FILES_A_KIND - 5] + by_size[-5:]


def noise_files(folder):
    """What nothing can be made of, or only by Huffman codes: bytes, printable ones, digits."""
    generator = random.Random(1)
    for letters in (256, 200, 128, 64, 16, 10):
        for name in ("first", "second", "third"):
            path = folder / f"noise-{name}-of-{letters}"
            path.write_bytes(bytes(generator.choices(range(letters), k=1 << 19)))
            yield path


def all_texts(data, folder):
    """[(kind, path, size)]: each file whole or cut, and cut to two smaller sizes."""
    files = [(kind, path) for kind in INSTALLED for path in installed_files(kind)]
    files += [("noise", path) for path in noise_files(folder)]
    for path in sorted((data / "corpus").iterdir()) if (data / "corpus").is_dir() else []:
        kind = CORPUS.get(path.name.split("__")[1])
        files += [(kind, path)] if kind else []
    texts = []
    for kind, path in files:
        whole = min(path.stat().st_size, SIZES[-1])
        cuts = [size for size in SIZES if size < whole * 0.8]
        sizes = {whole, *cuts[-1:], *cuts[zlib.crc32(str(path).encode()) % 3::3]}
        texts += [(kind, path, size) for size in sorted(sizes)]
    return texts


def ask(build, texts, settings):
    """What codec_texts says of each."""
    lines = "".join(f"{size} {path}\n" for _, path, size in texts)
    result = subprocess.run([build / "bench" / "codec_texts", *settings], input=lines, text=True,
                            stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def measure(build, texts):
    """One row a text: what codec_texts says, with kind, path, and whether it teaches."""
    rows = ask(build, texts, SETTINGS)
    for row, (kind, path, _) in zip(rows, texts, strict=True):
        row["kind"], row["path"] = kind, str(path)
        row["teaches"] = zlib.crc32(path.name.encode()) % 2 == 0
    return [row for row in rows if not row["is_compressed"]]


def measure_all(build, data, is_quick):
    with tempfile.TemporaryDirectory() as folder:
        texts = all_texts(data, pathlib.Path(folder))
        if is_quick:
            texts = [text for text in texts if text[2] < 9000][::5]
        return measure(build, texts)


# ---- The model, as src/codec/model.c has it ------------------------------------------------------

def terms(row):
    size = math.log2(min(max(row["size"], 1 << 10), 1 << 20)) - 16
    left = math.log(max(row["lz4_ratio"], 0.01))
    entropy = row["entropy"] / 8
    later = math.log(max(row["lz4_later"], 0.01)) - left
    return [1, size, left, entropy, size * left, left * left, size * size, size * entropy,
            later, size * later]


def solve(matrix, values):
    """Gauss with pivots."""
    rows = [row + [value] for row, value in zip(matrix, values)]
    for index in range(len(rows)):
        pivot = max(range(index, len(rows)), key=lambda other: abs(rows[other][index]))
        rows[index], rows[pivot] = rows[pivot], rows[index]
        for other in range(len(rows)):
            if other != index:
                factor = rows[other][index] / rows[index][index]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[index])]
    return [row[-1] / row[index] for index, row in enumerate(rows)]


def fit(rows, values):
    """Weights of the terms. Rows that are far off are strange texts (a letter, a thousand times),
    not what the table is for: they count less in a second and a third round (Huber)."""
    table = [terms(row) for row in rows]
    kinds = collections.Counter(row["kind"] for row in rows)
    base = [1 / kinds[row["kind"]] for row in rows]
    weights = base
    for _ in range(4):
        count = len(table[0])
        matrix = [[sum(w * t[i] * t[j] for w, t in zip(weights, table)) for j in range(count)]
                  for i in range(count)]
        for index in range(1, count):
            matrix[index][index] += 1e-3
        sums = [sum(w * t[i] * v for w, t, v in zip(weights, table, values)) for i in range(count)]
        found = solve(matrix, sums)
        errors = [abs(v - sum(a * b for a, b in zip(found, t))) for t, v in zip(table, values)]
        weights = [w * min(1, 0.2 / max(e, 1e-9)) for w, e in zip(base, errors)]
    return found


def fit_all(rows):
    """[(weights of the ratio, weights of the time)] by setting."""
    return [(fit(rows, [math.log(row["coded"][index][0] / row["size"]) for row in rows]),
             fit(rows, [math.log(row["coded"][index][1] / row["size"]) for row in rows]))
            for index in range(len(SETTINGS))]


def print_errors(model, rows):
    print("what the table tells of texts that it has not seen: middle error, ratio and CPU time, %")
    for setting, (ratio, time), index in zip(SETTINGS, model, range(len(SETTINGS))):
        line = []
        for weights, part in ((ratio, 0), (time, 1)):
            errors = sorted(abs(sum(a * b for a, b in zip(weights, terms(row))) -
                                math.log(row["coded"][index][part] / row["size"])) for row in rows)
            line += [errors[len(errors) // 2], errors[len(errors) * 9 // 10]]
        print(f"  {setting:8} {100 * line[0]:5.1f} (nine of ten {100 * line[1]:3.0f})"
              f" {100 * line[2]:5.1f} ({100 * line[3]:3.0f})")


TABLE = """/* SPDX-License-Identifier: MIT */
/*
 * What each setting makes of a text, told from its sample: the weights of model.c's terms. Written
 * by bench/fit_codecs.py, which has seen the texts; not by hand.
 */
#ifndef CODEC_MODEL_TABLE_H
#define CODEC_MODEL_TABLE_H

#include "codec/codec.h"

enum {{ MODEL_TERMS = {count} }};

struct model_row {{
    struct codec_setting setting;
    float ratio[MODEL_TERMS]; /* the logarithm of the ratio */
    float cpu[MODEL_TERMS];   /* that of the CPU time a byte, in ns */
}};

static const struct model_row model_table[] = {{
    {{{{LEAT_CODEC_NONE, 0}}, {{0}}, {{0}}}},
{rows}
}};

#endif
"""
NAMES = {"zstd": "ZSTD", "gzip": "GZIP", "br": "BROTLI", "lz4": "LZ4"}


def write_table(model, path):
    lines = []
    for setting, weights in zip(SETTINGS, model):
        codec, level = setting.split("-")
        texts = [", ".join(f"{value:.4f}f" for value in values) for values in weights]
        lines.append(f"    {{{{LEAT_CODEC_{NAMES[codec]}, {level}}},\n"
                     f"     {{{texts[0]}}},\n     {{{texts[1]}}}}},")
    path.write_text(TABLE.format(count=len(model[0][0]), rows="\n".join(lines)), encoding="utf-8")


# ---- What choices are worth ----------------------------------------------------------------------

def deliver_ns(row, setting, rate, slowdown):
    """As src/codec/choice.c has it, with what was measured in place of what was told."""
    send_cpu, wait, first_size, tail_size = 0.3, 2 * (slowdown - 1), 32 << 10, 64 << 10
    size = row["size"]
    if setting == "none":
        return max(size / rate * 1e9 + size * wait, size * send_cpu * slowdown)
    coded, cpu_ns = row["coded"][SETTINGS.index(setting)]
    at_once = size <= first_size or setting.startswith("gzip") and size <= 1 << 20
    first_ns = cpu_ns if at_once else cpu_ns * first_size / size
    core_ns = (cpu_ns + coded * send_cpu) * slowdown
    return max(core_ns + coded * min(1, tail_size / size) / rate * 1e9,
               first_ns * slowdown + coded / rate * 1e9 + coded * wait)


def print_worth(rows):
    """Each text counts as much as any other, whatever its size: times are taken to plain ones."""
    kinds = sorted({row["kind"] for row in rows})
    print("time of leat's choices to that of the best fixed one (which), and to an oracle's")
    print(f"  {'Mb/s':>5} {'slow':>4}  {'all':22}" + "".join(f"{kind:22}" for kind in kinds))
    for key in rows[0]["choices"]:
        megabits, slowdown = (int(part) for part in key.split())
        rate = megabits * 1e6 / 8
        line = f"  {megabits:5} {slowdown:4}  "
        for kind in [None, *kinds]:
            sums, ours, best = collections.Counter(), 0, 0
            for row in rows:
                if kind in (None, row["kind"]):
                    plain = deliver_ns(row, "none", rate, slowdown)
                    times = {name: deliver_ns(row, name, rate, slowdown) / plain
                             for name in {*SETTINGS, "none"} - {"lz4-0"}}
                    sums.update({name: times[name] for name in FIXED})
                    chosen = row["choices"][key][0]
                    ours += times["none" if chosen == "identity-0" else chosen]
                    best += min(times.values())
            name = min(FIXED, key=lambda setting: sums[setting])
            line += f"{ours / sums[name]:.3f} {name:7}{ours / best:.3f}    "
        print(line)
    picks = {key: collections.Counter(row["choices"][key][0] for row in rows)
             for key in rows[0]["choices"]}
    for key, counts in picks.items():
        print(f"  {key:>8}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common(9)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[1]
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, default=root.parent / "shared")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--rows", type=pathlib.Path,
                        help="measurements: kept there, and taken where there are some")
    parser.add_argument("--quick", action="store_true", help="a few texts, to see that it works")
    options = parser.parse_args()
    if options.rows and options.rows.exists():
        rows = json.loads(options.rows.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            noise = {path.name: path for path in noise_files(pathlib.Path(folder))}
            texts = [(row["kind"], noise.get(pathlib.Path(row["path"]).name, row["path"]),
                      row["size"]) for row in rows]
            for row, now in zip(rows, ask(options.build, texts, []), strict=True):
                row.update({key: value for key, value in now.items() if key != "coded"})
    else:
        rows = measure_all(options.build, options.data, options.quick)
        if options.rows:
            options.rows.write_text(json.dumps(rows), encoding="utf-8")
    teachers = [row for row in rows if row["teaches"]]
    others = [row for row in rows if not row["teaches"]]
    print(f"{len(rows)} texts, {len(teachers)} of them teach")
    model = fit_all(teachers)
    print_errors(model, others)
    if options.write:
        write_table(model, options.write)
    print_worth(others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
