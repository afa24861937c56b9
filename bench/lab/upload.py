# SPDX-License-Identifier: MIT
"""1 GB uploaded to a file by examples/upload and by nginx: CPU time a GB, and the server's memory
meanwhile. nginx's part is played by its own PUT (http_dav_module): it writes the body to a
temporary file as client_body_in_file_only does, and then renames it to where it belongs, which is
what leat's example does. A proxied or FastCGI backend would add work that leat does not have. The
nginx to beat has a buffer of 1 MiB, which is cheapest for it; as it comes (16 KiB) it stands
beside. All write below the build folder; each upload has a folder of its own, which is removed
before the disk has seen much of it. Nobody waits for the disk: nginx never does, and the example is
told not to."""
import shutil
import statistics

from . import laboratory, memory, paired, servers

SIZE, SIZE_QUICK = 1_000_000_000, 32_000_000
MEMORY_TARGET, CPU_TARGET = 2_000_000, 1.0
NGINX_PUT = "dav_methods PUT; client_max_body_size 0;"
ROWS = [("CPU s/GB", "cpu_s_per_gb", ".3f"), ("GB/s", "gb_per_s", ".2f"),
        ("resident, idle, MB", "idle_mb", ".2f"), ("most above that, MB", "above_mb", ".2f"),
        ("server core busy %", "server_core_percent", ".0f"),
        ("client core busy %", "client_core_percent", ".0f")]


def largest_file(directory):
    return max((path.stat().st_size for path in directory.rglob("*") if path.is_file()), default=0)


def touch_memory(folder, size):
    """Fills as much page cache as an upload will, and frees it. A virtual machine may have given
    its free memory back to the host; who touches it again first pays for that, which shows as two
    kinds of rounds, one three times as dear as the other."""
    path = folder / "warm"
    piece = bytes(1 << 20)
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(piece) + 64):
            file.write(piece)
    path.unlink()


def measure(lab, server, size, arguments):
    folder = lab.directory / "uploads"
    folder.mkdir()
    try:
        touch_memory(folder, size)
        with lab.serve(server, folder) as running:
            idle = memory.settled(running)
            memory.reset_peak(running)
            with memory.Watch(running) as watch, lab.costs(running) as cost:
                figures = lab.client("send", "-s", str(size), *arguments[:-1], running.address,
                                     arguments[-1])
            above = max(memory.peak(running) - idle, 0)
        if figures["status"] not in (200, 201, 204) or largest_file(folder) < size:
            raise laboratory.Fault(f"{server.name}: status {figures['status']}, a file of "
                                   f"{largest_file(folder)} bytes; want {size}")
    finally:
        shutil.rmtree(folder)
    return figures | cost | {
        "cpu_s_per_gb": cost["cpu_us"] / 1e6 / (size / 1e9),
        "gb_per_s": size / figures["secs"] / 1e9, "idle_mb": idle / 1e6, "above_mb": above / 1e6,
        "memory": watch.samples}


def over_time(rounds):
    """The median of what was resident above idle in each fifth of an upload, in MB."""
    fifths = []
    for part in range(5):
        values = [size / 1e6 - figure["idle_mb"] for figure in rounds
                  for _, size in figure["memory"][len(figure["memory"]) * part // 5:
                                                  len(figure["memory"]) * (part + 1) // 5]]
        fifths.append(f"{statistics.median(values):+.2f}" if values else "-")
    return ", ".join(fifths)


def run(lab, options):
    size = SIZE_QUICK if options.quick else SIZE
    peer = servers.Nginx("nginx PUT", NGINX_PUT + " client_body_buffer_size 1m;")
    as_it_comes = servers.Nginx("nginx PUT, 16k", NGINX_PUT)
    put = ["-X", "PUT", "/upload.bin"]
    results = []
    for engine in servers.engines(options):
        subject = servers.subject(options, engine, servers.UPLOAD)
        sides = [(subject.name, (subject, ["-X", "PUT", options.path or "/upload/upload.bin"])),
                 (f"{peer.name} (peer)", (peer, put)), (as_it_comes.name, (as_it_comes, put))]
        figures = paired.interleave(lab, sides, lambda side: measure(lab, side[0], size, side[1]),
                                    options.rounds)
        ours, rival = sides[0][0], sides[1][0]
        cost = paired.verdict(paired.ratios(figures, ours, rival, "cpu_s_per_gb"),
                              at_most=CPU_TARGET)
        above = max(figure["above_mb"] for figure in figures[ours])
        uses_engine = "{engine}" in (options.server or servers.UPLOAD)
        title = f"upload of {size / 1e9:g} GB to a file" + \
            (f", engine {engine}" if uses_engine else "")
        lab.say(title)
        paired.table(lab, figures, ROWS)
        for name in figures:
            lab.say(f"    {name}: MB above idle in each fifth of the upload: "
                    f"{over_time(figures[name])}")
        paired.tell(lab, "ratio of CPU s/GB", cost)
        loose = paired.summary(paired.ratios(figures, ours, as_it_comes.name, "cpu_s_per_gb"))
        lab.say(f"    to nginx as it comes: median {loose['median']:.3f}, interval "
                f"{loose['interval'][0]:.3f} to {loose['interval'][1]:.3f}")
        flat = above * 1e6 <= MEMORY_TARGET
        lab.say(f"    most above idle in any round: {above:.2f} MB, target <= "
                f"{MEMORY_TARGET / 1e6:.0f}: {'met' if flat else 'NOT MET'}")
        results.append({"title": title, "rounds": figures, "cpu_s_per_gb": cost,
                        "cpu_to_nginx_as_it_comes": loose, "above_mb": above,
                        "met": cost["met"] and flat})
        if not uses_engine:
            break
    return results
