# SPDX-License-Identifier: ISC
"""Hundreds of sessions at once, all alive, all accounted for."""
from concurrent.futures import ThreadPoolExecutor

from support import USER, scaled, wait_for
from support.gateway import backend

COUNT = scaled(500)


def test_many_at_once(make_gateway, make_dovecot):
    dovecot = make_dovecot("many", clients_per_process=100)
    gateway = make_gateway({"a": backend(dovecot, "proxy_v2")}).start()
    gateway.wait_up()
    with ThreadPoolExecutor(4) as pool:
        clients = list(pool.map(lambda _: gateway.login(), range(COUNT)))
        results = list(pool.map(lambda c: c.result("NOOP"), clients))
    assert all(result.startswith(b"OK") for result in results)
    for client in clients:
        client.send("z LOGOUT\r\n")
    for client in clients:
        assert client.rest().endswith(b"\r\n")
        assert client.end == "close_notify"
        client.close()
    wait_for(lambda: len(gateway.events("session", user=USER)) == COUNT,
             20, "the end of every session in the log")
    ids = {event["id"] for event in gateway.events("session", user=USER)}
    assert len(ids) == COUNT
