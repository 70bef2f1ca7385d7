"""One Redis, and what can befall it and the way to it."""
import shutil

from faults import WEIGHTS as OF_ANY
from faults import any_but_the_first, freeze, wait
from support.proxy import Proxy
from support.redis import Redis


class Topology(Redis):
    """Nothing stands between it and the first node. The other nodes have a proxy."""

    PUBLISH = "PUBLISH"

    def __init__(self, folder, nodes):
        super().__init__(folder, "--auto-aof-rewrite-min-size", "32mb")
        self.proxies = [Proxy(self.port) for _ in range(1, nodes)]

    def url_for(self, index):
        return self.proxies[index - 1].url if index else self.url

    def writer(self, random):
        return self

    def home(self, key):
        return self

    def ingest_port(self):
        return self.port

    def whole(self):
        return self

    def close(self):
        for proxy in self.proxies:
            proxy.close()
        super().close()


def redis_killed(world, random):
    world.redis.kill()
    wait(random.uniform(0, 1.5))
    world.redis.start()


def redis_restarted(world, random):
    world.redis.stop()
    wait(random.uniform(0, 1.5))
    world.redis.start()


def redis_comes_back_empty(world, random):
    world.redis.kill()
    shutil.rmtree(world.redis.folder / "appendonlydir")
    wait(random.uniform(0.5, 1.5))
    world.ledger.storage_lost()
    world.redis.start()


def redis_is_flushed(world, random):
    """FLUSHDB, and nobody's connection is touched."""
    world.ledger.storage_lost()
    world.redis("FLUSHDB")
    world.ledger.storage_lost()


def redis_pauses(world, random):
    freeze(world.redis, random.uniform(1.5, 4))


def redis_pauses_for_30_s(world, random):
    freeze(world.redis, 30)


def node_is_cut_from_redis(world, random):
    """Its connections stay up, and nothing passes any more."""
    proxy = world.redis.proxies[any_but_the_first(world, random) - 1]
    proxy.open.clear()
    wait(random.uniform(1, 8))
    proxy.open.set()


def redis_is_slow(world, random):
    """100 ms later each way, for all nodes but the first."""
    for proxy in world.redis.proxies:
        proxy.delay_s = 0.1
    wait(random.uniform(2, 5))
    for proxy in world.redis.proxies:
        proxy.delay_s = 0


WEIGHTS = {
    **OF_ANY, redis_killed: 1, redis_restarted: 1, redis_comes_back_empty: 0.2, redis_is_flushed: 0.2, redis_pauses: 1, redis_pauses_for_30_s: 0.1,
    node_is_cut_from_redis: 1, redis_is_slow: 0.7,
}
