# SPDX-License-Identifier: ISC
"""Certificates look after themselves: files that change, in every way that
people and programs change them."""
import bisect
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import threading
import time

import pytest

from support import SCALE, scaled, wait_for
from support.certs import openssl
from support.client import context, tcp
from support.gateway import backend, memory_of
from support.observe import scrape, with_metrics
from test_metrics import of


@pytest.fixture
def place(scratch, certs):
    """A directory of its own with `live.pem` and `live.key`."""
    directory = pathlib.Path(
        subprocess.check_output(["mktemp", "-d", "-p", scratch],
                                text=True).strip())
    directory.chmod(0o755)
    leaf = certs.leaf("first")
    shutil.copy(leaf.chain, directory / "live.pem")
    shutil.copy(leaf.key, directory / "live.key")
    (directory / "live.key").chmod(0o600)
    return directory


@pytest.fixture
def make(make_gateway, make_backend, place):
    def make(**keys):
        made = with_metrics(make_gateway({"a": backend(make_backend())}))
        made.config["certificate main"] = {
            "chain": place / "live.pem", "key": place / "live.key", **keys}
        return made.start()
    return make


def serial(gateway, certs, name="localhost"):
    with gateway.client(tls=context(certs.ca), server_name=name) as client:
        return client.tls.getpeercert()["serialNumber"]


def serves(gateway, certs, leaf, seconds=8):
    wait_for(lambda: serial(gateway, certs) == leaf.serial(), seconds,
             "the renewed certificate")


def replace(source, target):
    """As careful programs do."""
    fresh = target.with_suffix(".tmp")
    shutil.copy(source, fresh)
    fresh.rename(target)


def test_atomic_renames(make, certs, place):
    gateway = make()
    for number in range(3):
        leaf = certs.leaf(f"rename{number}")
        replace(leaf.key, place / "live.key")
        replace(leaf.chain, place / "live.pem")
        serves(gateway, certs, leaf)
    assert len(gateway.wait_events(
        3, "certificate", state="renewed")) == 3
    # Every one had a key of its own.
    assert len(gateway.wait_events(
        3, "certificate", state="pin_changed")) == 3
    assert not gateway.events("certificate", state="refused")


def test_the_same_key(make, certs, place):
    gateway = make()
    request = place / "again.csr"
    openssl("req", "-new", "-key", place / "live.key", "-subj", "/CN=localhost",
            "-out", request)
    (place / "ext").write_text("subjectAltName=DNS:localhost\n")
    fresh = place / "again.pem"
    openssl("x509", "-req", "-in", request, "-CA", certs.ca, "-CAkey",
            certs._ca_key, "-CAcreateserial", "-days", 9, "-extfile",
            place / "ext", "-out", fresh)
    fresh.write_bytes(fresh.read_bytes() + certs.ca.read_bytes())
    fresh.rename(place / "live.pem")
    event = gateway.wait_event("certificate", state="renewed")
    # nine days less the moment it took to be seen
    assert event["name"] == "main" and event["days"] in ("8", "9")
    assert not gateway.events("certificate", state="pin_changed")


def test_written_in_place(make, certs, place):
    gateway = make()
    leaf = certs.leaf("inplace")
    (place / "live.key").write_bytes(leaf.key.read_bytes())
    (place / "live.pem").write_bytes(leaf.chain.read_bytes())
    serves(gateway, certs, leaf)


def test_as_certbot_does(make_gateway, make_backend, certs, place):
    """live/ holds links into archive/; a renewal swaps the links."""
    archive, live = place / "archive", place / "live"
    archive.mkdir()
    live.mkdir()

    def issue(number):
        leaf = certs.leaf(f"certbot{number}")
        shutil.copy(leaf.key, archive / f"privkey{number}.pem")
        shutil.copy(leaf.chain, archive / f"fullchain{number}.pem")
        for name in ("privkey", "fullchain"):
            fresh = live / f"{name}.new"
            fresh.symlink_to(f"../archive/{name}{number}.pem")
            fresh.rename(live / f"{name}.pem")
        return leaf
    issue(1)
    gateway = make_gateway({"a": backend(make_backend())})
    gateway.config["certificate main"] = {"chain": live / "fullchain.pem",
                                          "key": live / "privkey.pem"}
    gateway.start()
    for number in (2, 3):
        serves(gateway, certs, issue(number))


def test_a_swapped_directory(make_gateway, make_backend, certs, place):
    """As container platforms mount secrets: one link for all files."""
    def issue(number):
        leaf = certs.leaf(f"mount{number}")
        directory = place / f"..{number}"
        directory.mkdir()
        shutil.copy(leaf.key, directory / "key")
        shutil.copy(leaf.chain, directory / "chain")
        fresh = place / "..new"
        fresh.symlink_to(directory.name)
        fresh.rename(place / "..data")
        return leaf
    issue(1)
    gateway = make_gateway({"a": backend(make_backend())})
    gateway.config["certificate main"] = {"chain": place / "..data/chain",
                                          "key": place / "..data/key"}
    gateway.start()
    serves(gateway, certs, issue(2))


def test_the_key_comes_later(make, certs, place):
    gateway = make()
    before = serial(gateway, certs)
    leaf = certs.leaf("late")
    replace(leaf.chain, place / "live.pem")
    gateway.wait_event("certificate", state="refused")
    assert serial(gateway, certs) == before
    replace(leaf.key, place / "live.key")
    serves(gateway, certs, leaf)


def pem_of_leaf(path):
    end = b"-----END CERTIFICATE-----\n"
    return path.read_bytes().split(end)[0] + end


def write(path, data):
    """By another file's rename: one change, never half of it."""
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(data)
    fresh.rename(path)


def reissued(place, certs, **dates):
    """For the same key: nothing is wrong with it but its dates."""
    leaf = certs.leaf("reissued", same_key=place / "live.key", **dates)
    replace(leaf.chain, place / "live.pem")


def swap(place):
    chain, key = place / "live.pem", place / "live.key"
    chain.rename(place / "x")
    key.rename(chain)
    (place / "x").rename(key)


def unreadable(path):
    path.unlink()
    path.mkdir()


# What happens to the files, and the log's words for it.
BROKEN = {
    "key of another": (
        lambda place, certs: replace(certs.leaf("x").key, place / "live.key"),
        "live.key: the key is not the certificate's"),
    "truncated": (
        lambda place, certs: write(
            place / "live.pem", (place / "live.pem").read_bytes()[:300]),
        "live.pem: damaged or truncated"),
    "truncated key": (
        lambda place, certs: write(
            place / "live.key", (place / "live.key").read_bytes()[:100]),
        "live.key: the private key is damaged, truncated"),
    "expired": (
        lambda place, certs: reissued(place, certs, seconds=-60),
        "live.pem: has expired"),
    "not yet valid": (
        lambda place, certs: reissued(place, certs, starts=86400,
                                      seconds=2 * 86400),
        "live.pem: not yet valid"),
    "missing intermediate": (
        lambda place, certs: write(place / "live.pem",
                                   pem_of_leaf(place / "live.pem")),
        "live.pem: the intermediate certificate is missing"),
    "wrong order": (
        lambda place, certs: write(
            place / "live.pem", pem_of_leaf(place / "live.pem") +
            certs.leaf("behind").chain.read_bytes()),
        "certificate 1 was not issued by certificate 2"),
    "unreadable": (
        lambda place, certs: unreadable(place / "live.pem"),
        "live.pem: not a regular file"),
    "gone": (
        lambda place, certs: (place / "live.key").unlink(),
        "live.key: No such file"),
    "empty": (
        lambda place, certs: write(place / "live.pem", b""),
        "live.pem: is empty"),
    "changed places": (
        lambda place, certs: swap(place),
        "live.pem: holds no PEM certificate"),
}


def looks_faulty(gateway):
    """What ctl status says first, long after the event."""
    return [row["at"] for row in gateway.ctl("status")
            if "files are faulty" in row.get("at", "")]


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files(make, certs, place, fault):
    """The old one keeps serving, one event, the counter moves; and what comes
    next is taken."""
    gateway = make()
    before = serial(gateway, certs)
    assert of(scrape(gateway), "certificate_faults_total") == 0
    break_it, words = BROKEN[fault]
    break_it(place, certs)
    event = wait_for(lambda: [
        event for event in gateway.events("certificate", state="refused")
        if words in event["text"]])[0]
    assert "[certificate main]" in event["text"]
    assert "serves on" in event["text"] and event["level"] == "error"
    assert all(serial(gateway, certs) == before for _ in range(5))
    # Nobody is told again and again, unless there is a new attempt.
    count = len(gateway.events("certificate", state="refused"))
    assert count == 1 or fault == "changed places"
    gateway.reload()
    assert serial(gateway, certs) == before
    assert len(gateway.wait_events(count + 1, "certificate",
                                   state="refused")) == count + 1
    wait_for(lambda: of(scrape(gateway),
                        "certificate_faults_total") == count + 1)
    wait_for(lambda: looks_faulty(gateway))
    if (place / "live.pem").is_dir():
        (place / "live.pem").rmdir()
    leaf = certs.leaf("mended")
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")
    serves(gateway, certs, leaf)
    wait_for(lambda: not looks_faulty(gateway))


def test_swapped_while_they_are_read(make, certs, place):
    """Files that change all the time, never both at once: whatever is served
    is a pair."""
    gateway = make()
    gateway.wait_up()
    leaves = [certs.leaf(f"pair{number}") for number in range(2)]
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            for leaf in leaves:
                replace(leaf.key, place / "live.key")
                replace(leaf.chain, place / "live.pem")
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        known = {serial(gateway, certs), *(leaf.serial() for leaf in leaves)}
        for _ in range(scaled(10)):
            gateway.reload()
            # A key that isn't the chain's would fail the handshake.
            assert {serial(gateway, certs) for _ in range(4)} <= known
    finally:
        stop.set()
        thread.join()
    serves(gateway, certs, leaves[1])


def test_one_among_three(make_gateway, make_backend, certs, place):
    """One that is broken stops neither the start nor the others' renewal."""
    gateway = make_gateway({"a": backend(make_backend())})
    for name in ("one", "two"):
        leaf = certs.leaf(f"of-{name}", names=(f"{name}.example.org",))
        shutil.copy(leaf.chain, place / f"{name}.pem")
        shutil.copy(leaf.key, place / f"{name}.key")
        gateway.config[f"certificate {name}"] = {
            "chain": place / f"{name}.pem", "key": place / f"{name}.key"}
    (place / "one.pem").write_bytes(b"")
    gateway.start()
    event = gateway.wait_event("certificate", state="refused")
    assert "[certificate one]" in event["text"]
    first = serial(gateway, certs, "one.example.org")
    assert first == serial(gateway, certs, "localhost")
    leaf = certs.leaf("of-two", names=("two.example.org",))
    replace(leaf.key, place / "two.key")
    replace(leaf.chain, place / "two.pem")
    wait_for(lambda: serial(gateway, certs, "two.example.org")
             == leaf.serial())
    shutil.copy(certs.directory / "of-one.pem", place / "one.pem")
    wait_for(lambda: serial(gateway, certs, "one.example.org") != first)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_files_that_only_root_can_read(make, certs, place):
    """0600 in 0700: everything but the master runs as another user."""
    os.chmod(place, 0o700)
    for path in place.iterdir():
        os.chmod(path, 0o600)
        os.chown(path, 0, 0)
    gateway = make()
    for role in ("worker", "keeper", "observer"):
        for pid in gateway.pids(role):
            assert os.stat(f"/proc/{pid}").st_uid != 0 or b"nobody" in \
                subprocess.check_output(["ps", "-o", "user=", "-p", str(pid)])
    leaf = certs.leaf("roots")
    replace(leaf.key, place / "live.key")
    os.chmod(place / "live.key", 0o600)
    replace(leaf.chain, place / "live.pem")
    os.chmod(place / "live.pem", 0o600)
    serves(gateway, certs, leaf)


def test_a_key_that_others_can_read(make, place):
    (place / "live.key").chmod(0o644)
    gateway = make()
    wait_for(lambda: any("chmod 600" in event["text"] for event in
                         gateway.events("warning")))


def test_expiring_and_expired(make, certs, place):
    """An alarm when it ends, and it serves on."""
    leaf = certs.leaf("short", seconds=6)
    shutil.copy(leaf.chain, place / "live.pem")
    shutil.copy(leaf.key, place / "live.key")
    gateway = make()
    wait_for(lambda: any("expires in 0 days" in event["text"]
                         for event in gateway.events("warning")))
    event = gateway.wait_event("certificate", 15, state="expired")
    assert event["name"] == "main" and event["level"] == "error"
    with gateway.client() as client:
        client.greeting()
    # A client that looks at dates leaves, and the log says why.
    with pytest.raises(ssl.SSLError):
        serial(gateway, certs)
    event = gateway.wait_event("session", why="tls_alert")
    assert event["who"] == "client" and event["alert"] == "45"
    # Renewed, and all is well.
    leaf = certs.leaf("short")
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")
    gateway.wait_event("certificate", state="renewed")
    serves(gateway, certs, leaf)
    done = gateway.check("-t")
    assert "days left" in done.stdout and "SPKI" in done.stdout


def test_a_pin(make, certs, place):
    hashed = subprocess.check_output(
        f"openssl pkey -in {place}/live.key -pubout -outform DER | sha256sum",
        shell=True, text=True).split()[0]
    gateway = make(pin=hashed)
    before = serial(gateway, certs)
    leaf = certs.leaf("unpinned")
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")
    event = gateway.wait_event("certificate", state="refused")
    assert "pinned" in event["text"]
    assert serial(gateway, certs) == before


class Pace(threading.Thread):
    """New clients, so many a second of them; (began, ended, certificate)."""

    def __init__(self, gateway, certs, rate):
        super().__init__(daemon=True)
        self.gateway, self.every = gateway, 1 / rate
        self.tls = context(certs.ca)
        self.seen, self.failures = [], []
        self.over = threading.Event()

    def shake(self):
        began = time.monotonic()
        try:
            with tcp(self.gateway.port) as plain, self.tls.wrap_socket(
                    plain, server_hostname="localhost") as client:
                der = client.getpeercert(True)
            self.seen.append((began, time.monotonic(), der))
        except OSError as error:
            self.failures.append(repr(error))

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            # What a busy machine has missed is not caught up on.
            due = max(due + self.every, time.monotonic())
            self.shake()


def der_of(chain):
    return ssl.PEM_cert_to_DER_cert(pem_of_leaf(chain).decode())


def all_memory(gateway):
    return sum(memory_of(pid) for pid in [
        gateway.process.pid, *gateway.pids("worker"), *gateway.pids("keeper")])


def test_renewals_under_load(make, certs, place, record_property):
    """200 of them under 300 handshakes a second (check-full): none fails, each
    shows the certificate of its time or the one before; memory returns."""
    full = SCALE >= 10
    gateway = make()
    gateway.wait_up()
    ders = [der_of(place / "live.pem")]
    times = []                  # when number i + 1 came
    loads = [Pace(gateway, certs, 50 if full else 10) for _ in range(6)]
    for load in loads:
        load.start()
    levels = []
    began = time.monotonic()
    for number in range(scaled(20) if full else 8):
        leaf = certs.leaf(f"load{number % 2}")
        ders.append(der_of(leaf.chain))
        times.append(time.monotonic())
        replace(leaf.key, place / "live.key")
        replace(leaf.chain, place / "live.pem")
        # Both workers have it when the next one comes.
        gateway.wait_events(number + 1, "certificate", 30, state="renewed")
        serves(gateway, certs, leaf, 30)
        wait_for(lambda: any(der == ders[-1] for load in loads
                             for _, _, der in list(load.seen)), 30,
                 "a handshake of the load with the new certificate")
        levels.append(all_memory(gateway))
    seconds = time.monotonic() - began
    for load in loads:
        load.over.set()
    for load in loads:
        load.join()
    seen = [one for load in loads for one in load.seen]
    record_property("handshakes a second", round(len(seen) / seconds))
    print(f"{len(times)} renewals, {len(seen) / seconds:.0f} handshakes/s")
    assert not [failure for load in loads for failure in load.failures]
    place_of = {der: number for number, der in enumerate(ders)}
    for start, end, der in seen:
        first, last = (bisect.bisect(times, moment)
                       for moment in (start, end))
        assert first - 1 <= place_of[der] <= last
    assert max(levels[-3:]) - max(levels[:3]) < 1 << 20, levels


def test_renewals_outlive_the_observer(make, certs, place):
    gateway = make()
    leaf = certs.leaf("counted")
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")
    wait_for(lambda: gateway.ctl("certificates")[0]["renewals"] == 1)
    gateway.deaths_expected = True
    victim = gateway.pids("observer")[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: gateway.pids("observer") not in ([], [victim]))
    wait_for(lambda: not gateway.ctl_fails("status"))
    assert gateway.ctl("certificates")[0]["renewals"] == 1
