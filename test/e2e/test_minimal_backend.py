# SPDX-License-Identifier: ISC
"""A backend with no extension at all: every login works, and what the gateway
sends uses nothing that the backend didn't list."""
import pytest

from support import PASSWORD, USER
from support.backend import Backend
from support.client import WAYS_IN, capabilities_of
from support.gateway import backend


@pytest.fixture
def server(make_backend):
    return make_backend()


@pytest.fixture
def gateway(make_gateway, server):
    made = make_gateway({"a": backend(server, "id")}).start()
    made.wait_up()
    return made


@pytest.mark.parametrize("way", WAYS_IN)
def test_login(gateway, server, way):
    with gateway.client() as client:
        client.greeting()
        assert b" OK" in WAYS_IN[way](client)[-1]
        assert client.result("NOOP").startswith(b"OK noop")
    login = server.logins()[0]
    assert (login.user, login.password) == (USER.encode(), PASSWORD.encode())
    assert b"+}" not in login.received
    assert b"AUTHENTICATE" not in login.received
    assert not any(b" ID" in line for line in login.lines)


def test_capabilities_are_asked_for(gateway):
    """No CAPABILITY code came with OK: the gateway asks before it passes it
    on, and the client learns the list without asking."""
    with gateway.client() as client:
        client.greeting()
        lines = client.login()
        assert "IMAP4REV1" in set().union(*map(capabilities_of, lines))


class WithCode(Backend):
    def on_login(self, connection, tag):
        connection.logged_in = True
        connection.send(f"{tag} OK [ALERT] read the news\r\n")


def test_another_code_stays(make_gateway, make_backend):
    """Then the list comes as an untagged line, and the ALERT is shown."""
    gateway = make_gateway({"a": backend(make_backend(WithCode))}).start()
    gateway.wait_up()
    with gateway.client() as client:
        client.greeting()
        lines = client.login()
        assert lines[-1].endswith(b"OK [ALERT] read the news")
        assert any(line.startswith(b"* CAPABILITY") for line in lines[:-1])


def test_other_mechanisms_are_refused(gateway):
    with gateway.client() as client:
        words = capabilities_of(client.greeting())
        assert "AUTH=CRAM-MD5" not in words
        # Some clients prefer a token to a password wherever it is listed.
        assert "AUTH=XOAUTH2" not in words
        assert "AUTH=OAUTHBEARER" not in words
        assert client.result("AUTHENTICATE CRAM-MD5")[:2] in (b"NO", b"BA")
        assert client.result("NOOP").startswith(b"OK")


def test_an_unsupported_mechanism_is_refused_at_once(make_gateway, server):
    """Asked for all the same, it is no trouble of the backend's: the client
    waits for none to come up, and is not told that there is none."""
    gateway = make_gateway({"a": backend(server)},
                           pool={"wait_for_backend": "5m"}).start()
    gateway.wait_up()
    with gateway.client() as client:
        client.greeting()
        assert client.result("AUTHENTICATE CRAM-MD5") \
            .startswith(b"NO [CANNOT]")
        assert b" OK" in client.login()[-1]
    event = gateway.wait_event("login", verdict="refused")
    assert event["code"] == "CANNOT" and event["why"] == "no_mechanism"
    assert not gateway.events("backend", state="down")
