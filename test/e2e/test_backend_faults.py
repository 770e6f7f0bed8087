# SPDX-License-Identifier: ISC
"""Backends stop, hang and come back."""
import socket
import threading
import time

import pytest

from support import BACKEND, PASSWORD, USER, free_port, wait_for
from support.backend import Backend
from support.gateway import backend


@pytest.fixture
def pair(make_gateway, make_dovecot):
    """Two real Dovecots and the gateway before them."""
    first, second = make_dovecot("one"), make_dovecot("two")
    made = make_gateway({"one": backend(first, "proxy_v2"),
                         "two": backend(second, "proxy_v2")},
                        pool={"balance": "round_robin"}).start()
    made.wait_up()
    made.first, made.second = first, second
    return made


def test_one_stops(pair):
    """The next logins succeed on the other, without a pause."""
    pair.first.stop()
    for _ in range(6):
        start = time.monotonic()
        pair.login().close()
        assert time.monotonic() - start < 5
    event = pair.wait_event("backend", backend="one")
    assert event
    assert {e["backend"] for e in
            pair.wait_events(6, "session", user=USER)} == {"two"}


def test_both_stop_and_one_comes_back(pair):
    waiting = pair.client()
    waiting.greeting()
    pair.first.stop()
    pair.second.stop()
    # known to be down: no password is asked for
    pair.wait_down()
    with pair.client() as client:
        line = client.line()
        assert line.startswith(b"* BYE [UNAVAILABLE]"), line
        assert client.rest() == b"" and client.end == "close_notify"
    # one that was greeted before: its login waits, and fails as it should
    assert b" NO [UNAVAILABLE]" in waiting.login()[-1]
    waiting.close()
    pair.first.start()
    started = time.monotonic()
    pair.wait_up()
    assert time.monotonic() - started < 5       # check_interval is 1 s
    pair.login().close()


def test_when_down_no(make_gateway):
    target = f"{BACKEND}:{free_port(BACKEND)}"
    gateway = make_gateway({"a": {"address": target}},
                           pool={"when_down": "no",
                                 "wait_for_backend": "1s"}).start()
    with gateway.client() as client:
        client.greeting()
        assert b" NO [UNAVAILABLE]" in client.login()[-1]
        assert client.result("NOOP").startswith(b"OK")


class Leaves(Backend):
    """Goes away between LOGIN and its verdict."""

    leave = False

    def on_login(self, connection, tag):
        if self.leave:
            raise EOFError
        super().on_login(connection, tag)


def test_lost_between_login_and_verdict(make_gateway, make_backend):
    """NO [UNAVAILABLE], and the login is not sent to another one."""
    first, second = make_backend(Leaves), make_backend(Leaves)
    gateway = make_gateway({"a": backend(first), "b": backend(second)}).start()
    gateway.wait_up()
    first.leave = second.leave = True
    with gateway.client() as client:
        client.greeting()
        assert b" NO [UNAVAILABLE]" in client.login()[-1]
    assert len(first.logins()) + len(second.logins()) == 1


def test_wait_for_backend(make_gateway, make_backend):
    """The last backend is lost during a login: it waits, and succeeds when a
    backend comes in time."""
    server = make_backend()
    port = server.port
    gateway = make_gateway({"a": backend(server)},
                           pool={"wait_for_backend": "10s"}).start()
    gateway.wait_up()
    with gateway.client() as client:
        client.greeting()
        server.stop()
        client.send(f'a LOGIN {USER} "{PASSWORD}"\r\n')
        # it is waiting when the check has noticed, too
        gateway.wait_event("backend")
        make_backend(port=port)
        assert client.until("a")[-1].startswith(b"a OK")


def test_black_hole(make_gateway, make_backend):
    """Nobody answers the connect: failover within connect_timeout."""
    hole = socket.socket()
    hole.bind((BACKEND, 0))
    hole.listen(0)
    address = hole.getsockname()
    fillers = []
    for _ in range(4):                      # its queue is full now
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        fillers.append(filler)
    good = make_backend()
    gateway = make_gateway(
        {"hole": {"address": f"{address[0]}:{address[1]}"},
         "good": backend(good)},
        pool={"connect_timeout": "500ms", "balance": "round_robin",
              "check_interval": "10m", "check_fall": 100}).start()
    gateway.wait_up()
    for _ in range(3):
        start = time.monotonic()
        gateway.login().close()
        assert time.monotonic() - start < 3
    for filler in fillers:
        filler.close()
    hole.close()


def test_unix_socket(make_gateway, make_backend, scratch):
    """A backend behind a Unix socket: a relay to a scripted one."""
    server = make_backend()
    path = scratch / "backend.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o777)
    listener.listen()

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((server.address, server.port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=pump, args=ends, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    gateway = make_gateway({"a": {"address": f"unix:{path}"}}).start()
    gateway.wait_up()
    with gateway.login() as client:
        assert client.result("NOOP").startswith(b"OK")
    listener.close()


def test_names_are_resolved(make_gateway, make_backend):
    server = make_backend(address="127.0.0.1")
    gateway = make_gateway(
        {"a": {"address": f"localhost:{server.port}"}}).start()
    gateway.wait_up()
    gateway.login().close()


def test_least_and_round_robin(make_gateway, make_backend):
    for balance in ("least", "round_robin"):
        servers = [make_backend() for _ in range(2)]
        gateway = make_gateway(
            {f"b{n}": backend(server) for n, server in enumerate(servers)},
            pool={"balance": balance}, gateway={"workers": 1}).start()
        gateway.wait_up()
        wait_for(lambda: all(s.connections for s in servers))
        clients = [gateway.login() for _ in range(20)]
        counts = [len(server.logins()) for server in servers]
        assert min(counts) >= 8, (balance, counts)
        for client in clients:
            client.close()
