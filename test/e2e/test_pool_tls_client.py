# SPDX-License-Identifier: ISC
"""The certificate that a backend is shown: by logins and by checks, signed for
by the keeper, renewed like those of listeners."""
import os
import shutil
import signal
import ssl

import pytest

from support import BACKEND, PASSWORD, USER, free_port, scaled, wait_for
from support.certs import Certs, openssl
from support.gateway import backend
from test_pool_tls import NAME, Sealed, good_leaf

VERSIONS = (None, ssl.TLSVersion.TLSv1_2)


class Demanding(Sealed):
    """Wants a certificate of `client_ca`; keeps the names that it saw."""

    client_ca = None

    def _read_proxy(self, connection):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.leaf.chain, self.leaf.key)
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(self.client_ca)
        if self.version is not None:
            made.maximum_version = self.version
        connection.socket = made.wrap_socket(connection.socket,
                                             server_side=True)
        subject = connection.socket.getpeercert()["subject"]
        connection.version = connection.socket.version()
        connection.shown = dict(pair for one in subject for pair in one)


def shown(server):
    """What each connection was shown, in order."""
    return [c.shown["commonName"] for c in list(server.connections)
            if hasattr(c, "shown")]


@pytest.fixture(scope="module")
def here(scratch):
    return Certs(scratch / "mutual-certs")


@pytest.fixture
def demanding(make_backend, here):
    def make(version=None, ca=None):
        made = make_backend(Demanding)
        made.leaf, made.client_ca = good_leaf(here), ca or here.ca
        made.version = version
        return made
    return make


def section(server, here, certificate, key=None, **keys):
    return backend(server, backend_tls="verify", backend_tls_ca=here.ca,
                   backend_tls_name=NAME, backend_tls_cert=certificate,
                   backend_tls_key=key or certificate, **keys)


def serves(gateway):
    gateway.wait_up()
    gateway.wait_event("backend", state="up")
    with gateway.login() as client:
        assert client.result("NOOP").startswith(b"OK")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ("ecdsa", "rsa"))
def test_shown_by_logins_and_checks(make_gateway, demanding, here, version,
                                    kind):
    server = demanding(version)
    if kind == "ecdsa":
        both = here.client("gateway")
        keys = section(server, here, both)
    else:
        leaf = here.leaf("rsa-client", "rsa", names=("gateway",),
                         usage="clientAuth")
        keys = section(server, here, leaf.chain, leaf.key)
    gateway = make_gateway({"a": keys}).start()
    serves(gateway)
    server.wait_for_probe()
    assert set(shown(server)) == {"gateway"}
    assert server.logins()[0].shown["commonName"] == "gateway"
    assert server.logins()[0].version == \
        ("TLSv1.2" if version else "TLSv1.3")


def test_a_real_dovecot(make_gateway, make_dovecot, here):
    """That lets nobody log in without one."""
    leaf, port = good_leaf(here), free_port(BACKEND)
    dovecot = make_dovecot("mutual", extra=f"""
ssl = yes
ssl_cert = <{leaf.chain}
ssl_key = <{leaf.key}
ssl_ca = <{here.ca}
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
service imap-login {{
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
""")
    dovecot.port = port
    gateway = make_gateway(
        {"a": section(dovecot, here, here.client("gateway"))}).start()
    serves(gateway)
    del gateway.config["backend a"]["backend_tls_cert"]
    del gateway.config["backend a"]["backend_tls_key"]
    gateway.reload()
    with gateway.client() as client:
        client.greeting()
        assert b" OK" not in client.login()[-1]


def test_the_keeper_dies_meanwhile(make_gateway, demanding, here):
    """Logins and checks wait for the next one."""
    server = demanding()
    gateway = make_gateway(
        {"a": section(server, here, here.client("gateway"))},
        pool={"check_timeout": "10s", "check_interval": "1s"})
    gateway.deaths_expected = True
    serves(gateway.start())
    for _ in range(scaled(2)):
        keeper = gateway.pids("keeper")[0]
        client = gateway.client()
        client.greeting()
        seen = len(server.connections)
        os.kill(keeper, signal.SIGSTOP)
        client.send(f'l LOGIN {USER} "{PASSWORD}"\r\n')
        # a login and at least one check have asked it
        wait_for(lambda: len(server.connections) >= seen + 2, 15)
        os.kill(keeper, signal.SIGKILL)
        assert b" OK" in client.until("l")[-1]
        client.close()
        wait_for(lambda: gateway.pids("keeper") and
                 keeper not in gateway.pids("keeper"))
    assert not gateway.events("backend", state="down")


def test_renewed_in_place(make_gateway, demanding, here, scratch):
    """Files are watched; what is broken is refused by name, and the old one is
    shown on."""
    server = demanding()
    file = scratch / "shown.pem"
    shutil.copy(here.client("first"), file)
    file.chmod(0o600)
    gateway = make_gateway({"a": section(server, here, file)}).start()
    serves(gateway)
    assert set(shown(server)) == {"first"}
    shutil.copy(here.client("second"), file)
    event = gateway.wait_event("certificate", state="renewed")
    assert event["name"] == "backend a"
    gateway.login().close()
    assert server.logins()[-1].shown["commonName"] == "second"
    seen = len(server.connections)
    wait_for(lambda: "second" in shown(server)[seen:])
    file.write_text("broken")
    wait_for(lambda: b"shown.pem" in gateway.output())
    gateway.login().close()
    assert server.logins()[-1].shown["commonName"] == "second"
    # in another reload, too
    gateway.reload()
    gateway.login().close()
    assert server.logins()[-1].shown["commonName"] == "second"
    rows = gateway.ctl("certificates")
    assert [r for r in rows if r["name"] == "backend a"][0]["usable"]
    assert {r["name"] for r in rows} == {"main", "backend a"}


def test_not_ours_to_that_backend(make_gateway, demanding, here, certs):
    """It trusts another authority: down, and no password is sent."""
    server = demanding(ca=certs.ca)
    gateway = make_gateway(
        {"a": section(server, here, here.client("gateway"))},
        pool={"check_timeout": "2s"}).start()
    gateway.wait_event("backend", state="down")
    with gateway.client() as client:
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")
    assert not server.logins()


def test_never_without_it(make_gateway, demanding, here, make_backend):
    """A faulty file at the start is that backend's alone: it is never dialled,
    the others serve."""
    server, other = demanding(), make_backend()
    gateway = make_gateway(
        {"a": section(server, here, "/nonexistent"), "b": backend(other)})
    gateway.start()
    gateway.wait_event("backend", backend="a", state="down",
                       why="tls_unavailable")
    gateway.wait_up()
    for _ in range(4):
        gateway.login().close()
    assert not server.connections
    assert b"[backend a]: /nonexistent: No such file" in gateway.output()


def test_listeners_have_none_of_it(make_gateway, demanding, here, leaf):
    """It is no certificate for clients, whatever names are in it."""
    shown_leaf = here.client("gateway", "DNS:mail.example.org")
    gateway = make_gateway(
        {"a": section(demanding(), here, shown_leaf)}).start()
    serves(gateway)
    served = openssl("x509", "-in", leaf.chain, "-outform", "DER")
    for name in ("mail.example.org", "gateway", None):
        with gateway.client(server_name=name) as client:
            assert client.tls.getpeercert(True) == served


def test_configuration(make_gateway, demanding, here):
    server = demanding()
    both, second = here.client("gateway"), here.client("another")
    server_leaf = here.leaf("not-a-client")
    for keys, why in (
            ({"backend_tls_key": ""}, "expected both or neither"),
            ({"backend_tls_cert": ""}, "expected both or neither"),
            ({"backend_tls_cert": "/nonexistent"}, "No such file"),
            ({"backend_tls_key": second}, "the key is not the certificate's"),
            ({"backend_tls_cert": server_leaf.chain,
              "backend_tls_key": server_leaf.key}, "not for TLS clients")):
        gateway = make_gateway({"a": {**section(server, here, both), **keys}})
        checked = gateway.check("-t")
        assert checked.returncode != 0 and why in checked.stderr, \
            checked.stderr
        assert "sallyport.conf:" in checked.stderr
    both.chmod(0o644)
    gateway = make_gateway({"a": section(server, here, both)})
    checked = gateway.check("-t")
    assert checked.returncode == 0, checked.stderr
    assert "[backend a]" in checked.stdout and str(both) in checked.stdout
    assert "others than its owner may use it" in checked.stderr
    assert "its issuer is unknown" not in \
        checked.stderr.split("[backend a]", 1)[1].split("\n")[0]
    printed = gateway.check("-T").stdout
    assert printed.count("[certificate ") == 1
    assert f"backend_tls_cert = {both}" in printed
    gateway.config["backend a"]["backend_tls"] = "off"
    checked = gateway.check("-t")
    assert "shown to nobody" in checked.stderr
