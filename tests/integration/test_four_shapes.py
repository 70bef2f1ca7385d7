"""The four shapes of clients that exist already, all at once: two nodes on one Redis behind HAProxy (config/haproxy.cfg), with one
configuration. Each client sends and expects exactly the frames of its shape, and does after the end of a connection what such clients do.
Both nodes are killed (kill -9), one after the other, while all clients are active."""
import itertools
import json
import threading
from types import SimpleNamespace

import pytest
from support import http, jwt, reserve, ws
from support.backend import Backend
from support.haproxy import HAProxy, from_the_sample
from support.wait import DEADLINE_S, until
from support.ws_backend import WsBackend

ACTIONS = ["adjust", "elevate", "interaction", "customerInteraction", "reception", "summarize", "translate", "recommend", "insights"]
SCOPES = ["transcription:read", "transcription:write"]
SPEECH = {"preset": "streaming", "require_claims": ["sub", "iat", "exp", "scope", "user_type"], "require_scopes": SCOPES}
RETRIED = {1006, 1011, 1012, 1013, 1014}
PAUSE_S = 1  # of C, between tries
TRIES = 10


def config(redis, backend, speech):
    history = {"size": 100000, "ttl": "10m"}
    return {
        "redis.url": redis.url,
        "trusted_proxies": ["127.0.0.1"],
        "redis.canary_interval": "1s",
        "tickets.path": "/websocket/ticket",
        "tickets.use": "resume",
        "tickets.lease": "3s",
        "endpoints": [
            {"preset": "events", "path": "/ws"},
            {"preset": "events", "path": "/api/ws"},
            {"preset": "request-response", "path": "/", "subprotocols": ["acme-v1"], "query": ["traceId"], "upstream": "answers"},
            {"preset": "ticket-sockets", "path": "/ai-chat/{thread}/transcript", "ticket": {"purpose": "chat", "resource": "{thread}"},
             "subscribe": ["thread:{thread}"]},
            {**SPEECH, "path": "/ws/transcribe", "upstream": "transcriber"},
            {**SPEECH, "path": "/ws/transcribe-live", "upstream": "live"},
        ],
        "upstreams": {
            "answers": {"url": backend.url},
            "transcriber": {"url": backend.url, "order": "session", "join": {"max_bytes": "64k"}, "claims": ["user_type"],
                            "on_failure": "close"},
            "live": {"url": speech.url, "on_failure": "close"},
        },
        "channels": [
            {"match": "news:*", "allow": ["subscribe"], "history": history},
            {"match": "thread:*", "require": "grant", "allow": ["subscribe"], "history": history},
        ],
    }


# --- backends ---

class Speech:
    """What the backends of D have heard. Each frame of 20 ms begins with its number."""

    def __init__(self):
        self.heard, self.lock, self.failure = {}, threading.Lock(), None

    def transcription(self, session, audio):
        numbers = [int.from_bytes(audio[at:at + 4], "big") for at in range(0, len(audio), 640)]
        with self.lock:
            first = self.heard.get(session, 0)
            if numbers != list(range(first, first + len(numbers))):
                self.failure = self.failure or f"{session}: {numbers} after {first}"
            self.heard[session] = first + len(numbers)
        return json.dumps({"type": "transcription", "bytes": len(audio)})

    def by_websocket(self, connection):
        connection.accept()
        while True:
            opcode, audio = connection.receive()
            if opcode == ws.BINARY:
                connection.send(ws.TEXT, self.transcription(connection.headers["ce-sessionid"], audio))

    def by_http(self, call):
        if call.headers["content-type"] == "application/octet-stream":
            assert call.decoded("ce-claims") == {"user_type": "clinician"}
            call.answer(200, self.transcription(call.headers["ce-sessionid"], call.body), "application/json")
            return
        asked = call.json()
        part = {"headers": {name: asked["headers"][name] for name in ("correlationId", "action")}}
        size = len(asked["payload"]["request"]["text"])
        trace = call.decoded("ce-query")["traceId"]
        lines = [{**part, "payload": {"size": 0, "trace": trace}}, {**part, "payload": {"size": size, "done": True}}]
        call.answer(200, "".join(json.dumps(line) + "\n" for line in lines), "application/x-ndjson")


# --- clients ---

class Client(threading.Thread):
    """Lives until stop is set: connects, is active, and does what its kind does when the connection ends."""

    def __init__(self, address, name):
        super().__init__(name=name, daemon=True)
        self.address = address
        self.connections, self.done = 0, 0  # done: what it has finished in this connection
        self.ends, self.refusals, self.failure = [], [], None
        self.stop, self.socket = threading.Event(), None

    def run(self):
        try:
            while not self.stop.is_set():
                self.live()
        except BaseException as failure:
            self.failure = failure

    def live(self):
        try:
            self.socket = self.connect()
        except ws.Refused as refused:
            self.refusals.append(refused.response.status)
            self.pause()
            return
        except (OSError, ws.Closed):
            self.refusals.append(None)
            self.pause()
            return
        self.done = 0
        self.connections += 1
        try:
            self.be_active()
            self.socket.close()
        except ws.Closed as closed:
            self.ends.append(closed.code or 1006)
            self.after(self.ends[-1])
        except (BrokenPipeError, ConnectionResetError):
            self.ends.append(1006)
            self.after(1006)

    def pause(self):
        self.stop.wait(0.1)

    def after(self, code):
        assert code == 1006, f"{self.name} was closed with {code}"

    def is_active(self):
        assert not self.failure, f"{self.name}: {self.failure!r}; ends {self.ends}, refusals {self.refusals}"
        return self.done >= 3

    def leave(self):
        self.stop.set()
        self.join(DEADLINE_S)
        assert not self.is_alive(), self.name
        assert not self.failure, f"{self.name}: {self.failure!r}"


class Events(Client):
    """A: its token is in the URL. It comes back with its position."""

    def __init__(self, address, n):
        super().__init__(address, f"A{n}")
        self.url = f"/api/ws?token={jwt.mint(f'a{n}')}"
        self.seen, self.position = [], None

    def connect(self):
        return ws.Client(self.address, path=self.url).start()

    def be_active(self):
        self.socket.send("subscribe", id="s", channel="news:all", **({"since": self.position} if self.position else {}))
        told = self.socket.expect("subscribed", id="s")["data"]
        assert told["recovered"] is (self.position is not None), told
        self.position = {name: told[name] for name in ("epoch", "offset", "id") if name in told}
        while not self.stop.is_set():
            event = self.socket.expect("test", channel="news:all")
            self.position = {"epoch": self.position["epoch"], "offset": event["offset"], "id": event["id"]}
            self.seen.append(event["data"]["n"])
            self.done += 1


class Requests(Client):
    """B: a new token for each connection, beside the name of its protocol. It knows an answer by its correlation id."""

    def __init__(self, address, n):
        super().__init__(address, f"B{n}")
        self.n, self.asked, self.answered, self.unanswered = n, 0, 0, 0
        self.by_query = n % 2

    def connect(self):
        self.token = jwt.mint(f"b{self.n}", jti=f"b{self.n}-{self.connections}-{len(self.refusals)}")
        if self.by_query:
            return ws.Client(self.address, path=f"/?Authorization={self.token}&traceId=t-{self.n}")
        client = ws.Client(self.address, path=f"/?traceId=t-{self.n}", headers=[("Sec-WebSocket-Protocol", f"acme-v1, {self.token}")])
        assert client.headers["sec-websocket-protocol"] == "acme-v1"
        return client

    def request(self, id_):
        text = "ü" * (190 * 1024 if self.asked == 1 else 20)  # the first one has 380 KiB of UTF-8
        headers = {"correlationId": id_, "action": ACTIONS[self.asked % len(ACTIONS)], "schemaRef": "acme/request/v1", "sdkVersion": "2.4.1",
                   "identifier": "message", "traceId": f"t-{self.n}", "idempotencyKey": f"key-{id_}", "timestamp": "2026-01-05T10:00:00.000Z",
                   "issuedAt": 1767607200000, "tenantId": "acme", "networkLatencyMs": 12}
        return {"action": "message", "headers": headers, "payload": {"session": {"id": "s"}, "request": {"text": text}}}

    def be_active(self):
        while not self.stop.is_set():
            self.asked += 1
            asked = self.request(f"{self.name}-{self.asked}")
            self.unanswered += 1
            self.socket.send_text(json.dumps(asked, ensure_ascii=False))
            for last in (False, True):
                frame = self.socket.receive()
                assert frame["headers"] == {name: asked["headers"][name] for name in ("correlationId", "action")}, frame
                size = len(asked["payload"]["request"]["text"])
                assert frame["payload"] == ({"size": size, "done": True} if last else {"size": 0, "trace": f"t-{self.n}"})
            self.unanswered -= 1
            self.answered += 1
            self.done += 1


class Sockets(Client):
    """C: a ticket by POST, then one URL for ever: after the codes of RETRIED again, ten times, a second apart."""

    def __init__(self, address, n):
        super().__init__(address, f"C{n}")
        answer = http.request(address, "POST", "/websocket/ticket", {"purpose": "chat", "resourceId": "42"}, {
            "Authorization": f"Bearer {jwt.mint(f'c{n}', channels=['thread:42'])}", "Content-Type": "application/json"})
        assert answer.status == 200 and set(answer.json) == {"ticket", "expiresIn"}, answer
        self.url = f"/ai-chat/42/transcript?ticket={answer.json['ticket']}"
        self.seen, self.tries = [], 0

    def connect(self):
        self.tries += 1
        client = ws.Client(self.address, path=self.url)
        self.tries = 0
        return client

    def pause(self):
        assert self.tries < TRIES, f"{self.name} has given up: {self.refusals}"
        self.stop.wait(PAUSE_S)

    def after(self, code):
        assert code in RETRIED, f"{self.name} was closed for good with {code}"
        self.pause()

    def be_active(self):
        while not self.stop.is_set():
            frame = self.socket.receive_text()
            assert frame.startswith(b'{"n": '), frame  # as the publisher wrote it
            self.seen.append(json.loads(frame)["n"])
            self.done += 1


class Audio(Client):
    """D: 20 ms of audio in each frame. The server's first frame is session_init; then come the backend's."""

    def __init__(self, address, n, path):
        super().__init__(address, f"D{n} at {path}")
        self.path, self.by_query = path, n % 2
        now = jwt.claims()["exp"] - 600
        self.token = jwt.mint(f"d{n}", iat=now, scope=" ".join(SCOPES), user_type="clinician", channels=None)

    def connect(self):
        if self.by_query:
            client = ws.Client(self.address, path=f"{self.path}?token={self.token}")
        else:
            client = ws.Client(self.address, self.token, self.path)
        assert client.receive()["type"] == "session_init"
        return client

    def be_active(self):
        numbers = itertools.count()
        while not self.stop.is_set():
            for _ in range(10):
                self.socket.send_frame(ws.BINARY, next(numbers).to_bytes(4, "big") + bytes(636))
            missing = 6400
            while missing:
                missing -= self.socket.expect("transcription")["bytes"]
            self.done += 1


class Publisher(threading.Thread):
    """A backend: the same number to both channels, at any node that answers. It tries again with the same event_id."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes, self.last, self.stop = nodes, 0, threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            for channel in ("news:all", "thread:42"):
                body = {"channel": channel, "type": "test", "event_id": f"{channel}-{self.last + 1}", "data": {"n": self.last + 1}}
                while not any(map(lambda node: self.took(node, body), list(self.nodes))):
                    self.stop.wait(0.02)
            self.last += 1

    def took(self, node, body):
        try:
            return node.api("POST", "/api/v1/publish", body).status == 200
        except OSError:
            return False


# --- the test ---

@pytest.mark.long
def test_four_shapes_at_once_while_both_nodes_are_killed(launch, redis, tmp_path):
    speech = Speech()
    with Backend(speech.by_http) as backend:
        live = WsBackend(speech.by_websocket)
        first, second, third = (SimpleNamespace(name=f"node{n}", public=("127.0.0.1", reserve.port()), internal=("127.0.0.1", reserve.port()))
                                for n in (1, 2, 3))
        settings = config(redis, backend, live)

        def start(place):
            node = launch({**settings, "port": place.public[1], "internal.port": place.internal[1]}, name=place.name)
            until(node.ready, f"{node.name} is ready")
            return node

        nodes = [start(first), start(second)]
        proxy = HAProxy(tmp_path, [first, second, third], from_the_sample)
        clients = []
        publisher = Publisher(nodes)
        try:
            for n in range(2):
                for make in (Events, Requests, Sockets):
                    begin(clients, make(proxy.address, n))
                for path in ("/ws/transcribe", "/ws/transcribe-live"):
                    begin(clients, Audio(proxy.address, n, path))
            publisher.start()
            until(lambda: all(c.is_active() for c in clients), "all are served")
            here = [node.metric("carillon_sessions") for node in nodes]
            assert sum(here) == len(clients) and all(here), here
            kill(nodes, 0, clients)
            assert sum(len(c.ends) for c in clients) == here[0]
            nodes.append(start(third))
            kill(nodes, 0, clients)
            assert sum(len(c.ends) for c in clients) == here[0] + len(clients)
            publisher.stop.set()
            publisher.join(DEADLINE_S)
            check(clients, publisher, speech)
        finally:
            publisher.stop.set()
            for client in clients:
                client.stop.set()
            proxy.close()
            live.close()
            for place in (first, second, third):
                reserve.give_back("port", place.public[1])
                reserve.give_back("port", place.internal[1])


def begin(clients, client):
    client.start()
    clients.append(client)
    until(lambda: client.connections or client.failure, f"{client.name} is connected")


def kill(nodes, at, clients):
    """Returns when all clients are served again."""
    lost = nodes[at].metric("carillon_sessions")
    before = sum(len(c.ends) for c in clients)
    node = nodes.pop(at)
    node.kill()
    until(lambda: sum(len(c.ends) for c in clients) == before + lost, "its clients notice")
    until(lambda: all(c.is_active() and c.connections == len(c.ends) + 1 for c in clients), "all are served again")


def check(clients, publisher, speech):
    kinds = {kind: [c for c in clients if isinstance(c, kind)] for kind in (Events, Requests, Sockets, Audio)}
    for client in kinds[Events] + kinds[Sockets]:
        until(lambda client=client: client.failure or publisher.last in client.seen, f"{client.name} has the last event")
    for client in kinds[Events]:
        assert client.seen == list(range(client.seen[0], publisher.last + 1)), f"{client.name}: each event once, in order"
    for client in kinds[Sockets]:
        assert sorted(set(client.seen)) == list(range(min(client.seen), publisher.last + 1)), f"{client.name} misses none"
        assert set(client.refusals) <= {409, 502, 503, None}, client.refusals
    for client in clients:
        assert set(client.ends) == {1006}, (client.name, client.ends)
        assert isinstance(client, Sockets) or set(client.refusals) <= {502, 503, None}, (client.name, client.refusals)
    for client in kinds[Requests] + kinds[Audio]:
        client.leave()
    for client in kinds[Requests]:
        assert client.unanswered <= len(client.ends), "only what was under way at a killed node has no answer"
        with pytest.raises(ws.Refused) as refused:
            ws.Client(client.address, path="/", headers=[("Sec-WebSocket-Protocol", f"acme-v1, {client.token}")])
        assert (refused.value.response.status, refused.value.response.json["error"]["reason"]) == (401, "token_used")
    assert not speech.failure, speech.failure
    for client in kinds[Sockets]:
        client.stop.set()
        client.socket.send_frame(ws.CLOSE, (1000).to_bytes(2, "big"))
        client.join(DEADLINE_S)
        with pytest.raises(ws.Refused) as refused:
            ws.Client(client.address, path=client.url)
        assert (refused.value.response.status, refused.value.response.json["error"]["reason"]) == (401, "ticket_used")
