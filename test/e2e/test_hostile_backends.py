# SPDX-License-Identifier: ISC
"""Backends that are broken or hostile up to the verdict: the client never sees
what they said, gets UNAVAILABLE or another backend."""
import threading
import time

import pytest

from support import PASSWORD, USER, wait_for
from support.backend import Backend
from support.gateway import backend


class Turncoat(Backend):
    """Good while it is checked; then `greeting` or `verdict_text` are sent in
    place of what belongs there. None: silence. RESET: a reset."""

    RESET = object()
    greeting = b"* OK ready\r\n"
    verdict_text = HONEST = object()

    def play(self, connection, text):
        if text is self.RESET:
            connection.reset()
            raise EOFError
        if text is None:
            threading.Event().wait(20) if self._open else None
            raise EOFError
        connection.send(text)

    def greet(self, connection):
        self.play(connection, self.greeting)

    def on_login(self, connection, tag):
        if self.verdict_text is self.HONEST:
            super().on_login(connection, tag)
            return
        text = self.verdict_text
        if isinstance(text, bytes):
            text = text.replace(b"TAG", tag.encode())
        self.play(connection, text)
        connection.socket.recv(1000)    # until the gateway leaves


POOL = {"check_interval": "10m", "greeting_timeout": "500ms",
        "login_timeout": "2s", "wait_for_backend": "1s", "check_fall": 100}


@pytest.fixture
def server(make_backend):
    return make_backend(Turncoat)


@pytest.fixture
def gateway(make_gateway, server):
    """The hostile one alone; it has passed its check."""
    made = make_gateway({"a": backend(server)}, pool=POOL).start()
    made.wait_up()
    server.wait_for_probe()
    return made


GREETINGS = {
    "garbage": b"\x80\x81\xff\xfe garbage\r\n",
    "another protocol": b"220 smtp ready\r\n",
    "preauth": b"* PREAUTH welcome root\r\n",
    "bye": b"* BYE go away\r\n",
    "nul": b"* OK re\0ady\r\n",
    "megabyte line": b"* OK " + b"x" * (1 << 20) + b"\r\n",
    "no end of line": b"* OK hello",
    "silence": None,
    "reset": Turncoat.RESET,
    "empty": b"\r\n",
}


@pytest.mark.parametrize("name", GREETINGS)
def test_greetings(gateway, server, name):
    server.greeting = GREETINGS[name]
    with gateway.client() as client:
        client.greeting()
        lines = client.login()
        assert len(lines) == 1 and b" NO [UNAVAILABLE]" in lines[0], lines
        assert client.result("NOOP").startswith(b"OK")
    assert not server.logins(), "it was sent a password"


VERDICTS = {
    "garbage": b"\x80\x81\xff\r\n\r\n)(\r\n",
    "wrong tag": b"hello OK you are in\r\n",
    "nul": b"TAG OK\0 in\r\n",
    "megabyte line": b"* OK " + b"x" * (1 << 20) + b"\r\nTAG OK in\r\n",
    "200 KB before": b"* OK still thinking\r\n" * 10000 + b"TAG OK in\r\n",
    "silence": None,
    "reset": Turncoat.RESET,
    "bye": b"* BYE shutting down\r\n",
    "referral": b"TAG NO [REFERRAL imap://other/] there\r\n",
    "unavailable": b"TAG NO [UNAVAILABLE] later\r\n",
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(gateway, server, name):
    server.verdict_text = VERDICTS[name]
    with gateway.client() as client:
        client.greeting()
        lines = client.login()
        assert len(lines) == 1 and b" NO [UNAVAILABLE]" in lines[0], lines
        assert client.result("NOOP").startswith(b"OK")
    # once only: a second one would count as a second failure there
    assert len(server.logins()) == 1


@pytest.mark.parametrize("text, passed", [
    (b"TAG NO wrong\r\n", b"NO wrong"),
    (b"TAG NO [AUTHENTICATIONFAILED] no\r\n", b"NO [AUTHENTICATIONFAILED] no"),
    (b"TAG NO [LIMIT] too many\r\n", b"NO [LIMIT] too many"),
    (b"TAG NO [EXPIRED] old\r\n", b"NO [EXPIRED] old"),
    (b"TAG NO [ALERT] call us\r\n", b"NO [ALERT] call us")])
def test_verdicts_that_pass(gateway, server, text, passed):
    server.verdict_text = text
    with gateway.client() as client:
        client.greeting()
        assert client.login()[-1].endswith(passed)


def test_text_is_printable_and_bounded(gateway, server):
    server.verdict_text = b"TAG NO \x1b[31m\x80" + b"y" * 3000 + b"\r\n"
    with gateway.client() as client:
        client.greeting()
        line = client.login()[-1]
    assert len(line) < 600
    assert all(32 <= octet < 127 for octet in line), line


def test_untagged_data_does_not_pass(gateway, server):
    server.verdict_text = (b"* 5 EXISTS\r\n* OK [ALERT] forged\r\n"
                           b"* CAPABILITY IMAP4rev1 XFORGED\r\nTAG OK in\r\n")
    with gateway.client() as client:
        client.greeting()
        lines = client.login()
        assert b" OK" in lines[-1]
        assert not any(b"EXISTS" in line or b"forged" in line
                       for line in lines)


class NotTrusting(Backend):
    capabilities = "IMAP4rev1 LOGINDISABLED"


def test_logindisabled_is_misconfigured(make_gateway, make_backend):
    """One error that names the remedy; no password is sent."""
    server = make_backend(NotTrusting)
    gateway = make_gateway({"a": backend(server)}).start()
    gateway.wait_down()
    wait_for(lambda: b"misconfigured" in gateway.output())
    text = gateway.output()
    assert b"login_trusted_networks" in text or b"haproxy" in text
    assert not server.logins()


def test_privacyrequired_is_misconfigured(gateway, server):
    server.verdict_text = b"TAG NO [PRIVACYREQUIRED] use TLS\r\n"
    with gateway.client() as client:
        client.greeting()
        line = client.login()[-1]
        assert b"NO [UNAVAILABLE]" in line and b"PRIVACY" not in line
    wait_for(lambda: b"misconfigured" in gateway.output())
    # checks are good all the same: whoever looks is told what is wrong
    row = gateway.ctl("backends")[0]
    assert (row["state"], row["why"]) == \
        ("misconfigured", "privacyrequired"), row
    assert "Backend a has been misconfigured" in gateway.ctl_text("status")


def test_a_dovecot_that_does_not_trust_us(make_gateway, dovecot):
    """Dialled from an address that is not in login_trusted_networks."""
    section = {**backend(dovecot), "source_ip": "127.0.0.9"}
    gateway = make_gateway({"a": section}).start()
    gateway.wait_down()
    wait_for(lambda: b"misconfigured" in gateway.output())


@pytest.mark.parametrize("name", ["bye", "silence", "reset", "preauth"])
def test_the_next_backend(make_gateway, make_backend, name):
    """Trouble before the credentials were sent: the login succeeds at another
    backend, whichever was chosen first."""
    bad, good = make_backend(Turncoat), make_backend()
    gateway = make_gateway({"bad": backend(bad), "good": backend(good)},
                           pool={**POOL, "balance": "round_robin"}).start()
    gateway.wait_up()
    bad.wait_for_probe()
    good.wait_for_probe()
    bad.greeting = GREETINGS[name]
    for _ in range(4):
        with gateway.client() as client:
            client.greeting()
            assert b" OK" in client.login()[-1]
    assert not bad.logins()


def test_password_split_over_time_does_not_matter(gateway, server):
    """A verdict that comes octet by octet is one verdict."""
    def slowly(connection, tag):
        for octet in f"{tag} OK in\r\n".encode():
            connection.send(bytes([octet]))
            time.sleep(0.01)
        connection.logged_in = True
    server.on_login = slowly
    with gateway.client() as client:
        client.greeting()
        assert b" OK" in client.login(USER, PASSWORD)[-1]
