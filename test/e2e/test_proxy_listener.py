# SPDX-License-Identifier: ISC
"""A listener behind a balancer: PROXY headers, from trusted networks only."""
import socket
import struct
import time

import pytest

from support import CLIENT, SCALE, USER, wait_for
from support.client import Client, tcp
from support.gateway import backend

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 993\r\n"
HARNESS = b"PROXY TCP4 192.0.2.99 198.51.100.1 5555 993\r\n"
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
    made.client = lambda before=HARNESS, **o: Client(made.port, before=before,
                                                     **o)
    made.start().wait_up()
    return made


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


WITHOUT_ADDRESS = {
    "v1 unknown": b"PROXY UNKNOWN\r\n",
    "v1 unknown with a rest": b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 5555 993\r\n",
    "v2 unspecified": v2(family=0, body=b""),
    "v2 udp": v2(family=0x12),
    "v2 unix": v2(family=0x31, body=bytes(216)),
    "v2 local": v2(command=0),
    "v2 local with rubbish": v2(command=0, family=0, body=b"PROXY TCP4"),
}


@pytest.mark.parametrize("name", WITHOUT_ADDRESS)
def test_a_header_without_an_address(gateway, name):
    """Then it is the sender's own; what follows is TLS all the same."""
    with gateway.login(before=WITHOUT_ADDRESS[name]) as client:
        port = client.socket.getsockname()[1]
    event = gateway.wait_event("session", user=USER)
    assert event["peer"] == f"{CLIENT}:{port}"


def places(header):
    """Where to cut it: everywhere in check-full."""
    step = 1 if SCALE >= 10 else 9
    return range(1, len(header), step)


@pytest.mark.parametrize("name", HEADERS)
def test_split_anywhere(gateway, name):
    header = HEADERS[name]
    for at in places(header):
        client = Client(gateway.port, before=header[:at], handshake=False)
        time.sleep(0.003)       # mostly it is read before the rest comes
        client.socket.sendall(header[at:])
        client.handshake()
        client.logged_in().close()
    wanted = "[2001:db8::7]:5555" if "six" in name else "192.0.2.7:5555"
    ended = gateway.wait_events(len(places(header)), "session", user=USER)
    assert {event["peer"] for event in ended} == {wanted}


@pytest.mark.parametrize("name", HEADERS)
def test_truncated_anywhere(gateway, name):
    """The end comes before its last octet: no answer, no line in the log."""
    header = HEADERS[name]
    for at in places(header):
        sock = tcp(gateway.port)
        sock.sendall(header[:at])
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"", at
        sock.close()
    gateway.login().close()
    gateway.wait_event("session", user=USER)
    assert not gateway.events("session", state="proxy")


def test_a_slow_header(make_gateway, make_backend):
    """Three seconds are not too long."""
    made = make_gateway(
        {"a": backend(make_backend())},
        listen={"proxy_protocol": "required", "proxy_from": f"{CLIENT}/32"})
    made.client = lambda before=V1, **o: Client(made.port, before=before, **o)
    made.start().wait_up()
    client = Client(made.port, before=V1[:9], handshake=False)
    time.sleep(3.1)
    client.socket.sendall(V1[9:])
    client.handshake()
    client.logged_in().close()


def test_a_header_that_nobody_asked_for(make_gateway, make_backend):
    """It is never guessed: on another listener it is no TLS."""
    made = make_gateway({"a": backend(make_backend())}).start()
    made.wait_up()
    for header in HEADERS.values():
        with pytest.raises(OSError):
            Client(made.port, before=header)
    ended = made.wait_events(len(HEADERS), "session", state="handshake")
    assert {event["peer"].split(":")[0] for event in ended} == {CLIENT}


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
    "v2 half a field": v2(tlvs=b"\x01\x00"),
    "v2 checksum": v2(tlvs=b"\x03\x00\x04abcd"),
    "v2 command": v2(command=2),
    "v2 family": v2(family=0x41),
    "v2 length": SIGNATURE + b"\x21\x11\xff\xff" + bytes(600),
    "plain imap": b"a LOGIN b c\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed(gateway, name):
    assert closed(gateway, BAD[name]) < 4
    gateway.login().close()


def test_no_header_in_time(gateway):
    assert 0.7 < closed(gateway, b"PROXY ") < 5


@pytest.mark.parametrize("name", sorted({**HEADERS, **WITHOUT_ADDRESS}))
def test_untrusted_source(gateway, name):
    """Refused before a byte is read, whatever it claims."""
    header = {**HEADERS, **WITHOUT_ADDRESS}[name]
    assert closed(gateway, header, "127.0.0.5") < 4
    event = gateway.wait_event("refused", why="proxy_untrusted")
    assert event["peer"].startswith("127.0.0.5:")
    assert {event["peer"].split(":")[0] for event in
            gateway.events("session")} <= {"192.0.2.99"}


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
