# SPDX-License-Identifier: ISC
"""Clients: one that shows every octet and every way a connection ends, and
imaplib over the same addresses."""
import base64
import imaplib
import re
import socket
import ssl
import struct

from . import CLIENT, DIALLER, GATEWAY, PASSWORD, USER

TIMEOUT = 20


def context(ca=None, alpn=("imap",), version=None, ciphers=None,
            certificate=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    # Python would take a FIN for a close_notify.
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if ca is not None:
        made.load_verify_locations(ca)
        made.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if version is not None:
        made.minimum_version = version
        made.maximum_version = version
    if ciphers is not None:
        made.set_ciphers(ciphers)
    if certificate is not None:     # a file with the key in it
        made.load_cert_chain(certificate)
    return made


def tcp(port, source=CLIENT, address=GATEWAY, timeout=TIMEOUT):
    """A plain connection from the address of clients."""
    return socket.create_connection((address, port), timeout, (source, 0))


def greets(address, port):
    """Whether a backend does, asked as the gateway would."""
    try:
        with socket.create_connection((address, port), 5,
                                      (DIALLER, 0)) as peer:
            return peer.recv(100).startswith(b"* OK")
    except OSError:
        return False


def is_refused(gateway, source, seconds=5):
    """Closed without an octet."""
    sock = tcp(gateway.port, source, timeout=seconds)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False
    finally:
        sock.close()


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


class Client:
    """TLS over memory: nothing is sent or read behind the test's back. `end`
    says how the peer ended: close_notify, alert, truncated, reset or None."""

    def __init__(self, port, server_name="localhost", source=CLIENT, tls=None,
                 session=None, handshake=True, before=b"", timeout=TIMEOUT):
        self.socket = tcp(port, source, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.end = None
        self.buffer = b""
        self.sent = 0       # plaintext octets
        self.received = 0
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = (tls or context()).wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name,
            session=session)
        self._tag = 0
        if before:
            self.socket.sendall(before)
        if handshake:
            try:
                self.handshake()
            except OSError:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        reset(self.socket)

    # --- octets ---

    def flush(self):
        data = self._outgoing.read()
        if data:
            self.socket.sendall(data)

    def _fill(self):
        """More ciphertext; False at the end."""
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            self.end = "reset"
            return False
        if data:
            self._incoming.write(data)
            return True
        self._incoming.write_eof()
        return False

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                return
            except ssl.SSLWantReadError:
                self.flush()
                if not self._fill():
                    raise ConnectionError("closed in the handshake") from None
            except ssl.SSLError:
                try:
                    self.flush()
                except OSError:
                    pass
                raise

    def send(self, data):
        view = memoryview(data.encode() if isinstance(data, str) else data)
        self.sent += len(view)
        for start in range(0, len(view), 65536):
            self.tls.write(view[start:start + 65536])
            self.flush()

    def encrypt(self, data):
        """The ciphertext of data, for those who send it in their own way."""
        self.tls.write(data)
        return self._outgoing.read()

    def receive(self):
        """Some octets; b"" at the end."""
        data = self._receive()
        self.received += len(data)
        return data

    def _receive(self):
        while self.end is None:
            try:
                data = self.tls.read(262144)
                if data:
                    return data
                self.end = "close_notify"
            except ssl.SSLWantReadError:
                self.flush()
                if not self._fill() and self.end is None:
                    try:
                        data = self.tls.read(262144)
                        if data:
                            return data
                        self.end = "close_notify"
                    except ssl.SSLZeroReturnError:
                        self.end = "close_notify"
                    except ssl.SSLError:
                        self.end = "truncated"
            except ssl.SSLZeroReturnError:
                self.end = "close_notify"
            except ssl.SSLEOFError:
                self.end = "truncated"
            except ssl.SSLError:
                self.end = "alert"
        return b""

    def half_close(self, fin=True):
        """close_notify, and FIN; reading goes on."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.flush()
        if fin:
            self.socket.shutdown(socket.SHUT_WR)

    # --- lines ---

    def line(self):
        """One line without its CRLF; b"" at the end."""
        while b"\r\n" not in self.buffer:
            data = self.receive()
            if not data:
                line, self.buffer = self.buffer, b""
                return line
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, length):
        parts = [self.buffer]
        have = len(self.buffer)
        while have < length:
            data = self.receive()
            if not data:
                raise ConnectionError(f"{have} of {length} octets, {self.end}")
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        self.buffer = data[length:]
        return data[:length]

    def rest(self):
        """Everything up to the end."""
        parts = [self.buffer]
        self.buffer = b""
        while data := self.receive():
            parts.append(data)
        return b"".join(parts)

    def greeting(self):
        line = self.line()
        assert line.startswith(b"* OK"), line
        return line

    def until(self, tag):
        """Lines up to and with the tagged one."""
        tag = tag.encode() if isinstance(tag, str) else tag
        lines = []
        while True:
            line = self.line()
            if not line:
                raise ConnectionError(f"{self.end} before {tag}: {lines}")
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def tag(self):
        self._tag += 1
        return f"t{self._tag}"

    def command(self, text):
        """Sends with a tag of ours; returns the lines of the answer."""
        tag = self.tag()
        data = text.encode() if isinstance(text, str) else text
        self.send(tag.encode() + b" " + data + b"\r\n")
        return self.until(tag)

    def result(self, text):
        """Of a command: the tagged line without the tag."""
        return self.command(text)[-1].split(b" ", 1)[1]

    def login(self, user=USER, password=PASSWORD):
        return self.command(f'LOGIN "{user}" "{password}"')

    def logged_in(self, user=USER, password=PASSWORD):
        """The greeting, a login that must succeed; returns itself."""
        self.greeting()
        answer = self.login(user, password)[-1]
        assert b" OK" in answer, answer
        return self

    def authenticate(self, mechanism, *responses, initial=True):
        """Answers each continuation with the next response; the first goes
        along with the command when `initial`. Returns all lines."""
        tag = self.tag()
        left = [base64.b64encode(r).decode() if isinstance(r, bytes) else r
                for r in responses]
        head = f"{tag} AUTHENTICATE {mechanism}"
        if initial and left:
            head += " " + (left.pop(0) or "=")
        self.send(head + "\r\n")
        lines = []
        while True:
            line = self.line()
            assert line, f"{self.end} after {lines}"
            lines.append(line)
            if line.startswith(tag.encode() + b" "):
                return lines
            if line.startswith(b"+"):
                self.send((left.pop(0) if left else "*") + "\r\n")


class Imap(imaplib.IMAP4_SSL):
    """imaplib from the address of clients."""

    def __init__(self, port, source=CLIENT, tls=None):
        self._source = source
        super().__init__("localhost", port, ssl_context=tls or context(),
                         timeout=TIMEOUT)

    def _create_socket(self, timeout):
        plain = tcp(self.port, self._source, timeout=timeout or TIMEOUT)
        return self.ssl_context.wrap_socket(plain,
                                            server_hostname=self.host)


def capabilities_of(line):
    """The words of an untagged CAPABILITY or of a CAPABILITY code."""
    found = re.search(rb"CAPABILITY ([^\]\r\n]*)", line)
    return set(found.group(1).decode().upper().split()) if found else set()


# Every way to log in with a password.
WAYS_IN = {
    "login": lambda c: c.login(),
    "literal": lambda c: c.command(
        f"LOGIN {{{len(USER)}+}}\r\n{USER} {{{len(PASSWORD)}+}}\r\n{PASSWORD}"),
    "plain": lambda c: c.authenticate(
        "PLAIN", f"\0{USER}\0{PASSWORD}".encode()),
    "plain continued": lambda c: c.authenticate(
        "PLAIN", f"\0{USER}\0{PASSWORD}".encode(), initial=False),
    "auth login": lambda c: c.authenticate(
        "LOGIN", USER.encode(), PASSWORD.encode(), initial=False),
}
