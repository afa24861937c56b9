# SPDX-License-Identifier: MIT
"""Coded copies of files: kept in memory, found and written beside their files. Whatever happens to
the files, the disk and the server, who decodes an answer has the bytes of one of its states."""

import contextlib
import gzip
import http.client
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import await_true, descriptors_of

TOOLS = {"br": ["brotli"], "zstd": ["zstd", "-q"], "gzip": ["gzip"]}
SUFFIX = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
ALL = "gzip, zstd, br"

missing = [words[0] for words in TOOLS.values() if not shutil.which(words[0])]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}"),
    pytest.mark.mostly_on("uring"),
]


def text_of(size, seed=0):
    """The same for the same seed; it becomes a fifth of its size or so."""
    words = ["reed", "gate", "sluice", "mill", "weir", "trout", "\n"]
    chance = random.Random(seed)
    return " ".join(chance.choices(words, k=size // 4)).encode()[:size]


def put(path, data, age_s=3600):
    """A file that was last changed so long ago."""
    path.write_bytes(data)
    then = time.time_ns() - age_s * 10**9
    os.utime(path, ns=(then, then))
    return path


def decode(coding, data):
    if not coding:
        return data
    return subprocess.run([*TOOLS[coding], "-dc"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


class Reply:
    """An answer of http.client, read to its end."""

    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()
        self.coding = reply.headers["Content-Encoding"]
        # What is coded while it is sent has no length; of texts this long that holds for br, zstd.
        self.is_copy = bool(self.coding) and "Content-Length" in reply.headers

    def text(self):
        return decode(self.coding, self.body)


def fetch(server, target, accept=ALL, method="GET", **fields):
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    if accept:
        headers["Accept-Encoding"] = accept
    with contextlib.closing(connection):
        connection.request(method, target, headers=headers)
        return Reply(connection.getresponse())


def fetch_copy(server, target, coding, text):
    """Asks until there is a copy; what comes before is the text as well."""
    deadline = time.monotonic() + 15
    while True:
        reply = fetch(server, target, coding)
        assert reply.text() == text
        if reply.is_copy:
            return reply
        assert time.monotonic() < deadline, "no copy was made"
        time.sleep(0.05)


def memory_of(server):
    """Bytes of the copies in its memory."""
    total = 0
    for name in os.listdir(f"/proc/{server.pid}/fd"):
        path = f"/proc/{server.pid}/fd/{name}"
        with contextlib.suppress(FileNotFoundError):
            if "leat-coded" in os.readlink(path):
                total += os.stat(path).st_size
    return total


# ---- In memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_copy_is_the_file_in_another_form(serve, folder, coding):
    text = text_of(200_000)
    put(folder / "mill.txt", text)
    server = serve(folder)
    plain = fetch(server, "/mill.txt", accept=None)
    reply = fetch_copy(server, "/mill.txt", coding, text)
    assert reply.headers["ETag"] == f"W/{plain.headers['ETag'][:-1]}-{coding}\""
    assert reply.headers["Last-Modified"] == plain.headers["Last-Modified"]
    assert reply.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert reply.headers["Accept-Ranges"] is None
    assert len(reply.body) < len(text) / 2
    head = fetch(server, "/mill.txt", coding, method="HEAD")
    assert head.headers["Content-Length"] == str(len(reply.body)) and head.body == b""
    known = fetch(server, "/mill.txt", coding, If_None_Match=reply.headers["ETag"])
    assert known.status == 304 and known.headers["ETag"] == reply.headers["ETag"]
    part = fetch(server, "/mill.txt", coding, Range="bytes=5-9")
    assert part.status == 206 and part.coding is None and part.body == text[5:10]
    assert fetch(server, "/mill.txt", accept=None).body == text
    assert "memfd:leat-coded" in "".join(descriptors_of(server.pid))
    assert not list(folder.glob("*.*.*")), "something was written"


def test_gzip_has_copies_too(serve, folder):
    text = text_of(200_000)
    put(folder / "mill.txt", text)
    server = serve(folder)
    await_true(lambda: fetch(server, "/mill.txt", "gzip").coding and memory_of(server) > 0)
    assert gzip.decompress(fetch(server, "/mill.txt", "gzip").body) == text


def test_what_gains_nothing_has_none(serve, folder):
    put(folder / "noise.txt", os.urandom(200_000))
    put(folder / "film.mp4", text_of(200_000))
    server = serve(folder)
    for _ in range(10):
        assert not fetch(server, "/noise.txt").is_copy
        assert fetch(server, "/film.mp4").coding is None
        time.sleep(0.02)
    assert memory_of(server) == 0


def test_compression_that_is_off_uses_no_copies(serve, folder):
    put(folder / "mill.txt", text_of(200_000))
    put(folder / "mill.txt.br", b"a copy", age_s=0)
    server = serve(folder, "--compress", "off")
    assert fetch(server, "/mill.txt").coding is None
    assert fetch(server, "/mill.txt").headers["Vary"] is None


def test_copies_have_a_limit_and_all_threads_share_them(serve, folder):
    texts = {f"/{number}.txt": text_of(300_000, number) for number in range(24)}
    for name, text in texts.items():
        put(folder / name[1:], text)
    server = serve(folder, "--threads", "3", "--compress-cache", "1m")
    wrong, largest = [], []
    until = time.monotonic() + 6

    def ask(seed):
        chance = random.Random(seed)
        while time.monotonic() < until:
            name = chance.choice(list(texts))
            if fetch(server, name, chance.choice(["br", "zstd", "gzip", ALL])).text() != \
                    texts[name]:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        largest.append(len(memory_files(server)))
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert not wrong
    assert max(largest) > 0, "there were none"
    assert memory_of(server) <= 1 << 20


def memory_files(server):
    """Those of its descriptors that are copies, as paths that are there now."""
    found = []
    for name in os.listdir(f"/proc/{server.pid}/fd"):
        path = f"/proc/{server.pid}/fd/{name}"
        with contextlib.suppress(OSError):
            if "leat-coded" in os.readlink(path) and os.stat(path):
                found.append(path)
    return found


def test_it_ends_while_copies_are_made(serve, folder):
    put(folder / "large.txt", text_of(15 << 20))
    server = serve(folder)
    fetch(server, "/large.txt", "br", method="HEAD")
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 15


# ---- Files that change ---------------------------------------------------------------------------


def test_an_answer_is_of_one_state_of_its_file(serve, folder):
    """In place and by rename, to the same size, old times and new ones, while others ask."""
    texts = [text_of(120_000, seed) for seed in range(8)]
    path = put(folder / "mill.txt", texts[0])
    server = serve(folder, "--threads", "2")
    wrong, until = [], time.monotonic() + 8

    def ask():
        while time.monotonic() < until:
            if fetch(server, "/mill.txt", "br").text() not in texts:
                wrong.append(time.monotonic())
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    number = 0
    while time.monotonic() < until - 1:
        number += 1
        put(folder / "next", texts[number % len(texts)], age_s=random.choice([3600 - number, 60]))
        os.rename(folder / "next", path)
        time.sleep(random.choice([0.05, 1.3]))
    for thread in threads:
        thread.join()
    assert not wrong
    put(folder / "next", texts[3], age_s=10)
    os.rename(folder / "next", path)
    time.sleep(1.1)
    fetch_copy(server, "/mill.txt", "br", texts[3])


# ---- Beside the file -----------------------------------------------------------------------------


def put_beside(path, coding, text, age_s):
    """What the coding's own program makes of a text."""
    coded = subprocess.run([*TOOLS[coding], "-c"], input=text, stdout=subprocess.PIPE,
                           check=True).stdout
    return put(pathlib.Path(f"{path}{SUFFIX[coding]}"), coded, age_s)


def test_what_lies_beside_a_file_is_sent_from_the_first_answer_on(serve, folder):
    text = text_of(100_000)
    path = put(folder / "mill.css", text)
    copies = {coding: put_beside(path, coding, text, 3600 - 1) for coding in ["gzip", "zstd", "br"]}
    server = serve(folder)
    for coding, copy in copies.items():
        reply = fetch(server, "/mill.css", coding)
        assert reply.coding == coding and reply.body == copy.read_bytes()
    assert fetch(server, "/mill.css", "gzip;q=0, zstd;q=0, br;q=0").body == text
    assert memory_of(server) == 0
    put(path, text_of(100_000, 1), age_s=60)  # now they are older
    time.sleep(1.1)
    assert fetch(server, "/mill.css", "br").text() == text_of(100_000, 1)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip"])
def test_copies_that_programs_have_made_count(serve, folder, coding):
    """They keep the time of the file, or its whole seconds."""
    text = text_of(100_000)
    path = put(folder / "mill.css", text)
    subprocess.run([*TOOLS[coding], "-k", path.name], cwd=folder, check=True)
    copy = pathlib.Path(f"{path}{SUFFIX[coding]}").read_bytes()
    assert fetch(serve(folder), "/mill.css", coding).body == copy


def test_a_copy_that_leads_out_of_the_root_is_none(serve, folder, tmp_path):
    text = text_of(100_000)
    path = put(folder / "mill.css", text)
    outside = put_beside(tmp_path / "outside", "br", b"secret " * 1000, 0)
    os.symlink(outside, f"{path}.br")
    server = serve(folder)
    server.expect_on_stderr(".*mill.css.br.*")
    fetch_copy(server, "/mill.css", "br", text)


def test_copies_are_written_beside_their_files(serve, folder):
    text = text_of(200_000)
    (folder / "styles").mkdir()
    path = put(folder / "styles" / "mill.css", text)
    path.chmod(0o640)
    writer = serve(folder, "--compress-beside", "on", "--sandbox", "on")
    for coding in ["br", "zstd"]:
        fetch_copy(writer, "/styles/mill.css", coding, text)
        copy = pathlib.Path(f"{path}{SUFFIX[coding]}")
        await_true(copy.exists)
        assert decode(coding, copy.read_bytes()) == text
        assert copy.stat().st_mode == path.stat().st_mode
        assert copy.stat().st_mtime_ns == path.stat().st_mtime_ns
    writer.stop()
    assert sorted(os.listdir(path.parent)) == ["mill.css", "mill.css.br", "mill.css.zst"]
    server = serve(folder)  # which makes none, but finds them
    assert fetch(server, "/styles/mill.css", "br").body == \
        (folder / "styles" / "mill.css.br").read_bytes()
    assert memory_of(server) == 0


def test_what_others_have_put_there_is_left_alone(serve, folder):
    text = text_of(200_000)
    path = put(folder / "mill.css", text)
    victim = put(folder / "victim", b"precious", age_s=7200)
    os.symlink("victim", f"{path}.br")
    os.symlink("victim", folder / ".mill.css.zst.unfinished")
    server = serve(folder, "--compress-beside", "on")
    fetch_copy(server, "/mill.css", "br", text)
    fetch_copy(server, "/mill.css", "zstd", text)
    time.sleep(0.3)
    assert victim.read_bytes() == b"precious" and os.path.islink(f"{path}.br")
    assert not (folder / "mill.css.zst").exists()


def test_a_kill_leaves_no_half_copy(serve, folder):
    texts = {f"{number}.txt": text_of(400_000, number) for number in range(12)}
    for name, text in texts.items():
        put(folder / name, text)
    chance = random.Random(9)
    for _ in range(6):
        server = serve(folder, "--compress-beside", "on")
        until = time.monotonic() + chance.uniform(0.1, 0.8)
        while time.monotonic() < until:
            fetch(server, "/" + chance.choice(list(texts)), chance.choice(["br", "zstd", "gzip"]))
        server.process.send_signal(signal.SIGKILL)
        server.kill()
        for coding, suffix in SUFFIX.items():
            for copy in folder.glob(f"*{suffix}"):
                assert decode(coding, copy.read_bytes()) == texts[copy.stem], copy
    # What was left is taken up and finished.
    put(folder / ".0.txt.br.unfinished", b"half a co")
    (folder / "0.txt.br").unlink(missing_ok=True)
    server = serve(folder, "--compress-beside", "on")
    fetch_copy(server, "/0.txt", "br", texts["0.txt"])
    await_true((folder / "0.txt.br").exists)
    await_true(lambda: not (folder / ".0.txt.br.unfinished").exists())
    assert decode("br", (folder / "0.txt.br").read_bytes()) == texts["0.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own takes root")
def test_a_full_disk_has_no_half_copy(serve, folder):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False)
    if mounted.returncode:
        pytest.skip("this host lets nobody mount")
    try:
        text = text_of(600_000)
        put(folder / "mill.txt", text)
        with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        server = serve(folder, "--compress-beside", "on")
        fetch_copy(server, "/mill.txt", "br", text)
        time.sleep(0.3)
        assert sorted(os.listdir(folder)) == ["filler", "mill.txt"]
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
