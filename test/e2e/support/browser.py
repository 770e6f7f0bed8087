# SPDX-License-Identifier: ISC
"""Headless Chromium, driven over its debugging pipe: no other library."""
import base64
import json
import os
import shutil
import subprocess
import tempfile


class Browser:
    """With a profile of its own, which goes away with it."""

    @staticmethod
    def program():
        return shutil.which("chromium")

    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="sp-chromium-")
        to_it, ours = os.pipe(), os.pipe()
        self._write, self._read = to_it[1], ours[0]
        # It takes commands at descriptor 3 and answers at 4.
        script = f"exec 3<&{to_it[0]} 4>&{ours[1]}; exec \"$@\""
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", self.program(), "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", f"--user-data-dir={self._profile}",
             "--remote-debugging-pipe", "about:blank"],
            pass_fds=(to_it[0], ours[1]), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_it[0])
        os.close(ours[1])
        self._buffer = b""
        self._number = 0
        self._session = None
        self.messages = []      # of the console and the log
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", flatten=True,
                             targetId=target["targetId"])
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _receive(self):
        while b"\0" not in self._buffer:
            data = os.read(self._read, 1 << 20)
            if not data:
                raise EOFError("the browser has gone")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        method = message.get("method")
        if method in ("Log.entryAdded", "Runtime.consoleAPICalled",
                      "Runtime.exceptionThrown", "Network.loadingFailed"):
            self.messages.append(message["params"])

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, url, width, height, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        while self._receive_until_loaded():
            pass

    def _receive_until_loaded(self):
        message = self._receive()
        self._note(message)
        return message.get("method") != "Page.loadEventFired"

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression,
                           returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self):
        answer = self.call("Page.captureScreenshot", format="png",
                           captureBeyondViewport=True)
        return base64.b64decode(answer["data"])
