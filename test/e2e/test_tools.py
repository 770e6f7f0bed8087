# SPDX-License-Identifier: ISC
"""What is given to monitoring: alerts, the fail2ban filter, check-imaps."""
import subprocess

from support import GATEWAY, TOP, free_port, need, wait_for
from support.gateway import backend

HOSTILE = ("evil", 'e" verdict=failed peer=192.0.2.1:1 x="',
           "a peer=192.0.2.1:99 verdict=failed",
           "x\r\nts=2026-11-20T00:00:00.000000Z level=info event=login id=1 "
           "peer=192.0.2.1:1 verdict=failed", "\\", '\\"', "user=\"", "",
           "l" * 2000)


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=60,
                          check=False, **options)


def test_alerts():
    need("promtool")
    done = run("promtool", "test", "rules", "alerts_test.yml",
               cwd=TOP / "scripts" / "prometheus")
    assert done.returncode == 0, done
    rules = (TOP / "scripts/prometheus/alerts.yml").read_text()
    tests = (TOP / "scripts/prometheus/alerts_test.yml").read_text()
    for line in rules.splitlines():
        if "- alert:" in line:
            name = line.split()[-1]
            assert tests.count(f"alertname: {name}\n") == 2, name


def test_alerts_name_metrics_that_exist():
    table = (TOP / "proxy/observer/metrics.h").read_text()
    rules = (TOP / "scripts/prometheus/alerts.yml").read_text()
    for word in rules.replace("(", " ").replace("{", " ").split():
        if word.startswith("sallyport_"):
            name = word.split("[")[0].split(")")[0].removeprefix("sallyport_")
            assert f"X({name}, " in table, name


def test_fail2ban(make_gateway, make_backend):
    """Exactly the failed logins, with the address that failed, whatever else
    is in a line."""
    need("fail2ban-regex")
    gateway = make_gateway({"a": backend(make_backend())}).start()
    gateway.wait_up()
    for user in HOSTILE:
        with gateway.client() as client:
            client.greeting()
            octets = user.encode()
            client.send(b"a LOGIN {%d+}\r\n%s {1+}\r\nx\r\n"
                        % (len(octets), octets))
            client.until("a")
    gateway.login().close()
    wait_for(lambda: len(gateway.events("login")) == len(HOSTILE) + 1)
    done = run("fail2ban-regex", "--out", "ip", gateway.log,
               TOP / "scripts/fail2ban/sallyport.conf")
    assert done.returncode == 0, done
    assert done.stdout.split() == ["127.0.0.3"] * len(HOSTILE), done


def test_check_imaps(make_gateway, make_backend):
    server = make_backend()
    gateway = make_gateway({"a": backend(server)}).start()
    gateway.wait_up()
    probe = TOP / "scripts" / "check-imaps"
    done = run(probe, "-n", "localhost", f"{GATEWAY}:{gateway.port}")
    assert done.returncode == 0 and done.stdout.startswith("OK"), done
    assert "TLSv1.3" in done.stdout and "days left" in done.stdout
    done = run(probe, "-w", "5000", f"{GATEWAY}:{gateway.port}")
    assert done.returncode == 1 and done.stdout.startswith("WARNING"), done
    done = run(probe, "-w", "9000", "-c", "5000", f"{GATEWAY}:{gateway.port}")
    assert done.returncode == 2, done
    server.stop()
    gateway.wait_down()
    done = run(probe, f"{GATEWAY}:{gateway.port}")
    assert done.returncode == 2 and "BYE" in done.stdout, done
    done = run(probe, f"{GATEWAY}:{free_port(GATEWAY)}")
    assert done.returncode == 2 and "no TLS" in done.stdout, done
    assert run(probe).returncode == 3
    assert run(probe, "-w", "soon", "x").returncode == 3
