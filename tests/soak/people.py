"""Clients of a soak beside publishers and subscribers (support/load.py). Some only stay, some watch the users of a room, some have a token
that limits their sessions, and some do not read."""
import selectors
import threading
import time

from support import jwt, ws
from support.load import PATIENCE_S, Subscriber
from support.wait import until

GONE = (OSError, ws.Refused, ws.Closed, AssertionError)
LONG_S = 7 * 86400  # of a token


class Idlers(threading.Thread):
    """Connections that do nothing but answer pings. A lost one is opened again."""

    def __init__(self, nodes, count, channel):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.channel = channel
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
            client = ws.Client(nodes[self.turn % len(nodes)].public, jwt.mint(f"idle-{self.turn}", expires_s=LONG_S),
                               seconds=PATIENCE_S)
            client.expect("session_init", PATIENCE_S)
            client.send("subscribe", channel=self.channel)
        except GONE:
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


class Attendant(Subscriber):
    """A subscriber who keeps the list of users of each room among its channels, as docs/protocol.md says. It subscribes and asks for
    presence. The list is the answer, changed by each `join` and `leave` since it asked. After a gap it asks again."""

    def __init__(self, *arguments, rooms, **options):
        self.rooms = rooms
        self.lists = {}  # room -> users
        self.asked = {}  # room -> when, and the id of the question
        self.questions = 0
        self.since = {}  # room -> the joins and leaves since it asked
        super().__init__(*arguments, **options)

    def take(self, frame):
        room, kind = frame.get("channel"), frame["type"]
        if str(frame.get("id", "")).startswith("who ") and kind == "error":
            return  # Redis is away: look_after asks again
        super().take(frame)
        if room not in self.rooms:
            return
        if kind in ("subscribed", "gap"):
            self.ask(room)
        elif kind == "unsubscribed":
            for what in (self.lists, self.asked, self.since):
                what.pop(room, None)
        elif kind == "presence" and frame.get("id") == self.asked.get(room, (0, ""))[1]:
            self.lists[room] = {member["user"] for member in frame["data"]["members"]}
            for earlier in self.since.pop(room):
                self.go_by(earlier)
        elif kind in ("join", "leave") and room in self.asked:
            self.go_by(frame)

    def go_by(self, frame):
        room, user = frame["channel"], frame["data"]["user"]
        if room in self.since:
            self.since[room].append(frame)
        elif frame["type"] == "join":
            self.lists[room].add(user)
        else:
            self.lists[room].discard(user)

    def ask(self, room):
        self.lists.pop(room, None)
        self.since[room] = []
        self.questions += 1
        self.asked[room] = time.monotonic(), f"who {self.questions}"
        self.client.send("presence", id=self.asked[room][1], channel=room, limit=1000)

    def look_after(self):
        super().look_after()
        try:
            for room, (asked, _) in list(self.asked.items()):
                if self.client and room not in self.lists and time.monotonic() - asked > 1:
                    self.ask(room)
        except OSError:
            self.drop()

    def drop(self):
        for what in (self.lists, self.asked, self.since):
            what.clear()
        super().drop()


class Contenders:
    """More connections than a token allows its user, on all nodes."""

    LIMIT = 3

    def __init__(self, nodes):
        self.nodes = nodes
        self.turn = 0
        self.held = []

    def leave(self):
        for client in self.held:
            client.close()
        self.held.clear()

    def try_one(self):
        """True when it is admitted, False when it is over the limit. Raises any other error."""
        nodes = self.nodes()
        self.turn += 1
        client = None
        try:
            token = jwt.mint("limited", session_limit=self.LIMIT, expires_s=LONG_S)
            client = ws.Client(nodes[self.turn % len(nodes)].public, token)
            first = client.receive()
            if first["type"] == "session_init":
                self.held.append(client)
                return True
            assert first["error"]["code"] == "rate_limited", first
            client.expect_close(1013, "connection_limit")
        except ws.Refused as refusal:
            assert refusal.response.status == 429 and b"connection_limit" in refusal.response.body, refusal
        if client:
            client.socket.close()
        return False

    def check(self, seconds):
        """All is quiet. When dead sessions have been forgotten, as many as the limit get in, and no more. Those who are in stay in."""
        while len(self.held) > self.LIMIT:  # admitted while no Redis answered
            self.held.pop().close()
        until(lambda: self.try_one() and len(self.held) == self.LIMIT, f"{self.LIMIT} sessions of a limited user", seconds)
        for _ in range(2 * len(self.nodes())):
            assert not self.try_one(), f"session {len(self.held)} of a user limited to {self.LIMIT} was admitted"
        for client in self.held:
            client.nothing_before_pong()
