# SPDX-License-Identifier: ISC
"""TLS below the libraries: what the gateway answers to ClientHellos that none
of them sends, that the answer arrives whole, and that handshakes which end
half-way leave nothing behind."""
import os
import ssl

import pytest

from support import SANITIZED, scaled, wait_for
from support.client import context, reset, tcp
from support.gateway import backend, memory_of
from support.wire import ALERT, APPLICATION, EARLY_DATA, GROUPS, P256, \
    SHARE, SIGALGS, UNKNOWN_GROUP, VERSIONS, X25519, alpn, answer, extension, \
    hello, hello_12, long, message, numbers, parts, psk, record, shares, short, \
    sni

UNEXPECTED, OVERFLOW, FAILURE, ILLEGAL, DECODE = 10, 22, 40, 47, 50
VERSION, MISSING, NAME, PROTOCOL = 70, 109, 112, 120


def versions(*offered):
    return extension(VERSIONS, short(numbers(*offered)))


def sigalgs(*offered):
    return extension(SIGALGS, long(numbers(*offered)))


# What is sent, and the alert. A library's word differs from the standard's
# here and there: (50, 47) is either's.
HELLOS = {
    "ordinary": (hello(), "go on"),
    "ordinary 1.2": (hello_12(), "go on"),
    # RFC 8446 section 4.1.2 and appendix D.5
    "legacy version 3.0": (record(message(parts(), 0x300)), VERSION),
    "legacy version 0.0": (record(message(parts(), 0)), VERSION),
    "legacy version 3.1": (record(message(parts(), 0x301)), "go on"),
    "legacy version 3.4": (record(message(parts(), 0x304)), "go on"),
    "1.0": (hello_12(version=0x301), VERSION),
    "1.1": (hello_12(version=0x302), VERSION),
    "3.0": (hello_12(version=0x300), VERSION),
    "1.1 among supported versions": (
        hello(versions=versions(0x302)), VERSION),
    "an unknown version, too": (
        hello(versions=versions(0x7a7a, 0x304)), "go on"),
    "no version": (hello(versions=extension(VERSIONS, b"\0")), DECODE),
    "half a version": (hello(versions=extension(
        VERSIONS, short(b"\3\4\3"))), DECODE),
    "octets behind the versions": (hello(versions=extension(
        VERSIONS, b"\2\3\4\3\3")), DECODE),
    # 4.2.1, 4.1.2: the list alone counts, whatever is malformed in it
    "half a version, no share": (hello(share=None, groups=None,
        versions=extension(VERSIONS, short(b"\3\4\3"))), DECODE),
    "compression": (record(message(parts(), compression=b"\1\0")), ILLEGAL),
    "session id of 33": (record(message(parts(), session=33)),
                         (DECODE, ILLEGAL)),
    "no suites": (record(message(parts(), suites=())), (DECODE, ILLEGAL)),
    "no common suite": (record(message(parts(), suites=(0x1304,))), FAILURE),
    "static RSA": (hello_12(suites=(0x9c, 0x2f)), FAILURE),
    "fallback": (hello_12(suites=(0xc02b, 0x5600)), 86),
    "twice the same extension": (
        hello(more=extension(0x1234, b"") * 2), (DECODE, ILLEGAL)),
    "an unknown extension": (hello(more=extension(0x1234, b"x")), "go on"),
    # section 9.2
    "no signature algorithms": (hello(sigalgs=None), MISSING),
    "no groups": (hello(groups=None), MISSING),
    "no share": (hello(share=None), MISSING),
    "no groups, no share": (hello(groups=None, share=None), MISSING),
    "PSK without modes": (hello(modes=None, more=psk()), MISSING),
    "PSK of nobody": (hello(more=psk()), "go on"),
    "PSK not last": (hello(more=psk() + extension(0x1234, b"")), ILLEGAL),
    # sections 4.2.3 and 4.2.8
    "signatures of 1.2 only": (hello(sigalgs=sigalgs(0x401)), FAILURE),
    "unknown signatures": (hello(sigalgs=sigalgs(0x7a7a)), FAILURE),
    "unknown signatures, 1.2": (
        hello_12(sigalgs=sigalgs(0x7a7a)), FAILURE),
    "no signatures, 1.2": (hello_12(sigalgs=None), FAILURE),
    "no signature in the list": (hello(sigalgs=sigalgs()), DECODE),
    "half a signature": (hello(sigalgs=extension(SIGALGS, long(b"\4\3\5"))),
                         DECODE),
    "octets behind the list": (hello(sigalgs=extension(
        SIGALGS, b"\0\2\x7a\x7a" + b"\4\3")), DECODE),
    "a short list": (hello(sigalgs=extension(SIGALGS, b"\0\1\4\3")), DECODE),
    "unknown groups": (hello(groups=extension(
        GROUPS, long(numbers(UNKNOWN_GROUP))), share=shares(UNKNOWN_GROUP)),
        FAILURE),
    "no share in the list": (hello(share=extension(SHARE, long(b""))),
                             "go on"),
    "two shares of a group": (hello(share=shares(X25519, X25519)), ILLEGAL),
    "a share of zeros": (hello(share=extension(
        SHARE, long(numbers(X25519) + long(bytes(32))))), (DECODE, ILLEGAL)),
    "a share of 31": (hello(share=extension(
        SHARE, long(numbers(X25519) + long(bytes(31))))), (DECODE, ILLEGAL)),
    # RFC 7301
    "no ALPN": (hello(alpn=None), "go on"),
    "imap behind 255 octets": (hello(alpn=alpn(b"x" * 255, b"imap")), "go on"),
    "255 octets": (hello(alpn=alpn(b"x" * 255)), PROTOCOL),
    "imap and a NUL": (hello(alpn=alpn(b"imap\0")), PROTOCOL),
    "an empty ALPN list": (hello(alpn=alpn()), DECODE),
    "an empty name beside imap": (hello(alpn=alpn(b"imap", b"")),
                                  (DECODE, ILLEGAL)),
    "two ALPN extensions": (hello(more=alpn(b"imap")), (DECODE, ILLEGAL)),
    # RFC 6066
    "no SNI": (hello(sni=None), "go on"),
    "an empty name": (hello(sni=sni(b"")), (DECODE, NAME)),
    "an empty SNI list": (hello(sni=extension(0, long(b""))), DECODE),
    "a name with NUL": (hello(sni=sni(b"local\0host")), NAME),
    "a name of 255": (hello(sni=sni((b"x" * 63 + b".") * 3 + b"x" * 63)),
                      "go on"),
    "a name of 256": (hello(sni=sni(b"x" * 256)), (DECODE, NAME)),
    "an address": (hello(sni=sni(b"192.0.2.1")), "go on"),
    "a trailing dot": (hello(sni=sni(b"localhost.")), "go on"),
    # the record layer
    "a record of nothing first": (record(b"") + hello(), "go on"),
    "a change_cipher_spec first": (record(b"\1", 20) + hello(), UNEXPECTED),
    "application data first": (record(b"x", APPLICATION), UNEXPECTED),
    "heartbeat": (record(b"\1\0\x20", 24), UNEXPECTED),
    "an alert of one octet": (record(b"\2", ALERT), DECODE),
    "four warnings": (record(b"\1\x5a", ALERT) * 4 + hello(), "go on"),
    "a thousand warnings": (record(b"\1\x5a", ALERT) * 1000, UNEXPECTED),
    "a record of 64K": (b"\x16\3\1\xff\xff" + bytes(70000), OVERFLOW),
    "a record of version 4": (record(message(parts()), version=0x400),
                              VERSION),
    "a record of version 3.0": (record(message(parts()), version=0x300),
                                "go on"),
    "two messages in a record": (record(message(parts()) * 2), UNEXPECTED),
    "another message": (record(b"\x14\0\0\x0c" + bytes(12)), UNEXPECTED),
    "a message of nothing": (record(b"\1\0\0\0"), DECODE),
    "a megabyte announced": (record(b"\1\x10\0\0" + bytes(16000)) * 3,
                             ILLEGAL),
    "SSLv2": (b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(37), VERSION),
}


@pytest.fixture(scope="module")
def module_gateway(scratch, leaf):
    from support.backend import Backend
    from support.gateway import Gateway
    server = Backend()
    made = Gateway(scratch / "wire", leaf, {"a": backend(server)},
                   gateway={"workers": 1}).start()
    made.wait_up()
    yield made
    status = made.stop()
    server.stop()
    assert status == 0 and not made.find_problems()


@pytest.mark.parametrize("name", HELLOS)
def test_hello(module_gateway, name):
    data, expected = HELLOS[name]
    found = answer(module_gateway.port, data)
    assert found in (expected if isinstance(expected, tuple)
                     else (expected,)), found


def test_a_missing_extension_is_named(module_gateway):
    assert answer(module_gateway.port, hello(groups=None)) == MISSING
    event = module_gateway.wait_event("session", alert=MISSING)
    assert event["why"] == "tls_protocol", event
    assert event["text"] == "MISSING_EXTENSION", event


# The fault is the client's: nothing here is tls_internal.
BLAME = {
    "a fatal alert": (record(b"\2\x28", ALERT), "tls_alert", "client"),
    "a fatal close_notify": (record(b"\2\0", ALERT), "tls_alert", "client"),
    "close_notify": (record(b"\1\0", ALERT), "tls_left", "client"),
    "an empty name": (hello(sni=sni(b"")), "tls_sni", "gateway"),
    "a malformed name": (hello(sni=extension(0, b"\0")), "tls_protocol",
                         "gateway"),
}


@pytest.mark.parametrize("name", BLAME)
def test_who_is_to_blame(make_gateway, make_backend, name):
    data, why, who = BLAME[name]
    gateway = make_gateway({"a": backend(make_backend())}).start()
    answer(gateway.port, data)
    wait_for(lambda: [e for e in gateway.events("session", state="handshake")
                      if e["why"] != "truncated"])
    event, = [e for e in gateway.events("session", state="handshake")
              if e["why"] != "truncated"]
    assert (event["why"], event["who"]) == (why, who), event


def test_early_data_is_skipped(module_gateway):
    data = hello(more=extension(EARLY_DATA, b"") + psk()) + \
        record(os.urandom(500), APPLICATION, 0x303)
    assert answer(module_gateway.port, data, fin=True) == "go on"


def test_hello_in_many_records(module_gateway):
    whole = message(parts(more=extension(21, bytes(15000))))
    sliced = b"".join(record(whole[i:i + 3]) for i in range(0, len(whole), 3))
    assert answer(module_gateway.port, sliced) == "go on"
    assert answer(module_gateway.port,
                  *(sliced[i:i + 1000] for i in range(0, len(sliced), 1000))
                  ) == "go on"


@pytest.mark.parametrize("data", [
    hello(alpn=alpn(b"h2")), record(b"x", APPLICATION),
    b"a1 CAPABILITY\r\n"], ids=["ALPN", "type", "IMAP"])
def test_nothing_destroys_an_alert(module_gateway, data):
    """Whatever is behind it unread: no RST overtakes it."""
    found = answer(module_gateway.port, data, os.urandom(400_000))
    assert isinstance(found, int), found
    assert answer(module_gateway.port, data, fin=True) == found


def test_an_alert_in_a_session_arrives(module_gateway):
    with module_gateway.client() as client:
        client.greeting()
        client.socket.sendall(record(os.urandom(60), APPLICATION, 0x303) +
                              os.urandom(400_000))
        assert client.rest() == b"" and client.end == "alert"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_records_of_an_octet(module_gateway, version):
    with module_gateway.client(tls=context(version=version)) as client:
        client.greeting()
        data = b"".join(client.encrypt(bytes([octet]))
                        for octet in b"x NOOP\r\n" * 20)
        for octet in data[:400]:
            client.socket.sendall(bytes([octet]))
        client.socket.sendall(data[400:])
        for _ in range(20):
            assert client.line() == b"x OK NOOP completed."


def test_urgent_data(module_gateway):
    """An octet out of band is not part of the stream."""
    with module_gateway.client() as client:
        client.greeting()
        client.socket.send(b"!", 1)     # MSG_OOB
        assert client.result("NOOP").startswith(b"OK")


# --- handshakes that end half-way ---

def after(data, answered=False, how=reset):
    def attack(sock):
        sock.sendall(data())
        if answered:
            sock.recv(65536)
        how(sock)
    return attack


def retry():
    return hello(groups=extension(GROUPS, long(numbers(UNKNOWN_GROUP, P256))),
                 share=shares(UNKNOWN_GROUP))


PHASES = {
    "nothing": reset,
    "half a hello": after(lambda: hello()[:100]),
    "half a hello, FIN": after(lambda: hello()[:100], how=lambda s: s.close()),
    "a hello": after(hello),
    "a hello, FIN": after(hello, how=lambda s: s.close()),
    "the flight": after(hello, True),
    "the flight of 1.2": after(hello_12, True),
    "HelloRetryRequest": after(retry, True),
    "an alert": after(lambda: hello(alpn=alpn(b"h2")), True),
    "a broken Finished": after(lambda: hello() + record(
        os.urandom(60), APPLICATION, 0x303), True),
}


def descriptors(pid):
    if os.getuid() != 0:
        return 0    # Nobody else may look: no process is dumpable.
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_aborted_handshakes_leave_nothing(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           gateway={"workers": 1}).start()
    gateway.wait_up()
    worker, = gateway.pids("worker")
    keeper, = gateway.pids("keeper")

    def attack(count):
        for number in range(count):
            sock = tcp(gateway.port)
            try:
                list(PHASES.values())[number % len(PHASES)](sock)
            except ConnectionResetError:
                pass
            finally:
                sock.close()
    attack(300)
    gateway.login().close()
    wait_for(lambda: not gateway.ctl("sessions"))
    files, memory = descriptors(worker), memory_of(worker)
    held = memory_of(keeper)
    count = scaled(1500)
    attack(count)
    gateway.login().close()
    wait_for(lambda: descriptors(worker) <= files)
    wait_for(lambda: not gateway.ctl("sessions"))
    if not SANITIZED:
        assert memory_of(worker) - memory < 256 << 10
        assert memory_of(keeper) - held < 256 << 10
