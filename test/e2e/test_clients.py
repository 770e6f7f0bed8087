# SPDX-License-Identifier: ISC
"""Programs that people use log in, on three TLS implementations."""
import subprocess

import pytest

from support import CLIENT, GATEWAY, PASSWORD, USER
from support.client import Imap, context


def test_curl_fetches_a_message(gateway, certs):
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--cacert", certs.ca,
         "--interface", CLIENT, "--resolve",
         f"localhost:{gateway.port}:{GATEWAY}", "--user",
         f"{USER}:{PASSWORD}",
         f"imaps://localhost:{gateway.port}/INBOX;MAILINDEX=1"],
        capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Hello." in done.stdout
    event = gateway.wait_event("session", user=USER)
    assert event["tls"] == "TLSv1.3"


def test_curl_reports_a_wrong_password_as_such(gateway, certs):
    done = subprocess.run(
        ["curl", "--silent", "--cacert", certs.ca, "--user",
         f"{USER}:nonsense", "--resolve",
         f"localhost:{gateway.port}:{GATEWAY}",
         f"imaps://localhost:{gateway.port}/INBOX;MAILINDEX=1"],
        capture_output=True, timeout=30, check=False)
    assert done.returncode == 67, done.stderr     # CURLE_LOGIN_DENIED


def test_imaplib(gateway, certs):
    with Imap(gateway.port, tls=context(certs.ca)) as imap:
        assert imap.login(USER, PASSWORD)[0] == "OK"
        assert "IDLE" in imap.capability()[1][0].decode()
        imap.select("INBOX", readonly=True)
        status, data = imap.fetch("1", "(RFC822)")
        assert status == "OK" and b"Hello." in data[0][1]
        assert imap.list()[0] == "OK"


SCRIPT = (f'a LOGIN {USER} "{PASSWORD}"\r\n'
          'b EXAMINE INBOX\r\nc LOGOUT\r\n').encode()


def talk(command):
    """Runs a line client; it gets each line when the answer has come."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        seen = b""
        wanted = b"* OK"
        for line in SCRIPT.splitlines(keepends=True):
            while wanted not in seen:
                data = process.stdout.read(65536)
                assert data, seen
                seen += data
            process.stdin.write(line)
            wanted = line[:1] + b" OK"
        while data := process.stdout.read(65536):
            seen += data
        process.stdin.close()
        process.wait(10)
    return seen


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(gateway, certs, version):
    seen = talk(["openssl", "s_client", "-quiet", "-verify_return_error",
                 "-CAfile", str(certs.ca), "-connect",
                 f"{GATEWAY}:{gateway.port}", "-servername",
                 "mail.example.org", "-alpn", "imap", version])
    assert b"\r\nc OK" in seen and b"a OK" in seen


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_gnutls(gateway, certs, version):
    seen = talk(["gnutls-cli", "--x509cafile", str(certs.ca), "--port",
                 str(gateway.port), "--sni-hostname", "localhost",
                 "--verify-hostname", "localhost", "--alpn", "imap",
                 "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}",
                 "--logfile", "/dev/null", GATEWAY])
    assert b"c OK" in seen and b"a OK" in seen
