# SPDX-License-Identifier: MIT
"""Paired rounds and what may be concluded from them.

Two servers are measured in turn, A B, B A, A B, …, so that what drifts (clock rate, neighbours on
the host) hits both alike; each round gives one ratio A/B. Of the ratios: the median, the quartiles,
and an interval of the median by order statistics (binomial, no assumption about the noise). A
target is met unless the interval excludes it: "at most T" when the interval's lower end is <= T.
"""
import math
import statistics


def median_interval(values, confidence=0.95):
    """(low, high, coverage) of the median. Under six values no pair of them covers 95 %: then the
    extremes are returned, with the coverage they have."""
    ordered = sorted(values)
    count = len(ordered)

    def outside(rank):
        """The chance that the median lies below the rank-th smallest or above the rank-th largest:
        that fewer than `rank` of `count` fall on one side of it."""
        return 2 * sum(math.comb(count, below) for below in range(rank)) / 2**count

    rank = 1
    while rank < count // 2 and outside(rank + 1) <= 1 - confidence:
        rank += 1
    return ordered[rank - 1], ordered[count - rank], 1 - outside(rank)


def summary(values):
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 \
        else [values[0]] * 3
    low, high, coverage = median_interval(values)
    return {"count": len(values), "median": statistics.median(values), "quartiles":
            [quartiles[0], quartiles[2]], "interval": [low, high], "coverage": coverage,
            "range": [min(values), max(values)]}


def verdict(ratios, at_most=None, at_least=None):
    result = summary(ratios)
    low, high = result["interval"]
    if at_most is not None:
        result |= {"target": f"<= {at_most}", "met": low <= at_most}
    else:
        result |= {"target": f">= {at_least}", "met": high >= at_least}
    return result


def interleave(lab, sides, measure, rounds):
    """Measures each of `sides` once a round, in an order that turns; returns figures by name."""
    figures = {name: [] for name, _ in sides}
    for number in range(rounds):
        turn = number % len(sides)
        order = sides[turn:] + sides[:turn]
        for name, side in order:
            lab.note(f"round {number + 1} of {rounds}: {name}")
            figures[name].append(measure(side))
    lab.note("")
    return figures


def ratios(figures, left, right, key):
    return [a[key] / b[key] for a, b in zip(figures[left], figures[right])]


def table(lab, figures, rows):
    """Prints the median of each row's key, a column a server."""
    names = list(figures)
    lab.say("    " + " " * 26 + "".join(f"{name:>20}" for name in names))
    for label, key, form in rows:
        cells = [statistics.median(figure[key] for figure in figures[name]) for name in names]
        lab.say(f"    {label:26}" + "".join(f"{format(cell, form):>20}" for cell in cells))


def tell(lab, label, result):
    quartiles, interval = result["quartiles"], result["interval"]
    lab.say(f"    {label}: median {result['median']:.3f}, quartiles {quartiles[0]:.3f} to "
            f"{quartiles[1]:.3f}, {100 * result['coverage']:.0f} % interval {interval[0]:.3f} to "
            f"{interval[1]:.3f} ({result['count']} rounds)")
    lab.say(f"    target {result['target']}: {'met' if result['met'] else 'NOT MET'}")
