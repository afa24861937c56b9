# SPDX-License-Identifier: MIT
"""The stage of the stories of hostile upstreams and clients: a proxy before one upstream, which
plays another script for each test."""

import threading

from conftest import Server
from proxy_tools import Client, Origin, answer, answering

MIB = 1 << 20
WELL = answering(lambda request: answer(request.target.encode()))
# What fails here fails on purpose: no circuit opens.
PATIENT = ("--threads", "2", "--max-failures", "1000000")
HASTY = (*PATIENT, "--answer-timeout-ms", "400", "--read-timeout-ms", "400")

BODY = b"0123456789"
CHUNKS = b"4\r\n0123\r\n6;name=value\r\n456789\r\n0\r\nX-Sum: 45\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVIL = answer(b"evil", "X-Evil: yes")


class Stage:
    """A proxy and its only upstream, whose script each test changes."""

    def __init__(self, flags, stderr_path):
        self.origin = Origin(WELL)
        self.server = Server(None, (*flags, self.origin.url), stderr_path, command="proxy")

    def play(self, script):
        self.origin.play(script)
        return self.origin

    def client(self, **options):
        return Client(self.server.address, **options)

    def fetch(self, target="/", *arguments, **options):
        with self.client() as client:
            return client.fetch(target, *arguments, **options)

    def is_well(self):
        """Whatever came before: who comes now gets what it asks for."""
        self.play(WELL)
        return [self.fetch(target).body for target in ("/one", "/two")] == [b"/one", b"/two"]

    def stop(self):
        self.server.stop()
        self.origin.stop()


def staged(flags, folder):
    stage = Stage(flags, folder / "stderr")
    yield stage
    stage.stop()


def at_once(work, count):
    """work(0), work(1), … each in a thread of its own; the results in their order."""
    results = [None] * count

    def run(index):
        try:
            results[index] = work(index)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            results[index] = error
    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
