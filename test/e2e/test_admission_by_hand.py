# SPDX-License-Identifier: ISC
"""The limits by hand: limits show and top, ban, unban, deny reload."""
import os

import pytest

from support import CLIENT
from support.client import is_refused
from support.gateway import backend


def address(n):
    return f"127.1.{n // 250}.{n % 250 + 1}"


@pytest.fixture
def make_limited(make_gateway, make_backend):
    def make(**limits):
        made = make_gateway({"a": backend(make_backend())},
                            limits={"exempt": f"{CLIENT}/32", **limits})
        made.start().wait_up()
        return made
    return make


def test_ban_and_unban_by_hand(make_limited):
    gateway = make_limited()
    assert not is_refused(gateway, address(1), 0.3)
    assert gateway.ctl("ban", address(1)) == [
        {"message": f"{address(1)}/32 is banned for 600 s"}]
    assert gateway.ctl("ban", address(1), "1h") == [
        {"message": f"{address(1)}/32 is banned for 3600 s"}]
    assert is_refused(gateway, address(1))
    audit = gateway.wait_event("control", uid=os.getuid())
    assert audit["command"].startswith("ban ")
    shown = gateway.ctl("limits", "show", address(1))
    assert any(row.get("ban_s", 0) > 3000 for row in shown), shown
    assert any(row.get("decision") == "banned" for row in shown), shown
    assert any(row.get("prefix") == address(1) + "/32" for row in
               gateway.ctl("limits", "top"))
    gateway.ctl("unban", address(1))
    gateway.login(source=address(1)).close()


@pytest.mark.parametrize("words", [
    ["ban"], ["ban", "x"], ["ban", "192.0.2.1", "soon"], ["unban"],
    ["limits"], ["limits", "show"], ["limits", "show", "x"],
    ["limits", "bottom"], ["deny"], ["deny", "more"],
    ["ban", "192.0.2.1", "1h", "x"]])
def test_wrong_words(make_limited, words):
    gateway = make_limited()
    assert gateway.ctl_fails(*words)


def test_tables_for_people(make_limited):
    gateway = make_limited()
    with gateway.login(source=address(1)):
        text = gateway.ctl_text("limits", "show", address(1))
        assert "PREFIX" in text and address(1) + "/32" in text
        assert address(1) + "/32" in gateway.ctl_text("limits", "top")


def test_every_rung_and_its_rule(make_limited):
    gateway = make_limited(connections_per_ip=1)
    shown = gateway.ctl("limits", "show", "2001:db8:1:2::3")
    assert [(row["prefix"], row["rule"], row["factor"])
            for row in shown[:-1]] == [
        ("2001:db8:1:2::/64", "admit", 1),
        ("2001:db8:1::/56", "admit", 4), ("2001:db8:1::/48", "admit", 16)]
    assert shown[-1]["decision"] == "admit"
    with gateway.login(source=address(1)):
        shown = gateway.ctl("limits", "show", address(1))
        assert shown[0]["rule"] == shown[1]["decision"] == \
            "connections_per_ip"
    assert gateway.ctl("limits", "show", CLIENT)[-1]["exempt"] is True


def test_deny_reload(make_limited, tmp_path):
    """Waits until every worker has the new list, or says what is wrong."""
    tmp_path.chmod(0o755)
    deny = tmp_path / "deny"
    deny.write_text("")
    gateway = make_limited(deny_file=deny)
    deny.write_text("127.1.0.77 # and more\n")
    gateway.ctl("deny", "reload")
    assert is_refused(gateway, "127.1.0.77")
    deny.write_text("nonsense\n")
    assert gateway.ctl_fails("deny", "reload")
    gateway.wait_event("reload", verdict="failed")
    assert is_refused(gateway, "127.1.0.77")
    for event in gateway.events("control"):
        assert event["uid"] == str(os.getuid())
