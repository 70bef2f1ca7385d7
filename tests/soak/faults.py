"""Faults for every soak, with any topology of Redis. single.py, sentinel.py and cluster.py have the faults of one topology. Each returns
once the fault is over, not its consequences. `random` decides whom a fault hits and for how long. How often `random` is asked depends on
nothing else. So a seed is a plan."""
import re
import signal
import threading
import time
from contextlib import contextmanager

from support import jwt, ws
from support.carillon import ALL
from support.load import PATIENCE_S
from support.redis import RedisError
from support.wait import until

BACK_S = 45  # within which everything is up again after a fault
MARKED = "marked"  # a user of whom the soak knows all sessions


def wait(seconds):
    """That long, and not until something: the length of the fault is part of it."""
    threading.Event().wait(seconds)


def any_but_the_first(world, random):
    """The first node is never killed, so that the growth of its memory over hours shows."""
    return random.randrange(1, len(world.nodes))


# --- any Redis that takes writes ---


def redis_is_full(world, random):
    server = world.redis.writer(random)
    server("CONFIG", "SET", "maxmemory", "1")
    wait(random.uniform(0.5, 3))
    server("CONFIG", "SET", "maxmemory", "0")


def redis_stutters(world, random):
    freeze(world.redis.writer(random), random.uniform(0.1, 0.7))


def freeze(server, seconds):
    server.freeze()
    wait(seconds)
    server.thaw()


@contextmanager
def losing(world):
    """For a fault in which one server takes the place of another that still takes writes. All are well when it is over."""
    redis = world.redis.whole()
    with world.ledger.writes_may_be_lost():
        yield redis
        redis.whole()


def redis_cuts_connections(world, random):
    world.redis.writer(random)("CLIENT", "KILL", "TYPE", random.choice(["pubsub", "normal"]), "SKIPME", "yes")


def redis_gives_up_a_subscriber(world, random):
    """One node's subscribing connection only."""
    server, which = world.redis.writer(random), random.random()
    lines = [line for line in server("CLIENT", "LIST", "TYPE", "pubsub").splitlines() if line]
    if lines:
        try:
            server("CLIENT", "KILL", "ID", re.match(r"id=(\d+)", lines[int(which * len(lines))]).group(1))
        except RedisError:
            pass  # it has just gone


def redis_output_buffers_overflow(world, random):
    """Redis cuts off who does not take what it has to send: here more at once than the limit allows."""
    channel = "carillon:{plain:a}:live"
    server = world.redis.home(channel)
    server("CONFIG", "SET", "client-output-buffer-limit", "pubsub 300000 0 0")
    server("EVAL", f"for n = 1, 100 do redis.call('{world.redis.PUBLISH}', KEYS[1], '{{\"type\":\"big\",\"data\":\"' .. "
           "string.rep('x', 20000) .. '\"}') end", "1", channel)
    server("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60")


def scripts_are_flushed(world, random):
    world.redis.writer(random)("SCRIPT", "FLUSH")


def key_is_lost(world, random):
    """That of a channel's position, as when its time is over."""
    key = f"carillon:{{{random.choice(world.NUMBERED)}}}:meta"
    world.redis.home(key)("DEL", key)


# --- nodes ---


def node_is_killed(world, random):
    index = any_but_the_first(world, random)
    world.kill(index)
    wait(random.uniform(0, 1))
    world.nodes[index] = world.start(index)


def node_is_replaced(world, random):
    """As in an update: it drains, and another one comes."""
    index = any_but_the_first(world, random)
    world.nodes[index].close()
    world.nodes[index] = world.start(index)


def node_stands_still(world, random):
    node = world.nodes[random.randrange(len(world.nodes))]
    node.signal(signal.SIGSTOP)
    wait(random.uniform(0.5, 8))
    node.signal(signal.SIGCONT)


def history_is_given_and_taken(world, random):
    """By a reload of all nodes. A subscriber at each is told where the channel is, and that it is nowhere."""
    channel = f"turned:{random.getrandbits(64):x}"
    nodes = list(world.nodes)
    clients = [until(lambda node=node: opened(node, jwt.mint(MARKED)), "a session to tell", BACK_S) for node in nodes]
    for client in clients:
        client.send("subscribe", channel=channel)
        assert client.find("subscribed", seconds=BACK_S)["data"] == {"recovered": False}
    use_rules(nodes, [{"match": "turned:*", "allow": ALL, "history": {"size": 5, "ttl": "1h"}}, *world.rules])
    told = [gap_that_changes(client, True) for client in clients]
    assert all(position == told[0] for position in told), f"{channel}: nodes tell {told}"
    use_rules(nodes, world.rules)
    for client in clients:
        gap_that_changes(client, False)
        client.socket.close()


def use_rules(nodes, rules):
    for node in nodes:
        node.write_config({**node.config, "channels": rules})
        node.signal(signal.SIGHUP)


def gap_that_changes(client, is_given):
    """Others come where the way to Redis breaks."""
    while True:
        position = client.find("gap", seconds=BACK_S)["data"]
        position.pop("reason")
        if ("epoch" in position) == is_given:
            return position


def clock_jumps(world, random):
    clock = world.clocks[any_but_the_first(world, random)]
    clock.set(random.choice([-3600, 3600]))
    wait(random.uniform(1, 4))
    clock.set(0)


def node_disagrees(world, random):
    """One that is started with another setting of what all must share: all say so, and no longer when it is replaced."""
    index = any_but_the_first(world, random)
    world.nodes[index].close()
    world.nodes[index] = world.start(index, {"idempotency_window": "3m"})
    world.all_ready()
    until(lambda: all(world.disagreeing()), "all nodes say that one disagrees", BACK_S)
    world.nodes[index].close()
    world.nodes[index] = world.start(index)
    until(lambda: not any(world.disagreeing()), "all nodes agree again", BACK_S)


# --- clients ---


def clients_are_cut(world, random):
    """Half of the sessions of one node, by the API."""
    node = world.nodes[random.randrange(len(world.nodes))]
    try:
        for session in node.api("GET", "/api/v1/sessions?limit=200", seconds=5).json["sessions"][::2]:
            node.api("POST", "/api/v1/disconnect", {"session_id": session["session_id"]}, seconds=5)
    except OSError:
        pass


def token_is_revoked(world, random):
    """A token is revoked on one node. Its sessions end on all nodes, and none takes it any more."""
    jti = f"r-{random.getrandbits(64):x}"
    first, revoking = random.randrange(len(world.nodes)), random.randrange(len(world.nodes))
    token = jwt.mint(MARKED, jti=jti, expires_s=7 * 86400)
    clients = [until(lambda node=node: opened(node, token), "a session to revoke", BACK_S)
               for node in (world.nodes[first], world.nodes[first - 1])]
    until(lambda: world.nodes[revoking].api("POST", "/api/v1/revoke", {"jti": jti, "exp": int(time.time()) + 600}).status == 200,
          "the token is revoked", BACK_S)
    for client in clients:
        closed = client.expect_close(seconds=BACK_S)
        assert closed.code in (1008, None), closed  # None: its node had given it up
        client.socket.close()
    for node in world.nodes:
        until(lambda node=node: is_refused(node, token), f"{node.name} refuses the revoked token", BACK_S)


def opened(node, token, **options):
    try:
        return ws.Client(node.public, token, seconds=PATIENCE_S, **options).start()
    except (OSError, ws.Refused, ws.Closed, AssertionError):
        return None


def is_refused(node, token):
    try:
        with ws.Client(node.public, token, seconds=PATIENCE_S):
            return False
    except ws.Refused as refusal:
        return b"revoked" in refusal.response.body
    except (OSError, ws.Closed):
        return False


def client_does_not_read(world, random):
    """Until it is closed, with what it should have had."""
    node = world.nodes[random.randrange(len(world.nodes))]
    client = until(lambda: opened(node, jwt.mint(MARKED), receive_buffer=16384), "a session that does not read", BACK_S)
    with client:
        client.send("subscribe", channel="flood")
        client.find("subscribed", seconds=BACK_S)
        before = node.metric("carillon_slow_consumers_total")
        big = {"channel": "flood", "type": "big", "data": "x" * 60000}

        def is_closed():
            try:
                node.api("POST", "/api/v1/batch", {"commands": [{"publish": big}] * 10}, seconds=PATIENCE_S)
            except OSError:
                return False  # it waits for Redis
            return node.metric("carillon_slow_consumers_total") > before

        until(is_closed, "a client that does not read is closed", BACK_S)
        closed = client.expect_close(seconds=BACK_S)
    assert closed.code in (1013, None), closed


WEIGHTS = {
    redis_is_full: 0.7, redis_stutters: 1, redis_cuts_connections: 1, redis_gives_up_a_subscriber: 1,
    redis_output_buffers_overflow: 0.7, scripts_are_flushed: 1, node_is_killed: 1, node_is_replaced: 1, node_stands_still: 1,
    clock_jumps: 0.7, key_is_lost: 0.5, history_is_given_and_taken: 0.5, node_disagrees: 0.3, clients_are_cut: 1, token_is_revoked: 0.7, client_does_not_read: 0.5,
}
