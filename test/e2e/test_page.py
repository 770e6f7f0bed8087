# SPDX-License-Identifier: ISC
"""The status page: as text everywhere, and in Chromium where it is."""
import os
import re
import threading
from html.parser import HTMLParser

import pytest

from support import CLIENT, GATEWAY, SCALE, USER, wait_for
from support.browser import Browser
from support.client import Client, context
from support.gateway import backend
from support.observe import get, wait_ready, with_metrics


@pytest.fixture
def gateway(make_gateway, make_backend):
    servers = {"a": backend(make_backend()), "b": backend(make_backend()),
               "gone": {"address": "127.0.0.4:1"}}
    made = with_metrics(make_gateway(servers)).start()
    return wait_ready(made)


class Traffic(threading.Thread):
    """Good logins, bad ones, refused handshakes, until it is left."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway = gateway
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            self.gateway.login().close()
            with self.gateway.client() as client:
                client.greeting()
                client.login(password="s3cret-wrong")
            try:
                Client(self.gateway.port, tls=context(alpn=("h2",)))
            except OSError:
                pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join(20)


class Outline(HTMLParser):
    """Text, tags, and every address that something would be loaded from."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.links = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on") and name != "style", (tag, name)
            if name in ("src", "href", "action"):
                self.links.append(value)

    def handle_data(self, data):
        self.words += data


def test_text(gateway):
    with gateway.login():
        wait_for(lambda: "has been down" in get(gateway)[2])
        status, headers, body = get(gateway)
    assert status == 200
    page = Outline(body)
    for words in ("Works, but look at this", "Backend gone has been down",
                  "Logged in", "Certificates", "valid", "TLS 1.3",
                  "clients that are connected now would be cut off"):
        assert words in page.words, words
    assert page.links == ["data:,"]
    assert not {"script", "img", "iframe", "form", "a"} & set(page.tags)
    assert 'http-equiv="refresh"' in body
    assert USER not in body and CLIENT not in body
    policy = headers["Content-Security-Policy"]
    nonce = re.search(r"style-src 'nonce-([0-9a-f]{32})'", policy).group(1)
    assert f'<style nonce="{nonce}">' in body
    assert "default-src 'none'" in policy and "script" not in policy
    assert nonce not in get(gateway)[2]
    assert len(body) < 100000


def test_all_is_well(make_gateway, make_backend):
    gateway = with_metrics(make_gateway({"a": backend(make_backend())}))
    wait_ready(gateway.start())

    def summary():
        return Outline(get(gateway)[2].split("</style>")[1]).words[:200]
    wait_for(lambda: "not checked yet" not in summary())
    assert "All is well" in summary()


def test_chromium(gateway):
    """Desktop and phone, light and dark: nothing on the console, nothing that
    sticks out, and colours that follow the scheme. KEEP_SCREENSHOTS names a
    directory for the pictures."""
    if Browser.program() is None:
        if SCALE >= 10:
            pytest.fail("chromium is missing")
        pytest.skip("chromium is not installed")
    keep = os.environ.get("KEEP_SCREENSHOTS")
    backgrounds = {}
    with Traffic(gateway), Browser() as browser:
        for width, height in ((1280, 900), (390, 844)):
            for scheme in ("light", "dark"):
                browser.open(f"http://{GATEWAY}:{gateway.metrics}/", width,
                             height, scheme)
                widest = browser.evaluate(
                    "Math.max(...[...document.querySelectorAll('*')].map("
                    "e => e.getBoundingClientRect().right))")
                assert widest <= width + 1, (width, widest)
                assert browser.evaluate(
                    "document.documentElement.scrollWidth") <= width
                backgrounds[scheme] = browser.evaluate(
                    "getComputedStyle(document.body).backgroundColor")
                # the style was let in by the policy
                assert browser.evaluate(
                    "getComputedStyle(document.querySelector('.sum'))"
                    ".borderRadius") != "0px"
                picture = browser.screenshot()
                assert picture.startswith(b"\x89PNG") and \
                    len(picture) > 10000
                if keep:
                    with open(f"{keep}/page-{width}-{scheme}.png",
                              "wb") as file:
                        file.write(picture)
        assert browser.messages == []
    assert backgrounds["light"] != backgrounds["dark"]
