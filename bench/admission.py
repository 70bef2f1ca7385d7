"""Scenarios tickets, lifecycle and older: what lets clients in, and what it costs."""
import contextlib
import functools
import http.client
import json
import os
import re
import time
from pathlib import Path

import load
import servers
from history import wait_for_redis

TICKETS = 4000
CONNECTIONS = 4000
TOLD_CONNECTIONS = 12000  # with fewer a run is over in a quarter of a second, of which its start is a large part
STREAM = "bench:events"
TYPES = ["session.opened", "session.closed", "subscription.added", "subscription.removed"]
OLDER = "CARILLON_BENCH_OLDER"
TICKET_ENDPOINT = {"path": "/up", "ticket_query": ["ticket"], "ticket": {"purpose": "bench", "resource": "load"}}


def issue(server, count, file):
    """Writes so many tickets of the HTTP API to the file, a line each."""
    connection = http.client.HTTPConnection("127.0.0.1", server.api_port, timeout=servers.START_S)
    body = json.dumps({"user": "bench", "purpose": "bench", "resource": "load"})
    headers = {"X-API-Key": server.key, "Content-Type": "application/json"}
    with contextlib.closing(connection), open(file, "w") as lines:
        for _ in range(count):
            connection.request("POST", "/api/v1/tickets", body, headers)
            lines.write(json.loads(connection.getresponse().read())["ticket"] + "\n")


@contextlib.contextmanager
def with_redis(**options):
    with servers.redis() as store, servers.carillon(redis__url=f"redis://127.0.0.1:{store.port}", **options) as node:
        wait_for_redis(node)
        node.store = store
        yield node


def tickets(bench):
    """Tickets issued by the HTTP API over 50 connections, and used: a connection with a ticket each, beside one with a token each. With
    the memory broker and with Redis."""
    options = {"endpoints": [{"path": "/ws"}, TICKET_ENDPOINT], "tickets": {"max": 10000000, "ttl": "10m"}}
    connecting = {"connections": CONNECTIONS, "sources": 4, "subscribe": "no"}

    def measure(server):
        server.url_path = "/up"
        server.protocol = "tickets"
        yield "issued", bench.load(server, "publish", connections=50)
        server.protocol = "carillon"
        file = Path(bench.folder) / "tickets"
        issue(server, TICKETS, file)
        yield "used", bench.load(server, "connect", tickets=file, **connecting)

    def with_tokens(server):
        yield "tokens in their place", bench.load(server, "connect", **connecting)
    starts = {"memory": functools.partial(servers.carillon, **options), "Redis": functools.partial(with_redis, **options)}
    for _ in range(bench.rounds):
        bench.alternate(starts, measure, rounds=1)
        bench.alternate(starts, with_tokens, rounds=1)


def metric(node, name):
    """The sum of this metric's series."""
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=servers.START_S)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(name + "[{ ]", line))


def wait_until_gone(node):
    """All connections have ended, and all that is to be told of them has been."""
    deadline = time.monotonic() + load.LIMIT_S
    due = TOLD_CONNECTIONS * len(TYPES) if node.told else 0
    while metric(node, "carillon_connections_open") or (node.told and metric(node, node.told) < due):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{metric(node, node.told):.0f} of {due} events have been told")
        time.sleep(0.05)


def lifecycle(bench):
    """Connections with a token each, which subscribe, without lifecycle events, with them to a Redis stream, and to an HTTP backend. All
    three use the Redis broker. The node has a core of its own. Load generator, Redis and backend share the other. Each other round goes
    backwards, so that none has always the same before it."""
    @contextlib.contextmanager
    def node_apart(told=None, told_of=None):
        """told_of: makes the settings. told: the metric that counts events which have got there."""
        with contextlib.ExitStack() as stack:
            with servers.on_core(servers.OTHER_CORE):
                beside = [stack.enter_context(servers.redis()), stack.enter_context(servers.backend())]
            store, backend = beside
            options = {"lifecycle": {"types": TYPES, **told_of(backend)}} if told else {}
            with servers.on_core(servers.NODE_CORE):
                node = stack.enter_context(servers.carillon(redis__url=f"redis://127.0.0.1:{store.port}", **options))
            wait_for_redis(node)
            node.pids += store.pids + backend.pids
            node.told = told
            yield node

    def measure(server):
        before = server.cpu_s()
        with servers.on_core(servers.OTHER_CORE):
            run = bench.load(server, "connect", connections=TOLD_CONNECTIONS, sources=4)
            wait_until_gone(server)
        if "error" not in run:
            own, store, backend = run["servers"]
            run.update(server_cpu_us_each=own["cpu_us_each"], store_cpu_us_each=store["cpu_us_each"],
                       backend_cpu_us_each=backend["cpu_us_each"], life_cpu_us_each=(server.cpu_s() - before) * 1e6 / TOLD_CONNECTIONS,
                       node_core_percent=own["cpu_percent"],
                       other_core_percent=run["generator_cpu_percent"] + store["cpu_percent"] + backend["cpu_percent"])
        yield "connect", run

    def by_http(backend):
        return {"http": {"url": f"http://127.0.0.1:{backend.port}/bytes/0"}}  # an empty answer, as such a backend gives
    starts = {"off": node_apart,
              "to a Redis stream": functools.partial(node_apart, "carillon_lifecycle_events_total", lambda _: {"redis_stream": STREAM}),
              "to HTTP": functools.partial(node_apart, "carillon_lifecycle_sent_total", by_http)}
    for number in range(bench.rounds):
        bench.alternate(dict(list(starts.items())[::-1]) if number % 2 else starts, measure, rounds=1)


def older(bench):
    """This build and an older program, CARILLON_BENCH_OLDER, by turns: the loads that every user has."""
    program = os.environ.get(OLDER)
    if not program:
        bench.skipped["older"] = f"{OLDER} does not name a program"
        return
    loads = {"fanout, 1 in flight": ("fanout", {"connections": 1000}),
             "fanout, 16 in flight": ("fanout", {"connections": 1000, "window": 16}),
             "echo": ("echo", {}),
             "publish": ("publish", {"connections": 50}),
             "connect": ("connect", {"connections": CONNECTIONS, "sources": 4})}
    starts = {"carillon": servers.carillon, "older": functools.partial(servers.carillon, program=program)}
    for number in range(bench.rounds):
        order = list(starts.items())[::-1] if number % 2 else list(starts.items())
        for case, (scenario, options) in loads.items():
            def measure(server, case=case, scenario=scenario, options=options):
                yield case, bench.load(server, scenario, **options)
            bench.alternate(dict(order), measure, rounds=1)
