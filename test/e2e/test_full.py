# SPDX-License-Identifier: ISC
"""At max_connections: the oldest that is not logged in makes room."""
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
