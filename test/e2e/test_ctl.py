# SPDX-License-Identifier: ISC
"""sallyport ctl: what it shows is true, what it changes happens and is in the
audit stream with the caller's uid."""
import os
import pty
import select
import signal
import ssl
import subprocess
import time

import pytest

from support import BUILD, CLIENT, TOP, USER, scaled, wait_for
from support import log as log_format
from support.client import context
from support.gateway import backend
from support.observe import get, scrape, wait_ready, with_metrics


@pytest.fixture
def server(make_backend):
    return make_backend()


@pytest.fixture
def gateway(make_gateway, server):
    made = with_metrics(make_gateway({"a": backend(server)}))
    made.config["gateway"]["audit_log"] = made.audit
    return wait_ready(made.start())


def audit(gateway, kind="control"):
    lines = gateway.audit.read_text().splitlines()
    events = [log_format.parse(line) for line in lines]
    return [event for event in events if event["event"] == kind]


def ended(client):
    try:
        return client.receive() == b""
    except OSError:
        return True


def test_status(gateway):
    # it greets before the first check, and is ready after it
    wait_for(lambda: gateway.ctl("status")[0]["ready"] == "yes")
    found = gateway.ctl("status")
    assert found[0]["generation"] == 1
    assert found[0]["pid"] == gateway.process.pid
    workers = [row for row in found if "worker" in row]
    assert [row["worker"] for row in workers] == [0, 1]
    table = gateway.run_ctl("status").stdout
    assert "READY" in table and "{" not in table


def test_status_says_what_is_wrong(gateway, server):
    server.stop()
    gateway.wait_down()
    found = {row["at"]: row["look"] for row in gateway.ctl("status")
             if "look" in row}
    assert found["Pool mail has no backend that is up"] == "bad"
    assert gateway.ctl("status")[0]["ready"] != "yes"


def test_sessions_and_filters(gateway):
    with gateway.login() as one, gateway.client() as two:
        two.greeting()
        everyone = gateway.ctl("sessions")
        assert len(everyone) == 2
        mine = gateway.ctl("sessions", f"user={USER}", "state=relay")
        assert len(mine) == 1 and mine[0]["backend"] == "a"
        port = one.socket.getsockname()[1]
        assert mine[0]["peer"] == f"{CLIENT}:{port}"
        assert mine[0]["tls"] == "TLSv1.3"
        assert gateway.ctl("sessions", "id=" + mine[0]["id"]) == mine
        assert len(gateway.ctl("sessions", CLIENT)) == 2
        assert gateway.ctl("sessions", "user=nobody") == []
        assert gateway.ctl("sessions", "backend=a") == mine
        assert gateway.ctl("sessions", "backend=b") == []
    assert gateway.run_ctl("sessions", "colour=red").returncode == 1


def test_kick(gateway):
    with gateway.login() as one, gateway.login() as two, \
            gateway.client() as three:
        three.greeting()
        session = gateway.ctl("sessions", "state=relay")[0]["id"]
        assert gateway.ctl("kick", "id", session) == [{"sessions": 1}]
        kicked = gateway.wait_event("session", why="kicked", id=session)
        assert kicked["who"] == "gateway"
        assert gateway.ctl("kick", "user", USER) == [{"sessions": 1}]
        assert ended(one) and ended(two)
        assert gateway.ctl("kick", "address", CLIENT) == [{"sessions": 1}]
        assert three.line().startswith(b"* BYE")
    commands = [event["command"] for event in audit(gateway)]
    assert commands == [f"kick id {session}", f"kick user {USER}",
                        f"kick address {CLIENT}"]
    assert {event["uid"] for event in audit(gateway)} == {str(os.getuid())}
    assert gateway.run_ctl("kick", "user").returncode == 1


def test_kick_backend(gateway):
    """Its sessions, and nobody who is not there."""
    with gateway.login() as one, gateway.login() as two, \
            gateway.client() as three:
        three.greeting()
        assert gateway.ctl("kick", "backend", "b") == [{"sessions": 0}]
        assert gateway.ctl("kick", "backend", "a") == [{"sessions": 2}]
        assert ended(one) and ended(two)
        assert three.result("NOOP").startswith(b"OK")
    assert len(gateway.wait_events(2, "session", why="kicked")) == 2


def test_reload(gateway):
    generation = gateway.ctl("status")[0]["generation"]
    gateway.config["limits"]["login_attempts"] = 3
    gateway.write()
    with gateway.login() as client:
        done = gateway.run_ctl("reload")
        assert done.returncode == 0 and not done.stderr, done
        assert client.result("NOOP").startswith(b"OK")
    assert gateway.ctl("status")[0]["generation"] == generation + 1
    gateway.config["limits"]["login_attempts"] = "many"
    gateway.config["pool mail"]["balance"] = "nonsense"
    gateway.write()
    done = gateway.run_ctl("reload")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    for key in ("login_attempts", "balance"):
        assert key in done.stdout and "sallyport.conf:" in done.stdout
    assert gateway.ctl("status")[0]["generation"] == generation + 1
    assert [event["command"] for event in audit(gateway)] == ["reload"] * 2
    assert len(audit(gateway, "reload")) == 2


def test_a_reload_that_leaves_a_certificate_behind(gateway, certs):
    """It is done, and says what did not go live: who replaced that file reads
    the answer, not the log."""
    broken = certs.leaf("broken")
    gateway.config["certificate broken"] = {
        "chain": broken.chain, "key": broken.key}
    gateway.write()
    assert gateway.run_ctl("reload").returncode == 0
    broken.chain.write_text("nothing\n")
    done = gateway.run_ctl("reload")
    assert done.returncode == 0 and not done.stderr, done
    assert f"{broken.chain}: holds no PEM certificate; the certificate " \
        "loaded before serves on" in done.stdout
    assert "warning: " in done.stdout       # their issuer is unknown
    certs.leaf("broken")
    done = gateway.run_ctl("reload")
    assert done.returncode == 0 and "holds no" not in done.stdout


def test_many_reloads_at_once(gateway):
    """Each waits for one that began after it asked."""
    generation = gateway.ctl("status")[0]["generation"]
    clients = [subprocess.Popen(
        [BUILD / "sallyport", "ctl", "-s", gateway.control, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for words in (["reload"], ["deny", "reload"]) * 6]
    for client in clients:
        output, _ = client.communicate(timeout=30)
        assert client.returncode == 0, output
    assert gateway.ctl("status")[0]["generation"] > generation


def test_drain(gateway):
    gateway.config["gateway"]["drain_timeout"] = "3s"
    gateway.write()
    assert gateway.run_ctl("reload").returncode == 0
    with gateway.login() as client:
        assert gateway.run_ctl("drain").returncode == 0
        wait_for(lambda: get(gateway, "/readyz")[0] == 503, 3, "not ready")
        assert ended(client)
    assert gateway.process.wait(15) == 0
    gateway.process = None
    assert audit(gateway)[-1]["command"] == "drain"
    assert audit(gateway, "gateway")[-1]["state"] == "stopped"


def test_log_level(gateway):
    assert gateway.run_ctl("log-level", "error").returncode == 0
    size = gateway.log.stat().st_size
    gateway.login().close()
    gateway.login().close()
    wait_for(lambda: len(audit(gateway, "login")) == 2)
    assert gateway.log.stat().st_size == size
    assert gateway.run_ctl("log-level", "loud").returncode == 1
    assert audit(gateway)[0]["command"] == "log-level error"


def test_why(gateway):
    with gateway.client() as client:
        client.greeting()
        client.login(password="s3cret-wrong")
    gateway.wait_event("session", user=USER)
    found = gateway.ctl("why", CLIENT)
    assert found[0] == {"listener": "imaps", "refused": "no", "rule": "admit",
                        "until": ""}
    events = [row for row in found if "ts" in row]
    assert {"login", "session"} <= {row["event"] for row in events}
    assert any(row["verdict"] == "failed" and row["user"] == USER
               for row in events)
    gateway.config["limits"]["deny"] = "203.0.113.0/24"
    gateway.write()
    assert gateway.run_ctl("reload").returncode == 0
    assert gateway.ctl("why", "203.0.113.7")[0]["rule"] == "denied"
    assert gateway.run_ctl("why", "example.org").returncode == 1


def test_a_refused_client_finds_its_reason(make_gateway, server):
    gateway = with_metrics(make_gateway(
        {"a": backend(server)}, limits={"deny": f"{CLIENT}/32"}))
    gateway.launch()

    def refused():
        try:
            gateway.client(timeout=2).close()
        except OSError:
            return gateway.events("refused")
        return None
    wait_for(refused, what="a refusal")
    found = gateway.ctl("why", CLIENT)
    assert found[0]["refused"] == "yes" and found[0]["rule"] == "denied"
    assert found[1]["event"] == "refused" and found[1]["why"] == "denied"
    key = 'sallyport_connections_refused_total{reason="denied"}'
    assert scrape(gateway)[key] >= 1


def test_tls_report(gateway):
    old = context(version=ssl.TLSVersion.TLSv1_2)
    gateway.login(tls=old).close()
    gateway.wait_event("session", user=USER)
    with gateway.login(tls=old), gateway.login():
        found = gateway.ctl("tls-report")
    now = {row["tls"]: row["clients_now"] for row in found if "group" in row}
    assert now == {"TLSv1.2": 1, "TLSv1.3": 1}
    users = [row for row in found if "user" in row]
    assert {row["user"] for row in users} == {USER}
    assert [row["last"] == "now" for row in users] == [True, False]


def test_tls_report_of_a_dry_run(gateway):
    """Whom observe_min_version and observe_ciphers would cut off: the counter,
    the event, the page and the report agree."""
    other = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    wanted = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
    gateway.config["tls public"]["observe_ciphers"] = wanted
    gateway.write()
    assert gateway.run_ctl("reload").returncode == 0
    fine = context(version=ssl.TLSVersion.TLSv1_2, ciphers=wanted)
    odd = context(version=ssl.TLSVersion.TLSv1_2, ciphers=other)
    for tls in (fine, odd):
        gateway.login(tls=tls).close()
    gateway.wait_events(2, "session", user=USER)
    with gateway.login(tls=fine), gateway.login(tls=odd), gateway.login():
        found = gateway.ctl("tls-report")
        body = get(gateway)[2]
    assert found[0] == {"section": "public", "observe_min_version": "",
                        "observe_ciphers": wanted}
    counts = found[1]
    assert counts["cut_off_by_cipher"] == 2
    assert counts["cut_off_by_version"] == 0
    assert (counts["clients_now"], counts["cut_off_now"]) == (3, 1)
    users = [row for row in found if "user" in row]
    assert [(row["user"], row["cut_off_by"], row["sessions"])
            for row in users] == [(USER, "cipher", 1)] * 2
    told = {event["cipher"]: event.get("observed") for event in
            gateway.events("session", user=USER, tls="TLSv1.2")}
    assert sorted(told.values(), key=str) == [None, "cipher"]
    assert "observed TLS policy" in body and "1 of 3 clients" in body


def test_certificates_and_backends(gateway):
    certificate, = gateway.ctl("certificates")
    assert certificate["name"] == "main" and certificate["usable"]
    assert certificate["renewals"] == 0
    with gateway.login():
        server, = gateway.ctl("backends")
    assert server["state"] == "up" and server["sessions"] == 1
    assert server["failures"] == 0


def test_top_once(gateway):
    with gateway.login(), gateway.login():
        found = gateway.ctl("top", "backend")
        assert found == [{"backend": "a", "sessions": 2,
                          "in": found[0]["in"], "out": found[0]["out"]}]
        assert gateway.run_ctl("top", "colour").returncode == 1


def test_top_on_a_terminal(gateway):
    """Redraws in place, takes keys, and gives the terminal back."""
    with gateway.login() as client:
        child, terminal = pty.fork()
        if child == 0:
            os.environ["TERM"] = "xterm"
            os.execv(BUILD / "sallyport", ["sallyport", "ctl", "-s",
                                           str(gateway.control), "top"])
        screen = b""
        end = time.monotonic() + 20
        while b"by backend" not in screen and time.monotonic() < end:
            client.command("NOOP")
            if select.select([terminal], [], [], 0.2)[0]:
                screen += os.read(terminal, 65536)
            if b"by user" in screen and USER.encode() in screen:
                os.write(terminal, b"b")
        os.write(terminal, b"q")
        while True:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            screen += data
        assert os.waitpid(child, 0)[1] == 0
    assert screen.startswith(b"\033[?1049h") and b"\033[?1049l" in screen
    assert b"\033[H" in screen and b"by backend" in screen


def best(function):
    """The shortest of some runs: this machine may be busy."""
    times = []
    for _ in range(7):
        start = time.monotonic()
        function()
        times.append(time.monotonic() - start)
    return min(times)


def test_fast_with_many_sessions(make_gateway, make_dovecot):
    dovecot = make_dovecot("fast", clients_per_process=100)
    gateway = with_metrics(make_gateway(
        {"a": backend(dovecot, "proxy_v2")})).start()
    gateway.wait_up()
    clients = [gateway.login() for _ in range(scaled(200))]
    assert len(gateway.ctl("sessions", "state=relay")) == len(clients)
    assert best(lambda: get(gateway, "/")) < 0.05
    assert best(lambda: get(gateway, "/metrics")) < 0.05
    assert best(lambda: gateway.run_ctl("--json", "sessions")) < 0.1
    for client in clients:
        client.close()


def test_a_wrong_word_is_helped(gateway):
    done = gateway.run_ctl("sesions")
    assert done.returncode == 1 and " sessions " in done.stderr, done
    for wrong in (["kick", "anna"], ["status", "x"], ["log-level"]):
        done = gateway.run_ctl(*wrong)
        assert done.returncode == 1 and not done.stdout, done
        assert f"usage: {wrong[0]}" in done.stderr, done
    done = gateway.run_ctl("-h")
    assert done.returncode == 0 and "tls-report" in done.stdout, done
    assert gateway.run_ctl("--nonsense", "status").returncode == 2


def test_who_may_ask(gateway):
    assert gateway.control.stat().st_mode & 0o777 == 0o660


def test_completion_names_every_command(gateway):
    script = (TOP / "scripts" / "sallyport.bash").read_text()
    for row in gateway.ctl("help"):
        assert f" {row['command']}" in script.replace("\n", " ") \
            .replace("\t", " ").replace('"', " "), row
    done = subprocess.run(
        ["bash", "-c", f'. {TOP}/scripts/sallyport.bash; '
         'COMP_WORDS=(sallyport ctl cert); COMP_CWORD=2; _sallyport; '
         'echo "${COMPREPLY[@]}"; COMP_WORDS=(sallyport ctl kick us); '
         'COMP_CWORD=3; _sallyport; echo "${COMPREPLY[@]}"'],
        capture_output=True, text=True, timeout=10, check=False)
    assert done.stdout.split() == ["certificates", "user"], done


def test_interrupted_clients(gateway):
    """One that goes away while the master works is no loss."""
    for _ in range(5):
        client = subprocess.Popen(
            [BUILD / "sallyport", "ctl", "-s", gateway.control, "reload"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.send_signal(signal.SIGKILL)
        client.wait()
    wait_for(lambda: gateway.run_ctl("reload").returncode == 0, 20)
    assert gateway.ctl("status")[0]["ready"] == "yes"


def test_without_a_gateway(tmp_path):
    """Whoever asks is told what may be wrong, not only an errno."""
    done = subprocess.run(
        [BUILD / "sallyport", "ctl", "-s", tmp_path / "none", "status"],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2 and "no gateway runs" in done.stderr
