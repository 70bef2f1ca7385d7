"""Publishers and subscribers that go on whatever happens, each a thread, with their books in support/accounting.py. They behave as good
clients do. A publisher tries again with the same event_id. A subscriber connects again, to another node, and resumes where it was."""
import http.client
import itertools
import json
import random
import threading

from support import jwt, ws
from support.carillon import API_KEY
from support.redis import Connection, RedisError
from support.wait import DEADLINE_S, SLOWDOWN, until

PATIENCE_S = 3 * SLOWDOWN  # for a connection or an answer of a node that may be dead
_numbers = itertools.count(1)


class Worker(threading.Thread):
    """nodes: a function that returns those to choose from now."""

    def __init__(self, ledger, nodes, seed):
        super().__init__(daemon=True)
        self.ledger = ledger
        self.nodes = nodes
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
        except Exception as failure:  # raised again by stop()
            self.failure = failure
        finally:
            self.leave()

    def stop(self):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure


class Publisher(Worker):
    """Over HTTP. pause_s: between publications, on average. id_share: of those with an event_id, which are tried until they are
    acknowledged. The others are tried once."""

    def __init__(self, ledger, nodes, channels, seed=0, pause_s=0.005, id_share=0.8):
        self.channels = channels
        self.pause_s = pause_s
        self.id_share = id_share
        self.connections = {}
        self.address = None  # where it has published last
        self.quiet = threading.Event()  # set: publishes nothing for now
        self.resting = threading.Event()  # it does so
        super().__init__(ledger, nodes, seed)

    def step(self):
        if self.quiet.is_set():
            self.resting.set()
            self.stopping.wait(0.02)
            return
        self.resting.clear()
        channel, with_id = self.random.choice(self.channels), self.random.random() < self.id_share
        key = f"k{next(_numbers)}"
        while not self.stopping.is_set():
            publication = self.ledger.sending(channel, key, with_id)
            if self.attempt(publication) or not with_id:
                break
            self.stopping.wait(0.05)
        self.stopping.wait(self.random.expovariate(1 / self.pause_s))

    def attempt(self, publication):
        """True if it is acknowledged. The ledger knows in any case."""
        body = {"channel": publication.channel, "type": "test", "data": {"key": publication.key}}
        if publication.with_id:
            body["event_id"] = publication.key
        try:
            status, answer = self.post(body)
        except (OSError, http.client.HTTPException, ValueError) as failure:
            self.ledger.unknown(publication, type(failure).__name__)
            return False
        publication.asked = self.address
        if status == 200:
            self.ledger.acknowledged(publication, answer)
            return True
        message = answer["error"]["message"]
        assert status == 503, answer
        if "may or may not" in message:
            self.ledger.unknown(publication, "503")
        else:
            self.ledger.refused(publication, "503")
        return False

    def post(self, body):
        self.address = address = self.random.choice(self.nodes()).internal
        connection = self.connections.pop(address, None) or http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/api/v1/publish", json.dumps(body), {"Authorization": "Bearer " + API_KEY})
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except BaseException:
            connection.close()
            raise
        self.connections[address] = connection
        return answer.status, content

    def leave(self):
        for connection in self.connections.values():
            connection.close()


class SocketPublisher(Publisher):
    """The same over a WebSocket of its own."""

    client = None

    def step(self):
        if self.quiet.is_set() and self.client:
            self.listen()
        super().step()

    def listen(self):
        """At rest it answers pings, and hears that its connection has ended."""
        try:
            self.client.receive(0.01)
        except TimeoutError:
            pass
        except (ws.Closed, OSError):
            self.leave()

    def post(self, body):
        try:
            if self.client is None:
                self.address = self.random.choice(self.nodes()).public
                self.client = ws.Client(self.address, jwt.mint(f"publisher-{self.name}", expires_s=86400), seconds=PATIENCE_S)
                self.client.expect("session_init", PATIENCE_S)
            self.client.send("publish", id=body["data"]["key"], **body)
            while True:
                frame = self.client.receive(PATIENCE_S)
                if frame.get("id") == body["data"]["key"]:
                    break
        except (ws.Closed, ws.Refused, AssertionError) as failure:
            self.leave()
            raise OSError(str(failure)) from None
        except OSError:
            self.leave()
            raise
        if frame["type"] == "published":
            return 200, frame["data"]
        return (503 if frame["error"]["code"] == "unavailable" else 500), frame

    def leave(self):
        if self.client:
            self.client.socket.close()
            self.client = None


class IngestPublisher(Publisher):
    """A backend that writes to the ingest stream, always with an event_id. A function tells the port of its Redis."""

    redis = None

    def __init__(self, ledger, port, channels, **options):
        self.port = port
        super().__init__(ledger, lambda: [], channels, id_share=1, **options)

    def attempt(self, publication):
        data = json.dumps({"key": publication.key})
        try:
            self.redis = self.redis or Connection(self.port())
            self.redis("XADD", "carillon:ingest", "*", "channel", publication.channel, "type", "test", "data", data,
                       "event_id", publication.key)
        except (OSError, RedisError) as failure:
            self.ledger.unknown(publication, f"XADD {type(failure).__name__}")
            self.leave()
            return False
        self.ledger.promised(publication)
        return True

    def leave(self):
        if self.redis:
            self.redis.close()
            self.redis = None


class Subscriber(Worker):
    """Subscribes to all channels and stays. When its connection ends it resumes. patience_s: after so long without a frame it asks whether
    the server lives, and leaves when nothing comes. None waits for ever. restless: how often a second it leaves a channel and comes back,
    or reconnects by itself. user: of its token, by default its own name."""

    def __init__(self, ledger, nodes, name, channels, seed=0, patience_s=None, restless=0, user=None):
        self.seat = ledger.seat(name)
        self.user = user or name
        self.channels = channels
        self.patience_s = patience_s
        self.restless = restless
        self.client = None
        self.node = None  # where it is
        self.away = {}  # channels it has left, by itself
        self.connections = 0
        self.silent_s = 0
        self.steady = threading.Event()  # set: not restless for now
        super().__init__(ledger, nodes, seed)

    def step(self):
        if self.client is None and not self.connect():
            self.stopping.wait(0.05 + self.random.random() * 0.1)
            return
        try:
            frame = self.client.receive(0.2)
            self.silent_s = 0
            self.take(frame)
        except TimeoutError:
            self.silent_s += 0.2
        except (ws.Closed, OSError):
            self.drop()
            return
        self.look_after()

    def take(self, frame):
        self.seat.took(frame)
        if frame["type"] == "error":
            self.answer_error(frame)

    def connect(self):
        others = [node for node in self.nodes() if node is not self.node] or self.nodes()
        self.node = self.random.choice(others)
        try:
            self.client = ws.Client(self.node.public, jwt.mint(self.user), seconds=PATIENCE_S)
            first = self.client.expect("session_init", PATIENCE_S)
            self.seat.session = f"{first['session_id']} at {self.node.public}"
            for channel in self.channels:
                self.subscribe(channel)
        except (OSError, ws.Refused, ws.Closed, AssertionError):
            self.drop()
            return False
        self.connections += 1
        return True

    def subscribe(self, channel):
        since = self.seat.since(channel)
        self.client.send("subscribe", id=channel, channel=channel, **({"since": since} if since else {}))

    def answer_error(self, frame):
        """A subscribe that was refused for now is tried again on another connection."""
        if "id" not in frame:
            return  # why the connection is about to end
        if frame["error"]["code"] in ("unavailable", "subscription_failed"):
            self.drop()
        elif frame["error"]["code"] != "unauthorized":
            self.ledger.problem(f"{self.seat.name}: {frame}")

    def look_after(self):
        try:
            if self.patience_s and self.silent_s > 2 * self.patience_s:
                self.drop()
            elif self.patience_s and self.silent_s > self.patience_s:
                self.client.send("ping")
            elif self.restless and not self.steady.is_set() and self.random.random() < self.restless * 0.05:
                self.fidget()
            elif self.away and self.steady.is_set():
                self.come_back()
        except OSError:
            self.drop()

    def fidget(self):
        if self.away:
            self.come_back()
        elif self.random.random() < 0.3:
            self.drop()
        elif self.seat.open:  # only where `subscribed` has come: else it would ask twice from the same position
            channel = self.random.choice(sorted(self.seat.open))
            self.away[channel] = True
            self.client.send("unsubscribe", channel=channel)

    def come_back(self):
        channel = next(iter(self.away))
        if channel not in self.seat.open:  # its last events have come, so its position is known
            del self.away[channel]
            self.subscribe(channel)

    def drop(self):
        if self.client:
            self.client.socket.close()
            self.client = None
        self.away.clear()
        self.silent_s = 0
        self.seat.disconnected()

    def standing(self):
        """Connected, and subscribed to all its channels."""
        return self.client is not None and set(self.seat.open) == set(self.channels)

    def leave(self):
        if self.client:
            self.client.socket.close()


class Crowd:
    """Publishers and subscribers with one ledger, for a test: with Crowd(...) as crowd. Leaving it stops everybody."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.publishers = []
        self.subscribers = []

    def publish(self, nodes, channels, count=1, kind=Publisher, **options):
        self.publishers += [kind(self.ledger, nodes, channels, seed=len(self.publishers) + n, **options) for n in range(count)]

    def subscribe(self, nodes, channels, count=1, kind=Subscriber, **options):
        base = len(self.subscribers)
        self.subscribers += [kind(self.ledger, nodes, f"seat{base + n}", channels, seed=base + n, **options)
                             for n in range(count)]

    def begin(self, nodes, channels, subscribers, publishers, **options):
        """Subscribers, and when all of them are subscribed, publishers. options are of the subscribers."""
        self.subscribe(lambda: nodes, channels, subscribers, **options)
        until(lambda: all(s.standing() for s in self.subscribers), "all are subscribed")
        self.publish(lambda: nodes, channels, publishers)

    def calm(self, until, seconds=DEADLINE_S):
        """No publication is under way, and each connected subscriber has all its events."""
        for publisher in self.publishers:
            publisher.quiet.set()
        for subscriber in self.subscribers:
            subscriber.steady.set()
        until(lambda: all(p.resting.is_set() or not p.is_alive() for p in self.publishers), "the publishers rest", seconds)
        until(lambda: all(s.standing() or not s.is_alive() for s in self.subscribers), "all are subscribed", seconds)
        try:
            until(lambda: not self.ledger.missing(), "everybody has everything", seconds)
        except TimeoutError:
            self.ledger.problem(f"never came: {self.ledger.missing()}")

    def go_on(self):
        for publisher in self.publishers:
            publisher.resting.clear()
            publisher.quiet.clear()
        for subscriber in self.subscribers:
            subscriber.steady.clear()

    def stop(self):
        for worker in self.publishers + self.subscribers:
            worker.stopping.set()
        for worker in self.publishers + self.subscribers:
            worker.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
