# SPDX-License-Identifier: ISC
"""Logs that cannot be written: traffic goes on unchanged, and what was lost is
counted."""
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import PASSWORD, USER, scaled, wait_for
from support import log as log_format
from support.client import context
from support.gateway import backend
from support.observe import scrape, wait_ready, with_metrics


@pytest.fixture
def start(make_gateway, make_backend):
    def begin(**keys):
        made = with_metrics(make_gateway({"a": backend(make_backend())}))
        made.config["gateway"].update(keys)
        made.start().wait_up()
        return made
    return begin


def works(gateway, n=20):
    for _ in range(scaled(n)):
        with gateway.login() as client:
            assert client.result("NOOP").startswith(b"OK")


def dropped(gateway, cause):
    return scrape(gateway)[f'sallyport_events_dropped_total{{cause="{cause}"}}']


def flood(gateway):
    """More than a worker keeps for a slow observer: good verdicts and ends
    of their sessions, as both never stand in a summary."""
    name = b"x" * 500

    def session(_):
        with gateway.client() as client:
            client.send(b'i ID ("name" "%s" "version" "%s" "os" "%s")\r\n'
                        b"a LOGIN %s %s\r\n"
                        % (name, name, name, USER.encode(), PASSWORD.encode()))
            client.until("a")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(session, range(2500)))


def test_full_disk(start):
    gateway = start(log="/dev/full")
    works(gateway)
    # a verdict and an end each, at least
    wait_for(lambda: dropped(gateway, "write_error") >= scaled(20) * 2)
    looks = [row["at"] for row in gateway.ctl("status") if "look" in row]
    assert any("log lines were lost" in look for look in looks)


def test_full_disk_of_the_audit_stream(start):
    gateway = start(audit_log="/dev/full")
    works(gateway)
    wait_for(lambda: dropped(gateway, "write_error") >= scaled(20))
    gateway.wait_event("session", user=USER)    # the log is another matter


def test_stopped_reader(start):
    """An observer that stands still: events are lost, clients nothing."""
    gateway = start(workers=1)
    # The master would replace an observer that hangs.
    standing = [gateway.process.pid, gateway.pids("observer")[0]]
    for pid in standing:
        os.kill(pid, signal.SIGSTOP)
    try:
        works(gateway, 20)
        flood(gateway)
        works(gateway, 20)
    finally:
        for pid in standing:
            os.kill(pid, signal.SIGCONT)
    told = gateway.wait_event("dropped", why="queue_full")
    assert int(told["count"]) > 0

    def adds_up():
        lines = sum(int(event["count"]) for event in
                    gateway.events("dropped", why="queue_full"))
        return lines == dropped(gateway, "queue_full")
    wait_for(adds_up, what="every loss is told")
    works(gateway, 5)


def test_unread_pipe(make_gateway, make_backend):
    """Whoever started the gateway does not read what it writes: lines are
    lost, and nothing else. The observer answers all the time."""
    gateway = with_metrics(make_gateway({"a": backend(make_backend())}))
    gateway.config["gateway"]["log"] = "stderr"
    out, gateway.stderr_to = os.pipe()
    gateway.start().wait_up()
    os.close(gateway.stderr_to)
    observer = gateway.pids("observer")

    def loses():
        works(gateway, 10)
        return dropped(gateway, "write_error") > 0
    wait_for(loses, 60, "a full pipe")
    assert any(row.get("name") == "logins_ok" and row["value"] > 0
               for row in gateway.ctl("status"))
    assert gateway.pids("observer") == observer
    text = b""
    os.set_blocking(out, False)

    def adds_up():
        nonlocal text
        while chunk := read(out):
            text += chunk
        lines = text.decode().split("\n")[:-1]
        told = [event for event in map(log_format.parse, lines)
                if event["event"] == "dropped"]
        return told and sum(int(event["count"]) for event in told) == \
            dropped(gateway, "write_error")
    wait_for(adds_up, what="the line about lost lines")
    os.close(out)


def read(fd):
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def test_killed_observer(start):
    gateway = start()
    gateway.deaths_expected = True
    with gateway.login() as client:
        victim = gateway.pids("observer")[0]
        os.kill(victim, signal.SIGKILL)
        works(gateway)
        assert client.result("NOOP").startswith(b"OK")
    wait_for(lambda: len(gateway.events("session", user=USER)) >=
             scaled(20), what="the end lines, written by its successor")


def test_audit_stream(start):
    """Verdicts, reloads and the gateway's life are there and nowhere else, at
    any level of the log; sessions stay in the log."""
    gateway = start(log_level="error")
    gateway.stop()
    gateway.config["gateway"]["audit_log"] = gateway.audit
    wait_ready(gateway.start())
    works(gateway, 3)
    with gateway.client() as client:
        client.greeting()
        client.login(password="s3cret-wrong")

    def seen():
        lines = gateway.audit.read_text().splitlines()
        events = [log_format.parse(line) for line in lines]
        return [event for event in events if event["event"] == "login"]
    verdicts = wait_for(lambda: len(seen()) >= scaled(3) + 1 and seen())
    # in no order: they are of different workers
    assert sorted(event["verdict"] for event in verdicts) == \
        ["failed"] + ["ok"] * scaled(3)
    assert all(event["user"] == USER and event["peer"] and event["id"]
               for event in verdicts)
    kinds = {log_format.parse(line)["event"]
             for line in gateway.audit.read_text().splitlines()}
    assert kinds <= {"login", "refused", "certificate", "reload", "gateway",
                     "control"}
    assert not gateway.events("login")
    # a policy's refusal is there, another end of a session is not
    with pytest.raises(OSError):
        gateway.client(tls=context(alpn=("h2",)))
    wait_for(lambda: b"why=tls_alpn" in gateway.audit.read_bytes())
    assert gateway.ctl_text("log-level", "info") == ""
    gateway.login().close()
    gateway.wait_event("session", user=USER)
    assert b"why=closed" not in gateway.audit.read_bytes()
    assert b"state=relay" not in gateway.audit.read_bytes()


def test_audit_log_is_reopened(start):
    gateway = start()
    gateway.stop()
    gateway.config["gateway"]["audit_log"] = gateway.audit
    wait_ready(gateway.start())
    moved = gateway.audit.with_name("audit.1")
    gateway.audit.rename(moved)
    gateway.tell(signal.SIGUSR1)
    wait_for(gateway.audit.exists, what="a new audit file")
    wait_for(lambda: (gateway.login().close(),
                      b"event=login" in gateway.audit.read_bytes())[1])
