# SPDX-License-Identifier: ISC
"""A listener behind a balancer: PROXY headers, from trusted networks only
(PROTOCOL section 3)."""
import socket
import struct
import time

import pytest

from support import CLIENT, USER, wait_for
from support.client import Client, tcp
from support.gateway import backend

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 993\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=1, family=0x11, body=None, tlvs=b""):
    if body is None:
        body = socket.inet_aton("192.0.2.7") + \
            socket.inet_aton("198.51.100.1") + struct.pack(">HH", 5555, 993)
    body += tlvs
    return SIGNATURE + bytes([0x20 | command, family]) + \
        struct.pack(">H", len(body)) + body


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = make_gateway(
        {"a": backend(make_backend(proxy=2), "proxy_v2")},
        listen={"proxy_protocol": "required", "proxy_from": f"{CLIENT}/32"},
        limits={"proxy_timeout": "1s"})
    # the harness itself has to say who it is
    made.client = lambda before=V1, **o: Client(made.port, before=before, **o)
    made._shakes_hands = lambda: shakes(made)
    made.login = lambda **o: made.client(**o).logged_in()
    made.start().wait_up()
    return made


def shakes(gateway):
    assert gateway.process.poll() is None, gateway.report()
    try:
        gateway.client().close()
        return True
    except OSError:
        return False


HEADERS = {
    "v1": V1,
    "v1 six": b"PROXY TCP6 2001:db8::7 2001:db8::1 5555 993\r\n",
    "v2": v2(),
    "v2 with fields": v2(tlvs=b"\x01\x00\x04imap\x04\x00\x02xx"),
    "v2 six": v2(family=0x21, body=socket.inet_pton(
        socket.AF_INET6, "2001:db8::7") + socket.inet_pton(
        socket.AF_INET6, "2001:db8::1") + struct.pack(">HH", 5555, 993)),
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_client_is_who_the_header_says(gateway, name):
    with gateway.login(before=HEADERS[name]):
        pass
    peer = gateway.wait_event("session", user=USER)["peer"]
    assert peer == ("[2001:db8::7]:5555" if "six" in name
                    else "192.0.2.7:5555")


def test_octet_by_octet(gateway):
    client = Client(gateway.port, handshake=False)
    for octet in V1:
        client.socket.sendall(bytes([octet]))
    client.handshake()
    client.logged_in().close()


def closed(gateway, before, source=CLIENT):
    sock = tcp(gateway.port, source)
    sock.settimeout(8)
    start = time.monotonic()
    try:
        sock.sendall(before)
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    sock.close()
    return time.monotonic() - start


BAD = {
    "tls at once": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "leading zero": b"PROXY TCP4 192.0.2.007 198.51.100.1 5555 993\r\n",
    "two spaces": b"PROXY  TCP4 192.0.2.7 198.51.100.1 5555 993\r\n",
    "port": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 993\r\n",
    "family": b"PROXY TCP4 2001:db8::7 198.51.100.1 5555 993\r\n",
    "too long": b"PROXY TCP4 " + b"1" * 200,
    "lf only": b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 993\n" + b" " * 80,
    "v2 version": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "v2 short": SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
    "v2 fields": v2(tlvs=b"\x01\x00\x40x"),
    "plain imap": b"a LOGIN b c\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed(gateway, name):
    assert closed(gateway, BAD[name]) < 4
    gateway.login().close()


def test_no_header_in_time(gateway):
    assert 0.7 < closed(gateway, b"PROXY ") < 5


def test_untrusted_source(gateway):
    assert closed(gateway, V1, "127.0.0.5") < 4
    assert not [e for e in gateway.events("session")
                if e.get("peer", "").startswith("192.0.2.7") and
                e.get("user")]


def test_a_balancers_own_checks_are_quiet(gateway):
    """Bare connects and LOCAL headers: counted, not logged one by one."""
    def lines():
        return len([e for e in gateway.events() if e["level"] != "debug"])
    before = lines()
    for _ in range(20):
        tcp(gateway.port).close()
        sock = tcp(gateway.port)
        sock.sendall(v2(command=0, family=0, body=b""))
        sock.close()
    gateway.login().close()
    gateway.wait_event("session", user=USER)
    wait_for(lambda: lines() - before >= 1)
    assert lines() - before < 10


def test_it_needs_trusted_networks(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           listen={"proxy_protocol": "required"})
    done = gateway.check("-t")
    assert done.returncode != 0
    assert "proxy_from" in done.stdout + done.stderr
