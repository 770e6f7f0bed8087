# SPDX-License-Identifier: ISC
"""The IPv6 ladder from outside: an attacker who rotates his address. Runs in a
network namespace of its own, where 2001:db8::/32 is ours."""
import select
import socket

import pytest

from support import wait_for
from support.gateway import backend
from support.namespace import Namespace

IPV6_FREEBIND = 78
namespace = Namespace(__file__, """ip link set lo up &&
ip -6 route add local 2001:db8::/32 dev lo && exec "$@"
""", "--net")
inside = namespace.inside


@namespace.outside
def test_in_a_namespace():
    namespace.run()


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = make_gateway({"a": backend(make_backend())},
                        limits={"exempt": "127.0.0.0/8",
                                "connections_per_ip": 4})
    made.config["listen imaps"]["address"] = \
        f"127.0.0.1:{made.port}, [::1]:{made.port}"
    made.start().wait_up()
    return made


def connect(gateway, source):
    sock = socket.socket(socket.AF_INET6)
    sock.settimeout(5)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    sock.bind((source, 0))
    sock.connect(("::1", gateway.port))
    return sock


def count_closed(socks):
    """Nobody says anything, so what can be read is an end."""
    return len(select.select(socks, [], [], 0)[0])


@inside
@pytest.mark.parametrize("form, wanted", [
    ("2001:db8:1:1::{:x}", 4),          # one /64
    ("2001:db8:2:1{:02x}::1", 16),      # one /56
    ("2001:db8:3:{:x}00::1", 64),       # one /48
    ("2001:db8:{:x}::1", 100),          # a /48 each
])
def test_rotation(gateway, form, wanted):
    held = [connect(gateway, form.format(n)) for n in range(1, 101)]
    wait_for(lambda: count_closed(held) >= 100 - wanted, 5, "refusals")
    assert count_closed(held) == 100 - wanted
    if wanted < 100:
        gateway.wait_event("refused", why="connections_per_ip")
    for sock in held:
        sock.close()

    def is_free():
        with connect(gateway, form.format(1)) as sock:
            return not select.select([sock], [], [], 0.3)[0]
    wait_for(is_free, 5, "room once they have left")
