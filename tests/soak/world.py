"""The world of a soak: nodes behind a balancer, Redis, clients of every kind."""
from pathlib import Path

from faults import BACK_S
from people import Attendant, Contenders, Idlers
from support import preload, reserve
from support.accounting import Ledger
from support.carillon import ALL, Node
from support.haproxy import HAProxy
from support.heap import Heap
from support.load import Crowd, IngestPublisher, SocketPublisher
from support.wait import until
from support.wall_clock import WallClock

LONG, SHORT, PLAIN, ROOMS = ["log:a", "log:b", "log:c"], ["short:a"], ["plain:a"], ["room:a", "room:b"]
CHANNELS = LONG + SHORT + PLAIN + ROOMS
CROWD = "crowd"  # where the idle ones are
NODES = 3
CONFIG = {
    "redis.command_timeout": "1s", "redis.connect_timeout": "1s", "redis.canary_interval": "1s", "redis.retry_max": "1s",
    "redis.linger": "200ms", "redis.ingest_takeover": "1s", "redis.session_ttl": "3s", "log.level": "info",
    "ping_interval": "5s", "pong_timeout": "20s", "limits.message_rate": 0, "close_timeout": "1s", "token.cache_entries": 200,
    "channels": [
        {"match": "log:*", "allow": ALL, "history": {"size": 20000, "ttl": "1h"}},
        {"match": "short:*", "allow": ALL, "history": {"size": 10, "ttl": "1h"}},
        {"match": "room:*", "allow": ALL, "presence": True, "presence_events": True, "presence_ttl": "3s"},
        {"match": CROWD, "allow": ALL, "presence": True, "presence_ttl": "3s"},
        {"match": "*", "allow": ALL},
    ],
}


class Balanced:
    """The balancer, for who takes a node."""

    def __init__(self, balancer):
        self.public = balancer.address


class World:
    """Its first node is never killed. The other nodes have a clock of their own. topology: the module of its kind of Redis."""

    NUMBERED = LONG + SHORT
    rules = CONFIG["channels"]

    def __init__(self, folder, topology, random, clients, idle, pause_s, workers):
        self.folder = Path(folder)
        self.workers = workers
        self.ended = []  # nodes that were killed: their logs are checked at the end
        (self.folder / "redis").mkdir()
        self.redis = topology.Topology(self.folder / "redis", NODES)
        self.heap_library = preload.build("heap", self.folder)
        self.clocks = {}
        for index in range(1, NODES):
            (self.folder / f"clock{index}").mkdir()
            self.clocks[index] = WallClock(self.folder / f"clock{index}")
        self.ports = [reserve.port() for _ in range(NODES)]
        self.nodes = [self.start(n) for n in range(NODES)]
        self.all_ready()
        self.balancer = HAProxy(self.folder, self.nodes)
        self.balanced = Balanced(self.balancer)
        self.ledger = Ledger()
        self.crowd = Crowd(self.ledger)
        self._people(random, clients, pause_s)
        self.idlers = Idlers(lambda: self.nodes, idle, CROWD)
        self.contenders = Contenders(lambda: self.nodes)

    def _people(self, random, clients, pause_s):
        """Half of the subscribers come by the balancer, and a third is restless. Each user has two subscribers."""
        for n in range(clients):
            through = (lambda: [self.balanced]) if n % 2 else (lambda: self.nodes)
            channels = CHANNELS if n % 3 else random.sample(CHANNELS, 4)
            self.crowd.subscribe(through, channels, kind=Attendant, patience_s=2, restless=0.2 if n % 3 == 2 else 0,
                                 user=f"person{n // 2}", rooms=[c for c in channels if c in ROOMS])
        self.crowd.publish(lambda: self.nodes, CHANNELS, 3, pause_s=pause_s)
        self.crowd.publish(lambda: self.nodes, CHANNELS, 2, kind=SocketPublisher, pause_s=pause_s)
        self.crowd.publish(self.redis.ingest_port, LONG, kind=IngestPublisher, pause_s=pause_s)

    # --- nodes ---

    def start(self, index, changes=None):
        heap = Heap(self.folder / f"heap{index}", self.heap_library)
        libraries, variables = [self.heap_library], dict(heap.variables)
        if clock := self.clocks.get(index):
            libraries.append(clock.library)
            variables |= clock.variables
        config = {**CONFIG, "redis.url": self.redis.url_for(index), "port": self.ports[index], "workers": self.workers,
                  **(changes or {})}
        node = Node(self.folder, config, name=f"node{index}", env=preload.environment(*libraries, **variables))
        node.heap = heap
        return node

    def kill(self, index):
        self.nodes[index].kill()
        self.ended.append(self.nodes[index])

    def all_ready(self):
        for node in self.nodes:
            until(node.ready, f"{node.name} is ready", BACK_S)

    def reconnects(self):
        return sum(node.metric("carillon_broker_reconnects_total") for node in self.nodes)

    def disagreeing(self):
        return [node.metric("carillon_nodes_disagreeing") > 0 for node in self.nodes]

    # --- what must be so when all is quiet ---

    def wrong_epochs(self):
        """Names a subscriber of a channel with history that has not been told the epoch in Redis, or is ""."""
        for channel in self.NUMBERED:
            key = f"carillon:{{{channel}}}:meta"
            epoch = self.redis.home(key)("HGET", key, "epoch")
            wrong = self.ledger.wrong_epoch(channel, epoch) if epoch else ""  # None: deleted, and nobody has asked yet
            if wrong:
                return wrong
        return ""

    def check_histories(self, turn):
        """Of all channels that have one, each by another node in each turn."""
        for n, channel in enumerate(self.NUMBERED):
            self.ledger.check_history(channel, *self.history(self.nodes[(turn + n) % NODES], channel))

    @staticmethod
    def history(node, channel):
        """Its epoch, and all events of its history, by that node."""
        events, after = [], 0
        while True:
            page = node.api("GET", f"/api/v1/channels/{channel}/history?limit=1000&since_offset={after}").json
            assert "events" in page, page
            events += page["events"]
            if not page["more"]:
                return page.get("epoch"), events
            after = events[-1]["offset"]

    def sessions(self):
        return sum(int(node.metric("carillon_sessions")) for node in self.nodes)

    def expected_sessions(self):
        publishers = [p for p in self.crowd.publishers if isinstance(p, SocketPublisher)]
        return sum(s.client is not None for s in self.crowd.subscribers) + self.idlers.open + \
            sum(p.client is not None for p in publishers)

    def wrong_presence(self):
        """Names a mistake of a node, or of a client in a room, about the users there. "" when all is right."""
        for room in ROOMS:
            there = [s for s in self.crowd.subscribers if room in s.channels]
            users = {s.user for s in there}
            for node in self.nodes:
                page = node.api("GET", f"/api/v1/channels/{room}/presence?limit=1000").json
                if page.get("connections") != len(there) or {m["user"] for m in page["members"]} != users:
                    return f"{node.name} on {room}: {page}; there are {len(there)} connections of {sorted(users)}"
            for subscriber in there:
                if subscriber.lists.get(room) != users:
                    return (f"{subscriber.seat.name} in {room} has {sorted(subscriber.lists.get(room, ['no list']))}, there are "
                            f"{sorted(users)}")
        for node in self.nodes:
            page = node.api("GET", f"/api/v1/channels/{CROWD}/presence?limit=1").json
            if (page.get("users"), page.get("connections")) != (self.idlers.open, self.idlers.open):
                return f"{node.name} on {CROWD}: {page}; there are {self.idlers.open}"
        return ""

    def close(self):
        """Returns what was wrong at the end."""
        problems = []
        self.idlers.stop()
        for end in [self.contenders.leave, self.crowd.stop, *(node.close for node in self.nodes),
                    *(node.check_log for node in self.ended), self.balancer.close,
                    self.redis.close]:
            try:
                end()
            except Exception as failure:  # the report names it, and the rest is closed all the same
                problems.append(f"at the end: {failure}")
        return problems
