# SPDX-License-Identifier: ISC
"""The gateway's own dialogue. No backend takes part, but
for its capabilities."""
import pytest

from support import USER
from support.client import capabilities_of, tcp
from support.gateway import backend


@pytest.fixture
def gateway(make_gateway, make_backend):
    server = make_backend()
    made = make_gateway({"a": backend(server)}, limits={"login_attempts": 3})
    made.server = server
    made.start().wait_up()
    return made


@pytest.fixture
def client(gateway):
    with gateway.client() as made:
        made.first = made.greeting()
        yield made


NEVER = {"STARTTLS", "LOGINDISABLED", "LOGIN-REFERRALS", "MAILBOX-REFERRALS",
         "UNAUTHENTICATE", "COMPRESS=DEFLATE", "LITERAL+"}


def test_greeting(client):
    words = capabilities_of(client.first)
    assert {"IMAP4REV1", "ID", "SASL-IR", "AUTH=PLAIN"} <= words
    assert not NEVER & words


def test_capability(client):
    lines = client.command("CAPABILITY")
    assert len(lines) == 2 and lines[0].startswith(b"* CAPABILITY ")
    assert capabilities_of(lines[0]) == capabilities_of(client.first)


def test_capabilities_of_dovecot(make_gateway, dovecot):
    gateway = make_gateway({"a": backend(dovecot, "proxy_v2")}).start()
    gateway.wait_up()
    with gateway.client() as client:
        words = capabilities_of(client.greeting())
    assert {"IMAP4REV1", "ID", "SASL-IR", "LITERAL-", "AUTH=PLAIN"} <= words
    assert not NEVER & words


@pytest.mark.parametrize("command", ["NOOP", "noop", "NoOp"])
def test_noop(client, command):
    assert client.result(command).startswith(b"OK")


@pytest.mark.parametrize("arguments", [
    "NIL", "()", '("name" "x")', '("name" NIL)', '("name" "a" "os" "b\\"c")'])
def test_id(client, arguments):
    lines = client.command(f"ID {arguments}")
    assert lines[-1].split()[1] == b"OK"
    assert lines[0].startswith(b'* ID (') and b'"Sallyport"' in lines[0]


def test_id_of_thirty_pairs(client):
    """The most that RFC 2971 allows, about 32 KB, some of it as literals."""
    pairs = []
    for number in range(30):
        key = f"key{number:02}".ljust(30, "k")
        value = "v" * 1024
        pairs.append(f'"{key}" "{value}"' if number % 3 else
                     f'"{key}" {{1024+}}\r\n{value}')
    assert client.result(f"ID ({' '.join(pairs)})").startswith(b"OK")
    assert client.result("NOOP").startswith(b"OK")


def test_id_of_too_many_pairs(client):
    """Nobody may send these; what matters is that it does no harm."""
    pairs = " ".join(f'"k{n}" "v"' for n in range(300))
    client.result(f"ID ({pairs})")
    assert client.result("NOOP").startswith(b"OK")


def test_logout(client, gateway):
    client.send("x LOGOUT\r\ny NOOP\r\n")
    assert client.line().startswith(b"* BYE")
    assert client.line().startswith(b"x OK")
    assert client.rest() == b"" and client.end == "close_notify"
    event = gateway.wait_event("session", why="logout")
    assert event["state"].lower() == "preauth"


def test_starttls_is_bad(client):
    assert client.result("STARTTLS").startswith(b"BAD")
    assert client.result("NOOP").startswith(b"OK")


@pytest.mark.parametrize("command", [
    "SELECT INBOX", "UID FETCH 1 FLAGS", "IDLE", "COMPRESS DEFLATE", "XYZZY",
    "LOGIN", "LOGIN a", "LOGIN a b c", "NOOP x", "AUTHENTICATE"])
def test_bad(client, command):
    assert client.result(command).startswith(b"BAD")
    assert client.result("NOOP").startswith(b"OK")


def test_unknown_mechanism_is_refused(client):
    assert client.result("AUTHENTICATE ANONYMOUS")[:3] in (b"NO ", b"BAD")
    assert client.result("AUTHENTICATE EXTERNAL =")[:3] in (b"NO ", b"BAD")


def test_three_bad_commands_end_it(client, gateway):
    assert client.result("FROB").startswith(b"BAD")
    assert client.result("FROB").startswith(b"BAD")
    client.send("c FROB\r\n")
    rest = client.rest()
    assert b"* BYE" in rest and client.end == "close_notify"
    gateway.wait_event("session", why="bad_commands")


@pytest.mark.parametrize("line", [
    b" NOOP", b"NOOP", b"+ NOOP", b"a+b NOOP", b"a{b NOOP", b"(a) NOOP",
    b"a  NOOP", b'"a" NOOP', b"a\x00b NOOP", b"\xc3\xa4 NOOP", b"a\tNOOP",
    b"t" * 65 + b" NOOP"])
def test_tags_that_are_none(client, line):
    client.send(line + b"\r\nok1 NOOP\r\n")
    lines = client.until("ok1")
    assert b" BAD" in lines[0] or lines[0].startswith(b"* BAD"), lines
    assert lines[-1].startswith(b"ok1 OK")


def test_tag_of_64_octets(client):
    tag = b"t" * 64
    client.send(tag + b" NOOP\r\n")
    assert client.until(tag)[-1] .startswith(tag + b" OK")


def test_bare_lf_is_tolerated(client):
    client.send("a NOOP\nb NOOP\n")
    assert client.until("b")[-1].startswith(b"b OK")


def test_octet_by_octet(client):
    for octet in b"a NOOP\r\nb ID NIL\r\n":
        client.send(bytes([octet]))
    assert client.until("b")[-1].startswith(b"b OK")


def test_too_long_a_line(client, gateway):
    client.send(b"a NOOP " + b"x" * 9000 + b"\r\n")
    rest = client.rest()
    assert b"* BYE" in rest and client.end == "close_notify"
    gateway.wait_event("session", why="too_long")


def test_a_long_line_without_end(client):
    """Refused once it is too long, not when it ends."""
    client.send(b"a LOGIN " + b"x" * 20000)
    assert b"* BYE" in client.rest()


def test_http_in_tls(gateway):
    with gateway.client() as client:
        client.greeting()
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        rest = client.rest()
        assert b"HTTP" not in rest and rest.startswith(b"* BYE")
    gateway.wait_event("session", why="http_in_tls")


@pytest.mark.parametrize("text, why", [
    (b"a001 LOGIN anna nonsense\r\n", "plain_imap"),
    (b"a CAPABILITY\r\n", "plain_imap"),
    (b"GET / HTTP/1.1\r\nHost: mail\r\n\r\n", "plain_http"),
    (b"\x00\x01\x02garbage that is nothing", "not_tls")])
def test_no_tls(gateway, text, why):
    sock = tcp(gateway.port)
    sock.sendall(text)
    seen = b""
    try:
        while data := sock.recv(4096):
            seen += data
    except ConnectionResetError:
        pass
    sock.close()
    assert b"OK" not in seen and b"BYE" not in seen and b"HTTP" not in seen
    assert gateway.wait_event("session", why=why)["state"].lower() \
        == "handshake"


def test_failed_logins(client, gateway):
    """The tagged NO each time; after login_attempts of them BYE."""
    assert b" NO" in client.login(password="wrong")[-1]
    assert client.result("NOOP").startswith(b"OK")
    assert b" NO" in client.login(password="wrong")[-1]
    client.send(f'last LOGIN {USER} "wrong"\r\n')
    assert client.line().startswith(b"last NO")
    assert client.line().startswith(b"* BYE")
    assert client.rest() == b"" and client.end == "close_notify"
    gateway.wait_event("session", why="login_attempts")
    assert len(gateway.wait_events(3, "login")) == 3


def test_a_failed_login_can_be_repeated(client):
    assert b" NO" in client.login(password="wrong")[-1]
    assert b" OK" in client.login()[-1]


def test_mechanisms_and_login_command(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           listen={"mechanisms": "plain",
                                   "login_command": "off"}).start()
    gateway.wait_up()
    with gateway.client() as client:
        client.greeting()
        assert client.login()[-1].split()[1] in (b"NO", b"BAD")
        assert client.authenticate("LOGIN", b"a", b"b")[-1].split()[1] in (
            b"NO", b"BAD")
        assert b" OK" in client.authenticate(
            "PLAIN", b"\0anna\0s3cret-of-anna")[-1]
