# SPDX-License-Identifier: ISC
"""Names and source addresses, in a network namespace of its own: there the
resolver is ours, and there are few ports."""
import pathlib
import socket
import struct
import threading

import pytest

from support import BACKEND, DIALLER, wait_for
from support.gateway import backend
from support.namespace import Namespace

RESOLVER = "127.0.0.1"
N_PORTS = 12
SOURCES = (DIALLER, "127.0.0.5")
namespace = Namespace(__file__, f"""set -e
ip link set lo up
echo nameserver {RESOLVER} >"$RESOLV"
mount --bind "$RESOLV" /etc/resolv.conf
exec "$@"
""", "--net", "--mount", "--propagation", "private")
inside = namespace.inside


@namespace.outside
def test_in_a_namespace(scratch):
    namespace.run(RESOLV=str(scratch / "resolv"))


A, AAAA = 1, 28


class Resolver:
    """Answers what `records` has: {name: [addresses]}; others: there is no
    such name. `broken`: SERVFAIL for everything."""

    def __init__(self):
        self.records, self.broken, self.asked = {}, False, []
        self.turns = False      # each answer begins elsewhere
        self.ttl = 3600
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((RESOLVER, 53))
        self.stream = socket.create_server((RESOLVER, 53))
        self.threads = [threading.Thread(target=self._serve),
                        threading.Thread(target=self._serve_stream)]
        for thread in self.threads:
            thread.start()

    def _serve(self):
        while data := self.socket.recvfrom(2048):
            if not data[0]:
                break
            answer = self._answer(data[0])
            if len(answer) > 512:   # to be asked for in the other way
                answer = answer[:2] + b"\x83\x80" + data[0][4:6] + \
                    bytes(6) + data[0][12:]
            self.socket.sendto(answer, data[1])

    def _serve_stream(self):
        while True:
            try:
                client = self.stream.accept()[0]
            except OSError:
                return
            with client, client.makefile("rwb") as file:
                while head := file.read(2):
                    answer = self._answer(
                        file.read(int.from_bytes(head, "big")))
                    file.write(len(answer).to_bytes(2, "big") + answer)
                    file.flush()

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"", (RESOLVER, 53))
        self.stream.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.socket.close()
        self.stream.close()

    def _answer(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind = struct.unpack("!H", data[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        addresses = [] if self.broken else self.records.get(name, [])
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        found = [socket.inet_pton(family, text) for text in addresses
                 if (":" in text) == (kind == AAAA)] if family else []
        if self.turns and found:
            turn = len(self.asked) * 7 % len(found)
            found = found[turn:] + found[:turn]
        code = 2 if self.broken else 0 if name in self.records else 3
        head = data[:2] + struct.pack("!5H", 0x8180 | code, 1, len(found),
                                      0, 0)
        return head + data[12:at + 5] + b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, self.ttl, len(octets))
            + octets
            for octets in found)


@pytest.fixture
def resolver():
    made = Resolver()
    yield made
    made.stop()


def up(gateway):
    """The addresses of backends that are up."""
    return sorted(row["address"].rsplit(":", 1)[0]
                  for row in gateway.ctl("backends") if row["state"] == "up")


@inside
def test_names(make_gateway, make_backend, resolver):
    """Every address is a backend, of both families; a change is followed, and
    a name that is gone or whose resolver fails keeps what it had."""
    first = make_backend()
    port = first.port
    others = [make_backend(address=f"127.0.0.{n}", port=port)
              for n in (6, 7)]
    resolver.records["mail.test"] = [BACKEND, "127.0.0.6"]
    gateway = make_gateway(
        {"a": {"address": f"mail.test:{port}"}},
        pool={"resolve_interval": "1s", "balance": "round_robin"}).start()
    gateway.wait_up()
    wait_for(lambda: up(gateway) == [BACKEND, "127.0.0.6"])
    assert ("mail.test", AAAA) in resolver.asked
    for _ in range(6):
        gateway.login().close()
    assert first.logins() and others[0].logins()
    stays = gateway.login()
    resolver.records["mail.test"] = ["127.0.0.6", "127.0.0.7"]
    wait_for(lambda: up(gateway) == ["127.0.0.6", "127.0.0.7"])
    assert stays.result("NOOP").startswith(b"OK")
    for broken in (False, True):
        resolver.records.pop("mail.test", None)
        resolver.broken = broken
        asked = len(resolver.asked)
        wait_for(lambda: len(resolver.asked) > asked + 4, 20)
        assert up(gateway) == ["127.0.0.6", "127.0.0.7"]
    assert gateway.wait_event("warning", name="mail.test")
    gateway.login().close()
    resolver.broken = False
    resolver.records["mail.test"] = []      # there is one, without addresses
    asked = len(resolver.asked)
    wait_for(lambda: len(resolver.asked) > asked + 4, 20)
    assert up(gateway) == ["127.0.0.6", "127.0.0.7"]
    resolver.records["mail.test"] = [BACKEND]
    wait_for(lambda: up(gateway) == [BACKEND], 20)
    gateway.wait_event("warning", name="mail.test", why="resolved")
    stays.close()


@inside
def test_more_addresses_than_are_used(make_gateway, make_backend, resolver):
    """Always the same ones, in whatever order they come, or users would move
    with each answer; and somebody is told."""
    server = make_backend()
    resolver.turns = True
    resolver.ttl = 1            # asked again after that, not in an hour
    resolver.records["many.test"] = [BACKEND] + \
        [f"127.1.{n}.{m}" for n in (0, 1) for m in range(1, 250)]
    gateway = make_gateway(
        {"a": {"address": f"many.test:{server.port}"}},
        pool={"resolve_interval": "1h", "check_interval": "10m"}).start()
    gateway.wait_up()
    event = gateway.wait_event("warning", name="many.test")
    assert event["why"] == "too_many_addresses", event

    def rows():
        return sorted(row["address"] for row in gateway.ctl("backends"))
    before = rows()
    assert len(before) == 16
    asked = len(resolver.asked)
    wait_for(lambda: len(resolver.asked) > asked + 8, 20)
    assert rows() == before
    assert len(gateway.events("warning", name="many.test")) == 1
    assert not gateway.events("backend", state="draining")
    gateway.login().close()


@inside
def test_both_families(make_gateway, make_backend, resolver):
    four = make_backend()
    six = socket.socket(socket.AF_INET6)
    six.bind(("::1", four.port))
    six.listen()
    seen = []

    def serve():
        while True:
            try:
                sock, peer = six.accept()
            except OSError:
                return
            seen.append(peer[0])
            sock.close()
    threading.Thread(target=serve, daemon=True).start()
    resolver.records["both.test"] = [BACKEND, "::1"]
    # a source of one family is for addresses of this family
    gateway = make_gateway({"a": {"address": f"both.test:{four.port}",
                                  "source_ip": DIALLER}}).start()
    gateway.wait_up()
    wait_for(lambda: seen)
    assert seen[0] == "::1"
    gateway.login().close()
    rows = gateway.ctl("backends")
    assert sorted(row["address"] for row in rows) == \
        [f"127.0.0.4:{four.port}", f"[::1]:{four.port}"]
    assert {c.peer[0] for c in four.connections} == {DIALLER}
    six.close()


def ports_in_use():
    """A port that anybody has bound is nobody else's, whatever the address."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net", table).read_text() \
                .splitlines()[1:]:
            found.add(int(line.split()[1].rsplit(":", 1)[1], 16))
    return found


@pytest.fixture
def few_ports():
    path = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
    before = path.read_text()

    def limit():
        used = ports_in_use()
        start = next(start for start in range(41000, 60000, N_PORTS)
                     if used.isdisjoint(range(start, start + N_PORTS)))
        path.write_text(f"{start} {start + N_PORTS - 1}")
    yield limit
    path.write_text(before)


@inside
def test_source_addresses(make_gateway, make_backend, few_ports):
    """With two of them there are twice as many sessions; who has none left
    is told so, and the backend is not to blame."""
    server = make_backend()
    gateway = make_gateway(
        {"a": {**backend(server), "source_ip": ", ".join(SOURCES)}},
        pool={"wait_for_backend": "0s", "check_interval": "10m"}).start()
    gateway.wait_up()
    wait_for(lambda: gateway.events("backend", state="up"))
    server.wait_for_probe()
    clients = [gateway.client() for _ in range(2 * N_PORTS + 4)]
    few_ports()
    answers = []
    for client in clients:
        client.greeting()
        answers.append(client.login()[-1])
    assert all(b" OK" in answer for answer in answers[:2 * N_PORTS]), answers
    assert all(b" NO [UNAVAILABLE]" in answer
               for answer in answers[2 * N_PORTS:]), answers
    peers = [c.peer[0] for c in server.logins()]
    assert [peers.count(source) for source in SOURCES] == [N_PORTS] * 2
    gateway.wait_event("login", verdict="unavailable", why="no_source_port")
    assert not gateway.events("backend", state="ejected")
    assert not gateway.events("backend", state="down")
    for client in clients:
        client.close()
