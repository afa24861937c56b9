# SPDX-License-Identifier: MIT
"""The servers that stand behind a proxy in the tests, and HAProxy before or behind it: each as its
own people ship it, started on a port of its own and ended at the end."""

import array
import asyncio
import contextlib
import http.server
import pathlib
import random
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import await_true

HERE = pathlib.Path(__file__).resolve().parent
NGINX = """\
user root; daemon off; worker_processes 1; pid {work}/pid; error_log {work}/log;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {work}/1; proxy_temp_path {work}/2; sendfile on;
    fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4; scgi_temp_path {work}/5;
    types {{ text/html html; video/mp4 mp4; }} default_type application/octet-stream;
    server {{ listen {port}; root {folder}; client_max_body_size 0;
        location /put/ {{ alias {folder}/; dav_methods PUT; }} }}
}}
"""
HAPROXY = """\
global
    nbthread 1
    maxconn 2000
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    option forwardfor
    option splice-response
    option splice-request
frontend clients
    bind 127.0.0.1:{port}
    default_backend origins
backend origins
    server origin {upstream}
"""


def need(tool):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def free_port():
    """One that the kernel gives to nobody meanwhile: below those it chooses from."""
    while True:
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def listens(port):
    with contextlib.suppress(ConnectionError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


@contextlib.contextmanager
def running(command, port):
    """A server of somebody else's, once it listens."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            await_true(lambda: listens(port) or process.poll() is not None)
            assert process.poll() is None, f"{command[0]} ended"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def nginx(work, folder):
    """Files of a folder; PUT to /put/NAME makes one."""
    need("nginx")
    work.mkdir(exist_ok=True)
    port = free_port()
    (work / "conf").write_text(NGINX.format(work=work, folder=folder, port=port))
    with running(["nginx", "-p", work, "-c", work / "conf", "-e", "stderr"], port) as url:
        yield url


@contextlib.contextmanager
def haproxy(work, upstream_url):
    """In front of a server, by splice where it can."""
    need("haproxy")
    work.mkdir(exist_ok=True)
    port = free_port()
    upstream = upstream_url.removeprefix("http://")
    (work / "conf").write_text(HAPROXY.format(port=port, upstream=upstream))
    with running(["haproxy", "-db", "-q", "-f", work / "conf"], port) as url:
        yield url


@contextlib.contextmanager
def node(path=None, keep_alive_ms=60_000):
    """proxy_origin.js, on a port or a unix socket."""
    need("node")
    with subprocess.Popen(["node", HERE / "proxy_origin.js", path or "", str(keep_alive_ms)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            name = process.stdout.readline().strip()
            assert name, "node ended"
            yield f"http://unix:{path}" if path else f"http://127.0.0.1:{name}"
        finally:
            process.stdin.close()
            process.wait(10)


class OldHandler(http.server.SimpleHTTPRequestHandler):
    """python3 -m http.server: HTTP/1.0, a connection a request; GET /end?N says no length."""

    def do_GET(self):  # pylint: disable=invalid-name
        if not self.path.startswith("/end?"):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(pattern(int(self.path[5:])))

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def python(folder):
    def make(*arguments):
        return OldHandler(*arguments, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def websockets_echo():
    """python3-websockets: gives back each message; "bye" has it close with 4321. /no is refused."""
    websockets = pytest.importorskip("websockets", reason="python3-websockets is not installed")
    loop = asyncio.new_event_loop()
    started = threading.Event()
    urls = []

    async def echo(socket_):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in socket_:
                if message == "bye":
                    await socket_.close(4321, "as you wish")
                await socket_.send(message)

    async def refuse(path, _fields):
        if path != "/no":
            return None
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "no")], b"not here\n"

    async def run(stop):
        async with websockets.serve(echo, "127.0.0.1", 0, max_size=None, process_request=refuse,
                                    subprotocols=["mill", "film"]) as server:
            urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            started.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run(stop)), daemon=True)
    thread.start()
    assert started.wait(10)
    yield urls[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def pattern(size):
    """Bytes that are nowhere the same within 4 MiB, as proxy_origin.js makes them."""
    words = array.array("I", (index * 2654435761 & 0xffffffff for index in range((size + 3) // 4)))
    return words.tobytes()[:size]
