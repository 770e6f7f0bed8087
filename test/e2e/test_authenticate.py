# SPDX-License-Identifier: ISC
"""AUTHENTICATE: mechanisms the gateway reads, and those it relays."""
import base64
import hmac

import pytest

from support import MARK, PASSWORD, USER
from support.backend import Backend
from support.client import Imap, capabilities_of
from support.gateway import backend

PLAIN = f"\0{USER}\0{PASSWORD}".encode()
TOKEN = f"{MARK}-token-" + "t" * 6000
XOAUTH2 = f"user={USER}\1auth=Bearer {TOKEN}\1\1".encode()
OAUTHBEARER = f"n,a={USER},\1host=x\1port=993\1auth=Bearer {TOKEN}\1\1" \
    .encode()


class Modern(Backend):
    """Every mechanism; a token is refused with a challenge first."""

    capabilities = ("IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=XOAUTH2 "
                    "AUTH=OAUTHBEARER AUTH=CRAM-MD5")
    accept_tokens = True

    def on_login(self, connection, tag):
        if connection.user not in (b"XOAUTH2", b"OAUTHBEARER"):
            super().on_login(connection, tag)
        elif self.accept_tokens:
            self.verdict(connection, tag, True)
        else:
            connection.send(b"+ " + base64.b64encode(
                b'{"status":"401"}') + b"\r\n")
            connection.answer = connection.line()
            connection.send(f"{tag} NO [AUTHENTICATIONFAILED] expired\r\n")


@pytest.fixture
def server(make_backend):
    return make_backend(Modern)


@pytest.fixture
def gateway(make_gateway, server):
    made = make_gateway({"a": backend(server)}).start()
    made.wait_up()
    return made


@pytest.fixture
def client(gateway):
    with gateway.client() as made:
        made.first = made.greeting()
        yield made


both = pytest.mark.parametrize("initial", [True, False],
                               ids=["initial", "continued"])


@both
def test_plain(client, server, initial):
    assert b" OK" in client.authenticate("PLAIN", PLAIN, initial=initial)[-1]
    login = server.logins()[0]
    assert (login.user, login.password) == (USER.encode(), PASSWORD.encode())


@both
def test_login(client, server, initial):
    """Converted: the backend knows no AUTH=LOGIN."""
    lines = client.authenticate("LOGIN", USER.encode(), PASSWORD.encode(),
                                initial=initial)
    assert b" OK" in lines[-1]
    login = server.logins()[0]
    assert (login.user, login.password) == (USER.encode(), PASSWORD.encode())


@both
@pytest.mark.parametrize("mechanism, message", [
    ("XOAUTH2", XOAUTH2), ("OAUTHBEARER", OAUTHBEARER)])
def test_tokens(client, gateway, server, mechanism, message, initial):
    lines = client.authenticate(mechanism, message, initial=initial)
    assert b" OK" in lines[-1], lines
    assert server.logins()[0].password == message
    assert gateway.wait_event("login")["user"] == USER


@pytest.mark.parametrize("mechanism, message", [
    ("XOAUTH2", XOAUTH2), ("OAUTHBEARER", OAUTHBEARER)])
def test_a_refused_token(client, server, mechanism, message):
    """The challenge with the reason passes, and the answer to it."""
    server.accept_tokens = False
    answer = b"" if mechanism == "XOAUTH2" else b"\1"
    lines = client.authenticate(mechanism, message, answer)
    assert base64.b64decode(lines[-2][2:]) == b'{"status":"401"}'
    assert b" NO [AUTHENTICATIONFAILED]" in lines[-1]
    assert client.result("NOOP").startswith(b"OK")


def test_cram_md5_is_relayed(client, server):
    assert "AUTH=CRAM-MD5" in capabilities_of(client.first)
    client.send("a AUTHENTICATE CRAM-MD5\r\n")
    challenge = base64.b64decode(client.line()[2:])
    digest = hmac.new(PASSWORD.encode(), challenge, "md5").hexdigest()
    client.send(base64.b64encode(f"{USER} {digest}".encode()) + b"\r\n")
    assert client.until("a")[-1].startswith(b"a OK")
    assert server.logins()[0].logged_in


def test_cram_md5_with_dovecot(make_gateway, make_dovecot):
    dovecot = make_dovecot("cram", mechanisms="plain login cram-md5")
    gateway = make_gateway({"a": backend(dovecot, "proxy_v2")}).start()
    gateway.wait_up()
    with Imap(gateway.port) as imap:
        assert imap.login_cram_md5(USER, PASSWORD)[0] == "OK"
        assert imap.select("INBOX")[0] == "OK"


def test_a_relayed_mechanism_can_be_cancelled(client):
    client.send("a AUTHENTICATE CRAM-MD5\r\n")
    assert client.line().startswith(b"+")
    client.send("*\r\n")
    assert client.until("a")[-1].startswith((b"a BAD", b"a NO"))
    assert client.result("NOOP").startswith(b"OK")
    assert b" OK" in client.login()[-1]


@pytest.mark.parametrize("line", [b"b SELECT INBOX", b"a=b", b"====", b"YQ",
                                  b"Y Q=", b"\0", b"x" * 20000])
def test_a_relayed_line_is_base64(client, server, line):
    """Nothing else ever reaches the backend."""
    client.send("a AUTHENTICATE CRAM-MD5\r\n")
    assert client.line().startswith(b"+")
    client.send(line + b"\r\n")
    assert client.line().startswith((b"a BAD", b"a NO", b"* BYE"))
    assert not any(line in c.received for c in server.connections)


@pytest.mark.parametrize("response", ["*", "!!!!", "YQ", "Y=Q=", "YWJj=="])
def test_bad_responses(client, response):
    client.send(f"a AUTHENTICATE PLAIN\r\n{response}\r\n")
    assert client.until("a")[-1].startswith(b"a BAD")
    assert client.result("NOOP").startswith(b"OK")


@pytest.mark.parametrize("message", [
    b"", b"\0", b"\0\0", b"anna\0" + PASSWORD.encode(), b"\0a\0b\0c",
    b"\0\0" + PASSWORD.encode()])
def test_plain_that_is_none(client, server, message):
    lines = client.authenticate("PLAIN", message)
    assert lines[-1].split()[1] in (b"BAD", b"NO")
    assert not server.logins()


def test_empty_initial_response(client):
    client.send("a AUTHENTICATE LOGIN =\r\n")
    while not (line := client.line()).startswith(b"a "):
        assert line.startswith(b"+")
        client.send("*\r\n")
    assert line.startswith((b"a BAD", b"a NO"))


def test_too_long_a_response(client):
    client.send(b"a AUTHENTICATE PLAIN\r\n")
    assert client.line().startswith(b"+")
    client.send(b"A" * 13000)
    assert b"* BYE" in client.rest()


def test_no_password_in_the_log(client, gateway):
    client.authenticate("PLAIN", f"\0{USER}\0{MARK}-wrong".encode())
    client.authenticate("XOAUTH2", XOAUTH2)
    gateway.wait_event("login", user=USER)
    assert not [p for p in gateway.find_problems() if "leaked" in p]
