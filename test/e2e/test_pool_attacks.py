# SPDX-License-Identifier: ISC
"""Backends that mean harm or are managed in haste: nothing hangs, nothing is
lost, and whoever is well goes on."""
import concurrent.futures
import os
import signal
import threading

import pytest

from support import BACKEND, PASSWORD, USER, scaled, wait_for
from support.backend import Backend
from support.gateway import backend

SOURCES = [f"127.0.{n}.1" for n in range(60, 66)]


class Odd(Backend):
    """`greeting` and `capabilities` change from check to check."""

    greeting = b"* OK ready\r\n"

    def greet(self, connection):
        if self.greeting is None:
            connection.socket.recv(1)
            raise EOFError
        for start in range(0, len(self.greeting), 1 << 16):
            connection.send(self.greeting[start:start + (1 << 16)])


def row_of(gateway, name):
    found = [row for row in gateway.ctl("backends") if row["name"] == name]
    return found[0] if found else None


def has_state(gateway, name, state):
    row = row_of(gateway, name)
    return row is not None and row["state"] == state


GREETINGS = {
    "a megabyte": b"* OK " + b"x" * (1 << 20) + b"\r\n",
    "a megabyte without an end": b"x" * (1 << 20),
    "tagged": b"p1 OK done\r\n",
    "our answers at once": b"* OK [CAPABILITY IMAP4rev1]\r\np1 NO\r\np2 OK\r\n",
    "continuation": b"+ go on\r\n",
    "nul": b"* OK\0\r\n",
    "literal": b"* OK {100}\r\n",
    "bare": b"\r\n\r\n\r\n",
    "code without end": b"* OK [CAPABILITY IMAP4rev1\r\n",
}


def test_what_a_check_may_meet(make_gateway, make_backend):
    """The monitor lives, the backend is down with a reason, and comes back."""
    odd, well = make_backend(Odd), make_backend()
    gateway = make_gateway({"odd": backend(odd), "well": backend(well)},
                           pool={"check_interval": "200ms",
                                 "check_timeout": "500ms"}).start()
    gateway.wait_up()
    monitor = gateway.pids("monitor")
    for name, greeting in GREETINGS.items():
        odd.greeting = greeting
        seen = len(odd.connections)
        wait_for(lambda s=seen: len(odd.connections) > s + 2)
        row = row_of(gateway, "odd")
        assert row["state"] in ("down", "up"), (name, row)
        assert (row["state"] == "down") == (row["why"] != "good"), (name, row)
        gateway.login().close()
        odd.greeting = Odd.greeting
        wait_for(lambda: has_state(gateway, "odd", "up"))
    assert gateway.pids("monitor") == monitor


def test_octet_by_octet(make_gateway, make_backend):
    """A check has one deadline, however busy the backend looks."""
    server = make_backend(Odd)

    def dribble(connection):
        for octet in b"* OK " + b"." * 10000:
            connection.send(bytes([octet]))
            threading.Event().wait(0.02)
    server.greet = dribble
    gateway = make_gateway({"a": backend(server)},
                           pool={"check_timeout": "500ms"}).start()
    gateway.wait_event("backend", backend="a", state="down", why="timeout")


def test_capabilities_change_between_checks(make_gateway, make_backend):
    """The greeting follows, and never shows what one of them lacks."""
    servers = [make_backend() for _ in range(2)]
    for server in servers:
        server.capabilities = "IMAP4rev1 IDLE AUTH=CRAM-MD5"
    gateway = make_gateway(
        {f"b{n}": backend(s) for n, s in enumerate(servers)},
        pool={"check_interval": "200ms"}).start()
    gateway.wait_up()

    def shows(word):
        with gateway.client() as client:
            return word in client.greeting()
    wait_for(lambda: shows(b"CRAM-MD5") and shows(b" IDLE"))
    servers[1].capabilities = "IMAP4rev1 IDLE"
    wait_for(lambda: not shows(b"CRAM-MD5"))
    assert shows(b" IDLE")
    servers[1].capabilities = "IMAP4rev1 " + " ".join(
        f"X{n}-" + "y" * 60 for n in range(60))
    wait_for(lambda: not shows(b" IDLE"))
    servers[1].capabilities = servers[0].capabilities
    wait_for(lambda: shows(b"CRAM-MD5") and shows(b" IDLE"))
    gateway.login().close()


class Load:
    """Logins from several clients until its end; none may fail."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.stopped = threading.Event()
        self.count, self.failures = 0, []
        self.pool = concurrent.futures.ThreadPoolExecutor(len(SOURCES))
        self.running = [self.pool.submit(self._run, s) for s in SOURCES]

    def _run(self, source):
        while not self.stopped.is_set():
            try:
                with self.gateway.client(source=source) as client:
                    client.greeting()
                    answer = client.login()[-1]
                if b" OK" not in answer:
                    self.failures.append(answer)
            except (OSError, AssertionError, EOFError) as error:
                self.failures.append(repr(error))
            self.count += 1

    def wait(self, logins):
        goal = self.count + logins
        wait_for(lambda: self.count >= goal, 60, f"{logins} more logins")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopped.set()
        for one in self.running:
            one.result()
        self.pool.shutdown()
        if exc == (None, None, None):
            assert not self.failures, self.failures[:5]


@pytest.fixture
def under_load(make_gateway, make_backend):
    servers = {name: make_backend(Odd) for name in ("a", "b", "c")}
    gateway = make_gateway(
        {name: backend(s) for name, s in servers.items()},
        pool={"check_interval": "200ms", "slow_start": "0s",
              "balance": "round_robin"},
        gateway={"drain_timeout": "1s"}).start()
    gateway.wait_up()
    gateway.wait_events(3, "backend", state="up")
    gateway.servers = servers
    return gateway


def test_reload_while_they_flap(under_load):
    """One flaps, one is removed in use and comes back, one is renamed."""
    gateway = under_load
    kept = {name: gateway.config[f"backend {name}"] for name in "ab"}
    with Load(gateway) as load:
        change_while_in_use(gateway, load, kept)
    # entries of those that left are free again
    wait_for(lambda: sorted(row["name"] for row in gateway.ctl("backends"))
             == ["a", f"b{scaled(4) - 1}", "c"], 20)
    wait_for(lambda: all(row["sessions"] == 0
                         for row in gateway.ctl("backends")))


def change_while_in_use(gateway, load, kept):
    for number in range(scaled(4)):
        gateway.servers["c"].greeting = (None, b"* BYE\r\n")[number % 2]
        del gateway.config["backend a"]
        gateway.config[f"backend b{number}"] = \
            gateway.config.pop(f"backend b{number - 1}" if number else
                               "backend b")
        assert gateway.reload()[0]["verdict"] == "ok"
        load.wait(10)
        gateway.servers["c"].greeting = Odd.greeting
        gateway.config["backend a"] = kept["a"]
        gateway.reload()
        load.wait(10)
        wait_for(lambda: has_state(gateway, "a", "up"))
        wait_for(lambda n=number: has_state(gateway, f"b{n}", "up"))


def test_drain_up_drain(under_load):
    """By several hands at once: the last word is what counts."""
    gateway = under_load

    def say(word):
        for _ in range(scaled(6)):
            gateway.ctl("backend", "a", word)
    with Load(gateway) as load:
        drain_and_back(gateway, load, say)


def drain_and_back(gateway, load, say):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(say, word)
                    for word in ("drain", "up", "down")]:
            one.result()
    for word, state in (("drain", "draining"), ("up", "up"), ("down", "down"),
                        ("up", "up")):
        gateway.ctl("backend", "a", word)
        wait_for(lambda s=state: has_state(gateway, "a", s))
    load.wait(10)
    met = len(gateway.servers["a"].logins())
    wait_for(lambda: len(gateway.servers["a"].logins()) > met)


def test_kick_while_it_dials(make_gateway, make_backend):
    """A login on its way, at a backend that does not greet, is ended by user
    and by backend; its place is free afterwards."""
    server = make_backend(Odd)
    gateway = make_gateway(
        {"a": backend(server, max_connections=1)},
        pool={"check_interval": "10m", "greeting_timeout": "60s",
              "login_timeout": "60s"}).start()
    gateway.wait_up()
    gateway.wait_events(1, "backend", state="up")
    for words in (("user", USER), ("backend", "a")):
        server.greeting = None
        with gateway.client() as client:
            client.greeting()
            client.send(f'k LOGIN {USER} "x"\r\n')
            wait_for(lambda: row_of(gateway, "a")["sessions"] == 1)
            gateway.ctl("kick", *words)
            assert b"BYE" in client.rest(), words
        wait_for(lambda: row_of(gateway, "a")["sessions"] == 0)
        server.greeting = Odd.greeting
        gateway.login().close()
    assert {e["why"] for e in gateway.wait_events(
        2, "session", why="kicked")} == {"kicked"}


def test_a_pool_is_renamed(make_gateway, make_backend):
    """Sessions of the old one live on; the new one serves the same server."""
    server = make_backend()
    gateway = make_gateway({"a": backend(server)}).start()
    gateway.wait_up()
    stays = gateway.login()
    gateway.config["pool post"] = gateway.config.pop("pool mail")
    gateway.config["backend a"]["pool"] = "post"
    gateway.config["listen imaps"]["pool"] = "post"
    gateway.reload()
    wait_for(lambda: any(row["pool"] == "post" and row["state"] == "up"
                         for row in gateway.ctl("backends")))
    gateway.login().close()
    assert stays.result("NOOP").startswith(b"OK")
    stays.close()
    wait_for(lambda: [row["pool"] for row in gateway.ctl("backends")]
             == ["post"], 20)
    assert BACKEND in row_of(gateway, "a")["address"]


def test_all_are_renamed_before_the_monitor_knows(make_gateway, make_backend):
    """Workers have the new configuration, and the table still has the old
    backends: logins wait for the new ones, and clients are greeted."""
    servers = {name: make_backend() for name in "abc"}
    gateway = make_gateway(
        {name: backend(server) for name, server in servers.items()},
        pool={"wait_for_backend": "20s", "balance": "source"}).start()
    gateway.wait_up()
    gateway.wait_events(3, "backend", state="up")
    with Load(gateway) as load:
        load.wait(10)
        rename_all(gateway)
        load.wait(10)
    wait_for(lambda: {row["name"] for row in gateway.ctl("backends")
                      if row["state"] == "up"} == {"a2", "b2", "c2"})


def rename_all(gateway):
    monitor = gateway.pids("monitor")[0]
    for name in "abc":
        gateway.config[f"backend {name}2"] = \
            gateway.config.pop(f"backend {name}")
    gateway.write()
    os.kill(monitor, signal.SIGSTOP)
    gateway.tell(signal.SIGHUP)
    # sooner or later all of them wait
    wait_for(lambda: sum(row["state"] == "login" for row in
                         gateway.ctl("sessions")) == len(SOURCES))
    os.kill(monitor, signal.SIGCONT)
