"""The users of a channel: on one node from memory, on two with Redis, with several tabs, kills and pages."""
import itertools
import json
import signal
import time

import pytest
from support.carillon import ALL
from support.proxy import Proxy
from support.wait import until

RULES = [
    {"match": "room:*", "allow": ALL, "presence": True, "presence_events": True, "presence_ttl": "2s"},
    {"match": "quiet:*", "allow": ALL, "presence": True, "presence_ttl": "2s"},
    {"match": "brief:*", "allow": ALL, "presence": True, "presence_events": True, "presence_ttl": "1s"},
    {"match": "blind:*", "allow": ["subscribe"], "presence": True},
    {"match": "*", "allow": ALL},
]


def members(node, channel="room:a", **query):
    more = "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
    answer = node.api("GET", f"/api/v1/channels/{channel}/presence{more}")
    assert answer.status == 200, answer
    return answer.json


def users(node, channel="room:a"):
    return [member["user"] for member in members(node, channel)["members"]]


def users_if_known(node, channel="room:a"):
    """None where the node says that it cannot know now."""
    answer = node.api("GET", f"/api/v1/channels/{channel}/presence")
    if answer.status == 503:
        return None
    assert answer.status == 200, answer
    return [member["user"] for member in answer.json["members"]]


def users_when_known(node, channel="room:a"):
    return until(lambda: users_if_known(node, channel), "the node can be asked")


def counts_until(redis, channel="room:a"):
    """For each node with members there, the time in ms until which they count."""
    nodes = redis("HGETALL", f"carillon:{{{channel}}}:presence:nodes")
    return {node.split("#")[0]: int(till.split()[0]) for node, till in zip(nodes[::2], nodes[1::2]) if node}


def wait_for_time(ms):
    """Redis's clock, which is this machine's, is past it."""
    until(lambda: time.time() * 1000 > ms, "the time has passed")


def node_id(node):
    return node.api("GET", "/api/v1/info").json["node"]


def leaves_told(*clients):
    for client in clients:
        client.ask("ping", "pong")
    return [message["data"]["user"] for client in clients for message in client.skipped if message["type"] == "leave"]


@pytest.fixture(params=["memory", "redis"])
def nodes(request, launch):
    """One node, or two that share a Redis: the same must hold."""
    config = {"channels": RULES, "redis.linger": "0"}
    if request.param == "memory":
        node = launch(config)
        return [node, node]
    return launch.pair(request.getfixturevalue("redis"), config)


@pytest.fixture
def pair(launch, redis):
    return launch.pair(redis, {"channels": RULES})


def test_join_and_leave(nodes):
    a, b = nodes
    with a.connect("alice", {"info": {"name": "Ali \u00e7", "n": 1.50}}) as alice:
        alice.subscribe("room:a")
        own = alice.expect("join")
        assert own["data"] == {"user": "alice", "info": {"name": "Ali \u00e7", "n": 1.5}}
        assert own["channel"] == "room:a" and own["timestamp"] and "offset" not in own
        with b.connect("bob", {"info": [7]}) as bob:
            bob.subscribe("room:a")
            assert alice.expect("join")["data"] == {"user": "bob", "info": [7]}
            assert bob.expect("join")["data"] == {"user": "bob", "info": [7]}
            answer = bob.ask("presence", "presence", channel="room:a")
            assert answer["channel"] == "room:a"
            data = answer["data"]
            assert (data["users"], data["connections"], data["next"]) == (2, 2, None)
            assert [m["user"] for m in data["members"]] == ["alice", "bob"]
            assert data["members"][0]["info"]["name"] == "Ali \u00e7"
            assert members(a)["members"] == members(b)["members"] == data["members"]
            bob.ask("unsubscribe", "unsubscribed", channel="room:a")
            assert alice.expect("leave")["data"] == {"user": "bob", "info": [7]}  # the entry, as it was in the join
            bob.subscribe("room:a")
            alice.expect("join")
        assert alice.expect("leave")["data"]["user"] == "bob"  # a connection that ends leaves too
        assert users(b) == ["alice"]
    until(lambda: members(b) == {"channel": "room:a", "users": 0, "connections": 0, "members": [], "next": None}, "all left")


def test_tabs_of_a_user(nodes):
    a, b = nodes
    with a.connect("watcher") as watcher, a.connect("carol") as one, a.connect("carol") as two, b.connect("carol") as three:
        watcher.subscribe("room:a")
        watcher.expect("join", data={"user": "watcher"})
        one.subscribe("room:a")
        watcher.expect("join", data={"user": "carol"})
        two.subscribe("room:a")
        three.subscribe("room:a")
        until(lambda: members(a)["connections"] == 4, "all are counted")
        assert members(b)["users"] == 2
        one.close()
        three.close()
        until(lambda: members(a)["connections"] == 2, "two have left")
        watcher.nothing_before_pong()
        two.close()
        watcher.expect("leave", data={"user": "carol"})
        watcher.nothing_before_pong()


def test_without_events(nodes):
    a, b = nodes
    with a.connect("dave") as dave:
        dave.subscribe("quiet:a")
        until(lambda: users(b, "quiet:a") == ["dave"], "he is seen")
        dave.nothing_before_pong()


def test_refusals(nodes):
    a, _ = nodes
    with a.connect("erin") as erin:
        erin.subscribe("blind:a")
        erin.error("presence", "unauthorized", channel="blind:a")
        erin.error("presence", "not_found", channel="none")
        erin.error("presence", "invalid_request", channel="room:a", limit=0)
        erin.error("presence", "invalid_request", channel="room:a", limit=1001)
    assert a.api("GET", "/api/v1/channels/none/presence").status == 404
    assert a.api("GET", "/api/v1/channels/room:a/presence?limit=0").status == 400
    assert a.api("GET", "/api/v1/channels/room:a/presence", key="wrong").status == 401


def test_seen_by_the_leave_of_another_rule(launch):
    """The channel's first rule says whether it is kept, whoever asks."""
    node = launch({"channels": [{"match": "user:{sub}", "allow": ["subscribe"], "presence": True},
                                {"match": "user:*", "allow": ["presence"]}]})
    with node.connect("alice") as alice, node.connect("bob") as bob:
        alice.subscribe("user:alice")
        until(lambda: members(node, "user:alice")["users"] == 1, "she is seen")
        assert bob.ask("presence", "presence", channel="user:alice")["data"]["members"] == [{"user": "alice"}]


def test_join_is_no_history(nodes):
    a, b = nodes
    with a.connect("frank") as frank:
        frank.subscribe("room:a")
        frank.expect("join")
        page = b.api("GET", "/api/v1/channels/room:a/history").json
        assert page["events"] == []
        frank.error("publish", "invalid_request", channel="room:a", type="leave", data={"user": "frank"})


def test_pages_of_a_crowd(nodes):
    a, b = nodes
    names = [f"user-{n:03}" for n in range(0, 260)] + ["\u00e9t\u00e9", "a b"]
    clients = [(a, b)[n % 2].connect(name) for n, name in enumerate(names)]
    for client in clients:
        client.send("subscribe", channel="quiet:crowd")
    until(lambda: members(a, "quiet:crowd")["users"] == len(names), "all are there")
    seen, after = [], None
    while True:
        page = clients[0].ask("presence", "presence", channel="quiet:crowd", limit=100, **({"after": after} if after else {}))
        assert page["data"]["users"] == len(names)
        seen += [member["user"] for member in page["data"]["members"]]
        after = page["data"]["next"]
        if not after:
            break
    assert seen == sorted(names, key=lambda name: name.encode())
    assert len(members(b, "quiet:crowd")["members"]) == 100
    for client in clients:
        client.close()
    until(lambda: members(a, "quiet:crowd")["users"] == 0, "all have left")


def test_a_killed_node_leaves_once(pair):
    a, b = pair
    with a.connect("gone"), a.connect("both") as on_a, b.connect("both") as on_b, b.connect("watcher") as watcher:
        gone = a.connect("gone")
        watcher.subscribe("room:a")
        watcher.expect("join", data={"user": "watcher"})
        on_b.subscribe("room:a")
        on_a.subscribe("room:a")
        watcher.expect("join", data={"user": "both"})
        gone.subscribe("room:a")
        watcher.expect("join", data={"user": "gone"})
        until(lambda: members(b)["connections"] == 4, "all are counted")
        a.kill()
        watcher.expect("leave", data={"user": "gone"})
        until(lambda: members(b)["connections"] == 2, "the dead node's connections are gone")
        assert users(b) == ["both", "watcher"]
        watcher.nothing_before_pong()


def test_of_a_channel_that_died_with_its_node(pair, redis):
    a, b = pair
    with a.connect("alone") as alone:
        alone.subscribe("room:a")
        until(lambda: users(b) == ["alone"], "it is seen")
        a.kill()
        until(lambda: users(b) == [], "it is gone")
    until(lambda: not redis("KEYS", "carillon:{room:a}:presence*"), "and Redis keeps nothing of it")


def test_stays_longer_than_its_ttl(pair, redis):
    a, b = pair
    with a.connect("heidi") as heidi, b.connect("ivan") as ivan:
        heidi.subscribe("room:a")
        ivan.subscribe("room:a")
        until(lambda: users(b) == ["heidi", "ivan"], "both are seen")
        first = counts_until(redis)

        def renewed_twice():
            now = counts_until(redis)
            return all(now[node] > first[node] + 2500 for node in first)

        until(renewed_twice, "both nodes give signs of life")
        assert users(a) == ["heidi", "ivan"]
        ivan.skipped.clear()
        ivan.expect("join")


def test_redis_away_and_back(pair, redis):
    a, b = pair
    with a.connect("judy") as judy, b.connect("kim") as kim:
        judy.subscribe("room:a")
        kim.subscribe("room:a")
        until(lambda: users(b) == ["judy", "kim"], "both are seen")
        redis.stop()
        until(lambda: not a.ready() and not b.ready(), "the loss is noticed")
        assert a.api("GET", "/api/v1/channels/room:a/presence").status == 503
        kim.close()
        redis.start()
        until(a.ready, "it is back")
        until(lambda: users(a) == ["judy"], "who left meanwhile is gone")


def test_nobody_gave_a_sign_of_life(pair, redis):
    """All nodes were held up for longer than the ttl, as when Redis is away: that is no reason to think one of them dead."""
    a, b = pair
    with a.connect("judy") as judy, b.connect("kim") as kim:
        judy.subscribe("room:a")
        kim.subscribe("room:a")
        until(lambda: users(b) == ["judy", "kim"], "both are seen")

        def is_over():
            return all(till < time.time() * 1000 for till in counts_until(redis).values())

        for node in pair:
            node.signal(signal.SIGSTOP)
        until(is_over, "the time of both nodes is over")
        for node in pair:
            node.signal(signal.SIGCONT)
        until(lambda: not is_over(), "they are back")
        assert users(a) == ["judy", "kim"]
        for client in (judy, kim):
            client.ask("ping", "pong")
            assert [message for message in client.skipped if message["type"] == "leave"] == []


@pytest.fixture
def impatient(launch, redis):
    """Three nodes that give up a frozen Redis before anybody's time is over. On a busy machine they give up one that is not
    frozen now and then, and cannot be asked until they have connected again."""
    config = {"channels": RULES, "redis.url": redis.url, "redis.canary_interval": "1s", "redis.command_timeout": "300ms",
              "redis.retry_max": "300ms"}
    nodes = [launch(config) for _ in range(3)]
    for node in nodes:
        until(node.ready, f"{node.name} is ready")
    return nodes


def test_asked_before_anybody_is_back(impatient, redis):
    """Redis was away for longer than the ttl, and the first who asks is a node without members: nobody has left."""
    a, b, stranger = impatient
    with a.connect("judy") as judy, b.connect("kim") as kim:
        judy.subscribe("room:a")
        kim.subscribe("room:a")
        until(lambda: users_if_known(stranger) == ["judy", "kim"], "both are seen")
        redis.freeze()
        until(lambda: not any(node.ready() for node in impatient), "the loss is noticed")
        for node in (a, b):
            node.signal(signal.SIGSTOP)  # slower to come back than the third
        wait_for_time(time.time() * 1000 + 2100)
        redis.thaw()
        until(stranger.ready, "one is back")
        assert users_when_known(stranger) == ["judy", "kim"]
        for node in (a, b):
            node.signal(signal.SIGCONT)
        until(lambda: min(counts_until(redis).values()) > time.time() * 1000, "the others are back")
        assert users_when_known(stranger) == ["judy", "kim"]
        assert leaves_told(judy, kim) == []


def test_redis_away_for_more_than_half_the_ttl(impatient, redis):
    """The time of one node ends meanwhile, that of the other does not: that is no reason to think the one dead."""
    a, b, _ = impatient
    one, other = node_id(a), node_id(b)
    with a.connect("judy") as judy, b.connect("kim") as kim:
        judy.subscribe("room:a")
        until(lambda: users_if_known(b) == ["judy"], "the one is seen")
        wait_for_time(counts_until(redis)[one] - 1250)  # half way between two signs of life
        kim.subscribe("room:a")

        def other_was_last():
            tills = counts_until(redis)
            return 100 < tills.get(other, 0) - tills[one] < 400 and tills

        tills = until(other_was_last, "the other gives signs of life between those of the one")
        redis.freeze()
        a.signal(signal.SIGSTOP)  # slower to come back
        wait_for_time(tills[one])
        redis.thaw()
        until(lambda: counts_until(redis)[other] > tills[other], "the other is back")
        a.signal(signal.SIGCONT)
        until(lambda: counts_until(redis).get(one, 0) > tills[one], "and the one")
        assert users_when_known(b) == ["judy", "kim"]
        assert leaves_told(judy, kim) == []


def test_a_node_that_is_cut_off(launch, redis):
    """For longer than the ttl: for the others its members leave, once, and join again when the network is whole."""
    config = {"channels": RULES, "redis.canary_interval": "1s", "redis.command_timeout": "1s", "redis.connect_timeout": "1s",
              "redis.retry_max": "1s"}
    proxy = Proxy(redis.port)
    a, b = launch({**config, "redis.url": proxy.url}), launch({**config, "redis.url": redis.url})
    for node in (a, b):
        until(node.ready, f"{node.name} is ready")
    with a.connect("judy") as judy, b.connect("kim") as kim:
        kim.subscribe("room:a")
        kim.expect("join", data={"user": "kim"})
        judy.subscribe("room:a")
        kim.expect("join", data={"user": "judy"})
        proxy.open.clear()
        kim.expect("leave", data={"user": "judy"})
        assert users(b) == ["kim"]
        until(lambda: len(b.api("GET", "/api/v1/info").json["nodes"]) == 1, "the other is taken for gone")
        proxy.open.set()
        kim.expect("join", data={"user": "judy"})
        until(a.ready, "it is back")
        assert users(a) == users(b) == ["judy", "kim"]  # Redis has lost nothing, and nobody says so
        kim.nothing_before_pong()
        assert leaves_told(judy) == []
    proxy.close()


def test_leaves_of_a_long_absence_are_told(launch, redis):
    """Users who left, and users whose node died, while Redis was away for several times the ttl: each is told once. A node that gave up
    a Redis which is only slow would miss them, so these nodes are patient."""
    a, b = launch.pair(redis, {"channels": RULES, "redis.command_timeout": "3s", "redis.retry_max": "300ms"})
    with a.connect("judy") as judy, b.connect("kim") as kim, a.connect("leo") as leo:
        for client in (judy, kim, leo):
            client.subscribe("brief:a")
        assert {judy.expect("join")["data"]["user"] for _ in range(3)} == {"judy", "kim", "leo"}
        until(lambda: users_if_known(b, "brief:a") == ["judy", "kim", "leo"], "all are seen")
        redis.freeze()
        until(lambda: not a.ready() and not b.ready(), "the loss is noticed")
        wait_for_time(time.time() * 1000 + 3000)
        b.kill()
        leo.close()
        redis.thaw()
        assert {judy.find("leave")["data"]["user"] for _ in range(2)} == {"kim", "leo"}
        assert users_when_known(a, "brief:a") == ["judy"]
        judy.nothing_before_pong()


def test_a_crowd_on_a_dead_node(pair, redis):
    """However many they were, nobody sees some of them when their time is over."""
    a, _ = pair
    names = [f"user-{n:05}" for n in range(20000)]
    key = "carillon:{quiet:a}:presence"
    for part in (names[n:n + 1000] for n in range(0, len(names), 1000)):
        redis("HSET", key, *[word for name in part for word in (name, json.dumps({"user": name}))])
        redis("ZADD", f"{key}:users", *[word for name in part for word in (0, f"{name}\0dead#1")])
        redis("ZADD", f"{key}:members", *[word for name in part for word in (0, f"dead#1\0{name}")])
    redis("HSET", f"{key}:nodes", "dead#1", f"{int(time.time() * 1000) + 500} 20000 1")
    assert members(a, "quiet:a")["users"] == len(names)
    left = until(lambda: (page := members(a, "quiet:a"))["users"] < len(names) and page, "its time is over")
    assert (left["users"], left["connections"], left["members"]) == (0, 0, [])
    assert not redis("KEYS", "carillon:{quiet:a}:presence*")


def test_redis_that_lost_everything(pair, redis):
    a, b = pair
    with a.connect("leo") as leo, b.connect("mia") as mia:
        leo.subscribe("room:a")
        mia.subscribe("room:a")
        until(lambda: users(b) == ["leo", "mia"], "both are seen")
        redis("FLUSHALL")
        until(lambda: users_if_known(a) == ["leo", "mia"], "both are seen again")


def test_redis_that_went_back(pair, redis):
    """As after a failover to a replica that had fallen behind: it has a member of the node who has left since."""
    a, b = pair
    with a.connect("leo") as leo, a.connect("mia") as mia:
        leo.subscribe("room:a")
        until(lambda: users(b) == ["leo"], "the first is seen")
        keys = redis("KEYS", "carillon:{room:a}:presence*")
        for key in keys:
            redis("COPY", key, f"{key}.then")
        mia.subscribe("room:a")
        leo.close()
        until(lambda: users(b) == ["mia"], "the other has taken its place")
        for key in keys:
            redis("COPY", f"{key}.then", key, "REPLACE")
        until(lambda: users(b) == ["mia"], "so it is again")


def test_a_crowd_when_redis_went_back(pair, redis):
    """More members on a node than fit into one update: all come again, and nobody is told to have left."""
    a, b = pair
    names = [f"user-{n:03}" for n in range(250)]
    with b.connect("watcher") as watcher:
        watcher.subscribe("room:a")
        clients = [a.connect(name) for name in names]
        for client in clients:
            client.send("subscribe", channel="room:a")
        until(lambda: members(b)["users"] == len(names) + 1, "all are seen")
        keys = redis("KEYS", "carillon:{room:a}:presence*")
        for key in keys:
            redis("COPY", key, f"{key}.then")
        clients[0].close()
        late = a.connect("zoe")
        late.subscribe("room:a")
        until(lambda: "user-000" not in users(b) and members(b)["users"] == len(names) + 1, "one has come, one has gone")
        watcher.find("leave", data={"user": "user-000"})
        for key in keys:
            redis("COPY", f"{key}.then", key, "REPLACE")
        watcher.find("leave", data={"user": "user-000"})  # whom the old state still had
        until(lambda: members(b)["users"] == len(names) + 1, "all are seen again")
        watcher.ask("ping", "pong")
        assert [message for message in watcher.skipped if message["type"] == "leave"] == []
        for client in clients[1:]:
            client.drop()


LOG = [{"match": "log:*", "allow": ALL, "presence": True, "presence_events": True, "history": {"size": 10000}}]


def test_who_comes_while_a_subscriber_still_catches_up(launch):
    node = launch({"channels": LOG, "outbox.max_bytes": "64k"})
    first = node.publish("log:x", "")
    for _ in range(200):
        node.publish("log:x", "x" * 30000)
    with node.connect("slow", receive_buffer=4096) as slow, node.connect("other") as other:
        slow.send("subscribe", channel="log:x", since={"epoch": first["epoch"], "offset": 1})
        assert slow.expect("subscribed")["data"]["recovered"]
        other.subscribe("log:x")
        other.find("join", data={"user": "other"})
        last = node.publish("log:x", "last")["offset"]
        joined = []
        while (message := slow.receive()).get("offset") != last:
            joined += [message["data"]["user"]] if message["type"] == "join" else []
        assert "other" in joined


@pytest.mark.parametrize("more", [{}, {"last": 1}, {"since": {"epoch": "x", "offset": 1}}], ids=["new", "last", "since"])
def test_who_comes_hears_of_itself(launch, redis, more):
    """However long Redis takes for the subscription: the join comes after it."""
    proxy = Proxy(redis.port)
    node = launch({"channels": LOG, "redis.url": proxy.url})
    until(node.ready, "ready")
    proxy.delay_s = 0.1  # several pass until the channel is ready
    with node.connect("bob") as bob:
        bob.send("subscribe", channel="log:x", **more)
        bob.find("subscribed")
        bob.find("join", data={"user": "bob"})
    proxy.delay_s = 0
    node.close()
    proxy.close()


def test_who_comes_while_a_node_is_cut_off(launch, redis):
    config = {"channels": LOG, "redis.url": redis.url}
    a, b = launch(config), launch(config)
    until(lambda: a.ready() and b.ready(), "ready")
    with a.connect("ann") as ann, b.connect("bob") as bob:
        bob.subscribe("log:x")
        bob.find("join", data={"user": "bob"})
        of_b = b.api("GET", "/api/v1/info").json["node"]
        for line in redis("CLIENT", "LIST", "TYPE", "pubsub").splitlines():
            client = dict(word.partition("=")[::2] for word in line.split())
            if of_b in client["name"]:
                redis("CLIENT", "KILL", "ID", client["id"])
        ann.subscribe("log:x")
        # Whether ann's join came is a matter of moments. That it may not have come is always said.
        gap = bob.find("gap")["data"]
        assert gap["reason"] == "connection_lost" and gap["offset"] == 0
        assert a.publish("log:x", 1)["offset"] == 1
        assert bob.find("test")["offset"] == 1


def test_names_that_contain_one_another(nodes):
    a, b = nodes
    names = ["n", "nn", "n:n", "n{n}", 'n"n', "n%n"]
    clients = [a.connect(name) for name in names]
    for client in clients:
        client.subscribe("quiet:{x}%")
    until(lambda: users(b, "quiet:%7Bx%7D%25") == sorted(names), "all are seen")
    clients[0].close()
    until(lambda: users(b, "quiet:%7Bx%7D%25") == sorted(names[1:]), "only one leaves")
    for client in clients[1:]:
        client.drop()


def test_reserved_types_from_backends(pair, redis):
    """Only with its channel, as the nodes' scripts write it, join is taken from Redis."""
    a, _ = pair
    with a.connect("nina") as nina:
        nina.subscribe("quiet:a")
        redis("PUBLISH", "carillon:{quiet:a}:live", json.dumps({"type": "join", "data": {"user": "x"}}))
        nina.nothing_before_pong()


PRESENCE_KEYS = ["presence", "presence:users", "presence:members", "presence:nodes"]
LOSSES = [(command, (key,)) for command in ("DEL", "SET", "PEXPIRE") for key in PRESENCE_KEYS]
LOSSES += [("DEL", pair) for pair in itertools.combinations(PRESENCE_KEYS, 2)]


@pytest.mark.parametrize("command", ["DEL", "SET", "PEXPIRE"])
def test_a_lost_key_is_made_again(pair, redis, command):
    """Whichever key of a channel is lost, or of another type, or two are: who is there is right again. Nobody stays for good, and nobody is
    without a name. Until then nodes say that they do not know, which is tested below. With so short a ttl, a node on a busy machine may be
    late with its members."""
    a, b = pair
    with a.connect("judy", {"info": {"age": 7}}) as judy:
        judy.subscribe("brief:a")
        for how, keys in LOSSES:
            if how != command:
                continue
            with b.connect("kim") as kim:
                kim.subscribe("brief:a")
                until(lambda: users_if_known(a, "brief:a") == ["judy", "kim"], "both are there")
                for key in keys:
                    redis(command, f"carillon:{{brief:a}}:{key}", *{"DEL": [], "SET": ["x"], "PEXPIRE": [0]}[command])
                for node in (b, a):
                    until(lambda n=node: users_if_known(n, "brief:a") == ["judy", "kim"], f"{keys} are there again")
                page = members(a, "brief:a")
                assert page["users"] == page["connections"] == 2 and page["members"][0]["info"] == {"age": 7}
            until(lambda: users(b, "brief:a") == ["judy"], "kim has left")


@pytest.mark.parametrize("how", ["FLUSHALL", "restart"])
def test_a_redis_that_comes_back_empty_is_not_believed(pair, redis, how):
    a, b = pair
    with a.connect("judy") as judy:
        judy.subscribe("room:a")
        until(lambda: users(b) == ["judy"], "she is seen")
        if how == "restart":
            redis.stop()
            for file in (redis.folder / "appendonlydir").iterdir():
                file.unlink()
            redis.start()
        else:
            redis("FLUSHALL")
        answers = [users_if_known(b)]
        until(lambda: answers.append(users_if_known(b)) or answers[-1], "she is seen again")
        assert answers[0] is None and all(answer in (None, ["judy"]) for answer in answers), answers
