# SPDX-License-Identifier: MIT
"""What follows from the times of bench/compress.py: for each kind of content, and for all of it,
the time that a policy took for its texts, and leat's own choice against the best of the fixed ones.

The time of a text is the median over the rounds, or, where the core is busy, the mean: there a text
is now and then put aside for milliseconds, which is what it is about, and a median of two humps
says which of them is a little higher. That of a kind is their sum. The best fixed choice is
the best in hindsight, another for each rate and kind; only for "all" it is one for all texts, as
who sets up a server must choose. The interval is of the rounds drawn anew (bootstrap, 95 %), all
policies by the same rounds, for what disturbs a round disturbs them together. As everywhere in the
laboratory a target is missed when the interval excludes it.
"""
import random
import statistics

AUTO = "auto"
ALL = "all"
DRAWS = 400


def total(times, names, policy, rounds, middle):
    """ns: of these texts together. `times` is {text: {policy: [ns of each round]}}."""
    return sum(middle([times[name][policy][number] for number in rounds]) for name in names)


def sums(times, names, rounds, middle=statistics.median):
    """ns by policy."""
    return {policy: total(times, names, policy, rounds, middle)
            for policy in next(iter(times.values()))}


def best_fixed(by_policy):
    return min((policy for policy in by_policy if policy != AUTO), key=by_policy.get)


def interval(times, names, best, count, middle, seed=9):
    """Of the ratio of AUTO to `best`, 95 %."""
    draw = random.Random(seed)
    found = []
    for _ in range(DRAWS):
        rounds = [draw.randrange(count) for _ in range(count)]
        found.append(total(times, names, AUTO, rounds, middle)
                     / total(times, names, best, rounds, middle))
    found.sort()
    return [found[round(0.025 * (DRAWS - 1))], found[round(0.975 * (DRAWS - 1))]]


def compare(times, names, count, target, middle):
    """AUTO against the best fixed choice for these texts."""
    by_policy = sums(times, names, range(count), middle)
    best = best_fixed(by_policy)
    low, high = interval(times, names, best, count, middle)
    return {"ns": by_policy, "best": best, "ratio": by_policy[AUTO] / by_policy[best],
            "interval": [low, high], "target": target, "met": low <= target}


def judge(times, kinds, target, middle=statistics.median):
    """{kind: what compare says}, ALL among them. `kinds` is {text: kind}."""
    count = min(len(values) for by_policy in times.values() for values in by_policy.values())
    groups = {kind: [name for name in times if kinds[name] == kind]
              for kind in dict.fromkeys(kinds[name] for name in times)}
    groups[ALL] = list(times)
    return {kind: compare(times, names, count, target, middle) for kind, names in groups.items()}


def regrets(times, middle=statistics.median):
    """Of each text [what its own best fixed choice would have saved in ns, ratio, best], the
    greatest loss first."""
    found = []
    for name, by_policy in times.items():
        own = {policy: middle(values) for policy, values in by_policy.items()}
        best = best_fixed(own)
        found.append((own[AUTO] - own[best], own[AUTO] / own[best], name, best))
    return sorted(found, reverse=True)
