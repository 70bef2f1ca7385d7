"""The main task: two nodes behind HAProxy with Redis deliver 1,000 events to 500 clients spread over both. Each channel keeps its order,
and no event is lost or doubled. Under sanitizers with fewer of both."""
import json
import selectors
import threading
from concurrent.futures import ThreadPoolExecutor

from support import jwt, ws
from support.haproxy import HAProxy
from support.wait import DEADLINE_S, SLOWDOWN, Deadline, until

CLIENTS = int(500 / SLOWDOWN)
EVENTS = int(1000 / SLOWDOWN)
CHANNELS = [f"log:room-{n}" for n in range(4)]
PUBLISHERS = 4


class Crowd:
    """Many clients read by one thread."""

    def __init__(self, clients):
        self.clients = clients
        self.seen = {client: [] for client in clients}
        self.failure = None
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        deadline = Deadline(180 * SLOWDOWN, "all events arrive")
        missing = len(self.clients) * EVENTS
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                client.socket.setblocking(False)
                selector.register(client.socket, selectors.EVENT_READ, client)
            try:
                while missing:
                    for key, _ in selector.select(deadline.remaining()):
                        missing -= self._take(key.data)
            except Exception as failure:
                self.failure = failure

    def _take(self, client):
        chunk = client.socket.recv(1 << 18)
        assert chunk, "the server closed a connection"
        client.buffer += chunk
        taken = 0
        while frame := client.take_frame():
            _, opcode, payload = frame
            assert opcode in (ws.TEXT, ws.PING), frame
            if opcode == ws.PING:
                client.socket.send(ws.frame(ws.PONG, payload))
                continue
            self.seen[client].append(payload)
            taken += 1
        return taken


def test_two_nodes_behind_haproxy(launch, redis, tmp_path):
    config = {"redis.url": redis.url, "trusted_proxies": ["127.0.0.1"], "log.level": "info"}
    nodes = [launch(config), launch(config)]
    for node in nodes:
        until(node.ready, "ready")
    proxy = HAProxy(tmp_path, nodes)
    try:
        clients = [ws.connect(proxy.address, jwt.mint(f"user-{n}")) for n in range(CLIENTS)]
        assert all(node.metric("carillon_sessions") >= CLIENTS // 2 for node in nodes), "they are spread over both"
        for client in clients:
            for channel in CHANNELS:
                client.send("subscribe", id=channel, channel=channel)
        for client in clients:
            assert [client.expect("subscribed")["id"] for _ in CHANNELS] == CHANNELS
        crowd = Crowd(clients)
        given = publish_all(nodes)
        crowd.thread.join(180 * SLOWDOWN + DEADLINE_S)
        assert crowd.failure is None, crowd.failure
        check(clients, crowd.seen, given)
        for client in clients:
            client.drop()
    finally:
        proxy.close()


def publish_all(nodes):
    """Several publishers at once, to both nodes. Returns {channel: {offset: (id, data)}}."""

    def publish(n):
        channel = CHANNELS[n % len(CHANNELS)]
        answer = nodes[n // 7 % 2].publish(channel, {"n": n})
        return channel, answer["offset"], answer["id"], {"n": n}

    given = {channel: {} for channel in CHANNELS}
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        for channel, offset, id_, data in pool.map(publish, range(EVENTS)):
            assert offset not in given[channel], "an offset was given twice"
            given[channel][offset] = (id_, data)
    for channel in CHANNELS:
        assert sorted(given[channel]) == list(range(1, len(given[channel]) + 1)), "offsets are dense"
    return given


def check(clients, seen, given):
    parsed = {}  # the same bytes go to all, so each event is parsed once
    for client in clients:
        next_offset = dict.fromkeys(CHANNELS, 1)
        for payload in seen[client]:
            event = parsed.get(payload)
            if event is None:
                event = parsed[payload] = json.loads(payload)
            channel = event["channel"]
            assert event["offset"] == next_offset[channel], f"{channel}: expected {next_offset[channel]}, got {event['offset']}"
            assert (event["id"], event["data"]) == given[channel][event["offset"]]
            next_offset[channel] += 1
        assert sum(next_offset.values()) - len(CHANNELS) == EVENTS
    assert len(parsed) == EVENTS, "an event reached clients in different bytes"
