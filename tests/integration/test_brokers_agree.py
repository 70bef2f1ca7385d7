"""Memory and Redis answer alike. A node of each gets the same random script of commands, and all answers and events are compared. Ids,
epochs and times are replaced by their order of appearance."""
import random

import pytest
from support.carillon import ALL
from support.wait import until

RULES = [
    {"match": "few:*", "allow": ALL, "history": {"size": 3, "ttl": "10m"}, "presence": True},
    {"match": "log:*", "allow": ALL, "history": {"size": 1000}, "presence": True, "presence_events": True},
    {"match": "*", "allow": ALL},
]
CHANNELS = ["few:a", "few:b:c", "log:a", "log:{%}", "plain"]


class Place:
    """One node, its clients, and what names it has given to ids and epochs."""

    def __init__(self, node):
        self.node = node
        self.clients = [node.connect(sub=f"user-{n}", claims={"info": {"n": n}}) for n in range(3)]
        self.names = {}
        self.positions = {}  # of channels: the last that was told

    def name(self, kind, value):
        return self.names.setdefault((kind, value), f"{kind}-{sum(1 for k, _ in self.names if k == kind)}")

    def plain(self, value, key=None):
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items() if k not in ("timestamp", "session_id")}
        if isinstance(value, list):
            return [self.plain(v, key) for v in value]
        if isinstance(value, str) and key == "epoch":
            return self.name("epoch", value)
        if isinstance(value, str) and key == "id" and len(value) == 36:
            return self.name("id", value)
        return value

    def learn(self, channel, data):
        if data.get("epoch"):
            self.positions[channel] = {k: data[k] for k in ("epoch", "offset", "id") if k in data}

    def api(self, method, path, body=None):
        answer = self.node.api(method, path, body)
        return [answer.status, self.plain(answer.json)]

    def command(self, n, type_, **data):
        """The answer, what the others get after it, and what came to the asker before or after."""
        client = self.clients[n]
        client.send(type_, id=1, **data)
        while True:
            message = client.receive()
            if message.get("id") == 1 and "channel" in message or message["type"] == "error":
                break
            client.skipped.append(message)
        if message["type"] in ("subscribed", "published"):
            self.learn(data["channel"], message["data"])
        if message["type"] == "error":
            message["error"].pop("message")
        return self.plain(message)

    def drain(self):
        """The frames of all clients so far, without join and leave: those come when the node tells its presence."""
        out = []
        for client in self.clients:
            client.send("ping", id=2)
            client.find("pong", id=2)
            got, client.skipped[:] = list(client.skipped), []
            out.append([self.plain(message) for message in got if message["type"] not in ("join", "leave")])
        return out


def position(rng, places, channel):
    """The same place in the history of a channel for each, or None: as told last, or some events before, or of no epoch."""
    if any(channel not in place.positions for place in places):
        return None
    back, other, with_id = rng.choice([0, 0, 1, 2, 5, 50]), rng.random() < 0.1, rng.random() < 0.7
    out = []
    for place in places:
        at = dict(place.positions[channel])
        if back or not with_id:
            at.pop("id", None)
        at["offset"] = max(0, at["offset"] - back)
        if other:
            at["epoch"] = "another"
        out.append(at)
    return out


def step(rng, places):
    """Draws one command and gives it to each node. Returns the answers."""
    channel, n = rng.choice(CHANNELS), rng.randrange(3)
    kind = rng.choice(["subscribe", "subscribe", "unsubscribe", "publish", "publish", "http", "http", "batch", "history", "api history",
                       "presence"])
    event = {"type": "test", "data": rng.randrange(1000)}
    if rng.random() < 0.3:
        event["event_id"] = f"event-{rng.randrange(8)}"
    at = position(rng, places, channel)
    more = [{} for _ in places]
    if kind == "subscribe" and rng.random() < 0.3:
        more = [{"last": rng.choice([0, 1, 2, 100])}] * len(places)
    elif kind == "subscribe" and at and rng.random() < 0.6:
        more = [{"since": one} for one in at]
    elif kind == "history" and at and rng.random() < 0.7:
        way = rng.choice(["since", "before"])
        more = [{way: one} for one in at]
    if kind == "history":
        limit = rng.choice([1, 2, 50])
        more = [{**one, "limit": limit} for one in more]
    answers = []
    for place, own in zip(places, more):
        path = f"/api/v1/channels/{channel.replace('{', '%7B').replace('%}', '%25%7D')}"
        if kind in ("subscribe", "unsubscribe", "history"):
            answers.append(place.command(n, kind, channel=channel, **own))
        elif kind == "publish":
            answers.append(place.command(n, "publish", channel=channel, **event))
        elif kind == "http":
            answers.append(place.api("POST", "/api/v1/publish", {"channel": channel, **event}))
        elif kind == "batch":
            commands = [{"publish": {"channel": channel, **event}}, {"broadcast": {"channels": CHANNELS, **event}},
                        {"publish": {"channel": channel, **event, "type": "No"}}]
            answers.append(place.api("POST", "/api/v1/batch", {"commands": commands}))
        elif kind == "api history":
            answers.append(place.api("GET", f"{path}/history?limit={event['data'] % 5 + 1}"))
        else:
            answers.append(place.api("GET", f"{path}/presence")[0])
    return (kind, channel, n, event, more[0]), answers


def presence(place):
    return [place.api("GET", f"/api/v1/channels/{channel}/presence") for channel in ("few:a", "few:b:c", "log:a")]


@pytest.fixture
def places(launch, redis):
    config = {"channels": RULES, "limits.message_rate": 10000, "limits.message_burst": 10000, "limits.bad_messages": 0, "workers": 1}
    both = [launch(config), launch({**config, "redis.url": redis.url})]
    until(both[1].ready, "it is ready")
    return [Place(node) for node in both]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_script_on_both(places, seed):
    rng = random.Random(seed)
    done = []
    for _ in range(80):
        what, answers = step(rng, places)
        done.append(what)
        assert answers[0] == answers[1], done[-5:]
        got = [place.drain() for place in places]

        def same():
            for mine, place in zip(got, places):
                for events, more in zip(mine, place.drain()):
                    events += more
            return got[0] == got[1]

        until(same, f"the same events have come after {done[-3:]}")
    until(lambda: presence(places[0]) == presence(places[1]), "presence is the same")
