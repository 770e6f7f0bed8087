# SPDX-License-Identifier: ISC
"""A real Dovecot of its own: no system configuration, no system user, high
ports on a loopback address. Runs as root as well as by an ordinary user."""
import grp
import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from . import BACKEND, CLIENT, DIALLER, DIES_WITH_US, MARK, PASSWORD, USER, \
    free_port, unprivileged, wait_for
from .client import greets

CONFIG = """
base_dir = {run}
state_dir = {state}
log_path = {log}
log_timestamp = "%Y-%m-%d %H:%M:%S "
auth_verbose = yes
instance_name = {name}
protocols = imap
listen = {address}
ssl = no
disable_plaintext_auth = {plaintext_refused}
auth_mechanisms = {mechanisms}
auth_failure_delay = {failure_delay}
login_trusted_networks = {trusted}
haproxy_trusted_networks = {dialler}/32
haproxy_timeout = 3s
login_log_format_elements = user=<%u> method=%m rip=%r lip=%l session=<%{{session}}>
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login_user}
first_valid_uid = 1
first_valid_gid = 1
default_process_limit = 4096
default_client_limit = 8192
default_vsz_limit = 1024M
mail_location = maildir:{mail}/%u/Maildir
mail_fsync = never
mail_plugins = zlib
protocol imap {{
  mail_plugins = zlib imap_zlib
  mail_max_userip_connections = {per_user}
  imap_idle_notify_interval = 30 secs
}}
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 4
  client_limit = 8192
  vsz_limit = 1024M
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imap_haproxy {{
    port = {haproxy_port}
    haproxy = yes
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  service_count = 1000
  client_limit = {clients_per_process}
  process_limit = 4096
}}
service anvil {{
  chroot =
  client_limit = 20000
  # mode 0: no growing delay for an address with failed logins
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
{extra}
"""


class Dovecot:
    """`port` takes plain connections, `haproxy_port` wants a PROXY header.
    Options: trust_clients (believes the clients' network, too: PROXY v1 says
    nothing about TLS), and the names in `defaults`; `extra` are lines of
    configuration."""

    defaults = {
        "address": BACKEND, "failure_delay": "0s", "per_user": 100000,
        "mechanisms": "plain login", "clients_per_process": 1,
        "plaintext_refused": "yes", "extra": "",
    }

    def __init__(self, directory, name="a", trust_clients=False, **options):
        self.options = {**self.defaults, **options}
        self.directory = pathlib.Path(directory) / f"dovecot-{name}"
        self.name = name
        self.address = self.options["address"]
        self.port = free_port(self.address)
        self.haproxy_port = free_port(self.address)
        self.log = self.directory / "log"
        self.mail = self.directory / "mail"
        self.users = self.directory / "users"
        self.process = None
        self.trusted = f"{DIALLER}/32" + \
            (f" {CLIENT}/32" if trust_clients else "")
        self._write()

    def _write(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.owner = unprivileged()
        self.mail.mkdir(exist_ok=True)
        self.add_user(USER, PASSWORD)
        # All at once: it looks at the file's time, which has whole seconds.
        self.spare_users = [(f"user{n}", f"{MARK}-of-user{n}")
                            for n in range(40)]
        for user in self.spare_users:
            self.add_user(*user)
        if os.getuid() == 0:
            internal, login = "dovecot", "dovenull"
            os.chown(self.mail, self.owner.pw_uid, self.owner.pw_gid)
        else:
            internal = login = self.owner.pw_name
        group = grp.getgrgid(pwd.getpwnam(internal).pw_gid).gr_name
        self.config = self.directory / "dovecot.conf"
        self.config.write_text(CONFIG.format(
            run=self.directory / "run", state=self.directory / "state",
            log=self.log, name=f"test-{self.name}", trusted=self.trusted,
            dialler=DIALLER, user=internal, group=group, login_user=login,
            mail=self.mail, users=self.users, uid=self.owner.pw_uid,
            gid=self.owner.pw_gid, port=self.port,
            haproxy_port=self.haproxy_port, **self.options))

    def add_user(self, user, password):
        with open(self.users, "a", encoding="utf-8") as users:
            users.write(f"{user}:{{PLAIN}}{password}::::::\n")
        self.users.chmod(0o644)

    def add_mail(self, messages, user=USER, folder=""):
        """Puts messages (octets, with LF) straight into the store."""
        place = self.mail / user / "Maildir" / folder
        for part in ("cur", "new", "tmp"):
            (place / part).mkdir(parents=True, exist_ok=True)
        for number, message in enumerate(messages):
            (place / "cur" / f"{1700000000 + number}.M{number}.test:2,S") \
                .write_bytes(message)
        if os.getuid() == 0:
            for path in [self.mail / user, *(self.mail / user).rglob("*")]:
                os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def start(self):
        """Returns once it greets."""
        self.process = subprocess.Popen(
            [*DIES_WITH_US, "dovecot", "-F", "-c", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.directory / "stderr", "ab"),
            start_new_session=True)
        wait_for(self._greets, 20, f"{self.config} greets")
        return self

    def _greets(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"dovecot ended: {self.log_text()}"
                f"{(self.directory / 'stderr').read_text()}")
        return greets(self.address, self.port)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def pause(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self):
        """All of it, sessions too."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        # its processes outlive their master for a moment
        wait_for(self._is_gone, 10, "the end of Dovecot's processes")
        self.process.wait()
        self.process = None

    def _is_gone(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
            return False
        except ProcessLookupError:
            return True

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
