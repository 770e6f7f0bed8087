# SPDX-License-Identifier: ISC
"""HUP under load: new connections get the new configuration, live sessions
don't notice, a broken file changes nothing."""
import ssl

import pytest

from support import GATEWAY, free_port, wait_for
from support.backend import Backend
from support.client import Client, context
from support.gateway import backend, memory_of
from test_role_faults import Load


class Named(Backend):
    name = b"?"

    def on_command(self, connection, tag, name, arguments):
        connection.send(b"* NAME " + self.name + f"\r\n{tag} OK\r\n".encode())
        return True


@pytest.fixture
def servers(make_backend):
    made = [make_backend(Named), make_backend(Named)]
    made[0].name, made[1].name = b"one", b"two"
    return made


@pytest.fixture
def gateway(make_gateway, servers):
    made = make_gateway({"one": backend(servers[0])}).start()
    made.wait_up()
    return made


def certificate_of(gateway, certs):
    with gateway.client(tls=context(certs.ca)) as client:
        return client.tls.getpeercert()["serialNumber"]


def test_everything_changes(gateway, servers, certs):
    new = certs.leaf("renewed")
    old_serial = certificate_of(gateway, certs)
    with gateway.login() as old, Load(gateway) as load:
        wait_for(lambda: load.count > 5)
        del gateway.config["backend one"]
        gateway.config["backend two"] = {"pool": "mail",
                                         **backend(servers[1])}
        gateway.config["certificate main"].update(chain=new.chain, key=new.key)
        gateway.config["limits"]["login_attempts"] = 1
        gateway.reload()
        wait_for(lambda: certificate_of(gateway, certs) == new.serial())
        assert new.serial() != old_serial
        gateway.wait_up()
        seen = load.count
        wait_for(lambda: load.count > seen + 10)
        assert old.command("WHO")[0] == b"* NAME one"
        with gateway.login() as fresh:
            assert fresh.command("WHO")[0] == b"* NAME two"
        with gateway.client() as client:
            client.greeting()
            client.send('a LOGIN anna "wrong"\r\n')
            assert client.line().startswith(b"a NO")
            assert client.line().startswith(b"* BYE")
    assert not load.failures


BROKEN = {
    "syntax": lambda c: c.update({"gateway": {**c["gateway"],
                                              "no_such_key": "1"}}),
    "value": lambda c: c["pool mail"].update(connect_timeout="-5 bananas"),
    "reference": lambda c: c["listen imaps"].update(pool="nowhere"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(gateway, name):
    with gateway.login() as old, Load(gateway) as load:
        good = {section: dict(keys) for section, keys in
                gateway.config.items()}
        BROKEN[name](gateway.config)
        gateway.reload()
        line = wait_for(lambda: gateway.events("problem"))[0]
        assert "sallyport.conf:" in str(line)
        seen = load.count
        wait_for(lambda: load.count > seen + 5)
        assert old.command("WHO")[0] == b"* NAME one"
        gateway.config = good
        gateway.reload()
        gateway.login().close()
    assert not load.failures


@pytest.mark.parametrize("fault", ["empty", "garbage", "other key", "missing"])
def test_broken_certificate(gateway, certs, fault):
    """A fault of the certificate is that certificate's alone: the old one
    keeps serving, and what else is new in the file is taken."""
    bad = certs.leaf("bad")
    if fault == "empty":
        bad.chain.write_bytes(b"")
    elif fault == "garbage":
        bad.chain.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    elif fault == "other key":
        bad.key.write_bytes(certs.leaf("other").key.read_bytes())
    else:
        bad.chain.unlink()
    serial = certificate_of(gateway, certs)
    gateway.config["certificate main"].update(chain=bad.chain, key=bad.key)
    gateway.reload()
    for _ in range(5):
        assert certificate_of(gateway, certs) == serial
    gateway.login().close()
    text = gateway.output()
    assert b"certificate" in text and b"main" in text


@pytest.mark.parametrize("section, key, value", [
    ("gateway", "workers", 3), ("gateway", "max_backends", 77)])
def test_restart_keys_are_refused_by_name(gateway, section, key, value):
    workers = gateway.pids("worker")
    gateway.config[section][key] = value
    gateway.reload()
    wait_for(lambda: f"[{section}] {key}".encode() in gateway.output())
    assert gateway.pids("worker") == workers
    gateway.login().close()


def test_many_reloads_keep_no_memory(gateway):
    """Sessions from before don't hold old snapshots."""
    clients = [gateway.login() for _ in range(10)]
    gateway.reload()
    before = {pid: memory_of(pid) for pid in gateway.pids("worker")}
    for number in range(30):
        gateway.config["limits"]["login_attempts"] = 3 + number % 2
        gateway.reload()
    assert set(gateway.pids("worker")) == set(before)
    for pid, size in before.items():
        assert memory_of(pid) - size < 1 << 20, "a worker has grown"
    for client in clients:
        assert client.command("WHO")[0] == b"* NAME one"
        client.close()


def test_tickets_live_through_a_reload(gateway):
    tls = context(version=ssl.TLSVersion.TLSv1_3)
    with gateway.client(tls=tls) as client:
        client.greeting()
        session = client.tls.session
    gateway.config["limits"]["login_attempts"] = 4
    gateway.reload()
    for _ in range(4):
        with gateway.client(tls=tls, session=session) as client:
            client.greeting()
            assert client.tls.session_reused


def test_listeners_change_places(gateway):
    """Each socket keeps its own section, wherever the file puts it."""
    gateway.stop()
    barred = free_port(GATEWAY)
    gateway.config["listen barred"] = {
        "address": f"{GATEWAY}:{barred}", "tls": "public", "pool": "mail",
        "allow": "192.0.2.0/24"}
    gateway.start().wait_up()
    gateway.config = dict(reversed(gateway.config.items()))
    assert gateway.reload()[-1]["verdict"] == "ok"
    gateway.login().close()
    with pytest.raises(OSError):
        Client(barred)
