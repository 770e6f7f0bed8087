# SPDX-License-Identifier: ISC
"""Backends set aside by hand."""
import json
import os
import signal
import subprocess
import time

import pytest

from support import BUILD, scaled, wait_for
from support.gateway import backend


def ctl(gateway, *words):
    done = subprocess.run(
        [BUILD / "sallyport", "ctl", "-s", gateway.control, "--json", *words],
        capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, [json.loads(line)
                             for line in done.stdout.splitlines()]


def state_of(gateway, name):
    status, rows = ctl(gateway, "backends")
    assert status == 0, rows
    return [row["state"] for row in rows if row.get("name") == name][0]


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
    assert ctl(pair, "backend", "a", "drain")[0] == 0
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
    assert ctl(pair, "backend", "a", word)[0] == 0
    wait_for(lambda: state_of(pair, "a") == state, 3)
    pair.reload()
    assert state_of(pair, "a") == state
    for role in ("monitor", "worker", "observer", "keeper"):
        old = pair.pids(role)
        os.kill(old[0], signal.SIGKILL)
        wait_for(lambda: len(pair.pids(role)) == len(old) and
                 old[0] not in pair.pids(role))

        def answers():
            return ctl(pair, "backends")[0] == 0
        wait_for(answers)
        assert state_of(pair, "a") == state, role
    before = len(pair.servers[0].logins())
    for _ in range(4):
        pair.login().close()
    assert len(pair.servers[0].logins()) == before
    assert ctl(pair, "backend", "a", "up")[0] == 0
    wait_for(lambda: state_of(pair, "a") == "up", 5)
    wait_for(lambda: pair.login().close() or
             len(pair.servers[0].logins()) > before)
    pair.wait_event("control")


def test_wrong_words(pair):
    assert ctl(pair, "backend", "nobody", "drain")[0] != 0
    assert ctl(pair, "backend", "a", "sideways")[0] != 0
    assert state_of(pair, "a") == "up"
