# SPDX-License-Identifier: ISC
"""The README's runbook works as it is written: its commands are run, in their
order, against a gateway; a command that this file does not know fails."""
import re
import shutil
import subprocess

import pytest

from support import CLIENT, GATEWAY, TOP, USER, wait_for
from support.client import is_refused
from support.gateway import backend
from support.observe import get, with_metrics

TEXT = (TOP / "README.md").read_text().split("## Runbook")[1] \
    .split("\n## ")[0]
STRANGER = "127.1.0.1"


def steps(title):
    """The indented commands of a paragraph."""
    part = TEXT.split(f"**{title}")[1].split("\n**")[0]
    found = re.findall(r"^    (.*)$", part, re.M)
    assert found, title
    return found


@pytest.fixture
def servers(make_backend):
    return {"a": make_backend(), "b": make_backend()}


@pytest.fixture
def gateway(make_gateway, servers):
    made = with_metrics(make_gateway({"a": backend(servers["a"])},
                                     limits={"exempt": f"{CLIENT}/32"}))
    made.config["gateway"].update(drain_timeout="2s", audit_log=made.audit)
    made.deny = made.directory / "deny"
    made.deny.write_text("")
    made.deny.chmod(0o644)
    made.config["limits"]["deny_file"] = made.deny
    made.start().wait_up()
    return made


def follow(gateway, title, before=None, **names):
    """Runs the steps; before[step] is what a person does about it, first."""
    for step in steps(title):
        (before or {}).get(step, lambda: None)()
        command = step
        for name, value in names.items():
            command = re.sub(rf"\b{name}\b", value, command)
        words = command.split()
        if words[:2] == ["sallyport", "ctl"]:
            done = gateway.run_ctl(*words[2:])
        elif words[0] == "sallyport":
            done = gateway.check(*words[1:])
        elif words[0] == "scripts/check-imaps":
            done = subprocess.run([TOP / words[0], *words[1:]], timeout=60,
                                  capture_output=True, text=True, check=False)
        elif words[0] == "curl":
            assert get(gateway, words[-1].split(":9930")[1])[0] in (200, 503)
            continue
        else:
            assert step in (before or {}), f"who does {step}?"
            continue
        assert done.returncode == 0, (step, done)


def test_commands_of_the_text(gateway):
    """Those between the lines; what stops the gateway comes last."""
    commands = sorted(set(re.findall(r"`sallyport ctl ([^`]*)`", TEXT)),
                      key=lambda command: command == "drain")
    assert len(commands) >= 10
    with gateway.login():
        for command in commands:
            words = command.replace("NAME", USER).replace("ADDRESS", STRANGER)
            done = gateway.run_ctl(*words.split())
            assert done.returncode == 0, (command, done)
    assert gateway.process.wait(15) == 0
    gateway.process = None


def test_upgrade(gateway):
    def start():
        assert gateway.process.wait(15) == 0
        gateway.start().wait_up()
    with gateway.login() as client:
        follow(gateway, "Upgrade.", {"systemctl start sallyport": start})
        assert client.rest() == b""
    gateway.login().close()


def test_add_a_backend(gateway, servers):
    def edit():
        gateway.config["backend b"] = {"pool": "mail",
                                       **backend(servers["b"])}
        gateway.write()
    with gateway.login() as client:
        follow(gateway, "Add a backend.",
               {"editor /etc/sallyport/sallyport.conf": edit})
        assert client.result("NOOP").startswith(b"OK")
    wait_for(lambda: [row["state"] for row in gateway.ctl("backends")] ==
             ["up", "up"])
    wait_for(lambda: (gateway.login().close(), servers["b"].logins())[1])


def test_take_a_backend_out(gateway, servers):
    gateway.config["backend b"] = {"pool": "mail", **backend(servers["b"])}
    gateway.write()
    gateway.ctl("reload")
    wait_for(lambda: [row["state"] for row in gateway.ctl("backends")] ==
             ["up", "up"])

    def state():
        return {row["name"]: (row["state"], row["sessions"])
                for row in gateway.ctl("backends")}

    def is_empty():
        wait_for(lambda: state()["a"] == ("draining", 0), 15)
        with gateway.login():
            assert state()["a"] == ("draining", 0)
    clients = [gateway.login() for _ in range(4)]
    follow(gateway, "Take a backend out.",
           {"sallyport ctl backend NAME up": is_empty}, NAME="a")
    for client in clients:
        client.close()
    wait_for(lambda: state()["a"][0] == "up")


def test_a_backend_is_out(gateway, servers):
    servers["a"].stop()
    gateway.wait_down()
    follow(gateway, "A backend is out.")
    assert gateway.ctl("backends")[0]["state"] == "down"
    assert get(gateway, "/readyz")[0] == 503
    with gateway.client() as client:
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")


def test_a_certificate(gateway, certs):
    place = gateway.directory / "live"
    place.mkdir()
    shutil.copy(certs.leaf("main").chain, place / "chain.pem")
    shutil.copy(certs.leaf("main").key, place / "key.pem")
    for file in place.iterdir():
        file.chmod(0o644)
    gateway.config["certificate main"].update(chain=place / "chain.pem",
                                              key=place / "key.pem")
    gateway.write()
    gateway.ctl("reload")
    renewed = certs.leaf("renewed")
    shutil.copy(renewed.chain, place / "chain.pem")
    shutil.copy(renewed.key, place / "key.pem")
    wait_for(lambda: gateway.ctl("certificates")[0]["renewals"] == 1)
    follow(gateway, "A certificate", HOST=f"{GATEWAY}:{gateway.port}")


def test_brute_force(gateway):
    def refused(yes):
        wait_for(lambda: is_refused(gateway, STRANGER, 0.3) == yes)

    def edit():
        refused(False)
        gateway.deny.write_text(f"{STRANGER}/32\n")
    follow(gateway, "Brute force.", {
        "sallyport ctl unban ADDRESS": lambda: refused(True),
        "editor deny_file": edit}, ADDRESS=STRANGER)
    refused(True)
    row = gateway.ctl("why", STRANGER)[0]
    assert (row["refused"], row["rule"]) == ("yes", "denied")
