# SPDX-License-Identifier: ISC
"""TLS as clients see it."""
import os
import random
import ssl
import subprocess
import time

import pytest

from support import GATEWAY, scaled, wait_for
from support.client import Client, context
from support.gateway import backend, memory_of


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = make_gateway({"a": backend(make_backend())}).start()
    made.wait_up()
    return made


def refused(gateway, **options):
    """The alert's name in OpenSSL's words."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
        gateway.client(**options)
    return str(caught.value).lower().replace("_", " ")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_versions_and_keys(make_gateway, make_backend, certs, version, kind):
    gateway = make_gateway({"a": backend(make_backend())})
    leaf = certs.leaf(kind, kind)
    gateway.config["certificate main"].update(chain=leaf.chain, key=leaf.key)
    gateway.start().wait_up()
    with gateway.client(tls=context(certs.ca, version=version)) as client:
        client.greeting()
        assert client.tls.version() == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(gateway):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        text = refused(gateway, tls=context(
            version=version, ciphers="ALL:@SECLEVEL=0"))
        assert "version" in text, text


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                    "ECDHE-ECDSA-AES128-SHA256"])
def test_weak_ciphers_are_refused(gateway, cipher):
    tls = context(version=ssl.TLSVersion.TLSv1_2,
                  ciphers=f"{cipher}:@SECLEVEL=0")
    assert "handshake failure" in refused(gateway, tls=tls)


@pytest.mark.parametrize("offered, accepted", [
    (("imap",), True), (("h2", "imap"), True), ((), True),
    (("h2",), False), (("http/1.1", "h2"), False), (("IMAP",), False)])
def test_alpn(gateway, offered, accepted):
    tls = context(alpn=offered)
    if not accepted:
        assert "no application protocol" in refused(gateway, tls=tls)
        return
    with gateway.client(tls=tls) as client:
        client.greeting()
        assert client.tls.selected_alpn_protocol() == (
            "imap" if offered else None)


@pytest.mark.parametrize("name", ["localhost", "a.wild.example.org",
                                  "unknown.example.net", None,
                                  ("x" * 60 + ".") * 4 + "org"])
def test_sni_lax(gateway, name):
    with gateway.client(server_name=name) as client:
        client.greeting()


def test_sni_chooses_a_certificate(make_gateway, make_backend, certs):
    other = certs.leaf("second", names=("second.example.org",))
    gateway = make_gateway({"a": backend(make_backend())})
    gateway.config["certificate second"] = {"chain": other.chain,
                                            "key": other.key}
    gateway.start().wait_up()
    for name, serial in (("second.example.org", other.serial()),
                         ("SECOND.example.org", other.serial())):
        with gateway.client(server_name=name,
                            tls=context(certs.ca)) as client:
            assert client.tls.getpeercert()["serialNumber"] == serial
    with gateway.client(server_name="localhost",
                        tls=context(certs.ca)) as client:
        assert client.tls.getpeercert()["serialNumber"] != other.serial()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_tickets_work_at_every_worker(gateway, version):
    tls = context(version=version)
    with gateway.client(tls=tls) as client:
        client.greeting()
        assert not client.tls.session_reused
        session = client.tls.session
    for _ in range(12):
        with gateway.client(tls=tls, session=session) as client:
            client.greeting()
            assert client.tls.session_reused
    assert len([e for e in gateway.events("session")
                if e.get("resumed") == "true"]) >= 1 or wait_for(
        lambda: gateway.events("session", resumed="true"))


def test_tickets_off(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           tls={"tickets": "off"}).start()
    gateway.wait_up()
    tls = context(version=ssl.TLSVersion.TLSv1_2)
    with gateway.client(tls=tls) as client:
        client.greeting()
        session = client.tls.session
    with gateway.client(tls=tls, session=session) as client:
        client.greeting()
        assert not client.tls.session_reused


def test_a_ticket_survives_a_rotation(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           tls={"ticket_rotation": "3s"}).start()
    gateway.wait_up()
    tls = context(version=ssl.TLSVersion.TLSv1_3)
    end = time.monotonic() + 8
    session = None
    reused = 0
    while time.monotonic() < end:       # each one renews the next
        with gateway.client(tls=tls, session=session) as client:
            client.greeting()
            reused += client.tls.session_reused
            session = client.tls.session
        time.sleep(0.2)
    assert reused >= 20


def test_no_renegotiation(gateway):
    """Refused by BoringSSL; the process survives the attempt."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{GATEWAY}:{gateway.port}",
         "-tls1_2", "-alpn", "imap", "-legacy_renegotiation"],
        input=b"R\n", capture_output=True, timeout=20, check=False)
    assert b"RENEGOTIATING" in done.stdout + done.stderr
    gateway.login().close()


def test_no_early_data(gateway):
    with gateway.client(tls=context(
            version=ssl.TLSVersion.TLSv1_3)) as client:
        client.greeting()
        assert client.tls.session.has_ticket
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{GATEWAY}:{gateway.port}",
         "-tls1_3", "-alpn", "imap"], input=b"a LOGOUT\r\n",
        capture_output=True, timeout=20, check=False)
    assert b"Max Early Data: 0" in done.stdout or \
        b"Max Early Data" not in done.stdout


def test_a_dribbled_handshake(gateway):
    """Every octet of the client's flights in a segment of its own."""
    client = Client(gateway.port, handshake=False)
    while True:
        try:
            client.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for octet in client._outgoing.read():
                client.socket.sendall(bytes([octet]))
            client._fill()
    for octet in client._outgoing.read():
        client.socket.sendall(bytes([octet]))
    client.greeting()
    client.close()


def test_everything_at_once(gateway):
    """Finished, a command and close_notify in one segment."""
    client = Client(gateway.port, handshake=False)
    while True:
        try:
            client.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            client.flush()
            client._fill()
    client.tls.write(b"a LOGOUT\r\n")
    client.flush()
    assert client.rest().endswith(b"\r\n") and client.end == "close_notify"
    client.close()


def test_random_names_cost_nothing(gateway):
    """Memory is flat over many names."""
    dice = random.Random(3)
    count = scaled(1000)

    def connect():
        name = f"{dice.randbytes(20).hex()}.example.org"
        with gateway.client(server_name=name):
            pass
    for _ in range(count // 4):
        connect()
    before = sum(map(memory_of, gateway.pids("worker")))
    for _ in range(count):
        connect()
    assert sum(map(memory_of, gateway.pids("worker"))) - before < 1 << 20


def test_garbage_after_the_handshake(gateway):
    with gateway.client() as client:
        client.greeting()
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + os.urandom(32))
        assert client.rest() == b"" and client.end == "alert"
    gateway.wait_event("session", state="preauth")
    gateway.login().close()
