"""A node gives back memory that it has taken for a moment."""
import http.client
import json

import pytest
from support import preload
from support.carillon import API_KEY
from support.heap import Heap
from support.wait import SLOWDOWN, until

pytestmark = pytest.mark.skipif(SLOWDOWN > 1, reason="a sanitizer has a heap of its own")
MIB = 1 << 20


@pytest.fixture
def heap(tmp_path):
    try:
        return Heap(tmp_path / "heap", preload.build("heap", tmp_path))
    except FileNotFoundError:
        pytest.skip("no C compiler")


def test_what_waited_for_redis(launch, redis, heap):
    node = launch({"redis.url": redis.url, "redis.command_timeout": "30s", "redis.canary_interval": "30s", "workers": 1},
                  env=preload.environment(heap.library, **heap.variables))
    until(node.ready, "ready")
    event = {"channel": "log:x", "type": "test", "data": "x" * 60000}
    batch = json.dumps({"commands": [{"publish": event}] * 10})
    before = heap.bytes_in_use()
    redis.freeze()
    publishers = [http.client.HTTPConnection(*node.internal, timeout=60) for _ in range(40)]
    for publisher in publishers:
        publisher.request("POST", "/api/v1/batch", batch, {"Authorization": "Bearer " + API_KEY})
    until(lambda: heap.bytes_in_use() > before + 60 * MIB, "all waits for Redis")
    redis.thaw()
    for publisher in publishers:
        answer = publisher.getresponse()
        assert answer.status == 200 and b"error" not in answer.read()
        publisher.close()
    until(lambda: heap.bytes_in_use() < before + 4 * MIB, "it has gone")
