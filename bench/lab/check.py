# SPDX-License-Identifier: MIT
"""Is a server fit to be measured? It must answer just the bytes of the content's file, with status
200, Content-Length and Date, again and again on one connection: else its figures would be those of
other work than the others do."""
import http.client
import re
import socket

from . import laboratory, roster

ASKED = 3  # times, on one connection
LIMIT_S = 10
CLOSE = "close"  # beside the tests' names


def complaint(response, body, expected):
    """What is wrong with an answer, or ""."""
    if response.status != 200:
        return f"status {response.status}, not 200"
    if response.version != 11:
        return "not HTTP/1.1"
    if body != expected:
        return f"other bytes than asked for ({len(body)}, want {len(expected)})" \
            if len(body) != len(expected) else "other bytes than asked for"
    if response.getheader("Content-Length") != str(len(expected)):
        return "no Content-Length"
    if not response.getheader("Date"):
        return "no Date"
    return ""


def answers(address, path, expected):
    """What is wrong with the server's answers to a path, or ""."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)
    try:
        connection.connect()
        connection.auto_open = False  # a server that hangs up must not get a new connection
        for number in range(ASKED):
            connection.request("GET", path, headers={"Connection": "keep-alive"})
            response = connection.getresponse()
            wrong = complaint(response, response.read(), expected)
            if not wrong and response.will_close and number + 1 < ASKED:
                wrong = "closes the connection after an answer"
            if wrong:
                return f"{path}: {wrong}"
    except (OSError, http.client.HTTPException) as error:
        return f"{path}: {error or type(error).__name__}"
    finally:
        connection.close()
    return ""


def response_size(address, path):
    """Head and body of an answer, in bytes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), LIMIT_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            head = b"".join(iter(answer.readline, b"\r\n")) + b"\r\n"
            length = re.search(rb"^content-length: *(\d+)", head, re.I | re.M)
            return len(head) + len(answer.read(int(length.group(1)) if length else 0))


def closing(address, path):
    """What is wrong with a connection's end, when the client has asked for it; or ""."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), 2) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                           .encode())
            while client.recv(65536):
                pass
    except TimeoutError:
        return f"{path}: does not close the connection when asked to"
    except OSError as error:
        return f"{path}: with Connection: close: {error}"
    return ""


def row(lab, entry, wanted, close_path=None):
    """What is wrong with each of a row's answers: reasons by test of `wanted` {test: (path, file in
    the content)}, and with the end of a connection, by CLOSE. A server that does not start has the
    same reason for all."""
    content = lab.content()
    try:
        with lab.serve(entry, content) as running:
            found = {test: answers(running.address, path, (content / name).read_bytes())
                     for test, (path, name) in wanted.items()}
            if close_path is not None:
                found[CLOSE] = closing(running.address, close_path)
    except (laboratory.Fault, laboratory.Skip, OSError) as error:
        return {test: f"does not run: {roster.one_line(error)}" for test in (*wanted, CLOSE)}
    return {test: reason for test, reason in found.items() if reason}
