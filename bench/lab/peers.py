# SPDX-License-Identifier: MIT
"""Peers in other languages for the older experiments: those of bench/peers/, built on first use. A
peer that cannot be built is left out, and the experiment says so; with --quick nothing is built,
and only what is there already takes part."""
from . import peer, roster


def find(lab, options, name):
    """The first row of a peer, as a server; None, and a line that says why, if it is missing."""
    entries = [entry for entry in roster.load(peer.PEERS) if entry.peer.name == name][:1]
    roster.build(entries, peer.PEERS, lab, options.quick, lab.note)
    lab.note("")
    for entry in entries:
        if not entry.reason:
            return entry
        lab.say(f"    without {name}: {entry.reason}")
    return None
