# SPDX-License-Identifier: ISC
"""The program under test: configuration, processes, signals, log."""
import json
import os
import pathlib
import signal
import subprocess

from . import BUILD, DIALLER, DIES_WITH_US, GATEWAY, SANITIZED, \
    free_port, unprivileged, wait_for
from . import log as log_format
from .client import Client

ROLES = ("worker", "keeper", "monitor", "observer")


def backend(target, client_ip="none", **keys):
    """A [backend] section for a Dovecot or a scripted backend."""
    port = target.haproxy_port if client_ip.startswith("proxy") and \
        hasattr(target, "haproxy_port") else target.port
    return {"address": f"{target.address}:{port}", "source_ip": DIALLER,
            "client_ip": client_ip, **keys}


class Gateway:
    """Sections are dictionaries in `config`; a test changes them before
    start(), or later and then calls reload()."""

    def __init__(self, directory, leaf, backends, **sections):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        # Whatever user writes log and socket: it may.
        self.directory.chmod(0o777)
        self.port = free_port(GATEWAY)
        self.log = self.directory / "log"
        self.audit = self.directory / "audit"
        self.control = self.directory / "control"
        self.file = self.directory / "sallyport.conf"
        self.stderr = self.directory / "stderr"
        self.stderr_to = None       # a descriptor, instead of that file
        self.process = None
        self.deaths_expected = False
        self.problems_expected = False
        user = unprivileged().pw_name
        self.config = {
            "gateway": {"workers": 2, "log": self.log, "log_level": "info",
                        "control": self.control, "metrics": "off",
                        "stop_timeout": "5s"},
            "listen imaps": {"address": f"{GATEWAY}:{self.port}",
                             "tls": "public", "pool": "mail"},
            "tls public": {},
            "certificate main": {"chain": leaf.chain, "key": leaf.key},
            "limits": {},
            "pool mail": {"check_interval": "1s", "check_rise": 1,
                          "check_fall": 1,
                          "wait_for_backend": "2s"},
        }
        if os.getuid() == 0:
            self.config["gateway"].update(user=user, keeper_user=user)
        for name, keys in backends.items():
            self.config[f"backend {name}"] = {"pool": "mail", **keys}
        for name, keys in sections.items():
            section = {"listen": "listen imaps", "tls": "tls public",
                       "pool": "pool mail"}.get(name, name)
            self.config[section].update(keys)

    def write(self):
        lines = []
        for section, keys in self.config.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in keys.items()]
            lines.append("")
        # A reload must never see half a file.
        fresh = self.file.with_suffix(".new")
        fresh.write_text("\n".join(lines))
        fresh.rename(self.file)

    # --- life ---

    def launch(self):
        """Starts it without waiting."""
        self.write()
        self.process = subprocess.Popen(
            [*DIES_WITH_US, BUILD / "sallyport", "-c", self.file],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.stderr_to or open(self.stderr, "ab"),
            start_new_session=True)

    def start(self):
        """Returns when a handshake succeeds and, as far as the log tells, every
        role is ready: one that dies before ends the start."""
        self.launch()
        wait_for(self._shakes_hands, 20, "the gateway's first handshake")
        settings = self.config["gateway"]
        if (settings["log"], settings["log_level"]) == (self.log, "info") and \
                settings.get("audit_log", self.audit) == self.audit:
            wait_for(self._says_started, 20, "the end of the start")
        return self

    def _says_started(self):
        return any(b"gateway" in line and b"started" in line and
                   b"generation" in line for line in
                   self.output().splitlines())

    def _shakes_hands(self):
        assert self.process.poll() is None, \
            f"ended with {self.process.returncode}: {self.report()}"
        try:
            self.client(timeout=5).close()
            return True
        except OSError:
            return False

    def check(self, *arguments):
        """Runs sallyport -c FILE ARGUMENTS to its end."""
        self.write()
        return subprocess.run([BUILD / "sallyport", "-c", self.file,
                               *arguments], capture_output=True, text=True,
                              timeout=30, check=False)

    def run_ctl(self, *words, timeout=60):
        """The finished process of `sallyport ctl WORDS`."""
        return subprocess.run(
            [BUILD / "sallyport", "ctl", "-s", self.control, *words],
            capture_output=True, text=True, timeout=timeout, check=False)

    def ctl(self, *words):
        """The lines of a command that must succeed, as dictionaries."""
        done = self.run_ctl("--json", *words)
        assert done.returncode == 0, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ctl_text(self, *words):
        """What a person sees."""
        done = self.run_ctl(*words)
        assert done.returncode == 0, done
        return done.stdout

    def ctl_fails(self, *words):
        return self.run_ctl(*words).returncode != 0

    def tell(self, number):
        self.process.send_signal(number)

    def reload(self):
        """HUP, and waits for the event that says how it went."""
        self.write()
        seen = len(self.events("reload"))
        self.tell(signal.SIGHUP)
        wait_for(lambda: len(self.events("reload")) > seen, 10,
                 "an event of the reload")
        return self.events("reload")[seen:]

    def stop(self, number=signal.SIGTERM, seconds=15):
        """Returns its exit status; nothing may be left of it."""
        if self.process is None:
            return None
        pids = [pid for role in ROLES for pid in self.pids(role)]
        if self.process.poll() is None:
            self.tell(number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there after {seconds} s") from None
        self.process = None
        wait_for(lambda: not any(map(alive, pids)), 5, "its processes end")
        return status

    def kill(self):
        """No mercy: for the end of a failed test."""
        if self.process is None:
            return
        pids = [pid for role in ROLES for pid in self.pids(role)]
        for pid in [self.process.pid, *pids]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None

    # --- what is to be seen ---

    def pids(self, role):
        return [pid for pid in children(self.process.pid)
                if role_of(pid) == role]

    def events(self, kind=None, **fields):
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8").split("\n")
        # The last one may not be finished yet.
        events = [log_format.parse(line) for line in lines[:-1] if line]
        return [event for event in events
                if kind in (None, event["event"]) and
                all(event.get(k) == str(v) for k, v in fields.items())]

    def wait_event(self, kind, seconds=10, **fields):
        """The first such event."""
        return wait_for(lambda: self.events(kind, **fields), seconds,
                        f"event {kind} {fields}")[0]

    def wait_events(self, count, kind, seconds=10, **fields):
        """All such events, once there are that many: a line of the log may
        come after the answer that a client saw."""
        wait_for(lambda: len(self.events(kind, **fields)) >= count, seconds,
                 f"{count} events {kind} {fields}")
        return self.events(kind, **fields)

    def output(self):
        """Everything it ever wrote."""
        return b"".join(path.read_bytes() for path in
                        (self.log, self.audit, self.stderr) if path.exists())

    def report(self):
        config = self.file.read_text() if self.file.exists() else ""
        return config + "\n--- output ---\n" + \
            self.output()[-20000:].decode(errors="replace")

    def client(self, **options):
        """A test whose clients come in another way puts its own here."""
        return Client(self.port, **options)

    def login(self, **options):
        return self.client(**options).logged_in()

    def wait_up(self):
        """Until its greeting is OK: the pool has a backend."""
        def greets():
            with self.client() as client:
                return client.line().startswith(b"* OK")
        wait_for(greets, 15, "a greeting that isn't BYE")

    def wait_down(self):
        def refuses():
            with self.client() as client:
                return client.line().startswith(b"* BYE")
        wait_for(refuses, 15, "a greeting that is BYE")

    def find_problems(self):
        """What must be true of every run, whatever the test was about."""
        text = self.output()
        found = [f"leaked: {mark!r}" for mark in log_format.leaks(text)]
        for word in (b"Sanitizer", b"runtime error:", b"ensure failed",
                     b"assertion"):
            if word in text:
                found.append(f"its output holds {word!r}")
        for path in sorted(self.directory.glob("log*")) + \
                sorted(self.directory.glob("audit*")):
            found += log_format.faults(path.read_bytes())[:5]
        if not self.deaths_expected:
            found += [f"a role died: {event}" for event in
                      self.events("role") if "signal" in event]
        return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii",
                  errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children",
                  encoding="ascii") as listed:
            return [int(word) for word in listed.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def role_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            words = cmdline.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    for word in words:
        for role in ROLES:
            if role in word.decode(errors="replace").split("/")[-1]:
                return role
    return None


def memory_of(pid):
    """Memory of its own in octets (a share of what others map, too, would move
    with them); coarse unless root asks. A sanitizer keeps what was freed, so
    nothing can be said under one: 0."""
    if SANITIZED:
        return 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
    except PermissionError:
        pass
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        _, resident, shared, *_ = map(int, statm.read().split())
        return (resident - shared) * 4096
