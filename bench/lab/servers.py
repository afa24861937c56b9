# SPDX-License-Identifier: MIT
"""The servers that meet in the laboratory, each a name and a command line.

A command is a template: {listen} is ADDR:PORT, {port} its port, {dir} the directory to serve,
{engine} uring or epoll, {leat} the leat command, {build} the build folder, {bin} its bench/.
"""
import shlex
from dataclasses import dataclass
from pathlib import Path

from peers import nginx

HELLO = "{bin}/hello_1k --listen {listen} --engine {engine}"
ROUTER = "{bin}/router_1k --listen {listen} --engine {engine} --root {dir}"
UPLOAD = "{build}/examples/upload --listen {listen} --threads 1 --no-sync {dir}"
LEAT = "{leat} serve {dir} --listen {listen} --threads 1 --engine {engine}"
BARE = "{bin}/bare_{engine} {port} {dir}"


@dataclass
class Server:
    name: str
    template: str
    engine: str = "epoll"
    leat: str = ""

    def argv(self, lab, directory, listen, words):
        words = {"listen": listen, "port": listen.rsplit(":", 1)[1], "dir": directory,
                 "engine": self.engine, "leat": self.leat, "build": lab.build, "bin": lab.bin,
                 **words}
        # Filled in after the split, so that a folder's name may hold spaces.
        return [part.format(**words) for part in shlex.split(self.template)]


@dataclass
class Nginx:
    """nginx as its peer file tunes it, and what an experiment changes of that."""

    name: str = "nginx"
    extra: str = nginx.OPEN_FILE_CACHE
    sendfile: str = "on"
    has_memory: bool = False
    connections: int = 4096

    def argv(self, lab, directory, listen, _words):
        work = lab.directory / f"nginx-{listen.rsplit(':', 1)[1]}"
        work.mkdir()
        config = work / "nginx.conf"
        location = nginx.from_memory(directory) if self.has_memory else ""
        config.write_text(nginx.configuration(work, listen, directory, self.sendfile, self.extra,
                                              location, self.connections))
        return [lab.tool("nginx"), "-p", work, "-c", config, "-e", "stderr"]


def bare(engine):
    return Server(f"bare_{engine}", BARE, engine)


# Of thousands of clients. nginx begins to close idle connections when a sixteenth of its
# worker_connections is left.
MANY = "--max-connections 19000"


def nginx_many():
    return Nginx(connections=19_900)


def nginx_memory():
    return Nginx("nginx memory", has_memory=True)


def nginx_file(size_kib):
    """nginx sends a file of 1 KiB cheaper by copying it (measured: 8.7 us a request against 10.8
    with sendfile), a large one by sendfile: always the nginx to beat."""
    return Nginx("nginx file", sendfile="off" if size_kib < 16 else "on")


def engines(options):
    return ["uring", "epoll"] if options.engine == "both" else [options.engine]


def subject(options, engine, default):
    """The server under test: leat's, or what --server says."""
    name = "leat"
    if options.server is not None:
        name = Path(shlex.split(options.server)[0]).name.replace("{engine}", engine)
    return Server(name, options.server or default, engine, options.leat)
