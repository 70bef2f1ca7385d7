"""Scenario history: the cost of a history for the live path. One server has a channel with a history and a channel without. Short loads
take turns on the two. The machine's speed moves by more than the cost that is looked for, and so do two processes of one program. So the
ratio within a turn counts, and its median over many turns. Server and generator share one core. On two cores the cost of a send differs
from load to load, because a changing part of the receiving runs beside the sending."""
import contextlib
import functools
import http.client
import time

import load
import servers

LIVE, KEPT = "bench:live", "bench:kept"  # names of one length
EVENTS_KEPT = 1000
WITH_HISTORY = [{**servers.RULES[0], "history": {"size": EVENTS_KEPT, "ttl": "10m"}}]
RULES = [{**WITH_HISTORY[0], "match": KEPT}, *servers.RULES]
SUBSCRIBERS = 1000
DATA_BYTES = 128  # what carillon bench sends by itself
TURNS_A_ROUND = 6
OFFSET_BYTES = len(',"offset":12345')  # what a history adds to the frame of an event
PUBLISHED = 10000  # before the first load: offsets have five figures, and each event pushes one out
FRESH = {"window": 1, "count": 80, "first_size": None}
FIELDS = ("error", "operations", "per_second", "server_cpu_us_each", "servers", "generator_cpu_percent", "lost", "duplicated", "misordered",
          "exit_code")

# The cases: each is measured without and with a history, and without but with frames as long as with; the first two with Redis, too.
ONE, SIXTEEN, ONE_FRESH = "1 in flight", "16 in flight", "1 in flight, fresh connections"
CASES = {ONE: {"window": 1, "count": 80}, SIXTEEN: {"window": 16, "publishers": 16, "count": 1920}, ONE_FRESH: FRESH}


def wait_for_redis(node):
    """A node that listens may not have reached its Redis yet."""
    deadline = time.monotonic() + servers.START_S
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=servers.START_S)
    with contextlib.closing(connection):
        while True:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the node does not reach its Redis")
            time.sleep(0.001)


@contextlib.contextmanager
def node_with_redis(rules):
    with servers.redis() as store, servers.carillon(rules=rules, redis__url=f"redis://127.0.0.1:{store.port}") as node:
        wait_for_redis(node)
        node.store = store
        node.pids = node.pids + store.pids
        yield node


def fill(server):
    run = load.run(server, "publish", channel=KEPT, connections=1, batch=100, warmup=0, count=PUBLISHED)
    if run["exit_code"]:
        raise RuntimeError(f"the history could not be filled: {run}")


def take_turns(loads, turns, server):
    """loads: (case, options), in reverse order every other turn."""
    fill(server)
    for turn in range(turns):
        for case, options in loads[::-1] if turn % 2 else loads:
            run = load.run(server, "fanout", connections=SUBSCRIBERS, warmup=0, **options)
            yield case, {field: run[field] for field in FIELDS if field in run}


def with_history(case):
    return f"{case}, history"


def as_long(case):
    return f"{case}, frames as long"


def loads_of(cases):
    """Three of each case."""
    long = DATA_BYTES + OFFSET_BYTES
    return [each for case in cases for each in ((case, {**CASES[case], "channel": LIVE}),
                                                (with_history(case), {**CASES[case], "channel": KEPT}),
                                                (as_long(case), {**CASES[case], "channel": LIVE, "size": long}))]


def history(bench):
    """Fan-out to 1,000 subscribers of a channel without and of one with a full history, by turns, on one core."""
    turns = TURNS_A_ROUND if bench.rounds > 1 else 1  # a single round is a quick look
    with servers.on_core(servers.OTHER_CORE):
        bench.alternate({"memory": functools.partial(servers.carillon, rules=RULES)}, functools.partial(take_turns, loads_of(CASES), turns))
        bench.alternate({"Redis": functools.partial(node_with_redis, RULES)}, functools.partial(take_turns, loads_of((ONE, SIXTEEN)), turns))
