# SPDX-License-Identifier: MIT
"""From rounds to a table: medians with intervals, ranks that refuse where intervals overlap, ratios
to leat and to the limit paired by round. The form is report.json's."""
import statistics

from . import paired

MORE_IS_BETTER = ("requests_per_s", "bytes_per_s")
# What becomes a ratio, where both sides have it.
RATIOS = ("cpu_us", "cpu_us_per_mib", "requests_per_s", "bytes_per_s", "p50", "p99", "peak_bytes",
          "idle_bytes_each")
RANKED_ROUNDS = 3  # with fewer an interval means nothing, and nobody is ranked


def spread(values):
    low, high, _ = paired.median_interval(values)
    return {"median": statistics.median(values), "low": low, "high": high, "count": len(values)}


def worst(values):
    return spread(values) | {"median": max(values)}


def total(values):
    return {"median": sum(values), "low": sum(values), "high": sum(values), "count": len(values)}


def split_cpu(rounds, figures):
    """User and system time a request: the exact total, divided as the clock's samples of all
    rounds together say (account.py), for one round has too few of them."""
    user = sum(figure["cpu_user"] for figure in rounds)
    system = sum(figure["cpu_system"] for figure in rounds)
    if user + system <= 0:
        return {}
    share = user / (user + system)
    return {key: {part: value * of if part != "count" else value
                  for part, value in figures["cpu_us"].items()}
            for key, of in (("cpu_user_us", share), ("cpu_system_us", 1 - share))}


def summarize(rounds):
    """A spread for every figure that all rounds have."""
    if not rounds:
        return {}
    keys = [key for key in rounds[0] if all(key in figure for figure in rounds)]
    figures = {key: spread([figure[key] for figure in rounds]) for key in keys}
    for key, combine in (("max", worst), ("errors", total), ("unfinished", total)):
        if key in figures:
            figures[key] = combine([figure[key] for figure in rounds])
    if "cpu_us" in figures and "cpu_user" in figures:
        figures |= split_cpu(rounds, figures)
    return {key: figures[key] for key in figures if key not in ("cpu_user", "cpu_system")}


def is_surely_better(key, left, right):
    if key in MORE_IS_BETTER:
        return left["low"] > right["high"]
    return left["high"] < right["low"]


def rank(rows, key):
    """Gives each row the ranks it may have: [best, worst], as many apart as rows whose intervals
    overlap its own. The limits take no part: they are no servers."""
    ranked = [row for row in rows if key in row["figures"] and row["role"] != "limit"]
    for row in ranked:
        own = row["figures"][key]
        others = [other["figures"][key] for other in ranked if other is not row]
        row["rank"] = [1, len(ranked)]
        if own["count"] >= RANKED_ROUNDS:
            before = sum(is_surely_better(key, other, own) for other in others)
            behind = sum(is_surely_better(key, own, other) for other in others)
            row["rank"] = [1 + before, len(ranked) - behind]


def best(rows, role, key):
    """The row of a role whose median is the best."""
    found = [row for row in rows if row["role"] == role and key in row["figures"]]
    sign = -1 if key in MORE_IS_BETTER else 1
    return min(found, key=lambda row: sign * row["figures"][key]["median"], default=None)


def ratios(row, base):
    """Spreads of row / base, each ratio within one round."""
    pairs = list(zip(row["rounds"], base["rounds"]))
    found = {}
    for key in RATIOS:
        if pairs and all(left.get(key, 0) > 0 and right.get(key, 0) > 0 for left, right in pairs):
            found[key] = spread([left[key] / right[key] for left, right in pairs])
    return found


def finish(rows, order_by):
    """All that follows from the rounds of the rows of one test."""
    for row in rows:
        row["figures"] = summarize(row["rounds"]) if row["status"] != "not run" else {}
        server, client = (row["figures"].get(f"{side}_core_percent", {}).get("median", 0)
                          for side in ("server", "client"))
        row["client_was_limit"] = client >= 97 and server < 95
        row["rank"] = None
    for label in dict.fromkeys(row["label"] for row in rows):
        group = [row for row in rows if row["label"] == label]
        rank(group, order_by)
        for side, role in (("to_leat", "leat"), ("to_limit", "limit")):
            base = best(group, role, order_by)
            for row in group:
                row[side] = ratios(row, base) if base is not None and row["figures"] else {}
    return rows
