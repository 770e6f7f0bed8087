# SPDX-License-Identifier: ISC
"""Certificates look after themselves: files that change, in every way that
people and programs change them."""
import os
import pathlib
import shutil
import ssl
import subprocess
import threading
import time

import pytest

from support import SCALE, scaled, wait_for
from support.certs import openssl
from support.client import context
from support.gateway import backend, memory_of
from test_role_faults import Load


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
        made = make_gateway({"a": backend(make_backend())})
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


BROKEN = {
    "other key": lambda place, certs: replace(certs.leaf("x").key,
                                              place / "live.key"),
    "truncated": lambda place, certs: (place / "live.pem").write_bytes(
        (place / "live.pem").read_bytes()[:300]),
    "not yet valid": lambda place, certs: replace(
        early(certs), place / "live.pem"),
    "expired": lambda place, certs: expired(place, certs),
    "missing intermediate": lambda place, certs: (
        place / "live.pem").write_bytes(
            (place / "live.pem").read_bytes().split(b"-----END")[0] +
            b"-----END CERTIFICATE-----\n"),
    "wrong order": lambda place, certs: (
        place / "live.pem").write_bytes(stranger_behind(place, certs)),
    "unreadable": lambda place, certs: unreadable(place / "live.pem"),
    "empty": lambda place, certs: (place / "live.pem").write_bytes(b""),
    "swapped": lambda place, certs: swap(place),
}


def early(certs):
    """Valid from tomorrow: with the same key it would be fine but for that."""
    return certs.leaf("early", starts=86400).chain


def expired(place, certs):
    leaf = certs.leaf("past", seconds=-60)
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")


def stranger_behind(place, certs):
    """The leaf, and behind it one that has not issued it."""
    leaf = (place / "live.pem").read_bytes().split(b"-----END")[0]
    other = certs.leaf("behind").chain.read_bytes()
    return leaf + b"-----END CERTIFICATE-----\n" + other


def unreadable(path):
    path.unlink()
    path.mkdir()


def swap(place):
    chain, key = place / "live.pem", place / "live.key"
    chain.rename(place / "x")
    key.rename(chain)
    (place / "x").rename(key)


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files(make, certs, place, fault):
    """The old one keeps serving, one event; and what comes next is taken."""
    gateway = make()
    before = serial(gateway, certs)
    BROKEN[fault](place, certs)
    event = gateway.wait_event("certificate", state="refused")
    assert "[certificate main]" in event["text"]
    assert "serves on" in event["text"]
    assert all(serial(gateway, certs) == before for _ in range(5))
    gateway.reload()
    assert serial(gateway, certs) == before
    if (place / "live.pem").is_dir():
        (place / "live.pem").rmdir()
    leaf = certs.leaf("mended")
    replace(leaf.key, place / "live.key")
    replace(leaf.chain, place / "live.pem")
    serves(gateway, certs, leaf)


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


def test_renewals_under_load(make, certs, place):
    """Each handshake shows the old one or the new one; memory stays."""
    gateway = make()
    gateway.wait_up()
    count = scaled(20) if SCALE >= 10 else 8
    leaves = [certs.leaf(f"load{number % 40}-{number // 40}")
              for number in range(count)]
    seen, faults = set(), []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            try:
                seen.add(serial(gateway, certs))
            except OSError as error:
                faults.append(error)
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    levels = []
    for leaf in leaves:
        replace(leaf.key, place / "live.key")
        replace(leaf.chain, place / "live.pem")
        serves(gateway, certs, leaf, 10)
        levels.append(sum(map(memory_of, gateway.pids("worker"))))
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert {leaf.serial() for leaf in leaves} <= seen
    assert len(seen) <= count + 1
    assert max(levels[-3:]) - max(levels[:3]) < 1 << 20
