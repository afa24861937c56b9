# SPDX-License-Identifier: MIT
"""The head of a report, and its last part: how it was measured, and how it could mislead."""
from . import report_facts as facts

TITLE = "leat beside its peers"
METHOD = "How this was measured, and how it could mislead"

# What the head shows of the host, in this order; the rest follows as it is called.
HOST = {"machine": "machine", "cpu": "processor", "cores": "cores", "memory_bytes": "memory",
        "distribution": "distribution", "kernel": "kernel",
        "congestion_control": "congestion control", "server_core": "server’s core",
        "client_core": "client’s core", "cpu_time_from": "CPU time from",
        "load_average": "load before",
        "busy_percent_before": "cores busy before, %"}


def host_value(key, value):
    if key.endswith("bytes"):
        return facts.memory_text(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(facts.clean(part) for part in value)
    if isinstance(value, float) and facts.number(value) is not None:
        return facts.significant(value)
    return facts.clean(value)


def host_facts(report):
    """[(what, value)]"""
    host = facts.mapping(report.get("host"))
    keys = [key for key in HOST if key in host] + [key for key in host if key not in HOST]
    found = [(HOST.get(key) or facts.clean(key).replace("_", " "), host_value(key, host[key]))
             for key in keys]
    return [(name, value) for name, value in found if value]


def subtitle(report):
    """One line: when, where, how long."""
    host = facts.mapping(report.get("host"))
    cores = facts.number(host.get("cores"))
    kernel = facts.clean(host.get("kernel"))
    took = facts.duration_text(report.get("took_s"))
    parts = [facts.date_text(report.get("started")),
             facts.clean(host.get("cpu")) or facts.clean(host.get("machine")),
             f"{cores:.0f} core" + ("s" if cores != 1 else "") if cores else "",
             kernel if "inux" in kernel or not kernel else f"Linux {kernel}",
             f"took {took}" if took else ""]
    return " · ".join(part for part in parts if part)


def versions(report):
    return [(facts.clean(name), facts.clean(version))
            for name, version in facts.mapping(report.get("versions")).items()]


def command(report):
    words = report.get("command")
    return " ".join(facts.clean(word) for word in words) if isinstance(words, list) \
        else facts.clean(words)


def banners(report):
    """What makes this report less than a whole one."""
    found = []
    if report.get("quick"):
        found.append("A quick run. It shows that everything works; a few short rounds decide "
                     "nothing, and none of these figures should be quoted.")
    if report.get("interrupted"):
        found.append("Interrupted. These are the rows until then; medians are over the rounds that "
                     "were completed.")
    return found


def lost(report):
    return [text for text in map(facts.clean, report.get("lost") or []) if text] \
        if isinstance(report.get("lost"), list) else []


def room(report):
    """The sentence about where this run took place, which not every host grants."""
    control = facts.clean(facts.mapping(report.get("host")).get("congestion_control"))
    text = ("Server and client are pinned to a core each. The congestion control should be reno, "
            "in a network namespace of the run’s own: a host’s default may be bbr, which paces "
            "even on loopback, and every figure for large bodies is then the figure of a timer.")
    if control:
        text += f" In this run it was {control}."
    return text


def method(report):
    """[(heading, text)]"""
    return [
        ("CPU time is what is compared.",
         "The median of CPU time a request (user and system time of all of a server’s processes, "
         "over the requests that were answered) says what a server costs. Requests/s says it only "
         "while the server is what limits them. Where the client’s core was full first, requests/s "
         "is the client’s figure; the tables mark it."),
        ("Loopback is not a network.",
         "There is no card, no interrupt, no loss and no distance. Nearly all of a small request "
         "is the kernel’s TCP, the same for all, so what servers differ in is diluted; on a "
         "network with real latency much of what is shown here would not be felt at all."),
        ("Two cores share a cache.",
         "Client and server run beside each other and take cache and memory bandwidth from each "
         "other. On a virtual machine the cores may be two threads of one, and neighbours unseen: "
         "absolute figures change from hour to hour. Ratios travel better, and only they are meant "
         "to be compared between machines."),
        ("The room.", room(report)),
        ("Closed loops flatter the slow.",
         "In the tables without a rate each connection asks again once it has its answer. A server "
         "that stalls is asked less meanwhile, so its percentiles look better than its users would "
         "find them, and latency is mostly the number of connections over the throughput. Where a "
         "rate is asked for, a request is timed from the moment it was due, whether or not it "
         "could be sent then. Those rates are shares of each server’s own saturation, so the same "
         "share is not the same load."),
        ("Who pays for the kernel’s part.",
         "Over loopback, receiving is done in a soft interrupt on the core that sends, and its "
         "time is charged to whoever runs there: a server that sends pays for part of its client’s "
         "receiving. That is alike for all. A kernel that accounts interrupt time apart "
         "(CONFIG_IRQ_TIME_ACCOUNTING) charges it to nobody: there all servers look cheaper, and "
         "ratios between them harsher."),
        ("What the intervals mean.",
         "Rounds of all servers take turns, so that what drifts hits all alike. Behind each median "
         "stands an interval from order statistics, which assumes nothing about the noise: in 95 "
         "of 100 repetitions such an interval holds the true median; with fewer than six rounds it "
         "is from the least to the most. A ratio is taken round by round, and so its interval may "
         "be narrower than the two figures’ own. Of twenty intervals one is expected to miss. No "
         "interval covers what is wrong in all rounds alike, nor another machine."),
        ("Why there is no ranking inside.",
         "“1–3” is a place that may be any from the first to the third: the intervals overlap, and "
         "another run may order these rows otherwise. The order within is the medians’, because "
         "rows must stand somewhere. One exception is made, and against leat only: a peer whose "
         "ratio to leat, round by round, excludes 1 is said to be before it."),
        ("The limits.",
         "The rows called limits parse nothing but the end of a request, and have no time-outs, no "
         "log and no date. They are no servers; they show what this host’s kernel leaves to be "
         "gained or lost."),
        ("Who wrote the peers.",
         "leat’s authors did, each as its users would write it and, where that is slow, in its "
         "best way too. We know leat better than we know them. Their versions are those of a "
         "distribution, not their newest; they are limited to one core each, which suits some "
         "runtimes less than others. The programs and their settings can be read in bench/peers/. "
         "Whoever knows one of them better and finds it unfairly set up has found a bug here."),
        ("The client is leat’s own.",
         "Load comes from leat load, which stands on the same library as the server. The "
         "witnesses, wrk and h2load, were let at some of the same servers to see whether they "
         "agree."),
        ("Memory.",
         "Peak memory is what the kernel calls resident, of all of a server’s processes, libraries "
         "included, sampled over one short test. Socket buffers and other kernel memory are in no "
         "figure. A collector that has not yet had a reason to run is not a leak."),
        ("What is not here.",
         "No TLS, no HTTP/2, no real work in the handler, no hours of running. For most services "
         "the handler’s own work is larger than everything that is compared here."),
    ]
