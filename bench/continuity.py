"""Scenario continuity: what it costs when everybody comes back at once, and the memory of a channel that has a history."""
import contextlib
import functools
import http.client
import json
import re
import socket

import load
import servers
from history import WITH_HISTORY, node_with_redis

ASKS_S = 10
CHANNELS, EVENTS, DATA = 1000, 100, "x" * 126  # with its quotes 128 bytes


def redis_commands(store):
    """{command: how often Redis has run it}, those that scripts call counted like the others."""
    with socket.create_connection(("127.0.0.1", store.port), ASKS_S) as connection, connection.makefile("rwb") as stream:
        stream.write(b"INFO commandstats\r\n")
        stream.flush()
        answer = stream.read(int(stream.readline()[1:])).decode()
    counts = {name: int(calls) for name, calls in re.findall(r"^cmdstat_([^:]+):calls=(\d+)", answer, re.MULTILINE)}
    counts.pop("info", None)
    return counts


def come_back(server, **options):
    store = getattr(server, "store", None)
    before = redis_commands(store) if store else {}
    run = load.run(server, "recover", connections=10000, missed=100, batch=100, sources=4, **options)
    if store:
        run["redis_commands"] = {name: calls - before.get(name, 0) for name, calls in redis_commands(store).items()
                                 if calls > before.get(name, 0)}
    return run


def publish_to_all(server):
    """EVENTS events of 128 bytes to each of CHANNELS channels, in batches of one event to each of a hundred."""
    connection = http.client.HTTPConnection("127.0.0.1", server.api_port, timeout=ASKS_S)
    with contextlib.closing(connection):
        for _ in range(EVENTS):
            for first in range(0, CHANNELS, 100):
                commands = [{"publish": {"channel": f"bench:kept:{number}", "type": "bench", "data": DATA}}
                            for number in range(first, first + 100)]
                connection.request("POST", "/api/v1/batch", json.dumps({"commands": commands}),
                                   {"X-API-Key": server.key, "Content-Type": "application/json"})
                answer = connection.getresponse()
                results = json.loads(answer.read())
                refused = [result for result in results.get("results", [results]) if "error" in result]
                if answer.status != 200 or refused:
                    raise RuntimeError(f"events were not taken: {refused or results}"[:500])


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def filled(server):
    before = [resident_bytes(pid) for pid in server.pids]
    publish_to_all(server)
    grown = [resident_bytes(pid) - held for pid, held in zip(server.pids, before)]
    return {"channels": CHANNELS, "events_each": EVENTS, "rss_growth_bytes": grown[0],
            **({"redis_rss_growth_bytes": grown[1]} if len(grown) > 1 else {}), "exit_code": 0}


def continuity(bench):
    """10,000 clients come back to 100 missed events each, of one channel and of a hundred. Then the memory of 1,000 channels with 100
    events each."""
    def recover(server):
        yield "recover", come_back(server)
        yield "recover, 100 channels", come_back(server, channels=100)

    def fill(server):
        yield "channels", filled(server)
    memory = {"memory": servers.carillon, "memory, history": functools.partial(servers.carillon, rules=WITH_HISTORY)}
    redis = {"Redis": functools.partial(node_with_redis, servers.RULES), "Redis, history": functools.partial(node_with_redis, WITH_HISTORY)}
    bench.alternate({name: start for name, start in {**memory, **redis}.items() if name.endswith("history")}, recover)
    bench.alternate({**memory, **redis}, fill)
