# SPDX-License-Identifier: ISC
"""Peers that stop reading cost a bounded amount of memory, and lose nothing
when they go on."""
import hashlib
import subprocess
import time

import pytest

from support import need, wait_for
from support.backend import Backend
from support.gateway import backend, memory_of

SESSIONS = 20
BLOCK = bytes(range(256)) * 256
TOTAL = 200 << 20
PER_SESSION = 100 * 1024        # at most 80 KB are held of a stalled one


class Flood(Backend):
    """GO n sends n octets; TAKE n reads as many once it may."""

    may_read = True

    def on_command(self, connection, tag, name, arguments):
        size = int(arguments[0])
        if name == b"GO":
            for start in range(0, size, len(BLOCK)):
                connection.send(BLOCK[:size - start])
            connection.send(f"{tag} OK\r\n")
            return True
        wait_for(lambda: self.may_read, 60)
        digest = hashlib.sha256()
        while size:
            data = connection.exactly(min(size, 65536))
            digest.update(data)
            size -= len(data)
        connection.send(f"* {digest.hexdigest()}\r\n{tag} OK\r\n")
        return True


@pytest.fixture
def server(make_backend):
    return make_backend(Flood)


@pytest.fixture
def gateway(make_gateway, server):
    made = make_gateway({"a": backend(server)}, gateway={"workers": 1}).start()
    made.wait_up()
    return made


def settled(measure):
    """A value that has stopped to change."""
    last = None
    for _ in range(200):
        value = measure()
        if value == last:
            return value
        last = value
        time.sleep(0.25)
    raise AssertionError("it never settles")


def test_readers_that_stop(gateway):
    clients = [gateway.login() for _ in range(SESSIONS)]
    worker, = gateway.pids("worker")
    before = memory_of(worker)
    for client in clients:
        client.send(f"g GO {TOTAL}\r\n")
    grown = settled(lambda: memory_of(worker)) - before
    assert grown < SESSIONS * PER_SESSION + (1 << 20), grown
    # others go on as if nothing were
    start = time.monotonic()
    gateway.login().close()
    assert time.monotonic() - start < 2
    for client in clients:
        client.close()


def test_a_reader_that_goes_on(gateway):
    size = 20 << 20
    with gateway.login() as client:
        client.send(f"g GO {size}\r\n")
        settled(lambda: memory_of(gateway.pids("worker")[0]))
        data = client.exactly(size)
        assert hashlib.sha256(data).digest() == hashlib.sha256(
            BLOCK * (size // len(BLOCK))).digest()
        assert client.until("g")[-1] == b"g OK"


def test_a_backend_that_stops_reading(gateway, server):
    server.may_read = False
    size = 64 << 20
    with gateway.login() as client:
        worker, = gateway.pids("worker")
        before = memory_of(worker)
        client.send(f"t TAKE {size}\r\n")
        client.socket.settimeout(1)
        sent = 0
        data = BLOCK * (size // len(BLOCK))
        pending = b""
        try:
            while sent < size:
                pending = client.encrypt(data[sent:sent + 16384])
                sent += 16384
                while pending:
                    pending = pending[client.socket.send(pending):]
        except TimeoutError:
            pass
        assert sent < size, "kernel buffers took it all: make size larger"
        assert memory_of(worker) - before < PER_SESSION + (1 << 20)
        server.may_read = True
        client.socket.settimeout(20)
        client.socket.sendall(pending)
        client.send(data[sent:])
        lines = client.until("t")
        assert lines[0][2:].decode() == hashlib.sha256(data).hexdigest()


def test_stall_timeout(make_gateway, server):
    """A client that never reads again is given up."""
    gateway = make_gateway({"a": backend(server)},
                           pool={"stall_timeout": "2s"})
    gateway.start().wait_up()
    with gateway.login() as client:
        client.send(f"g GO {TOTAL}\r\n")
        gateway.wait_event("session", 20, state="relay")


def test_keepalive(make_gateway, make_backend):
    """The kernel is told to ask both peers, as often as configured."""
    need("ss")
    server = make_backend()
    gateway = make_gateway({"a": backend(server)},
                           pool={"keepalive": "7m"}).start()
    gateway.wait_up()

    def timers(*words):
        shown = subprocess.run(["ss", "-tnoH", "state", "established", *words],
                               capture_output=True, text=True, check=True)
        return [line for line in shown.stdout.splitlines()
                if "timer:(keepalive,6min" in line]
    with gateway.login():
        wait_for(lambda: timers("sport", "=", f":{gateway.port}"))
        wait_for(lambda: timers("dport", "=", f":{server.port}"))
