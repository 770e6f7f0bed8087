# SPDX-License-Identifier: ISC
"""Clients with certificates: who comes in, and as whom."""
import base64
import os
import shutil
import ssl

import pytest

from support import PASSWORD, USER, scaled, wait_for
from support.client import context
from support.gateway import backend, memory_of
from support.observe import scrape, with_metrics

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def anna(certs):
    return certs.client("anna", f"email:{USER},DNS:anna.test")


@pytest.fixture(scope="module")
def bert(certs):
    return certs.client("bert", "email:bert,DNS:bert.test")


@pytest.fixture
def make(make_gateway, make_backend, certs):
    def make(**tls):
        server = make_backend()
        keys = {"client_certificates": "required", "client_ca": certs.ca,
                **tls}
        made = with_metrics(make_gateway({"a": backend(server)}, tls={
            key: value for key, value in keys.items() if value is not None}))
        made.server = server
        made.launch()
        gateway_up(made, server)
        return made
    return make


def gateway_up(made, server):
    """A first handshake needs a certificate: wait for the event instead."""
    made.wait_event("gateway", 20, state="started")
    server.wait_for_probe()


def enter(gateway, certificate=None, version=None, session=None):
    return gateway.client(tls=context(version=version,
                                      certificate=certificate),
                          session=session)


def turned_away(gateway, certificate=None, version=None):
    """The alert; in TLS 1.3 it comes after the client's own end."""
    try:
        with enter(gateway, certificate, version) as client:
            try:
                line = client.tls.read(1000)
            except ssl.SSLWantReadError:
                client._fill()
                line = client.tls.read(1000)
            raise AssertionError(f"came in: {line!r}")
    except ssl.SSLError as error:
        return str(error).lower().replace("_", " ")


@pytest.mark.parametrize("version", VERSIONS)
def test_required(make, anna, version):
    gateway = make()
    with enter(gateway, anna, version) as client:
        client.logged_in()
    event = gateway.wait_event("session", user=USER)
    assert event["client_cert"] == USER
    assert gateway.wait_event("login", verdict="ok")["client_cert"] == USER
    text = turned_away(gateway, None, version)
    assert "required" in text or "handshake failure" in text, text
    event = gateway.wait_event("session", why="tls_client_certificate")
    assert event["alert"] == \
        ("116" if version == ssl.TLSVersion.TLSv1_3 else "40")
    assert "client_cert" not in event


def test_optional(make, anna):
    gateway = make(client_certificates="optional")
    with enter(gateway) as client:
        client.logged_in()
    with enter(gateway, anna) as client:
        client.logged_in()


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_stranger(make, scratch, mode, version):
    """A bad certificate is no better than none, also where none will do."""
    from support.certs import Certs
    stranger = Certs(scratch / "strangers").client("anna", f"email:{USER}")
    gateway = make(client_certificates=mode)
    assert "unknown ca" in turned_away(gateway, stranger, version)
    event = gateway.wait_event("session", why="tls_client_certificate")
    assert event["alert"] == "48" and event["text"] == "unknown authority"


def test_revoked(make, certs, anna, bert):
    gateway = make(client_crl=certs.revoke(bert))
    with enter(gateway, anna) as client:
        client.logged_in()
    assert "revoked" in turned_away(gateway, bert)
    # A new list is taken without a command.
    fresh = certs.revoke(anna, bert)
    assert fresh.exists()
    wait_for(lambda: comes_in(gateway, anna) is False, 10)
    assert "revoked" in turned_away(gateway, anna)
    # A broken one is not.
    fresh.write_text("broken\n")
    gateway.wait_event("certificate", state="refused")
    assert "revoked" in turned_away(gateway, anna)


def comes_in(gateway, certificate):
    try:
        with enter(gateway, certificate) as client:
            return client.line().startswith(b"* OK")
    except ssl.SSLError:
        return False


def test_an_expired_list(make, certs, anna):
    expired = certs.revoke(seconds=1)
    wait_for(lambda: b"expired" in os.popen(
        f"openssl verify -crl_check -CAfile {certs.ca} -CRLfile {expired} "
        f"{anna} 2>&1").read().encode(), 10)
    gateway = make(client_crl=expired)
    assert "certificate unknown" in turned_away(gateway, anna)
    gateway.config["tls public"]["client_crl_expired"] = "accept"
    gateway.reload()
    with enter(gateway, anna) as client:
        client.logged_in()


def test_no_tickets(make, anna):
    gateway = make()
    for version in VERSIONS:
        with enter(gateway, anna, version) as client:
            client.greeting()
            assert not client.tls.session.has_ticket
            session = client.tls.session
        with enter(gateway, anna, version) as client:
            assert not client.tls.session_reused
        del session


def test_a_ticket_from_before(make, anna):
    """Nobody resumes past a policy that came later."""
    gateway = make(client_certificates="off", client_ca=None)
    tls = context(version=ssl.TLSVersion.TLSv1_3)
    with gateway.client(tls=tls) as client:
        client.greeting()
        session = client.tls.session
        assert session.has_ticket
    gateway.config["tls public"].update(
        client_certificates="required", client_ca=anna.parent / "ca.pem")
    gateway.reload()
    with gateway.client(tls=tls, session=session) as client:
        assert client.rest() == b"" and client.end == "alert"


def plain(user, authzid=""):
    return base64.b64encode(
        f"{authzid}\0{user}\0{PASSWORD}".encode()).decode()


def test_the_user_is_the_certificates(make, anna, bert):
    gateway = make(client_cert_user="email")
    with enter(gateway, anna) as client:
        client.logged_in()
    seen = len(gateway.server.logins())
    with enter(gateway, bert) as client:
        client.greeting()
        refused = b"NO [AUTHORIZATIONFAILED]"
        assert client.login()[-1].split(b" ", 1)[1].startswith(refused)
        for line in (f"AUTHENTICATE PLAIN {plain(USER)}",
                     f"AUTHENTICATE PLAIN {plain('bert', USER)}",
                     "AUTHENTICATE XOAUTH2 " + base64.b64encode(
                         f"user={USER}\1auth=Bearer x\1\1".encode()).decode(),
                     "AUTHENTICATE CRAM-MD5"):
            assert client.result(line).startswith(refused), line
        # The connection goes on; its own user may.
        assert b"AUTHORIZATIONFAILED" not in client.login("bert")[-1]
    assert [c.user for c in gateway.server.logins()[seen:]] == [b"bert"]
    event = gateway.wait_event("login", verdict="refused")
    assert event["code"] == "AUTHORIZATIONFAILED"
    assert event["why"] == "client_certificate" and event["user"] == USER


def test_the_wrong_user_again_and_again(make, anna):
    """Each is a line in the log: after ten the connection ends."""
    gateway = make(client_cert_user="email")
    with enter(gateway, anna) as client:
        client.greeting()
        for _ in range(10):
            assert b"AUTHORIZATIONFAILED" in client.login("bert")[-1]
        assert b"* BYE" in client.rest()
    gateway.wait_event("session", why="login_attempts")
    assert len(gateway.events("login", verdict="refused")) == 10
    # nobody waited for a verdict
    assert scrape(gateway)["sallyport_login_seconds_count"] == 0


@pytest.mark.parametrize("kind", ["dns", "cn"])
def test_other_fields(make, certs, kind):
    gateway = make(client_cert_user=kind)
    good = certs.client("by-field", f"DNS:{USER}" if kind == "dns" else "",
                        USER if kind == "cn" else "x")
    with enter(gateway, good) as client:
        client.logged_in()
    bad = certs.client("not-by-field", f"email:{USER}", "x")
    with enter(gateway, bad) as client:
        client.greeting()
        assert b"AUTHORIZATIONFAILED" in client.login()[-1]


def test_without_a_certificate_nothing_binds(make, anna):
    gateway = make(client_certificates="optional", client_cert_user="email")
    with enter(gateway) as client:
        client.logged_in()


def test_a_fault_at_the_start(make_gateway, make_backend, certs, scratch):
    """Better no gateway than one that asks nobody."""
    broken = scratch / "no-authorities.pem"
    shutil.copy(certs._ca_key, broken)
    gateway = make_gateway({"a": backend(make_backend())}, tls={
        "client_certificates": "required", "client_ca": broken})
    done = gateway.check("-t")
    assert done.returncode == 1 and "client_ca" in done.stderr
    gateway.config["tls public"].pop("client_ca")
    done = gateway.check("-t")
    assert done.returncode == 1 and "client_pins" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees it exactly")
def test_what_a_session_costs(make, anna):
    """A certificate that was checked is not kept: 3 KB a session stays true."""
    count = scaled(250)
    costs = {}
    for mode, certificate in (("off", None), ("required", anna)):
        gateway = make(**({"client_certificates": "off", "client_ca": None}
                          if mode == "off" else {}))
        for _ in range(30):
            enter(gateway, certificate).close()
        held = [enter(gateway, certificate).logged_in()
                for _ in range(count)]
        full = sum(map(memory_of, gateway.pids("worker")))
        held += [enter(gateway, certificate).logged_in()
                 for _ in range(count)]
        costs[mode] = (sum(map(memory_of, gateway.pids("worker"))) -
                       full) / count
        for client in held:
            client.close()
    # The chain would be 700 octets and more; the identity is some hundred.
    assert costs["required"] - costs["off"] < 400, costs
