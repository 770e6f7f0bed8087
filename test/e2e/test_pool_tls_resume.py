# SPDX-License-Identifier: ISC
"""Logins to a backend resume the TLS session of an earlier one: of the same
section and snapshot only, and never past what its certificate allows."""
import socket
import ssl
import time

import pytest

from support import BACKEND, PASSWORD, USER, free_port, wait_for
from support.backend import Backend
from support.certs import Certs
from support.gateway import backend
from test_pool_tls import NAME


class Resuming(Backend):
    """Has one context for all connections, so its tickets are good."""

    context = None

    def _read_proxy(self, connection):
        connection.socket = self.context.wrap_socket(connection.socket,
                                                     server_side=True)
        connection.reused = connection.socket.session_reused
        connection.version = connection.socket.version()


@pytest.fixture(scope="module")
def here(scratch):
    return Certs(scratch / "resume-certs")


def make_context(leaf, version=None, client_ca=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(leaf.chain, leaf.key)
    if version is not None:
        made.maximum_version = version
    if client_ca is not None:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(client_ca)
    return made


def run(make_gateway, here, servers, **keys):
    gateway = make_gateway(
        {f"b{n}": backend(server, backend_tls="verify", backend_tls_ca=here.ca,
                          backend_tls_name=NAME, **keys)
         for n, server in enumerate(servers)},
        pool={"check_interval": "10m", "balance": "round_robin",
              "wait_for_backend": "0s"},
        gateway={"workers": 1}).start()
    gateway.wait_up()
    gateway.wait_events(len(servers), "backend", state="up")
    return gateway


def reused(server):
    return [connection.reused for connection in server.logins()]


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3))
def test_each_with_its_own(make_gateway, make_backend, here, version):
    """Two that would take each other's tickets; a reload begins anew."""
    context = make_context(here.leaf("resumed", names=(NAME,)), version)
    servers = [make_backend(Resuming) for _ in range(2)]
    for server in servers:
        server.context = context
    gateway = run(make_gateway, here, servers)
    for _ in range(8):
        gateway.login().close()
    for server in servers:
        assert reused(server) == [False, True, True, True]
    gateway.reload()
    for _ in range(4):
        gateway.login().close()
    for server in servers:
        assert reused(server)[4:] == [False, True]


def test_many_at_once(make_gateway, make_backend, here):
    """A ticket of TLS 1.3 is used once; who gets none makes a full one."""
    server = make_backend(Resuming)
    server.context = make_context(here.leaf("resumed", names=(NAME,)))
    gateway = run(make_gateway, here, [server])
    gateway.login().close()
    clients = [gateway.client() for _ in range(12)]
    for client in clients:
        client.greeting()
        client.send(f'l LOGIN {USER} "{PASSWORD}"\r\n')
    for client in clients:
        assert b" OK" in client.until("l")[-1]
        client.close()
    assert any(reused(server)) and not reused(server)[0]


def test_not_past_its_certificate(make_gateway, make_backend, here):
    """It expires while there is a session that could be resumed."""
    server = make_backend(Resuming)
    ends = time.time() + 6
    server.context = make_context(here.leaf("short", names=(NAME,),
                                            seconds=6))
    gateway = run(make_gateway, here, [server])
    for _ in range(3):
        gateway.login().close()
    assert reused(server) == [False, True, True]
    wait_for(lambda: time.time() > ends + 1, 15)
    for _ in range(3):
        with gateway.client() as client:
            client.greeting()
            assert b" NO [UNAVAILABLE]" in client.login()[-1]
    assert len(server.logins()) == 3
    gateway.wait_event("login", verdict="unavailable",
                       why="tls_backend_certificate")


def test_never_with_our_certificate(make_gateway, make_backend, here):
    server = make_backend(Resuming)
    server.context = make_context(here.leaf("resumed", names=(NAME,)),
                                  client_ca=here.ca)
    both = here.client("gateway")
    gateway = run(make_gateway, here, [server], backend_tls_cert=both,
                  backend_tls_key=both)
    for _ in range(4):
        gateway.login().close()
    assert reused(server) == [False] * 4


def extensions_of(hello):
    """The types in a ClientHello that came as one record."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]                                     # session id
    at += 2 + int.from_bytes(hello[at:at + 2], "big")       # suites
    at += 1 + hello[at] + 2                                 # compression
    found = set()
    while at + 4 <= len(hello):
        found.add(int.from_bytes(hello[at:at + 2], "big"))
        at += 4 + int.from_bytes(hello[at + 2:at + 4], "big")
    return found


class Afraid(Resuming):
    """Hangs up on who offers a ticket of TLS 1.3 (extension 41)."""

    offers = 0

    def _read_proxy(self, connection):
        hello = connection.socket.recv(4096, socket.MSG_PEEK)
        if 41 in extensions_of(hello):
            self.offers += 1
            raise EOFError
        super()._read_proxy(connection)


def test_servers_that_cannot(make_gateway, make_backend, here):
    """They are asked a few times, then no more; no login is lost by it."""
    server = make_backend(Afraid)
    server.context = make_context(here.leaf("resumed", names=(NAME,)))
    gateway = run(make_gateway, here, [server])
    gateway.config["pool mail"]["wait_for_backend"] = "10s"
    gateway.reload()
    for _ in range(12):
        gateway.login().close()
    assert server.offers == 3 and not any(reused(server))


def test_a_real_dovecot(make_gateway, make_dovecot, here):
    """Whatever it makes of tickets: all log in."""
    leaf, port = here.leaf("resumed", names=(NAME,)), free_port(BACKEND)
    dovecot = make_dovecot("resumes", extra=f"""
ssl = yes
ssl_cert = <{leaf.chain}
ssl_key = <{leaf.key}
service imap-login {{
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
""")
    dovecot.port = port
    gateway = run(make_gateway, here, [dovecot])
    for _ in range(8):
        with gateway.login() as client:
            assert client.result("NOOP").startswith(b"OK")
    assert len(gateway.wait_events(8, "login", verdict="ok")) == 8
