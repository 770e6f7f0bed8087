# SPDX-License-Identifier: ISC
"""A backend that is told the client's address logs that address, and takes a
password although it speaks no TLS."""
import socket

import pytest

from support import CLIENT, DIALLER, GATEWAY, PASSWORD, USER, wait_for
from support.backend import Backend
from support.gateway import backend


@pytest.mark.parametrize("way, seen", [
    ("none", DIALLER), ("proxy_v2", CLIENT), ("id", CLIENT)])
def test_dovecot_logs_the_address(make_gateway, dovecot, way, seen):
    before = len(dovecot.log_text())
    gateway = make_gateway({"a": backend(dovecot, way)}).start()
    gateway.wait_up()
    with gateway.login() as client:
        assert b" OK" in client.command("SELECT INBOX")[-1]
    wait_for(lambda: f"Login: user=<{USER}>, method=PLAIN, rip={seen}"
             in dovecot.log_text()[before:] or
             f"Login: user=<{USER}>, method=LOGIN, rip={seen}"
             in dovecot.log_text()[before:], what="Dovecot's login line")


def test_proxy_v1(make_gateway, make_dovecot):
    """v1 says nothing about TLS: Dovecot must trust the clients' network."""
    dovecot = make_dovecot("v1", trust_clients=True)
    gateway = make_gateway({"a": backend(dovecot, "proxy_v1")},
                           pool={"check_fall": 100}).start()
    gateway.wait_up()
    gateway.login().close()
    wait_for(lambda: f"rip={CLIENT}" in dovecot.log_text())


def test_warning_when_the_backend_is_not_told(make_gateway, dovecot):
    gateway = make_gateway({"a": backend(dovecot, "none")})
    done = gateway.check("-t")
    assert done.returncode == 0, done.stderr
    assert "client_ip" in done.stdout + done.stderr


def test_proxy_v1_header(make_gateway, make_backend):
    """The header as HAProxy's specification wants it, checks included."""
    server = make_backend(proxy=1)
    gateway = make_gateway({"a": backend(server, "proxy_v1")}).start()
    gateway.wait_up()
    with gateway.login() as client:
        port = client.socket.getsockname()[1]
        login = server.logins()[0]
        assert login.proxy == (f"PROXY TCP4 {CLIENT} {GATEWAY} {port} "
                               f"{gateway.port}").encode()
    assert all(c.proxy.startswith(b"PROXY ") for c in server.connections)


def test_proxy_v2_header(make_gateway, make_backend):
    server = make_backend(proxy=2)
    gateway = make_gateway({"a": backend(server, "proxy_v2")}).start()
    gateway.wait_up()
    with gateway.login() as client:
        port = client.socket.getsockname()[1]
        header = server.logins()[0].proxy
    assert header[:12] == b"\r\n\r\n\0\r\nQUIT\n"
    assert header[12:14] == b"\x21\x11"
    assert header[16:20] == socket.inet_aton(CLIENT)
    assert header[20:24] == socket.inet_aton(GATEWAY)
    assert header[24:28] == port.to_bytes(2, "big") + \
        gateway.port.to_bytes(2, "big")
    tlvs = header[28:]
    kinds = {}
    while tlvs:                     # they must tile the header exactly
        length = int.from_bytes(tlvs[1:3], "big")
        assert len(tlvs) >= 3 + length
        kinds[tlvs[0]] = tlvs[3:3 + length]
        tlvs = tlvs[3 + length:]
    assert kinds[0x20][0] & 1, "PP2_CLIENT_SSL is not set"
    assert kinds.get(0x01) == b"imap", "the negotiated ALPN"


class WithId(Backend):
    capabilities = "IMAP4rev1 ID AUTH=PLAIN SASL-IR"


def test_id_drops_what_a_client_must_not_say(make_gateway, make_backend):
    """The gateway's own ID comes first, and no x- key of a client passes."""
    server = make_backend(WithId)
    gateway = make_gateway({"a": backend(server, "id")}).start()
    gateway.wait_up()
    with gateway.client() as client:
        client.greeting()
        answer = client.command('ID ("name" "Probe" "X-Originating-IP" '
                                '"192.0.2.66" "x-session-id" "forged")')
        assert answer[-1].split()[1] == b"OK"
        assert b" OK" in client.login()[-1]
        login = server.logins()[0]
    ids = [line for line in login.received.split(b"\r\n") if b" ID " in line]
    assert len(ids) == 1, ids
    assert CLIENT.encode() in ids[0] and b"x-originating-ip" in ids[0].lower()
    assert b"192.0.2.66" not in login.received
    assert b"forged" not in login.received
    assert b"Probe" in ids[0]


def test_id_is_logged(gateway):
    with gateway.client() as client:
        client.greeting()
        client.command('ID ("name" "Probe" "version" "4.2" "os" "Plan 9")')
        assert b" OK" in client.login(USER, PASSWORD)[-1]
    event = gateway.wait_event("login", user=USER)
    assert (event["client_name"], event["client_version"],
            event["client_os"]) == ("Probe", "4.2", "Plan 9")
