"""Requests of the server to backends, against a backend that is not ours: nginx. What the backend does wrong is in
tests/unit/outbound."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.carillon import BINARY
from support.nginx import Nginx
from support.tls import Certificate
from support.wait import TOOL_S

CALLS = Path(BINARY).parent / "bench/outbound_calls"


def call(url, *args):
    """100 calls at once, for a second. Returns how many there were, and how many have failed."""
    result = subprocess.run([CALLS, url, "100", "1", "256", *args], capture_output=True, text=True, timeout=TOOL_S,
                            env={"PATH": os.environ["PATH"], "https_proxy": "http://127.0.0.1:1"})
    said = re.match(r"(\d+) calls, \d+ a second, (\d+) failed", result.stdout)
    assert said, result
    return int(said[1]), int(said[2]), result.stderr


@pytest.fixture
def nginx(tmp_path, request):
    servers = []

    def start(**options):
        servers.append(Nginx(tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_http2_shares_a_connection(tmp_path, nginx):
    certificate = Certificate(tmp_path, host="DNS:localhost")
    server = nginx(certificate=certificate, http="keepalive_requests 1000000;")
    calls, failed, said = call(f"https://localhost:{server.port}/", str(certificate.certificate))
    requests = server.requests()
    assert calls >= 100 and failed == 0, said
    assert {protocol for protocol, _, _ in requests} == {"HTTP/2.0"}
    assert len(requests) == calls
    assert len({connection for _, connection, _ in requests}) == 1


def test_http1_keeps_its_connections(nginx):
    server = nginx(http="keepalive_requests 1000000;")
    calls, failed, said = call(f"http://127.0.0.1:{server.port}/")
    requests = server.requests()
    assert calls >= 100 and failed == 0, said
    assert {protocol for protocol, _, _ in requests} == {"HTTP/1.1"}
    assert len(requests) == calls
    assert len({connection for _, connection, _ in requests}) == 100


# With HTTP/2 all 100 calls are on one connection. After its last request the others are sent again, at most five times.
@pytest.mark.parametrize("secure,requests", [(False, 10), (True, 200)])
def test_a_backend_that_ends_its_connections_loses_no_call(tmp_path, nginx, secure, requests):
    certificate = Certificate(tmp_path, host="DNS:localhost") if secure else None
    server = nginx(certificate=certificate, http=f"keepalive_requests {requests};")
    calls, failed, said = call(f"{'https' if secure else 'http'}://localhost:{server.port}/",
                               *([str(certificate.certificate)] if secure else []))
    assert calls >= 100 and failed == 0, said
    assert len({connection for _, connection, _ in server.requests()}) >= calls // requests
