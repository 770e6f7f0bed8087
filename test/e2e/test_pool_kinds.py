# SPDX-License-Identifier: ISC
"""Real servers of different kinds behind one pool: Dovecot with PROXY and with
ID, Cyrus and Courier without. Each way to log in, list, fetch, append, idle."""
import pytest

from support import SCALE, USER
from support.client import WAYS_IN, capabilities_of
from support.gateway import backend
from support.unpacked import Courier, Cyrus, can_be_had

pytestmark = pytest.mark.skipif(
    SCALE < 10 or not can_be_had(),
    reason="for check-full, as root: unpacks packages")

KINDS = ("dovecot_proxy", "dovecot_id", "cyrus", "courier")
NEVER = {"LOGINDISABLED", "STARTTLS", "UNAUTHENTICATE", "LOGIN-REFERRALS",
         "MAILBOX-REFERRALS"}
MESSAGE = b"Subject: kept\r\n\r\nHow are you?\r\n"


@pytest.fixture(scope="module")
def unpacked(scratch):
    made = {"cyrus": Cyrus(scratch), "courier": Courier(scratch)}
    for server in made.values():
        server.start()
    yield made
    for server in made.values():
        server.stop()


@pytest.fixture
def gateway(make_gateway, make_dovecot, unpacked, scratch):
    """All four; `at` sends the user to one of them."""
    servers = {"dovecot_proxy": make_dovecot("proxy"),
               "dovecot_id": make_dovecot("id"), **unpacked}
    sections = {"dovecot_proxy": backend(servers["dovecot_proxy"], "proxy_v2"),
                "dovecot_id": backend(servers["dovecot_id"], "id"),
                "cyrus": backend(servers["cyrus"]),
                "courier": backend(servers["courier"])}
    route = scratch / "kinds.route"
    route.write_text("")
    made = make_gateway(sections, pool={"balance": "round_robin",
                                        "slow_start": "0s", "route": route},
                        gateway={"workers": 1})
    made.route = route
    made.start().wait_up()
    made.wait_events(4, "backend", 20, state="up")
    return made


def at(gateway, kind):
    """From now on the user is there."""
    gateway.route.write_text(f"{USER} backend {kind}\n")
    gateway.reload()


def words(client):
    lines = client.command("CAPABILITY")
    return set().union(*map(capabilities_of, lines))


def number_in(client):
    lines = client.command("STATUS INBOX (MESSAGES)")
    line = [one for one in lines if b"STATUS" in one.upper()][0]
    return int(line.rsplit(b" ", 1)[1].rstrip(b")"))


def append(client, message=MESSAGE):
    client.send(b"ap APPEND INBOX {%d}\r\n" % len(message))
    assert client.line().startswith(b"+")
    client.send(message + b"\r\n")
    assert client.until("ap")[-1].startswith(b"ap OK")


def idles(gateway, client):
    """Another session appends, and this one hears of it."""
    client.send("id IDLE\r\n")
    while not client.line().startswith(b"+"):
        pass
    with gateway.login() as other:
        append(other)
    while b"EXISTS" not in client.line():
        pass
    client.send("DONE\r\n")
    assert client.until("id")[-1].startswith(b"id OK")


@pytest.mark.parametrize("kind", KINDS)
def test_a_day_at(gateway, kind):
    at(gateway, kind)
    for way, log_in in WAYS_IN.items():
        with gateway.client() as client:
            client.greeting()
            lines = log_in(client)
            assert b" OK" in lines[-1], (way, lines)
            told = set().union(*map(capabilities_of, lines))
            assert "IMAP4REV1" in told and not told & NEVER, (way, told)
    with gateway.login() as client:
        assert "IMAP4REV1" in words(client)
        assert any(b"INBOX" in line for line in
                   client.command('LIST "" "*"')[:-1])
        before = number_in(client)
        append(client)
        assert number_in(client) == before + 1
        lines = client.command("SELECT INBOX")
        assert lines[-1].split(b" ", 2)[1] == b"OK"
        lines = client.command(f"FETCH {before + 1} (BODY.PEEK[TEXT])")
        assert b"How are you?" in b"\n".join(lines)
        if "IDLE" in words(client):
            idles(gateway, client)
        assert client.result("LOGOUT").startswith(b"OK")
    with gateway.client() as client:
        client.greeting()
        assert b" NO" in client.login(USER, "s3cret-wrong")[-1]
    ends = {e["backend"] for e in gateway.events("login", verdict="ok")}
    assert ends == {kind}
    assert not gateway.events("backend", state="down")


def test_in_turn(gateway):
    """One pool: what is shown before login is what they have in common."""
    for _ in range(2 * len(KINDS)):
        with gateway.client() as client:
            shown = capabilities_of(client.greeting())
            assert "IMAP4REV1" in shown and not shown & NEVER, shown
            assert "IDLE" not in shown or "IDLE" in words(client)
            assert b" OK" in client.login()[-1]
            assert client.result("NOOP").startswith(b"OK")
    logins = gateway.wait_events(2 * len(KINDS), "login", verdict="ok")
    seen = [event["backend"] for event in logins]
    assert {kind: seen.count(kind) for kind in KINDS} == \
        dict.fromkeys(KINDS, 2)
