# SPDX-License-Identifier: MIT
"""The servers that meet in the laboratory, each a name and a command line.

A command is a template: {listen} is ADDR:PORT, {port} its port, {dir} the directory to serve,
{engine} uring or epoll, {leat} the leat command, {build} the build folder, {bin} its bench/.
"""
import shlex
from dataclasses import dataclass
from pathlib import Path

HELLO = "{bin}/hello_1k --listen {listen} --engine {engine}"
LEAT = "{leat} serve {dir} --listen {listen} --threads 1 --engine {engine}"

NGINX = """\
user root; daemon off; worker_processes 1; pid {work}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile {sendfile}; tcp_nopush on;
    keepalive_requests 1000000000; keepalive_timeout 3600s;
    types {{ text/plain txt; }} default_type application/octet-stream;
    client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
    uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
    {extra}
    server {{ listen {listen} backlog=4096; root {dir}; }}
}}
"""
OPEN_FILE_CACHE = "open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;"


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
    """nginx as a reasonable person tunes it: one worker, no log, connections kept for ever."""

    name: str = "nginx"
    extra: str = OPEN_FILE_CACHE
    sendfile: str = "on"

    def argv(self, lab, directory, listen, _words):
        work = lab.directory / f"nginx-{listen.rsplit(':', 1)[1]}"
        work.mkdir()
        config = work / "nginx.conf"
        config.write_text(NGINX.format(work=work, extra=self.extra, listen=listen,
                                       dir=directory, sendfile=self.sendfile))
        return [lab.tool("nginx"), "-p", work, "-c", config, "-e", "stderr"]


def bare(engine):
    return Server(f"bare_{engine}", "{bin}/bare_" + engine + " {port} {dir}", engine)


def engines(options):
    return ["uring", "epoll"] if options.engine == "both" else [options.engine]


def subject(options, engine, default):
    """The server under test: leat's, or what --server says."""
    name = "leat"
    if options.server is not None:
        name = Path(shlex.split(options.server)[0]).name.replace("{engine}", engine)
    return Server(name, options.server or default, engine, options.leat)
