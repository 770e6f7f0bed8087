# SPDX-License-Identifier: ISC
"""Real servers whose Debian packages conflict with what is installed: they are
downloaded and unpacked under build/ and run in a root of their own, which is
the system's with theirs laid over it. Nothing is installed. Needs root."""
import os
import pathlib
import shutil
import subprocess

from . import BACKEND, BUILD, DIES_WITH_US, PASSWORD, USER, \
    free_port, unprivileged, wait_for
from .client import greets

# Not needed for IMAP, and all that an MTA does when it is unpacked is weigh.
SKIPPED = ("exim4-", "mailutils")
# The system is visible but for /etc, /var, /run and /home.
ENTER = """
set -e
cd "$1"
shift
mount -t overlay -o lowerdir="$1:/usr" overlay usr
mount --rbind /dev dev
mount -t proc proc proc
shift
# not by exec: whoever changes its user would outlive us
chroot . "$@" || exit 1
"""


def can_be_had():
    """Root, apt and namespaces."""
    return os.getuid() == 0 and shutil.which("apt-get") is not None and \
        subprocess.run(["unshare", "--mount", "true"], check=False,
                       capture_output=True).returncode == 0


def download(name, packages):
    """The directory with the contents of the packages (of the system's own ones,
    too, as its /etc and /var are not seen) and of what they need beyond the
    system; made once per build directory."""
    place = BUILD / "servers" / name
    whole = place / "root"
    if whole.exists():
        return whole
    (place / "partial").mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["apt-get", "-q", "-y", "-d", "-o", "Debug::NoLocking=1", "-o",
         "APT::Sandbox::User=root", "-o", f"Dir::Cache::archives={place}",
         "--no-install-recommends", "--reinstall", "install", *packages],
        check=True, stdout=subprocess.DEVNULL, timeout=300)
    half = place / "root.new"
    shutil.rmtree(half, ignore_errors=True)
    for package in place.glob("*.deb"):
        if not package.name.startswith(SKIPPED):
            subprocess.run(["dpkg", "-x", package, half], check=True)
    # /lib is /usr/lib here, whatever a package says
    for old in ("bin", "lib", "sbin"):
        if (half / old).is_dir():
            shutil.copytree(half / old, half / "usr" / old, symlinks=True,
                            dirs_exist_ok=True)
            shutil.rmtree(half / old)
    half.rename(whole)
    return whole


class Unpacked:
    """A server in its own root; a class of its own says which and how."""

    packages = ()
    system_user = None

    def __init__(self, directory):
        self.address = BACKEND
        self.port = free_port(BACKEND)
        self.owner = unprivileged()
        self.unpacked = download(type(self).__name__.lower(), self.packages)
        self.root = pathlib.Path(directory) / type(self).__name__.lower()
        self.process = None
        self._make_root()
        self.configure()

    def _make_root(self):
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("usr", "dev", "proc", "run", "tmp", "home"):
            (self.root / name).mkdir(parents=True)
        (self.root / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        for name in ("etc", "var"):
            shutil.copytree(self.unpacked / name, self.root / name,
                            symlinks=True)
        for name in ("nsswitch.conf", "group", "services", "protocols"):
            if pathlib.Path("/etc", name).exists():
                shutil.copy(f"/etc/{name}", self.root / "etc")
        # the system may have a user of that name, with another number
        self.write("etc/passwd", self._others("passwd") +
                   f"{self.system_user}:x:{self.owner.pw_uid}:"
                   f"{self.owner.pw_gid}::/:/bin/sh\n")
        self.write("etc/group", self._others("group") +
                   f"{self.system_user}:x:{self.owner.pw_gid}:\n")

    def _others(self, name):
        lines = pathlib.Path("/etc", name).read_text().splitlines(True)
        return "".join(line for line in lines if
                       not line.startswith(self.system_user + ":"))

    def write(self, name, text):
        (self.root / name).write_text(text)

    def own(self, *names):
        """Directories that belong to the server."""
        for name in names:
            path = self.root / name
            path.mkdir(parents=True, exist_ok=True)
            for one in (path, *path.rglob("*")):
                os.chown(one, self.owner.pw_uid, self.owner.pw_gid)

    def inside(self, *command):
        """The command line that runs it there."""
        return ["unshare", "--mount", "--propagation", "private", "--pid",
                "--fork", "--kill-child", "sh", "-c", ENTER, "sh",
                str(self.root), str(self.unpacked / "usr"),
                *map(str, command)]

    def run(self, *command, data=None):
        done = subprocess.run(self.inside(*command), input=data, text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        """Returns once it greets."""
        self.process = subprocess.Popen(
            [*DIES_WITH_US, *self.inside(*self.command())],
            stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=open(self.root / "stderr", "ab"))
        wait_for(self._greets, 30, f"{self.root} greets")
        return self

    def _greets(self):
        assert self.process.poll() is None, \
            (self.root / "stderr").read_text(errors="replace")
        return greets(self.address, self.port)

    def stop(self):
        """All of it: the first of its processes takes the others along."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    # --- what a server says ---

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError


class Cyrus(Unpacked):
    packages = ("cyrus-imapd", "cyrus-common", "sasl2-bin")
    system_user = "cyrus"

    def configure(self):
        self.write("etc/imapd.conf", """
servername: cyrus.test
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
idlesocket: /run/cyrus/idle
defaultpartition: default
partition-default: /var/spool/cyrus/mail
allowplaintext: yes
imapidlepoll: 1
autocreate_users: anyone
autocreate_quota: 0
autocreate_post: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /etc/sasldb2
sasl_mech_list: PLAIN
""")
        self.write("etc/cyrus.conf", f"""
START {{
  recover cmd="ctl_cyrusdb -r"
  idled cmd="idled"
}}
SERVICES {{
  imap cmd="imapd" listen="{self.address}:{self.port}" prefork=1 maxchild=50
}}
EVENTS {{
}}
""")
        self.own("run/cyrus", "run/cyrus/proc", "run/cyrus/lock",
                 "var/spool/cyrus/mail", "var/lib/cyrus",
                 *(f"var/lib/cyrus/{name}" for name in
                   ("db", "log", "msg", "proc", "ptclient", "socket", "user",
                    "quota", "sieve")))
        self.run("saslpasswd2", "-p", "-c", "-f", "/etc/sasldb2", "-u",
                 "cyrus.test", USER, data=PASSWORD)
        (self.root / "etc/sasldb2").chmod(0o644)

    def command(self):
        return ("/usr/lib/cyrus/bin/master", "-D")


class Courier(Unpacked):
    packages = ("courier-imap", "courier-base", "courier-authlib",
                "courier-authlib-userdb")
    system_user = "courier"

    def configure(self):
        home = self.root / "home" / USER
        for part in ("cur", "new", "tmp"):
            (home / "Maildir" / part).mkdir(parents=True)
        self.own(f"home/{USER}", "run/courier/authdaemon", "var/lib/courier")
        hashed = subprocess.run(
            ["openssl", "passwd", "-1", "-stdin"], input=PASSWORD, text=True,
            capture_output=True, check=True).stdout.strip()
        self.write("etc/courier/userdb",
                   f"{USER}\thome=/home/{USER}|mail=/home/{USER}/Maildir|"
                   f"uid={self.owner.pw_uid}|gid={self.owner.pw_gid}|"
                   f"systempw={hashed}\n")
        (self.root / "etc/courier/userdb").chmod(0o600)
        self.run("makeuserdb")
        self.write("etc/courier/authdaemonrc", """
authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
""")

    def command(self):
        return ("/bin/sh", "-c", f"""
set -a
. /etc/courier/imapd-ssl
. /etc/courier/imapd
IMAP_STARTTLS=NO
IMAP_IDLE_TIMEOUT=1
authdaemond start
exec couriertcpd -address={self.address} -maxprocs=200 -maxperip=200 \
    -nodnslookup -noidentlookup {self.port} \
    /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir
""")
