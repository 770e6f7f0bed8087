# SPDX-License-Identifier: ISC
"""What follows a LOGIN in the same segment belongs to the backend after OK and
to the gateway after NO."""
import pytest

from support import PASSWORD, USER
from support.backend import Backend
from support.gateway import backend


class Echo(Backend):
    def on_command(self, connection, tag, name, arguments):
        connection.send(f"* ECHO {name.decode()}\r\n{tag} OK echo\r\n")
        return True


@pytest.fixture
def gateway(make_gateway, make_backend):
    server = make_backend(Echo)
    made = make_gateway({"a": backend(server)}).start()
    made.server = server
    made.wait_up()
    return made


def login(password=PASSWORD):
    return f'a LOGIN {USER} "{password}"\r\n'


def test_after_ok(gateway):
    with gateway.client() as client:
        client.greeting()
        client.send(login() + "b SELECT INBOX\r\nc FROB\r\n")
        assert client.until("a")[-1].startswith(b"a OK")
        assert client.until("b") == [b"* ECHO SELECT", b"b OK echo"]
        assert client.until("c") == [b"* ECHO FROB", b"c OK echo"]


def test_after_no(gateway):
    with gateway.client() as client:
        client.greeting()
        client.send(login("wrong") + "b SELECT INBOX\r\nc NOOP\r\n" +
                    login().replace("a", "d", 1) + "e SELECT X\r\n")
        assert client.until("a")[-1].startswith(b"a NO")
        lines = client.until("c")
        assert lines[0].startswith(b"b BAD")
        assert client.until("d")[-1].startswith(b"d OK")
        assert client.until("e") == [b"* ECHO SELECT", b"e OK echo"]
    seen = b"".join(c.received for c in gateway.server.connections)
    assert b"SELECT INBOX" not in seen


def test_in_the_same_segment_as_the_finished_message(gateway):
    """A client that doesn't wait for the greeting either."""
    with gateway.client() as client:
        client.send("x NOOP\r\n" + login() + "b SELECT INBOX\r\n")
        client.greeting()
        assert client.until("x")[-1].startswith(b"x OK")
        assert client.until("a")[-1].startswith(b"a OK")
        assert client.until("b")[-1].startswith(b"b OK")


def test_much_behind_a_login(gateway):
    """More than any buffer before login may hold: nothing is lost, since
    reading stops until the verdict."""
    count = 20000
    with gateway.client() as client:
        client.greeting()
        client.send(login() + "".join(f"p{n} X\r\n" for n in range(count)))
        assert client.until("a")[-1].startswith(b"a OK")
        assert client.until(f"p{count - 1}")[-1].endswith(b"OK echo")


def test_every_split(gateway):
    script = (login() + "b SELECT INBOX\r\n").encode()
    for split in range(1, len(script), 3):
        with gateway.client() as client:
            client.greeting()
            client.send(script[:split])
            client.send(script[split:])
            assert client.until("b")[-1].startswith(b"b OK"), split
