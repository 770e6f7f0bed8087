# SPDX-License-Identifier: ISC
"""Balancers that people use, before a listener that requires a PROXY header:
HAProxy, nginx and curl; behind the gateway Dovecot, which reads another one."""
import grp
import os
import re
import subprocess

import pytest

from support import CLIENT, DIES_WITH_US, GATEWAY, PASSWORD, USER, \
    free_port, need, unprivileged, wait_for
from support.client import Client, tcp
from support.gateway import backend

BALANCER = "127.0.0.5"
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
HEADER = f"PROXY TCP4 {CLIENT} {GATEWAY} 5555 993\r\n".encode()


@pytest.fixture
def gateway(make_gateway, dovecot):
    made = make_gateway(
        {"a": backend(dovecot, "proxy_v2")},
        listen={"proxy_protocol": "required",
                "proxy_from": f"{BALANCER}/32, {CLIENT}/32"})
    made.client = lambda **o: Client(made.port, before=HEADER, **o)
    made.start().wait_up()
    return made


@pytest.fixture
def run(tmp_path):
    """run(program, argument, ...): until the end of the test."""
    running = []

    def start(*words):
        running.append(subprocess.Popen(
            [*DIES_WITH_US, *words], stdin=subprocess.DEVNULL,
            stdout=open(tmp_path / "output", "ab"),
            stderr=subprocess.STDOUT))
    yield start
    for process in running:
        process.terminate()
        process.wait(20)


def opens(port):
    try:
        tcp(port).close()
        return True
    except OSError:
        return False


HAPROXY = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen front
    bind {front}
    server gateway {gateway} source {balancer} {options}
"""

NGINX = """
load_module {module};
{user}
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 100; }}
stream {{
    server {{
        listen {front};
        proxy_pass {gateway};
        proxy_bind {balancer};
        proxy_protocol on;
    }}
}}
"""


def haproxy(options):
    def make(gateway, directory, front, run):
        need("haproxy")
        path = directory / "haproxy.cfg"
        path.write_text(HAPROXY.format(
            front=front, gateway=f"{GATEWAY}:{gateway.port}",
            balancer=BALANCER, options=options))
        run("haproxy", "-db", "-f", path)
    return make


def nginx(gateway, directory, front, run):
    need("nginx", MODULE)
    path = directory / "nginx.conf"
    who = unprivileged()
    group = grp.getgrgid(who.pw_gid).gr_name
    path.write_text(NGINX.format(
        user=f"user {who.pw_name} {group};" if os.getuid() == 0 else "",
        module=MODULE, directory=directory, front=front,
        gateway=f"{GATEWAY}:{gateway.port}", balancer=BALANCER))
    run("nginx", "-c", path, "-e", "stderr")


SENDERS = {
    "haproxy v1": haproxy("send-proxy"),
    "haproxy v2": haproxy("send-proxy-v2"),
    "haproxy v2 with fields": haproxy(
        "send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,authority"),
    "nginx": nginx,
}


@pytest.mark.parametrize("name", SENDERS)
def test_through_a_balancer(gateway, dovecot, tmp_path, run, name):
    """Everybody is told the client's address and port."""
    port = free_port(GATEWAY)
    seen = len(dovecot.log_text())
    SENDERS[name](gateway, tmp_path, f"{GATEWAY}:{port}", run)
    wait_for(lambda: opens(port), 10, (tmp_path / "output").read_text)
    with Client(port) as client:
        client.logged_in()
        own = client.socket.getsockname()[1]
        assert b" OK" in client.command("SELECT INBOX")[-1]
    event = gateway.wait_event("session", user=USER)
    assert event["peer"] == f"{CLIENT}:{own}"
    wait_for(lambda: re.search(rf"Login: user=<{USER}>.* rip={CLIENT},",
                               dovecot.log_text()[seen:]),
             what="Dovecot's login line")


def test_checks_of_haproxy_are_quiet(gateway, tmp_path, run):
    """It asks once in 100 ms, in v2 with a LOCAL header."""
    port = free_port(GATEWAY)
    haproxy("send-proxy-v2 check check-send-proxy inter 100")(
        gateway, tmp_path, f"{GATEWAY}:{port}", run)

    def checks():
        return sum(row.get("value", 0) for row in gateway.ctl("status")
                   if row.get("name") in ("proxy_local", "proxy_bare"))
    wait_for(lambda: checks() > 10, 20, "checks")
    assert not [event for event in gateway.events()
                if event.get("peer", CLIENT).split(":")[0] != CLIENT]


def curl(gateway, certs, *words):
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--cacert", certs.ca,
         "--interface", CLIENT, "--resolve",
         f"localhost:{gateway.port}:{GATEWAY}", "--user",
         f"{USER}:{PASSWORD}", *words,
         f"imaps://localhost:{gateway.port}/INBOX;MAILINDEX=1"],
        capture_output=True, timeout=30, check=False)


def test_curl(gateway, certs):
    need("curl")
    done = curl(gateway, certs, "--haproxy-protocol")
    assert done.returncode == 0, done.stderr
    assert b"Hello." in done.stdout
    assert gateway.wait_event(
        "session", user=USER)["peer"].startswith(CLIENT)


def test_curl_in_the_name_of_another(gateway, certs):
    need("curl")
    known = subprocess.run(["curl", "--help", "all"], capture_output=True,
                           text=True, check=True).stdout
    if "--haproxy-clientip" not in known:
        pytest.skip("this curl has no --haproxy-clientip (8.2 and later)")
    done = curl(gateway, certs, "--haproxy-clientip", "192.0.2.7")
    assert done.returncode == 0, done.stderr
    assert gateway.wait_event(
        "session", user=USER)["peer"].startswith("192.0.2.7:")
