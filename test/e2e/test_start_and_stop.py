# SPDX-License-Identifier: ISC
"""The command line, the start and the end of the program."""
import os
import signal
import socket
import subprocess
import time

import pytest

from support import BUILD, DIES_WITH_US, GATEWAY, wait_for
from support.client import tcp
from support.gateway import backend, children


@pytest.fixture
def prepared(make_gateway, make_backend):
    server = make_backend()
    made = make_gateway({"a": backend(server)})
    made.server = server
    return made


@pytest.fixture
def gateway(prepared):
    prepared.start().wait_up()
    return prepared


def port_is_closed(gateway):
    try:
        tcp(gateway.port).close()
        return False
    except ConnectionRefusedError:
        return True


def test_standard_files_are_closed(prepared):
    """What a role opens is not taken for its standard error."""
    prepared.config["gateway"]["log"] = "stderr"
    prepared.write()
    prepared.process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', BUILD / "sallyport",
         prepared.file], start_new_session=True)
    wait_for(lambda: not port_is_closed(prepared), 10, "a listener")
    prepared.wait_up()
    for _ in range(20):
        prepared.login().close()
    if os.getuid() != 0:
        return      # Nobody else may look: no process is dumpable.
    for pid in [prepared.process.pid, *children(prepared.process.pid)]:
        for number in range(3):
            assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"


def test_term_while_clients_stay(gateway):
    """Nobody needs to leave for the workers to end by themselves."""
    clients = [gateway.login() for _ in range(10)]
    clients += [gateway.client() for _ in range(10)]
    for client in clients[10:]:
        client.greeting()
    assert gateway.stop() == 0
    # in order, not by a kill: each has its line, and no role its signal
    assert len(gateway.events("session", why="drain")) == len(clients)
    for client in clients:
        client.close()


def test_term(gateway):
    """Clients before login are told; exit 0 in time; nothing is left."""
    with gateway.client() as client, gateway.login() as session:
        client.greeting()
        start = time.monotonic()
        gateway.tell(signal.SIGTERM)
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")
        assert client.rest() == b"" and client.end == "close_notify"
        assert session.rest() == b"", "text was injected into a session"
        assert gateway.stop() == 0
        assert time.monotonic() - start < 8         # stop_timeout is 5 s
    assert not gateway.control.exists()
    assert port_is_closed(gateway)


def test_int_stops_now(gateway):
    with gateway.login():
        start = time.monotonic()
        assert gateway.stop(signal.SIGINT) == 0
        assert time.monotonic() - start < 3


def test_a_second_term_stops_now(gateway):
    gateway.config["gateway"]["stop_timeout"] = "1m"
    gateway.reload()
    with gateway.login():
        gateway.tell(signal.SIGTERM)
        wait_for(lambda: port_is_closed(gateway), 10)
        start = time.monotonic()
        assert gateway.stop(signal.SIGTERM) == 0
        assert time.monotonic() - start < 4


def test_stopping_at_once_after_the_start(prepared):
    prepared.launch()
    wait_for(lambda: children(prepared.process.pid))
    assert prepared.stop() == 0


def test_a_second_instance_is_refused(gateway, make_gateway, make_backend):
    """It would otherwise silently take a part of the clients."""
    second = make_gateway({"a": backend(gateway.server)})
    second.config["listen imaps"]["address"] = f"{GATEWAY}:{gateway.port}"
    second.launch()
    assert second.process.wait(10) != 0
    second.process = None
    assert str(gateway.port).encode() in second.output()
    for _ in range(10):
        gateway.login().close()


def test_a_restart_takes_over(gateway, prepared):
    """The same file again, directly after the first has ended."""
    assert gateway.stop() == 0
    gateway.start().wait_up()
    gateway.login().close()


def test_an_old_control_socket_is_no_obstacle(prepared):
    leftover = socket.socket(socket.AF_UNIX)
    leftover.bind(str(prepared.control))
    leftover.close()
    prepared.start()


def test_check_of_a_good_file(prepared):
    done = prepared.check("-t")
    assert done.returncode == 0, done.stderr
    assert "max_connections" in done.stdout + done.stderr


def test_check_of_a_bad_file(prepared):
    """All errors at once, each with file and line."""
    prepared.config["pool mail"].update(balance="wheel", no_such="1")
    prepared.config["certificate main"]["warn_days"] = "soon"
    done = prepared.check("-t")
    assert done.returncode != 0
    text = done.stdout + done.stderr
    for word in ("balance", "no_such", "warn_days"):
        lines = [line for line in text.splitlines() if word in line]
        assert lines and "sallyport.conf:" in lines[0], text
    assert prepared.check().returncode != 0


def test_check_of_a_questionable_file(prepared):
    """Whoever reads it can tell what stops the start from what does not."""
    prepared.config["certificate main"]["warn_days"] = 365
    done = prepared.check("-t")
    assert done.returncode == 0, done.stderr
    assert done.stderr
    assert all(line.startswith("warning: ")
               for line in done.stderr.splitlines()), done.stderr


def named(gateway, key):
    """How a message begins that is about the only line with this key."""
    lines = gateway.file.read_text().splitlines()
    numbers = [n for n, line in enumerate(lines, 1)
               if line.startswith(f"{key} = ")]
    assert len(numbers) == 1, numbers
    return f"{gateway.file}:{numbers[0]}: "


@pytest.mark.parametrize("key,value", [
    ("log", "/nonexistent/log"), ("audit_log", "/nonexistent/audit"),
    ("log", "/etc"), ("control", "/nonexistent/control"),
    ("control_group", "nonexistent")])
def test_check_of_what_the_start_will_open(prepared, key, value):
    prepared.config["gateway"][key] = value
    done = prepared.check("-t")
    assert done.returncode == 1
    assert f"{named(prepared, key)}[gateway] {key} = {value}: " in done.stderr
    assert prepared.check().returncode == 1


def test_a_file_in_place_of_the_control_socket(prepared):
    prepared.control.write_text("mine\n")
    done = prepared.check()
    assert done.returncode == 1
    assert "there is a file that is no socket" in done.stderr
    assert prepared.control.read_text() == "mine\n"


@pytest.mark.parametrize("kind, why", [
    ("nothing", "No such file or directory"), ("a pipe", "is a pipe"),
    ("a directory", "Is a directory")])
@pytest.mark.parametrize("section,key", [
    ("listen imaps", "allow_file"), ("limits", "exempt_file"),
    ("limits", "deny_file"), ("pool mail", "route"),
    ("pool mail", "check_password_file"), ("backend a", "backend_tls_ca")])
def test_who_named_a_file_that_cannot_be_read(prepared, tmp_path, section, key,
                                              kind, why):
    """A pipe that nobody writes to must not hang the master."""
    path = tmp_path if kind == "a directory" else tmp_path / "file"
    if kind == "a pipe":
        os.mkfifo(path)
    prepared.config[section][key] = path
    prepared.config["pool mail"]["check_user"] = "probe"
    prepared.config["pool mail"].setdefault("check_password_file", "/dev/null")
    prepared.config["backend a"]["backend_tls"] = "verify"
    prepared.config["backend a"].setdefault("backend_tls_ca", "/dev/null")
    done = prepared.check("-t")
    assert done.returncode == 1
    assert f"{named(prepared, key)}{key} = {path}: {why}\n" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
def test_whom_roles_can_not_become(prepared):
    for name, why in (("nonexistent", "no such user"), ("root", "be root")):
        prepared.config["gateway"]["user"] = name
        done = prepared.check("-t")
        assert done.returncode == 1
        assert f"{named(prepared, 'user')}[gateway] user = {name}: " \
            in done.stderr and why in done.stderr


def test_more_connections_than_descriptors(prepared):
    prepared.config["gateway"]["max_connections"] = 10000000
    done = prepared.check("-t")
    assert f"warning: {named(prepared, 'max_connections')}max_connections = " \
        "10000000 is lowered to " in done.stderr


def test_addresses_of_another_machine(prepared):
    """Worth a word before the start fails or no backend can be dialled."""
    prepared.config["listen imaps"]["address"] = "127.0.0.1:993, 192.0.2.7:993"
    prepared.config["backend a"]["source_ip"] = "192.0.2.8"
    done = prepared.check("-t")
    assert done.returncode == 0
    lines = prepared.file.read_text().splitlines()
    line = lines.index("address = 127.0.0.1:993, 192.0.2.7:993") + 1
    assert f"warning: {prepared.file}:{line}: address: this machine does " \
        "not have the address 192.0.2.7\n" in done.stderr
    assert f"warning: {named(prepared, 'source_ip')}source_ip: this machine " \
        "does not have the address 192.0.2.8\n" in done.stderr


def run_with(gateway, options, *arguments):
    """The program under limits that prlimit sets."""
    gateway.write()
    return subprocess.run(
        ["prlimit", *options, BUILD / "sallyport", "-c", gateway.file,
         *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=30, check=False)


@pytest.mark.parametrize("number,workers", [
    (127, 2), (64, 2), (47, 2), (40, 2), (33, 2), (295, 8)])
def test_too_few_descriptors(prepared, number, workers):
    """Said before anything is opened, and in words that help."""
    prepared.config["gateway"]["workers"] = workers
    for arguments in ([], ["-t"]):
        done = run_with(prepared, [f"--nofile={number}"], *arguments)
        assert done.returncode == 1, done
        assert f"{named(prepared, 'workers')}{number} open files are too " \
            "few: at least " in done.stderr
        assert "(LimitNOFILE, ulimit -n)" in done.stderr
    assert not prepared.control.exists()


@pytest.mark.parametrize("number,workers", [(128, 2), (296, 8)])
def test_as_few_descriptors_as_can_be(prepared, monkeypatch, number, workers):
    prepared.config["gateway"]["workers"] = workers
    monkeypatch.setattr("support.gateway.DIES_WITH_US", (
        "prlimit", f"--nofile={number}", *DIES_WITH_US))
    prepared.start().wait_up()
    prepared.reload()
    prepared.login().close()


@pytest.mark.parametrize("key,value", [
    ("ciphers", "RC4"), ("groups", "P-1"), ("sigalgs", "rsa_pkcs1_sha1")])
def test_the_line_of_a_policy(prepared, key, value):
    prepared.config["tls public"] = {"preset": "intermediate", key: value}
    done = prepared.check("-t")
    assert done.returncode == 1
    assert f"{named(prepared, key)}[tls public]: {key} = {value}: " \
        in done.stderr


def test_effective_configuration(prepared):
    """-T prints a file that means the same."""
    done = prepared.check("-T")
    assert done.returncode == 0
    assert "handshake_timeout" in done.stdout
    prepared.file.write_text(done.stdout)
    again = subprocess.run([BUILD / "sallyport", "-c", prepared.file, "-T"],
                           capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout


@pytest.mark.parametrize("before, after", [
    ([], []), ([], ["-t"]), ([], ["-T"]), (["ctl"], ["status"])])
@pytest.mark.parametrize("path, why", [
    ("/", "Is a directory"), ("/nonexistent", "No such file or directory")])
def test_a_configuration_that_cannot_be_read(before, after, path, why):
    done = subprocess.run(
        [BUILD / "sallyport", *before, "-c", path, *after],
        capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].endswith(f"{path}: {why}")


@pytest.mark.parametrize("option", ["-V", "-h"])
def test_options_that_only_print(option):
    done = subprocess.run([BUILD / "sallyport", option], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and "allyport" in done.stdout


def test_a_missing_file():
    done = subprocess.run([BUILD / "sallyport", "-c", "/nonexistent"],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "/nonexistent" in done.stderr


def test_roles_cannot_be_started_by_hand():
    for role in ("worker", "monitor", "observer", "keeper"):
        program = BUILD / role
        if program.exists():
            done = subprocess.run([program], capture_output=True, timeout=10,
                                  stdin=subprocess.DEVNULL, check=False)
            assert done.returncode != 0


def test_notify(prepared, scratch):
    """systemd is told when the gateway is ready and when it stops."""
    path = scratch / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = str(path)
        try:
            prepared.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]

        def until(word):
            seen = b""
            while word not in seen:
                seen += listener.recv(4096) + b"\n"
            return seen
        until(b"READY=1")
        prepared.reload()
        until(b"RELOADING=1")
        until(b"READY=1")
        prepared.tell(signal.SIGTERM)
        until(b"STOPPING=1")
        assert prepared.stop() == 0
    path.unlink()
