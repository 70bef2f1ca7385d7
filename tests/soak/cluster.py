"""A Redis cluster of three primaries with a replica each, and what can befall it. A primary may be dead when it is replaced, or wait
(CLUSTER FAILOVER). Then its heir has all writes that it has acknowledged. If not, the last writes may be lost, and the books are told
so."""
from contextlib import closing

from faults import BACK_S, freeze, losing, wait
from faults import WEIGHTS as OF_ANY
from support.redis import Cluster, RedisError
from support.wait import until

NODE_TIMEOUT_MS = 2000  # more than a stutter
FAILOVER_S = 6  # after which a replica has taken over, or given up
INGEST = "carillon:ingest"
KEYS = ["carillon:{log:a}:live", "carillon:{log:b}:live", "carillon:{short:a}:live", "carillon:{plain:a}:live",
        "carillon:{room:a}:live", INGEST, "carillon:revoked"]  # whose slots move


class Topology(Cluster):
    PUBLISH = "SPUBLISH"

    def __init__(self, folder, nodes):
        super().__init__(folder, 3, 3, "--auto-aof-rewrite-min-size", "32mb", "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
        self.ingest_slot = self.slot(INGEST)

    def url_for(self, index):
        return self.url

    def writer(self, random):
        return random.choice(self.primaries)

    def home(self, key):
        return self.owner(self.slot(key))

    def ingest_port(self):
        """Asked by another thread."""
        for node in self.nodes:
            try:
                with closing(node.connect()) as connection:
                    for first, last, primary, *_ in connection("CLUSTER", "SLOTS"):
                        if first <= self.ingest_slot <= last:
                            return primary[1]
            except (OSError, RedisError):
                continue
        raise ConnectionError("no node of the cluster knows where the ingest stream is")

    def replica_of(self, primary):
        return next(replica for replica in self.replicas if replica("ROLE")[2] == primary.port)

    def whole(self):
        """Once it is: every primary has a replica that follows it, and all agree on who has what. Returns itself."""
        until(self._is_whole, "the cluster is whole", BACK_S)
        return self

    def _is_whole(self):
        try:
            roles = [node("ROLE") for node in self.nodes]
            primaries = [node for node, role in zip(self.nodes, roles) if role[0] == "master"]
            followed = {role[2] for role in roles if role[0] == "slave" and role[3] == "connected"}
            if len(primaries) != 3 or followed != {node.port for node in primaries} or not all(map(self._is_ok, self.nodes)):
                return False
            self.primaries, self.replicas = primaries, [node for node in self.nodes if node not in primaries]
            return self.agrees() and len({str(self.slots_of(node)) for node in self.nodes}) == 1
        except (OSError, RedisError):
            return False

    @staticmethod
    def _is_ok(node):
        return "cluster_state:ok" in node("CLUSTER", "INFO") and "fail" not in node("CLUSTER", "NODES").replace("nofailover", "")

    @staticmethod
    def slots_of(node):
        """Which primary has which slots, as that one knows it."""
        return sorted(line.split()[:1] + line.split()[8:] for line in node("CLUSTER", "NODES").splitlines() if len(line.split()) > 8)


# --- nothing gets lost ---


def replica_takes_over(world, random):
    """A failover as asked: the primary waits for it."""
    replica = random.choice(world.redis.whole().replicas)
    until(lambda: asked_to_take_over(replica), "the replica takes over", BACK_S)


def asked_to_take_over(replica):
    """The others do not vote for a shard twice in a short time: then the replica gives up, and is to be asked again."""
    replica("CLUSTER", "FAILOVER")
    try:
        return until(lambda: replica.role() == "master", "the replica takes over", FAILOVER_S)
    except TimeoutError:
        return False


def primary_killed(world, random):
    """And comes back as the replica of its heir."""
    redis = world.redis.whole()
    dead = random.choice(redis.primaries)
    heir = redis.replica_of(dead)
    dead.kill()
    until(lambda: heir.role() == "master", "the replica takes over", BACK_S)
    wait(random.uniform(0, 2))
    dead.start()


def slots_move(world, random):
    """Some slots move, one after the other. The keys of each are on their way for a while."""
    redis = world.redis.whole()
    for key in random.sample(KEYS, random.randrange(1, 4)):
        slot, pause_s, source = redis.slot(key), random.uniform(0, 1), redis.home(key)
        target = random.choice([node for node in redis.primaries if node is not source])
        until(redis.agrees, "the nodes agree on their epochs", BACK_S)
        redis.begin_migration(slot, source, target)
        wait(pause_s)
        redis.migrate(slot, source, target)


def replica_killed(world, random):
    replica = random.choice(world.redis.replicas)
    replica.kill()
    wait(random.uniform(0, 4))
    replica.start()


# --- a primary takes writes that get lost ---


def primary_restarted(world, random):
    """Before it is replaced, or just after."""
    with losing(world) as redis:
        primary = random.choice(redis.primaries)
        primary.kill()
        wait(random.uniform(0, 4))
        primary.start()


def primary_pauses(world, random):
    """For so long that it is replaced, or nearly so."""
    with losing(world) as redis:
        world.ledger.late_events = True
        freeze(random.choice(redis.primaries), random.uniform(1, 6))
        wait(NODE_TIMEOUT_MS / 1000)  # the others may find only now that it was away for too long


def primary_dies_ahead_of_its_replica(world, random):
    with losing(world) as redis:
        dead = random.choice(redis.primaries)
        heir = redis.replica_of(dead)
        heir.freeze()
        dead("CLIENT", "KILL", "TYPE", "replica")
        wait(random.uniform(0.1, 1))
        dead.kill()
        heir.thaw()
        until(lambda: heir.role() == "master", "the replica takes over", BACK_S)
        dead.start()


WEIGHTS = {
    **OF_ANY, replica_takes_over: 1.5, primary_killed: 1.5, slots_move: 2, replica_killed: 0.5, primary_restarted: 1,
    primary_pauses: 1, primary_dies_ahead_of_its_replica: 1,
}
