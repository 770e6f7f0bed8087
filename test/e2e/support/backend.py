# SPDX-License-Identifier: ISC
"""A scripted IMAP server. Alone it is the least that an old one can be: no
AUTH=, SASL-IR, ID, LITERAL+ and no CAPABILITY code. A test replaces what it
needs: `capabilities`, `greet`, `on_login`, `on_command`."""
import base64
import hmac
import re
import socket
import threading

from . import BACKEND, PASSWORD, USER, wait_for
from .client import reset

GONE = (OSError, EOFError, ValueError)


class Connection:
    """One accepted connection; `received` are all octets that came."""

    def __init__(self, sock, peer):
        self.socket = sock
        self.peer = peer
        self.received = b""
        self.proxy = None       # the PROXY header's line, or its octets
        self.lines = []         # commands, literals inlined
        self.user = None
        self.password = None
        self.logged_in = False
        self.ended = threading.Event()
        self._buffer = b""

    def on_literal(self):
        """Before it is asked for one."""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def _more(self):
        data = self.socket.recv(262144)
        if not data:
            raise EOFError
        self.received += data if len(self.received) < 1 << 20 else b""
        self._buffer += data

    def line(self):
        while b"\n" not in self._buffer:
            self._more()
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def exactly(self, length):
        while len(self._buffer) < length:
            self._more()
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return data

    def read_some(self):
        """Whatever is there; b"" at the end."""
        if not self._buffer:
            try:
                self._more()
            except EOFError:
                return b""
        data, self._buffer = self._buffer, b""
        return data

    def command(self):
        """(tag, name, arguments): one command with literals taken in."""
        line = self.line()
        whole = [line]
        while found := re.search(rb"\{(\d+)(\+?)\}$", whole[-1]):
            if not found.group(2):
                self.on_literal()
                self.send("+ go on\r\n")
            literal = self.exactly(int(found.group(1)))
            whole[-1] = whole[-1][:found.start()]
            whole.append(("literal", literal))
            whole.append(self.line())
        self.lines.append(line)
        return self._parse(whole)

    @staticmethod
    def _parse(whole):
        words = []
        for part in whole:
            if isinstance(part, tuple):
                words.append(part[1])
                continue
            for quoted, atom in re.findall(
                    rb'"((?:\\.|[^"\\])*)"|([^ "]+)', part):
                words.append(atom or re.sub(rb"\\(.)", rb"\1", quoted))
        words += [b"", b""]
        return words[0], words[1].upper(), words[2:-2]

    def reset(self):
        reset(self.socket)


class Backend:
    """Listens at once; `connections` in the order of arrival."""

    capabilities = "IMAP4rev1"
    users = {USER.encode(): PASSWORD.encode()}

    def __init__(self, address=BACKEND, port=0, proxy=None):
        self.connections = []
        self.errors = []
        self.proxy = proxy      # None, 1 or 2: which header must come first
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1024)
        self.address, self.port = self._listener.getsockname()
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self._open:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, peer)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection):
        try:
            self._read_proxy(connection)
            self.greet(connection)
            self.dialogue(connection)
        except GONE:
            pass
        except Exception as error:  # shown by the fixture
            self.errors.append(error)
        finally:
            connection.ended.set()
            try:
                connection.socket.close()
            except OSError:
                pass

    def _read_proxy(self, connection):
        if self.proxy == 1:
            connection.proxy = connection.line()
        elif self.proxy == 2:
            head = connection.exactly(16)
            connection.proxy = head + connection.exactly(
                int.from_bytes(head[14:16], "big"))

    def stop(self):
        """Closes the listener and every connection."""
        self._open = False
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in list(self.connections):
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_for_probe(self):
        """Returns when a check has come and gone: the gateway knows us."""
        wait_for(lambda: any(c.ended.is_set() for c in self.connections),
                 what="a finished check of the backend")

    def logins(self):
        return [c for c in list(self.connections) if c.user is not None]

    # --- what tests replace ---

    def greet(self, connection):
        connection.send("* OK ready\r\n")

    def dialogue(self, connection):
        while True:
            tag, name, arguments = connection.command()
            if not self.one_command(connection, tag, name, arguments):
                return

    def one_command(self, connection, tag, name, arguments):
        """False: the end."""
        tag = tag.decode("latin-1")
        if name == b"CAPABILITY":
            connection.send(f"* CAPABILITY {self.capabilities}\r\n"
                            f"{tag} OK done\r\n")
        elif name == b"LOGOUT":
            connection.send(f"* BYE\r\n{tag} OK bye\r\n")
            return False
        elif name == b"NOOP":
            connection.send(f"{tag} OK noop\r\n")
        elif name == b"ID" and "ID" in self.capabilities.split():
            connection.send(f'* ID ("name" "scripted")\r\n{tag} OK id\r\n')
        elif name == b"LOGIN" and len(arguments) == 2:
            connection.user, connection.password = arguments
            self.on_login(connection, tag)
        elif name == b"AUTHENTICATE" and arguments:
            self.on_authenticate(connection, tag, arguments)
        elif connection.logged_in:
            return self.on_command(connection, tag, name, arguments)
        else:
            connection.send(f"{tag} BAD not now\r\n")
        return True

    def on_authenticate(self, connection, tag, arguments):
        mechanism = arguments[0].upper()
        if f"AUTH={mechanism.decode()}" not in self.capabilities.split():
            connection.send(f"{tag} NO [CANNOT] no such mechanism\r\n")
        elif mechanism == b"CRAM-MD5":
            self._cram_md5(connection, tag)
        elif mechanism == b"PLAIN":
            response = self._response(connection, arguments)
            _, connection.user, connection.password = response.split(b"\0")
            self.on_login(connection, tag)
        else:
            connection.user = mechanism
            connection.password = self._response(connection, arguments)
            self.on_login(connection, tag)

    @staticmethod
    def _response(connection, arguments):
        if len(arguments) > 1:
            return base64.b64decode(arguments[1])
        connection.send("+ \r\n")
        return base64.b64decode(connection.line())

    def _cram_md5(self, connection, tag):
        challenge = b"<17.42@scripted>"
        connection.send(b"+ " + base64.b64encode(challenge) + b"\r\n")
        line = connection.line()
        if line == b"*":
            connection.send(f"{tag} BAD cancelled\r\n")
            return
        user, digest = base64.b64decode(line).rsplit(b" ", 1)
        connection.user = user
        secret = self.users.get(user, b"")
        good = hmac.new(secret, challenge, "md5").hexdigest().encode()
        self.verdict(connection, tag, digest == good)

    def on_login(self, connection, tag):
        self.verdict(connection, tag, self.users.get(connection.user)
                     == connection.password)

    def verdict(self, connection, tag, good):
        connection.logged_in = good
        connection.send(f"{tag} OK logged in\r\n" if good else
                        f"{tag} NO wrong\r\n")

    def on_command(self, connection, tag, name, arguments):
        connection.send(f"{tag} BAD unknown\r\n")
        return True
