# SPDX-License-Identifier: ISC
"""What is seen of a gateway from outside: HTTP and metrics."""
import http.client
import re

from . import GATEWAY, free_port, wait_for

SAMPLE = re.compile(
    r'^(sallyport_[a-z0-9_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? '
    r'(-?[0-9.]+(?:e[+-]?\d+)?)$')


def with_metrics(gateway):
    """Before its start: metrics at a port of its own."""
    gateway.metrics = free_port(GATEWAY)
    gateway.config["gateway"]["metrics"] = f"{GATEWAY}:{gateway.metrics}"
    return gateway


def get(gateway, path="/", method="GET", timeout=10, **headers):
    """(status, headers, body)."""
    connection = http.client.HTTPConnection(GATEWAY, gateway.metrics,
                                            timeout=timeout)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def wait_ready(gateway):
    """Until each pool has a backend that is up by a check."""
    wait_for(lambda: get(gateway, "/readyz")[0] == 200, 15, "readiness")
    return gateway


def scrape(gateway):
    """{'name{labels}': value}; every line must be a comment or a sample."""
    status, _, body = get(gateway, "/metrics")
    assert status == 200
    found = {}
    for line in body.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) sallyport_[a-z0-9_]+ ", line), line
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        key = f"{name}{{{labels}}}" if labels else name
        assert key not in found, key
        found[key] = float(value)
    return found
