# SPDX-License-Identifier: MIT
"""Which plots a test has, made from its rows. A test at one point has a column of rows for each of
CPU time, throughput, latency and memory, in the order of its table; a test at several points has a
small panel for each server."""
from dataclasses import dataclass

from . import plots
from . import report_facts as facts

LATENCIES = ("p50", "p99", "p99.9", "max")
LARGE_BODY = 65536  # from here on bytes/s are what is plotted


@dataclass(frozen=True)
class Plot:
    caption: str
    svg: str
    key: tuple = ()  # (class, words) of the legend
    note: str = ""
    style: str = ""


def style_of(row):
    role = row.get("role")
    return role if role in ("leat", "limit") else ""


def labels_of(rows):
    """Titles; where two are alike, with what tells them apart."""
    titles = [facts.title_of(row) for row in rows]
    names = []
    for row, title in zip(rows, titles):
        more = facts.clean(row.get("source")) or facts.clean(row.get("name"))
        names.append(f"{title} ({more})" if titles.count(title) > 1 and more else title)
    return names


def words(labels, texts):
    return "; ".join(f"{label}: {text or 'not known'}" for label, text in zip(labels, texts))


def bar_rows(rows, key, is_doubtful=lambda row: False, parts_of=None):
    found = []
    scale = facts.figure_of(key).scale
    for row, label in zip(rows, labels_of(rows)):
        value = facts.measured(row, key)
        if value is None:
            found.append(plots.Row(label, style=style_of(row)))
            continue
        parts = parts_of(row, value) if parts_of else (value.median,)
        found.append(plots.Row(label, tuple(max(part, 0) * scale for part in parts),
                               value.low * scale, value.high * scale,
                               facts.number_text(key, value.median), style_of(row),
                               bool(is_doubtful(row))))
    return found


def bar_plot(caption, rows, key, **how):
    if not any(facts.measured(row, key) for row in rows):
        return None
    found = bar_rows(rows, key, **how)
    unit = {"requests_per_s": "/s", "bytes_per_s": "GB/s"}.get(key, facts.figure_of(key).unit)
    desc = words([row.label for row in found], [row.text and f"{row.text} {unit}" for row in found])
    return caption, found, unit, desc


def cpu(rows):
    def parts_of(row, value):
        """User and system as shares of the whole: medians of parts need not add up to it."""
        user, system = (facts.measured(row, key) for key in ("cpu_user_us", "cpu_system_us"))
        if user is None or system is None or user.median + system.median <= 0:
            return (value.median,)
        share = user.median / (user.median + system.median)
        return value.median * share, value.median * (1 - share)

    drawn = bar_plot("CPU time a request", rows, "cpu_us", parts_of=parts_of)
    if drawn is None:
        return None
    caption, found, unit, desc = drawn
    key = (("user", "user"), ("system", "system")) if any(len(row.parts) > 1 for row in found) \
        else ()
    note = "Shorter is better. The thin line is the interval."
    return Plot(caption, plots.bars(caption, desc, found, unit, ("user", "system")), key, note)


def throughput(rows):
    if facts.is_at_a_rate(rows):  # then it is what was asked for
        return None
    sizes = [(facts.measured(row, "bytes_per_s"), facts.measured(row, "requests_per_s"))
             for row in rows]
    sizes = [data.median / rate.median for data, rate in sizes if data and rate and rate.median > 0]
    key = "bytes_per_s" if sizes and max(sizes) >= LARGE_BODY else "requests_per_s"
    drawn = bar_plot("Throughput", rows, key,
                     is_doubtful=lambda row: row.get("client_was_limit"))
    if drawn is None:
        return None
    caption, found, unit, desc = drawn
    note = "Longer is better."
    if any(row.is_doubtful for row in found):
        note += " Faint: the client was the limit, the bar is the client’s."
    return Plot(caption, plots.bars(caption, desc, found, unit), (), note)


def latency(rows):
    keys = [key for key in LATENCIES if any(facts.measured(row, key) for row in rows)]
    if not keys:
        return None
    found, texts = [], []
    for row, label in zip(rows, labels_of(rows)):
        values = [facts.measured(row, key) for key in keys]
        shown = facts.measured(row, "p99")
        found.append(plots.Row(
            label, tuple(value.median if value else None for value in values),
            text=facts.number_text("p99", shown.median) if shown else "", style=style_of(row)))
        texts.append(", ".join(f"{key} {facts.with_unit(key, value.median)}"
                               for key, value in zip(keys, values) if value))
    caption = "Latency"
    svg = plots.dots(caption, words([row.label for row in found], texts), found, "p99, µs",
                     [style_class(key) for key in keys])
    key = tuple((style_class(key), key) for key in keys)
    return Plot(caption, svg, key, "Left is better; the scale is logarithmic."
                ) if svg else None


def style_class(key):
    return key.replace(".", "")


def memory(rows):
    key = "idle_bytes_each" if any(facts.measured(row, "idle_bytes_each") for row in rows) \
        else "peak_bytes"
    drawn = bar_plot("Memory for each" if key == "idle_bytes_each" else "Peak memory", rows, key)
    if drawn is None:
        return None
    caption, found, unit, desc = drawn
    return Plot(caption, plots.bars(caption, desc, found, unit), (), "Shorter is better.")


def at_one_point(group):
    found = [draw(group.ran) for draw in (cpu, throughput, latency, memory)]
    return [plot for plot in found if plot]


# ----------------------------------------------------------------------------- at several points --

def by_server(groups):
    """The servers, best first at the last point where anything ran: [(row, {label: row})]."""
    found = {}
    for group in reversed(groups):
        for row in group.ran:
            identity = (facts.clean(row.get("name")), facts.title_of(row))
            found.setdefault(identity, (row, {}))[1][group.label] = row
    return list(found.values())


def points_of(rows, labels, key):
    values = [(label, facts.measured(rows.get(label, {}), key)) for label in labels]
    return tuple((label, value.median * facts.figure_of(key).scale)
                 for label, value in values if value and value.median > 0)


def panel_keys(test):
    order = facts.order_key(test)
    return LATENCIES[:3] if test.get("kind") == "rates" or order in LATENCIES else (order,)


def tick_texts(labels):
    """"10", "1,000" of "10 connections", "1,000 connections": what all have in common is said by
    the caption."""
    ends = {label.partition(" ")[2].rstrip("s") for label in labels}
    return [plots.short(label.partition(" ")[0] if len(ends) == 1 and ends != {"%"} else label, 12)
            for label in labels]


def panel_of(row, rows, labels, keys, limits, ghost):
    lines = [plots.Line("ghost", ghost)] if ghost and row.get("role") != "leat" else []
    lines += [plots.Line(style_class(key) if len(keys) > 1 else "single",
                         points_of(rows, labels, key)) for key in keys]
    desc = "; ".join(
        f"{label}: " + ", ".join(f"{key} {facts.with_unit(key, value.median)}" for key, value in
                                 ((key, facts.measured(rows[label], key)) for key in keys) if value)
        for label in labels if label in rows)
    title = facts.title_of(row)
    drawn = plots.panel(title, desc, lines, labels, limits, tick_texts(labels))
    return Plot(title, drawn, style=style_of(row))


def at_points(test, groups):
    """(caption, legend, panels): a panel for each server; behind each, to compare with, leat's
    figure as a faint line."""
    labels = [group.label for group in groups]
    keys = panel_keys(test)
    servers = by_server(groups)
    values = [y for _, rows in servers for key in keys for _, y in points_of(rows, labels, key)]
    if not values:
        return "", (), []
    limits = (min(values), max(values))
    compared = "p99" if len(keys) > 1 else keys[0]
    leat = next((rows for row, rows in servers if row.get("role") == "leat"), None)
    ghost = points_of(leat, labels, compared) if leat else ()
    panels = [panel_of(row, rows, labels, keys, limits, ghost) for row, rows in servers]
    figure = facts.figure_of(compared)
    name = "latency" if len(keys) > 1 else figure.name
    caption = f"{name[0].upper()}{name[1:]} against {axis_of(test)}" + (
        f", {figure.unit}" if figure.unit else "")
    legend = [(style_class(key), key) for key in keys] if len(keys) > 1 else []
    legend += [("ghost", f"leat’s {compared}" if len(keys) > 1 else "leat’s")] if ghost else []
    return caption, tuple(legend), panels


def axis_of(test):
    return {"rates": "load", "connections": "connections", "sizes": "the body’s size"}.get(
        facts.clean(test.get("kind")), "each point")
