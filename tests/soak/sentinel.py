"""A Redis with a replica, watched by three Sentinels, and what can befall them. Replication is asynchronous. A primary may live on while
another one takes its place. Writes that it takes then are lost, and the books are told so. If it is dead by then, its heir has all writes
that it has acknowledged."""
from contextlib import closing

from faults import BACK_S, freeze, losing, wait
from faults import WEIGHTS as OF_ANY
from support.redis import RedisError, Sentinels
from support.wait import until

DOWN_AFTER_MS = 1500  # more than a stutter
NODES, PASSWORD = "nodes", "of-the-nodes"  # a user of its own, so that all others can be cut off


class Topology(Sentinels):
    PUBLISH = "PUBLISH"

    def __init__(self, folder, nodes):
        super().__init__(folder, "--auto-aof-rewrite-min-size", "32mb", "--user", NODES, "on", f">{PASSWORD}", "~*", "&*", "+@all",
                         down_after_ms=DOWN_AFTER_MS)

    def url_for(self, index):
        return self.url.replace("://", f"://{NODES}:{PASSWORD}@")

    def writer(self, random):
        return self.primary

    def home(self, key):
        return self.primary

    def ingest_port(self):
        return self.primary.port

    def whole(self):
        """Once it is: the replica follows, and all Sentinels agree. Returns itself."""
        until(self._is_whole, "Sentinels, primary and replica are well", BACK_S)
        return self

    def _is_whole(self):
        try:
            facts = [sentinel.facts() for sentinel in self.sentinels]
            named = {int(fact["port"]) for fact in facts}
            if len(named) > 1 or any((f["flags"], f["num-slaves"], f["num-other-sentinels"]) != ("master", "1", "2") for f in facts):
                return False
            self.servers.sort(key=lambda server: server.port not in named)
            self.primary, self.replica = self.servers
            return self.primary.role() == "master" and self._follows() and all(map(self._is_ready, self.sentinels))
        except (OSError, RedisError):
            return False

    def _follows(self):
        replication = self.replica("INFO", "replication")
        return f"master_port:{self.primary.port}" in replication and "master_link_status:up" in replication

    def _is_ready(self, sentinel):
        """For a failover."""
        told = sentinel("SENTINEL", "REPLICAS", self.NAME)[0]
        replica = dict(zip(told[::2], told[1::2]))
        return replica["flags"] == "slave" and replica["master-link-status"] == "ok" and \
            sentinel("SENTINEL", "CKQUORUM", self.NAME).startswith("OK")


# --- the old primary is dead before the new one takes its place ---


def primary_killed(world, random):
    """And comes back as the replica of its heir."""
    redis = world.redis.whole()
    redis.primary.kill()
    redis.turn_over()
    wait(random.uniform(0, 2))
    redis.replica.start("--replicaof", "127.0.0.1", str(redis.primary.port))
    redis.whole()


# --- it takes writes that get lost ---


def primary_comes_back_as_one(world, random):
    """Before it is replaced or after, until the Sentinels tell it."""
    with losing(world) as redis:
        redis.primary.kill()
        wait(random.uniform(0, 4))
        redis.primary.start()


def sentinel_fails_over(world, random):
    with losing(world) as redis:
        random.choice(redis.sentinels)("SENTINEL", "FAILOVER", redis.NAME)
        redis.turn_over()


def primary_pauses(world, random):
    """For so long that it is replaced, or nearly so."""
    with losing(world) as redis:
        freeze(redis.primary, random.uniform(1, 5))


def primary_is_partitioned(world, random):
    """From the Sentinels and its replica. The nodes reach it."""
    with losing(world) as redis, closing(redis.primary.connect()) as old:
        old("AUTH", NODES, PASSWORD)
        old("ACL", "SETUSER", "default", "off")
        try:
            old("CLIENT", "KILL", "USER", "default")
            redis.turn_over()
            wait(random.uniform(0, 3))
        finally:
            old("ACL", "SETUSER", "default", "on")


def primary_dies_ahead_of_its_replica(world, random):
    with losing(world) as redis:
        redis.replica.freeze()
        redis.primary("CLIENT", "KILL", "TYPE", "replica")
        wait(random.uniform(0.1, 1))
        redis.primary.kill()
        redis.replica.thaw()
        redis.turn_over()
        redis.replica.start()


# --- others ---


def replica_killed(world, random):
    replica = world.redis.replica
    replica.kill()
    wait(random.uniform(0, 2))
    replica.start("--replicaof", "127.0.0.1", str(world.redis.primary.port))


def sentinel_killed(world, random):
    sentinel = random.choice(world.redis.sentinels)
    sentinel.kill()
    wait(random.uniform(0, 3))
    sentinel.start()


WEIGHTS = {
    **OF_ANY, primary_killed: 1.5, primary_comes_back_as_one: 0.7, sentinel_fails_over: 1.5, primary_pauses: 1,
    primary_is_partitioned: 1, primary_dies_ahead_of_its_replica: 1, replica_killed: 0.5, sentinel_killed: 0.7,
}
