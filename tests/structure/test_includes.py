# SPDX-License-Identifier: MIT
"""No step upstairs: a module includes from its own folder and from the layers below it.

The table is the one of docs/architecture.md. A public header belongs to the layer whose folder in
src/ has a file of the same name; those that have none are named in PUBLIC.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# layer: the layers it stands on, directly. Everything below those is below it, too.
STANDS_ON = {
    "base": (),
    "mem": ("base",),
    "loop": ("mem",),
    "fiber": ("loop",),
    "net": ("fiber",),
    "wire": ("mem",),
    "codec": ("fiber", "wire"),
    "tls": ("net", "wire"),
    "media": ("net", "wire"),
    "feed": ("net", "wire", "codec"),
    "http": ("net", "tls", "wire", "codec"),
    "cluster": ("net", "wire", "codec"),
    "leat": ("http", "feed"),  # leat.h, which includes all of them
}
PUBLIC = {
    "leat.h": "leat",
    "form.h": "http",
    "slice.h": "base",
    "clock.h": "base",
    "stream.h": "net",
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def below(layer):
    """The layer itself and everything it may include."""
    layers = {layer}
    for lower in STANDS_ON[layer]:
        layers |= below(lower)
    return layers


def public_layer(name, root=ROOT):
    if name in PUBLIC:
        return PUBLIC[name]
    stem = pathlib.Path(name).stem
    found = {path.parent.name for kind in (".c", ".h")
             for path in (root / "src").glob(f"*/{stem}{kind}") if path.parent.name in STANDS_ON}
    found = {layer for layer in found if layer in STANDS_ON}
    if (root / "src" / stem).is_dir() and stem in STANDS_ON:
        found = {stem}  # leat/loop.h is the face of src/loop/
    # the same name on several floors: the header is the lowest one's
    for layer in STANDS_ON:
        if layer in found:
            return layer
    return None


def layer_of(path, root=ROOT):
    """'base' … 'cluster', 'apps', or None for what has no layer."""
    parts = path.relative_to(root).parts
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("include", "leat"):
        return public_layer(parts[2], root)
    return parts[0] if parts[0] in ("apps", "examples") else None


def target_of(path, name, root=ROOT):
    """The file of ours that `path` means by `name`, or None. A folder within apps/leat/ sees what
    is in there, too."""
    for folder in (path.parent, root / "apps/leat", root / "src", root / "include"):
        if folder == root / "apps/leat" and not path.is_relative_to(folder):
            continue
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def find_problems(root=ROOT):
    problems = []
    sources = [path for folder in ("src", "include/leat", "apps", "examples")
               for path in sorted((root / folder).rglob("*.[chS]"))]
    for path in sources:
        where = path.relative_to(root)
        layer = layer_of(path, root)
        if layer is None:
            problems.append(f"{where}: of no layer; name it in the table of test_includes.py")
            continue
        if layer not in STANDS_ON and layer not in ("apps", "examples"):
            problems.append(f"{where}: src/{layer}/ is no layer of docs/architecture.md")
            continue
        for match in INCLUDE.finditer(path.read_text(encoding="utf-8")):
            quoted, name = match[1] is not None, match[1] or match[2]
            target = target_of(path, name, root)
            if target is None:
                if quoted:
                    problems.append(f"{where}: \"{name}\" is not in the tree")
                continue
            to = layer_of(target, root)
            if layer == "apps":
                continue
            if layer == "examples":
                if target.parent != path.parent and not name.startswith("leat/"):
                    problems.append(f"{where}: an example uses the public headers alone, "
                                    f"not {name}")
                continue
            if path.is_relative_to(root / "include") and target.is_relative_to(root / "src"):
                problems.append(f"{where}: a public header includes the private {name}")
            elif to not in below(layer):
                problems.append(f"{where}: {layer} may not include {name} of {to}")
    return problems


def test_no_step_upstairs():
    problems = find_problems()
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("file, text, complaint", [
    ("src/mem/arena.c", '#include "loop/op.h"', "mem may not include loop/op.h of loop"),
    ("src/wire/http1.c", '#  include "net/stream.h"', "wire may not include net/stream.h of net"),
    ("src/tls/tls.c", '#include "media/film.h"', "tls may not include media/film.h of media"),
    ("src/loop/op.c", "#include <leat/stream.h>", "loop may not include leat/stream.h of net"),
    ("include/leat/op.h", '#include "loop/op.h"', "a public header includes the private"),
    ("examples/echo.c", '#include "loop/op.h"', "an example uses the public headers alone"),
    ("src/odd/odd.c", "", "src/odd/ is no layer"),
    ("src/base/a.c", '#include "base/gone.h"', "is not in the tree"),
])
def test_a_step_upstairs_is_seen(tmp_path, file, text, complaint):
    for name in ("src/loop/op.h", "src/net/stream.h", "src/media/film.h", "include/leat/stream.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert find_problems(tmp_path) == []
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("/* SPDX */\n" + text + "\n")
    problems = find_problems(tmp_path)
    assert len(problems) == 1 and complaint in problems[0]


def test_a_step_downstairs_is_allowed(tmp_path):
    for name, text in {"src/base/list.h": "", "src/wire/range.h": '#include "base/list.h"',
                       "src/http/files.c": '#include "wire/range.h"\n#include "net/send.h"',
                       "src/net/send.h": '#include <stdio.h>\n#include "base/list.h"',
                       "apps/leat/main.c": '#include "http/files.h"'}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "src/http/files.h").write_text("")
    assert find_problems(tmp_path) == []
