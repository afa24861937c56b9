# SPDX-License-Identifier: MIT
"""Streams paced at 1 MB/s across a veth pair with MTU 1500, watched by the receiver's kernel
timestamps: one stream for its evenness, 200 for what they cost the server's process."""
import os
import statistics

from . import servers

LEAT = servers.LEAT + " --pacing-rate {rate}"
RATE = 1_000_000
MANY = 200
MANY_QUICK = 20
LIMITS = {"rate_low": 0.95 * RATE, "rate_high": 1.10 * RATE, "bin_stddev_percent": 8.0,
          "gap_ms": 25.0, "cpu_percent": 10.0}


def make_film(lab, seconds):
    path = lab.content() / "film.bin"
    if not path.exists():
        with open(path, "wb") as film:
            for _ in range(int(RATE * 1.3 * (seconds + 2)) // (1 << 20) + 1):
                film.write(os.urandom(1 << 20))


def measure(lab, options, server, other, streams):
    seconds = options.seconds
    with lab.serve(server, lab.content(), host="10.77.0.1", rate=RATE) as running:
        with lab.costs(running) as cost:
            figures = lab.client("receive", "-c", str(streams), "-d", str(seconds), "-s",
                                 str(options.skip), running.address, options.path or "/film.bin",
                                 namespace=other)
    return figures | cost | {"cpu_percent": cost["cpu_us"] / cost["elapsed_s"] / 1e4}


def judge(one, many):
    """Medians over the rounds; of one stream's figures [least, median, greatest] are the same."""
    def middle(key):
        return statistics.median(figures[key][1] for figures in one)
    result = {key: middle(key) for key in ("rate_low", "rate_high", "bin_stddev_percent", "gap_ms")}
    result["cpu_percent"] = statistics.median(figures["cpu_percent"] for figures in many)
    # The 200 must be served, not merely cheap.
    result["many_rate"] = statistics.median(figures["rate_mean"][1] for figures in many)
    result["met"] = (result["rate_low"] >= LIMITS["rate_low"]
                     and all(result[key] <= LIMITS[key] for key in LIMITS if key != "rate_low")
                     and result["many_rate"] >= LIMITS["rate_low"])
    return result


def run(lab, options):
    make_film(lab, options.seconds)
    other = lab.second_namespace()
    streams = MANY_QUICK if options.quick else MANY
    subjects = [(servers.subject(options, engine, LEAT), True)
                for engine in servers.engines(options)]
    if not options.no_peers:
        subjects.append((servers.Nginx("nginx limit_rate", f"limit_rate {RATE};"), False))
    results = []
    for server, is_subject in subjects:
        one, many = [], []
        for number in range(options.rounds):
            lab.note(f"{server.name}: round {number + 1} of {options.rounds}")
            one.append(measure(lab, options, server, other, 1))
            many.append(measure(lab, options, server, other, streams))
        lab.note("")
        result = judge(one, many)
        title = f"pacing at 1 MB/s, {server.name}" + \
            (f", engine {server.engine}" if is_subject else " (peer)")
        lab.say(title)
        lab.say(f"    one stream: {result['rate_low'] / 1e6:.3f} to {result['rate_high'] / 1e6:.3f}"
                f" MB/s over any 2 s (target 0.95 to 1.10), stddev of 100 ms bins "
                f"{result['bin_stddev_percent']:.1f} % (<= 8), longest gap "
                f"{result['gap_ms']:.1f} ms (<= 25)")
        lab.say(f"    {streams} streams: {result['cpu_percent']:.1f} % of a core by the process "
                f"(<= 10), {result['many_rate'] / 1e6:.3f} MB/s each, server core busy "
                f"{statistics.median(f['server_core_percent'] for f in many):.0f} %")
        if is_subject:
            lab.say(f"    targets: {'met' if result['met'] else 'NOT MET'}")
        results.append({"title": title, "one": one, "many": many, "result": result,
                        "met": result["met"] if is_subject else None})
    return results
