# SPDX-License-Identifier: ISC
"""What a policy refuses is named, and a stricter one can be tried first."""
import json
import random
import shutil
import ssl
import subprocess

import pytest

from support import GATEWAY, USER, scaled, wait_for
from support.client import Client, context, reset, tcp
from support.gateway import backend, memory_of
from support.observe import scrape, with_metrics
from support.wire import extension, hello, hello_12, sni


@pytest.fixture
def gateway(make_gateway, make_backend):
    made = with_metrics(make_gateway({"a": backend(make_backend())}, tls={
        "sni": "strict", "handshake_timeout": "1s"})).start()
    made.wait_up()
    return made


def raw(gateway, data, then=None):
    with tcp(gateway.port) as sock:
        sock.sendall(data)
        if then == "reset":
            reset(sock)
        elif then == "read":
            sock.settimeout(5)
            assert sock.recv(7)[:1] == b"\x15", "an alert"
        elif then == "wait":
            sock.settimeout(5)
            assert sock.recv(10) == b""


def shake(gateway, name="localhost", **options):
    with pytest.raises((ssl.SSLError, OSError)):
        with Client(gateway.port, server_name=name,
                    tls=context(**options)) as client:
            assert client.line() == b"" and client.end == "alert"
            raise ssl.SSLError


def s_client(gateway, *options):
    """What Python cannot say."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{GATEWAY}:{gateway.port}",
         "-servername", "localhost", *options], stdin=subprocess.DEVNULL,
        capture_output=True, timeout=20, check=False)
    assert done.returncode != 0, done.stdout


# What a client does, the reason in the log, the alert (RFC 8446 section 6,
# RFC 7301, RFC 6066), who ended it.
REFUSALS = {
    "version": (lambda g: shake(g, version=ssl.TLSVersion.TLSv1_1,
                                ciphers="ALL:@SECLEVEL=0"),
                "tls_version", 70, "gateway"),
    "cipher": (lambda g: shake(g, version=ssl.TLSVersion.TLSv1_2,
                               ciphers="AES128-GCM-SHA256"),
               "tls_cipher", 40, "gateway"),
    "group": (lambda g: s_client(g, "-tls1_3", "-groups", "P-521"),
              "tls_group", 40, "gateway"),
    "signature": (lambda g: s_client(g, "-sigalgs", "RSA+SHA256"),
                  "tls_sigalg", 40, "gateway"),
    "no extension": (lambda g: raw(g, hello(groups=None, share=None), "read"),
                     "tls_protocol", 109, "gateway"),
    "malformed": (lambda g: raw(g, b"\x16\3\1\0\5\1\0\0\1\0", "read"),
                  "tls_protocol", 50, "gateway"),
    "alpn": (lambda g: shake(g, alpn=("h2",)), "tls_alpn", 120, "gateway"),
    "sni": (lambda g: shake(g, "nobody.example.net"), "tls_sni", 112,
            "gateway"),
    "plain IMAP": (lambda g: raw(g, b"a1 LOGIN x y\r\n"), "plain_imap", None,
                   "gateway"),
    "STARTTLS": (lambda g: raw(g, b"a STARTTLS\r\n"), "plain_imap", None,
                 "gateway"),
    "plain HTTP": (lambda g: raw(g, b"GET / HTTP/1.1\r\n\r\n"), "plain_http",
                   None, "gateway"),
    "timeout": (lambda g: raw(g, b"\x16\x03\x01", "wait"),
                "timeout_handshake", None, "gateway"),
    "silence": (lambda g: raw(g, b"", "wait"), "timeout_handshake", None,
                "gateway"),
    "reset": (lambda g: raw(g, b"\x16\x03\x01", "reset"), "reset", None,
              "client"),
    "gone": (lambda g: raw(g, b"\x16\x03\x01"), "truncated", None, "client"),
    "distrust": (lambda g: distrust(g), "tls_alert", 48, "client"),
}


def distrust(gateway):
    """A client that does not know our authority."""
    tls = ssl.create_default_context()
    tls.check_hostname = False
    with pytest.raises(ssl.SSLError):
        Client(gateway.port, tls=tls)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals(gateway, kind):
    attack, why, alert, who = REFUSALS[kind]
    reason = {"timeout_handshake": "tls_timeout", "reset": "tls_reset",
              "truncated": "tls_left"}.get(why, why)
    counter = 'sallyport_handshake_failures_total{reason="%s"}' % reason
    before = scrape(gateway)[counter]
    attack(gateway)
    event = gateway.wait_event("session", state="handshake", why=why)
    assert event["who"] == who
    if alert is not None:
        assert event["alert"] == str(alert)
    wait_for(lambda: scrape(gateway)[counter] == before + 1)
    gateway.login().close()


def use_version(gateway, version):
    """For every client of a test."""
    gateway.client = lambda **options: Client(gateway.port, **{
        "tls": context(version=version), **options})


# What no key of a listener can do: whom that shuts out (RFC 8446 section
# 4.2.3: a curve's own hash, no PKCS #1), and what they are told.
MISFITS = {
    "ecdsa_secp384r1_sha384": ({"sigalgs": "ecdsa_secp384r1_sha384"}, "1.3"),
    "ciphers for RSA": ({"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}, "1.2"),
    "sigalgs for RSA": ({"sigalgs": "rsa_pss_rsae_sha256"}, None),
    "modern": ({"preset": "modern", "sigalgs": "ecdsa_secp384r1_sha384"},
               None),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_a_policy_that_does_not_fit_the_certificates(make_gateway,
                                                     make_backend, kind):
    """-t says whom it shuts out; one that shuts out all is an error."""
    keys, version = MISFITS[kind]
    made = make_gateway({"a": backend(make_backend())}, tls=keys)
    done = made.check("-t")
    if version is None:
        assert done.returncode == 1
        assert "[listen imaps]: no client can come in: " in done.stderr
        assert made.check().returncode == 1
        return
    assert done.returncode == 0, done.stderr
    assert f"[tls public]: no TLS {version} client can come in to " \
        "[listen imaps]: " in done.stderr
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    shut_out = versions.pop(version)
    use_version(made, *versions.values())
    made.start().wait_up()
    shake(made, version=shut_out)
    event = made.wait_event("session", state="handshake")
    assert event["alert"] == "40"
    assert event["why"] in ("tls_sigalg", "tls_cipher")


def test_no_signature_for_this_version(make_gateway, make_backend, certs):
    """PKCS #1 is for TLS 1.2 alone; of two certificates none can sign then."""
    made = make_gateway({"a": backend(make_backend())},
                        tls={"sigalgs": "rsa_pkcs1_sha256"})
    rsa = certs.leaf("rsa-only", kind="rsa")
    made.config["certificate rsa"] = {"chain": rsa.chain, "key": rsa.key}
    use_version(made, ssl.TLSVersion.TLSv1_2)
    made.start().wait_up()
    s_client(made, "-tls1_3")
    event = made.wait_event("session", state="handshake")
    assert (event["why"], event["alert"]) == ("tls_sigalg", "40")
    made.login().close()


def test_the_policy_in_words(gateway, certs):
    gateway.config["tls public"].update(
        observe_min_version="TLSv1.3", client_certificates="optional",
        client_ca=certs.ca, client_cert_user="email",
        client_names="anna.test, bert.test")
    gateway.config["tls public"]["groups"] = "X25519:P-256"
    done = gateway.check("-t")
    assert done.returncode == 0, done.stderr
    for words in ("TLS 1.2 to TLS 1.3", "TLS_AES_128_GCM_SHA256",
                  "ECDHE-ECDSA-AES128-GCM-SHA256", "X25519:P-256",
                  "ECDSA 256 bits", " days left", "SPKI ",
                  "localhost mail.example.org *.wild.example.org",
                  "refused: what is not TLS, below TLS 1.2",
                  "unknown server names",
                  'ALPN offered without "imap"', "tickets: off, because",
                  "client certificates: checked when there is one",
                  "by 1 authority in", "for anna.test or bert.test",
                  "certificate main (the default): ",
                  "handshakes of more than 1s",
                  "the login name must be an address in it",
                  "dry run: who would be refused below TLS 1.3"):
        assert words in done.stdout, (words, done.stdout)


@pytest.fixture
def observed(make_gateway, make_backend):
    made = make_gateway({"a": backend(make_backend())}, tls={
        "observe_min_version": "TLSv1.3",
        "observe_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}).start()
    made.wait_up()
    return made


@pytest.mark.parametrize("version, ciphers, wanted", [
    (ssl.TLSVersion.TLSv1_3, None, None),
    (ssl.TLSVersion.TLSv1_2, None, "version"),
    (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256",
     "version,cipher")])
def test_a_dry_run(observed, version, ciphers, wanted):
    """They come in as today; the log has who would not."""
    tls = context(version=version, ciphers=ciphers)
    with observed.client(tls=tls) as client:
        client.logged_in()
        session = client.tls.session
    login = observed.wait_event("login", verdict="ok")
    ended = observed.wait_event("session", user=USER)
    for event in (login, ended):
        assert event.get("observed") == wanted
        if wanted is not None:
            assert event["user"] == USER and event["peer"]
            assert event["tls"] == "TLSv1.2" and event["sni"] == "localhost"
            assert event["cipher"] and event["group"]
    # Also when nothing was negotiated anew, and without a login.
    with observed.client(tls=tls, session=session) as client:
        client.greeting()
        assert client.tls.session_reused
    event = wait_for(lambda: [e for e in observed.events("session")
                              if e.get("resumed") == "true"])[-1]
    assert event.get("observed") == wanted


def status(gateway, name):
    return {row["name"]: row["value"] for row in gateway.ctl("status")
            if "value" in row}[name]


def test_a_dry_run_is_counted(observed):
    before = status(observed, "observed_version")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3) * 3:
        observed.client(tls=context(version=version)).close()
    wait_for(lambda: status(observed, "observed_version") == before + 3)
    assert status(observed, "observed_cipher") == 0


def test_bad_dry_runs_are_refused(observed):
    observed.config["tls public"]["observe_ciphers"] = "NO-SUCH-SUITE"
    done = observed.check("-t")
    assert done.returncode == 1 and "observe_ciphers" in done.stderr


def mutate(dice, hello):
    data = bytearray(hello)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(5, len(data))
        data[at] = dice.randrange(256)
    if dice.random() < 0.2:
        del data[dice.randrange(6, len(data)):]
    return bytes(data)


def test_malformed_hellos_cost_nothing(make_gateway, make_backend):
    """Ten thousand (check-full) broken ClientHellos and random names: memory
    flat, nothing dies, the next client is served."""
    gateway = make_gateway({"a": backend(make_backend())}).start()
    gateway.wait_up()
    dice = random.Random(11)

    def attack():
        name = dice.randbytes(dice.randint(1, 60)).hex().encode()
        whole = hello_12(sni=sni(name), more=extension(
            dice.randrange(65536), dice.randbytes(30)))
        with tcp(gateway.port) as sock:
            try:
                sock.sendall(mutate(dice, whole)
                             if dice.random() < 0.7 else whole)
                if dice.random() < 0.5:
                    sock.settimeout(0.05)
                    sock.recv(100)
            except OSError:
                pass
    count = scaled(1000)
    for _ in range(count // 4):
        attack()
    before = sum(map(memory_of, gateway.pids("worker")))
    for _ in range(count):
        attack()
    gateway.login().close()
    assert sum(map(memory_of, gateway.pids("worker"))) - before < 1 << 20


SCANNERS = {
    "sslscan": ["sslscan", "--no-colour", "--show-certificate"],
    "testssl": ["testssl", "--quiet", "--color", "0", "--warnings", "batch",
                "--protocols", "--std", "--fs", "--server-preference",
                "--vulnerable", "--severity", "LOW"],
}


def sslscan_findings(text, preset):
    """Lines that are not as they should be."""
    wanted = {version: "disabled" for version in
              ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1")}
    wanted.update({"TLSv1.2": "disabled" if preset == "modern" else "enabled",
                   "TLSv1.3": "enabled"})
    lines = [line.split() for line in text.splitlines() if line.split()]
    found = [f"{version} is not {state}" for version, state in wanted.items()
             if [version, state] not in [line[:2] for line in lines]]
    found += [" ".join(line) for line in lines
              if line[0] in ("Accepted", "Preferred") and (
                  "GCM" not in " ".join(line) and
                  "POLY1305" not in " ".join(line) and
                  "CHACHA20" not in " ".join(line))]
    found += [line for line in text.splitlines()
              if "vulnerable to" in line and "not vulnerable" not in line]
    assert any(line[0] == "Preferred" for line in lines), text
    return found


@pytest.mark.parametrize("preset", ["intermediate", "modern"])
@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners(make_gateway, make_backend, scanner, preset, tmp_path):
    """Nothing below the preset (check-full, when the package is there)."""
    if scaled(1) < 10 or shutil.which(SCANNERS[scanner][0]) is None:
        pytest.skip("check-full's, and needs the Debian package")
    gateway = make_gateway({"a": backend(make_backend())},
                           tls={"preset": preset, "alpn": "lax"})
    gateway.config["gateway"]["log_level"] = "warn"
    gateway.start().wait_up()
    command = [*SCANNERS[scanner]]
    if scanner == "testssl":
        command += ["--jsonfile", tmp_path / "findings"]
    done = subprocess.run([*command, f"{GATEWAY}:{gateway.port}"],
                          capture_output=True, text=True, timeout=900,
                          check=False)
    if scanner == "sslscan":
        found = sslscan_findings(done.stdout, preset)
    else:
        # WARN is about the scanner itself.
        found = [one for one in
                 json.loads((tmp_path / "findings").read_text())
                 if one["severity"] != "WARN"]
        assert "Testing vulnerabilities" in done.stdout, done.stdout
    assert not found, (found, done.stdout)
