# SPDX-License-Identifier: ISC
"""Balance by user and by source, and routes."""
import base64

import pytest

from support import PASSWORD, USER, wait_for
from support.backend import Backend
from support.gateway import backend

USERS = [f"user{n}@example.org" for n in range(40)]


class Everybody(Backend):
    """Any name will do."""

    capabilities = "IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-256"

    def on_login(self, connection, tag):
        self.verdict(connection, tag, connection.password
                     == PASSWORD.encode())

    def names(self):
        return [c.user.decode() for c in self.logins()]


@pytest.fixture
def servers(make_backend):
    return [make_backend(Everybody) for _ in range(3)]


def sections(servers, **keys):
    return {f"store{n}": backend(server, **keys)
            for n, server in enumerate(servers)}


def known(servers):
    wait_for(lambda: all(s.connections and s.connections[0].ended.is_set()
                         for s in servers))


def homes(gateway, servers, users=USERS):
    """Where a login of each leads: {user: number of the backend}."""
    found = {}
    for user in users:
        before = [len(server.logins()) for server in servers]
        gateway.client().logged_in(user=user).close()
        now = [len(server.logins()) for server in servers]
        changed = [n for n in range(len(servers)) if now[n] != before[n]]
        assert len(changed) == 1, (user, changed)
        found[user] = changed[0]
    return found


def test_two_gateways_agree(make_gateway, servers):
    """With the sections in another order, and one more worker."""
    one = make_gateway(sections(servers), pool={"balance": "user"}).start()
    turned = dict(reversed(sections(servers).items()))
    two = make_gateway(turned, pool={"balance": "user"},
                       gateway={"workers": 3}).start()
    for gateway in (one, two):
        gateway.wait_up()
    known(servers)
    first = homes(one, servers)
    assert first == homes(two, servers)
    assert set(first.values()) == {0, 1, 2}
    # the domain in any case, the local part as it is
    shouted = {u: u.replace("example.org", "EXAMPLE.Org") for u in USERS[:10]}
    found = homes(one, servers, shouted.values())
    assert all(first[u] == found[s] for u, s in shouted.items())


def test_one_leaves_and_its_users_stay_together(make_gateway, servers,
                                                make_backend):
    gateway = make_gateway(sections(servers), pool={
        "balance": "user", "slow_start": "0s"}).start()
    gateway.wait_up()
    known(servers)
    before = homes(gateway, servers)
    its = [user for user in USERS if before[user] == 1]
    servers[1].stop()
    gateway.wait_event("backend", backend="store1", state="down")
    after = homes(gateway, servers)
    assert all(after[u] == before[u] for u in USERS if u not in its)
    assert all(after[u] != 1 for u in its)
    # back again: who has a session elsewhere follows it, others go home
    stays = gateway.client().logged_in(user=its[0])
    servers[1] = make_backend(Everybody, port=servers[1].port)
    wait_for(lambda: len(gateway.events(
        "backend", backend="store1", state="up")) > 1)
    wait_for(lambda: homes(gateway, servers, its[1:2])[its[1]] == 1)
    for _ in range(4):          # whichever worker takes it
        assert homes(gateway, servers, its[:1])[its[0]] == after[its[0]]
    stays.close()
    wait_for(lambda: homes(gateway, servers, its[:1])[its[0]] == 1)


def test_mechanisms_must_name_the_user(make_gateway, servers):
    gateway = make_gateway(sections(servers),
                           pool={"balance": "user"}).start()
    gateway.wait_up()
    known(servers)
    wait_for(lambda: b"SCRAM" in capabilities(gateway))
    listed = capabilities(gateway)
    assert b"AUTH=SCRAM-SHA-256" in listed and b"AUTH=PLAIN" in listed
    assert b"CRAM-MD5" not in listed
    home = homes(gateway, servers, USERS[:1])[USERS[0]]
    with gateway.client() as client:
        client.greeting()
        assert client.result("AUTHENTICATE CRAM-MD5").startswith(b"NO")
        # the name is asked for before there is a backend
        client.send("s AUTHENTICATE SCRAM-SHA-256\r\n")
        assert client.line() == b"+ "
        first = base64.b64encode(f"n,,n={USERS[0]},r=abc".encode()).decode()
        client.send(first + "\r\n")
        assert client.line().startswith(b"s NO")
    wait_for(lambda: any(b"AUTHENTICATE" in c.received or c.user ==
                         b"SCRAM-SHA-256"
                         for c in servers[home].connections))
    with gateway.client() as client:
        client.greeting()
        client.send("s AUTHENTICATE SCRAM-SHA-256 "
                    + base64.b64encode(b"nonsense").decode() + "\r\n")
        assert client.line().startswith(b"s NO [CANNOT]")


WITH_NAME = {
    "plain": lambda c, u: c.authenticate(
        "PLAIN", f"\0{u}\0{PASSWORD}".encode()),
    "plain for another": lambda c, u: c.authenticate(
        "PLAIN", f"{u}\0admin\0{PASSWORD}".encode()),
    "login": lambda c, u: c.authenticate(
        "LOGIN", u.encode(), PASSWORD.encode(), initial=False),
    "xoauth2": lambda c, u: c.authenticate(
        "XOAUTH2", f"user={u}\1auth=Bearer {PASSWORD}\1\1".encode()),
    "oauthbearer": lambda c, u: c.authenticate(
        "OAUTHBEARER",
        f"n,a={u},\1auth=Bearer {PASSWORD}\1\1".encode()),
    "scram": lambda c, u: c.authenticate(
        "SCRAM-SHA-256", f"n,,n={u},r=abc".encode()),
}


class Any(Everybody):
    """Whatever is said, as long as it is said here."""

    capabilities = "IMAP4rev1 AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 " \
        "AUTH=OAUTHBEARER AUTH=SCRAM-SHA-256 SASL-IR"

    def on_login(self, connection, tag):
        self.verdict(connection, tag, True)


@pytest.mark.parametrize("way", WITH_NAME)
def test_every_mechanism_leads_home(make_gateway, make_backend, way):
    servers = [make_backend(Any) for _ in range(3)]
    gateway = make_gateway(sections(servers),
                           pool={"balance": "user"}).start()
    gateway.wait_up()
    known(servers)
    for user, home in homes(gateway, servers, USERS[:8]).items():
        before = [len(server.logins()) for server in servers]
        with gateway.client() as client:
            client.greeting()
            assert b" OK" in WITH_NAME[way](client, user)[-1]
        now = [len(server.logins()) for server in servers]
        assert [n - b for n, b in zip(now, before)] == \
            [int(number == home) for number in range(3)], (way, user)


def capabilities(gateway):
    with gateway.client() as client:
        return client.greeting()


def test_full_backend_is_waited_for(make_gateway, servers):
    """A user never spills; the login waits until a session ends."""
    gateway = make_gateway(sections(servers, max_connections=1), pool={
        "balance": "user", "wait_for_backend": "10s"}).start()
    gateway.wait_up()
    known(servers)
    first = gateway.login()
    with gateway.client() as client:
        client.greeting()
        client.send(f'a LOGIN {USER} "{PASSWORD}"\r\n')
        with gateway.client() as noop:      # a while later
            noop.greeting()
            noop.result("NOOP")
        first.close()
        assert client.until("a")[-1].startswith(b"a OK")
    assert sorted(len(s.logins()) for s in servers) == [0, 0, 2]


def test_source(make_gateway, servers):
    gateway = make_gateway(sections(servers),
                           pool={"balance": "source"}).start()
    gateway.wait_up()
    known(servers)
    places = set()
    for number in range(1, 16):
        source = f"127.9.{number}.1"
        before = [len(s.logins()) for s in servers]
        for user in USERS[:4]:
            gateway.client(source=source).logged_in(user=user).close()
        gained = [len(s.logins()) - b for s, b in zip(servers, before)]
        assert sorted(gained) == [0, 0, 4], (source, gained)
        places.add(gained.index(4))
    assert places == {0, 1, 2}


def test_route(make_gateway, servers, make_backend):
    """Users and domains go elsewhere, and a change needs no restart."""
    elsewhere = make_backend(Everybody)
    gateway = make_gateway(sections(servers))
    gateway.config["pool old"] = {"check_interval": "1s", "check_rise": 1}
    gateway.config["backend attic"] = {**backend(elsewhere), "pool": "old"}
    rules = gateway.directory / "routes"
    rules.write_text(f"# moved\n{USERS[0]} backend store2\n"
                     "@old.example  pool old\n")
    rules.chmod(0o644)
    gateway.config["pool mail"]["route"] = rules
    gateway.start()
    gateway.wait_up()
    known(servers + [elsewhere])
    for _ in range(5):
        gateway.client().logged_in(user=USERS[0]).close()
        gateway.client().logged_in(user="ann@OLD.example").close()
    assert servers[2].names().count(USERS[0]) == 5
    assert elsewhere.names().count("ann@OLD.example") == 5
    fresh = rules.with_suffix(".new")
    fresh.write_text(f"{USERS[0]} backend store1\n")
    fresh.chmod(0o644)
    fresh.rename(rules)
    wait_for(lambda: gateway.client().logged_in(user=USERS[0]).close() or
             USERS[0] in servers[1].names(), 20)
    # a wrong file changes nothing
    gateway.problems_expected = True
    fresh.write_text(f"{USERS[0]} backend nowhere\n")
    fresh.chmod(0o644)
    fresh.rename(rules)
    gateway.reload()
    wait_for(lambda: any(
        "routes:1" in str(e) for e in gateway.events("problem")))
    seen = servers[1].names().count(USERS[0])
    gateway.client().logged_in(user=USERS[0]).close()
    assert servers[1].names().count(USERS[0]) == seen + 1
