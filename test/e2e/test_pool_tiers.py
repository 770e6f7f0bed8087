# SPDX-License-Identifier: ISC
"""Tiers, backends that come and go, places and queues."""
import threading
import time

from support import PASSWORD, USER, scaled, wait_for
from support.backend import Backend
from support.gateway import backend


def states(gateway, name):
    return [e["state"] for e in gateway.events("backend", backend=name)]


def served(servers):
    return [len(server.logins()) for server in servers]


def test_next_tier_and_home_again(make_gateway, make_backend):
    near = [make_backend() for _ in range(2)]
    far = make_backend()
    gateway = make_gateway(
        {"n0": backend(near[0]), "n1": backend(near[1]),
         "far": backend(far, tier=1)}, pool={"slow_start": "2s"}).start()
    gateway.wait_up()
    wait_for(lambda: len(gateway.events("backend", state="up")) == 3)
    for _ in range(6):
        gateway.login().close()
    assert not far.logins()
    for server in near:
        server.stop()
    started = time.monotonic()
    stays = gateway.login()             # no check has noticed yet
    wait_for(lambda: "down" in states(gateway, "n0") and
             "down" in states(gateway, "n1"), 5)
    assert time.monotonic() - started < 3
    assert len(far.logins()) == 1
    for n, server in enumerate(near):
        near[n] = make_backend(port=server.port)
    wait_for(lambda: states(gateway, "n0")[-1] == "up" and
             states(gateway, "n1")[-1] == "up")
    # both serve until the near ones are stable, then only those

    def is_home():
        before = len(far.logins())
        for _ in range(10):
            gateway.login().close()
        return len(far.logins()) == before
    wait_for(is_home, 10)
    assert far.logins()[0].ended.is_set() is False
    stays.close()


def test_min_available(make_gateway, make_backend):
    near, far = [make_backend() for _ in range(2)], make_backend()
    gateway = make_gateway(
        {"n0": backend(near[0]), "n1": backend(near[1]),
         "far": backend(far, tier=1)},
        pool={"min_available": 2, "balance": "round_robin"}).start()
    gateway.wait_up()
    wait_for(lambda: len(gateway.events("backend", state="up")) == 3)
    for _ in range(6):
        gateway.login().close()
    assert not far.logins()
    near[0].stop()
    gateway.wait_event("backend", backend="n0", state="down")
    for _ in range(8):
        gateway.login().close()
    assert far.logins()


class Flapping(Backend):
    """Away for two seconds in every four: connections are reset."""

    away = False

    def greet(self, connection):
        if self.away:
            connection.reset()
            raise EOFError
        super().greet(connection)


def test_flapping(make_gateway, make_backend):
    """Three of four come and go under load: no login fails, and a backend
    that returns is not overrun."""
    servers = [make_backend(Flapping) for _ in range(4)]
    gateway = make_gateway(
        {f"b{n}": backend(s) for n, s in enumerate(servers)},
        pool={"check_interval": "500ms", "wait_for_backend": "5s"}).start()
    gateway.wait_up()
    wait_for(lambda: len(gateway.events("backend", state="up")) == 4)
    stop, failures, counts = threading.Event(), [], [0] * 8
    rate = 200 / len(counts)

    def log_in(number):
        due = time.monotonic()
        while not stop.is_set():
            due += 1 / rate
            try:
                client = gateway.client(source=f"127.0.0.{40 + number}")
                client.greeting()
                answer = client.login()[-1]
                if b" OK" not in answer:
                    failures.append(answer)
                client.close()
            except (OSError, AssertionError, EOFError) as error:
                failures.append(error)
            counts[number] += 1
            stop.wait(max(0, due - time.monotonic()))

    threads = [threading.Thread(target=log_in, args=(n,))
               for n in range(len(counts))]
    for thread in threads:
        thread.start()
    seen, peak = [0] * 4, 0
    for step in range(int(scaled(10) / 0.5)):
        for n, server in enumerate(servers[:3]):
            server.away = (step // 4 + n) % 2 == 0
        stop.wait(0.5)
        now = [len(s.connections) for s in servers]
        peak = max(peak, max(a - b for a, b in zip(now, seen)) * 2)
        seen = now
    stop.set()
    for thread in threads:
        thread.join()
    print(f"{sum(counts)} logins in {scaled(10)} s, highest rate that a "
          f"backend saw: {peak} connections/s, logins {served(servers)}")
    assert not failures, failures[:5]
    # no stampede: the load of all of them, twice over, at the very worst
    assert peak <= 2 * 200, peak


def test_places_are_for_the_whole_gateway(make_gateway, make_backend):
    """Four workers, five places: never a sixth session, nobody overtakes
    without end, and what waits gets its turn."""
    server = make_backend()
    gateway = make_gateway(
        {"a": backend(server, max_connections=5)},
        pool={"wait_for_backend": "20s", "login_timeout": "20s"},
        gateway={"workers": 4}).start()
    gateway.wait_up()
    lock, inside, most, failures = threading.Lock(), [0], [0], []

    def session():
        client = gateway.client()
        client.greeting()
        answer = client.login()[-1]
        if b" OK" not in answer:
            failures.append(answer)
            return
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        client.result("NOOP")
        with lock:
            inside[0] -= 1
        client.close()

    threads = [threading.Thread(target=session) for _ in range(scaled(40))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert most[0] <= 5
    assert len(server.logins()) == len(threads)


def test_queue_is_bounded(make_gateway, make_backend):
    server = make_backend()
    gateway = make_gateway(
        {"a": backend(server, max_connections=1)},
        pool={"queue": 2, "wait_for_backend": "3s"},
        gateway={"workers": 1}).start()
    gateway.wait_up()
    holder = gateway.login()
    waiting = []
    for _ in range(2):
        client = gateway.client()
        client.greeting()
        client.send(f'a LOGIN {USER} "{PASSWORD}"\r\n')
        waiting.append(client)
    with gateway.client() as client:
        client.greeting()
        wait_for(lambda: b" NO [UNAVAILABLE]" in client.login()[-1], 1)
    gateway.wait_event("login", why="queue_full")
    started = time.monotonic()
    answers = [client.until("a")[-1] for client in waiting]
    assert all(b" NO [UNAVAILABLE]" in answer for answer in answers), answers
    assert time.monotonic() - started < 5
    assert len(gateway.wait_events(2, "login", why="pool_full")) == 2
    for client in waiting + [holder]:
        client.close()
