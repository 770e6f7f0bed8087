# SPDX-License-Identifier: ISC
"""The gateways under measurement and the configuration each gets: one worker,
TLS 1.2 and 1.3, tickets, no log of connections, 35 minutes of idle time.
The files are written below build/bench/ and can be read there."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import bench_lib as lib

IDLE_MINUTES = 35


def user(*names):
    """The first of these users that exists."""
    for name in names:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return pwd.getpwuid(os.getuid()).pw_name


class Peer:
    """How to run one gateway. Subclasses write files and name the command."""
    name = ""
    command = ""
    note = ""
    package = ""
    sends_proxy = True

    def __init__(self, core, keys, backend_port, helper_core):
        self.core, self.keys = core, keys
        self.backend = backend_port
        self.helper_core = helper_core
        self.port = lib.free_port()
        self.dir = lib.WORK / self.name
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.run = None     # for sockets: a short path that all may enter
        self.helpers = []
        self.program = None

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def argv(self):
        raise NotImplementedError

    def __enter__(self):
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
        self.run.chmod(0o755)
        try:
            self.program = lib.Program(self.name, self.argv(), self.core)
            lib.wait_for_login(self.program, self.helper_core, self.port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if self.program is not None:
            self.program.stop()
        for helper in self.helpers:
            helper.stop()
        shutil.rmtree(self.run, ignore_errors=True)

    def cpu_seconds(self):
        return lib.cpu_seconds(self.program.pid)

    def cpu_exactly(self):
        return lib.cpu_exactly(self.program.pid)

    def pss_bytes(self):
        return lib.pss_bytes(self.program.pid)

    @classmethod
    def is_available(cls):
        return lib.is_installed(cls.command)

    @classmethod
    def version(cls):
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", cls.package],
            capture_output=True, text=True, check=False)
        return done.stdout or "?"


class Sallyport(Peer):
    name = "sallyport"
    programs = lib.BUILD
    limits = ""
    workers = 1

    def certificates(self):
        return f"""\
[certificate bench]
chain = {self.keys["chain"]}
key = {self.keys["key"]}
"""

    def backends(self):
        return self.one_backend("a", self.backend)

    @staticmethod
    def one_backend(name, port):
        return f"""\
[backend {name}]
pool = mail
address = 127.0.0.1:{port}
client_ip = proxy_v2
"""

    def argv(self):
        conf = self.write("sallyport.conf", f"""\
[gateway]
user = {user("sallyport", "nobody")}
keeper_user = {user("sallyport-keys", "nobody")}
workers = {self.workers}
log = {self.dir}/log
log_level = warn
control = {self.run}/control.sock
metrics = off

[listen imaps]
address = 127.0.0.1:{self.port}
tls = public
pool = mail

[tls public]

{self.certificates()}
[limits]
{self.limits}

[pool mail]
idle_timeout = {IDLE_MINUTES}m

{self.backends()}""")
        return [self.programs / "sallyport", "-c", conf]

    @classmethod
    def is_available(cls):
        return (cls.programs / "sallyport").exists()

    @classmethod
    def version(cls):
        done = subprocess.run(["git", "describe", "--always", "--dirty"],
                              cwd=lib.TOP, capture_output=True, text=True,
                              check=False)
        return done.stdout.strip() or "this tree"

    def worker(self):
        """The process id of the worker."""
        for pid in lib.tree(self.program.pid):
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            if title.startswith(b"sallyport: worker"):
                return pid
        raise lib.Failure("the worker is not found")


class SallyportCurrent(Sallyport):
    name = "sallyport-current"
    programs = lib.TOP / "build/current"
    note = "with a current BoringSSL (make BORINGSSL=... BUILD=build/current)"


class Haproxy(Peer):
    name = command = package = "haproxy"
    note = "TCP mode; dials a backend per connection; sends PROXY v2"

    def argv(self):
        conf = self.write("haproxy.cfg", f"""\
global
  nbthread 1
  maxconn 9900
  ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
  mode tcp
  timeout connect 3s
  timeout client {IDLE_MINUTES}m
  timeout server {IDLE_MINUTES}m

listen imaps
  bind 127.0.0.1:{self.port} ssl crt {self.keys["both"]}
  server a 127.0.0.1:{self.backend} send-proxy-v2
""")
        return ["haproxy", "-db", "-f", conf]


class Nginx(Peer):
    command = "nginx"

    def main(self, module):
        return f"""\
load_module /usr/lib/nginx/modules/ngx_{module}_module.so;
user {user("www-data", "nobody")};
daemon off;
worker_processes 1;
pid {self.dir}/pid;
error_log {self.dir}/error.log crit;
events {{
  worker_connections 19900;
  multi_accept on;
}}
"""

    def tls(self):
        return f"""\
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {self.keys["chain"]};
    ssl_certificate_key {self.keys["key"]};
    ssl_session_cache shared:tls:10m;
    ssl_session_tickets on;
"""


class NginxStream(Nginx):
    name = "nginx-stream"
    package = "libnginx-mod-stream"
    note = "dials a backend per connection; sends PROXY v1"

    def argv(self):
        conf = self.write("nginx.conf", self.main("stream") + f"""\
stream {{
  server {{
    listen 127.0.0.1:{self.port} ssl backlog=4096;
{self.tls()}
    proxy_pass 127.0.0.1:{self.backend};
    proxy_protocol on;
    proxy_connect_timeout 3s;
    proxy_timeout {IDLE_MINUTES}m;
  }}
}}
""")
        return ["nginx", "-c", conf, "-e", self.dir / "error.log"]


class NginxMail(Nginx):
    name = "nginx-mail"
    package = "libnginx-mod-mail"
    note = "its auth_http answers from another process, which isn't counted"

    def start_auth(self):
        port = lib.free_port()
        conf = self.write("auth.conf", f"""\
user {user("www-data", "nobody")};
daemon off;
worker_processes 1;
pid {self.dir}/auth.pid;
error_log {self.dir}/auth.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    add_header Auth-Status OK;
    add_header Auth-Server 127.0.0.1;
    add_header Auth-Port {self.backend};
    return 200;
  }}
}}
""")
        self.helpers.append(lib.Program(
            "auth", ["nginx", "-c", conf, "-e", self.dir / "auth.log"],
            self.helper_core))
        lib.wait_for(lambda: not lib.is_free(port), self.helpers[-1])
        return port

    def argv(self):
        auth = self.start_auth()
        conf = self.write("nginx.conf", self.main("mail") + f"""\
mail {{
  server_name bench.example;
  auth_http 127.0.0.1:{auth}/;
  proxy_pass_error_message on;
  proxy_protocol on;
  proxy_timeout {IDLE_MINUTES}m;
  timeout {IDLE_MINUTES}m;
  imap_auth plain login;
  server {{
    listen 127.0.0.1:{self.port} ssl backlog=4096;
    protocol imap;
{self.tls()}
  }}
}}
""")
        return ["nginx", "-c", conf, "-e", self.dir / "error.log"]


class Hitch(Peer):
    name = command = package = "hitch"
    note = "dials a backend per connection; sends PROXY v2"

    def argv(self):
        conf = self.write("hitch.conf", f"""\
frontend = "[127.0.0.1]:{self.port}"
backend = "[127.0.0.1]:{self.backend}"
pem-file = "{self.keys["both"]}"
tls-protos = TLSv1.2 TLSv1.3
workers = 1
backlog = 4096
keepalive = 3600
daemon = off
quiet = on
write-proxy-v2 = on
user = "{user("_hitch", "nobody")}"
""")
        return ["hitch", f"--config={conf}"]


class Stunnel(Peer):
    name = command = "stunnel"
    package = "stunnel4"
    note = "a thread per connection; dials a backend for it; sends PROXY v1"

    def argv(self):
        conf = self.write("stunnel.conf", f"""\
foreground = yes
pid =
debug = err
setuid = {user("stunnel4", "nobody")}
sslVersionMin = TLSv1.2
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1

[imaps]
accept = 127.0.0.1:{self.port}
connect = 127.0.0.1:{self.backend}
cert = {self.keys["both"]}
protocol = proxy
TIMEOUTidle = {IDLE_MINUTES * 60}
TIMEOUTclose = 0
""")
        return ["stunnel", conf]


class Dovecot(Peer):
    name = command = "dovecot"
    package = "dovecot-core"
    note = "login processes in high-performance mode; sends no PROXY header"
    sends_proxy = False

    def argv(self):
        conf = self.write("dovecot.conf", f"""\
base_dir = {self.run}
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{self.keys["chain"]}
ssl_key = <{self.keys["key"]}
ssl_min_protocol = TLSv1.2
default_internal_user = {user("dovecot", "nobody")}
default_login_user = {user("dovenull", "nobody")}
default_client_limit = 19000
default_vsz_limit = 0
auth_mechanisms = plain login
auth_failure_delay = 0
mail_max_userip_connections = 0
login_log_format_elements =
passdb {{
  driver = static
  args = proxy=y host=127.0.0.1 port={self.backend} nopassword=y pass=%w \
proxy_timeout=30
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 9900
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {self.port}
    ssl = yes
  }}
}}
service auth {{
  client_limit = 19000
}}
service anvil {{
  client_limit = 19000
}}
""")
        return ["dovecot", "-F", "-c", conf]


PEERS = {peer.name: peer for peer in (
    Sallyport, SallyportCurrent, Haproxy, NginxStream, NginxMail, Hitch,
    Stunnel, Dovecot)}
ALIASES = {"nginx": ("nginx-stream", "nginx-mail")}
