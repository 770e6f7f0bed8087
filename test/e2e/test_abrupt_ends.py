# SPDX-License-Identifier: ISC
"""Ends at moments when something is still on its way: a codec that fails
behind answers that were not sent yet, a backend that leaves or talks on while
a client thinks about its challenge."""
import base64
import socket
import threading

import pytest

from support import SANITIZED, wait_for
from support.backend import Backend
from support.gateway import backend, memory_of

CHALLENGE = b"+ " + base64.b64encode(b"<17.42@scripted>") + b"\r\n"
RESPONSE = base64.b64encode(b"anna 0123456789abcdef0123456789abcdef") + b"\r\n"


class Challenger(Backend):
    """Leaves behind its challenge."""

    capabilities = "IMAP4rev1 AUTH=CRAM-MD5"

    def __init__(self, **options):
        self.go_on = threading.Event()
        super().__init__(**options)

    def on_authenticate(self, connection, tag, arguments):
        connection.user = arguments[0]
        connection.send(CHALLENGE)
        self.go_on.wait(10)
        self.leave(connection)
        raise EOFError

    def leave(self, connection):
        pass


class Talker(Challenger):
    """Says as much as is taken."""

    taken = 0
    is_stuck = False

    def leave(self, connection):
        connection.socket.settimeout(2)
        try:
            while self.taken < 30_000_000:
                self.taken += connection.socket.send(b"* OK wait\r\n" * 5000)
        except socket.timeout:
            self.is_stuck = True


@pytest.fixture
def start(make_gateway, make_backend):
    def start(kind):
        server = make_backend(kind)
        gateway = make_gateway({"a": backend(server)},
                               gateway={"workers": 1}).start()
        gateway.wait_up()
        return gateway, server
    return start


def challenged(client):
    client.greeting()
    client.send("x AUTHENTICATE CRAM-MD5\r\n")
    assert client.line() + b"\r\n" == CHALLENGE


def test_backend_leaves_behind_its_challenge(start):
    """The answer would be to another challenge: no other backend gets it."""
    gateway, server = start(Challenger)
    with gateway.client() as client:
        challenged(client)
        server.go_on.set()
        wait_for(lambda: server.logins()[0].ended.is_set())
        client.send(RESPONSE)
        assert client.line().startswith(b"x NO [UNAVAILABLE]")
        # its answer came too late to be one
        assert client.line().split()[1] == b"BAD"
        assert client.result("NOOP").startswith(b"OK")
    assert len(server.logins()) == 1


def test_backend_talks_on_behind_its_challenge(start):
    """It is not read while the client thinks."""
    gateway, server = start(Talker)
    worker, = gateway.pids("worker")
    with gateway.client() as client:
        challenged(client)
        before = memory_of(worker)
        server.go_on.set()
        wait_for(lambda: server.logins()[0].ended.is_set(), 20)
        assert server.is_stuck, f"took {server.taken} octets"
        if not SANITIZED:
            assert memory_of(worker) - before < 2_000_000
        client.send(RESPONSE)
        assert client.line().startswith(b"x NO [UNAVAILABLE]")


def test_client_never_answers_its_challenge(start):
    """Neither the backend's fault nor a way to stay."""
    gateway, server = start(Challenger)
    gateway.config["pool mail"]["login_timeout"] = "1s"
    gateway.reload()
    with gateway.client() as client:
        challenged(client)
        assert client.line().startswith(b"x NO [UNAVAILABLE]")
        assert client.result("NOOP").startswith(b"OK")
    assert gateway.wait_event("login")["why"] == "challenge_timeout"
    assert len(server.logins()) == 1


def test_client_leaves_instead_of_an_answer(start):
    gateway, _ = start(Challenger)
    with gateway.client() as client:
        challenged(client)
    gateway.wait_event("session", 3, state="login", who="client")


def test_answers_behind_which_the_codec_fails(start):
    """They go nowhere, least of all to the next client."""
    gateway, _ = start(Backend)
    for _ in range(5):
        with gateway.client() as client:
            client.greeting()
            good = client.encrypt(b"x NOOP\r\n")
            bad = bytearray(client.encrypt(b"y NOOP\r\n"))
            bad[-1] ^= 1
            client.socket.sendall(good + bad)
            client.rest()
            assert client.end == "alert"
    with gateway.client() as client:
        client.greeting()
        assert client.result("NOOP").startswith(b"OK")
