"""bench/echo_backend, the backend that upstreams are measured with."""
import subprocess
import time
from pathlib import Path

import pytest

from support import http, ws
from support.carillon import BINARY

BACKEND = Path(BINARY).parent / "bench/echo_backend"


class Backend:
    def __init__(self, wait_ms=0):
        self.process = subprocess.Popen([BACKEND, "0", str(wait_ms)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = ("127.0.0.1", int(self.process.stdout.readline().rpartition(":")[2]))

    def post(self, path, body, **options):
        return http.request(self.address, "POST", path, body, {"Content-Type": "text/x-test"}, **options)

    def close(self):
        assert self.process.poll() is None, "the backend ended by itself"
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def start():
    made = []
    yield lambda **options: made.append(Backend(**options)) or made[-1]
    for backend in made:
        backend.close()


@pytest.mark.parametrize("wait_ms", [0, 100])
def test_echo(start, wait_ms):
    backend = start(wait_ms=wait_ms)
    began = time.monotonic()
    answer = backend.post("/", b"x" * 500000)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/x-test", b"x" * 500000)
    assert time.monotonic() - began >= wait_ms / 1000


@pytest.mark.parametrize("size", [1024, 1 << 20, 1500])
def test_lines(start, size):
    """Also more than the kernel takes at once."""
    answer = start().post(f"/bytes/{size}", b"{}")
    assert answer.headers["content-type"] == "application/x-ndjson" and len(answer.body) == size
    assert all(line.startswith(b'"') and line.endswith(b'"') for line in answer.body.splitlines())


def test_websocket(start):
    address = start().address
    with ws.Client(address, path="/", token=None) as client:
        for opcode, payload in [(ws.TEXT, b"abc"), (ws.BINARY, bytes(range(256)) * 300), (ws.BINARY, b"")]:
            client.send_frame(opcode, payload)
            assert client.receive_frame()[1:] == (opcode, payload)
        client.send_frame(ws.PING, b"?")
        assert client.receive_frame()[1:] == (ws.PONG, b"?")
        client.send_frame(ws.CLOSE, b"")
        assert client.receive_frame()[1] == ws.CLOSE


def test_no_answer(start):
    backend = start()
    with pytest.raises(OSError):
        backend.post("/never", b"{}", seconds=0.3)
    assert backend.post("/", b"{}").status == 200, "others are answered"
