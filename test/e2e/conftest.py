# SPDX-License-Identifier: ISC
"""Fixtures. Dovecots and certificates are shared by a whole run, a gateway
belongs to one test; what it wrote is attached when the test fails."""
import os
import pathlib
import resource
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support import backend as scripted  # noqa: E402
from support.certs import Certs  # noqa: E402
from support.dovecot import Dovecot  # noqa: E402
from support.gateway import Gateway, backend  # noqa: E402


def pytest_configure():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def scratch():
    """Short (socket paths are limited), and open to other users."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sp-"))
    path.chmod(0o755)
    yield path
    if not os.environ.get("KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def certs(scratch):
    return Certs(scratch / "certs")


@pytest.fixture(scope="session")
def leaf(certs):
    return certs.leaf("main")


def started(scratch, name, **options):
    server = Dovecot(scratch, name, **options)
    server.add_mail([b"Subject: one\n\nHello.\n", b"Subject: two\n\nWorld.\n"])
    return server.start()


@pytest.fixture(scope="session")
def dovecot(scratch):
    server = started(scratch, "a")
    yield server
    server.stop()


@pytest.fixture
def user(dovecot):
    """A user of the shared Dovecot whom no other test uses, with INBOX empty;
    (name, password)."""
    return dovecot.spare_users.pop()


@pytest.fixture
def make_dovecot(scratch):
    """Dovecots that a test may stop or stun."""
    made = []

    def make(name, **options):
        shutil.rmtree(scratch / f"dovecot-{name}", ignore_errors=True)
        made.append(started(scratch, name, **options))
        return made[-1]
    yield make
    for server in made:
        server.stop()


@pytest.fixture
def make_backend():
    """make_backend(SomeBackend, ...) or make_backend() for the plain one."""
    made = []

    def make(kind=scripted.Backend, **options):
        made.append(kind(**options))
        return made[-1]
    yield make
    for server in made:
        server.stop()
    errors = [error for server in made for error in server.errors]
    assert not errors, errors


@pytest.fixture
def make_gateway(scratch, leaf, request):
    """make_gateway({name: backend section}, section={...}): not started."""
    made = []

    def make(backends, **sections):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="g", dir=scratch))
        made.append(Gateway(directory, leaf, backends, **sections))
        request.node.gateways = made
        return made[-1]
    yield make
    problems = []
    for gateway in made:
        try:
            if gateway.process is not None:
                status = gateway.stop()
                if status != 0 and not gateway.deaths_expected:
                    problems.append(f"ended with status {status}")
        finally:
            gateway.kill()
        problems += gateway.find_problems()
    assert not problems, "\n".join(problems)


@pytest.fixture
def gateway(make_gateway, dovecot):
    """Running, in front of the shared Dovecot, with PROXY v2."""
    made = make_gateway({"a": backend(dovecot, "proxy_v2")}).start()
    made.wait_up()
    return made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for number, one in enumerate(getattr(item, "gateways", [])):
            report.sections.append((f"gateway {number}", one.report()))
