# SPDX-License-Identifier: MIT
"""Is a server fit to be measured? It must answer just the bytes of the content's file, with status
200, Content-Length and Date, again and again on one connection: else its figures would be those of
other work than the others do."""
import http.client

from . import laboratory

ASKED = 3  # times, on one connection
LIMIT_S = 10


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


def row(lab, entry, wanted):
    """What is wrong with each of a row's answers: reasons by test of `wanted` {test: (path, file in
    the content)}. A server that does not start has the same reason for all."""
    content = lab.content()
    try:
        with lab.serve(entry, content) as running:
            found = {test: answers(running.address, path, (content / name).read_bytes())
                     for test, (path, name) in wanted.items()}
    except (laboratory.Fault, laboratory.Skip, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return {test: f"does not run: {lines[-1][:300]}" for test in wanted}
    return {test: reason for test, reason in found.items() if reason}
