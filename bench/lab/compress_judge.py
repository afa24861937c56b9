# SPDX-License-Identifier: MIT
"""What follows from the times of bench/compress.py: for each kind of content, and for all of it,
the time that a policy took for its texts, and leat's own choice against the best of the fixed ones.

The time of a text is the median over the rounds, that of a kind their sum. The best fixed choice is
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


def median_of(values, rounds):
    return statistics.median(values[number] for number in rounds)


def sums(times, names, rounds):
    """ns by policy: of these texts together. `times` is {text: {policy: [ns of each round]}}."""
    policies = next(iter(times.values()))
    return {policy: sum(median_of(times[name][policy], rounds) for name in names)
            for policy in policies}


def best_fixed(by_policy):
    return min((policy for policy in by_policy if policy != AUTO), key=by_policy.get)


def interval(times, names, best, count, seed=9):
    """Of the ratio of AUTO to `best`, 95 %."""
    draw = random.Random(seed)
    found = []
    for _ in range(DRAWS):
        rounds = [draw.randrange(count) for _ in range(count)]
        found.append(
            sum(median_of(times[name][AUTO], rounds) for name in names)
            / sum(median_of(times[name][best], rounds) for name in names))
    found.sort()
    return [found[round(0.025 * (DRAWS - 1))], found[round(0.975 * (DRAWS - 1))]]


def compare(times, names, count, target):
    """AUTO against the best fixed choice for these texts."""
    by_policy = sums(times, names, range(count))
    best = best_fixed(by_policy)
    low, high = interval(times, names, best, count)
    return {"ns": by_policy, "best": best, "ratio": by_policy[AUTO] / by_policy[best],
            "interval": [low, high], "target": target, "met": low <= target}


def judge(times, kinds, target):
    """{kind: what compare says}, ALL among them. `kinds` is {text: kind}."""
    count = min(len(values) for by_policy in times.values() for values in by_policy.values())
    groups = {kind: [name for name in times if kinds[name] == kind]
              for kind in dict.fromkeys(kinds[name] for name in times)}
    groups[ALL] = list(times)
    return {kind: compare(times, names, count, target) for kind, names in groups.items()}


def regrets(times):
    """Of each text [what its own best fixed choice would have saved in ns, ratio, best], the
    greatest loss first."""
    found = []
    for name, by_policy in times.items():
        own = {policy: statistics.median(values) for policy, values in by_policy.items()}
        best = best_fixed(own)
        found.append((own[AUTO] - own[best], own[AUTO] / own[best], name, best))
    return sorted(found, reverse=True)
