# SPDX-License-Identifier: MIT
"""What a report says, before it has a form: report_html.py and report_markdown.py say the same.

Here are the numbers as people read them, the order of the rows, the columns, and the sentences made
from the data. A report may be cut short anywhere (Ctrl-C, a peer that fails, a figure that a kernel
does not give), so nothing is taken for granted: what is missing or no number is left out.

Two rows are told apart only where the intervals of the figure they are ordered by do not overlap.
Against leat a paired ratio that excludes 1 counts as well; for leat it does not.
"""
import math
import re
from dataclasses import dataclass, field

MORE_IS_BETTER = ("requests_per_s", "bytes_per_s")
MIB = 1 << 20
# Not in XML, or would turn the text around them: controls, and Unicode's overrides of direction.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]+")


@dataclass(frozen=True)
class Figure:
    name: str  # as in a sentence
    unit: str  # as people read it; a stored figure times `scale`
    scale: float = 1.0
    ratio: str = "has {ratio} of {whose} {name}"


NEEDS = "needs {ratio} of {whose} {name}"
REACHES = "reaches {ratio} of {whose} {name}"
FIGURES = {
    "cpu_us": Figure("CPU time a request", "µs", ratio=NEEDS),
    "cpu_user_us": Figure("user time a request", "µs", ratio=NEEDS),
    "cpu_system_us": Figure("system time a request", "µs", ratio=NEEDS),
    "cpu_us_per_mib": Figure("CPU time a MiB", "µs", ratio=NEEDS),
    "cpu_percent": Figure("CPU time", "%", ratio=NEEDS),
    "requests_per_s": Figure("requests/s", "", ratio=REACHES),
    "bytes_per_s": Figure("GB/s", "", 1e-9, ratio=REACHES),
    "p50": Figure("median latency", "µs"),
    "p90": Figure("p90 latency", "µs"),
    "p99": Figure("p99 latency", "µs"),
    "p99.9": Figure("p99.9 latency", "µs"),
    "max": Figure("worst latency", "µs"),
    "peak_bytes": Figure("peak memory", "MiB", 1 / MIB, ratio=NEEDS),
    "idle_bytes_each": Figure("memory for each", "bytes", ratio=NEEDS),
    "server_core_percent": Figure("load of the server's core", "%"),
    "client_core_percent": Figure("load of the client's core", "%"),
    "client_cpu_us": Figure("the client's CPU time a request", "µs"),
    "rate": Figure("requests/s asked for", ""),
    "errors": Figure("errors", ""),
}


def figure_of(key):
    return FIGURES.get(key) or Figure(clean(key).replace("_", " "), "")


# ------------------------------------------------------------------------------ what is stored ---

@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float
    count: int = 0

    @property
    def is_certain(self):
        return self.low == self.high


def clean(value):
    """Anything as one line of text that may stand in XML."""
    text = "" if value is None else str(value)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return UNPRINTABLE.sub(" ", text).strip()


def number(value):
    """`value` as a float, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def spread(value):
    """A spread as report.json has it, or a bare number, as a Spread; None if it is neither."""
    if not isinstance(value, dict):
        median = number(value)
        return None if median is None else Spread(median, median, median)
    median = number(value.get("median"))
    if median is None:
        return None
    low, high = number(value.get("low")), number(value.get("high"))
    return Spread(median, median if low is None else low, median if high is None else high,
                  int(number(value.get("count")) or 0))


def items(value):
    """The dicts of a list that may be missing or hold something else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value):
    return value if isinstance(value, dict) else {}


def measured(row, key):
    return spread(mapping(row.get("figures")).get(key))


def ratio_to(row, whom, key):
    """A row's ratio to "leat" or "limit"."""
    return spread(mapping(row.get("to_" + whom)).get(key))


def title_of(row):
    return clean(row.get("title")) or clean(row.get("name")) or "(no name)"


def reason_of(row):
    """Why there are no figures."""
    status = clean(row.get("status"))
    return clean(row.get("reason")) or (status if status != "not run" else "") or "no reason given"


def about(row):
    """What stands beneath a row's title: "from memory; its best way"."""
    source = clean(row.get("source"))
    parts = ["limit" if row.get("role") == "limit" else "",
             {"memory": "from memory", "file": "a file"}.get(source, source),
             clean(row.get("note")), "interrupted" if row.get("status") == "interrupted" else ""]
    return "; ".join(part for part in parts if part)


def is_run(row):
    """Has it figures to show? An interrupted row may have those of its rounds so far."""
    return row.get("status", "ok") != "not run" and bool(mapping(row.get("figures")))


# ------------------------------------------------------------------------------- as people read --

def significant(value, digits=3):
    """Three significant digits, thousands with commas: 7.92, 126,000, 0.131."""
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return f"{rounded:,.{max(places, 0)}f}"


def number_text(key, value):
    """A stored figure in the unit of its column."""
    if key == "errors":
        return f"{value:,.0f}"
    value *= figure_of(key).scale
    if key.endswith("percent") and abs(value) >= 1:
        return f"{value:.0f}"
    if key == "idle_bytes_each":
        return f"{value:,.0f}"
    return significant(value)


def with_unit(key, value):
    unit = figure_of(key).unit
    return number_text(key, value) + (f" {unit}" if unit else "")


def ratio_texts(ratio):
    """Median, low and high with as many places as it takes not to print 1.00 for what is not 1."""
    values = (ratio.median, ratio.low, ratio.high)
    places = 3 if any(f"{value:.2f}" == "1.00" and value != 1 for value in values) else 2
    if max(values) >= 10:
        places = 1
    return tuple(f"{value:.{places}f}" for value in values)


def ratio_text(ratio):
    median, low, high = ratio_texts(ratio)
    return median if ratio.is_certain else f"{median} ({low} to {high})"


def duration_text(seconds):
    seconds = number(seconds)
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def date_text(started):
    """2026-11-22T20:31:00Z, as people write it."""
    text = clean(started)
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z", text)
    return f"{found[1]}, {found[2]} UTC" if found else text


def memory_text(size):
    size = number(size)
    return "" if size is None else f"{significant(size / (1 << 30))} GiB"


def enumeration(names):
    """"a, b and c"; with semicolons where a name has a comma of its own."""
    names = list(names)
    comma = "; " if any("," in name for name in names) and len(names) > 1 else ", "
    return comma.join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


# ------------------------------------------------------------------------------ rows and groups --

@dataclass
class Group:
    """The rows of a test at one point ("70 %"), in order; most tests have one, without label."""

    label: str
    ran: list = field(default_factory=list)
    not_run: list = field(default_factory=list)


def is_more_better(test):
    return test.get("order_by") in MORE_IS_BETTER


def order_key(test):
    return clean(test.get("order_by")) or "cpu_us"


def groups_of(test):
    """The rows at each point; those that ran by the test's figure, best first."""
    groups = {}
    for row in items(test.get("rows")):
        label = clean(row.get("label"))
        group = groups.setdefault(label, Group(label))
        (group.ran if is_run(row) else group.not_run).append(row)
    sign = -1 if is_more_better(test) else 1

    def place(row):
        value = measured(row, order_key(test))
        return (1, 0.0) if value is None else (0, sign * value.median)

    for group in groups.values():
        group.ran.sort(key=place)
    return sorted(groups.values(), key=lambda group: point_of(group))


def point_of(group):
    """The number a group stands at; those without one come last, in their order."""
    for row in group.ran + group.not_run:
        x = number(row.get("x"))
        if x is not None:
            return x
    return math.inf


def not_run_once(test):
    """(row, reason, labels) of what did not run, named once; without labels if at no point."""
    found = {}
    groups = groups_of(test)
    for group in groups:
        for row in group.not_run:
            reason = reason_of(row)
            _, _, labels = found.setdefault((title_of(row), clean(row.get("source")), reason),
                                            (row, reason, []))
            if group.label:
                labels.append(group.label)
    return [(row, reason, labels if len(labels) < len(groups) else [])
            for row, reason, labels in found.values()]


def rank_text(row):
    """"2", or "1–3" where the row is not told apart from its neighbours; "" where it is unknown."""
    rank = row.get("rank")
    if not isinstance(rank, (list, tuple)) or len(rank) != 2:
        return ""
    best, worst = (number(place) for place in rank)
    if best is None or worst is None:
        return ""
    return f"{best:.0f}" if best == worst else f"{best:.0f}–{worst:.0f}"


def by_time(rows):
    """The rows of the messages: by encoding and decoding together; what did not run comes last."""
    def place(row):
        both = [measured(row, key) for key in ("encode_ns", "decode_ns")]
        known = None not in both
        return not is_run(row), not known, sum(value.median for value in both) if known else 0

    return sorted(rows, key=place)


# -------------------------------------------------------------------------------------- columns --

@dataclass(frozen=True)
class Cell:
    text: str
    under: str = ""  # the interval
    mark: str = ""  # "doubt": says nothing here; "bad": look at this


COST, SPEED, REST = range(3)


@dataclass(frozen=True)
class Column:
    group: str
    head: str
    cell: object  # a row -> Cell or None
    part: int  # Markdown has three narrower tables: cost, speed, and the rest


def plain(key, has_interval=False, mark=None):
    def cell(row):
        value = measured(row, key)
        if value is None:
            return None
        low, high = number_text(key, value.low), number_text(key, value.high)
        under = f"{low}–{high}" if has_interval and low != high else ""
        return Cell(number_text(key, value.median), under, mark(row, value) if mark else "")
    return cell


def user_and_system(row):
    parts = [measured(row, key) for key in ("cpu_user_us", "cpu_system_us")]
    if None in parts:
        return None
    return Cell(" + ".join(significant(part.median, 2) for part in parts))


def ratio(whom, key):
    def cell(row):
        value = ratio_to(row, whom, key)
        if value is None:
            return None
        median, low, high = ratio_texts(value)
        doubt = key in MORE_IS_BETTER and row.get("client_was_limit")
        return Cell(median, "" if value.is_certain else f"{low}–{high}", "doubt" if doubt else "")
    return cell


def limited(row, _):
    return "doubt" if row.get("client_was_limit") else ""


def failing(_, value):
    return "bad" if value.median > 0 else ""


def any_unfinished(row):
    value = measured(row, "unfinished")
    return Cell(number_text("errors", value.median), "", "bad") if value and value.median else None


def plain_columns():
    """Every column but ratios, in their order: key -> Column."""
    cost, load, latency = "CPU, µs a request", "load, % of a core", "latency, µs"
    found = {"rate": Column("requests/s", "asked for", plain("rate"), SPEED),
             "cpu_us": Column(cost, "median", plain("cpu_us", True), COST),
             "split": Column(cost, "user + system", user_and_system, COST),
             "cpu_us_per_mib": Column("CPU, µs a MiB", "median", plain("cpu_us_per_mib", True),
                                      COST),
             "idle_bytes_each": Column("memory for each, bytes", "median",
                                       plain("idle_bytes_each", True), COST),
             "requests_per_s": Column("requests/s", "median",
                                      plain("requests_per_s", True, limited), SPEED),
             "bytes_per_s": Column("", "GB/s", plain("bytes_per_s", False, limited), REST)}
    found |= {key: Column(latency, head, plain(key), SPEED) for key, head in (
        ("p50", "p50"), ("p99", "p99"), ("p99.9", "p99.9"), ("max", "max"),
        ("p99_calm", "p99 before"), ("p99_elsewhere", "p99 beside"))}
    found |= {key: Column(load, head, plain(key), REST) for key, head in (
        ("cpu_percent", "server"), ("server_core_percent", "its core"),
        ("client_core_percent", "client’s"))}
    return found | {"peak_bytes": Column("peak memory", "MiB", plain("peak_bytes"), REST),
                    "errors": Column("", "errors", plain("errors", False, failing), REST),
                    "unfinished": Column("", "unfinished", any_unfinished, REST)}


def with_ratios(key, column):
    """A column of medians, and behind it how they stand to leat and to the limit."""
    return [column, *(Column(column.group, f"÷ {whom}", ratio(whom, key), column.part)
                      for whom in ("leat", "limit"))]


def is_at_a_rate(rows):
    return any(measured(row, "rate") for row in rows)


def columns_of(test):
    """The columns for which any row has a figure. CPU time a MiB is told where the order goes by
    it; there it is what is compared, not CPU time a request."""
    rows = [row for group in groups_of(test) for row in group.ran]
    order = order_key(test)
    columns = plain_columns()
    if order not in columns:  # of a test that is not known here
        columns = {order: Column(figure_of(order).name, "median", plain(order, True), COST),
                   **columns}
    compared = {order}
    if order != "cpu_us_per_mib":
        del columns["cpu_us_per_mib"]
        compared.add("cpu_us")
    if is_at_a_rate(rows):  # throughput is what was asked for
        columns["requests_per_s"] = Column("requests/s", "done", plain("requests_per_s"), SPEED)
        del columns["bytes_per_s"]
    else:
        compared.add("requests_per_s")
    found = []
    for key, column in columns.items():
        if key == "split" and "cpu_us" in compared:
            continue
        found += with_ratios(key, column) if key in compared else [column]
        if key == "cpu_us" and "cpu_us" in compared:
            found.insert(-2, columns["split"])
    return [column for column in found if any(column.cell(row) for row in rows)]


def test_meta(test):
    """"64 connections, 7 rounds of 1.5 s, ordered by CPU time a request"."""
    connections, rounds, seconds = (number(test.get(key)) for key in
                                    ("connections", "rounds", "seconds"))
    parts = []
    if connections:
        parts.append(f"{connections:,.0f} connection" + ("s" if connections != 1 else ""))
    if rounds:
        parts.append(f"{rounds:.0f} round" + ("s" if rounds != 1 else "")
                     + (f" of {seconds:g} s" if seconds else ""))
    if "ordered by" not in clean(test.get("what")):
        parts.append(f"ordered by {figure_of(order_key(test)).name}")
    return ", ".join(parts)
