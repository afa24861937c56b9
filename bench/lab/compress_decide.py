# SPDX-License-Identifier: MIT
"""What deciding costs: CPU time of the server for 1 MiB that leat's own choice leaves as it is,
beside the same with compression off. The loopback takes more bytes a second than a codec makes, so
text is left there too, after a look at all there is to look at; noise is left for its bytes."""
import os
import statistics

from . import compress_sides, compress_texts, paired, servers

SIZE = 1 << 20
LIMIT_US = 20
REQUESTS, REQUESTS_QUICK = 100, 5


def prepare(lab, quick):
    """1 MiB of JSON, of what an encoder of pictures has made, and of noise by the name of text."""
    json_text = next(text for text in compress_texts.choose(lab, quick) if text.kind == "json").data
    noise = os.urandom(SIZE)
    return [compress_texts.Text("JSON", "", "application/json",
                                (json_text * (SIZE // len(json_text) + 1))[:SIZE]),
            compress_texts.Text("noise", "", "text/plain", noise),
            compress_texts.Text("JPEG", "", "image/jpeg",
                                bytes.fromhex("ffd8ffe000104a464946000101") + noise[13:])]


def run(lab, options):
    texts = prepare(lab, options.quick)
    listed = compress_texts.write(lab, texts)
    count = REQUESTS_QUICK if options.quick else REQUESTS
    results = []
    for engine in servers.engines(options):
        server = compress_sides.coded(options, engine)
        with lab.serve(server, lab.directory, texts=listed) as running:
            def measure(path):
                return compress_sides.measure(lab, running, path, count)

            for number, text in enumerate(texts):
                sides = [(name, f"/{name}/{number}") for name in ("auto", "off")]
                figures = paired.interleave(lab, sides, measure, options.rounds)
                more = [ours["cpu_us"] - bare["cpu_us"]
                        for ours, bare in zip(figures["auto"], figures["off"])]
                result = paired.verdict(more, at_most=LIMIT_US)
                coded = sum(figure["coded"] for figure in figures["auto"])
                bare_us = statistics.median(figure["cpu_us"] for figure in figures["off"])
                lab.say(f"1 MiB of {text.name}, engine {engine}: {bare_us:.0f} us plain; deciding "
                        f"takes {result['median']:.1f} us ({result['interval'][0]:.1f} to "
                        f"{result['interval'][1]:.1f}); target <= {LIMIT_US}: "
                        + ("met" if result["met"] else "NOT MET")
                        + (f"; {coded} were coded, which is in it" if coded else ""))
                results.append({"title": f"deciding, {text.name}, {engine}", "rounds": figures,
                                "more_us": result, "met": result["met"]})
    return results
