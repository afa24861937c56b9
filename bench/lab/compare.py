# SPDX-License-Identifier: MIT
"""Do two runs agree? Absolute figures differ from day to day; what must come again are the ratios
to the limit, each within the interval that its run gives for it."""
import json

from . import laboratory


def load(path):
    try:
        report = json.loads(path.read_text())
        return {(test["name"], row["label"], row["name"]): (test["order_by"], row)
                for test in report["tests"] for row in test["rows"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise laboratory.Fault(f"{path}: not a report.json of bench/run ({error})") from error


def ratio(rows, key):
    """The row's ratio to the limit, of the figure that its table is ordered by."""
    if key not in rows:
        return None
    order_by, row = rows[key]
    return row.get("to_limit", {}).get(order_by) if row["role"] != "limit" else None


def is_overlap(left, right):
    return left["low"] <= right["high"] and right["low"] <= left["high"]


def text(spread):
    return f"{spread['median']:.3f} ({spread['low']:.3f} to {spread['high']:.3f})"


def main(first, second):
    """Prints a line a row; 0 when all that both runs have agree, 1 when not."""
    before, after = load(first), load(second)
    compared = apart = 0
    for key in dict.fromkeys([*before, *after]):
        left, right = ratio(before, key), ratio(after, key)
        if left is None or right is None:
            continue
        compared += 1
        agrees = is_overlap(left, right)
        apart += not agrees
        name = " ".join(part for part in key if part)
        print(f"{name:40} {text(left):26} {text(right):26} {'agree' if agrees else 'APART'}")
    if compared == 0:
        raise laboratory.Fault("no row with a ratio to the limit is in both reports")
    print(f"{compared} ratios to the limit, {apart} apart")
    return 1 if apart else 0
