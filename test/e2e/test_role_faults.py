# SPDX-License-Identifier: ISC
"""Processes of the gateway die or hang: only what they carried ends."""
import os
import signal
import threading
import time

import pytest

from support import USER, scaled, wait_for
from support.gateway import alive, backend


@pytest.fixture
def gateway(make_gateway, make_backend):
    server = make_backend()
    made = make_gateway({"a": backend(server)})
    made.server = server
    made.deaths_expected = True
    made.start().wait_up()
    return made


class Load(threading.Thread):
    """New clients one after the other; `failures` must stay empty."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway = gateway
        self.failures = []
        self.count = 0
        self._stop_it = threading.Event()

    def run(self):
        while not self._stop_it.is_set():
            try:
                with self.gateway.login(timeout=10) as client:
                    assert client.result("NOOP").startswith(b"OK")
                self.count += 1
            except Exception as error:
                self.failures.append(repr(error))
            self._stop_it.wait(0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stop_it.set()
        self.join(20)


def replaced(gateway, role, old, seconds=15):
    """Waits until the role's processes are complete again without `old`."""
    count = 2 if role == "worker" else 1
    wait_for(lambda: len(gateway.pids(role)) == count and
             old not in gateway.pids(role), seconds, f"a new {role}")


def works(client):
    try:
        return client.result("NOOP").startswith(b"OK")
    except OSError:
        return False


def test_kill_a_worker(gateway):
    clients = [gateway.login() for _ in range(scaled(40))]
    victim = gateway.pids("worker")[0]
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    # New clients notice nothing, from the first moment on.
    with Load(gateway) as load:
        wait_for(lambda: time.monotonic() - killed > 5, 6)
    # A connection that was accepted by the victim in its last moment is its.
    assert not load.failures
    assert load.count > 20
    alive_now = [client for client in clients if works(client)]
    ended = len(clients) - len(alive_now)
    assert 0 < ended < len(clients)
    replaced(gateway, "worker", victim)

    def crashed():
        # The last greeting of the start may still have lingered there.
        return [event for event in gateway.events("session", why="crash")
                if event.get("user") == USER]
    wait_for(lambda: len(crashed()) >= ended, what=f"{ended} end lines")
    assert len(crashed()) == ended
    assert {event["who"] for event in crashed()} == {"gateway"}
    assert any(str(victim) == event.get("pid")
               for event in gateway.events("role"))


def test_kill_workers_again_and_again(gateway):
    """Back-off, but never without a worker for long; the gauges stay right."""
    for _ in range(5):
        victim = gateway.pids("worker")[0]
        os.kill(victim, signal.SIGKILL)
        replaced(gateway, "worker", victim, 30)
    gateway.login().close()


def test_hang_a_worker(gateway):
    victim = gateway.pids("worker")[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        replaced(gateway, "worker", victim, 40)
    finally:
        if alive(victim):
            os.kill(victim, signal.SIGCONT)
    with Load(gateway) as load:
        wait_for(lambda: load.count >= 10)
    assert not load.failures


@pytest.mark.parametrize("role", ["observer", "monitor", "keeper"])
def test_kill_another_role(gateway, role):
    pids = gateway.pids(role)
    with gateway.login() as client:
        os.kill(pids[0], signal.SIGKILL)
        assert works(client)
        replaced(gateway, role, pids[0])
        with Load(gateway) as load:
            wait_for(lambda: load.count >= 10)
        if role != "keeper":
            assert not load.failures
        assert works(client)
        assert not any(not alive(pid) for pid in gateway.pids("worker"))
    # and the new one does its work
    gateway.wait_event("session", user=USER)
    if role == "monitor":
        seen = len(gateway.server.connections)
        wait_for(lambda: len(gateway.server.connections) > seen + 1,
                 what="further checks")


def test_kill_the_observer_while_it_would_write(gateway):
    """Traffic never waits for a log, also when nobody reads the events."""
    victim = gateway.pids("observer")[0]
    os.kill(victim, signal.SIGSTOP)
    for _ in range(scaled(300)):
        with gateway.client() as client:
            client.greeting()
            assert works(client)
    if alive(victim):   # it is replaced after a while
        os.kill(victim, signal.SIGCONT)


def test_a_master_that_dies_takes_the_rest_down(gateway):
    pids = [pid for role in ("worker", "keeper", "monitor", "observer")
            for pid in gateway.pids(role)]
    assert len(pids) >= 4
    gateway.process.kill()
    gateway.process.wait()
    gateway.process = None
    wait_for(lambda: not any(map(alive, pids)), 10, "the end of the roles")


def test_hang_the_monitor_and_the_observer(gateway):
    """They are replaced; nobody waited for them."""
    with gateway.login() as session:
        victims = {role: gateway.pids(role)[0]
                   for role in ("monitor", "observer")}
        for victim in victims.values():
            os.kill(victim, signal.SIGSTOP)
        with Load(gateway) as load:
            for role, victim in victims.items():
                replaced(gateway, role, victim, 40)
        assert not load.failures
        assert works(session)
    for role, victim in victims.items():
        told = gateway.wait_event("role", role=role, why="hang")
        assert told["pid"] == str(victim)
    # and the new ones do their work
    gateway.wait_event("session", user=USER)
    seen = len(gateway.server.connections)
    wait_for(lambda: len(gateway.server.connections) > seen + 1,
             what="further checks")


def test_hang_the_keeper(gateway):
    """It is replaced, and who waited for a signature gets it."""
    session = gateway.login()
    victim, = gateway.pids("keeper")
    os.kill(victim, signal.SIGSTOP)
    gateway.login(timeout=15).close()
    replaced(gateway, "keeper", victim)
    assert works(session)
    session.close()
