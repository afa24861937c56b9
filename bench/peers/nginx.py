# SPDX-License-Identifier: MIT
"""nginx as a reasonable person tunes it: one worker, no log, connections kept for ever, files from
the cache of open ones. The experiments of bench/lab.py have their nginx from here too, and those of
bench/proxy.py the proxy that it is."""
from lab.peer import Peer, Row

CONFIGURATION = """\
user root; daemon off; worker_processes 1; pid "{work}/nginx.pid"; error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    access_log off; sendfile {sendfile}; tcp_nopush on;
    keepalive_requests 1000000000; keepalive_timeout 3600s;
    types {{ text/plain txt; }} default_type application/octet-stream;
    client_body_temp_path "{work}/t1"; proxy_temp_path "{work}/t2"; fastcgi_temp_path "{work}/t3";
    uwsgi_temp_path "{work}/t4"; scgi_temp_path "{work}/t5";
    {extra}
    server {{ listen {listen} backlog=4096; root "{dir}"; {location} }}
}}
"""
OPEN_FILE_CACHE = "open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;"
CONNECTIONS = 4096
UPSTREAMS = """\
upstream upstreams {{
        {servers}
        keepalive {kept}; keepalive_requests 1000000000; keepalive_timeout 3600s;
    }}"""
# Without a temporary file: an answer that a client takes slowly waits where it comes from.
PROXY = """\
location / {{
        proxy_pass http://upstreams; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_max_temp_file_size 0; proxy_read_timeout 3600s; proxy_send_timeout 3600s;
        send_timeout 3600s; {options}
    }}"""
FILES = {"large": ("/1m.bin", "file"), "64k": ("/64k.bin", "file"), "16m": ("/16m.bin", "file")}


def from_memory(folder):
    """What a server has in memory: nginx makes this answer from its configuration."""
    text = (folder / "1k.txt").read_text()
    assert not set(text) & set('"\\$'), "needs no escape in nginx's configuration"
    return f'location = /1k {{ default_type text/plain; return 200 "{text}"; }}'


def configuration(work, listen, folder, sendfile="on", extra=OPEN_FILE_CACHE, location="",
                  connections=CONNECTIONS):
    return CONFIGURATION.format(work=work, listen=listen, dir=folder, sendfile=sendfile,
                                extra=extra, location=location, connections=connections)


def proxy_configuration(work, listen, upstreams, options="", server_options="", kept=512,
                        connections=CONNECTIONS):
    servers = " ".join(f"server {address} {server_options};" for address in upstreams)
    return configuration(work, listen, work, extra=UPSTREAMS.format(servers=servers, kept=kept),
                         location=PROXY.format(options=options), connections=connections)


def build(workshop):
    workshop.tool("nginx", "nginx-light")


def room_for(count):
    """A sixteenth is kept free: nginx closes idle connections before it goes below. Of each it has
    set aside some 430 bytes from its start, so no more than are needed."""
    return max(CONNECTIONS, count * 6 // 5)


def configure(work, words, **settings):
    settings["connections"] = room_for(words.get("connections", 0))
    (work / "nginx.conf").write_text(configuration(work, words["listen"], words["dir"], **settings))


def configure_memory(work, words):
    configure(work, words, location=from_memory(words["dir"]))


def configure_small_file(work, words):
    """A file of 1 KiB is cheaper copied (measured: 8.7 us a request against 10.8 with sendfile)."""
    configure(work, words, sendfile="off")


COMMAND = "nginx -p {work} -c {work}/nginx.conf -e stderr"
PEER = Peer(
    "nginx", "nginx",
    [Row("nginx", "nginx", COMMAND, {"small": ("/1k", "memory"), **FILES},
         "tuned: open_file_cache, sendfile; 1 KiB by `return`, from its configuration",
         configure=configure_memory),
     Row("nginx-file", "nginx, a file", COMMAND, {"small": ("/1k.txt", "file")},
         "tuned: open_file_cache; sendfile off, which is cheaper for so small a file",
         configure=configure_small_file)],
    packages=["nginx-light"], version=["nginx", "-v"], build=build)
