# SPDX-License-Identifier: ISC
"""TLS by hand: ClientHellos octet by octet, and what a server answered before
it encrypts (RFC 8446 sections 4 and 5)."""
import os
import socket
import struct

from .client import tcp

ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
SNI, GROUPS, SIGALGS, ALPN, EARLY_DATA, PSK = 0, 10, 13, 16, 42, 41
VERSIONS, MODES, SHARE = 43, 45, 51
X25519, P256, UNKNOWN_GROUP = 0x1d, 0x17, 0x1e
SIGNATURES = (0x403, 0x804, 0x401)


def short(data):
    return bytes([len(data)]) + data


def long(data):
    return struct.pack(">H", len(data)) + data


def numbers(*values):
    return b"".join(struct.pack(">H", value) for value in values)


def extension(kind, body):
    return numbers(kind) + long(body)


def sni(name, kind=0):
    return extension(SNI, long(bytes([kind]) + long(name)))


def alpn(*names):
    return extension(ALPN, long(b"".join(map(short, names))))


def shares(*groups):
    return extension(SHARE, long(b"".join(
        numbers(group) + long(os.urandom(32)) for group in groups)))


def psk():
    """Of a ticket that nobody made."""
    return extension(PSK, long(long(os.urandom(32)) + bytes(4)) +
                     long(short(os.urandom(32))))


def parts(**changes):
    """The extensions of an ordinary client, by name; None: left out."""
    usual = {
        "sni": sni(b"localhost"), "alpn": alpn(b"imap"),
        "versions": extension(VERSIONS, short(numbers(0x304, 0x303))),
        "groups": extension(GROUPS, long(numbers(X25519, P256))),
        "sigalgs": extension(SIGALGS, long(numbers(*SIGNATURES))),
        "modes": extension(MODES, b"\1\1"), "share": shares(X25519),
        **changes}
    return b"".join(part for part in usual.values() if part is not None)


OLDER = {"versions": None, "modes": None, "share": None}


def message(extensions, version=0x303, suites=(0x1301, 0x1303, 0xc02b),
            session=32, compression=b"\0"):
    """A ClientHello."""
    body = numbers(version) + os.urandom(32) + short(os.urandom(session)) + \
        long(numbers(*suites)) + short(compression) + long(extensions)
    return b"\1" + struct.pack(">I", len(body))[1:] + body


def record(data, kind=HANDSHAKE, version=0x301):
    return bytes([kind]) + numbers(version) + long(data)


def hello(**changes):
    return record(message(parts(**changes)))


def hello_12(version=0x303, suites=(0xc02b,), **changes):
    """Of a client that knows nothing later than TLS 1.2."""
    return record(message(parts(**{**OLDER, **changes}), version, suites))


def records(data):
    """[(type, body)] of whole records."""
    found = []
    while len(data) >= 5:
        length = struct.unpack(">H", data[3:5])[0]
        found.append((data[0], data[5:5 + length]))
        data = data[5 + length:]
    return found


def answer(port, *pieces, fin=False, seconds=20):
    """What comes until a server's first flight or an end; how it ended: "go
    on", "fin", "reset", or the number of a fatal alert in clear. After an alert
    its FIN must come, too."""
    with tcp(port, timeout=seconds) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            for piece in pieces:
                sock.sendall(piece)
            if fin:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass        # it may have said what it thinks already
        while True:
            try:
                more = sock.recv(65536)
            except ConnectionResetError:
                return "reset"
            if not more:
                break
            data += more
            if data[0] == HANDSHAKE and not fin:
                return "go on"
    if len(data) == 7 and data[0] == ALERT and data[5] == 2:
        return data[6]
    return "go on" if data[:1] == bytes([HANDSHAKE]) else "fin"
