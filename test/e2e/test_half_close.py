# SPDX-License-Identifier: ISC
"""How sessions end: each direction for itself, and truncation is told apart."""
import threading

import pytest

from support import USER, wait_for
from support.backend import Backend
from support.gateway import backend


class Script(Backend):
    """After login the test's function has the connection."""

    script = None

    def on_command(self, connection, tag, name, arguments):
        return self.script(connection, tag, name)


@pytest.fixture
def server(make_backend):
    return make_backend(Script)


@pytest.fixture
def gateway(make_gateway, server):
    made = make_gateway({"a": backend(server)}).start()
    made.wait_up()
    return made


def test_client_closes_its_direction(gateway, server):
    """The backend sees the end, and what it says then still arrives."""
    ended = threading.Event()

    def script(connection, tag, name):
        while connection.read_some():
            pass
        ended.set()
        connection.send(b"x" * 1000000 + b"\r\n" + f"{tag} OK\r\n".encode())
        return False
    server.script = script
    with gateway.login() as client:
        client.send("g GO\r\n")
        client.half_close()
        assert len(client.rest()) == 1000008
        assert client.end == "close_notify"
        assert ended.is_set()
    assert gateway.wait_event("session", user=USER)["why"] == "closed"


def test_backend_closes_its_direction(gateway, server):
    """Its FIN is passed on as close_notify after everything it sent."""
    def script(connection, tag, name):
        connection.send(b"y" * 3000000)
        return False
    server.script = script
    with gateway.login() as client:
        client.send("g GO\r\n")
        assert len(client.rest()) == 3000000
        assert client.end == "close_notify"
    event = gateway.wait_event("session", user=USER)
    assert (event["who"], event["why"]) == ("backend", "closed")


def test_backend_resets(gateway, server):
    """Not the same as an end: no close_notify, and nothing injected."""
    def script(connection, tag, name):
        connection.reset()
        raise EOFError
    server.script = script
    with gateway.login() as client:
        client.send("g GO\r\n")
        assert client.rest() == b""
        assert client.end in ("truncated", "reset")
    event = gateway.wait_event("session", user=USER)
    assert (event["who"], event["why"]) == ("backend", "reset")


def test_client_truncates(gateway, server):
    """FIN without close_notify: the backend sees the end, the log says so."""
    with gateway.login() as client:
        connection = server.logins()[0]
        client.close()
        assert connection.ended.wait(10)
    event = gateway.wait_event("session", user=USER)
    assert (event["who"], event["why"]) == ("client", "truncated")


def test_client_resets(gateway, server):
    with gateway.login() as client:
        connection = server.logins()[0]
        client.reset()
        assert connection.ended.wait(10)
    event = gateway.wait_event("session", user=USER)
    assert (event["who"], event["why"]) == ("client", "reset")


@pytest.mark.parametrize("number", range(3))
def test_logout_loses_nothing(gateway, server, number):
    """Data, BYE and FIN at once by the backend; all of it arrives."""
    size = (1, 70000, 2000000)[number]

    def script(connection, tag, name):
        connection.send(b"z" * size + f"\r\n* BYE\r\n{tag} OK\r\n".encode())
        return False
    server.script = script
    with gateway.login() as client:
        client.send("bye LOGIT\r\n")
        assert client.rest().endswith(b"\r\nbye OK\r\n")
        assert client.end == "close_notify"


def test_no_session_is_left(gateway, server):
    """Abrupt ends in every state; then every connection is accounted for."""
    for _ in range(10):
        gateway.client(handshake=False).close()
        gateway.client(handshake=False).reset()
        gateway.client().close()
        gateway.client().reset()
        gateway.login().close()
        gateway.login().reset()
    wait_for(lambda: all(c.ended.is_set() for c in server.logins()))
    wait_for(lambda: len(gateway.events("session", user=USER)) == 20)
