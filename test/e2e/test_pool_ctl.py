# SPDX-License-Identifier: ISC
"""Backends set aside by hand."""
import os
import signal
import time

import pytest

from support import BACKEND, free_port, scaled, wait_for
from support.backend import Backend
from support.gateway import backend


def state_of(gateway, name):
    return row_of(gateway, name)["state"]


@pytest.fixture
def pair(make_gateway, make_backend):
    servers = [make_backend() for _ in range(2)]
    made = make_gateway({"a": backend(servers[0]), "b": backend(servers[1])},
                        pool={"balance": "round_robin", "slow_start": "0s"},
                        gateway={"drain_timeout": "8s"}).start()
    made.wait_up()
    wait_for(lambda: len(made.events("backend", state="up")) == 2)
    made.servers = servers
    return made


def test_drain_is_spread(pair):
    clients = [pair.login() for _ in range(scaled(20))]
    at_a = len(pair.servers[0].logins())
    assert at_a >= len(clients) // 3
    pair.ctl("backend", "a", "drain")
    wait_for(lambda: state_of(pair, "a") == "draining", 3)
    started, ends = time.monotonic(), []
    before = len(pair.servers[0].logins())
    for _ in range(4):
        pair.login().close()
    assert len(pair.servers[0].logins()) == before
    here = pair.servers[0].logins()

    def ended():
        return sum(c.ended.is_set() for c in here)
    while ended() < at_a and time.monotonic() - started < 12:
        ends.append(ended())
        time.sleep(0.5)
    seconds = time.monotonic() - started
    assert ended() == at_a and 5 < seconds < 11, (ended(), at_a, seconds)
    # not all at once: quiet ones after five seconds, a share each second
    steps = [b - a for a, b in zip(ends, ends[1:])]
    assert max(steps, default=0) < at_a, ends
    assert not any(c.ended.is_set() for c in
                   pair.servers[1].logins()[:len(clients) - at_a])
    for client in clients:
        client.close()
    wait_for(lambda: len(pair.events("session", why="drain")) == at_a)


@pytest.mark.parametrize("word, state", (("down", "down"),
                                         ("drain", "draining")))
def test_outlives_reload_and_crashes(pair, word, state):
    pair.deaths_expected = True
    pair.ctl("backend", "a", word)
    wait_for(lambda: state_of(pair, "a") == state, 3)
    pair.reload()
    assert state_of(pair, "a") == state
    for role in ("monitor", "worker", "observer", "keeper"):
        old = pair.pids(role)
        os.kill(old[0], signal.SIGKILL)
        wait_for(lambda: len(pair.pids(role)) == len(old) and
                 old[0] not in pair.pids(role))

        def answers():
            return not pair.ctl_fails("backends")
        wait_for(answers)
        assert state_of(pair, "a") == state, role
    before = len(pair.servers[0].logins())
    for _ in range(4):
        pair.login().close()
    assert len(pair.servers[0].logins()) == before
    pair.ctl("backend", "a", "up")
    wait_for(lambda: state_of(pair, "a") == "up", 5)
    wait_for(lambda: pair.login().close() or
             len(pair.servers[0].logins()) > before)
    pair.wait_event("control")


def test_wrong_words(pair):
    assert pair.ctl_fails("backend", "nobody", "drain")
    assert pair.ctl_fails("backend", "a", "sideways")
    assert state_of(pair, "a") == "up"


class Says(Backend):
    """`word` in place of a greeting; None: nothing."""

    word = "* OK ready"

    def greet(self, connection):
        if self.word is None:
            connection.socket.recv(1)
            raise EOFError
        connection.send(self.word + "\r\n")


def row_of(gateway, name):
    return [row for row in gateway.ctl("backends") if row["name"] == name][0]


def test_why_it_is_down(make_gateway, make_backend):
    """At three in the morning: what the last check found, in words."""
    servers = {name: make_backend(Says) for name in (
        "well", "silent", "preauth", "bye", "untrusting")}
    servers["silent"].word = None
    servers["preauth"].word = "* PREAUTH welcome <root>"
    servers["bye"].word = "* BYE too many \x1b[31mconnections"
    servers["untrusting"].word = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED]"
    sections = {name: backend(server) for name, server in servers.items()}
    sections["gone"] = {"address": f"{BACKEND}:{free_port(BACKEND)}"}
    gateway = make_gateway(sections, pool={"check_timeout": "500ms"}).start()
    gateway.wait_up()
    expected = {
        "well": ("up", "good", ""),
        "silent": ("down", "timeout", ""),
        "preauth": ("down", "preauth", "welcome <root>"),
        "bye": ("down", "bye", "too many ?[31mconnections"),
        "untrusting": ("misconfigured", "logindisabled",
                       "it takes no plaintext logins from this gateway"),
        "gone": ("down", "connect", "connection refused"),
    }

    def found():
        return {row["name"]: (row["state"], row["why"], row["text"])
                for row in gateway.ctl("backends")}
    wait_for(lambda: found() == expected, what=str(expected))
    table = gateway.ctl_text("backends")
    assert "connection refused" in table and "WHY" in table, table
    # and in the first thing that one looks at
    assert "Backend bye has been down" in gateway.ctl_text("status")
    # another reason, the same state
    servers["bye"].word = "220 smtp"
    wait_for(lambda: row_of(gateway, "bye")["why"] == "garbage")


def test_why_before_it_falls_and_by_hand(pair):
    pair.config["pool mail"].update(check_fall=100)
    pair.reload()
    stays = pair.login()
    name = "ab"[bool(pair.servers[1].logins())]
    server = pair.servers["ab".index(name)]
    server.greet = lambda connection: connection.send("* BYE I am tired\r\n")
    wait_for(lambda: row_of(pair, name)["why"] == "bye")
    assert row_of(pair, name)["state"] == "up"
    assert row_of(pair, name)["text"] == "I am tired"
    del server.greet
    wait_for(lambda: row_of(pair, name)["why"] == "good")
    for word, state, why in (("down", "down", "by_hand"),
                             ("drain", "draining", "by_hand"),
                             ("up", "up", "good")):
        pair.ctl("backend", name, word)
        wait_for(lambda s=state, w=why: row_of(pair, name)["state"] == s and
                 row_of(pair, name)["why"] == w)
    # checks that go on are not why it stands aside
    pair.ctl("backend", name, "down")
    wait_for(lambda: row_of(pair, name)["state"] == "down")
    seen = len(server.connections)
    wait_for(lambda: len(server.connections) > seen + 2)
    assert row_of(pair, name)["why"] == "by_hand"
    del pair.config[f"backend {name}"]
    pair.reload()
    assert (row_of(pair, name)["state"], row_of(pair, name)["why"]) == \
        ("draining", "removed")
    stays.close()
