"""What a soak is made of: nodes behind a balancer, Redis, clients of every kind; and what can befall it."""
import re
import selectors
import signal
import threading
from pathlib import Path

from support import jwt, ws
from support.accounting import Ledger
from support.carillon import Node
from support.haproxy import HAProxy
from support.load import PATIENCE_S, Crowd, IngestPublisher, SocketPublisher
from support.redis import Redis, RedisError, free_port
from support.wait import until

LONG, SHORT, PLAIN = ["log:a", "log:b", "log:c"], ["short:a"], ["plain:a", "plain:b"]
CHANNELS = LONG + SHORT + PLAIN
IDLE_CHANNEL = "idle"
BACK_S = 30  # within which everything is up again after a fault
NODES = 3
CONFIG = {
    "redis.command_timeout": "1s", "redis.connect_timeout": "1s", "redis.canary_interval": "1s", "redis.retry_max": "1s",
    "redis.linger": "200ms", "redis.ingest_takeover": "1s", "log.level": "info", "workers": 1, "ping_interval": "5s", "pong_timeout": "20s",
    "limits.message_rate": 0, "close_timeout": "1s", "token.cache_entries": 200,
    "channels": [
        {"match": "log:*", "allow": ["subscribe", "publish", "history"], "history": {"size": 20000, "ttl": "1h"}},
        {"match": "short:*", "allow": ["subscribe", "publish", "history"], "history": {"size": 10, "ttl": "1h"}},
        {"match": "*", "allow": ["subscribe", "publish"]},
    ],
}


class Balanced:
    """The balancer, for who takes a node."""

    def __init__(self, balancer):
        self.public = balancer.address


class Idlers(threading.Thread):
    """Connections that do nothing but answer pings; whoever loses one opens another."""

    def __init__(self, nodes, count):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.selector = selectors.DefaultSelector()
        self.wanted = count
        self.open = 0
        self.turn = 0
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            if self.open < self.wanted and not self._connect():
                self.stopping.wait(0.1)
            for key, _ in self.selector.select(0.1 if self.open == self.wanted else 0):
                try:
                    self._answer(key.data)
                except (OSError, ws.Closed):
                    self.selector.unregister(key.data.socket)
                    key.data.socket.close()
                    self.open -= 1

    def _connect(self):
        self.turn += 1
        nodes = self.nodes()
        try:
            client = ws.Client(nodes[self.turn % len(nodes)].public, jwt.mint(f"idle-{self.turn}", expires_s=7 * 86400),
                               seconds=PATIENCE_S)
            client.expect("session_init", PATIENCE_S)
            client.send("subscribe", channel=IDLE_CHANNEL)
        except (OSError, ws.Refused, ws.Closed, AssertionError):
            return False
        self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.open += 1
        return True

    def _answer(self, client):
        client.buffer += client.socket.recv(65536) or self._end()
        while taken := client.take_frame():
            if taken[1] == ws.PING:
                client.send_frame(ws.PONG, taken[2])
            elif taken[1] == ws.CLOSE:
                self._end()

    @staticmethod
    def _end():
        raise ws.Closed(None, "end of stream")

    def stop(self):
        self.stopping.set()
        self.join()
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()


class World:
    def __init__(self, folder, random, clients, idle, pause_s):
        self.folder = Path(folder)
        self.random = random
        self.ended = []  # nodes that were killed: their logs are checked at the end
        (self.folder / "redis").mkdir()
        self.redis = Redis(self.folder / "redis", "--auto-aof-rewrite-min-size", "32mb")
        ports = [free_port() for _ in range(NODES)]
        self.configs = [{**CONFIG, "redis.url": self.redis.url, "port": port} for port in ports]
        self.nodes = [self.start(n) for n in range(NODES)]
        self.all_ready()
        self.balancer = HAProxy(self.folder, self.nodes)
        self.balanced = Balanced(self.balancer)
        self.ledger = Ledger()
        self.crowd = Crowd(self.ledger)
        self._people(clients, pause_s)
        self.idlers = Idlers(lambda: self.nodes, idle)

    def _people(self, clients, pause_s):
        """Half of the subscribers come by the balancer, a third is restless."""
        for n in range(clients):
            through = (lambda: [self.balanced]) if n % 2 else (lambda: self.nodes)
            channels = CHANNELS if n % 3 else self.random.sample(CHANNELS, 3)
            self.crowd.subscribe(through, channels, patience_s=2, restless=0.2 if n % 3 == 2 else 0)
        self.crowd.publish(lambda: self.nodes, CHANNELS, 3, pause_s=pause_s)
        self.crowd.publish(lambda: self.nodes, CHANNELS, 2, kind=SocketPublisher, pause_s=pause_s)
        self.crowd.publish(self.redis.port, LONG, kind=IngestPublisher, pause_s=pause_s)

    def start(self, index):
        return Node(self.folder, self.configs[index], name=f"node{index}")

    def all_ready(self):
        for node in self.nodes:
            until(node.ready, f"{node.name} is ready", BACK_S)

    def history(self, channel):
        """Its epoch, and all events of its history, by a node of the moment's choice."""
        node, events, after = self.random.choice(self.nodes), [], 0
        while True:
            page = node.api("GET", f"/api/v1/channels/{channel}/history?limit=1000&since_offset={after}").json
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

    def close(self):
        """Returns what was wrong at the end."""
        problems = []
        self.idlers.stop()
        for end in [self.crowd.stop, *(node.close for node in self.nodes), *(node.check_log for node in self.ended),
                    self.balancer.close, self.redis.close]:
            try:
                end()
            except Exception as failure:  # the report names it, and the rest is closed all the same
                problems.append(f"at the end: {failure}")
        return problems

    # --- what can befall it; each returns once the fault is over, not its consequences ---

    def wait(self, least_s, most_s):
        threading.Event().wait(self.random.uniform(least_s, most_s))

    def redis_killed(self):
        self.redis.kill()
        self.wait(0, 1.5)
        self.redis.start()

    def redis_restarted(self):
        self.redis.stop()
        self.wait(0, 1.5)
        self.redis.start()

    def redis_paused(self):
        self.redis.freeze()
        self.wait(1.5, 4)
        self.redis.thaw()

    def redis_stutters(self):
        self.redis.freeze()
        self.wait(0.1, 0.7)
        self.redis.thaw()

    def redis_connections_cut(self):
        self.redis("CLIENT", "KILL", "TYPE", self.random.choice(["pubsub", "normal"]), "SKIPME", "yes")

    def redis_gives_up_a_subscriber(self):
        """One node's subscribing connection only, as when its output buffer is full."""
        lines = [line for line in self.redis("CLIENT", "LIST", "TYPE", "pubsub").splitlines() if line]
        if lines:
            try:
                self.redis("CLIENT", "KILL", "ID", re.match(r"id=(\d+)", self.random.choice(lines)).group(1))
            except RedisError:
                pass  # it has just gone

    def scripts_flushed(self):
        self.redis("SCRIPT", "FLUSH")

    def node_killed(self):
        """Never the first: what a node's memory does over hours is seen there."""
        index = self.random.randrange(1, NODES)
        self.nodes[index].kill()
        self.ended.append(self.nodes[index])
        self.wait(0, 1)
        self.nodes[index] = self.start(index)

    def node_replaced(self):
        """As in an update: it drains, and another one comes."""
        index = self.random.randrange(1, NODES)
        self.nodes[index].close()
        self.nodes[index] = self.start(index)

    def node_paused(self):
        node = self.random.choice(self.nodes)
        node.signal(signal.SIGSTOP)
        self.wait(0.5, 4)
        node.signal(signal.SIGCONT)

    def clients_cut(self):
        """All sessions of one node, by the API."""
        node = self.random.choice(self.nodes)
        try:
            for session in node.api("GET", "/api/v1/sessions?limit=200", seconds=5).json["sessions"][::2]:
                node.api("POST", "/api/v1/disconnect", {"session_id": session["session_id"]}, seconds=5)
        except OSError:
            pass

    FAULTS = [redis_killed, redis_restarted, redis_paused, redis_stutters, redis_connections_cut, redis_gives_up_a_subscriber,
              scripts_flushed, node_killed, node_replaced, node_paused, clients_cut]
