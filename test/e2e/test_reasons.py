# SPDX-License-Identifier: ISC
"""Every reason for which a client is turned away or ends: a client that
provokes it, and then its counter, its event and `ctl why` name it. The reasons
are read from the tables of the sources: one without a case fails a test."""
import re
import ssl
import subprocess
import threading

import pytest

from support import CLIENT, GATEWAY, TOP, wait_for
from support.certs import Certs
from support.client import Client, context, is_refused, reset, tcp
from support.gateway import backend
from support.observe import scrape, with_metrics

STRANGER = "127.1.0.1"
OTHER = "127.1.0.2"

FAILED = "sallyport_handshake_failures_total"
ENDED = "sallyport_connections_ended_total"
REFUSED = "sallyport_connections_refused_total"


def table(path, name):
    """The words of an X-macro table."""
    text = (TOP / path).read_text()
    rows = re.search(r"#define %s\(X\)(.*?[^\\])\n" % name, text, re.S)
    return re.findall(r'X\(\w+,\s*"([a-z_0-9]+)"\)', rows.group(1))


REASONS = {(FAILED, word) for word in table("tls/failure.h", "TLS_FAILURES")} \
    | {(ENDED, word) for word in table("proxy/ipc/reason.h", "END_REASONS")} \
    | {(REFUSED, word) for word in table("proxy/ipc/slot.h", "SLOT_REFUSALS")}

# Why no client can bring it about.
OUT_OF_REACH = {
    (FAILED, "none"): "no reason",
    (ENDED, "none"): "no reason",
    (FAILED, "tls_no_certificate"): "the start is refused without one",
    (FAILED, "tls_backend_certificate"): "of a backend: a verdict tells it",
    (FAILED, "tls_key"): "a keeper that died is asked again (test_keeper)",
    (FAILED, "tls_internal"): "a fault of ours",
    (ENDED, "internal"): "a fault of ours",
    (ENDED, "memory"): "takes an allocation that fails",
    (REFUSED, "memory"): "takes an allocation that fails",
}

SETUPS = {}


class Setup:
    """A gateway of some configuration and the cases that it serves."""

    def __init__(self, name, **sections):
        self.sections = sections
        self.cases = []
        SETUPS[name] = self

    def case(self, *reasons, event=None):
        """The reasons (counter, word) that the function provokes. `event` is
        the word of the event where it is another one."""
        def add(function):
            for metric, word in reasons:
                self.cases.append((metric, word, event or word, function))
            return function
        return add


def raw(gateway, data, then=None, source=CLIENT):
    with tcp(gateway.port, source) as sock:
        sock.sendall(data)
        if then == "reset":
            reset(sock)
        elif then == "wait":
            sock.settimeout(20)
            try:
                while sock.recv(1000):
                    pass
            except ConnectionError:
                pass


def shake(gateway, name="localhost", **options):
    with pytest.raises(OSError):
        with Client(gateway.port, server_name=name,
                    tls=context(**options)) as client:
            assert client.line() == b"" and client.end == "alert"
            raise ssl.SSLError


def s_client(gateway, *options):
    subprocess.run(["openssl", "s_client", "-connect",
                    f"{GATEWAY}:{gateway.port}", "-bind", f"{CLIENT}:0",
                    "-servername", "localhost", *options],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                   check=False)


# --- the handshake -----------------------------------------------------------

policy = Setup("policy",
               tls={"sni": "strict", "handshake_timeout": "1s",
                    "groups": "X25519:P-256"},
               limits={"login_attempts": 2, "preauth_timeout": "3s"},
               pool={"idle_timeout": "1s"})


@policy.case((FAILED, "tls_version"))
def version(gateway):
    shake(gateway, version=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0")


@policy.case((FAILED, "tls_cipher"))
def cipher(gateway):
    shake(gateway, version=ssl.TLSVersion.TLSv1_2,
          ciphers="AES128-GCM-SHA256")


@policy.case((FAILED, "tls_group"))
def group(gateway):
    s_client(gateway, "-tls1_3", "-groups", "P-521")


@policy.case((FAILED, "tls_sigalg"))
def sigalg(gateway):
    s_client(gateway, "-tls1_3", "-sigalgs", "ed25519")


@policy.case((FAILED, "tls_alpn"))
def alpn(gateway):
    shake(gateway, alpn=("h2",))


@policy.case((ENDED, "tls"), event="tls_alpn")
def any_failure(gateway):
    alpn(gateway)


@policy.case((FAILED, "tls_sni"))
def sni(gateway):
    shake(gateway, "nobody.example.net")


@policy.case((FAILED, "plain_imap"))
def plain_imap(gateway):
    raw(gateway, b"a1 LOGIN x y\r\n")


@policy.case((FAILED, "plain_http"))
def plain_http(gateway):
    raw(gateway, b"GET / HTTP/1.1\r\n\r\n")


@policy.case((FAILED, "not_tls"))
def not_tls(gateway):
    raw(gateway, b"\0\1\2\3\4\5\6\7")


@policy.case((FAILED, "tls_alert"))
def distrust(gateway):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    with pytest.raises(ssl.SSLError):
        Client(gateway.port, tls=tls)


@policy.case((FAILED, "tls_protocol"))
def bad_hello(gateway):
    raw(gateway, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "wait")


@policy.case((FAILED, "tls_timeout"), (ENDED, "timeout_handshake"),
             event="timeout_handshake")
def silence(gateway):
    raw(gateway, b"", "wait")


@policy.case((FAILED, "tls_reset"), event="reset")
def reset_in_handshake(gateway):
    raw(gateway, b"\x16\x03\x01", "reset")


@policy.case((FAILED, "tls_left"), event="truncated")
def left_in_handshake(gateway):
    raw(gateway, b"\x16\x03\x01")


# --- before and after the login ----------------------------------------------

def talk(gateway, *lines):
    """Until the gateway ends it."""
    with gateway.client() as client:
        client.greeting()
        for line in lines:
            client.send(line)
        client.rest()


@policy.case((ENDED, "logout"))
def logout(gateway):
    talk(gateway, "a LOGOUT\r\n")


@policy.case((ENDED, "closed"))
def close_notify(gateway):
    with gateway.client() as client:
        client.greeting()
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.flush()
        client.rest()


@policy.case((ENDED, "truncated"))
def fin(gateway):
    with gateway.client() as client:
        client.greeting()


@policy.case((ENDED, "reset"))
def rst(gateway):
    client = gateway.client()
    client.greeting()
    client.reset()


@policy.case((ENDED, "timeout_preauth"))
def dawdle(gateway):
    talk(gateway)


@policy.case((ENDED, "timeout_idle"))
def idle(gateway):
    with gateway.login() as client:
        client.rest()


@policy.case((ENDED, "bad_commands"))
def nonsense(gateway):
    talk(gateway, "a FROB\r\n" * 3)


@policy.case((ENDED, "too_long"))
def long_line(gateway):
    talk(gateway, b"a NOOP " + b"x" * 9000 + b"\r\n")


@policy.case((ENDED, "http_in_tls"))
def http_in_tls(gateway):
    talk(gateway, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")


@policy.case((ENDED, "login_attempts"))
def guesses(gateway):
    talk(gateway, 'a LOGIN x "wrong"\r\n', 'b LOGIN x "wrong"\r\n')


@policy.case((ENDED, "kicked"))
def kicked(gateway):
    with gateway.client() as client:
        client.greeting()
        gateway.ctl("kick", "address", CLIENT)
        client.rest()


@Setup("drain", gateway={"drain_timeout": "1s"}).case((ENDED, "drain"))
def drain(gateway):
    with gateway.login() as client:
        gateway.ctl("backend", "a", "drain")
        client.rest()


Setup("certificates", tls={"client_certificates": "optional"}).case(
    (FAILED, "tls_client_certificate"))(
        lambda gateway: shake(gateway, certificate=gateway.stranger))


# --- limits ------------------------------------------------------------------

limits = Setup("limits", listen={"allow": "127.0.0.0/15"}, limits={
    "deny": "127.1.9.0/24", "connections_per_ip": 3, "preauth_per_ip": 2,
    "connect_rate_per_ip": "1/m", "connect_burst_per_ip": 5})


def expect_refused(gateway, source):
    wait_for(lambda: is_refused(gateway, source), what="a refusal")


@limits.case((REFUSED, "denied"))
def denied(gateway):
    expect_refused(gateway, "127.1.9.1")


@limits.case((REFUSED, "not_allowed"))
def not_allowed(gateway):
    expect_refused(gateway, "127.2.0.1")


@limits.case((REFUSED, "banned"))
def banned(gateway):
    gateway.ctl("ban", "127.1.0.3", "1m")
    expect_refused(gateway, "127.1.0.3")


@limits.case((REFUSED, "connections_per_ip"))
def connections(gateway):
    held = [gateway.login(source=STRANGER) for _ in range(3)]
    expect_refused(gateway, STRANGER)
    for client in held:
        client.close()


@limits.case((REFUSED, "preauth_per_ip"), (ENDED, "preauth_per_ip"))
def slow_logins(gateway):
    """Two wait for a verdict; the third waits for them, and in vain."""
    answer, plain = threading.Event(), gateway.server.on_login

    def slowly(connection, tag):
        answer.wait(20)
        plain(connection, tag)
    gateway.server.on_login = slowly
    held = [gateway.client(source="127.1.0.4") for _ in range(2)]
    for client in held:
        client.greeting()
        client.send("a LOGIN nobody x\r\n")
    wait_for(lambda: len(gateway.server.logins()) >= 2)
    assert is_refused(gateway, "127.1.0.4", 15)
    gateway.server.on_login = plain
    answer.set()
    for client in held:
        client.close()


@limits.case((REFUSED, "connect_rate"))
def rate(gateway):
    for _ in range(5):
        gateway.login(source=OTHER).close()
    expect_refused(gateway, OTHER)


room = Setup("room", gateway={"workers": 1, "max_connections": 4},
             limits={"exempt": "127.0.0.0/8"})


@room.case((REFUSED, "shed"), (ENDED, "shed"))
def shed(gateway):
    held = [gateway.client() for _ in range(4)]
    gateway.login().close()
    for client in held:
        client.close()


crowd = Setup("crowd", limits={"table_entries": 1024, "overflow": "refuse",
                               "handshake_rate": "1/m"})


@crowd.case((FAILED, "handshake_rate"))
def handshakes(gateway):
    def strangers():
        try:
            gateway.client(source=STRANGER).close()
        except OSError:
            return True
        return False
    wait_for(strangers)


@crowd.case((REFUSED, "table_full"))
def table_full(gateway):
    held = []
    while not gateway.events("refused", why="table_full"):
        for _ in range(200):
            number = len(held)
            held.append(tcp(gateway.port, f"127.3.{number // 250}."
                                          f"{number % 250 + 1}"))
        assert len(held) < 4000
    for sock in held:
        sock.close()


# --- behind a balancer -------------------------------------------------------

def header(client):
    return f"PROXY TCP4 {client} 198.51.100.1 5555 993\r\n".encode()


balancer = Setup("balancer", listen={
    "proxy_protocol": "required", "proxy_from": f"{CLIENT}/32"}, limits={
    "proxy_timeout": "1s", "deny": "192.0.2.66/32", "connections_per_ip": 3,
    "connect_rate_per_ip": "1/m", "connect_burst_per_ip": 5,
    "table_entries": 1024, "overflow": "refuse"})


@balancer.case((REFUSED, "proxy_untrusted"))
def untrusted(gateway):
    expect_refused(gateway, STRANGER)


@balancer.case((ENDED, "proxy_header"))
def bad_header(gateway):
    raw(gateway, b"PROXY TCP4 192.0.2.007 x y\r\n", "wait")


@balancer.case((ENDED, "timeout_proxy"))
def half_a_header(gateway):
    raw(gateway, b"PROXY TCP4", "wait")


@balancer.case((ENDED, "denied"))
def denied_behind(gateway):
    raw(gateway, header("192.0.2.66"), "wait")


@balancer.case((ENDED, "banned"))
def banned_behind(gateway):
    gateway.ctl("ban", "192.0.2.1", "1m")
    raw(gateway, header("192.0.2.1"), "wait")


@balancer.case((ENDED, "connections_per_ip"))
def connections_behind(gateway):
    held = [gateway.login(before=header("192.0.2.2")) for _ in range(3)]
    raw(gateway, header("192.0.2.2"), "wait")
    for client in held:
        client.close()


@balancer.case((ENDED, "connect_rate"))
def rate_behind(gateway):
    for _ in range(5):
        gateway.login(before=header("192.0.2.3")).close()
    raw(gateway, header("192.0.2.3"), "wait")


@balancer.case((ENDED, "table_full"))
def table_full_behind(gateway):
    held = []
    while not gateway.events("refused", why="table_full"):
        for _ in range(200):
            number = len(held)
            held.append(tcp(gateway.port))
            held[-1].sendall(header(f"203.0.{number // 250}."
                                    f"{number % 250 + 1}"))
        assert len(held) < 4000
    for sock in held:
        sock.close()


@Setup("no backend").case((ENDED, "pool_down"))
def pool_down(gateway):
    with gateway.client() as client:
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")


# --- the tests ---------------------------------------------------------------

def test_every_reason_has_a_case():
    covered = [(metric, word) for setup in SETUPS.values()
               for metric, word, *_ in setup.cases]
    assert len(covered) == len(set(covered)) and len(REASONS) > 40
    assert set(covered) | set(OUT_OF_REACH) == REASONS
    assert not set(covered) & set(OUT_OF_REACH)


@pytest.fixture
def start(make_gateway, make_backend, scratch):
    def begin(name, sections):
        server = make_backend()
        gateway = with_metrics(make_gateway({"a": backend(server)},
                                            limits={"exempt": f"{CLIENT}/32"}))
        for section, keys in sections.items():
            section = {"listen": "listen imaps", "tls": "tls public",
                       "pool": "pool mail"}.get(section, section)
            gateway.config[section].update(keys)
        if name == "balancer":
            gateway.client = lambda before=header("192.0.2.200"), **options: \
                Client(gateway.port, before=before, **options)
        if name == "certificates":
            gateway.config["tls public"]["client_ca"] = \
                Certs(scratch / "authority").ca
            gateway.stranger = Certs(scratch / "unknown").client(
                "x", "email:x@test")
        gateway.server = server
        gateway.start()
        if name == "no backend":
            server.stop()
            gateway.wait_down()
        else:
            gateway.wait_up()
        return gateway
    return begin


def check(gateway, before, metric, word, event):
    key = f'{metric}{{reason="{word}"}}'
    wait_for(lambda: scrape(gateway)[key] > before[key], what=f"a count {key}")
    kinds = ("refused", "session")

    def is_told(found):
        return found.get("event") in kinds and found.get("why") == event

    def addresses():
        return {found["peer"].rsplit(":", 1)[0].strip("[]")
                for found in gateway.events() if is_told(found)}
    wait_for(addresses, what=f"an event {event}")
    # It may still be on its way: what is in the log may be older ones.
    wait_for(lambda: any(is_told(row) for address in addresses()
                         for row in gateway.ctl("why", address)),
             what=f"{event} in why of {addresses()}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SETUPS)
def test_reasons(start, name):
    gateway = start(name, SETUPS[name].sections)
    done = set()
    for metric, word, event, attack in SETUPS[name].cases:
        if attack not in done:
            before = scrape(gateway)
            attack(gateway)
            done.add(attack)
        check(gateway, before, metric, word, event)
