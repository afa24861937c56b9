# SPDX-License-Identifier: MIT
"""Plots as SVG, by hand. Widths are percentages of wherever the plot stands, heights and letters
are pixels: one drawing is legible on a phone, on a desk and on paper, and nothing is scaled.

A plot of rows has a label above each mark, so that a long name costs no width, and the value beside
it in the column at the right. Colours are the page's (classes); each plot says in words, in its
<title> and <desc>, what it shows.
"""
import math
from dataclasses import dataclass
from html import escape

ROW = 34  # pixels from row to row
TOP = 30  # the scale stands here
LABEL = 12  # from a row's top to the base line of its label
MARK = 18  # and to the upper edge of its bar
BAR = 9
PLOT_WIDTH = 78.0  # per cent; the rest is for values
LETTER = 7  # pixels, about


@dataclass(frozen=True)
class Row:
    label: str
    parts: tuple = ()  # of a bar, one on the other; or the points of a line of dots
    low: float | None = None  # the interval of the whole
    high: float | None = None
    text: str = ""  # the value, as it is printed
    style: str = ""  # "leat", "limit" or ""
    is_doubtful: bool = False


@dataclass(frozen=True)
class Line:
    style: str
    points: tuple  # of (x, y)


def short(text, limit=44):
    return text if len(text) <= limit else text[:limit - 1] + "…"


def percent(value):
    return f"{value:.2f}%"


def tag(name, content=None, **attributes):
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
                    for key, value in attributes.items())
    return f"<{name}{words}/>" if content is None else f"<{name}{words}>{content}</{name}>"


def letters(x, y, text, style="", **attributes):
    return tag("text", escape(text), x=x, y=y, class_=style, **attributes)


def drawing(title, desc, height, parts):
    """An <svg> as wide as its place; to who does not see it, its title and its description."""
    return tag("svg", tag("title", escape(title)) + tag("desc", escape(desc)) + "\n"
               + "\n".join(parts), role="img", width="100%", height=round(height),
               xmlns="http://www.w3.org/2000/svg")


# --------------------------------------------------------------------------------------- scales --

def steps(most, wanted=4):
    """Round numbers from 0 to at least `most`."""
    if not most > 0:
        return [0.0, 1.0]
    size = 10 ** math.floor(math.log10(most / wanted))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if most / (size * factor) <= wanted)
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]


def decades(least, most):
    """Powers of ten around what is to be shown."""
    first = math.floor(math.log10(least))
    last = max(math.ceil(math.log10(most)), first + 1)
    return [10.0 ** power for power in range(first, last + 1)]


def tick(value):
    """1.5k, 2M: a number on a scale."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


class Scale:
    """Values to per cent of the drawing's width."""

    def __init__(self, values, is_log=False, width=PLOT_WIDTH):
        self.is_log, self.width = is_log, width
        self.ticks = decades(min(values), max(values)) if is_log else steps(max(values))

    def at(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return 0.4 + self.width * (value - low) / (high - low)

    def draw(self, height, unit):
        """The lines from top to bottom, and what they stand for. The unit is at the right end."""
        parts = []
        for index, value in enumerate(self.ticks):
            x = percent(self.at(value))
            parts.append(tag("line", x1=x, x2=x, y1=TOP - 8, y2=round(height), class_="grid"))
            anchor = "start" if index == 0 else "middle"
            parts.append(letters(x, TOP - 13, tick(value), "tick", text_anchor=anchor))
        parts.append(letters("100%", TOP - 13, unit, "tick", text_anchor="end"))
        return parts


# ----------------------------------------------------------------------------------------- rows --

def row_text(row, top):
    style = ("label " + row.style).strip()
    value = "value doubt" if row.is_doubtful else "value"
    return [letters("0.4%", top + LABEL, short(row.label), style),
            letters("100%", top + MARK + BAR, row.text or "–", value, text_anchor="end")]


def whisker(row, scale, top):
    """The interval, over the end of a bar."""
    if row.low is None or row.high is None or row.low == row.high:
        return []
    middle = top + MARK + BAR / 2
    x1, x2 = percent(scale.at(max(row.low, 0))), percent(scale.at(row.high))
    return [tag("line", x1=x1, x2=x2, y1=middle, y2=middle, class_="whisker"),
            *(tag("line", x1=x, x2=x, y1=middle - 3, y2=middle + 3, class_="whisker")
              for x in (x1, x2))]


def bars(title, desc, rows, unit, styles=("bar",)):
    """A bar a row, of one part or several; `styles` are the parts' classes."""
    values = [sum(row.parts) for row in rows] + [row.high for row in rows if row.high is not None]
    scale = Scale(values or [0])
    height = TOP + ROW * len(rows)
    parts = scale.draw(height, unit)
    for index, row in enumerate(rows):
        top = TOP + ROW * index
        start = 0.0
        for style, value in zip(styles if len(row.parts) > 1 else ("bar",), row.parts):
            width = scale.at(start + value) - scale.at(start)
            style = " ".join(filter(None, (style, row.style, "faint" * row.is_doubtful)))
            parts.append(tag("rect", x=percent(scale.at(start)), y=top + MARK,
                             width=percent(width), height=BAR, class_=style))
            start += value
        parts += whisker(row, scale, top) + row_text(row, top)
    return drawing(title, desc, height, parts)


def dots(title, desc, rows, unit, styles):
    """A dot for each of a row's values, on a line, on a scale of powers of ten. Each row has as
    many values as there are styles; None and 0 are not drawn."""
    values = [value for row in rows for value in row.parts if value]
    if not values:
        return ""
    scale = Scale(values, is_log=True)
    height = TOP + ROW * len(rows)
    parts = scale.draw(height, unit)
    for index, row in enumerate(rows):
        top = TOP + ROW * index
        y = top + MARK + BAR / 2
        known = [(scale.at(value), style) for value, style in zip(row.parts, styles) if value]
        if known:
            parts.append(tag("line", x1=percent(min(known)[0]), x2=percent(max(known)[0]), y1=y,
                             y2=y, class_="thread"))
        parts += [tag("circle", cx=percent(x), cy=y, r=4, class_=style) for x, style in known]
        parts += row_text(row, top)
    return drawing(title, desc, height, parts)


# ---------------------------------------------------------------------------------------- panels --

PANEL = 140  # pixels high


def panel(title, desc, lines, xs, limits, x_text):
    """One small plot of many: lines against the points `xs` (evenly apart), on a scale of powers of
    ten within `limits`, which all of its neighbours share. `x_text` names the points."""
    ticks = decades(*limits)
    bottom, left, right = PANEL - 20, 12.0, 94.0

    def down(value):
        share = math.log10(value / ticks[0]) / math.log10(ticks[-1] / ticks[0])
        return round(bottom - share * (bottom - 8), 1)

    def along(x):
        index = xs.index(x)
        return left + (right - left) * (index / (len(xs) - 1) if len(xs) > 1 else 0.5)

    parts = []
    for value in ticks:
        y = down(value)
        parts.append(tag("line", x1=percent(left), x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(letters(percent(left - 2), y + 4, tick(value), "tick", text_anchor="end"))
    parts += [letters(percent(along(x)), PANEL - 4, text, "tick", text_anchor="middle")
              for x, text in zip(xs, x_text)]
    for line in lines:
        points = [(percent(along(x)), down(y)) for x, y in line.points if y and y > 0]
        parts += [tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="path " + line.style)
                  for (x1, y1), (x2, y2) in zip(points, points[1:])]
        if not line.style.startswith("ghost"):
            parts += [tag("circle", cx=x, cy=y, r=3, class_=line.style) for x, y in points]
    return drawing(title, desc, PANEL, parts)
