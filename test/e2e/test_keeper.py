# SPDX-License-Identifier: ISC
"""The process that holds the private keys."""
import os
import signal
import ssl
import time

import pytest

from support import scaled, wait_for
from support.client import Client, context
from support.gateway import backend
from test_role_faults import Load


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = make_gateway({"a": backend(make_backend())})
    made.deaths_expected = True
    made.start().wait_up()
    return made


def test_it_stands_back(gateway):
    """Nicer than who relays, and never the one that interrupts."""
    keeper, = gateway.pids("keeper")
    assert os.sched_getscheduler(keeper) == os.SCHED_BATCH
    for worker in gateway.pids("worker"):
        assert os.sched_getscheduler(worker) == os.SCHED_OTHER
        nice = os.getpriority(os.PRIO_PROCESS, worker)
        assert os.getpriority(os.PRIO_PROCESS, keeper) == min(nice + 10, 19)


def test_kill_it_again_and_again(gateway):
    """Handshakes in flight wait for the next one; none fails."""
    loads = [Load(gateway) for _ in range(6)]
    for load in loads:
        load.start()
    for _ in range(scaled(6)):
        before = sum(load.count for load in loads)
        wait_for(lambda: sum(load.count for load in loads) > before + 20)
        os.kill(gateway.pids("keeper")[0], signal.SIGKILL)
    wait_for(lambda: len(gateway.pids("keeper")) == 1)
    before = sum(load.count for load in loads)
    wait_for(lambda: sum(load.count for load in loads) > before + 20)
    for load in loads:
        load.__exit__()
    assert [load.failures for load in loads] == [[]] * len(loads)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_what_it_had_taken_is_asked_again(gateway, version):
    """Killed with requests that it had read and not answered."""
    keeper = gateway.pids("keeper")[0]
    os.kill(keeper, signal.SIGSTOP)
    waiting = [Client(gateway.port, handshake=False,
                      tls=context(version=version)) for _ in range(20)]
    for client in waiting:
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.flush()
    time.sleep(0.3)
    os.kill(keeper, signal.SIGKILL)
    for client in waiting:
        client.handshake()
        client.greeting()
        client.close()
    gateway.wait_event("role", role="keeper", state="started",
                       why="replaces one that ended")
