# SPDX-License-Identifier: ISC
"""What attackers use: hydra guesses a password that is on its list."""
import os
import signal
import subprocess

import pytest

from support import CLIENT, GATEWAY, MARK, PASSWORD, SCALE, USER, need, \
    wait_for
from support.client import is_refused
from support.gateway import backend

# hydra connects from the gateway's own address; these are the owner's.
KNOWN, NEW = "127.1.0.1", "127.1.0.2"
WORDS = [f"{MARK}-guess-{n}" for n in range(30)] + [PASSWORD]


class Hydra:
    """Runs until the end of the block: it never gives up by itself."""

    def __init__(self, gateway, directory):
        words = directory / "words"
        words.write_text("\n".join(WORDS) + "\n")
        self.found = directory / "found"
        self.process = subprocess.Popen(
            ["hydra", "-I", "-f", "-t", "4", "-l", USER, "-P", words,
             "-o", self.found, f"imaps://{GATEWAY}:{gateway.port}"],
            cwd=directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def has_succeeded(self):
        return self.found.exists() and \
            f"password: {PASSWORD}" in self.found.read_text()


@pytest.fixture
def make_victim(make_gateway, dovecot):
    if SCALE < 10:
        pytest.skip("takes most of a minute: in check-full only")
    need("hydra")

    def make(**limits):
        gateway = make_gateway({"a": backend(dovecot, "proxy_v2")},
                               limits={"exempt": f"{CLIENT}/32",
                                       "auth_failures_per_ip": "5/10m",
                                       "auth_failures_per_user": "5/10m",
                                       **limits}).start()
        gateway.wait_up()
        return gateway
    return make


def test_hydra_succeeds_where_nothing_is_refused(make_victim, tmp_path):
    gateway = make_victim(observe="on")
    with Hydra(gateway, tmp_path) as attack:
        wait_for(attack.has_succeeded, 60, "the right password")
    assert gateway.wait_event("ban", observed="true")


def test_hydra_is_banned(make_victim, tmp_path):
    """After the failures that are allowed and four that are delayed; the owner
    gets in, at once from where he was before."""
    gateway = make_victim()
    gateway.login(source=KNOWN).close()
    with Hydra(gateway, tmp_path) as attack:
        ban = gateway.wait_event("ban", 90)
        gateway.wait_event("refused", 60, why="banned")
    assert ban["peer"].startswith(GATEWAY) and ban["user"] == USER
    assert is_refused(gateway, GATEWAY)
    assert not attack.has_succeeded()
    # four connections may wait for their verdicts at the same time
    failed = gateway.events("login", verdict="failed")
    assert 9 <= len(failed) <= 9 + 3
    gateway.login(source=KNOWN, timeout=1.5).close()
    gateway.login(source=NEW, timeout=30).close()
    gateway.wait_event("login_new_prefix", user=USER)
