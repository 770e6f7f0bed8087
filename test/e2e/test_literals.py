# SPDX-License-Identifier: ISC
"""Literals before login: user and password arrive as the same octets or are
refused, and no octet of a literal is ever a command (RFC 7888)."""
import random

import pytest

from support import MARK, PASSWORD, USER, scaled
from support.backend import Backend
from support.gateway import backend


class Recorder(Backend):
    """Lets everybody in and remembers who came."""

    def on_login(self, connection, tag):
        self.verdict(connection, tag, True)


class WithLiterals(Recorder):
    capabilities = "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN"


@pytest.fixture(params=[Recorder, WithLiterals], ids=["old", "new"])
def gateway(make_gateway, make_backend, request):
    server = make_backend(request.param)
    made = make_gateway({"a": backend(server)}).start()
    made.server = server
    made.wait_up()
    return made


def arrived(gateway):
    login = gateway.server.logins()[-1]
    return login.user, login.password


def test_synchronising(gateway):
    with gateway.client() as client:
        client.greeting()
        client.send(f"a LOGIN {{{len(USER)}}}\r\n")
        assert client.line().startswith(b"+")
        client.send(f"{USER} {{{len(PASSWORD)}}}\r\n")
        assert client.line().startswith(b"+")
        client.send(f"{PASSWORD}\r\n")
        assert client.until("a")[-1].startswith(b"a OK")
    assert arrived(gateway) == (USER.encode(), PASSWORD.encode())


@pytest.mark.parametrize("sign", "+-")
def test_non_synchronising_in_one_write(gateway, sign):
    """A widely used client sends this, with an ID of literals before it."""
    with gateway.client() as client:
        client.greeting()
        client.send(f'i ID ({{4{sign}}}\r\nname {{5{sign}}}\r\nProbe)\r\n'
                    f"a LOGIN {{{len(USER)}{sign}}}\r\n{USER} "
                    f"{{{len(PASSWORD)}{sign}}}\r\n{PASSWORD}\r\n")
        assert client.until("i")[-1].startswith(b"i OK")
        lines = client.until("a")
        assert lines[-1].startswith(b"a OK")
        assert not any(line.startswith(b"+") for line in lines)
    assert arrived(gateway) == (USER.encode(), PASSWORD.encode())


def values():
    dice = random.Random(7)
    yield b"a", b" "
    yield b'quo"te', b"back\\slash"
    yield "grün".encode(), "пароль".encode()
    yield b"{5}", b"{5+}"
    yield b"(list)", b"NIL"
    yield b"%*]", b"a]b"
    for _ in range(scaled(20)):
        yield tuple(bytes(dice.choice(range(1, 256)) for _ in
                          range(dice.randint(1, 60))).translate(
                              None, b"\r\n") or b"x" for _ in range(2))


def test_the_same_octets(gateway):
    """Values of any octets that a login can hold: as literal, and quoted
    where the grammar allows it."""
    for user, password in values():
        with gateway.client() as client:
            client.greeting()
            client.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
                len(user), user, len(password), password))
            assert client.until("a")[-1].startswith(b"a OK"), (user, password)
        assert arrived(gateway) == (user, password)
        if max(user + password) > 126 or min(user + password) < 32:
            continue
        quoted = [b'"' + v.replace(b"\\", b"\\\\").replace(b'"', b'\\"') +
                  b'"' for v in (user, password)]
        with gateway.client() as client:
            client.greeting()
            client.send(b"a LOGIN %s %s\r\n" % tuple(quoted))
            assert client.until("a")[-1].startswith(b"a OK"), quoted
        assert arrived(gateway) == (user, password)


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("place", ["user", "password"])
def test_control_octets(gateway, octet, place):
    """CR, LF and NUL in a literal: the same octets, or refused; never a line
    of their own at the backend."""
    value = b"x" + octet + b"9 SELECT INBOX"
    user, password = (value, b"p") if place == "user" else (b"u", value)
    with gateway.client() as client:
        client.greeting()
        client.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (
            len(user), user, len(password), password))
        good = client.until("a")[-1].startswith(b"a OK")
    if good:
        assert arrived(gateway) == (user, password)
    for connection in gateway.server.connections:
        assert not any(line.startswith(b"9 ") for line in connection.lines)


# (what is sent, octets of which are no command); each ends with "z NOOP"
REJECTED = {
    "unknown command": b"a FROB {12+}\r\nx9 LOGIN b c\r\n",
    "state": b"a SELECT {12+}\r\nx9 LOGIN b c\r\n",
    "too many arguments": b"a LOGIN a b {12+}\r\nx9 LOGIN b c\r\n",
    "starttls": b"a STARTTLS {12+}\r\nx9 LOGIN b c\r\n",
    "two of them": b"a FROB {12+}\r\nx9 LOGIN b c {12+}\r\nx9 LOGIN b c\r\n",
    "minus": b"a FROB {12-}\r\nx9 LOGIN b c\r\n",
    "crlf inside": b"a FROB {14+}\r\n\r\nx9 LOGIN b c\r\n",
    "empty": b"a FROB {0+}\r\n\r\n",
}


@pytest.mark.parametrize("name", REJECTED)
def test_literal_of_a_rejected_command(gateway, name):
    with gateway.client() as client:
        client.greeting()
        client.send(REJECTED[name] + b"z NOOP\r\n")
        lines = client.until("z")
        assert lines[-1].startswith(b"z OK")
        assert not any(line.startswith(b"x9") for line in lines), lines
    assert not gateway.server.logins()


@pytest.mark.parametrize("name", REJECTED)
def test_every_split_of_it(gateway, name):
    script = REJECTED[name] + b"z NOOP\r\n"
    for split in range(1, len(script)):
        with gateway.client() as client:
            client.greeting()
            client.send(script[:split])
            client.send(script[split:])
            assert client.until("z")[-1].startswith(b"z OK"), split
            client.reset()
    assert not gateway.server.logins()


def test_too_large_and_synchronising(gateway):
    """Tagged NO, no continuation; the session goes on."""
    with gateway.client() as client:
        client.greeting()
        client.send("a LOGIN {5000}\r\nz NOOP\r\n")
        lines = client.until("z")
        assert lines[0].startswith(b"a NO"), lines
        assert lines[-1].startswith(b"z OK")


def test_too_large_and_not_synchronising(gateway):
    """Its octets can't be skipped: BYE and the end."""
    with gateway.client() as client:
        client.greeting()
        client.send(b"a LOGIN {5000+}\r\n" + b"x NOOP\r\n" * 625 + b" b\r\n")
        rest = client.rest()
        assert b"* BYE" in rest and b"x OK" not in rest


@pytest.mark.parametrize("literal", [
    "{}", "{-1}", "{+1}", "{ 1}", "{1 }", "{1", "{1+-}", "{0x5}", "{1}x",
    "{99999999999999999999}", "{18446744073709551617}", "{4294967297}"])
def test_malformed(gateway, literal):
    with gateway.client() as client:
        client.greeting()
        client.send(f"a LOGIN {literal}\r\nz NOOP\r\n")
        lines = client.until("z")
        assert lines[0].split()[1] in (b"BAD", b"NO"), lines
        assert not any(line.startswith(b"+") for line in lines), lines
        assert lines[-1].startswith(b"z OK")


@pytest.mark.parametrize("literal", ["{18446744073709551621+}",
                                     "{4294967301+}", "{65541+}"])
def test_overflow_and_not_synchronising(gateway, literal):
    with gateway.client() as client:
        client.greeting()
        client.send(f"a LOGIN {literal}\r\nabcde x\r\nz NOOP\r\n")
        rest = client.rest()
        assert b"z OK" not in rest and b"* BYE" in rest


def test_nothing_unparsed_reaches_the_backend(gateway):
    """What the backend reads is written anew."""
    with gateway.client() as client:
        client.greeting()
        client.send(f'MyOwnTag LOGIN "{USER}" "{PASSWORD}"\r\n')
        assert client.until("MyOwnTag")[-1].startswith(b"MyOwnTag OK")
    assert b"MyOwnTag" not in gateway.server.logins()[0].received
    assert MARK.encode() in gateway.server.logins()[0].received or \
        gateway.server.logins()[0].password == PASSWORD.encode()
