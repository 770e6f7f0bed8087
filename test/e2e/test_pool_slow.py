# SPDX-License-Identifier: ISC
"""Backends that are slow and well: they are waited for, and not blamed. One
that is silent among others that are not is left alone."""
import concurrent.futures
import threading

import pytest

from support import scaled
from support.backend import Backend
from support.gateway import backend

SOURCES = [f"127.0.{n}.1" for n in range(40, 48)]


class Slow(Backend):
    """Greets after `delay` seconds; None: never."""

    delay = 0.0

    def greet(self, connection):
        threading.Event().wait(60 if self.delay is None else self.delay)
        if self.delay is None:
            raise EOFError
        super().greet(connection)


@pytest.fixture
def three(make_gateway, make_backend):
    def make(delay, **keys):
        servers = [make_backend(Slow) for _ in range(3)]
        for server in servers:
            server.delay = delay
        gateway = make_gateway(
            {f"b{n}": backend(s) for n, s in enumerate(servers)},
            pool={"check_timeout": "5s", "check_fall": 100,
                  "greeting_timeout": "20s", "balance": "round_robin",
                  **keys}, gateway={"workers": 1}).start()
        gateway.wait_up()
        gateway.wait_events(3, "backend", state="up")
        gateway.servers = servers
        return gateway
    return make


def log_in_from_everywhere(gateway, rounds):
    def log_in(source):
        for _ in range(rounds):
            gateway.client(source=source).logged_in().close()
    with concurrent.futures.ThreadPoolExecutor(len(SOURCES)) as pool:
        list(pool.map(log_in, SOURCES))


def failures(gateway):
    return {row["name"]: row["failures"] for row in gateway.ctl("backends")}


def test_known_to_be_slow(three):
    """Its checks take longer than connect_timeout: a login stays where it was
    sent first."""
    gateway = three(1.0, connect_timeout="300ms")
    log_in_from_everywhere(gateway, scaled(1))
    assert set(failures(gateway).values()) == {0}
    assert not gateway.events("backend", **{"from": "up"})


def test_all_are_slow_at_once(three):
    """The last candidate is given the whole greeting_timeout; nobody was
    faster, so nobody is ejected."""
    gateway = three(0.0, connect_timeout="300ms", check_interval="10m")
    for server in gateway.servers:
        server.delay = 1.5
    log_in_from_everywhere(gateway, scaled(2))
    assert sum(failures(gateway).values()) >= 2 * len(SOURCES)
    assert not gateway.events("backend", **{"from": "up"})
    assert {e["verdict"] for e in gateway.events("login")} == {"ok"}


def test_a_silent_one_is_ejected(three):
    """Its peers greet in time, and several clients saw it."""
    gateway = three(0.0, connect_timeout="300ms", check_interval="10m")
    gateway.servers[1].delay = None
    log_in_from_everywhere(gateway, scaled(2))
    gateway.wait_event("backend", backend="b1", state="ejected",
                       why="failures")
    met = len(gateway.servers[1].connections)
    log_in_from_everywhere(gateway, 1)
    assert len(gateway.servers[1].connections) == met
    assert {e["verdict"] for e in gateway.events("login")} == {"ok"}
    assert {e["backend"] for e in gateway.events("backend")
            if e["state"] == "ejected"} == {"b1"}
