# SPDX-License-Identifier: ISC
"""What happens behind a login is between client and backend."""
import zlib

from support.client import capabilities_of


def test_idle_wakes(gateway, user):
    with gateway.client().logged_in(*user) as watcher, \
            gateway.client().logged_in(*user) as writer:
        watcher.command("SELECT INBOX")
        watcher.send("i IDLE\r\n")
        assert watcher.line().startswith(b"+")
        message = "Subject: wake\r\n\r\nup\r\n"
        writer.send(f"w APPEND INBOX {{{len(message)}+}}\r\n{message}\r\n")
        assert writer.until("w")[-1].startswith(b"w OK")
        assert watcher.line().endswith(b" EXISTS")
        watcher.send("DONE\r\n")
        assert watcher.until("i")[-1].startswith(b"i OK")


def test_compress(gateway, user):
    with gateway.client().logged_in(*user) as client:
        assert client.result("COMPRESS DEFLATE").startswith(b"OK")
        out = zlib.compressobj(9, zlib.DEFLATED, -15)
        back = zlib.decompressobj(-15)
        text = b""

        def command(line, until):
            nonlocal text
            client.send(out.compress(line) + out.flush(zlib.Z_SYNC_FLUSH))
            while until not in text:
                data, client.buffer = client.buffer, b""
                text += back.decompress(data or client.receive())
        command(b"c SELECT INBOX\r\n", b"c OK")
        command(b"n NOOP\r\n" * 500 + b"x NOOP\r\n", b"x OK")
        assert text.count(b"n OK") == 500


def test_capabilities_after_login(gateway):
    """The client learns the backend's own list, less what would mislead."""
    with gateway.client() as client:
        before = capabilities_of(client.greeting())
        lines = client.login()
        after = set().union(*map(capabilities_of, lines))
        assert {"IDLE", "UIDPLUS", "COMPRESS=DEFLATE"} <= after
        assert not {"STARTTLS", "LOGINDISABLED", "UNAUTHENTICATE"} & after
        assert "COMPRESS=DEFLATE" not in before


def test_pipelined_commands_arrive_in_order(gateway, user):
    with gateway.client().logged_in(*user) as client:
        count = 2000
        client.send(b"".join(b"p%d NOOP\r\n" % n for n in range(count)))
        for number in range(count):
            assert client.line().startswith(b"p%d OK" % number)
