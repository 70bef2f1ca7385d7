"""bench/floor, the program that Carillon is measured against: it must do the same work for the same bytes."""
import json
import subprocess
from pathlib import Path

import pytest

from support import http, jwt, ws
from support.carillon import API_KEY, BINARY, Node, run

FLOOR = Path(BINARY).parent / "bench/floor"
DATA = {"n": 1, "text": "x" * 100}


class Floor:
    def __init__(self):
        self.process = subprocess.Popen([FLOOR], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = ("127.0.0.1", int(self.process.stdout.readline().split()[1]))

    def close(self):
        assert self.process.poll() is None, "floor ended by itself"
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def publish(self, channel, data):
        return http.request(self.address, "POST", f"/publish?channel={channel}", data)


@pytest.fixture
def floor():
    floor = Floor()
    yield floor
    floor.close()


def load(floor, *arguments):
    url = f"{floor.address[0]}:{floor.address[1]}"
    done = run("bench", *arguments, "--protocol", "plain", "--url", f"ws://{url}", "--api", f"http://{url}", "--warmup", 0,
               "--json", "--server-pid", floor.process.pid)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("window", [1, 16])
def test_every_subscriber_gets_every_event(floor, window):
    assert load(floor, "fanout", "--connections", 50, "--window", window, "--count", 100)["operations"] == 50 * 100


def test_rooms(floor):
    assert load(floor, "rooms", "--channels", 20, "--members", 3, "--window", 16, "--count", 200)["operations"] == 3 * 200


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.close()


def test_a_delivery_has_as_many_bytes_as_carillons(floor, node):
    with ws.Client(floor.address, path="/ws?channel=bench") as theirs, ws.connect(node.public, jwt.mint()) as ours:
        ours.subscribe("bench")
        assert floor.publish("bench", DATA).status == 204
        assert http.request(node.internal, "POST", "/api/v1/publish", {"channel": "bench", "type": "bench", "data": DATA},
                            {"X-API-Key": API_KEY}).status == 200
        assert len(theirs.receive_text()) == len(ours.receive_text())


def test_who_leaves_is_forgotten(floor):
    with ws.Client(floor.address, path="/ws?channel=a") as stays:
        with ws.Client(floor.address, path="/ws?channel=a") as leaves:
            leaves.drop()
        for number in range(3):
            assert floor.publish("a", {"n": number}).status == 204
            assert stays.receive()["data"] == {"n": number}
