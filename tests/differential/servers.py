# SPDX-License-Identifier: MIT
"""The servers that are compared: leat and its peers, started on ports of their own."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import generator

HERE = pathlib.Path(__file__).resolve().parent
START_S = 10

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit;
events {{ worker_connections 512; }}
http {{
    access_log off; root {root}; etag on; server_tokens off; lingering_close always;
    keepalive_requests 100000; client_header_buffer_size 16k; large_client_header_buffers 4 16k;
    types {{ text/plain txt; }} default_type application/octet-stream;
    {temporary}
    server {{ listen 127.0.0.1:{port} default_server; server_name _; }}
}}
"""


def write_files(root):
    for name, content in generator.FILES.items():
        path = pathlib.Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (generator.MTIME, generator.MTIME))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def await_port(process, port, name):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{name} does not accept connections")


class Server:
    """A process that serves at `address`; `marks` are the values it has for the marks."""

    def __init__(self, name, process, port):
        self.name, self.process, self.address = name, process, ("127.0.0.1", port)
        self.marks = {}

    def stop(self):
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def port_from(process, pattern, name):
    line = process.stdout.readline().decode()
    match = re.match(pattern, line)
    if not match:
        process.kill()
        raise RuntimeError(f"{name} said {line!r} instead of its port")
    return int(match[1])


def start_leat(binary, engine, root):
    """Without content codings, which nginx has off unless it is told to."""
    process = subprocess.Popen([binary, "serve", "--engine", engine, "--threads", "1",
                                "--compress", "off", "--listen", "127.0.0.1:0", root],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    return Server("leat", process, port_from(process, r"listening on http://.*:(\d+)\n", "leat"))


def start_echo(binary, engine):
    process = subprocess.Popen([binary, engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    return Server("echo", process, port_from(process, r"(\d+)\n", "echo_http"))


def start_node():
    process = subprocess.Popen(["node", HERE / "node_echo.js"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return Server("node", process, port_from(process, r"(\d+)\n", "node"))


def nginx_binary():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def start_nginx(root, folder):
    port = free_port()
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = pathlib.Path(folder, "nginx.conf")
    path.write_text(NGINX.format(folder=folder, root=root, temporary=temporary, port=port))
    pathlib.Path(folder).chmod(0o755)  # its worker may be somebody else
    process = subprocess.Popen([nginx_binary(), "-p", folder, "-c", path, "-e",
                                f"{folder}/nginx.log"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await_port(process, port, "nginx")
    return Server("nginx", process, port)
