# SPDX-License-Identifier: ISC
"""What the end-to-end tests are made of: the gateway, real and scripted
backends, clients. The standard library only, and the openssl command."""
import os
import pathlib
import pwd
import shutil
import socket
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("SALLYPORT_BUILD", TOP / "build"))
SANITIZED = os.environ.get("SANITIZE", "") != ""
SCALE = float(os.environ.get("SCALE", "1"))

# Loopback addresses tell the parties apart in every log.
GATEWAY = "127.0.0.1"
DIALLER = "127.0.0.2"       # the gateway as backends see it
CLIENT = "127.0.0.3"
BACKEND = "127.0.0.4"

# Every password of these tests holds this word, so that one search through a
# log shows whether one has leaked.
MARK = "s3cret"
USER = "anna"
PASSWORD = f"{MARK}-of-anna"


def scaled(number):
    """`number` at SCALE 1; heavy tests take their sizes through this."""
    return max(1, int(number * SCALE))


def unprivileged():
    """The user that processes run as which must not be root: us, or nobody."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 \
        else pwd.getpwuid(os.getuid())


PATH = os.environ["PATH"] = os.environ["PATH"] + ":/usr/sbin:/sbin"
# In front of a command: it ends when we do, even when we are killed.
DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


def need(*programs):
    """Skips the test where one is missing; check-full installs all. Files may
    be named, too."""
    for program in programs:
        if shutil.which(program, path=PATH) or os.path.exists(program):
            continue
        if SCALE >= 10:
            pytest.fail(f"{program} is missing")
        pytest.skip(f"{program} is not installed")


def free_port(address):
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=10, what=None):
    """The first true value of condition(); an AssertionError when time is
    over. Nothing in these tests sleeps for a fixed time and hopes."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            name = what or getattr(condition, "__doc__", None) or condition
            raise AssertionError(f"not within {seconds} s: {name}")
        time.sleep(0.02)
