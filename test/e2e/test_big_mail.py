# SPDX-License-Identifier: ISC
"""Large messages pass unchanged in both directions."""
import hashlib
import random


from support import scaled
from support.client import Imap

SIZE = scaled(50 << 20)


def big_message():
    line = random.Random(1).randbytes(36).hex().encode() + b"\r\n"
    head = b"Subject: big\r\n\r\n"
    return head + line * ((SIZE - len(head)) // len(line))


def test_append_and_fetch(gateway, user):
    message = big_message()
    wanted = hashlib.sha256(message).digest()
    with Imap(gateway.port) as imap:
        imap.login(*user)
        status, text = imap.append("INBOX", None, None, message)
        assert status == "OK", text
        imap.select("INBOX")
        status, data = imap.fetch("1", "(BODY.PEEK[])")
        assert status == "OK"
        assert hashlib.sha256(data[0][1]).digest() == wanted
    event = gateway.wait_event("session", user=user[0])
    assert int(event["in"]) >= len(message)
    assert int(event["out"]) >= len(message)


def test_odd_pieces(gateway, user):
    """TLS records of every size class, in one APPEND."""
    dice = random.Random(2)
    message = b"Subject: odd\r\n\r\n" + b"0123456789abcde\r\n" * 20000
    with gateway.client().logged_in(*user) as client:
        client.send(f"a APPEND INBOX {{{len(message)}}}\r\n")
        assert client.line().startswith(b"+")
        position = 0
        while position < len(message):
            size = dice.choice((1, 2, 100, 1400, 4096, 16384, 16385, 60000))
            client.send(message[position:position + size])
            position += size
        client.send(b"\r\n")
        assert client.until("a")[-1].startswith(b"a OK")
        client.command("SELECT INBOX")
        client.send("b FETCH 1 BODY.PEEK[]\r\n")
        assert client.line().endswith(b"{%d}" % len(message))
        assert client.exactly(len(message)) == message
