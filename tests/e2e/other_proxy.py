#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""HAProxy or nginx in the shape of `leat proxy`: the stories of test_proxy*.py told to them say
what the stories themselves are worth, and where proxies differ.

    LEAT_BINARY=$PWD/other_proxy.py LEAT_OTHER_PROXY=nginx /usr/bin/python3 -m pytest test_proxy.py

Flags that tell nothing to the one at hand are passed over."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import proxy_origins

NGINX = """\
user root; daemon off; worker_processes 2; pid {work}/pid; error_log {work}/log;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2;
    fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
    upstream origins {{ {servers} keepalive 64; }}
    map $http_upgrade $hop {{ default upgrade; '' ''; }}
    server {{
        listen {port}; client_max_body_size 0;
        location / {{
            proxy_pass http://origins; proxy_http_version 1.1; proxy_buffering off;
            proxy_request_buffering off; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $hop; proxy_read_timeout {answer_ms}ms;
            proxy_connect_timeout {connect_ms}ms;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
HAPROXY = """\
global
    nbthread 2
    maxconn 4000
    no strict-limits
defaults
    mode http
    timeout connect {connect_ms}
    timeout client 60s
    timeout server {answer_ms}
    timeout queue {queue_ms}
    timeout tunnel 1h
    option forwardfor
    retries 2
    option redispatch 1
frontend clients
    bind 127.0.0.1:{port}
    default_backend origins
backend origins
{servers}
"""


def read_words(words):
    """The flags by name, and the URLs."""
    flags, urls = {}, []
    words = iter(words)
    for word in words:
        if word.startswith("--"):
            name, separator, value = word[2:].partition("=")
            flags[name] = value if separator else next(words)
        else:
            urls.append(word.removeprefix("http://"))
    return flags, urls


def configure(kind, work, port, flags, urls):
    """The command that runs it."""
    times = {"answer_ms": flags.get("answer-timeout-ms", 60000),
             "connect_ms": flags.get("connect-timeout-ms", 3000),
             "queue_ms": flags.get("queue-timeout-ms", 5000)}
    if kind == "nginx":
        servers = " ".join(f"server {url} max_fails=0;" for url in urls)
        config = NGINX.format(work=work, port=port, servers=servers, **times)
        (work / "conf").write_text(config)
        return ["nginx", "-p", work, "-c", work / "conf", "-e", "stderr"]
    limit = flags.get("max-upstream-connections", 0)
    servers = "\n".join(f"    server s{index} {url.replace('unix:', 'unix@')} maxconn {limit}"
                        for index, url in enumerate(urls))
    (work / "conf").write_text(HAPROXY.format(port=port, servers=servers, **times))
    return ["haproxy", "-db", "-q", "-f", work / "conf"]


def main():
    flags, urls = read_words(sys.argv[2:])
    port = proxy_origins.free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = configure(os.environ["LEAT_OTHER_PROXY"], pathlib.Path(folder), port, flags, urls)
        with open(os.devnull, "wb") as silence:
            child = subprocess.Popen(command, stderr=silence)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        while child.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionError:
                time.sleep(0.01)
        print(f"listening on http://127.0.0.1:{port}", flush=True)
        child.wait()


main()
