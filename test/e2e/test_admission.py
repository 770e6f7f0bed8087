# SPDX-License-Identifier: ISC
"""Who may connect: connections, those before login, rates, bans, networks;
seen from many addresses of 127.0.0.0/8 with nothing exempt."""
import concurrent.futures
import os
import select
import struct
import threading
import time

import pytest

from support import CLIENT, PASSWORD, SANITIZED, USER, scaled, wait_for
from support.client import Client, context, is_refused, tcp
from support.gateway import backend, memory_of

# The harness itself, which connects quickly and often.
LIMITED = {"exempt": f"{CLIENT}/32"}


def address(n):
    return f"127.1.{n // 250}.{n % 250 + 1}"


@pytest.fixture
def make_limited(make_gateway, make_backend):
    """make_limited(key=value of [limits], ...): started, its server beside."""
    def make(**limits):
        server = make_backend()
        made = make_gateway({"a": backend(server)},
                            limits={**LIMITED, **limits})
        made.server = server
        made.start().wait_up()
        return made
    return make


def counter(gateway, name):
    for row in gateway.ctl("status"):
        if row.get("name") == name:
            return row["value"]
    raise AssertionError(f"no counter {name}")


def test_a_family_after_an_outage(make_limited):
    """Defaults: thirty devices of five connections behind one address."""
    gateway = make_limited()
    with concurrent.futures.ThreadPoolExecutor(150) as pool:
        clients = list(pool.map(
            lambda _: gateway.login(source=address(1)), range(150)))
    assert len(clients) == 150
    for client in clients:
        client.close()


def test_connections_per_ip(make_limited):
    gateway = make_limited(connections_per_ip=3)
    held = [gateway.login(source=address(1)) for _ in range(3)]
    assert is_refused(gateway, address(1))
    gateway.wait_event("refused", why="connections_per_ip")
    gateway.login(source=address(2)).close()
    held.pop().close()
    wait_for(lambda: not is_refused(gateway, address(1), 0.3), 5,
             "room after one left")
    for client in held:
        client.close()


def test_connect_rate(make_limited):
    gateway = make_limited(connect_rate_per_ip="1/m", connect_burst_per_ip=5)
    for _ in range(5):      # one by one: workers take them in any order
        gateway.login(source=address(1)).close()
    assert is_refused(gateway, address(1))
    gateway.wait_event("refused", why="connect_rate")
    gateway.login(source=address(2)).close()


def test_a_silent_crowd_makes_others_of_its_address_wait(make_limited):
    """preauth_per_ip: the next one waits, and is served once there is room."""
    gateway = make_limited(preauth_per_ip=2)
    silent = [tcp(gateway.port, address(1)) for _ in range(2)]
    time.sleep(0.3)
    gateway.login(source=address(2)).close()
    late = Client(gateway.port, source=address(1), handshake=False)
    silent.pop().close()
    late.handshake()
    late.logged_in().close()
    for sock in silent:
        sock.close()


def test_who_is_served_is_not_sent_away_for_a_newcomer(make_limited):
    """It waits for 5 s, and is refused."""
    gateway = make_limited(preauth_per_ip=1)
    answer, plain = threading.Event(), gateway.server.on_login

    def slowly(connection, tag):
        answer.wait(20)
        plain(connection, tag)
    gateway.server.on_login = slowly
    client = gateway.client(source=address(1))
    client.greeting()
    client.send(f'a LOGIN {USER} "{PASSWORD}"\r\n')
    wait_for(lambda: gateway.server.logins())
    start = time.monotonic()
    assert is_refused(gateway, address(1), 9)
    assert 4 < time.monotonic() - start < 8
    gateway.wait_event("refused", why="preauth_per_ip")
    answer.set()
    assert client.line().startswith(b"a OK")
    client.close()


@pytest.mark.parametrize("greeted", [False, True])
def test_a_silent_crowd_locks_nobody_out(make_gateway, make_backend, greeted):
    """Behind a carrier's address one host is enough to fill preauth_per_ip:
    the oldest that says nothing makes room for who has waited for 5 s."""
    gateway = make_gateway({"a": backend(make_backend())},
                           gateway={"workers": 1},
                           limits={**LIMITED, "preauth_per_ip": 8}).start()
    gateway.wait_up()
    crowd = [Client(gateway.port, source=address(1), handshake=greeted)
             for _ in range(8)]
    for client in crowd:
        if greeted:
            client.greeting()
    gateway.login(source=address(1)).close()
    gateway.login(source=address(2)).close()
    assert not gateway.events("refused")
    gateway.wait_event("session", why="shed")
    if greeted:
        assert crowd[0].line().startswith(b"* BYE [UNAVAILABLE]")
    for client in crowd:
        client.close()


def test_a_ban_after_failed_logins(make_limited):
    gateway = make_limited(auth_failures_per_ip="2/10m", auth_ban="2s",
                           auth_failures_per_user="100/10m",
                           login_attempts=50)
    start = time.monotonic()
    delays = []
    with gateway.client(source=address(1)) as client:
        client.greeting()
        for n in range(6):
            begun = time.monotonic()
            client.send(f'f{n} LOGIN user{n} "wrong"\r\n')
            assert client.line().startswith(f"f{n} NO".encode())
            delays.append(time.monotonic() - begun)
        assert client.line().startswith(b"* BYE")
        assert client.rest() == b"" and client.end == "close_notify"
    for wanted, took in zip((0, 0, 2, 4, 8, 15), delays):
        assert wanted - 0.1 < took < wanted + 2, (delays, wanted)
    gateway.wait_event("ban")
    assert is_refused(gateway, address(1))
    gateway.wait_event("refused", why="banned")
    gateway.login(source=address(2)).close()
    wait_for(lambda: not is_refused(gateway, address(1), 0.3), 6,
             "the end of the ban")
    assert time.monotonic() - start < 60


def test_an_office_with_old_phones(make_limited):
    """Eleven of fifty repeat their old passwords; nobody else notices."""
    gateway = make_limited()
    for _ in range(3):
        for phone in range(11):
            with gateway.client(source=address(1)) as client:
                client.greeting()
                assert b" NO" in client.login(f"user{phone}", "old")[-1]
    start = time.monotonic()
    gateway.login(source=address(1)).close()
    assert time.monotonic() - start < 1.5
    with concurrent.futures.ThreadPoolExecutor(39) as pool:
        others = list(pool.map(
            lambda _: gateway.login(source=address(1)), range(39)))
    assert counter(gateway, "logins_delayed") == 0
    assert not gateway.events("ban") and not gateway.events("refused")
    for client in others:
        client.close()


def test_a_prefix_with_a_login_is_delayed_never_banned(make_limited):
    gateway = make_limited(auth_failures_per_ip="1/10m", login_attempts=50,
                           auth_failures_per_user="100/10m")
    gateway.login(source=address(1)).close()
    with gateway.client(source=address(1)) as client:
        client.greeting()
        for n in range(3):
            assert b" NO" in client.login(f"user{n}", "wrong")[-1]
    gateway.login(source=address(1)).close()
    assert not gateway.events("ban")


def test_a_delayed_login_that_leaves_is_never_made(make_limited):
    gateway = make_limited(auth_failures_per_ip="1/10m")
    with gateway.client(source=address(1)) as client:
        client.greeting()
        assert b" NO" in client.login("user1", "wrong")[-1]
        client.send('x LOGIN user2 "wrong"\r\n')
    gateway.wait_event("session", state="login")
    assert [c.user for c in gateway.server.logins()] == [b"user1"]


def test_a_login_from_a_new_prefix(make_limited):
    gateway = make_limited()
    gateway.login(source=address(1)).close()
    gateway.login(source=address(1)).close()
    assert not gateway.events("login_new_prefix")
    gateway.login(source=address(2)).close()
    event = gateway.wait_event("login_new_prefix", user=USER)
    assert event["peer"].startswith(address(2))


def test_observe(make_limited):
    gateway = make_limited(observe="on", connections_per_ip=1,
                           deny="127.1.0.9/32")
    clients = [gateway.login(source=address(1)) for _ in range(3)]
    gateway.wait_event("refused", why="connections_per_ip", observed="true")
    gateway.login(source="127.1.0.9").close()
    gateway.wait_event("refused", why="denied", observed="true")
    for client in clients:
        client.close()


def crowd(gateway):
    return [tcp(gateway.port, address(1)) for _ in range(8)]


def guesses(gateway):
    with gateway.client(source=address(1)) as client:
        client.greeting()
        for n in range(8):
            assert b" NO" in client.login(f"user{n}", "wrong")[-1]


OBSERVED = {
    "connections_per_ip": ({"connections_per_ip": 2}, crowd),
    "preauth_per_ip": ({"preauth_per_ip": 2}, crowd),
    "connect_rate": ({"connect_rate_per_ip": "1/m",
                      "connect_burst_per_ip": 2}, crowd),
    "handshakes_in_flight": ({"handshakes_in_flight": 2}, crowd),
    "handshake_rate": ({"handshake_rate": "1/m"}, lambda gateway: [
        gateway.client(source=address(1)) for _ in range(40)]),
    "auth_failures": ({"auth_failures_per_ip": "1/10m",
                       "login_attempts": 50}, guesses),
    "banned": ({}, lambda gateway: gateway.ctl_text(
        "ban", address(1), "1h") and None),
}


@pytest.mark.parametrize("why", OBSERVED)
def test_observe_refuses_nothing(make_limited, why):
    """Every limit is decided, counted and told, and nobody is sent away."""
    limits, offend = OBSERVED[why]
    gateway = make_limited(observe="on", **limits)
    held = offend(gateway)
    start = time.monotonic()
    gateway.login(source=address(1)).close()
    assert time.monotonic() - start < 1.9
    event = gateway.wait_event("refused", why=why)
    assert event["observed"] == "true"
    assert event["peer"].startswith(address(1))
    assert counter(gateway, "observed") > 0
    for name in ("shed", "waited", "handshakes_refused", "logins_delayed",
                 "logins_banned"):
        assert counter(gateway, name) == 0
    for one in held or []:
        one.close()


def test_deny_and_exempt_files(make_limited, tmp_path):
    deny, exempt = tmp_path / "deny", tmp_path / "exempt"
    deny.write_text("# many\n" + "".join(
        f"10.{n // 250}.{n % 250}.0/24\n" for n in range(40000)))
    exempt.write_text("127.1.0.5/32\n")
    tmp_path.chmod(0o755)
    gateway = make_limited(deny_file=deny, exempt_file=exempt,
                           connections_per_ip=1)
    first = gateway.login(source=address(0))
    assert is_refused(gateway, address(0))
    several = [gateway.login(source="127.1.0.5") for _ in range(3)]
    deny.write_text("127.1.0.1\n127.1.0.77 # and more\n")
    gateway.reload()
    wait_for(lambda: is_refused(gateway, "127.1.0.77", 0.5), 5,
             "the new list")
    gateway.wait_event("refused", why="denied")
    deny.write_text("nonsense\n")
    assert gateway.reload()[-1]["verdict"] == "failed"
    assert is_refused(gateway, "127.1.0.77")
    assert first.result("NOOP")
    for client in [first, *several]:
        client.close()


def test_allow_file(make_gateway, make_backend, tmp_path):
    """Tens of thousands of networks, changed in place; an empty file is not
    the same as none."""
    allow = tmp_path / "allow"
    tmp_path.chmod(0o755)
    many = "".join(f"10.{n // 250}.{n % 250}.0/24\n" for n in range(40000))
    allow.write_text(many + "127.1.0.1\n")
    gateway = make_gateway({"a": backend(make_backend())},
                           listen={"allow": f"{CLIENT}/32",
                                   "allow_file": allow}).start()
    gateway.wait_up()
    gateway.login(source="127.1.0.1").close()
    assert is_refused(gateway, "127.1.0.2")
    gateway.wait_event("refused", why="not_allowed")
    allow.write_text(many + "127.1.0.2\n")
    gateway.ctl("deny", "reload")
    gateway.login(source="127.1.0.2").close()
    assert is_refused(gateway, "127.1.0.1")
    allow.write_text("nonsense\n")
    assert gateway.ctl_fails("deny", "reload")
    gateway.login(source="127.1.0.2").close()
    allow.write_text("# nobody\n")
    gateway.ctl("deny", "reload")
    assert is_refused(gateway, "127.1.0.2")
    gateway.login().close()


def test_a_bad_file_stops_the_start(make_gateway, make_backend, tmp_path):
    deny = tmp_path / "deny"
    deny.write_text("192.0.2.0/24\n192.0.2.1/24\n")
    gateway = make_gateway({"a": backend(make_backend())},
                           limits={"deny_file": deny})
    result = gateway.check("-t")
    assert result.returncode != 0
    assert f"{deny}:2:" in result.stderr + result.stdout


def test_a_killed_worker_holds_nothing(make_limited):
    gateway = make_limited(connections_per_ip=4)
    gateway.deaths_expected = True
    held = [gateway.login(source=address(1)) for _ in range(4)]
    assert is_refused(gateway, address(1))
    for pid in gateway.pids("worker"):
        os.kill(pid, 9)
    for client in held:
        client.close()
    wait_for(lambda: len(gateway.events("role", state="ready",
                                        role="worker")) >= 4, 10,
             "new workers")
    again = [gateway.login(source=address(1)) for _ in range(4)]
    assert is_refused(gateway, address(1))
    for client in again:
        client.close()


def test_a_flood_of_refusals_does_not_fill_the_log(make_limited):
    gateway = make_limited(deny="127.1.0.1/32")
    before = gateway.log.stat().st_size
    for _ in range(5000):
        tcp(gateway.port, address(0)).close()
    gateway.wait_event("summary", 20, name="refused", why="denied")
    assert gateway.log.stat().st_size - before < 300000
    assert counter(gateway, "refused_denied") >= 5000


def test_a_flood_of_wrong_passwords_does_not_fill_the_log(make_limited):
    """The first ones are told, with the address, for whoever reads the log;
    then a summary counts the rest. Other floods hide none of them."""
    gateway = make_limited(login_attempts=1000, deny="127.1.0.1/32")
    for _ in range(500):
        tcp(gateway.port, address(0)).close()
    for _ in range(3):
        with gateway.client() as client:        # exempt
            client.greeting()
            for n in range(500):
                assert b" NO" in client.login(f"user{n}", "wrong")[-1]

    def told():
        return gateway.events("login", verdict="failed")

    def summed():
        return sum(int(event["count"]) for event in gateway.events(
            "summary", name="login", why="failed"))
    wait_for(lambda: len(told()) + summed() == 1500, 20, "all of them")
    assert len(told()) >= 500 and summed() > 100
    assert all(event["peer"].startswith(CLIENT) for event in told())
    assert counter(gateway, "logins_failed") >= 1500


def test_full_handshakes_over_the_rate(make_limited):
    """Strangers in a crowd are refused, a resumption and who logged in lately
    are not."""
    gateway = make_limited(handshake_rate="20/m")
    tls = context()
    first = gateway.login(source=address(1), tls=tls)
    first.result("NOOP")
    session = first.tls.session
    first.close()
    refused = 0
    for n in range(80):
        try:
            gateway.client(source=address(2)).close()
        except OSError:
            refused += 1
    assert refused > 20
    gateway.login(source=address(1)).close()
    resumed = gateway.login(source=address(3), tls=tls, session=session)
    assert resumed.tls.session_reused
    resumed.close()
    gateway.wait_event("session", why="handshake_rate")


def test_handshakes_in_flight(make_limited):
    """At the cap the crowd's oldest goes, the newcomer never."""
    gateway = make_limited(handshakes_in_flight=20, preauth_per_ip=1000)
    crowd = [tcp(gateway.port, address(1)) for _ in range(60)]
    for n in range(2, 12):
        gateway.login(source=address(n)).close()
    assert counter(gateway, "shed") > 0
    for sock in crowd:
        sock.close()


def worker_of(gateway, sock):
    """The number of the one that accepted it: in the id of the session."""
    peer = "%s:%d" % sock.getsockname()
    found = wait_for(lambda: [row for row in gateway.ctl("sessions")
                              if row.get("peer") == peer])
    return int(found[0]["id"], 16) >> 18 & 63


def crowd_in_one_worker(gateway, n):
    crowd = []
    while len(crowd) < n:
        sock = tcp(gateway.port, address(1))
        if worker_of(gateway, sock) == 0:
            crowd.append(sock)
        else:
            sock.close()
    return crowd


def test_a_crowd_in_another_worker(make_limited):
    """It gives way wherever it is: whoever else is slow is not shed for it."""
    gateway = make_limited(handshakes_in_flight=8, preauth_per_ip=1000)
    crowd = crowd_in_one_worker(gateway, 8)
    slow = [Client(gateway.port, source=address(n), handshake=False)
            for n in range(2, 6)]
    wait_for(lambda: counter(gateway, "handshaking") <= 8)
    for client in slow:
        client.handshake()
        client.logged_in().close()
    wait_for(lambda: counter(gateway, "shed") >= 4)
    for sock in crowd:
        sock.close()


def half_a_hello(gateway, source):
    client = Client(gateway.port, source=source, handshake=False)
    try:
        client.tls.do_handshake()
    except OSError:
        pass
    hello = client._outgoing.read()
    client.socket.sendall(hello[:len(hello) // 2])
    return client.socket


def one_octet(gateway, source):
    sock = tcp(gateway.port, source)
    sock.sendall(b"\x16")
    return sock


def half_a_command(gateway, source):
    client = gateway.client(source=source)
    client.greeting()
    client.send("a LOG")
    return client.socket


# How it is slow, and the deadline that it meets.
SLOW = [(lambda gateway, source: tcp(gateway.port, source), 6),
        (one_octet, 6), (half_a_hello, 6), (half_a_command, 5)]


class Watch(threading.Thread):
    """Notes when sockets end, and leaves them open as attackers do."""

    def __init__(self):
        super().__init__(daemon=True)
        self.epoll = select.epoll()
        self.open = {}
        self.late = []      # how long after their deadline they ended

    def add(self, sock, deadline):
        self.open[sock.fileno()] = (sock, time.monotonic() + deadline)
        self.epoll.register(sock, select.EPOLLIN | select.EPOLLRDHUP)

    def run(self):
        while True:
            for number, events in self.epoll.poll(1):
                if not events & ~select.EPOLLIN:
                    self.open[number][0].recv(65536)
                    continue
                self.epoll.unregister(number)
                self.late.append(time.monotonic() - self.open[number][1])


def test_slow_attackers(make_gateway, make_backend):
    """5,000 of them in check-full: gone a second after their deadline, also
    those that never close."""
    gateway = make_gateway(
        {"a": backend(make_backend())}, tls={"handshake_timeout": "6s"},
        limits={**LIMITED, "preauth_timeout": "5s", "overflow": "refuse",
                "handshakes_in_flight": 20000})
    gateway.start().wait_up()
    before = sum(map(memory_of, gateway.pids("worker")))
    watch = Watch()
    watch.start()
    count = scaled(500)
    for n in range(count):
        slow, deadline = SLOW[n % 4]
        sock = slow(gateway, address(n % 200))
        watch.add(sock, deadline)
    begun = time.monotonic()
    wait_for(lambda: len(watch.late) == count, 30, "the end of every one")
    wait_for(lambda: counter(gateway, "connections") == 0, 5)
    took = time.monotonic() - begun
    if not SANITIZED:
        assert max(watch.late) < 1 and took < 6 + 1.5, (max(watch.late), took)
    # none was told to go for another reason
    assert min(watch.late) > -0.5
    gateway.login(source=address(300)).close()

    def memory():
        return sum(map(memory_of, gateway.pids("worker")))
    most = memory()
    wait_for(lambda: memory() < before + (2 << 20), 10,
             "memory back to its level")
    print(f"{count} slow ones: the last {max(watch.late):.2f} s after its "
          f"deadline; {before >> 10} KB before, {most >> 10} KB at their end, "
          f"{memory() >> 10} KB after")
    for sock, _ in watch.open.values():
        sock.close()


def header(client):
    return f"PROXY TCP4 {client} 198.51.100.1 5555 993\r\n".encode()


def test_behind_a_balancer(make_gateway, make_backend):
    """The clients that headers name are limited, the balancer never is."""
    gateway = make_gateway(
        {"a": backend(make_backend(proxy=2), "proxy_v2")},
        listen={"proxy_protocol": "required", "proxy_from": "127.0.0.3/32"},
        limits={"exempt": "192.0.2.99/32", "connections_per_ip": 2})

    def client(before=header("192.0.2.99"), **options):
        return Client(gateway.port, before=before, **options)
    gateway.client = client
    gateway.start().wait_up()
    held = [client(header("192.0.2.7")).logged_in() for _ in range(2)]
    with pytest.raises(OSError):
        client(header("192.0.2.7")).logged_in()
    event = gateway.wait_event("refused", why="connections_per_ip")
    assert event["peer"].startswith("192.0.2.7")
    held += [client(header(f"192.0.2.{n}")).logged_in()
             for n in range(20, 40)]
    seen = len(gateway.events("session"))
    for _ in range(20):
        tcp(gateway.port).close()
    local = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20, 0]) + struct.pack(">H", 0)
    for _ in range(5):
        sock = tcp(gateway.port)
        sock.sendall(local)
        sock.close()
    wait_for(lambda: counter(gateway, "proxy_bare") >= 20, 5)
    wait_for(lambda: counter(gateway, "proxy_local") >= 5, 5)
    assert len(gateway.events("session")) == seen
    for one in held:
        one.close()
