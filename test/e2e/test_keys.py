# SPDX-License-Identifier: ISC
"""Private keys are in the keeper and nowhere else."""
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading

import pytest

from support import unprivileged, wait_for
from support.gateway import backend
from test_role_faults import Load, replaced

# A sanitizer needs ptrace and terabytes of shadow: nothing to search.
pytestmark = pytest.mark.skipif(bool(os.environ.get("SANITIZE")),
                                reason="the release is what is searched")
root = pytest.mark.skipif(os.getuid() != 0,
                          reason="other processes' memory is root's to read")


def parts_of(path):
    """Every secret number of a key file, in either byte order."""
    text = subprocess.check_output(
        ["openssl", "pkey", "-in", path, "-noout", "-text"], text=True)
    names = {"privateExponent", "prime1", "prime2", "exponent1", "exponent2",
             "coefficient", "priv"}
    found = {}
    for name, number in re.findall(r"^(\w+):\s*\n((?: {4}[0-9a-f:]+\n)+)",
                                   text, re.M):
        if name in names:
            found[name] = bytes.fromhex(
                number.replace(":", "").replace(" ", "").replace("\n", "")) \
                .lstrip(b"\0")
    assert len(found) in (1, 6), text
    return found


def patterns(parts):
    """Numbers are stored whole: half of one is as telling and survives what
    is written over its ends."""
    made = {}
    for name, octets in parts.items():
        for order, data in (("big", octets), ("little", octets[::-1])):
            quarter = len(data) // 4
            made[f"{name} {order}-endian"] = data[quarter:3 * quarter]
    return made


def memory(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            start, end = (int(word, 16)
                          for word in line.split()[0].split("-"))
            if "[vvar" in line or "[vsyscall]" in line or \
                    not line.split()[1].startswith("r"):
                continue
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            yield data


def descriptors(pid):
    """What can be read through each of them without taking it away."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            target = os.readlink(path)
            if not (target.startswith("/") and not
                    target.startswith("/dev/")):
                continue
            with open(path, "rb") as file:
                yield file.read()
        except OSError:
            continue


def found_in(wanted, chunks):
    return {name for data in chunks for name, octets in wanted.items()
            if octets in data}


@pytest.fixture
def both(make_gateway, make_backend, certs):
    """One gateway with an RSA and an ECDSA key, running under load."""
    rsa = certs.leaf("keys-rsa", "rsa", names=("rsa.example.org",))
    ecdsa = certs.leaf("keys-ecdsa")
    made = make_gateway({"a": backend(make_backend())})
    made.config["certificate main"].update(chain=ecdsa.chain, key=ecdsa.key)
    made.config["certificate rsa"] = {"chain": rsa.chain, "key": rsa.key}
    made.wanted = {}
    for leaf, kind in ((rsa, "RSA"), (ecdsa, "EC")):
        made.wanted.update({f"{kind} {name}": octets for name, octets in
                            patterns(parts_of(leaf.key)).items()})
    assert len(made.wanted) == 14
    made.deaths_expected = True
    made.start().wait_up()
    return made


def shake_both(gateway):
    for name in ("rsa.example.org", "localhost"):
        with gateway.client(server_name=name) as client:
            client.greeting()


@root
def test_memory_and_descriptors(both):
    with Load(both) as load:
        for _ in range(5):
            shake_both(both)
        keeper = both.pids("keeper")[0]
        in_keeper = found_in(both.wanted, memory(keeper))
        # The search works: BoringSSL keeps numbers in little-endian words.
        for name in ("RSA prime1", "RSA prime2", "EC priv"):
            assert any(found.startswith(name) for found in in_keeper), \
                in_keeper
        for role in ("worker", "monitor", "observer"):
            for pid in both.pids(role):
                chunks = list(memory(pid))
                assert sum(map(len, chunks)) > 1 << 20
                assert not found_in(both.wanted, chunks), role
                assert not found_in(both.wanted, descriptors(pid)), role
    assert not load.failures


def core_of(pid, directory):
    """A core file as a debugger forces it, `-a`: also of what the process
    would have the kernel leave out."""
    done = subprocess.run(
        ["gcore", "-a", "-o", directory / "core", str(pid)],
        env={**os.environ, "DEBUGINFOD_URLS": ""}, capture_output=True,
        text=True, timeout=120, check=False)
    core = directory / f"core.{pid}"
    assert core.exists(), done.stdout + done.stderr
    data = core.read_bytes()
    core.unlink()
    assert data[:4] == b"\x7fELF" and data[16] == 4, "ET_CORE"
    assert len(data) > 1 << 20
    return data


@root
@pytest.mark.skipif(shutil.which("gcore") is None, reason="needs gdb")
def test_a_forced_core(both, scratch):
    with Load(both) as load:
        for _ in range(5):
            shake_both(both)
        for pid in both.pids("worker"):
            assert not found_in(both.wanted, [core_of(pid, scratch)])
        in_keeper = found_in(both.wanted,
                             [core_of(both.pids("keeper")[0], scratch)])
        assert len(in_keeper) == 7, in_keeper   # in one byte order each
    assert not load.failures


def allow_cores(pid):
    """From outside, against the limit of 0 that every role runs with."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        resource.prlimit(pid, resource.RLIMIT_CORE, unlimited)
    except PermissionError:     # without CAP_SYS_RESOURCE the limit stays
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits


@root
def test_no_core_of_the_kernels(both):
    """A crash under a limit that would allow a core file leaves none."""
    shake_both(both)
    for role in ("worker", "keeper"):
        victim = both.pids(role)[0]
        allow_cores(victim)
        places = {pathlib.Path(os.readlink(f"/proc/{victim}/cwd")),
                  pathlib.Path.cwd()}
        before = {path for place in places for path in place.glob("core*")}
        os.kill(victim, signal.SIGABRT)
        replaced(both, role, victim)
        assert not {path for place in places
                    for path in place.glob("core*")} - before
        event = both.wait_event("role", role=role, state="ended", pid=victim)
        assert event["signal"] == "6"


@root
def test_the_workers_user_cannot_read_the_keeper(both):
    keeper = both.pids("keeper")[0]
    user = unprivileged()
    assert os.stat(f"/proc/{keeper}").st_uid in (0, user.pw_uid)
    for path in ("mem", "maps", "environ", "fd"):
        done = subprocess.run(
            ["setpriv", "--reuid", str(user.pw_uid), "--regid",
             str(user.pw_gid), "--clear-groups", "--inh-caps=-all", "sh", "-c",
             f"cat /proc/{keeper}/{path} || ls /proc/{keeper}/fd/"],
            capture_output=True, check=False)
        assert done.returncode != 0 and b"enied" in done.stderr or \
            b"ermitted" in done.stderr, done
        assert done.stdout == b""


def test_no_old_key_after_a_renewal(both, certs):
    """A key that was replaced goes from the keeper, too (after a while):
    here, that the new one is used at once."""
    leaf = certs.leaf("keys-new")
    both.config["certificate main"].update(chain=leaf.chain, key=leaf.key)
    both.reload()
    done = threading.Event()
    with Load(both) as load:
        wait_for(lambda: load.count > 5)
        done.set()
    assert not load.failures
