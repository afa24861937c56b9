#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# Sends generated requests to leat and to its peers and compares what they make of them: `leat
# serve` with nginx over the same files, and a handler that echoes (tests/e2e/echo_http.c) with
# Node. Differences are expected, for the RFCs leave choices and servers have histories: each must
# match a rule of explained.py, which says why. One that does not fails the run and is printed so
# that it can be sent again: --seed S --only N shows it alone.
#
# Usage: run.py [--build-dir DIR] [--requests N] [--seed S] [--only N] [--engine E] [--tap]
"""Compares leat with nginx and Node on generated requests."""

import argparse
import collections
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# pylint: disable=wrong-import-position
import client
import compare
import explained
import generator
import servers
import strict

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOWN_MAX = 20  # unexplained differences that are printed
STRONG = b"@STRONG@"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="this request alone, with all that came back")
    parser.add_argument("--engine", default="auto", help="of leat: uring, epoll or auto")
    parser.add_argument("--rules", action="store_true", help="count the rules that were needed")
    parser.add_argument("--tap", action="store_true", help="for tests/run.py")
    return parser.parse_args()


def start_servers(options, folder):
    """All that can be started here; the reasons of those that cannot."""
    root = pathlib.Path(folder, "root")
    servers.write_files(root)
    found, missing = {}, []
    build = options.build_dir
    found["leat"] = servers.start_leat(build / "apps" / "leat" / "leat", options.engine, root)
    if servers.nginx_binary():
        found["nginx"] = servers.start_nginx(root, folder)
    else:
        missing.append("nginx is not installed")
    echo = build / "tests" / "e2e" / "echo_http"
    if not shutil.which("node"):
        missing.append("node is not installed")
    elif not echo.exists():
        missing.append(f"{echo} is not built")
    else:
        found["echo"] = servers.start_echo(echo, options.engine)
        found["node"] = servers.start_node()
    return found, missing


def learn_marks(found):
    """The entity tag that each server has for /a.txt."""
    request = b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
    jobs = [(0, {name: (server.address, request) for name, server in found.items()})]
    for _, observations in client.Client().run(jobs):
        for name, observation in observations.items():
            found[name].marks[STRONG] = observation.responses[0].get("etag").encode() or b'"x"'


def closes(data):
    """Whether the client says that nothing more comes: Node takes what does for an attack, and
    drops the answer it had."""
    last = strict.read(data)[-1]
    return last.status == 1 and not last.keep_alive and last.end is not None


def jobs_of(options, found, numbers):
    for number in numbers:
        data, _ = generator.generate(options.seed, number)
        targets = {}
        for name, server in found.items():
            canary = b"" if name == "node" and data and closes(data) else generator.CANARY
            targets[name] = (server.address, data.replace(STRONG, server.marks[STRONG]) + canary)
        yield number, targets


def show(number, seed, problems, observations):
    data, how = generator.generate(seed, number)
    print(f"# request {number} of seed {seed} ({how}): {data!r}")
    for name, observation in observations.items():
        print(f"#   {name:<6} {compare.summary(observation)}")
    for problem in problems:
        print(f"#   {problem}")


class Report:
    """What was seen: how often each rule was needed, and what no rule explains."""

    def __init__(self, options):
        self.options = options
        self.rules = collections.Counter()
        self.kinds = collections.Counter()
        self.bad = 0
        self.bad_numbers = []
        self.explained = 0

    def take(self, number, observations):
        data, _ = generator.generate(self.options.seed, number)
        request = compare.Request(data, generator.CANARY)
        problems = []
        for name in ("leat", "echo"):
            if name in observations:
                wrong = compare.violations(request, observations[name], name == "echo")
                problems += [f"{name}: {text}" for text in wrong]
                self.kinds.update((name, text) for text in wrong)
        for ours, peer in (("leat", "nginx"), ("echo", "node")):
            if peer not in observations:
                continue
            for difference in compare.differences(request, observations[ours],
                                                  observations[peer]):
                rule = explained.find(peer, request, difference)
                if rule:
                    self.rules[rule] += 1
                    self.explained += 1
                else:
                    problems.append(f"unexplained: {ours} and {peer}: {difference}")
                    self.kinds[peer, difference] += 1
        if problems:
            self.bad += 1
            self.bad_numbers.append(number)
            if self.bad <= SHOWN_MAX:
                show(number, self.options.seed, problems, observations)
        elif self.options.only is not None:
            show(number, self.options.seed, [], observations)

    def end(self, seconds):
        if self.options.rules or self.bad > SHOWN_MAX:
            for (server, problem), count in self.kinds.most_common(200):
                print(f"# {count:6} {server}: {problem}")
        if self.options.rules:
            for rule in explained.RULES:
                print(f"# {self.rules[rule]:6} {rule.peer}: {rule.name}")
        print(f"# {self.options.requests} requests in {seconds:.1f} s, {self.explained} differences"
              f" explained by {len(self.rules)} rules, {self.bad} requests with others")


def aborts_on_memory():
    """Connections that the kernel broke off because the memory of TCP, which all share, ran out."""
    with open("/proc/net/netstat", encoding="ascii") as file:
        lines = [line.split() for line in file]
    for names, values in zip(lines[::2], lines[1::2]):
        if "TCPAbortOnMemory" in names:
            return int(values[names.index("TCPAbortOnMemory")])
    return 0


def compare_all(options, found):
    """The report of a run; of a second one for what failed when the kernel had broken
    connections off."""
    numbers = range(options.requests) if options.only is None else [options.only]
    while True:
        report, aborts = Report(options), aborts_on_memory()
        for number, observations in client.Client().run(jobs_of(options, found, numbers)):
            report.take(number, observations)
        if not report.bad or aborts == aborts_on_memory():
            return report
        print(f"# the kernel has run out of memory for TCP: {report.bad} requests once more")
        numbers = report.bad_numbers


def main():
    options = parse_arguments()
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        found, missing = start_servers(options, folder)
        statuses = {}
        start = time.monotonic()
        try:
            learn_marks(found)
            report = compare_all(options, found)
        finally:
            for name, server in found.items():
                statuses[name] = server.stop()
        report.end(time.monotonic() - start)
    dead = [f"{name} ended with {statuses[name]}" for name in ("leat", "echo")
            if statuses.get(name, 0) != 0]
    for text in dead:
        print(f"# {text}")
    is_good = not report.bad and not dead
    if options.tap:
        name = f"{options.requests} requests to {', '.join(found)}: every difference is explained"
        print(f"1..{1 + len(missing)}")
        print(f"{'' if is_good else 'not '}ok 1 - {name}")
        for index, reason in enumerate(missing):
            print(f"ok {index + 2} - a peer # SKIP {reason}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
