# SPDX-License-Identifier: ISC
"""mbsync, two ways, through the gateway: afterwards its Maildir holds the same
octets as one that was synchronised straight with the backend."""
import hashlib
import re
import subprocess

from support import PASSWORD, USER
from support.gateway import backend

CONFIG = """
IMAPAccount it
Host {host}
Port {port}
User {user}
Pass {password}
{tls}

IMAPStore far
Account it

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
"""


def sync(directory, name, host, port, tls):
    near = directory / name
    near.mkdir(exist_ok=True)
    config = directory / f"{name}.rc"
    config.write_text(CONFIG.format(host=host, port=port, user=USER, near=near,
                                    password=PASSWORD, tls=tls))
    done = subprocess.run(["mbsync", "-c", config, "-a"], timeout=60,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return near


def digests(near):
    """Of all messages, by folder; mbsync's own header is left out."""
    found = []
    for path in near.glob("**/cur/*"):
        octets = re.sub(rb"(?m)^X-TUID: .*\n", b"", path.read_bytes())
        flags = path.name.rsplit(":2,", 1)[-1] if ":2," in path.name else ""
        found.append((path.parts[len(near.parts)], flags,
                      hashlib.sha256(octets).hexdigest()))
    for path in near.glob("**/new/*"):
        octets = re.sub(rb"(?m)^X-TUID: .*\n", b"", path.read_bytes())
        found.append((path.parts[len(near.parts)], "",
                      hashlib.sha256(octets).hexdigest()))
    return sorted(found)


def test_two_way(make_gateway, make_dovecot, certs, tmp_path):
    dovecot = make_dovecot("sync", plaintext_refused="no")
    dovecot.add_mail([b"Subject: %d\n\n%s\n" % (n, b"text " * n)
                      for n in range(300)])
    gateway = make_gateway({"a": backend(dovecot, "proxy_v2")}).start()
    gateway.wait_up()
    tls = f"SSLType IMAPS\nCertificateFile {certs.ca}\n"

    near = sync(tmp_path, "gateway", "localhost", gateway.port, tls)
    assert len(digests(near)) == 300

    # changes on both sides
    new = near / "INBOX" / "new"
    for number in range(5):
        (new / f"{number}.local").write_bytes(
            b"Subject: mine %d\n\nnew\n" % number)
    some = sorted((near / "INBOX" / "cur").iterdir())[0]
    some.rename(some.with_name(some.name.replace(":2,S", ":2,FS")))
    dovecot.add_mail([b"Subject: other\n\nfolder\n"], folder=".Other")
    sync(tmp_path, "gateway", "localhost", gateway.port, tls)
    sync(tmp_path, "gateway", "localhost", gateway.port, tls)

    straight = sync(tmp_path, "straight", dovecot.address, dovecot.port,
                    "SSLType None\nAuthMechs LOGIN\n")
    assert digests(near) == digests(straight)
    assert len(digests(near)) == 306
