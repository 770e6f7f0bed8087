# SPDX-License-Identifier: ISC
"""TLS to a backend: verified by its own authorities, or pinned."""
import hashlib
import ssl
import time

import pytest

from support import PASSWORD, wait_for
from support.backend import Backend
from support.certs import Certs, openssl
from support.gateway import backend

NAME = "imap.backend.example"


class Sealed(Backend):
    """The same behind TLS; with `proxy` the header comes first, in plain."""

    leaf = None
    version = None
    refusals = ()           # what its TLS said of handshakes that failed

    def _read_proxy(self, connection):
        if self.proxy is not None:
            head = exactly(connection.socket, 16)
            connection.proxy = head + exactly(
                connection.socket, int.from_bytes(head[14:16], "big"))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.leaf.chain, self.leaf.key)
        if self.version is not None:
            made.maximum_version = self.version
        try:
            connection.socket = made.wrap_socket(connection.socket,
                                                 server_side=True)
        except ssl.SSLError as error:
            self.refusals += (error.reason or "",)
            raise
        connection.version = connection.socket.version()


def exactly(sock, length):
    """No octet more: what follows is TLS."""
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@pytest.fixture(scope="module")
def here(scratch):
    return Certs(scratch / "backend-certs")


def pin_of(leaf):
    key = openssl("x509", "-in", leaf.chain, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", data=key)
    return hashlib.sha256(der).hexdigest()


def run(make_gateway, server, client_ip="none", **keys):
    return make_gateway({"a": backend(server, client_ip, **keys)},
                        pool={"check_timeout": "2s"}).start()


def serves(gateway):
    gateway.wait_up()
    wait_for(lambda: gateway.events("backend", state="up"))
    with gateway.login() as client:
        assert client.result("NOOP").startswith(b"OK")


def refuses(gateway, why):
    event = gateway.wait_event("backend", backend="a", state="down")
    assert why in event["why"] + " " + event.get("text", ""), event
    with gateway.client() as client:
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")


@pytest.fixture
def sealed(make_backend, here):
    def make(leaf, **options):
        made = make_backend(Sealed, **options)
        made.leaf = leaf
        return made
    return make


def good_leaf(here):
    return here.leaf("good", names=(NAME,))


@pytest.mark.parametrize("version", (None, ssl.TLSVersion.TLSv1_2))
def test_verified(make_gateway, sealed, here, version):
    server = sealed(good_leaf(here))
    server.version = version
    gateway = run(make_gateway, server, backend_tls="verify",
                  backend_tls_ca=here.ca, backend_tls_name=NAME)
    serves(gateway)
    assert server.logins()[0].password == PASSWORD.encode()
    assert server.logins()[0].version == \
        ("TLSv1.2" if version else "TLSv1.3")


def test_big_and_both_ways(make_gateway, sealed, here):
    """Both ends have a codec: what goes in comes out."""
    size = 3_000_000
    server = sealed(good_leaf(here))

    def on_command(connection, tag, name, arguments):
        if name == b"TAKE":
            digest = hashlib.sha256(arguments[0]).hexdigest()
            connection.send(f"{tag} OK {digest}\r\n")
        else:
            connection.send(b"x" * size + f"\r\n{tag} OK sent\r\n".encode())
        return True
    server.on_command = on_command
    gateway = run(make_gateway, server, backend_tls="verify",
                  backend_tls_ca=here.ca, backend_tls_name=NAME)
    gateway.wait_up()
    wait_for(lambda: gateway.events("backend", state="up"))
    with gateway.login() as client:
        client.send("t GIVE\r\n")
        lines = client.until("t")
        assert sum(map(len, lines[:-1])) == size
        data = bytes(range(256)).replace(b"\n", b"").replace(b"\r", b"") * 9000
        client.send(b"u TAKE {%d}\r\n" % len(data))
        assert client.line().startswith(b"+ ")
        client.send(data + b"\r\n")
        assert hashlib.sha256(data).hexdigest().encode() in \
            client.until("u")[-1]


def test_proxy_header_before_tls(make_gateway, sealed, here):
    server = sealed(good_leaf(here), proxy=2)
    gateway = run(make_gateway, server, "proxy_v2", backend_tls="verify",
                  backend_tls_ca=here.ca, backend_tls_name=NAME)
    serves(gateway)
    assert server.logins()[0].proxy.startswith(b"\r\n\r\n\x00\r\nQUIT\n")


def test_a_refused_backend_gets_an_alert_in_a_login_too(
        make_gateway, sealed, here):
    server = sealed(good_leaf(here))
    gateway = make_gateway({"a": backend(
        server, "none", backend_tls="verify", backend_tls_ca=here.ca,
        backend_tls_name=NAME)}, pool={"check_interval": "1h"}).start()
    serves(gateway)
    server.leaf = here.leaf("stranger", names=("other.example",))
    with gateway.client() as client:
        client.greeting()
        assert b"NO [UNAVAILABLE]" in client.login()[-1]
    wait_for(lambda: any("ALERT" in reason for reason in server.refusals))


def test_wrong_name(make_gateway, sealed, here):
    server = sealed(good_leaf(here))
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=here.ca, backend_tls_name="other.example"),
            "Hostname mismatch")
    assert not server.logins()


def test_address_is_not_in_it(make_gateway, sealed, here):
    """Without a name, the address that we connect to counts."""
    server = sealed(good_leaf(here))
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=here.ca), "IP address mismatch")


def test_expired(make_gateway, sealed, here):
    server = sealed(here.leaf("expired", names=(NAME,), days=0))
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=here.ca, backend_tls_name=NAME),
            "has expired")


def test_unknown_authority(make_gateway, sealed, here, certs):
    server = sealed(good_leaf(here))
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=certs.ca, backend_tls_name=NAME),
            "tls_backend_certificate")


def test_pinned(make_gateway, sealed, here):
    """The key alone: name, authority and dates don't matter."""
    leaf = here.leaf("pinned", names=("whatever",), days=0)
    server = sealed(leaf)
    serves(run(make_gateway, server, backend_tls="pin",
               backend_tls_pin=pin_of(leaf)))


def test_wrong_pin(make_gateway, sealed, here):
    server = sealed(good_leaf(here))
    refuses(run(make_gateway, server, backend_tls="pin",
                backend_tls_pin="0" * 64), "not the pinned one")


def test_verified_and_pinned(make_gateway, sealed, here):
    server = sealed(good_leaf(here))
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=here.ca, backend_tls_name=NAME,
                backend_tls_pin="0" * 64), "not the pinned one")


def test_plaintext_is_refused(make_gateway, make_backend, here):
    server = make_backend()
    refuses(run(make_gateway, server, backend_tls="verify",
                backend_tls_ca=here.ca, backend_tls_name=NAME), "not_tls")
    assert not server.logins()


def test_a_login_meets_a_wrong_certificate(make_gateway, sealed, here,
                                           make_backend):
    """It changed after the check: no password goes there, the other serves."""
    server, other = sealed(good_leaf(here)), sealed(good_leaf(here))
    keys = {"backend_tls": "verify", "backend_tls_ca": here.ca,
            "backend_tls_name": NAME}
    gateway = make_gateway(
        {"a": backend(server, **keys), "b": backend(other, **keys)},
        pool={"check_interval": "10m", "balance": "round_robin"},
        gateway={"workers": 1}).start()
    wait_for(lambda: len(gateway.events("backend", state="up")) == 2)
    server.leaf = here.leaf("expired", names=(NAME,), days=0)
    for _ in range(6):
        gateway.login().close()
    assert len(other.logins()) == 6 and not server.logins()


def test_configuration(make_gateway, here, make_backend):
    server = make_backend()
    for keys, why in (
            ({"backend_tls": "verify"}, "expected backend_tls_ca"),
            ({"backend_tls": "pin"}, "expected backend_tls_pin"),
            ({"backend_tls": "verify", "backend_tls_ca": "/nonexistent"},
             "No such file"),
            ({"backend_tls": "verify", "backend_tls_ca": "/dev/null"},
             "holds no PEM certificate")):
        checked = make_gateway({"a": backend(server, **keys)}).check("-t")
        assert checked.returncode != 0 and why in checked.stderr, \
            checked.stderr


class Mute(Sealed):
    """Well while it is checked; then `fault` in place of a handshake."""

    fault = None

    def _read_proxy(self, connection):
        if self.fault is None:
            super()._read_proxy(connection)
            return
        if self.fault == "resets":
            connection.reset()
        elif self.fault != "closes":
            hello = connection.socket.recv(1 << 16)
            connection.send({"silent": b"", "plaintext": b"* OK ready\r\n",
                             "echoes": hello, "record": b"\x16\x03\x03\xff",
                             "alert": b"\x15\x03\x03\0\2\2\x28"}[self.fault])
            while connection.socket.recv(1 << 16):
                pass
        raise EOFError


FAULTS = ("closes", "resets", "silent", "plaintext", "echoes", "record",
          "alert")


def test_next_backend_whatever_the_handshake(make_gateway, make_backend, here):
    """A login is connect_timeout late at most."""
    servers = [make_backend(Mute) for _ in range(2)]
    for server in servers:
        server.leaf = good_leaf(here)
    gateway = make_gateway(
        {f"b{n}": backend(server, backend_tls="verify",
                          backend_tls_ca=here.ca, backend_tls_name=NAME)
         for n, server in enumerate(servers)},
        pool={"check_interval": "10m", "check_fall": 100,
              "balance": "round_robin", "connect_timeout": "500ms",
              "greeting_timeout": "20s"}, gateway={"workers": 1}).start()
    gateway.wait_up()
    gateway.wait_events(2, "backend", state="up")
    for fault in FAULTS:
        servers[0].fault = fault
        met = len(servers[0].connections)
        for _ in range(2):
            with gateway.client() as client:
                client.greeting()
                started = time.monotonic()
                assert b" OK" in client.login()[-1], fault
                assert time.monotonic() - started < 0.5 + 1.5, fault
        assert len(servers[0].connections) > met, fault
    assert not servers[0].logins()
