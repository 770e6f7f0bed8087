# SPDX-License-Identifier: ISC
"""The control socket as people use it: sallyport ctl."""
import json
import subprocess

from support import BUILD, CLIENT, USER


def ctl(gateway, *words):
    return subprocess.run([BUILD / "sallyport", "ctl", "-s", gateway.control,
                           *words], capture_output=True, text=True,
                          timeout=20, check=False)


def test_help(gateway):
    done = ctl(gateway, "help")
    assert done.returncode == 0 and "sessions" in done.stdout


def test_sessions(gateway):
    with gateway.login() as client:
        client.command("NOOP")
        done = ctl(gateway, "--json", "sessions")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        mine = [row for row in rows if row.get("user") == USER]
        assert len(mine) == 1 and CLIENT in mine[0]["client"]
        assert USER in ctl(gateway, "sessions").stdout


def test_an_unknown_command(gateway):
    done = ctl(gateway, "frobnicate")
    assert done.returncode != 0


def test_no_gateway(gateway):
    assert gateway.stop() == 0
    assert ctl(gateway, "help").returncode != 0
