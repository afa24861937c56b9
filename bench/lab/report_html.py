# SPDX-License-Identifier: MIT
"""report.html: one file that needs no other, no script and no network; for a screen of any width,
in light and dark, and for paper. Its plots are report_figures.py's, its words report_facts.py's,
report_verdict.py's and report_words.py's."""
from html import escape

from . import report_figures, report_verdict, report_words
from . import report_facts as facts

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1c1e21; --dim: #62676d; --line: #d9dad5;
  --hair: #ecece7; --wash: #f3f4ef; --leat: #e9f1f8; --link: #1f5f99; --alarm: #a8321a;
  --user: #e0a030; --system: #2f6ea8; --bar: #5b89b4; --d50: #9cc3e4; --d99: #2f6ea8;
  --d999: #d98a1f; --dmax: #8c8f94; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #dfe2e5;
  --dim: #979da4; --line: #3a4046; --hair: #252a2f; --wash: #1c2024; --leat: #1b2a38;
  --link: #8abbe6; --alarm: #f0907a; --user: #e6b052; --system: #4f93d2; --bar: #5f93c4;
  --d50: #a9d0f2; --d99: #4f93d2; --d999: #eba23d; --dmax: #7d848b; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 86rem; background: var(--paper);
  color: var(--ink); font: 1.0625rem/1.55 "Iowan Old Style", "Palatino Linotype", Palatino, Charter,
  "Bitstream Charter", Georgia, "DejaVu Serif", serif; overflow-wrap: break-word; }
p, li, .lead, .banner { max-width: 44rem; }
h1 { font-size: 2.1rem; line-height: 1.15; font-weight: 400; margin: 0 0 .5rem;
  letter-spacing: -.01em; }
h2 { font-size: 1.4rem; line-height: 1.25; font-weight: 400; margin: 4rem 0 .4rem;
  break-after: avoid; }
h3 { font-size: 1rem; margin: 1.75rem 0 .25rem; break-after: avoid; }
p { margin: .5rem 0; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
.lead { color: var(--dim); margin: 0 0 1.5rem; }
.meta, figcaption, table, dl, svg, .versions, pre {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans",
    sans-serif; font-variant-numeric: tabular-nums lining-nums; }
.meta, .versions { color: var(--dim); font-size: .82rem; }
.banner { border-left: 3px solid var(--alarm); padding: .15rem 0 .15rem .9rem; margin: 1rem 0; }
.banner p, .banner ul { margin: 0; } .banner ul { padding-left: 1.1rem; }
dl.host { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr));
  gap: .7rem 1.5rem; margin: 1.5rem 0; font-size: .82rem; line-height: 1.4; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.short { padding: 0; list-style: none; margin: .5rem 0 0; }
.short li { padding: .5rem 0; border-top: 1px solid var(--hair); max-width: 56rem; }
.short li:last-child { border-bottom: 1px solid var(--hair); }
.scroll { overflow-x: auto; margin: 1.25rem 0 .9rem; scrollbar-width: thin;
  background: linear-gradient(var(--paper), var(--paper)) right / 2rem 100% no-repeat local,
    linear-gradient(to left, var(--line), transparent) right / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .76rem; line-height: 1.3; min-width: 100%;
  border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
th, td { padding: .4rem .38rem; text-align: right; vertical-align: top; white-space: nowrap;
  font-weight: 400; }
.few table { min-width: min(100%, 52rem); }
thead th { color: var(--dim); font-size: .72rem; padding-block: .3rem; vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
thead th[scope=colgroup] { text-align: center; }
thead th[scope=colgroup] span { display: block; border-bottom: 1px solid var(--line);
  padding-bottom: .15rem; }
tbody tr + tr > * { border-top: 1px solid var(--hair); }
th.name { text-align: left; white-space: normal; min-width: 9.5rem; max-width: 16rem;
  position: sticky; left: 0; background: var(--paper); }
th.name small, td small { display: block; color: var(--dim); font-size: .66rem; }
td.rank, th.rank { text-align: left; color: var(--dim); padding-right: .2rem; }
td.last, th.last { text-align: left; white-space: normal; }
tr.leat > * { background: var(--leat); } tr.leat th.name { background: var(--leat); }
tr.leat th.name b { font-weight: 650; } th.name b { font-weight: 400; }
tr.limit th.name b { font-style: italic; } tr.limit > * { color: var(--dim); }
tr.point th { text-align: left; padding-top: 1.1rem; border-bottom: 1px solid var(--line);
  font-weight: 650; position: static; background: none; }
tr.out td { text-align: left; color: var(--dim); white-space: normal; }
.doubt { color: var(--dim); font-style: italic; } .bad { color: var(--alarm); font-weight: 650; }
.said p { margin: .35rem 0; } .said p.note { color: var(--dim); font-size: .95rem; }
.not-first::before { content: "▾ "; color: var(--alarm); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16.5rem, 100%), 1fr));
  gap: 2rem 2.2rem; margin: 2rem 0 0; }
.panels { grid-template-columns: repeat(auto-fill, minmax(min(13rem, 100%), 1fr));
  gap: 1.4rem 1.6rem; margin-top: .9rem; }
figure { margin: 0; min-width: 0; max-width: 28rem; break-inside: avoid; }
figcaption { font-size: .82rem; line-height: 1.35; margin-bottom: .5rem; }
figcaption b { font-weight: 650; } figcaption small { display: block; color: var(--dim);
  font-size: .72rem; }
.panels { align-items: end; }
.panels figcaption { margin-bottom: .2rem; font-size: .78rem; }
figcaption .leat { font-weight: 650; background: none; } figcaption .limit { font-style: italic; }
.plots:not(.panels) figcaption { min-height: 3.9em; }
.key { display: inline-block; margin-right: .8em; white-space: nowrap; color: var(--dim);
  font-size: .75rem; }
.key i { display: inline-block; width: .7em; height: .7em; margin-right: .3em; }
.key i.dot { border-radius: 50%; }
.key i.stroke { height: .2em; vertical-align: .2em; width: 1.2em; }
.key i.ghost { background: none; border-top: 1px dashed var(--dim); }
svg { display: block; overflow: visible; }
svg text { fill: var(--ink); font-size: 12px; } svg text.tick { fill: var(--dim);
  font-size: 10.5px; }
svg text.label.leat { font-weight: 650; } svg text.label.limit { font-style: italic; }
svg text.doubt { fill: var(--dim); font-style: italic; }
svg line.grid { stroke: var(--hair); } svg line.whisker { stroke: var(--ink); }
svg line.thread { stroke: var(--line); stroke-width: 2; }
.bar { fill: var(--bar); background: var(--bar); } .user { fill: var(--user);
  background: var(--user); } .system { fill: var(--system); background: var(--system); }
rect.limit { opacity: .55; } rect.faint { opacity: .3; }
.p50 { fill: var(--d50); stroke: var(--d50); background: var(--d50); }
.p99 { fill: var(--d99); stroke: var(--d99); background: var(--d99); }
.p999 { fill: var(--d999); stroke: var(--d999); background: var(--d999); }
.max { fill: var(--dmax); stroke: var(--dmax); background: var(--dmax); }
.single { fill: var(--system); stroke: var(--system); background: var(--system); }
.ghost { stroke: var(--dim); background: var(--dim); } line.ghost { stroke-dasharray: 3 3; }
svg line.path { stroke-width: 2; } svg line.path.ghost { stroke-width: 1; }
.method p { margin: 0 0 .8rem; } .method h3 + p { margin-top: 0; }
pre { white-space: pre-wrap; font-size: .8rem; background: var(--wash); padding: .6rem .8rem; }
code { font-size: .9em; }
@media (max-width: 40rem) { body { padding: 1.75rem 1rem 3rem; font-size: 1rem; }
  h1 { font-size: 1.7rem; } h2 { margin-top: 3rem; } th.name { min-width: 7.5rem;
  max-width: 9rem; } td.rank, th.rank { padding-left: 0; }
  .plots:not(.panels) figcaption { min-height: 0; }
  .panels { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1.2rem 1rem; }
  dl.host { grid-template-columns: 1fr 1fr; } }
@page { size: A4 landscape; margin: 12mm; }
@media print { :root { --paper: #fff; }
  body { padding: 0; max-width: none; font-size: 10pt; } table { font-size: 6.8pt; }
  th, td { padding: .25rem .28rem; } thead th, th.name small, td small { font-size: 6pt; }
  .scroll { overflow: visible; } th.name { position: static; min-width: 0; }
  tr { break-inside: avoid; }
  h2 { margin-top: 2rem; } .plots { grid-template-columns: repeat(4, 1fr); gap: 1rem 1.2rem; }
  a { color: inherit; text-decoration: none; } p, li, .lead { max-width: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


FEW = 9  # columns; a table of no more is not drawn out to the page's width


def element(name, content, style="", **attributes):
    if style:
        attributes["class"] = style
    words = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{words}>{content}</{name}>"


def paragraph(text, style=""):
    return element("p", escape(text), style)


# -------------------------------------------------------------------------------------- a table --

def heads(columns):
    """Two rows of headings: what is measured, and which figure of it."""
    upper = [element("th", "", colspan=2)]
    lower = [element("th", "", "rank", scope="col"), element("th", "server", "name", scope="col")]
    at = 0
    while at < len(columns):
        group = columns[at].group
        count = next((index for index in range(at, len(columns)) if columns[index].group != group),
                     len(columns)) - at
        span = element("span", escape(group)) if group else ""
        upper.append(element("th", span, scope="colgroup", colspan=count) if group else
                     element("th", "", colspan=count))
        lower += [element("th", escape(column.head), scope="col")
                  for column in columns[at:at + count]]
        at += count
    return element("thead", element("tr", "".join(upper)) + element("tr", "".join(lower)))


def name_cell(row):
    small = facts.about(row)
    under = element("small", escape(small)) if small else ""
    return element("th", element("b", element("bdi", escape(facts.title_of(row)))) + under, "name",
                   scope="row")


def figure_cell(cell):
    if cell is None:
        return element("td", "")
    under = element("small", escape(cell.under)) if cell.under else ""
    return element("td", escape(cell.text) + under, cell.mark)


def run_row(row, columns):
    cells = [element("td", facts.rank_text(row), "rank"), name_cell(row)]
    cells += [figure_cell(column.cell(row)) for column in columns]
    role = row.get("role") if row.get("role") in ("leat", "limit") else ""
    return element("tr", "".join(cells), role)


def out_row(row, reason, labels, columns):
    where = f" (at {facts.enumeration(labels)})" if labels else ""
    text = escape(f"not run: {reason}{where}")
    return element("tr", element("td", "–", "rank") + name_cell(row)
                   + element("td", text, colspan=max(len(columns), 1)), "out")


def table(test):
    columns = facts.columns_of(test)
    bodies = []
    for group in facts.groups_of(test):
        rows = [run_row(row, columns) for row in group.ran]
        if group.label and rows:
            rows.insert(0, element("tr", element("th", escape(group.label), scope="rowgroup",
                                                 colspan=len(columns) + 2), "point"))
        bodies.append(element("tbody", "\n".join(rows)) if rows else "")
    out = [out_row(*found, columns) for found in facts.not_run_once(test)]
    bodies.append(element("tbody", "\n".join(out)) if out else "")
    if not any(bodies):
        return ""
    return scrolling(heads(columns) + "\n".join(bodies), facts.title_of(test), len(columns))


def scrolling(content, label, count):
    """A table that may be wider than its place; the keyboard reaches it too."""
    return element("div", element("table", content), "scroll" if count > FEW else "scroll few",
                   tabindex="0", role="region", **{"aria-label": label or "table"})


# --------------------------------------------------------------------------------------- a test --

def said(test):
    parts = []
    for label, sentences in report_verdict.sentences(test):
        if label:
            parts.append(element("h3", escape(label)))
        for tone, text in sentences:
            parts.append(paragraph(text, tone.replace(" ", "-")))
    parts += [paragraph(text, tone) for tone, text in report_verdict.remarks(test)]
    return element("div", "\n".join(parts), "said")


def legend(key, shape=""):
    return "".join(element("span", element("i", "", f"{style} {shape}".strip()) + escape(text),
                           "key") for style, text in key)


def figure(plot, shape="", name="b"):
    caption = element(name, escape(plot.caption), plot.style)
    if plot.key:
        caption += "<br>" + legend(plot.key, shape)
    if plot.note:
        caption += element("small", escape(plot.note))
    return element("figure", element("figcaption", caption) + plot.svg)


def figures(test):
    groups = [group for group in facts.groups_of(test) if group.ran]
    if not groups:
        return ""
    if len(groups) == 1:
        found = [figure(plot, "dot" if "p50" in dict(plot.key) else "")
                 for plot in report_figures.at_one_point(groups[0])]
        return element("div", "\n".join(found), "plots")
    caption, key, panels = report_figures.at_points(test, groups)
    if not panels:
        return ""
    head = element("h3", escape(caption)) + element("p", legend(key, "stroke"), "meta")
    return head + element("div", "\n".join(figure(panel, name="span") for panel in panels),
                          "plots panels")


def section(test, number):
    parts = [element("h2", escape(facts.title_of(test)))]
    if facts.clean(test.get("what")):
        parts.append(paragraph(facts.clean(test.get("what"))))
    parts += [paragraph(facts.test_meta(test), "meta"), table(test), said(test), figures(test)]
    return element("section", "\n".join(part for part in parts if part), id=f"test{number}")


# ------------------------------------------------------------------------- messages, witnesses ---

def small_table(columns, rows, label):
    """Plain headings; `rows` are lists of cells that are HTML already. The first cell is a name."""
    head = element("thead", element("tr", "".join(
        element("th", escape(name), "name" if index == 0 else "last" if name == "" else "",
                scope="col") for index, name in enumerate(columns))))
    return scrolling(head + element("tbody", "\n".join(element("tr", "".join(row))
                                                       for row in rows)), label, len(columns))


def spread_cell(row, key):
    cell = facts.plain(key, True)(row)
    return figure_cell(cell)


def messages(part):
    part = facts.mapping(part)
    rows = facts.by_time(facts.items(part.get("rows")))
    if not rows:
        return ""
    shown = []
    for row in rows:
        name = element("th", element("b", element("bdi", escape(facts.title_of(row)))) + element(
            "small", escape(facts.clean(row.get("version")))), "name", scope="row")
        if facts.is_run(row):
            size = facts.number(row.get("bytes"))
            shown.append([name, element("td", "" if size is None else f"{size:,.0f}"),
                          spread_cell(row, "encode_ns"), spread_cell(row, "decode_ns")])
        else:
            why = f"not run: {facts.reason_of(row)}"
            shown.append([name, element("td", escape(why), "last", colspan=3)])
    return element("section", "\n".join(
        [element("h2", escape(facts.clean(part.get("title")) or "Messages")),
         paragraph(facts.clean(part.get("what"))),
         small_table(["format", "bytes", "encode, ns", "decode, ns"], shown, "messages"),
         element("div", paragraph(report_verdict.message_sentence(rows)), "said")]), id="messages")


def witnesses(found):
    parts = []
    for part in facts.items(found):
        shown = []
        for row in facts.items(part.get("rows")):
            name = element("th", element("b", escape(facts.title_of(row))) + element(
                "small", escape(facts.clean(row.get("version")))), "name", scope="row")
            if facts.is_run(row):
                shown.append([name, *(spread_cell(row, key) for key in
                                      ("requests_per_s", "p50", "p99", "client_cpu_us"))])
            else:
                why = f"not run: {facts.reason_of(row)}"
                shown.append([name, element("td", escape(why), "last", colspan=4)])
        label = f"{facts.clean(part.get('server'))}, {facts.clean(part.get('test'))}"
        parts += [element("h3", escape(label)), small_table(
            ["client", "requests/s", "p50, µs", "p99, µs", "its own CPU, µs a request"], shown,
            label), element("div", paragraph(report_verdict.witness_sentence(
                facts.items(part.get("rows")))), "said")]
    if not parts:
        return ""
    return element("section", "\n".join([element("h2", "Witnesses"), paragraph(
        "The same servers, asked by other load generators."), *parts]), id="witnesses")


# ------------------------------------------------------------------------------------- the page --

def host(report):
    shown = "".join(element("div", element("dt", escape(name)) + element("dd", escape(value)))
                    for name, value in report_words.host_facts(report))
    found = " · ".join(f"{escape(name)} {escape(version)}" for name, version
                       in report_words.versions(report))
    return (element("dl", shown, "host") if shown else "") + (element(
        "p", "Versions: " + found, "versions") if found else "")


def header(report):
    parts = [element("h1", report_words.TITLE), paragraph(report_words.subtitle(report), "lead")]
    parts += [element("div", paragraph(text), "banner") for text in report_words.banners(report)]
    lost = report_words.lost(report)
    if lost:
        parts.append(element("div", paragraph("What this host denied, and what that costs:")
                             + element("ul", "".join(element("li", escape(text))
                                                     for text in lost)), "banner"))
    return element("header", "\n".join([*parts, host(report)]))


def contents(tests):
    lines = []
    for number, test in enumerate(tests, 1):
        tone, text = report_verdict.in_short(test)
        link = element("a", escape(facts.title_of(test)), href=f"#test{number}")
        lines.append(element("li", f"{link}<br>" + element("span", escape(text),
                                                            tone.replace(" ", "-"))))
    return element("nav", element("h2", "In short") + element("ul", "\n".join(lines), "short"),
                   **{"aria-label": "In short"}) if lines else paragraph("No test was run.")


def method(report):
    parts = [element("h2", report_words.METHOD)]
    for heading, text in report_words.method(report):
        parts.append(element("h3", escape(heading)) + paragraph(text))
    command = report_words.command(report)
    if command:
        parts += [element("h3", "The command."), element("pre", escape(command))]
    return element("section", "\n".join(parts), "method", id="method")


def page(report):
    tests = facts.items(report.get("tests"))
    parts = [header(report), contents(tests)]
    parts += [section(test, number) for number, test in enumerate(tests, 1)]
    parts += [messages(report.get("messages")), witnesses(report.get("witnesses")),
              method(report)]
    return "\n".join([
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        element("title", escape(f"{report_words.TITLE}: {report_words.subtitle(report)}")),
        f"<style>{STYLE}</style>", "</head>", "<body>", element("main", "\n".join(
            part for part in parts if part)), "</body>", "</html>", ""])
