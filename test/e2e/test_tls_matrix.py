# SPDX-License-Identifier: ISC
"""Other people's TLS against ours, every combination of what a client may
send. The rule of each dimension is in the tables; a combination is legal when
every part of it is, else the alert of its first illegal part must come."""
import itertools
import re
import shutil
import ssl
import subprocess

import pytest

from support import CLIENT, GATEWAY, SCALE
from support.client import Client, context
from support.gateway import backend
from support.wire import SNI, answer, extension, hello_12, long, sni

# What the client offers, and the alert that it gets (None: it comes in).
VERSIONS = {"1.0": 70, "1.1": 70, "1.2": None, "1.3": None}
ALPNS = {"none": None, "imap": None, "imap,h2": None, "h2": 120}
NAMES = {
    "": None,                                   # no SNI at all
    "mail.example.org": None,                   # exact
    "a.wild.example.org": None,                 # wildcard
    "b.a.wild.example.org": 112,                # two labels for one
    "unknown.example.net": 112,
    ".".join(["x" * 63] * 4)[:253]: 112,        # as long as a name may be
}
KEYS = ("ecdsa", "rsa")
# An alert by its number, in the words of each stack.
WORDS = {
    70: r"protocol.version",
    112: r"unrecogni[sz]ed.name|unrecognized name|recognized",
    120: r"no.application.protocol|application protocol",
}


@pytest.fixture(scope="module")
def stacks():
    return [stack for stack in (OpenSSL(), GnuTLS(), Python(), Nss())
            if stack.is_there()]


@pytest.fixture
def gateways(make_gateway, make_backend, certs):
    made = {}
    server = make_backend()
    for kind in KEYS:
        leaf = certs.leaf(f"matrix-{kind}", kind)
        gateway = make_gateway({"a": backend(server)}, tls={"sni": "strict"})
        gateway.config["certificate main"].update(chain=leaf.chain,
                                                  key=leaf.key)
        made[kind] = gateway.start()
    for gateway in made.values():
        gateway.wait_up()
    return made


class Result:
    def __init__(self, text, greeted, resumed):
        self.text = text.lower()
        self.greeted = greeted
        self.resumed = resumed


class Program:
    """A command line client; `versions` it can be told to speak."""
    versions = tuple(VERSIONS)
    alpns = tuple(ALPNS)
    resumes = (False, True)

    def is_there(self):
        return shutil.which(self.program) is not None

    def run(self, *arguments, text="a LOGOUT\n"):
        done = subprocess.run(
            [self.program, *map(str, arguments)], input=text.encode(),
            capture_output=True, timeout=30, check=False)
        return (done.stdout + done.stderr).decode(errors="replace") + \
            f"\nstatus {done.returncode}"

    @staticmethod
    def alpn_words(alpn):
        return [] if alpn == "none" else alpn.split(",")


class OpenSSL(Program):
    program = "openssl"
    flags = {"1.0": "-tls1", "1.1": "-tls1_1", "1.2": "-tls1_2",
             "1.3": "-tls1_3"}

    def connect(self, port, version, alpn, name, scratch, resumed):
        ticket = scratch / "openssl.ticket"
        common = ["s_client", "-connect", f"{GATEWAY}:{port}", "-bind",
                  f"{CLIENT}:0", self.flags[version], "-crlf", "-ign_eof"]
        common += ["-servername", name] if name else ["-noservername"]
        if alpn != "none":
            common += ["-alpn", alpn]
        if version in ("1.0", "1.1"):
            common += ["-cipher", "ALL:@SECLEVEL=0"]
        first = self.run(*common, *(["-sess_out", ticket] if resumed else []))
        if not resumed or "* OK" not in first:
            return Result(first, "* OK" in first, False)
        text = self.run(*common, "-sess_in", ticket)
        return Result(text, "* OK" in text, "Reused, " in text)


class GnuTLS(Program):
    program = "gnutls-cli"
    priorities = {"1.0": "NORMAL:-VERS-ALL:+VERS-TLS1.0",
                  "1.1": "NORMAL:-VERS-ALL:+VERS-TLS1.1",
                  "1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2",
                  "1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}

    def connect(self, port, version, alpn, name, scratch, resumed):
        if not name:
            arguments = ["--disable-sni"]
        else:
            arguments = ["--sni-hostname", name]
        arguments += ["--insecure", "--crlf", "--priority",
                      self.priorities[version]]
        for word in self.alpn_words(alpn):
            arguments += ["--alpn", word]
        if resumed:
            arguments += ["--resume", "--waitresumption"]
        text = self.run(*arguments, "-p", port, GATEWAY,
                        text="" if resumed else "a LOGOUT\n")
        return Result(text, "* OK" in text,
                      "This is a resumed session" in text)


class Python(Program):
    numbers = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
               "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

    def is_there(self):
        return True

    def connect(self, port, version, alpn, name, scratch, resumed):
        old = version in ("1.0", "1.1")
        tls = context(alpn=self.alpn_words(alpn),
                      version=self.numbers[version],
                      ciphers="ALL:@SECLEVEL=0" if old else None)
        session = None
        try:
            for _ in range(2 if resumed else 1):
                with Client(port, tls=tls, server_name=name or None,
                            session=session) as client:
                    line = client.line()
                    session = client.tls.session
                    reused = client.tls.session_reused
            return Result(line.decode(), line.startswith(b"* OK"), reused)
        except (ssl.SSLError, OSError) as error:
            return Result(str(error), False, False)


class Nss(Program):
    """tstclnt (Debian: libnss3-tools) in check-full, when it is installed. It
    has no option for ALPN."""
    program = "tstclnt"
    versions = ("1.2", "1.3")
    alpns = ("none",)
    flags = {"1.2": "tls1.2:tls1.2", "1.3": "tls1.3:tls1.3"}

    def is_there(self):
        return SCALE >= 10 and super().is_there()

    def connect(self, port, version, alpn, name, scratch, resumed):
        script = scratch / "nss.script"
        script.write_text("a LOGOUT\r\n")
        text = self.run("-h", GATEWAY, "-p", port, "-o", "-D", "-A", script,
                        "-V", self.flags[version],
                        *(["-u", "-L", "2"] if resumed else []),
                        *(["-a", name] if name else []))
        return Result(text, "* OK" in text, bool(re.search(
            r"^[1-9]\d* stateless resumes", text, re.M)))


def combinations(stack):
    """All of them in check-full; else every pair of values at least once."""
    everything = list(itertools.product(
        stack.versions, stack.alpns, NAMES, stack.resumes))
    if SCALE >= 10:
        return everything
    chosen = []
    for version, alpn, name, resumed in everything:
        illegal = [VERSIONS[version], ALPNS[alpn], NAMES[name]]
        if sum(part is not None for part in illegal) <= (
                0 if resumed else 1):
            chosen.append((version, alpn, name, resumed))
    return chosen


def expected_alert(version, alpn, name):
    """BoringSSL looks at the name before it agrees on a version, and at ALPN
    last."""
    if NAMES[name] is not None:
        return NAMES[name]
    return VERSIONS[version] or ALPNS[alpn]


def check(stack, port, scratch, combination):
    version, alpn, name, resumed = combination
    result = stack.connect(port, version, alpn, name, scratch, resumed)
    alert = expected_alert(version, alpn, name)
    if alert is None:
        good = result.greeted and result.resumed == resumed
    else:
        good = not result.greeted and re.search(WORDS[alert], result.text)
    return None if good else (
        f"{type(stack).__name__} {version} alpn={alpn} sni={name[:24]} "
        f"{'resumed' if resumed else 'full'}: expected {alert}, got "
        f"{result.text[-300:]!r}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("number", range(4))
def test_matrix(gateways, stacks, scratch, kind, number):
    if number >= len(stacks):
        pytest.skip("this stack is not installed, or check-full's")
    stack = stacks[number]
    wrong = [check(stack, gateways[kind].port, scratch, combination)
             for combination in combinations(stack)]
    wrong = [line for line in wrong if line]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["x" * 255 + ".org", "127.0.0.1",
                                  "nul\0.example.org", "sp ace.org", "a..b",
                                  ".", "-", "ä.example.org"])
def test_odd_names(gateways, name):
    """No legal stack sends these: a ClientHello by hand."""
    hello = hello_12(sni=sni(name.encode("utf-8")))
    assert answer(gateways["ecdsa"].port, hello) in (50, 112)


def test_two_names(gateways):
    names = b"".join(b"\0" + long(name) for name in (b"a.de", b"b.de"))
    hello = hello_12(sni=extension(SNI, long(names)))
    assert answer(gateways["ecdsa"].port, hello) in (50, 112)
