# SPDX-License-Identifier: ISC
"""Every `sallyport ctl` of the README's runbook works as it is written."""
import re

from support import CLIENT, TOP, USER
from support.gateway import backend
from support.observe import ctl, wait_ready, with_metrics


def commands():
    text = (TOP / "README.md").read_text().split("## Runbook")[1]
    found = re.findall(r"`sallyport ctl ([^`]*)`", text.split("\n## ")[0])
    # once each; what stops the gateway comes last
    return sorted(dict.fromkeys(found), key=lambda command: command == "drain")


def test_commands(make_gateway, make_backend):
    gateway = with_metrics(make_gateway({"a": backend(make_backend())}))
    gateway.config["gateway"]["drain_timeout"] = "2s"
    wait_ready(gateway.start())
    assert len(commands()) >= 8
    with gateway.login():
        assert gateway.check("-t").returncode == 0
        for command in commands():
            words = command.replace("NAME", USER).replace("ADDRESS", CLIENT)
            done = ctl(gateway, *words.split())
            assert done.returncode == 0, (command, done)
    assert gateway.process.wait(15) == 0
    gateway.process = None
