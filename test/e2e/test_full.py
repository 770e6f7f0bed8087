# SPDX-License-Identifier: ISC
"""At max_connections: the oldest that is not logged in makes room."""
import os
import signal
import time

from support.gateway import backend

ROOM = 4


def test_newcomers_do_not_wait(make_gateway, make_backend):
    """Those who must go stay on their side for as long as they can."""
    gateway = make_gateway(
        {"a": backend(make_backend())},
        gateway={"workers": 1, "max_connections": ROOM}).start()
    gateway.wait_up()
    held = [gateway.client() for _ in range(ROOM)]
    for client in held:
        client.greeting()
    start = time.monotonic()
    newcomers = [gateway.login() for _ in range(ROOM)]
    assert time.monotonic() - start < 2
    for client in held:
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")
        client.close()
    for client in newcomers:
        assert client.result("NOOP").startswith(b"OK")
        client.close()
    assert len(gateway.wait_events(
        ROOM, "session", why="shed")) == ROOM


def test_the_master_stands_still(make_gateway, make_backend):
    """A worker that is full and not full in turn tells the master so, which
    may be busy for long: nobody's session may hang on that."""
    gateway = make_gateway(
        {"a": backend(make_backend())},
        gateway={"workers": 1, "max_connections": 2}).start()
    gateway.wait_up()
    with gateway.login() as staying:
        os.kill(gateway.process.pid, signal.SIGSTOP)
        try:
            last = gateway.login()
            for _ in range(400):
                # It waits in the backlog until there is room.
                following = gateway.client(handshake=False)
                last.close()
                following.handshake()
                last = following.logged_in()
            last.close()
            assert staying.result("NOOP").startswith(b"OK")
        finally:
            os.kill(gateway.process.pid, signal.SIGCONT)
        assert staying.result("NOOP").startswith(b"OK")
