# SPDX-License-Identifier: MIT
"""Who stands in the middle in bench/proxy.py: leat proxy on both engines, HAProxy, nginx, and what
moves bytes and understands none (bare_splice). Each has one thread, on the server's core; the
clients and the upstream share the other. So CPU time of the proxy is what is compared, and
throughput only where the clients' core was not the one that was full.

The peers add no fields to what they pass on and write no log, which is cheaper for them than what
leat does (Via, Forwarded). What each experiment needs of them beyond that stands in its own file.
"""
import argparse
import contextlib
from dataclasses import dataclass, field

from peers import haproxy, nginx

from . import check, generator, laboratory, paired, servers
from .generator import Load

LEAT = ["{leat}", "proxy", "--listen", "{listen}", "--threads", "1", "--engine", "{engine}"]
WARM_S = 0.3
BIG_MIB = 100
HAPROXY, NGINX, UNBUFFERED, RELAY = "haproxy", "nginx", "nginx-unbuffered", "bare_splice"
NAMES = ["leat-uring", "leat-epoll", HAPROXY, NGINX, UNBUFFERED, RELAY]


@dataclass
class Tuning:
    """What an experiment asks of each kind of proxy beyond what is always the same."""

    leat: list[str] = field(default_factory=list)  # flags
    haproxy: str = ""  # in its defaults
    haproxy_global: str = ""
    nginx: str = ""  # in its location
    nginx_server: str = ""  # beside each upstream
    connections: int = 4000  # that a proxy must hold, on both sides of it


@dataclass
class Side:
    """A proxy, as a server that the laboratory can start with upstreams=[ADDR:PORT]."""

    name: str
    tuning: Tuning
    leat: str = ""
    engine: str = ""

    @property
    def is_subject(self):
        return bool(self.engine)

    def argv(self, lab, directory, listen, words):
        upstreams = words["upstreams"]
        if self.is_subject:
            known = {"leat": self.leat, "listen": listen, "engine": self.engine}
            return [word.format(**known) for word in LEAT] + self.tuning.leat + \
                [f"http://{address}" for address in upstreams]
        if self.name == RELAY:
            return [lab.bin / RELAY, listen, upstreams[0]]
        work = lab.directory / f"{self.name}-{listen.rsplit(':', 1)[1]}"
        work.mkdir(exist_ok=True)
        config = work / "configuration"
        if self.name == HAPROXY:
            config.write_text(haproxy.proxy_configuration(
                listen, upstreams, self.tuning.haproxy, self.tuning.haproxy_global,
                self.tuning.connections))
            return [lab.tool("haproxy"), "-db", "-f", config]
        config.write_text(nginx.proxy_configuration(
            work, listen, upstreams, self.tuning.nginx, self.tuning.nginx_server,
            connections=nginx.room_for(2 * self.tuning.connections)))
        return [lab.tool("nginx"), "-p", work, "-c", config, "-e", "stderr"]


def choose(options, tuning, peers):
    """The sides of an experiment, pairs of a name and a Side: leat's, and `peers`, a Tuning by
    name; those of --sides, where that is given."""
    found = [Side(f"leat-{engine}", tuning, options.leat, engine)
             for engine in servers.engines(options)]
    found += [Side(name, tuned) for name, tuned in peers.items()]
    wanted = options.sides or NAMES
    return [(side.name, side) for side in found if side.name in wanted]


def names(text):
    """What --sides says, for argparse."""
    found = text.split(",")
    for name in found:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"no '{name}'; there are {', '.join(NAMES)}")
    return found


def big_file(lab, mib=BIG_MIB):
    """The content's big.bin: what a slow client takes for ever to read."""
    with open(lab.content() / "big.bin", "wb") as big:
        for _ in range(mib):
            big.write(b"leat" * (1 << 18))


@contextlib.contextmanager
def origin(lab):
    """The cheapest there is behind all proxies, so that as much as may be of the clients' core is
    left for the clients."""
    with lab.serve(servers.bare("epoll"), lab.content(), core=lab.client_core) as running:
        yield running


def wrong(address, path, expected):
    """What is wrong with what a proxy passes on, or "": else its figures were of other work."""
    return check.answers(address, path, expected)


@contextlib.contextmanager
def proxy(lab, side, upstreams):
    with lab.serve(side, lab.content(), upstreams=upstreams) as running:
        yield running


def fit(lab, sides, upstreams, checks):
    """The sides that can be measured. A peer that is not there, or does not answer `checks`, which
    are pairs of a path and a file of the content, stays away, and its reason is said; leat must be
    there."""
    found = []
    for name, side in sides:
        try:
            with proxy(lab, side, upstreams) as running:
                reasons = [wrong(running.address, path, (lab.content() / file).read_bytes())
                           for path, file in checks]
            reason = next(filter(None, reasons), "")
        except (laboratory.Skip, laboratory.Fault) as error:
            reason = str(error)
        if reason and side.is_subject:
            raise laboratory.Fault(f"{name}: {reason}")
        if reason:
            lab.say(f"    without {name}: {reason}")
        else:
            found.append((name, side))
    return found


def measure(lab, side, upstreams, load):
    """A fresh proxy, warmed up, under a load: figures of the client, and what the proxy cost."""
    with proxy(lab, side, upstreams) as running:
        generator.measure(lab, running.address,
                          Load(load.path, load.connections, min(WARM_S, load.seconds)))
        with lab.costs(running) as cost:
            figures = generator.measure(lab, running.address, load)
    return figures | cost | {
        "cpu_us_per_request": cost["cpu_us"] / max(1, figures["requests"]),
        "cpu_s_per_gb": cost["cpu_us"] / 1e6 / max(1e-9, figures["bytes"] / 1e9),
        "gb_per_s": figures["bytes_per_s"] / 1e9}


def judge(lab, figures, key, label, at_most=None, at_least=None):
    """leat's sides against peers, by the ratio of a figure in the same round: `at_most` or
    `at_least` have the target of each peer's name. Returns verdicts by "SIDE to PEER"."""
    targets = at_most or at_least
    found = {}
    for subject in [name for name in figures if name.startswith("leat-")]:
        for peer in [name for name in figures if name in targets]:
            bound = {"at_most" if at_most else "at_least": targets[peer]}
            verdict = paired.verdict(paired.ratios(figures, subject, peer, key), **bound)
            paired.tell(lab, f"{label}, {subject} to {peer}", verdict)
            found[f"{subject} to {peer}"] = verdict
    return found


def result(title, figures, *verdicts):
    """What an experiment returns: met unless a target was missed or leat had an error; None where
    nothing of leat's was measured."""
    errors = sum(figure["errors"] for name, rounds in figures.items() if name.startswith("leat-")
                 for figure in rounds)
    merged = [verdict for found in verdicts for verdict in found.values()]
    met = all(verdict["met"] for verdict in merged) and errors == 0
    has_subject = any(name.startswith("leat-") for name in figures)
    return {"title": title, "rounds": figures, "verdicts": list(verdicts), "errors": errors,
            "met": met if has_subject else None}
