# SPDX-License-Identifier: ISC
"""Checks that log in, and states that outlive the roles."""
import os
import signal

from support import PASSWORD, USER, wait_for
from support.backend import Backend
from support.gateway import backend


class Choosy(Backend):
    """Says no to everybody when told so."""

    broken = False

    def on_login(self, connection, tag):
        if self.broken:
            connection.send(f"{tag} NO [UNAVAILABLE] no directory\r\n")
        else:
            super().on_login(connection, tag)


def test_check_logs_in(make_gateway, make_backend):
    """A backend that greets and cannot log anybody in is down."""
    servers = [make_backend(Choosy) for _ in range(2)]
    gateway = make_gateway(
        {f"b{n}": backend(s) for n, s in enumerate(servers)})
    secret = gateway.directory / "check-password"
    secret.write_text(PASSWORD + "\n")
    gateway.config["pool mail"].update(check_user=USER,
                                       check_password_file=secret)
    gateway.start()
    gateway.wait_up()
    wait_for(lambda: len(gateway.events("backend", state="up")) == 2)
    assert servers[0].logins()[0].password == PASSWORD.encode()
    servers[0].broken = True
    event = gateway.wait_event("backend", backend="b0", state="down")
    assert event["why"] == "login_refused", event
    assert event["text"] == "no directory"
    for _ in range(4):
        gateway.login().close()
    servers[0].broken = False
    wait_for(lambda: len(gateway.events("backend", backend="b0",
                                        state="up")) == 2)
    # a new monitor has the password, too
    gateway.deaths_expected = True
    os.kill(gateway.pids("monitor")[0], signal.SIGKILL)
    before = len(servers[1].logins())
    wait_for(lambda: len(servers[1].logins()) > before + 2)
    assert not gateway.events("backend", backend="b1", state="down")
    # and so has one that finds it changed
    secret.write_text("another\n")
    gateway.reload()
    gateway.wait_event("backend", backend="b1", state="down",
                       why="login_refused")


def test_account_is_whole(make_gateway, make_backend):
    server = make_backend()
    for keys, why in (({"check_user": "x"}, "expected both"),
                      ({"check_user": "x",
                        "check_password_file": "/dev/null"},
                       "expected one line"),
                      ({"check_user": "x",
                        "check_password_file": "/nonexistent"},
                       "No such file")):
        checked = make_gateway({"a": backend(server)}, pool=keys).check("-t")
        assert checked.returncode != 0 and why in checked.stderr
