# SPDX-License-Identifier: ISC
"""One event, one line, in the documented grammar, whatever peers send; never a
credential (the fixture looks for those after every test)."""
import signal

import pytest

from support import CLIENT, MARK, PASSWORD, USER, wait_for
from support.backend import Backend
from support.gateway import backend

HOSTILE = {
    "line break": b"evil\r\nts=0 level=info event=forged",
    "quotes": b'e"v\\il" user="root',
    "escapes": b"\x1b[31mred\x1b[0m\x07",
    "bidirectional": "‮drow⁦ssap".encode(),
    "not utf-8": b"\xff\xfe\x80\x81",
    "long": b"l" * 4000,
}


@pytest.fixture(params=["logfmt", "json"])
def gateway(make_gateway, make_backend, request):
    server = make_backend()
    made = make_gateway({"a": backend(server)},
                        gateway={"log_format": request.param}).start()
    made.form = request.param
    made.server = server
    made.wait_up()
    return made


def test_session_fields(gateway):
    with gateway.login() as client:
        port = client.socket.getsockname()[1]
        client.command("NOOP")
    event = gateway.wait_event("session", user=USER)
    assert event["peer"] == f"{CLIENT}:{port}"
    assert event["sni"] == "localhost"
    assert event["tls"] == "TLSv1.3" and event["alpn"] == "imap"
    assert event["cipher"] and event["group"]
    assert event["resumed"] in ("false", "0", "no")
    assert event["backend"] == "a"
    assert int(event["in"]) >= len("t2 NOOP\r\n")
    assert int(event["out"]) >= len("t2 OK noop\r\n")
    assert int(event["duration_ms"]) >= 0
    assert event["who"] == "client" and event["why"] and event["state"]
    assert len(event["id"]) == 16
    verdict = gateway.wait_event("login", user=USER)
    assert verdict["id"] == event["id"] and verdict["mechanism"]
    first = gateway.log.read_text().splitlines()[0]
    assert first.startswith("{" if gateway.form == "json" else "ts=")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_user(gateway, name):
    value = HOSTILE[name]
    with gateway.client() as client:
        client.greeting()
        client.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
            len(value), value, len(PASSWORD), PASSWORD.encode()))
        client.until("a")
    gateway.wait_event("login")
    assert not gateway.events("forged")     # parses every line, too
    for line in gateway.log.read_bytes().split(b"\n"):
        assert all(32 <= octet < 127 for octet in line), line
        assert len(line) < 4096 * 6
    if name == "long":
        wait_for(lambda: b"_truncated" in gateway.log.read_bytes())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_id_and_backend_text(gateway, name):
    value = HOSTILE[name]
    short = value[:1000]
    with gateway.client() as client:
        client.greeting()
        client.send(b'i ID ("name" {%d+}\r\n%s "version" "1")\r\n'
                    % (len(short), short))
        client.until("i")
        gateway.server.on_login = lambda connection, tag: connection.send(
            tag.encode() + b" NO " + value.replace(b"\n", b"") + b"\r\n")
        client.login()
    gateway.wait_event("session", 10, who="client")
    for line in gateway.log.read_bytes().split(b"\n"):
        assert all(32 <= octet < 127 for octet in line), line


def test_passwords_stay_out(gateway):
    """In commands that fail to parse, too."""
    with gateway.client() as client:
        client.greeting()
        client.send(f"a LOGIN {USER} {MARK}-one two\r\n"
                    f'b LOG IN "{MARK}-two"\r\n')
        client.until("b")
    with gateway.client() as client:
        client.greeting()
        client.send(f"{MARK}{MARK} LOGIN x y\r\n"
                    f"a AUTHENTICATE PLAIN {MARK}\r\n")
        client.until("a")
    wait_for(lambda: len(gateway.events("session")) >= 2)
    assert not gateway.find_problems()


def test_reopen(gateway):
    gateway.login().close()
    gateway.wait_event("session", user=USER)
    moved = gateway.log.with_name("log.1")
    gateway.log.rename(moved)
    gateway.tell(signal.SIGUSR1)
    wait_for(gateway.log.exists, what="a new log file")
    size = moved.stat().st_size
    gateway.login().close()
    gateway.wait_event("session", user=USER)
    assert moved.stat().st_size - size < 500


def test_to_stderr(make_gateway, make_backend):
    # with nothing to warn of: messages of the start are no events
    server = make_backend(proxy=2)
    gateway = make_gateway({"a": backend(server, "proxy_v2")},
                           gateway={"log": "stderr"})
    gateway.log = gateway.stderr
    gateway.start().wait_up()
    gateway.login().close()
    gateway.wait_event("session", user=USER)


def test_level(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend())},
                           gateway={"log_level": "warn"}).start()
    gateway.wait_up()
    gateway.login().close()
    assert {e["level"] for e in gateway.events()} <= {"warn", "error"}


def test_debug(make_gateway, make_backend):
    """The way of each session through its states, for who asks for it."""
    gateway = make_gateway({"a": backend(make_backend())},
                           gateway={"log_level": "debug"}).start()
    gateway.wait_up()
    gateway.login().close()
    session = gateway.wait_event("session", user=USER)
    told = [(event["from"], event["state"]) for event in
            gateway.wait_events(6, "debug", id=session["id"])]
    states = ["accept", "handshake", "preauth", "login", "relay", "linger",
              "done"]
    assert told == list(zip(states, states[1:]))


def test_backend_changes(gateway):
    """One event per change, with the backend's name."""
    gateway.server.stop()
    gateway.wait_down()
    events = gateway.events("backend", backend="a")
    assert events and len(events) < 6


class Talker(Backend):
    """Sends what it got back to the client."""

    def on_command(self, connection, tag, name, arguments):
        connection.send(f"* {arguments}\r\n{tag} OK\r\n")
        return True


def test_nothing_of_the_relay_is_logged(make_gateway, make_backend):
    gateway = make_gateway({"a": backend(make_backend(Talker))}).start()
    gateway.wait_up()
    with gateway.login() as client:
        client.command(f"X {MARK}-mail-text")
    gateway.wait_event("session", user=USER)
    assert not gateway.find_problems()
