# SPDX-License-Identifier: ISC
"""Every fault of a backend in every phase of a login: while a healthy one is
left no login fails before its password was sent, the delay is bounded, and
nobody is ever told that the password is wrong."""
import socket
import threading
import time

import pytest

from support import BACKEND, PASSWORD, USER, scaled, wait_for
from support.backend import Backend
from support.gateway import backend

CONNECT = 0.5           # timeouts of the gateway in these tests
GREETING = 20.0         # never seen while another backend is left
LOGIN = 4.0
MARGIN = 1.5            # a busy machine, the wheel's tick


class Faulty(Backend):
    """`fault` is (phase, what); None: healthy."""

    capabilities = "IMAP4rev1 ID AUTH=PLAIN AUTH=CRAM-MD5"
    users = {**Backend.users, "\xe4nna".encode(): PASSWORD.encode()}
    fault = None
    is_shy = False      # lists nothing when it is asked

    def misbehave(self, connection, what):
        if what == "closes":
            raise EOFError
        if what == "resets":
            connection.reset()
            raise EOFError
        if what == "dribbles":
            for octet in b"* OK [ALERT] " + b"." * 1000:
                connection.send(bytes([octet]))
                threading.Event().wait(0.05)
        connection.send({
            "silent": "",
            "garbage": "\x00\x01 what?\r\n",
            "http": "HTTP/1.1 400 Bad Request\r\n\r\n",
            "preauth": "* PREAUTH welcome\r\n",
            "bye": "* BYE too busy\r\n",
            "megabyte": "* OK " + "x" * (1 << 20) + "\r\n",
            "untagged": "* 1 EXISTS\r\n" * 20000,
            "wrong tag": "zz99 OK done\r\n",
            "bare": "+\r\n",
            "drips": "* O",
            "untrusting": "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n",
            "keeps talking": "* OK still here\r\n" * 10,
        }[what])
        while connection.socket.recv(1 << 16):
            pass
        raise EOFError

    def at(self, connection, phase):
        if self.fault is not None and self.fault[0] == phase:
            self.misbehave(connection, self.fault[1])

    def greet(self, connection):
        connection.on_literal = lambda: self.at(connection, "literal")
        self.at(connection, "greeting")
        super().greet(connection)

    def one_command(self, connection, tag, name, arguments):
        if not connection.logged_in and name in (b"CAPABILITY", b"ID"):
            self.at(connection, "identification")
        if self.is_shy and name == b"CAPABILITY":
            connection.send(tag + b" OK done\r\n")
            return True
        return super().one_command(connection, tag, name, arguments)

    def on_authenticate(self, connection, tag, arguments):
        self.at(connection, "mechanism")
        super().on_authenticate(connection, tag, arguments)

    def on_login(self, connection, tag):
        self.at(connection, "login")
        super().on_login(connection, tag)


TALK = ("closes", "resets", "silent", "garbage", "bye", "megabyte",
        "untagged", "wrong tag", "drips", "dribbles", "keeps talking")
GREETINGS = tuple(what for what in TALK if what != "keeps talking") + \
    ("http", "preauth", "bare", "untrusting")   # the last is remembered
LOGINS = tuple(what for what in TALK if what != "dribbles")


def log_in(client):
    return client.login()


def with_literal(client):
    """A name that every backend gets as a literal, for which it is asked."""
    client.send('u LOGIN {5+}\r\n\xe4nna'.encode() +
                f' "{PASSWORD}"\r\n'.encode())
    return client.until("u")


def plain(client):
    return client.authenticate("PLAIN", f"\0{USER}\0{PASSWORD}".encode())


def cram(client):
    """Relayed: the client is only shown what a backend that goes on said."""
    client.send("c AUTHENTICATE CRAM-MD5\r\n")
    line = client.line()
    assert line.startswith(b"+ "), line
    client.send("*\r\n")
    line = client.line()
    assert line.startswith(b"c BAD"), line
    return [b"c OK as far as it goes"]


# Where a login can be before its password is sent: what goes wrong there, how
# clients log in, and whether the backend was silent about what it can do.
PHASES = {
    "greeting": ("greeting", GREETINGS, log_in, False),
    "identification": ("identification", TALK, log_in, False),
    "capability": ("identification", TALK, log_in, True),
    "literal": ("literal", TALK, with_literal, False),
    "mechanism": ("mechanism", TALK, plain, False),
    "challenge": ("mechanism", TALK, cram, False),
}


@pytest.fixture
def make_table(make_gateway, make_backend):
    """Checks don't help: they come once in ten minutes."""
    def make(kind=Faulty, is_shy=False, **keys):
        bad, good = make_backend(kind), make_backend(kind)
        bad.is_shy = good.is_shy = is_shy
        gateway = make_gateway(
            {"bad": backend(bad, "id", **keys),
             "good": backend(good, "id", **keys)},
            pool={"balance": "round_robin", "check_interval": "10m",
                  "check_fall": 100, "wait_for_backend": "0s",
                  "connect_timeout": f"{CONNECT * 1000:.0f}ms",
                  "greeting_timeout": f"{GREETING * 1000:.0f}ms",
                  "login_timeout": f"{LOGIN * 1000:.0f}ms"},
            limits={"login_attempts": 100}, gateway={"workers": 1}).start()
        gateway.wait_up()
        gateway.wait_events(2, "backend", state="up")
        gateway.bad, gateway.good = bad, good
        return gateway
    return make


@pytest.fixture
def table(make_table):
    return make_table()


def try_login(gateway, way=log_in):
    """(tagged answer, seconds)."""
    with gateway.client() as client:
        client.greeting()
        started = time.monotonic()
        return way(client)[-1], time.monotonic() - started


def healthy(gateway):
    for event in gateway.events("login"):
        assert event["verdict"] in ("ok", "unavailable"), event


@pytest.mark.parametrize("phase", PHASES)
def test_before_the_password(make_table, phase):
    """Whatever it is, the login succeeds, and is connect_timeout late at
    most."""
    where, faults, way, is_shy = PHASES[phase]
    table = make_table(is_shy=is_shy)
    worst = 0.0
    for what in faults:
        table.bad.fault = (where, what)
        met = len(table.bad.connections)
        for _ in range(scaled(2)):
            answer, seconds = try_login(table, way)
            assert b" OK" in answer, (what, answer)
            assert seconds < CONNECT + MARGIN, (what, seconds)
            worst = max(worst, seconds)
        assert len(table.bad.connections) > met, what
    print(f"{phase}: {len(faults)} faults, longest login {worst:.2f} s")
    assert not table.bad.logins(), "it was sent a password"
    healthy(table)


def test_after_the_password(table):
    """UNAVAILABLE; the password goes to one backend only, and the next login
    succeeds."""
    for what in LOGINS:
        table.bad.fault = ("login", what)
        for _ in range(scaled(1)):
            answers = [try_login(table) for _ in range(2)]
            assert sorted(b" OK" in a for a, _ in answers) == [False, True], \
                (what, answers)
            refused = [a for a, _ in answers if b" OK" not in a][0]
            assert b" NO [UNAVAILABLE]" in refused, (what, refused)
            assert all(s < LOGIN + MARGIN for _, s in answers)
    healthy(table)


def test_refused(table):
    table.bad.stop()
    for _ in range(scaled(6)):
        answer, seconds = try_login(table)
        assert b" OK" in answer and seconds < MARGIN, (answer, seconds)


def test_black_hole(table, make_gateway):
    """The added delay is connect_timeout."""
    port = table.bad.port
    table.bad.stop()
    hole = socket.socket()
    hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hole.bind((BACKEND, port))
    hole.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((BACKEND, port))
        fillers.append(filler)
    for _ in range(scaled(4)):
        answer, seconds = try_login(table)
        assert b" OK" in answer, answer
        assert seconds < CONNECT + MARGIN, seconds
    for sock in fillers + [hole]:
        sock.close()


def start_fetch(server):
    """Half of an answer to every command."""
    def on_command(connection, tag, name, arguments):
        connection.send("* 1 FETCH (BODY[] {1000000}\r\n" + "x" * 500000)
        return True
    server.on_command = on_command


RELAYS = ("closes", "resets", "closes in a FETCH", "resets in a FETCH",
          "is silent")


@pytest.mark.parametrize("what", RELAYS)
def test_while_relaying(table, what):
    """The sessions of the one that breaks end, and not cleanly; others and new
    ones go on."""
    start_fetch(table.bad)
    clients = [table.login() for _ in range(scaled(4))]
    theirs = {connection.peer[1] for connection in table.bad.logins()}
    assert len(theirs) == len(clients) // 2
    halves = []
    for client in clients if "FETCH" in what else []:
        client.send("f FETCH 1 BODY[]\r\n")
        if client.line().startswith(b"* 1 FETCH"):
            halves.append(client)
    for connection in table.bad.logins():
        try:
            if "resets" in what:
                connection.reset()
            elif "closes" in what:
                connection.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    if what == "is silent":
        # theirs are not disturbed; those at the other are not, either
        table.bad.one_command = lambda *_: True
    assert b" OK" in try_login(table)[0] or b" OK" in try_login(table)[0]
    alive = 0
    for client in clients:
        if what == "is silent":
            client.socket.settimeout(1)
        try:
            alive += client.result("NOOP").startswith(b"OK")
        except (AssertionError, OSError, EOFError, ValueError):
            # a reset is never told as a clean end
            assert "resets" not in what or client.end != "close_notify"
        client.close()
    assert alive == len(clients) // 2, alive
    assert len(halves) == (len(clients) // 2 if "FETCH" in what else 0)
    assert b" OK" in try_login(table)[0] or b" OK" in try_login(table)[0]
    assert not table.events("backend", state="down")


def eject(gateway, clients):
    for client in clients:
        with gateway.client(source=client) as one:
            one.greeting()
            one.login()


def test_ejected_when_several_clients_see_it(make_gateway, make_backend):
    """Checks go on succeeding; half a tier and the last one are safe."""
    servers = [make_backend(Refuser) for _ in range(4)]
    gateway = make_gateway(
        {f"b{n}": backend(s, "proxy_v1", weight=100 if n == 0 else 1)
         for n, s in enumerate(servers)},
        pool={"check_interval": "2s"}).start()
    for server in servers:
        server.proxy = 1
    gateway.wait_up()
    wait_for(lambda: len(gateway.events("backend", state="up")) >= 4, 20)
    # one client whose address is banned there: nothing happens
    servers[0].refused = {"127.0.0.77"}
    eject(gateway, ["127.0.0.77"] * 12)
    assert not gateway.events("backend", state="ejected")
    for server in servers[:2]:
        server.refused = {f"127.0.0.{n}" for n in range(70, 90)}
    eject(gateway, [f"127.0.0.{n}" for n in range(70, 90)] * 2)
    gateway.wait_event("backend", state="ejected")
    ejected = gateway.events("backend", state="ejected")
    assert all(e["why"] == "failures" and e["from"] == "up" for e in ejected)
    assert 1 <= len({e["backend"] for e in ejected}) <= 2
    # it comes back, and everybody could log in all the time
    wait_for(lambda: gateway.events("backend", **{"from": "ejected"}), 20)
    assert {e["verdict"] for e in gateway.events("login")} == {"ok"}


def most_ejected(gateway):
    """At once, as the events tell it."""
    away, most = set(), 0
    for event in gateway.events("backend"):
        if event["state"] == "ejected":
            away.add(event["backend"])
        else:
            away.discard(event["backend"])
        most = max(most, len(away))
    return most


@pytest.mark.parametrize("tiers", ((0, 0, 0, 0), (0, 1), (0,)))
def test_never_over_half_a_tier(make_gateway, make_backend, tiers):
    """All of them refuse these clients; the others go on."""
    servers = [make_backend(Refuser, proxy=1) for _ in tiers]
    gateway = make_gateway(
        {f"b{n}": backend(server, "proxy_v1", tier=tiers[n])
         for n, server in enumerate(servers)},
        pool={"check_interval": "10s", "wait_for_backend": "0s"},
        gateway={"workers": 1}).start()
    gateway.wait_up()
    gateway.wait_events(len(servers), "backend", state="up")
    banned = [f"127.0.0.{n}" for n in range(70, 80)]
    for server in servers:
        server.refused = set(banned)
    seen = 0
    for _ in range(4):
        eject(gateway, banned * 2)
        seen += 2 * len(banned)
        gateway.wait_events(seen, "login", verdict="unavailable")
        with gateway.client(source="127.0.0.90") as other:
            assert b" OK" in other.logged_in().command("NOOP")[-1]
    allowed = max(tiers.count(tier) for tier in tiers) // 2
    if allowed:
        gateway.wait_event("backend", state="ejected")
    assert most_ejected(gateway) == allowed
    assert not gateway.events("backend", state="down")


class Refuser(Backend):
    """Closes connections for some clients, as named by a PROXY header."""

    refused = frozenset()

    def greet(self, connection):
        words = (connection.proxy or b"").split()
        if len(words) > 2 and words[2].decode() in self.refused:
            raise EOFError
        super().greet(connection)


class Limited(Backend):
    """Dovecot's answer to one user with too many connections."""

    def on_login(self, connection, tag):
        if connection.user.startswith(b"busy"):
            connection.send(f"{tag} NO [UNAVAILABLE] Maximum number of "
                            "connections from user+IP exceeded\r\n")
        else:
            super().on_login(connection, tag)


def test_users_over_their_limits(make_gateway, make_backend):
    """Many of them, from everywhere: no backend is ejected, nobody counted."""
    servers = [make_backend(Limited) for _ in range(2)]
    gateway = make_gateway(
        {f"b{n}": backend(s) for n, s in enumerate(servers)}).start()
    gateway.wait_up()
    for n in range(scaled(30)):
        with gateway.client(source=f"127.0.0.{20 + n % 100}") as client:
            client.greeting()
            answer = client.login(user=f"busy{n}")[-1]
            assert b"NO [UNAVAILABLE] Maximum" in answer, answer
    gateway.login().close()
    assert not gateway.events("backend", state="ejected")
    assert not gateway.events("backend", state="down")
    assert not gateway.events("login", verdict="failed")
    assert not gateway.events("ban")


def test_dovecots_own_limit(make_gateway, make_dovecot):
    """The same with real ones: each user has one session, and wants two. Which
    code that gets depends on their version; it is passed on as it is."""
    servers = [make_dovecot(f"limited{n}", per_user=1) for n in range(2)]
    gateway = make_gateway(
        {f"b{n}": backend(s, "proxy_v2") for n, s in enumerate(servers)},
        pool={"balance": "user"}).start()
    gateway.wait_up()
    gateway.wait_events(2, "backend", state="up")
    users = servers[0].spare_users[:scaled(12)]
    held = [gateway.client(source=source(n)).logged_in(*user)
            for n, user in enumerate(users)]
    for n, user in enumerate(users):
        for _ in range(2):
            with gateway.client(source=source(n)) as client:
                client.greeting()
                answer = client.login(*user)[-1]
                assert b"] Maximum number of connections" in answer, answer
    for client in held:
        assert client.result("NOOP").startswith(b"OK")
        client.close()
    logins = gateway.wait_events(2 * len(users), "login", verdict="refused")
    assert {e["code"] for e in logins} <= {"LIMIT", "UNAVAILABLE"}
    assert not gateway.events("backend", **{"from": "up"})
    assert not gateway.events("login", verdict="failed")
    assert not gateway.events("ban")


def source(number):
    return f"127.0.0.{20 + number}"


def test_three_at_most(make_gateway, make_backend):
    """A login that meets faults only ends after three of them."""
    servers = [make_backend(Faulty) for _ in range(5)]
    gateway = make_gateway(
        {f"b{n}": backend(s) for n, s in enumerate(servers)},
        pool={"check_interval": "10m", "balance": "round_robin",
              "check_fall": 100}, gateway={"workers": 1}).start()
    gateway.wait_up()
    gateway.wait_events(5, "backend", state="up")
    for server in servers:
        server.fault = ("greeting", "closes")
    before = sum(len(server.connections) for server in servers)
    with gateway.client() as client:
        client.greeting()
        answer = client.login()
    assert len(answer) == 1 and b" NO [UNAVAILABLE]" in answer[0], answer
    assert sum(len(server.connections) for server in servers) == before + 3
    gateway.wait_event("login", verdict="unavailable", why="closed")


class Late(Backend):
    """Greets when it is told to; `early` is what came before."""

    def __init__(self, **options):
        self.go_on, self.early = threading.Event(), []
        super().__init__(**options)

    def greet(self, connection):
        self.go_on.wait(20)
        connection.socket.setblocking(False)
        try:
            self.early.append(connection.socket.recv(1 << 16))
        except BlockingIOError:
            self.early.append(b"")
        connection.socket.setblocking(True)
        super().greet(connection)


@pytest.mark.parametrize("client_ip, proxy", (("none", None), ("id", None),
                                              ("proxy_v1", 1),
                                              ("proxy_v2", 2)))
def test_nothing_before_the_greeting(make_gateway, make_backend, client_ip,
                                     proxy):
    """But the PROXY header: of checks and of logins."""
    server = make_backend(Late, proxy=proxy)
    gateway = make_gateway({"a": backend(server, client_ip)},
                           pool={"check_interval": "10m"}).start()
    wait_for(lambda: server.connections)
    server.go_on.set()
    gateway.wait_event("backend", state="up")
    server.go_on.clear()
    with gateway.client() as client:
        client.greeting()
        met = len(server.connections)
        client.send(f't LOGIN {USER} "{PASSWORD}"\r\n')
        wait_for(lambda: len(server.connections) > met and (
            proxy is None or server.connections[-1].proxy))
        # time enough for whoever would speak first
        assert gateway.client().greeting()
        server.go_on.set()
        assert b" OK" in client.until("t")[-1]
    assert server.early and set(server.early) == {b""}


def with_id(client):
    client.command('ID ("name" "%n")')
    return client.login()


@pytest.mark.parametrize("where, way", (("identification", with_id),
                                        ("literal", with_literal),
                                        ("mechanism", plain)))
def test_what_a_client_may_cause_ejects_nobody(make_gateway, make_backend,
                                               where, way):
    """A backend that hangs up once it has seen the client's own words: whoever
    knows such words could have it taken from all others."""
    servers = [make_backend(Faulty) for _ in range(2)]
    gateway = make_gateway(
        {f"b{n}": backend(s, "id") for n, s in enumerate(servers)},
        pool={"check_interval": "10m", "balance": "round_robin"},
        gateway={"workers": 1}).start()
    gateway.wait_up()
    gateway.wait_events(2, "backend", state="up")
    servers[0].fault = (where, "closes")
    for n in range(16):
        with gateway.client(source=source(n)) as client:
            client.greeting()
            assert b" OK" in way(client)[-1]
    # what is told is looked at five times a second: a fault that counts comes
    # behind, and by then those would have counted
    servers[1].fault = ("greeting", "closes")
    servers[0].fault = None
    for n in range(16):
        with gateway.client(source=source(n)) as client:
            client.logged_in()
    event = gateway.wait_event("backend", state="ejected")
    assert event["backend"] == "b1", event
    assert len(gateway.events("backend", state="ejected")) == 1
