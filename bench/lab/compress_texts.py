# SPDX-License-Identifier: MIT
"""The texts of bench/compress.py, by kind: from the corpus (../shared/corpus beside the repository,
or $LEAT_TEST_DATA), and of packages that scripts/install-deps brings, so far as they are there. The
list is made at run time, and the report has it."""
import base64
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import laboratory

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE_MAX = 1200 << 10
CORPUS = "corpus/"

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".py": "text/x-python",
         ".h": "text/x-c", ".json": "application/json", ".ndjson": "application/x-ndjson",
         ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".xml": "application/xml",
         ".xsd": "application/xml", ".jpeg": "image/jpeg", ".png": "image/png",
         ".webp": "image/webp", ".woff2": "font/woff2", ".ttf": "font/ttf",
         ".gz": "application/gzip", ".wasm": "application/wasm", ".txt": "text/plain",
         ".1": "text/plain", ".10K": "text/plain"}
BINARY = "application/octet-stream"

# Each a file of the corpus or of the host; of those after a "|" the first that is there.
KINDS = {
    "text": ["corpus/corpora__alice29.txt", "corpus/corpora__news", "corpus/snappy__urls.10K",
             "corpus/corpora__trans", "/usr/share/common-licenses/GPL-3"],
    "code": ["/usr/include/zstd.h", "/usr/lib/python3*/argparse.py", "/usr/include/stdlib.h",
             "/usr/lib/node_modules/npm/node_modules/diff/dist/diff.js"
             "|/usr/share/nodejs/diff/dist/diff.js|/usr/libexec/valgrind/dh_view.js",
             "/usr/share/doc/nodejs/api/assets/style.css"
             "|/usr/share/prometheus/web/static/vendor/*/css/*.css"],
    "html": ["corpus/snappy__html", "/usr/share/doc/ninja-build/manual.html",
             "/usr/share/doc/valgrind/html/manual-core.html",
             "/usr/share/doc/nodejs/api/buffer.html|/usr/share/doc/valgrind/html/mc-manual.html",
             "/usr/share/doc/valgrind/html/ms-manual.html"],
    "json": ["corpus/simdjson-data__twitter.json", "corpus/simdjson-data__github_events.json",
             "corpus/simdjson-data__apache_builds.json", "corpus/icons__bootstrap-icons.json"],
    "json lines": ["corpus/simdjson-data__amazon_cellphones.ndjson"],
    "csv": ["corpus/vega-datasets__sp500-2000.csv", "corpus/vega-datasets__seattle-weather.csv",
            "corpus/vega-datasets__unemployment.tsv"],
    "xml": ["/usr/share/gdb/syscalls/amd64-linux.xml", "/usr/share/ffmpeg/ffprobe.xsd",
            "/usr/share/gdb/syscalls/freebsd.xml"],
    "binary": ["corpus/snappy__geo.protodata", "corpus/mvt-fixtures__12-2860-1367.mvt",
               "corpus/corpora__kennedy.xls", "corpus/corpora__geo", "corpus/corpora__obj2",
               "corpus/corpora__sum", "corpus/brotli__mapsdatazrh",
               "corpus/source-code-pro__SourceCodePro-Regular.ttf"],
    "wasm": ["node:llhttp.wasm"],
    "compressed": ["corpus/snappy__fireworks.jpeg", "corpus/sharp__4.webp",
                   "corpus/sharp__alpha-premultiply-1024x768-paper.png",
                   "corpus/icons__bootstrap-icons.woff2",
                   "corpus/RITCH__ex20101224.TEST_ITCH_50.gz",
                   "corpus/brotli__random_org_10k.bin"],
    "extremes": ["corpus/corpora__aaa.txt", "corpus/corpora__random.txt"],
    "small": ["corpus/corpora__xargs.1",
              "corpus/simdjson-data__google_maps_api_compact_response.json",
              # The first bytes of others: as much as a small answer has of the like.
              "1600:corpus/simdjson-data__github_events.json",
              "3000:corpus/simdjson-data__twitter.json", "2400:corpus/snappy__html",
              "6000:corpus/snappy__html", "4000:corpus/vega-datasets__seattle-weather.csv",
              "8000:/usr/include/zstd.h", "2000:corpus/snappy__geo.protodata"],
}
# A few, of little in all: for --quick.
QUICK = {"text": 1, "json": 3, "small": 3, "compressed": 1}


@dataclass
class Text:
    name: str
    kind: str
    media_type: str
    data: bytes


def data_folder():
    return Path(os.environ.get("LEAT_TEST_DATA") or ROOT.parent / "shared")


def node_wasm():
    """The parser of HTTP that Node carries, which is WASM; None: no Node, or without."""
    script = "process.stdout.write(process.binding('natives')['internal/deps/undici/undici'])"
    try:
        done = subprocess.run(["node", "--no-warnings", "-e", script], capture_output=True,
                              timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"AGFzbQ[A-Za-z0-9+/]{4000,}={0,2}", done.stdout)
    return base64.b64decode(found.group(0)) if found else None


def find(pattern):
    """(name, bytes) of what a pattern of KINDS stands for; None: not here."""
    cut, _, rest = pattern.rpartition(":") if pattern[0].isdigit() else ("", "", pattern)
    if rest.startswith("node:"):
        data = node_wasm()
        return None if data is None else (rest.removeprefix("node:"), data)
    for one in rest.split("|"):
        if one.startswith(CORPUS):
            paths = [data_folder() / one]
        else:
            paths = sorted(Path("/").glob(one.removeprefix("/")))
        for path in paths:
            if path.is_file() and 0 < path.stat().st_size <= SIZE_MAX:
                data = path.read_bytes()
                name = path.name.partition("__")[2] or path.name
                return (f"{name}[:{cut}]", data[:int(cut)]) if cut else (name, data)
    return None


def media_type(name):
    return TYPES.get(Path(name.partition("[")[0]).suffix, BINARY)


def choose(lab, quick=False):
    """All texts that are here. Says which are not."""
    texts, missing = [], []
    for kind, patterns in KINDS.items():
        for pattern in patterns[:QUICK.get(kind, 0)] if quick else patterns:
            found = find(pattern)
            if found is None:
                missing.append(pattern)
            else:
                name, data = found
                plain = kind in ("text", "extremes") and media_type(name) == BINARY
                texts.append(Text(name, kind, "text/plain" if plain else media_type(name), data))
    if not texts or (quick and not any(text.kind == "json" for text in texts)):
        raise laboratory.Skip(f"no corpus in {data_folder()} ($LEAT_TEST_DATA)")
    if missing:
        lab.say("    not here: " + ", ".join(missing))
    return texts


def write(lab, texts):
    """The texts as files N, and the list of them that bench/coded reads: its path."""
    folder = lab.directory / "texts"
    folder.mkdir(mode=0o755)
    lines = []
    for number, text in enumerate(texts):
        path = folder / str(number)
        path.write_bytes(text.data)
        lines.append(f"{text.media_type} {path}\n")
    (lab.directory / "texts.list").write_text("".join(lines))
    return lab.directory / "texts.list"


def tell(lab, texts):
    for kind in dict.fromkeys(text.kind for text in texts):
        own = [f"{text.name} ({len(text.data)})" for text in texts if text.kind == kind]
        lab.say(f"    {kind}: " + ", ".join(own))
