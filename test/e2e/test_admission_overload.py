# SPDX-License-Identifier: ISC
"""Full, or out of descriptors: no spinning, no loss of those who are logged
in, and back to work at once."""
import os
import subprocess
import time

import pytest

from support import CLIENT, SANITIZED, unprivileged, wait_for
from support.client import tcp
from support.gateway import backend

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(gateway):
    total = 0
    for role in ("worker", "keeper", "monitor", "observer"):
        for pid in gateway.pids(role):
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                words = stat.read().rsplit(")", 1)[1].split()
            total += int(words[11]) + int(words[12])
    return total / TICKS


def load(gateway, seconds=2):
    """Share of one processor that all roles use meanwhile."""
    before, begun = cpu_seconds(gateway), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(gateway) - before) / (time.monotonic() - begun)


@pytest.fixture
def gateway(make_gateway, make_backend):
    """Workers that run out of descriptors some thirty connections on, long
    before they are full."""
    made = make_gateway({"a": backend(make_backend())},
                        limits={"exempt": f"{CLIENT}/32"})
    made.start().wait_up()
    who = unprivileged()
    for pid in made.pids("worker"):
        # As its own user: root in a container may not.
        subprocess.run(
            ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}",
             "--clear-groups",
             "prlimit", "--pid", str(pid), "--nofile=60:60"]
            if os.getuid() == 0 else
            ["prlimit", "--pid", str(pid), "--nofile=60:60"], check=True)
    return made


def address(n):
    return f"127.1.{n // 250}.{n % 250 + 1}"


def counter(gateway, name):
    return next(row["value"] for row in gateway.ctl("status")
                if row.get("name") == name)


@pytest.fixture
def make_crowded(make_gateway, make_backend):
    """More addresses at the same time than the smallest table has entries."""
    def make(overflow):
        made = make_gateway({"a": backend(make_backend())}, limits={
            "exempt": f"{CLIENT}/32", "table_entries": 1024,
            "handshakes_in_flight": 20000, "overflow": overflow})
        made.start().wait_up()
        made.crowd = [tcp(made.port, address(n), timeout=5)
                      for n in range(1200)]
        wait_for(lambda: counter(made, "accepted") >= 1200, 20)
        return made
    return make


def leave(gateway):
    for sock in gateway.crowd:
        sock.close()
    wait_for(lambda: counter(gateway, "connections") == 0, 20)


def test_a_full_table_admits(make_crowded):
    """Nobody is sent away; for whom there was no room is counted."""
    gateway = make_crowded("admit")
    assert counter(gateway, "table_overflows") >= 1200 - 1024
    assert counter(gateway, "connections") == 1200
    for n in range(1200, 1210):
        gateway.login(source=address(n)).close()
    assert counter(gateway, "refused_table") == 0
    assert not gateway.events("refused")
    leave(gateway)
    shown = gateway.ctl("limits", "top")
    assert all(row["connections"] == 0 for row in shown if "prefix" in row)


def test_a_full_table_refuses(make_crowded):
    """Who has an entry keeps it and is served on; as people leave, there is
    room for others."""
    gateway = make_crowded("refuse")
    refused = counter(gateway, "refused_table")
    assert refused >= 1200 - 1024
    assert counter(gateway, "table_overflows") == refused
    assert counter(gateway, "connections") == 1200 - refused
    event = gateway.wait_event("refused", why="table_full")
    assert event["peer"].startswith("127.1.")
    gateway.login(source=address(0)).close()
    gateway.login().close()                     # exempt
    before = counter(gateway, "refused_table")
    leave(gateway)
    for n in range(1200, 1220):
        gateway.login(source=address(n)).close()
    assert counter(gateway, "refused_table") == before


def test_silent_crowd(gateway):
    mine = gateway.login(source=address(999))
    crowd = [tcp(gateway.port, address(n), timeout=5) for n in range(300)]
    assert load(gateway) < 0.2
    begun = time.monotonic()
    gateway.login(source=address(998)).close()
    assert time.monotonic() - begun < 1
    assert mine.result("NOOP")
    for sock in crowd:
        sock.close()
    mine.close()


def test_full_of_those_who_are_logged_in(gateway):
    held = []
    try:
        while len(held) < 100:
            held.append(gateway.login(source=address(len(held)), timeout=2))
    except (OSError, AssertionError):
        pass
    assert 10 < len(held) < 100
    late = [tcp(gateway.port, address(500 + n), timeout=30)
            for n in range(30)]
    assert load(gateway) < 0.2
    for client in held:
        assert client.result("NOOP")
    for sock in late:
        sock.close()
    for client in held[:10]:
        client.close()

    def served():
        try:
            gateway.login(source=address(700), timeout=0.5).close()
            return True
        except OSError:
            return False
    begun = time.monotonic()
    wait_for(served, 5, "a login after some have left")
    took = time.monotonic() - begun
    print(f"a login {took:.2f} s after some have left")
    assert took < 1 or SANITIZED
    for client in held[10:]:
        client.close()
