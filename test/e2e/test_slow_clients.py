# SPDX-License-Identifier: ISC
"""Deadlines are absolute: nobody holds a connection by being slow."""
import time

import pytest

from support.client import Client, tcp
from support.gateway import backend


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = make_gateway({"a": backend(make_backend())},
                        tls={"handshake_timeout": "1s"},
                        limits={"preauth_timeout": "2s"}).start()
    made.wait_up()
    return made


def seconds_until_closed(sock, feed=None, every=0.1):
    """Feeds octets while it waits for the end."""
    start = time.monotonic()
    sock.settimeout(every)
    while time.monotonic() - start < 15:
        try:
            if feed is not None:
                sock.sendall(feed())
        except OSError:
            break
        try:
            if not sock.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    sock.close()
    return time.monotonic() - start


def test_silence(gateway):
    assert 0.8 < seconds_until_closed(tcp(gateway.port)) < 4
    gateway.wait_event("session", why="timeout_handshake")


def test_a_dribbled_client_hello(gateway):
    client = Client(gateway.port, handshake=False)
    try:
        client.tls.do_handshake()
    except Exception:
        hello = iter(client._outgoing.read())
    took = seconds_until_closed(client.socket,
                                lambda: bytes([next(hello)]))
    assert 0.8 < took < 4


def test_a_huge_client_hello_that_never_ends(gateway):
    sock = tcp(gateway.port)
    sock.sendall(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc" + b"\x03\x03")
    assert seconds_until_closed(sock, lambda: b"x") < 4


def test_before_login(gateway):
    """Commands don't extend it; the client is told why."""
    with gateway.client() as client:
        client.greeting()
        start = time.monotonic()
        seen = b""
        client.socket.settimeout(10)
        while b"* BYE" not in seen and time.monotonic() - start < 10:
            try:
                client.send("n NOOP\r\n")
            except OSError:
                pass
            data = client.receive()
            if not data:
                break
            seen += data
            time.sleep(0.1)
        assert b"* BYE" in seen
        assert 1.5 < time.monotonic() - start < 5
    gateway.wait_event("session", why="timeout_preauth")


def test_the_clock_stands_still_while_the_backend_thinks(
        make_gateway, make_backend):
    """A slow verdict is not the client's fault."""
    server = make_backend()
    gateway = make_gateway({"a": backend(server)},
                           limits={"preauth_timeout": "1s"}).start()
    gateway.wait_up()
    plain = server.on_login

    def slowly(connection, tag):
        time.sleep(2.5)
        plain(connection, tag)
    server.on_login = slowly
    gateway.login().close()


def test_idle_timeout(make_gateway, make_backend):
    """After login bytes in either direction reset it; then the session ends,
    without text injected."""
    gateway = make_gateway({"a": backend(make_backend())},
                           pool={"idle_timeout": "2s"}).start()
    gateway.wait_up()
    with gateway.login() as client:
        for _ in range(6):
            time.sleep(0.5)
            assert client.result("NOOP").startswith(b"OK")
        assert client.rest() == b""
    gateway.wait_event("session", why="timeout_idle")


def test_others_are_not_disturbed(gateway):
    """A hundred slow ones; a login goes through at once."""
    slow = [tcp(gateway.port) for _ in range(100)]
    start = time.monotonic()
    gateway.login().close()
    assert time.monotonic() - start < 1
    for sock in slow:
        sock.close()
