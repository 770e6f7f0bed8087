# SPDX-License-Identifier: ISC
"""What the benchmarks share: keys, programs under measurement, and what a
tree of processes has used. Only Python's own library is needed."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / os.environ.get("BUILD", "build")
WORK = BUILD / "bench"
TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 15


class Failure(Exception):
    """Something that makes a measurement worthless."""


# --- who runs it ------------------------------------------------------------

SETTINGS = ("PEERS", "MODES", "ROUNDS", "SECONDS", "RATE", "SESSIONS", "SCALE",
            "BUILD", "PEER", "CURVES")


def become_root():
    """Gateways drop to users of their own, as on a server, and the memory of
    such processes is to be read."""
    if os.getuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise Failure("root or sudo is needed")
    kept = [f"{name}={os.environ[name]}" for name in SETTINGS
            if name in os.environ]
    sys.stdout.flush()
    os.execvp("sudo", ["sudo", "env", *kept, sys.executable,
                       os.path.abspath(sys.argv[0]), *sys.argv[1:]])


def give_back():
    """What was written belongs to who called, not to root."""
    owner = os.environ.get("SUDO_UID")
    if owner is None:
        return
    for place in (WORK, *WORK.rglob("*")):
        os.chown(place, int(owner), int(os.environ["SUDO_GID"]),
                 follow_symlinks=False)


# --- keys and ports ---------------------------------------------------------

def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates():
    """A chain of leaf and intermediate of each kind; returns name -> paths."""
    made = {}
    for kind, key in (("ecdsa", ("EC", "ec_paramgen_curve:P-256")),
                      ("rsa", ("RSA", "rsa_keygen_bits:2048"))):
        base = WORK / "keys" / kind
        base.mkdir(parents=True, exist_ok=True)
        paths = {"chain": base / "chain.pem", "key": base / "leaf.key",
                 "both": base / "both.pem"}
        if not paths["both"].exists():
            issue(base, key)
            chain = (base / "leaf.pem").read_text() + \
                (base / "ca.pem").read_text()
            paths["chain"].write_text(chain)
            paths["both"].write_text(chain + paths["key"].read_text())
        made[kind] = paths
    return made


def issue(base, key):
    algorithm, option = key
    extensions = base / "leaf.ext"
    extensions.write_text("subjectAltName=DNS:bench.example\n"
                          "extendedKeyUsage=serverAuth\n")
    for name in ("ca", "leaf"):
        openssl("genpkey", "-algorithm", algorithm, "-pkeyopt", option,
                "-out", f"{base}/{name}.key")
    openssl("req", "-x509", "-key", f"{base}/ca.key", "-days", "3650",
            "-subj", "/CN=Bench CA", "-out", f"{base}/ca.pem")
    openssl("req", "-new", "-key", f"{base}/leaf.key",
            "-subj", "/CN=bench.example", "-out", f"{base}/leaf.csr")
    openssl("x509", "-req", "-in", f"{base}/leaf.csr", "-days", "3650",
            "-CA", f"{base}/ca.pem", "-CAkey", f"{base}/ca.key",
            "-set_serial", "2", "-extfile", extensions,
            "-out", f"{base}/leaf.pem")


PORTS_GIVEN = set()


def free_port(count=1):
    """A port such that it and the count - 1 after it are free. None is given
    twice: who got one may not have bound it yet."""
    for first in range(21000, 32000 - count):
        wanted = range(first, first + count)
        if PORTS_GIVEN.isdisjoint(wanted) and all(map(is_free, wanted)):
            PORTS_GIVEN.update(wanted)
            return first
    raise Failure("no free ports")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- processes --------------------------------------------------------------

def raise_descriptors():
    """Children inherit it: nobody is measured with fewer than another."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cores():
    """The core of what is measured, and the one of everything else."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Program:
    """A child in a process group of its own, pinned, with a log file."""

    def __init__(self, name, argv, core, **options):
        self.name = name
        self.log = WORK / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(core), *map(str, argv)],
                start_new_session=True, stderr=log,
                **{"stdout": log, "stdin": subprocess.DEVNULL, **options})
        self.pid = self.process.pid

    def stop(self):
        """Asks the leader to end, and then ends the whole group."""
        for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(seconds)
                except subprocess.TimeoutExpired:
                    pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-8:])


def stat_fields(pid):
    """Of /proc/PID/stat, from the third field (state) on."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def tree(root):
    """A process and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(stat_fields(entry)[1])
            except (OSError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root):
    """User and system time of a tree, with the children that it reaped and
    the threads that ended."""
    total = 0
    for pid in tree(root):
        try:
            total += sum(map(int, stat_fields(pid)[11:15]))
        except OSError:
            continue
    return total / TICK


def cpu_exactly(root):
    """The same in nanoseconds' steps, of threads that live: what ends between
    two calls is missed."""
    total = 0
    for pid in tree(root):
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def pss_bytes(root):
    """Proportional set size of a tree."""
    total = 0
    for pid in tree(root):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1])
    return total * 1024


def switches(pid):
    """How often a process has slept and been woken."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])


# --- load and backend -------------------------------------------------------

def start_backend(core, proxy, ports=1):
    """With proxy, a PROXY header must come first."""
    program = BUILD / "test/bench/bench-backend"
    port = free_port(ports)
    options = ["-p"] if proxy else []
    backend = Program("backend", [program, *options, "-n", ports, port], core)
    wait_for(lambda: not is_free(port), backend)
    return backend, port


def wait_for(test, program):
    end = time.monotonic() + START_SECONDS
    while not test():
        if program.process.poll() is not None or time.monotonic() > end:
            raise Failure(f"{program.name} does not start:\n{program.tail()}")
        time.sleep(0.05)


def load_argv(mode, port, **options):
    argv = [BUILD / "test/bench/bench-load", mode, f"127.0.0.1:{port}"]
    for name, value in options.items():
        argv.append("--" + name.replace("_", "-"))
        if value is not True:
            argv.append(str(value))
    return argv


class Load:
    """A run of the load generator, stopped where it waits."""

    def __init__(self, core, mode, port, **options):
        options["sync"] = True
        self.program = Program("load", load_argv(mode, port, **options), core,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.program.process.stdout.readline().decode()
        if not line.startswith("READY "):
            self.program.stop()
            raise Failure(f"load did not start:\n{self.program.tail()}")
        self.held = int(line.split()[1])

    def go(self):
        """Lets it begin (idle: end)."""
        self.program.process.stdin.write(b"\n")
        self.program.process.stdin.flush()

    def result(self):
        line = self.program.process.stdout.readline()
        if not line:
            raise Failure(f"load died:\n{self.program.tail()}")
        return json.loads(line)

    def close(self):
        self.program.process.stdin.close()
        try:
            self.program.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        self.program.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def can_log_in(core, port):
    done = subprocess.run(
        ["taskset", "-c", str(core), *map(str, load_argv(
            "login", port, count=1, number=1, timeout=2))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return done.returncode == 0 and \
        json.loads(done.stdout)["errors_total"] == 0


def wait_for_login(program, core, port):
    """Readiness is a login that succeeds, never a sleep."""
    wait_for(lambda: can_log_in(core, port), program)


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    match = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return match[1] if match else os.uname().machine


def system():
    text = pathlib.Path("/etc/os-release").read_text()
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.M)
    return f"{match[1] if match else 'unknown'}, Linux {os.uname().release}"


def is_installed(command):
    return shutil.which(command, path=os.environ.get("PATH", "") +
                        ":/usr/sbin:/sbin") is not None
