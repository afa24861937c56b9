# SPDX-License-Identifier: MIT
"""The sentences under a table, made from its data: who is first, what leat is not first in, what
the figures do not say. Each is (tone, text); the tone is "first", "not first", "open" or "note"."""
from . import report_facts as facts


DECIDING = 3  # rounds; with fewer nobody is ranked


def is_better(test, left, right):
    """Is `left` (a Spread) surely better than `right`? Not where they overlap, nor by so few rounds
    that an interval means nothing."""
    if min(left.count or DECIDING, right.count or DECIDING) < DECIDING:
        return False
    return left.low > right.high if facts.is_more_better(test) else left.high < right.low


def ranked(test, group):
    key = facts.order_key(test)
    return [row for row in group.ran if facts.measured(row, key)]


def leaders(test, rows):
    """Those that no other is surely better than."""
    key = facts.order_key(test)
    return [row for row in rows
            if not any(is_better(test, facts.measured(other, key), facts.measured(row, key))
                       for other in rows)]


def beats_leat(test, row, leat):
    """Surely better than leat's best row, by the intervals or, pair by pair, by the ratio."""
    key = facts.order_key(test)
    if is_better(test, facts.measured(row, key), facts.measured(leat, key)):
        return True
    ratio = facts.ratio_to(row, "leat", key)
    return ratio is not None and is_better(test, ratio, facts.spread(1))


def relation(test, row, whose, whom="leat", base=None):
    """"needs 1.17 (1.15 to 1.19) of leat's CPU time a request"; "" where no ratio is known."""
    key = facts.order_key(test)
    figure = facts.figure_of(key)
    ratio = facts.ratio_to(row, whom, key)
    if ratio is not None:
        text = facts.ratio_text(ratio)
    else:
        divisor = facts.measured(base, key).median if base else 0
        if not divisor:
            return ""
        text = "about " + f"{facts.measured(row, key).median / divisor:.2f}"
    return figure.ratio.format(ratio=text, whose=whose, name=figure.name)


def not_first(test, leat, better):
    named = [f"{facts.title_of(row)} {relation(test, row, 'leat’s', base=leat)}".strip()
             for row in better[:3]]
    text = "leat is not first here: " + "; ".join(named)
    if len(better) > 3:
        text += "; before it are also " + facts.enumeration(map(facts.title_of, better[3:]))
    return "not first", text + "."


def leat_leads(test, first, peers):
    """Nobody but leat's rows `first` can be the first; `peers` are the others."""
    key = facts.order_key(test)
    name = facts.title_of(first[0])
    if len(first) > 1:
        text = (f"leat is first ({facts.enumeration(map(facts.title_of, first))} are not told "
                "apart)")
    else:
        best = facts.measured(first[0], key)
        text = f"{name} is first: {facts.with_unit(key, best.median)}"
        if not best.is_certain:
            text += (f" ({facts.number_text(key, best.low)} to "
                     f"{facts.number_text(key, best.high)})")
    whose = "its" if len(first) == 1 else f"{name}’s"
    after = relation(test, peers[0], whose, base=first[0])
    following = facts.title_of(peers[0])
    text += f"; the next, {following}, {after}" if after else f"; the next is {following}"
    return "first", text + "."


def first_place(test, group):
    key = facts.order_key(test)
    rows = ranked(test, group)
    servers = [row for row in rows if row.get("role") != "limit"]
    if not rows:
        return "open", "Nothing was measured here."
    if not servers:
        return "open", "No server was measured here, only limits."
    first = leaders(test, servers)
    leats = [row for row in servers if row.get("role") == "leat"]
    peers = [row for row in servers if row.get("role") != "leat"]
    if not leats:
        return "open", ("leat was not measured here. First: "
                        + facts.enumeration(map(facts.title_of, first)) + ".")
    leat = leats[0]
    better = [row for row in peers if beats_leat(test, row, leat)]
    if better:
        return not_first(test, leat, better)
    if not peers:
        return "open", "Only leat itself was measured here, and no peer."
    if not any(row.get("role") != "leat" for row in first):
        return leat_leads(test, first, peers)
    names = facts.enumeration(map(facts.title_of, first))
    if facts.measured(leat, key).count in range(1, DECIDING):
        return "open", (f"Too few rounds to say who is first in {facts.figure_of(key).name}; "
                        f"{facts.title_of(servers[0])} has the best median.")
    return "open", (f"Who is first is open between {names}: their intervals of "
                    f"{facts.figure_of(key).name} overlap.")


def limit_distance(test, group):
    """How far leat's best row is from what the host allows at most."""
    leats = [row for row in ranked(test, group) if row.get("role") == "leat"]
    if not leats or facts.ratio_to(leats[0], "limit", facts.order_key(test)) is None:
        return []
    return [("note", facts.title_of(leats[0]) + " " + relation(
        test, leats[0], "the limit’s", "limit") + "; the limit parses nothing.")]


def cautions(test, group):
    """What the reader should know before believing a figure."""
    rows = group.ran
    found = []
    limited = [row for row in rows if row.get("client_was_limit")]
    if limited and len(limited) == len(rows):
        found.append("The client was the limit in every row: requests/s says nothing here.")
    elif limited:
        found.append("The client was the limit for " + facts.enumeration(
            map(facts.title_of, limited)) + ": there requests/s says nothing about the server.")
    if limited and facts.is_more_better(test):
        found.append("This table is ordered by such a figure; the order among those rows is the "
                     "client’s, not theirs.")
    failed = [(row, facts.measured(row, "errors")) for row in rows]
    failed = [f"{facts.title_of(row)} ({facts.number_text('errors', count.median)})"
              for row, count in failed if count and count.median > 0]
    if failed:
        found.append("Errors: " + facts.enumeration(failed)
                     + ". Figures of a server that fails requests are not comparable.")
    cut = [facts.title_of(row) for row in rows if row.get("status") == "interrupted"]
    if cut:
        found.append("Interrupted, with the rounds until then: " + facts.enumeration(cut) + ".")
    return [("note", text) for text in found]


EXPLAINED = {
    "p99_calm": "“p99 before” is of the same load with nobody else there.",
    "p99_elsewhere": "“p99 beside” is of the same load while the others are at a second server: "
                     "what they cost the machine, not the server."}


def remarks(test):
    """What is to be said once a test: of its rounds, and of columns that only it has."""
    rows = facts.items(test.get("rows"))
    return [*few_rounds(test), *(("note", text) for key, text in EXPLAINED.items()
                                 if any(facts.measured(row, key) for row in rows))]


def few_rounds(test):
    rounds = facts.number(test.get("rounds"))
    if not rounds or rounds >= 6:
        return []
    if rounds < DECIDING:
        return [("note", f"Only {rounds:.0f} round{'s' if rounds > 1 else ''}: too few for an "
                 "interval, so nobody is ranked.")]
    return [("note", f"With {rounds:.0f} rounds the intervals are the extremes, and cover less "
             "than 95 %.")]


def sentences(test):
    """[(label, [(tone, text), …])], one for each point."""
    return [(group.label, [first_place(test, group), *limit_distance(test, group),
                           *cautions(test, group)])
            for group in facts.groups_of(test)] or [("", [("open", "Nothing was measured here.")])]


def in_short(test):
    """One sentence for the whole test, for the page's beginning."""
    found = [(label, *said[0]) for label, said in sentences(test)]
    if len(found) == 1:
        return found[0][1:]
    for tone, words in (("not first", "leat is not first"), ("open", "Who is first is open")):
        labels = [label for label, said_tone, _ in found if said_tone == tone]
        if labels:
            where = facts.enumeration(labels) if len(labels) < len(found) else "every point"
            return tone, f"{words} at {where}."
    return "first", "leat is first at every point."


# ------------------------------------------------------------------------- messages, witnesses ---

def least(rows, key):
    """The rows with the least of a figure that are not told apart."""
    found = [(row, facts.measured(row, key)) for row in rows]
    found = [(row, value) for row, value in found if value]
    return [row for row, value in found
            if not any(other.high < value.low for _, other in found)]


def message_sentence(rows):
    parts = []
    for words, key in (("Quickest to encode", "encode_ns"), ("to decode", "decode_ns")):
        best = least(rows, key)
        if best:
            parts.append(f"{words}: {facts.enumeration(map(facts.title_of, best))}")
    sizes = [(facts.number(row.get("bytes")), row) for row in rows]
    sizes = [(size, row) for size, row in sizes if size is not None]
    if sizes:
        smallest = min(size for size, _ in sizes)
        names = facts.enumeration(facts.title_of(row) for size, row in sizes if size == smallest)
        parts.append(f"smallest: {names}")
    return "; ".join(parts) + "." if parts else ""


FULL_CORE = 0.93  # of its core: such a client is the limit itself


def witness_sentence(rows):
    """How far the load generators are apart, of those that had something left of their core: the
    others have measured themselves."""
    free, full = [], []
    for row in rows:
        rate, cost = facts.measured(row, "requests_per_s"), facts.measured(row, "client_cpu_us")
        if rate and rate.median > 0:
            is_full = cost and rate.median * cost.median / 1e6 >= FULL_CORE
            (full if is_full else free).append((rate.median, row))
    said = []
    if full:
        names = facts.enumeration(facts.title_of(row) for _, row in full)
        said.append(f"{names} had nothing left of {'its' if len(full) == 1 else 'their'} core: "
                    "there the client was the limit, not the server.")
    if len(free) > 1:
        low, high = min(rate for rate, _ in free), max(rate for rate, _ in free)
        apart = significant_percent(100 * (high / low - 1))
        said.append(f"Their requests/s are {apart} apart." if not full else
                    f"The requests/s of the others are {apart} apart.")
    return " ".join(said)


def significant_percent(value):
    return f"{value:.1f} %" if value < 10 else f"{value:.0f} %"
