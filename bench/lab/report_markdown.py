# SPDX-License-Identifier: MIT
"""report.md: what report.html says, for docs/performance/ and GitHub. Its tables are aligned, so
that the raw text can be read as it is; each test has three, for one would be too wide. Instead of
plots there is a bar of text for the figure the rows are ordered by."""
import re
import textwrap
import unicodedata

from . import report_facts as facts
from . import report_verdict, report_words

WIDTH = 100
BARS = 40  # letters, the longest
EIGHTHS = " ▏▎▍▌▋▊▉"


def safe(text):
    """A text that Markdown takes as it stands. A _ within a word (bare_uring) needs no help."""
    text = facts.clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return re.sub(r"^([#+-]|\d+[.)](?=\s))", r"\\\1", text)


def fence(text):
    """A block of text as it is, whatever is in it."""
    ticks = max([2, *(len(run) for run in re.findall("`+", text))]) + 1
    return "`" * ticks + "text\n" + text + "\n" + "`" * ticks


def width(text):
    return sum(0 if unicodedata.combining(letter) else
               2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def pad(text, size, is_left):
    space = " " * (size - width(text))
    return text + space if is_left else space + text


def wrapped(text, first="", rest=""):
    """Lines of prose; none of them may begin with what would make it a list or a heading."""
    lines = textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest,
                          break_long_words=False, break_on_hyphens=False)
    kept = []
    for line in lines:
        if kept and re.match(r"\s*([#+*-]|\d+[.)])(\s|$)", line):
            kept[-1] += " " + line.strip()
        else:
            kept.append(line)
    return "\n".join(kept)


def table(head, rows, left=(0,)):
    """Cells are safe already. Columns in `left` are flush left."""
    sizes = [max(3, *(width(row[index]) for row in [head, *rows])) for index in range(len(head))]

    def line(cells):
        return "| " + " | ".join(pad(cell, size, index in left) for index, (cell, size)
                                 in enumerate(zip(cells, sizes))) + " |"

    rule = "|" + "|".join(":" + "-" * (size + 1) if index in left else "-" * (size + 1) + ":"
                          for index, size in enumerate(sizes)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def cell_text(cell):
    if cell is None:
        return ""
    text = cell.text + (f" ({cell.under})" if cell.under else "")
    return {"doubt": f"{text} †", "bad": f"**{text}**"}.get(cell.mark, text)


def name_text(row):
    name = safe(facts.title_of(row))
    return {"leat": f"**{name}**", "limit": f"*{name}*"}.get(row.get("role"), name)


def head_text(column):
    """Group and head in one, for Markdown has one line for both."""
    group, head = column.group, column.head
    if head == "median":
        return group
    if column.part == facts.COST or not group:
        return head
    if head[0] == "÷":
        return head
    if group == "peak memory":
        return f"{group}, {head}"
    name, _, unit = group.partition(", ")
    return f"{head}, {unit.replace(' of a core', '')}" if unit else f"{head}, /s"


def rows_of(group, columns):
    """One point's table, for those columns that it has; "" without any."""
    columns = [column for column in columns if any(column.cell(row) for row in group.ran)]
    if not columns or not group.ran:
        return ""
    rows = [[facts.rank_text(row), name_text(row), *(cell_text(column.cell(row))
                                                     for column in columns)] for row in group.ran]
    return table(["", "server", *(safe(head_text(column)) for column in columns)], rows, (0, 1))


def bars(test, group):
    key = facts.order_key(test)
    rows = [(facts.title_of(row), facts.measured(row, key)) for row in group.ran]
    rows = [(title, value.median) for title, value in rows if value and value.median >= 0]
    most = max((value for _, value in rows), default=0)
    if most <= 0:
        return ""
    size = max(width(title) for title, _ in rows)
    lines = [f"{facts.figure_of(key).name}" + (f", {facts.figure_of(key).unit}"
                                               if facts.figure_of(key).unit else "")]
    for title, value in rows:
        eighths = round(BARS * 8 * value / most)
        bar = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
        lines.append(f"{pad(title, size, True)}  {bar} {facts.number_text(key, value)}")
    return fence("\n".join(lines))


def group_parts(test, group, sentences):
    columns = facts.columns_of(test)
    parts = [f"### {safe(group.label)}"] if group.label else []
    tables = [rows_of(group, [column for column in columns if column.part == part])
              for part in (facts.COST, facts.SPEED, facts.REST)]
    parts += [part for part in tables if part]
    if any("†" in part for part in tables):
        parts.append("† The client was the limit.")
    parts += [wrapped(("**" + safe(text) + "**") if tone == "not first" else safe(text))
              for tone, text in sentences]
    return [*parts, bars(test, group)] if group.ran else parts


def notes(test):
    """What the tables have no room for: each row's way, once; and what did not run."""
    about = {}
    for group in facts.groups_of(test):
        for row in group.ran:
            about.setdefault(facts.title_of(row), facts.about(row))
    lines = [wrapped(f"{safe(title)}: {safe(text)}", "- ", "  ") for title, text in about.items()
             if text]
    out = []
    for row, reason, labels in facts.not_run_once(test):
        where = f" (at {facts.enumeration(labels)})" if labels else ""
        out.append(wrapped(f"{safe(facts.title_of(row))}: not run: {safe(reason + where)}", "- ",
                           "  "))
    return (["The rows:\n\n" + "\n".join(lines)] if lines else []) + (
        ["Not run:\n\n" + "\n".join(out)] if out else [])


def section(test):
    parts = [f"## {safe(facts.title_of(test))}"]
    if facts.clean(test.get("what")):
        parts.append(wrapped(safe(test.get("what"))))
    parts.append(wrapped(safe(facts.test_meta(test)) + "."))
    groups = facts.groups_of(test)
    said = report_verdict.sentences(test)
    for group, (_, sentences) in zip(groups, said):
        if group.ran or not group.label:
            parts += group_parts(test, group, sentences)
    if not groups:
        parts += [text for _, text in said[0][1]]
    parts += [wrapped(safe(text)) for _, text in report_verdict.remarks(test)]
    return [*parts, *notes(test)]


def spread_text(row, key):
    return cell_text(facts.plain(key, True)(row))


def messages(part):
    part = facts.mapping(part)
    rows = facts.by_time(facts.items(part.get("rows")))
    if not rows:
        return []
    shown = []
    for row in rows:
        name = safe(f"{facts.title_of(row)} {facts.clean(row.get('version'))}".strip())
        size = facts.number(row.get("bytes"))
        shown.append([name, "" if size is None else f"{size:,.0f}", spread_text(row, "encode_ns"),
                      spread_text(row, "decode_ns")] if facts.is_run(row) else
                     [name, safe(f"not run: {facts.reason_of(row)}"), "", ""])
    return [f"## {safe(part.get('title')) or 'Messages'}", wrapped(safe(part.get("what"))),
            table(["format", "bytes", "encode, ns", "decode, ns"], shown),
            wrapped(safe(report_verdict.message_sentence(rows)))]


def witnesses(found):
    parts = []
    for part in facts.items(found):
        shown = []
        for row in facts.items(part.get("rows")):
            name = safe(f"{facts.title_of(row)} {facts.clean(row.get('version'))}".strip())
            shown.append([name, *(spread_text(row, key) for key in (
                "requests_per_s", "p50", "p99", "client_cpu_us"))] if facts.is_run(row) else
                         [name, safe(f"not run: {facts.reason_of(row)}"), "", "", ""])
        if shown:
            parts += [f"### {safe(part.get('server'))}, {safe(part.get('test'))}", table(
                ["client", "requests/s", "p50, µs", "p99, µs", "its CPU, µs a request"], shown),
                safe(report_verdict.witness_sentence(facts.items(part.get("rows"))))]
    return ["## Witnesses", "The same servers, asked by other load generators.", *parts] \
        if parts else []


def head(report):
    parts = [f"# {report_words.TITLE}", wrapped(safe(report_words.subtitle(report)))]
    parts += [wrapped(f"**{safe(text)}**") for text in report_words.banners(report)]
    lost = report_words.lost(report)
    if lost:
        parts.append("What this host denied, and what that costs:\n\n" + "\n".join(
            wrapped(safe(text), "- ", "  ") for text in lost))
    host = [f"{safe(name)}: {safe(value)}" for name, value in report_words.host_facts(report)]
    if host:
        parts.append("\n".join(wrapped(line, "- ", "  ") for line in host))
    versions = [f"{safe(name)} {safe(version)}" for name, version in report_words.versions(report)]
    if versions:
        parts.append(wrapped("Versions: " + ", ".join(versions) + "."))
    return parts


def contents(tests):
    if not tests:
        return ["No test was run."]
    lines = [wrapped(f"{safe(facts.title_of(test))}: {safe(report_verdict.in_short(test)[1])}",
                     "- ", "  ") for test in tests]
    return ["## In short", "\n".join(lines)]


def method(report):
    parts = [f"## {report_words.METHOD}"]
    parts += [wrapped(f"**{safe(heading)}** {safe(text)}") for heading, text
              in report_words.method(report)]
    command = report_words.command(report)
    return parts + ([fence(command)] if command else [])


def page(report):
    tests = facts.items(report.get("tests"))
    parts = head(report) + contents(tests)
    for test in tests:
        parts += section(test)
    parts += messages(report.get("messages")) + witnesses(report.get("witnesses"))
    return "\n\n".join(part for part in parts + method(report) if part) + "\n"
