# SPDX-License-Identifier: MIT
"""The command: what it says when it is asked wrongly, and how it starts and ends."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from conftest import LEAT, PROMPT_S, START_S
from peer import Peer

FILM = "/watercourse.mp4"


def complaint(result, *words):
    """One line that says what is wrong, in these words, and exit status 2."""
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert result.stdout == ""
    assert re.fullmatch(r"leat[^\n]*: [^\n]+\n", result.stderr), result.stderr
    for word in words:
        assert word in result.stderr, f"{word!r} is not in {result.stderr!r}"
    return result.stderr


@pytest.mark.parametrize("arguments, words", [
    ([], ["serve", "doctor", "--help"]),
    (["dance"], ["dance", "serve", "doctor"]),
    (["--serve"], ["--serve"]),
    (["serve", "--turbo", "on"], ["--turbo", "--help"]),
    (["serve", "-x"], ["-x", "--help"]),
    (["serve", "--threads"], ["--threads", "value"]),
    (["serve", "--threads", "0"], ["--threads", "from 1 to", "'0'"]),
    (["serve", "--threads", "two"], ["--threads", "'two'"]),
    (["serve", "--threads", "2x"], ["--threads", "'2x'"]),
    (["serve", "--threads", "-1"], ["--threads", "'-1'"]),
    (["serve", "--threads", "99999999999999999999"], ["--threads"]),
    (["serve", "--threads="], ["--threads", "''"]),
    (["serve", "--engine", "steam"], ["--engine", "auto", "uring", "epoll", "steam"]),
    (["serve", "--listen", "8080"], ["--listen", "'8080'", "127.0.0.1:8080"]),
    (["serve", "--listen", "127.0.0.1"], ["--listen", "127.0.0.1"]),
    (["serve", "--listen", "127.0.0.1:99999"], ["--listen", "99999"]),
    (["serve", "--listen", "nowhere.example:80"], ["--listen", "nowhere.example"]),
    (["serve", "--listen", "unix:"], ["--listen", "unix:"]),
    (["serve", "--listen", "unix:/" + "x" * 200], ["--listen"]),
    (["serve", "--idle-timeout-ms", "5s"], ["--idle-timeout-ms", "'5s'"]),
    (["serve", "--tcp-nodelay", "maybe"], ["--tcp-nodelay", "maybe"]),
    (["serve", "--tcp-notsent-lowat", "32q"], ["--tcp-notsent-lowat", "32q"]),
    (["serve", "one", "two"], ["'two'"]),
    (["doctor", "--cure"], ["--cure"]),
    (["doctor", "me"], ["me"]),
])
def test_a_wrong_line_is_explained_in_one_line(leat, arguments, words):
    complaint(leat(*arguments), *words)


def test_a_folder_must_be_there(leat, tmp_path):
    listen = ("--listen", "127.0.0.1:0")
    complaint(leat("serve", *listen, str(tmp_path / "none")), "none", "folder")
    (tmp_path / "file").write_text("x")
    complaint(leat("serve", *listen, str(tmp_path / "file")), "file", "folder")


def test_an_address_must_be_free_and_ours(leat, serve, media):
    server = serve(media)
    taken = f"127.0.0.1:{server.address[1]}"
    for threads in "1", "2":
        complaint(leat("serve", "--threads", threads, "--listen", taken, str(media)), taken,
                  "in use", "--listen")
    complaint(leat("serve", "--listen", "192.0.2.1:80", str(media)), "192.0.2.1:80")
    # One that is free does not make up for one that is not.
    complaint(leat("serve", "--listen", "127.0.0.1:0", "--listen", taken, str(media)), taken)
    assert server.get(FILM).status == 200


# ------------------------------------------------------------------------------------ questions


def test_help_and_version(leat):
    for arguments, words in ((["--help"], ["serve", "doctor", "--version"]),
                             (["serve", "--help"], ["--listen", "--threads", "--engine", "DIR"]),
                             (["doctor", "--help"], ["doctor", "--json"])):
        result = leat(*arguments)
        assert result.returncode == 0 and result.stderr == ""
        for word in words:
            assert word in result.stdout
    version = leat("--version")
    assert version.returncode == 0 and re.fullmatch(r"leat \d+\.\d+\.\d+\n", version.stdout)


def test_help_tells_only_flags_that_work(leat, serve, media):
    """Each flag of --help is accepted with the default that it names."""
    defaults = re.findall(r"^  --([\w-]+) .*\(default: (\S+)\)$", leat("serve", "--help").stdout,
                          re.MULTILINE)
    flags = [part for name, value in defaults if value != "unset" and name != "listen"
             for part in (f"--{name}", value)]
    assert "--idle-timeout-ms" in flags and "--tcp-nodelay" in flags
    flags = [part for part in flags]
    engine = flags.index("--engine")
    del flags[engine:engine + 2]  # the fixture says which
    assert serve(media, *flags).get(FILM).status == 200


def test_doctor_examines_the_host(leat):
    result = leat("doctor")
    assert result.returncode == 0 and result.stderr == ""
    assert "io_uring" in result.stdout and "TCP_NODELAY" in result.stdout
    findings = json.loads(leat("doctor", "--json").stdout)["findings"]
    assert {"io_uring", "openat2", "TCP Fast Open"} <= {finding["name"] for finding in findings}
    assert {finding["state"] for finding in findings} <= {"ok", "limited", "missing"}
    for finding in findings:
        assert finding["text"], finding


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"], ["doctor"],
                                       ["doctor", "--json"]])
def test_output_that_is_lost_is_an_error(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([LEAT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                timeout=20, check=False)
    assert result.returncode == 1
    assert "standard output" in result.stderr


def test_a_server_whose_stdout_is_closed_serves_on(media, engine):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Closed altogether: no socket of ours may take its number and be written to.
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", LEAT, "serve", "--engine", engine, "--listen",
         f"127.0.0.1:{port}", str(media)], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with Peer(("127.0.0.1", port)) as peer:
                    assert peer.get(FILM).status == 200
                    break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.05)
        process.terminate()
        assert process.wait(10) in (0, 1)
    finally:
        process.kill()
        process.communicate()


# ------------------------------------------------------------------------------------ addresses


def test_a_unix_socket(serve, media, film, tmp_path):
    path = tmp_path / "leat.sock"
    server = serve(media, listens=[f"unix:{path}"])
    assert server.lines == [f"listening on unix:{path}"]

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "10", "--unix-socket", str(path),
                               "http://mill/watercourse.mp4", *arguments], capture_output=True,
                              check=True).stdout

    assert curl() == film
    assert curl("-r", "5-9") == film[5:10]
    server.kill()
    assert path.exists()
    again = serve(media, listens=[f"unix:{path}"])  # what a killed server left is no obstacle
    assert curl() == film
    again.stop()
    assert not path.exists()


def test_a_unix_path_that_is_something_else_is_left_alone(leat, media, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("data")
    complaint(leat("serve", "--listen", f"unix:{precious}", str(media)), "precious")
    assert precious.read_text() == "data"


def test_ipv6(serve, media, film):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this host has no IPv6")
    server = serve(media, listens=["[::1]:0"])
    assert server.lines[0].startswith("listening on http://[::1]:")
    assert server.get(FILM).body == film


def test_several_addresses(serve, media, film, tmp_path):
    server = serve(media, listens=["127.0.0.1:0", "127.0.0.1:0", f"unix:{tmp_path}/s"])
    ports = [int(line.rsplit(":", 1)[1]) for line in server.lines[:2]]
    assert len(set(ports)) == 2 and 0 not in ports
    for port in ports:
        with Peer(("127.0.0.1", port)) as peer:
            assert peer.get(FILM).body == film
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(f"{tmp_path}/s")


def test_sockets_from_systemd(media, film, engine):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        descriptor = listener.fileno()
        script = f'exec 3<&{descriptor}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", LEAT, "serve", "--engine", engine, str(media)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[descriptor])
        try:
            assert process.stdout.readline() == f"listening on http://127.0.0.1:{port}\n"
            with Peer(("127.0.0.1", port)) as peer:
                assert peer.get(FILM).body == film
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_threads(serve, media, film, threads):
    server = serve(media, "--threads", threads)
    for _ in range(20):
        assert server.get(FILM, fields=["Range: bytes=0-99"]).body == film[:100]
    assert len(os.listdir(f"/proc/{server.pid}/task")) > int(threads)


# ------------------------------------------------------------------------------------------ ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gently(serve, media, film, number):
    server = serve(media, "--threads", "2")
    with server.connect() as idle, server.connect(receive_buffer=65536) as busy:
        assert idle.get(FILM, fields=["Range: bytes=0-9"]).body == film[:10]
        busy.ask(FILM)
        head = busy.head()
        os.kill(server.pid, number)
        assert idle.rest() == b""
        while len(busy.inbox) < head.length:  # what was begun is finished
            assert busy.more()
        assert busy.inbox == film
        server.await_refusal()  # the threads stop one after the other
    start = time.monotonic()
    server.stop(0)
    assert time.monotonic() - start < PROMPT_S


def test_after_kill_9_it_starts_again_at_once(serve, media, film):
    server = serve(media)
    address = f"127.0.0.1:{server.address[1]}"
    peers = [server.connect() for _ in range(10)]
    for peer in peers:
        peer.ask(FILM)
        peer.head()
    server.kill()
    again = serve(media, listens=[address])
    assert again.address == server.address
    assert again.get(FILM).body == film
    for peer in peers:
        peer.socket.close()
