# SPDX-License-Identifier: MIT
"""What coding costs: CPU time of the server for the same texts, against nginx with gzip at level 6.
The texts are those of bench/compress.py that compression is for, each kind by itself, over one
connection on the loopback; nginx reads them from the page cache, leat's are in memory, which is a
hundredth of what coding takes. Beside them one text of some MiB, which leat codes piece by piece.

For the same ratio: of each codec's levels tried here the cheapest counts that sends no more bytes
than nginx does, all kinds together. Who takes gzip alone must be served no dearer than by nginx."""
import statistics

from . import compress_sides, compress_texts, laboratory, paired, servers

KINDS = ("text", "code", "html", "json", "json lines", "csv", "xml", "binary", "wasm")
LARGE, LARGE_BYTES = "large", 4 << 20
NGINX = "nginx gzip-6"
GZIP = "gzip on; gzip_comp_level 6; gzip_types *; "
POLICIES = ["gzip-5", "gzip-6", "gzip-7", "gzip-8", "zstd-3", "zstd-5", "br-4"]
PASS_BYTES, PASS_BYTES_QUICK = 3_000_000, 200_000  # that a turn of a kind takes, at the least


def prepare(lab, quick):
    texts = [text for text in compress_texts.choose(lab, quick) if text.kind in KINDS]
    if not quick:
        one = b"".join(text.data for text in texts)[:LARGE_BYTES]
        texts.append(compress_texts.Text("all of them", LARGE, "text/plain", one))
    return texts


def ask(lab, running, prefix, numbers, times):
    """CPU us of one pass through these texts, and the bytes of the bodies; the first pass is not in
    it."""
    turns = [(0, f"{prefix}/{number}") for number in numbers]
    compress_sides.deliver(lab, running, turns)
    with lab.costs(running) as cost:
        answers = compress_sides.deliver(lab, running, turns * times)
    if not all(answer["coding"] for answer in answers):
        raise laboratory.Fault(f"{prefix}: not every text is coded")
    return {"cpu_us": cost["cpu_us"] / times,
            "bytes": sum(answer["body"] for answer in answers) / times}


def same_ratio(figures, kinds, codec):
    """The cheapest policy of a codec that sends no more than nginx; None: none does."""
    def total(name, key):
        return sum(statistics.median(figure[kind][key] for figure in figures[name])
                   for kind in kinds)
    fit = [name for name in figures if name.partition("-")[0] == codec
           and total(name, "bytes") <= total(NGINX, "bytes")]
    return min(fit, key=lambda name: total(name, "cpu_us"), default=None)


def tell(lab, figures, kinds):
    names = list(figures)
    lab.say(f"    {'CPU ms (ratio)':14}" + "".join(f"{name:>16}" for name in names))
    for kind in kinds:
        cells = []
        for name in names:
            cpu, sent, plain = (statistics.median(figure[kind][key] for figure in figures[name])
                                for key in ("cpu_us", "bytes", "plain"))
            cells.append(f"{cpu / 1e3:.2f} ({plain / sent:.2f})")
        lab.say(f"    {kind:14}" + "".join(f"{cell:>16}" for cell in cells))


def judge(lab, figures, kinds, label, name):
    """CPU of a policy against nginx's, all these kinds together, round by round."""
    ratios = [sum(own[kind]["cpu_us"] for kind in kinds)
              / sum(other[kind]["cpu_us"] for kind in kinds)
              for own, other in zip(figures[name], figures[NGINX])]
    result = paired.verdict(ratios, at_most=1.0)
    paired.tell(lab, f"{label}: {name} to {NGINX}, CPU time", result)
    return result


def run(lab, options):
    texts = prepare(lab, options.quick)
    listed = compress_texts.write(lab, texts)
    numbers = {kind: [number for number, text in enumerate(texts) if text.kind == kind]
               for kind in dict.fromkeys(text.kind for text in texts)}
    sizes = {kind: sum(len(texts[number].data) for number in own)
             for kind, own in numbers.items()}
    least = PASS_BYTES_QUICK if options.quick else PASS_BYTES
    results = []
    for engine in servers.engines(options):
        coded = compress_sides.coded(options, engine)
        nginx = servers.Nginx(extra=servers.nginx.OPEN_FILE_CACHE + GZIP)
        with lab.serve(coded, lab.directory, texts=listed) as ours, \
                lab.serve(nginx, lab.directory / "texts") as theirs:
            sides = [(name, (ours, f"/{name}")) for name in POLICIES] + [(NGINX, (theirs, ""))]

            def measure(side):
                return {kind: ask(lab, *side, own, -(-least // sizes[kind]))
                        | {"plain": sizes[kind]} for kind, own in numbers.items()}

            figures = paired.interleave(lab, sides, measure, options.rounds)
        lab.say(f"CPU time of coding, engine {engine}")
        tell(lab, figures, numbers)
        kinds = [kind for kind in numbers if kind != LARGE]
        found = {codec: same_ratio(figures, kinds, codec) for codec in ("gzip", "zstd", "br")}
        verdicts = {codec: judge(lab, figures, kinds, f"the same ratio by {codec}", name)
                    for codec, name in found.items() if name is not None}
        if LARGE in numbers:
            verdicts[LARGE] = judge(lab, figures, [LARGE], "a text coded piece by piece", "gzip-6")
        for codec, name in found.items():
            if name is None:
                lab.say(f"    the same ratio by {codec}: none of the levels tried")
        results.append({"title": f"price, {engine}", "rounds": figures, "same_ratio": found,
                        "verdicts": verdicts,
                        "met": "gzip" in verdicts and verdicts["gzip"]["met"]})
    return results
