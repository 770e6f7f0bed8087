# SPDX-License-Identifier: ISC
"""Resumption: everywhere it should be, and nowhere else."""
import os
import ssl
import time

import pytest

from support import GATEWAY, free_port, scaled, wait_for
from support.client import Client, context
from support.gateway import backend

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
versions = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
def make(make_gateway, make_backend):
    def make(**tls):
        made = make_gateway({"a": backend(make_backend())}, tls=tls)
        made.config["gateway"]["workers"] = 3
        return made
    return make


def ticket(gateway, tls, name="localhost", port=None):
    with Client(port or gateway.port, tls=tls, server_name=name) as client:
        client.greeting()
        assert not client.tls.session_reused
        return client.tls.session


def resumes(gateway, tls, session, name="localhost", port=None):
    with Client(port or gateway.port, tls=tls, session=session,
                server_name=name) as client:
        client.greeting()
        return client.tls.session_reused


@versions
def test_workers_reload_renewal(make, certs, version):
    gateway = make()
    leaf = certs.leaf("to-renew")
    gateway.config["certificate main"].update(chain=leaf.chain, key=leaf.key)
    gateway.start().wait_up()
    tls = context(version=version)
    session = ticket(gateway, tls)
    assert all(resumes(gateway, tls, session) for _ in range(scaled(30)))
    gateway.config["limits"]["login_attempts"] = 3
    gateway.reload()
    assert all(resumes(gateway, tls, session) for _ in range(scaled(20)))
    certs.leaf("to-renew")
    gateway.wait_event("certificate", state="renewed", name="main")
    assert all(resumes(gateway, tls, session) for _ in range(scaled(20)))


@versions
def test_never_across(make, certs, version):
    """Names, listeners, policies: one context of the client, so that only the
    gateway can say no."""
    gateway = make()
    other = certs.leaf("other-name", names=("other.example.org",))
    gateway.config["certificate other"] = {"chain": other.chain,
                                           "key": other.key}
    gateway.config["tls second"] = {"preset": "intermediate"}
    ports = {}
    for listener, policy in (("twin", "public"), ("strict", "second")):
        ports[listener] = free_port(GATEWAY)
        gateway.config[f"listen {listener}"] = {
            "address": f"{GATEWAY}:{ports[listener]}", "tls": policy,
            "pool": "mail"}
    gateway.start().wait_up()
    tls = context(version=version)
    session = ticket(gateway, tls)
    for _ in range(scaled(6)):
        assert not resumes(gateway, tls, session, "other.example.org")
        assert not resumes(gateway, tls, session, port=ports["twin"])
        assert not resumes(gateway, tls, session, port=ports["strict"])
        assert resumes(gateway, tls, session)


@versions
def test_a_changed_policy(make, version):
    gateway = make().start()
    gateway.wait_up()
    tls = context(version=version)
    session = ticket(gateway, tls)
    gateway.config["tls public"]["sni"] = "strict"
    gateway.reload()
    assert not resumes(gateway, tls, session)


@versions
def test_two_rotations(make, version):
    gateway = make(ticket_rotation="3s").start()
    gateway.wait_up()
    tls = context(version=version)
    # A ticket lives for half a rotation: less than a busy machine may sleep.
    wait_for(lambda: resumes(gateway, tls, ticket(gateway, tls)))
    session = ticket(gateway, tls)
    time.sleep(6.5)                     # what the clock says is the point
    assert not any(resumes(gateway, tls, session) for _ in range(6))


@versions
def test_a_fleet(make, scratch, version):
    """Two gateways with one secret are one."""
    secret = scratch / "fleet"
    secret.write_bytes(os.urandom(48))
    secret.chmod(0o600)
    fleet = [make(ticket_secret=secret) for _ in range(2)]
    stranger = make()
    for gateway in (*fleet, stranger):
        gateway.start().wait_up()
    tls = context(version=version)
    for a, b in (fleet, fleet[::-1]):
        session = ticket(a, tls)
        assert all(resumes(b, tls, session) for _ in range(scaled(8)))
        assert not resumes(stranger, tls, session)
    # A restart changes nothing, another secret does, without a command.
    session = ticket(fleet[0], tls)
    fleet[0].stop()
    fleet[0].start().wait_up()
    assert resumes(fleet[0], tls, session)
    fresh = scratch / "fleet.new"
    fresh.write_bytes(os.urandom(48))
    fresh.chmod(0o600)
    fresh.rename(secret)
    wait_for(lambda: not resumes(fleet[0], tls, session))
    # A broken one doesn't.
    session = ticket(fleet[0], tls)
    secret.write_bytes(b"short")
    fleet[0].wait_event("certificate", state="refused")
    assert resumes(fleet[0], tls, session)


@versions
def test_slices_of_a_fleet(make, scratch, version):
    """The time of day decides; a ticket goes after the second slice."""
    secret = scratch / "slices"
    secret.write_bytes(os.urandom(48))
    gateway = make(ticket_secret=secret, ticket_rotation="3s").start()
    gateway.wait_up()
    tls = context(version=version)
    # A ticket lives for half a slice, which a busy machine may sleep through.
    wait_for(lambda: resumes(gateway, tls, ticket(gateway, tls)))
    session = ticket(gateway, tls)
    time.sleep(6.5)
    assert not resumes(gateway, tls, session)


def test_a_secret_that_cannot_be_read(make, scratch):
    gateway = make(ticket_secret=scratch / "no-secret")
    done = gateway.check("-t")
    assert done.returncode == 1 and "ticket_secret" in done.stderr
