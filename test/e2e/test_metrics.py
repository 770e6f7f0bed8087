# SPDX-License-Identifier: ISC
"""/metrics, /healthz and /readyz: true, bounded, and no burden."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from support import GATEWAY, USER, scaled, wait_for
from support.client import Client, context
from support.gateway import backend
from support.observe import get, scrape, wait_ready, with_metrics


@pytest.fixture
def server(make_backend):
    return make_backend()


@pytest.fixture
def gateway(make_gateway, server):
    made = with_metrics(make_gateway({"a": backend(server)})).start()
    return wait_ready(made)


def of(metrics, name):
    """Sum over all labels."""
    return sum(value for key, value in metrics.items()
               if key.split("{")[0] == f"sallyport_{name}")


def settled(gateway):
    """A scrape when no connection is on its way in or out any more."""
    def quiet():
        found = scrape(gateway)
        return found if of(found, "connections") == 0 else None
    return wait_for(quiet, what="no connection is left")


def load(gateway):
    """Some of everything; what it did, by metric."""
    done = {}

    def count(name, n=1):
        done[name] = done.get(name, 0) + n

    for _ in range(scaled(20)):
        with gateway.login() as client:
            client.command("NOOP")
            count('logins_total{verdict="ok",mechanism="LOGIN"}')
            count('handshake_versions_total{version="TLSv1.3"}')
            count('traffic_bytes_total{direction="in"}', client.sent)
            count('traffic_bytes_total{direction="out"}', client.received)
    for _ in range(scaled(5)):
        with gateway.client(tls=context(
                version=ssl.TLSVersion.TLSv1_2)) as client:
            client.greeting()
            client.login(password="s3cret-wrong")
            count('logins_total{verdict="failed",mechanism="LOGIN"}')
            count('handshake_versions_total{version="TLSv1.2"}')
            count('traffic_bytes_total{direction="in"}', client.sent)
            count('traffic_bytes_total{direction="out"}', client.received)
    for _ in range(scaled(4)):
        with pytest.raises(OSError):
            Client(gateway.port, tls=context(alpn=("http/1.1",)))
        count('handshake_failures_total{reason="tls_alpn"}')
    for _ in range(scaled(3)):
        with socket.create_connection((GATEWAY, gateway.port)) as plain:
            plain.sendall(b"a LOGIN x y\r\n")
            while plain.recv(1024):
                pass
        count('handshake_failures_total{reason="plain_imap"}')
    return done


def check_counts(before, after, done):
    for key, expected in done.items():
        got = after[f"sallyport_{key}"] - before[f"sallyport_{key}"]
        assert got == expected, key
    grown = {name: of(after, name) - of(before, name) for name in (
        "connections_accepted_total", "connections_ended_total",
        "handshake_seconds_count", "login_seconds_count", "logins_total",
        "handshakes_total", "handshake_ciphers_total",
        "handshake_groups_total", "handshake_failures_total",
        "keeper_seconds_count", "keeper_requests_total",
        "backend_connect_seconds_count", "backend_connects_total")}
    shakes = sum(n for key, n in done.items() if "versions" in key)
    logins = sum(n for key, n in done.items() if "logins" in key)
    failures = sum(n for key, n in done.items() if "failures" in key)
    assert grown["handshake_seconds_count"] == shakes
    assert grown["handshakes_total"] == shakes
    assert grown["handshake_ciphers_total"] == shakes
    assert grown["handshake_groups_total"] == shakes
    assert grown["handshake_failures_total"] == failures
    assert grown["logins_total"] == grown["login_seconds_count"] == logins
    assert grown["backend_connects_total"] == logins
    assert grown["keeper_requests_total"] == grown["keeper_seconds_count"]
    assert grown["connections_accepted_total"] == \
        grown["connections_ended_total"] == shakes + failures


def test_counters_agree_with_the_load(gateway):
    before = settled(gateway)
    done = load(gateway)
    check_counts(before, settled(gateway), done)


def test_counters_survive_a_worker(gateway):
    gateway.deaths_expected = True
    before = settled(gateway)
    done = load(gateway)
    settled(gateway)
    victim = gateway.pids("worker")[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(gateway.pids("worker")) == 2 and
             victim not in gateway.pids("worker"), 15, "a new worker")
    again = load(gateway)
    check_counts(before, settled(gateway),
                 {key: done[key] + again[key] for key in done})
    restarts = wait_for(
        lambda: scrape(gateway)['sallyport_role_restarts_total{role="worker"}'])
    assert restarts == 1


def test_counters_survive_the_observer(gateway):
    gateway.deaths_expected = True
    before = settled(gateway)
    done = load(gateway)
    victim = gateway.pids("observer")[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: gateway.pids("observer") and
             victim not in gateway.pids("observer"), 15, "a new observer")

    def answers():
        try:
            return settled(gateway)
        except OSError:
            return None
    check_counts(before, wait_for(answers), done)


def test_promtool(gateway):
    if shutil.which("promtool") is None:
        if float(os.environ.get("SCALE", "1")) >= 10:
            pytest.fail("promtool is missing (Debian: prometheus)")
        pytest.skip("promtool is not installed")
    load(gateway)
    with gateway.login():
        _, _, body = get(gateway, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body,
                          capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0 and not done.stderr, done


def test_gauges(gateway):
    with gateway.login(), gateway.login(), gateway.client() as third:
        third.greeting()
        found = scrape(gateway)
        assert found['sallyport_connections{state="relay"}'] == 2
        assert found['sallyport_connections{state="preauth"}'] == 1
        assert of(found, "backend_sessions") == 2
        assert of(found, "backend_state") == 1
        # told once a second
        wait_for(lambda: of(scrape(gateway), "descriptors") >= 5)
        assert of(found, "descriptors_max") >= 256
        assert of(found, "certificate_usable") == 1
        assert of(found, "certificate_left_seconds") > 86400
        assert 0 <= of(found, "ticket_key_age_seconds") < 600
        now = time.time()
        assert abs(now - of(found, "certificate_loaded_timestamp_seconds")) < 60
        assert abs(now - of(found, "start_time_seconds")) < 60


def test_backend_failures(make_gateway, make_backend, server):
    """Of the one that fails after its checks were good."""
    bad = make_backend()
    gateway = with_metrics(make_gateway(
        {"a": backend(server), "b": backend(bad)},
        pool={"check_interval": "1h"})).start()
    gateway.wait_up()

    def both_up():
        return scrape(gateway).get("sallyport_ready") == 1 and sum(
            value for key, value in scrape(gateway).items()
            if 'state="up"' in key) == 2
    wait_for(both_up, what="both are up")
    bad.stop()
    for _ in range(6):
        gateway.login().close()
    found = {key: value for key, value in scrape(gateway).items()
             if "backend_failures" in key}
    assert sum(v for k, v in found.items() if 'backend="a"' in k) == 0
    assert sum(v for k, v in found.items() if 'backend="b"' in k) >= 1


def test_renewal_is_counted(gateway, certs, leaf):
    renewed = certs.leaf("renewed")
    gateway.config["certificate main"].update(chain=renewed.chain,
                                              key=renewed.key)
    gateway.reload()
    found = scrape(gateway)
    assert of(found, "certificate_renewals_total") == 1
    assert found['sallyport_reloads_total{verdict="ok"}'] == 1
    gateway.config["certificate main"].update(chain="/nowhere.pem")
    gateway.reload()
    assert wait_for(lambda: of(scrape(gateway),
                               "certificate_faults_total")) >= 1
    gateway.wait_event("certificate", level="error")


def test_ready(gateway, server):
    assert get(gateway, "/healthz")[0] == 200
    wait_for(lambda: get(gateway, "/readyz")[0] == 200, what="ready")
    server.stop()
    wait_for(lambda: get(gateway, "/readyz")[0] == 503, what="not ready")
    assert "backend" in get(gateway, "/readyz")[2]
    assert get(gateway, "/healthz")[0] == 200


def test_readiness_ends_when_a_drain_begins(gateway):
    wait_for(lambda: get(gateway, "/readyz")[0] == 200, what="ready")
    with gateway.login() as client:
        gateway.tell(signal.SIGTERM)
        wait_for(lambda: get(gateway, "/readyz")[0] == 503, 3, "not ready")
        assert "draining" in get(gateway, "/readyz")[2]
        assert client.result("NOOP").startswith(b"OK")


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("localhost:9930", 200), ("[::1]:9930", 200),
    ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("", 403)])
def test_names_are_refused(gateway, host, status):
    """A name could be resolved to us by somebody else's page."""
    for path in ("/", "/metrics", "/readyz"):
        assert get(gateway, path, Host=host)[0] in (
            (200, 503) if status == 200 else (status, 400))


def test_other_requests(gateway):
    assert get(gateway, "/nothing")[0] == 404
    assert get(gateway, "/../etc/passwd")[0] == 404
    assert get(gateway, "/metrics", "POST")[0] == 405
    assert get(gateway, "/", "DELETE")[0] == 405
    assert get(gateway, "/metrics", "HEAD")[2] == ""
    for junk in (b"\x16\x03\x01\x00\x05junk\r\n\r\n", b"GET /\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: " + b"a" * 40000 + b"\r\n\r\n"):
        with socket.create_connection((GATEWAY, gateway.metrics), 5) as sock:
            try:
                sock.sendall(junk)
                sock.recv(4096)
            except OSError:
                pass
    assert get(gateway, "/healthz")[0] == 200


def test_idle_connections_harm_nobody(gateway):
    """More than are allowed: mail goes on, and so does this when they end."""
    idle = []
    for _ in range(60):
        idle.append(socket.create_connection((GATEWAY, gateway.metrics), 5))
    with gateway.login() as client:
        assert client.result("NOOP").startswith(b"OK")
    for sock in idle:
        sock.close()

    def answers():
        try:
            return get(gateway, "/healthz", timeout=2)[0] == 200
        except OSError:
            return False
    wait_for(answers, 15, "an answer")


def test_address_in_use(make_gateway, server):
    with socket.socket() as taken:
        taken.bind((GATEWAY, 0))
        taken.listen()
        gateway = make_gateway(
            {"a": backend(server)},
            gateway={"metrics": f"{GATEWAY}:{taken.getsockname()[1]}"})
        gateway.launch()
        assert gateway.process.wait(10) == 1
        gateway.process = None
        assert b"metrics 127.0.0.1" in gateway.output()


def test_no_peer_chooses_a_label(gateway):
    names = set(scrape(gateway))
    for user in (USER, "evil\"}\n", "x" * 900):
        with gateway.client(server_name="evil.example") as client:
            client.greeting()
            client.send(b"a LOGIN {%d+}\r\n%s {1+}\r\nx\r\n"
                        % (len(user), user.encode()))
            client.until("a")
    assert set(scrape(gateway)) == names
