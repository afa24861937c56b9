# SPDX-License-Identifier: MIT
"""Upstreams by name, as a host has names: its /etc/hosts and resolv.conf, a name server on port 53,
networks that drop one family. In namespaces of their own, through `leat proxy` with its sandbox on.
"""

import shutil
import subprocess
import sys
import time

import pytest

from conftest import Server, await_true, stopping
from feed_tools import Network, why_no_network

MISSING = why_no_network() or ("" if shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")
                               else "dnsmasq is not installed")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

PORT = 8000  # of the origins; the network is nobody else's


class Host(Network):
    """A network, and files of /etc that are its own."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {name: folder / name for name in ("hosts", "resolv.conf")}
        self.running = []
        self.hosts("127.0.0.1 localhost")
        self.resolv_conf("nameserver 127.0.0.1")
        super().__init__()
        self.prefix = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "unshare", "--mount",
                       "sh", "-c", " && ".join(f"mount --bind {path} /etc/{name}" for name, path
                                               in self.files.items()) + ' && exec "$@"', "sh"]

    def hosts(self, *lines):
        self.files["hosts"].write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

    def resolv_conf(self, *lines):
        """As a DHCP client does when the host moves: the same file is written anew."""
        self.files["resolv.conf"].write_text("".join(f"{line}\n" for line in lines),
                                             encoding="ascii")

    def start(self, *command):
        self.running.append(subprocess.Popen([*self.prefix, *command], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))

    def name_server(self, address, *records):
        self.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                   "--no-hosts", "--bind-interfaces", f"--listen-address={address}", "--pid-file=",
                   "--user=root", "--local=/test/", "--local-ttl=1",
                   *(f"--host-record={record}" for record in records))
        self.await_socket("-ltun", f"{address}:53")

    def origin(self, address, answer):
        """Says what it is called."""
        folder = self.folder / answer
        folder.mkdir()
        (folder / "name").write_text(answer, encoding="ascii")
        self.start(sys.executable, "-m", "http.server", "--bind", address, "--directory",
                   str(folder), str(PORT))
        host = f"[{address}]" if ":" in address else address
        self.await_socket("-ltn", f"{host}:{PORT}")

    def await_socket(self, flags, text):
        command = [*self.prefix, "ss", flags]
        await_true(lambda: text in subprocess.run(command, check=True, text=True,
                                                  capture_output=True).stdout)

    def get(self, url):
        """(status, body, seconds)"""
        shown = subprocess.run([*self.prefix, "curl", "--silent", "--max-time", "20", "--write-out",
                                "\n%{http_code} %{time_total}", url], check=False, text=True,
                               capture_output=True).stdout
        body, _, facts = shown.rpartition("\n")
        status, seconds = facts.split()
        return int(status), body, float(seconds)

    def close(self):
        for process in self.running:
            process.kill()
            process.wait()
        super().close()


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def proxy(host, tmp_path, engine):
    """proxy(*flags_and_urls) starts `leat proxy` on that host."""
    with stopping() as servers:
        def start(*words):
            servers.append(Server(None, words, tmp_path / f"stderr-{len(servers)}",
                                  prefix=host.prefix, command="proxy"))
            return servers[-1]
        yield start


def test_a_name_of_dns(host, proxy):
    host.name_server("127.0.0.1", "both.test,127.0.0.1,::1")
    host.origin("127.0.0.1", "four")
    server = proxy(f"http://both.test:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "four")


def test_a_name_of_the_hosts_file(host, proxy):
    """No name server is there to be asked; what is written there later counts, too."""
    host.origin("127.0.0.1", "first")
    host.origin("127.0.0.2", "second")
    host.hosts("127.0.0.1 localhost", "127.0.0.1 upstream.test upstream")
    server = proxy(f"http://UPSTREAM:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "first")
    host.hosts("127.0.0.1 localhost", "127.0.0.2 upstream.test upstream")
    await_true(lambda: host.get(f"{server.url}/name")[:2] == (200, "second"), 10)


def test_a_search_domain(host, proxy):
    host.name_server("127.0.0.1", "both.test,127.0.0.1")
    host.origin("127.0.0.1", "four")
    host.resolv_conf("search elsewhere.test test", "nameserver 127.0.0.1")
    server = proxy(f"http://both:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "four")


def test_resolv_conf_changes(host, proxy):
    """A proxy that runs for months follows its host to another network."""
    host.name_server("127.0.0.1", "both.test,127.0.0.1")
    host.name_server("127.0.0.9", "both.test,127.0.0.2")
    host.origin("127.0.0.1", "first")
    host.origin("127.0.0.2", "second")
    server = proxy(f"http://both.test:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "first")
    host.resolv_conf("nameserver 127.0.0.9")
    await_true(lambda: host.get(f"{server.url}/name")[:2] == (200, "second"), 10)


def test_resolv_conf_becomes_another_file(host, proxy):
    """The sandbox lets it have the file that it was: a thread's name servers stay as they were."""
    host.name_server("127.0.0.9", "both.test,127.0.0.1")
    host.resolv_conf("nameserver 127.0.0.9")
    host.origin("127.0.0.1", "four")
    server = proxy("--sandbox", "on", "--threads", "1", f"http://both.test:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "four")
    subprocess.run(["nsenter", f"--mount=/proc/{server.pid}/ns/mnt", "umount", "/etc/resolv.conf"],
                   check=True)
    time.sleep(1.2)  # what is known is good for a second
    assert host.get(f"{server.url}/name")[:2] == (200, "four")


def test_an_answer_that_is_too_long(host, proxy):
    """For a datagram: it comes by TCP, which the sandbox lets through as well."""
    host.name_server("127.0.0.1", *(f"many.test,127.0.0.{last}" for last in range(1, 60)))
    host.origin("0.0.0.0", "four")
    server = proxy(f"http://many.test:{PORT}")
    assert host.get(f"{server.url}/name")[:2] == (200, "four")


def test_a_family_that_is_dropped(host, proxy):
    """RFC 8305: IPv4 a quarter of a second later, and at once for who comes next."""
    host.name_server("127.0.0.1", "both.test,127.0.0.1,::1")
    host.origin("127.0.0.1", "four")
    host.origin("::1", "six")
    host.inside("nft", "add table inet names; add chain inet names input "
                "{ type filter hook input priority 0; }; add rule inet names input ip6 daddr ::1 "
                f"tcp dport {PORT} drop")
    server = proxy(f"http://both.test:{PORT}")
    status, body, seconds = host.get(f"{server.url}/name")
    assert (status, body) == (200, "four")
    assert 0.25 <= seconds < 3
    assert min(host.get(f"{server.url}/name")[2] for _ in range(3)) < 0.2


def test_a_family_without_a_route(host, proxy):
    """That is told at once. Three tries, for the host may be busy."""
    names = ("one.test", "two.test", "three.test")
    host.name_server("127.0.0.1", *(f"{name},127.0.0.1,2001:db8::1" for name in names))
    host.origin("127.0.0.1", "four")
    times = []
    for name in names:
        server = proxy("--threads", "1", f"http://{name}:{PORT}")
        status, body, seconds = host.get(f"{server.url}/name")
        assert (status, body) == (200, "four")
        times.append(seconds)
    assert min(times) < 0.25


def test_a_silent_name_server_holds_up_nobody_else(host, tmp_path, engine):
    """One thread; whoever does not need the name is answered meanwhile, and the server ends as it
    should with somebody still waiting for it."""
    host.origin("127.0.0.1", "four")
    host.inside("nft", "add table inet names; add chain inet names input "
                "{ type filter hook input priority 0; }; add rule inet names input udp dport 53 "
                "drop")
    flags = ["--threads", "1", "--grace-ms", "300", "--proxy", f"/silent=http://silent.test:{PORT}",
             "--proxy", f"/plain=http://127.0.0.1:{PORT}"]
    folder = tmp_path / "films"
    folder.mkdir()
    with stopping() as servers:
        servers.append(Server(folder, flags, tmp_path / "stderr-serve", prefix=host.prefix))
        url = servers[0].url
        host.start("curl", "--silent", "--max-time", "20", f"{url}/silent/name")
        times = [host.get(f"{url}/plain/name")[2] for _ in range(10)]
        assert host.running[-1].poll() is None, "it should be waiting for the name"
        assert sorted(times)[5] < 0.1
        host.running[-1].kill()
