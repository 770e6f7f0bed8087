# SPDX-License-Identifier: ISC
"""A file of tests that runs once more, in a network namespace of its own."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest


class Namespace:
    """`prepare` is a script of sh that ends with `exec "$@"`; `flags` are what
    unshare is given. Marks: `outside` for the test that calls run(), `inside`
    for all the others of the file."""

    def __init__(self, file, prepare, *flags):
        self.file = pathlib.Path(file)
        self._variable = f"SALLYPORT_INSIDE_{self.file.stem}"
        self._command = ["unshare", *flags, "sh", "-c", prepare, "sh"]
        is_inside = self._variable in os.environ
        self.inside = pytest.mark.skipif(
            not is_inside, reason="runs in the namespace")
        self.outside = pytest.mark.skipif(
            is_inside or not self._is_possible(flags),
            reason="needs root and a network namespace")

    @staticmethod
    def _is_possible(flags):
        return os.getuid() == 0 and shutil.which("ip") is not None and \
            subprocess.run(["unshare", *flags, "true"], capture_output=True,
                           check=False).returncode == 0

    def run(self, **environment):
        done = subprocess.run(
            [*self._command, sys.executable, "-B", "-m", "pytest", "-p",
             "no:cacheprovider", "-q", str(self.file)],
            env={**os.environ, self._variable: "1", **environment},
            capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
