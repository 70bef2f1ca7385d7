"""Scenarios upstream, stalled and frames: messages of clients that go to a backend."""
import collections
import contextlib
import functools
import math
import re
import socket
import time
from pathlib import Path

import crowd
import load
import servers
from history import wait_for_redis

SESSIONS = 100
THINKS_MS = 10
RATES = {0: (5000, 10000), THINKS_MS: (5000,)}  # that neither way is near its limit with
ANSWER = 1 << 20
LINES, LINE_END = ANSWER // 1024, b'x"'  # see echo_backend.c
ALONE = "1 session, backend takes 0 ms"
STREAMS = 20
HELD_EACH = 256 * 1024  # may be kept of an answer that its client does not read
WAITING_BYTES = 64 * 1024
RATE = 2000
TURNS_A_ROUND = 4
SENDERS, FRAMES_A_SECOND, FRAME = 500, 50, 640


def endpoint(path, **more):
    return {"path": path, "frames": ["session_init", "error"], "text": "upstream", "binary": "upstream", **more}


@contextlib.contextmanager
def with_backend(think_ms=0, upstream=None, **options):
    """A node whose endpoint /up has the backend for an upstream."""
    with servers.backend(think_ms=think_ms) as backend:
        upstreams = {"up": {"url": f"http://127.0.0.1:{backend.port}/", **(upstream or {})}}
        with servers.carillon(endpoints=[endpoint("/up", upstream="up")], upstreams=upstreams, **options) as node:
            node.url_path = "/up"
            node.backend = backend
            yield node


@contextlib.contextmanager
def directly(think_ms=0):
    """The backend alone, called by the load generator over connections that are kept."""
    with servers.backend(think_ms=think_ms) as backend:
        yield backend


def at_rate(case, rate):
    return f"{case}, {rate:,} calls a second"


def stream(server):
    """STREAMS answers of 1 MiB at once. Their clients do not read until the node has had time to fill up."""
    clients = [crowd.Client(server, number, path=server.url_path, receive_bytes=4096) for number in range(2 * STREAMS)]
    for client in clients[STREAMS:]:  # so that allocations which are made once are not counted
        client.say("{}")
    for client in clients[STREAMS:]:
        client.wait_for(LINE_END, LINES)
    before = server.resident_bytes()
    server.forget_peak()
    for client in clients[:STREAMS]:
        client.say("{}")
    time.sleep(1.5)
    peak = server.peak_bytes()
    for client in clients[:STREAMS]:
        client.wait_for(LINE_END, LINES)
    for client in clients:
        client.socket.close()
    return {"streams": STREAMS, "answer_bytes": ANSWER, "held_each": (peak - before) / STREAMS, "exit_code": 0}


def upstream(bench):
    """100 sessions, each with one message under way, through an HTTP upstream, and the same calls to its backend without a server
    between. Then at a rate that is the same for both. First the backend answers at once, then after 10 ms. Then one session alone. Last, answers
    of 1 MiB that their clients do not read at once."""
    for think_ms, rates in RATES.items():
        case = f"backend takes {think_ms} ms"

        def measure(scenario, server, case=case, rates=rates, think_ms=think_ms):
            yield case, bench.load(server, scenario, connections=SESSIONS)
            for rate in rates:
                yield at_rate(case, rate), bench.load(server, scenario, connections=SESSIONS, rate=rate)
            if think_ms == 0:
                yield ALONE, bench.load(server, scenario, connections=1)
        through, direct = (functools.partial(measure, scenario) for scenario in ("request", "publish"))
        for _ in range(bench.rounds):
            bench.alternate({"direct": functools.partial(directly, think_ms)}, direct, rounds=1)
            bench.alternate({"carillon": functools.partial(with_backend, think_ms)}, through, rounds=1)

    def streams(server):
        yield "1 MiB answers", stream(server)

    @contextlib.contextmanager
    def with_lines():
        with servers.backend() as backend:
            upstreams = {"up": {"url": f"http://127.0.0.1:{backend.port}/bytes/{ANSWER}"}}
            with servers.carillon(endpoints=[endpoint("/up", upstream="up")], upstreams=upstreams) as node:
                node.url_path = "/up"
                yield node
    bench.alternate({"carillon": with_lines}, streams)


def all_turns(case):
    return f"{case}, all turns"


def percentiles(counts):
    """By nearest rank. counts: how often each latency was seen."""
    found = {}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        left = math.ceil(share * counts.total())
        for value, count in sorted(counts.items()):
            left -= count
            if left <= 0:
                found[name] = value
                break
    return {**found, "max": max(counts)}


class Stall:
    """Sessions that send to a backend which does not answer, until the kernel takes no more of them."""

    def __init__(self, server, sessions):
        self.server = server
        self.clients = [crowd.Client(server, number, path="/stalled", send_bytes=4096) for number in range(sessions)]
        self.sent = 0

    def __enter__(self):
        self.before = self.server.resident_bytes()
        for client in self.clients:
            client.socket.setblocking(False)
        frame = crowd.frame(b'{"pad":"' + b"x" * 4000 + b'"}')
        waiting = {client: b"" for client in self.clients}
        quiet = time.monotonic() + 0.5
        while time.monotonic() < quiet:
            for client in self.clients:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        rest = waiting[client] or frame
                        took = client.socket.send(rest)
                        waiting[client] = rest[took:]
                        self.sent += took
                        quiet = time.monotonic() + 0.5
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.held_each = (self.server.resident_bytes() - self.before) / len(self.clients)
        for client in self.clients:
            client.socket.close()


def stalled(bench):
    """100 sessions whose messages are answered, at a fixed rate, alone, and while 100 others send to a backend that never answers as much as
    is taken of them. Each is a fresh node, with a core of its own. Which goes first changes with each turn. There are four turns in a round.
    The last figures are of all turns together."""
    @contextlib.contextmanager
    def two_backends():
        with contextlib.ExitStack() as stack:
            with servers.on_core(servers.OTHER_CORE):
                backend = stack.enter_context(servers.backend())
            up = f"http://127.0.0.1:{backend.port}"
            upstreams = {"up": {"url": f"{up}/", "order": "session"}, "stalled": {"url": f"{up}/never", "waiting_bytes": WAITING_BYTES}}
            endpoints = [endpoint("/up", upstream="up"), endpoint("/stalled", upstream="stalled")]
            with servers.on_core(servers.NODE_CORE):
                node = stack.enter_context(servers.carillon(endpoints=endpoints, upstreams=upstreams))
            node.url_path = "/up"
            with servers.on_core(servers.OTHER_CORE):
                yield node
    seen = {"without": collections.Counter(), "stalled": collections.Counter()}

    def answered(server, case):
        run = bench.load(server, "request", connections=SESSIONS, rate=RATE, histogram=True)
        seen[case].update(dict(run.pop("latency_counts", [])))
        return run

    def without(server):
        yield "without", answered(server, "without")

    def with_stall(server):
        with Stall(server, SESSIONS) as stall:
            run = answered(server, "stalled")
        yield "stalled", {**run, "held_each": stall.held_each, "sent_each": stall.sent / SESSIONS, "waiting_bytes": WAITING_BYTES}
    for number in range(bench.rounds * TURNS_A_ROUND if bench.rounds > 1 else 1):  # a single round is a quick look
        for measure in (with_stall, without) if number % 2 else (without, with_stall):
            bench.alternate({"carillon": two_backends}, measure, rounds=1)
    for case, counts in seen.items():
        if counts:
            bench.keep(all_turns(case), "carillon", {"operations": counts.total(), "latency_us": percentiles(counts), "exit_code": 0})


def commands(port):
    connection = socket.create_connection(("127.0.0.1", port), load.LIMIT_S)
    return connection, connection.makefile("rb")


def reply(lines):
    line = lines.readline().rstrip()
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        return [reply(lines) for _ in range(int(rest))]
    if kind == b"$":
        return lines.read(int(rest) + 2)[:-2] if rest != b"-1" else None
    if kind == b"-":
        raise RuntimeError(rest.decode())
    return int(rest) if kind == b":" else rest


def entries(port, key, page=5000):
    """Those of the stream, as dictionaries."""
    connection, lines = commands(port)
    with connection, lines:
        after = b"-"
        while True:
            connection.sendall(b"XRANGE %s %s + COUNT %d\r\n" % (key, after, page))
            found = reply(lines)
            for _, fields in found:
                yield dict(zip(fields[::2], fields[1::2]))
            if len(found) < page:
                return
            after = b"(" + found[-1][0]


def check_stream(port, key, sent):
    """What is missing of the messages, and how many are out of order in their session."""
    deadline = time.monotonic() + 10
    connection, lines = commands(port)
    with connection, lines:
        while True:
            connection.sendall(b"XLEN %s\r\n" % key)
            if reply(lines) >= sent or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    last, misordered, count = {}, 0, 0
    for fields in entries(port, key):
        number = int(re.match(rb'\{"n":(\d+)', fields[b"data"]).group(1))
        misordered += number != last.get(fields[b"session"], 0) + 1 or number != int(fields[b"n"])
        last[fields[b"session"]] = number
        count += 1
    return {"lost": sent - count, "misordered": misordered}


def frames(bench):
    """500 sessions that each send 50 binary frames of 640 bytes a second, into a Redis stream, where each must be in the order of its session,
    and to a WebSocket backend, from which each must come back in order."""
    key = "bench:frames"

    @contextlib.contextmanager
    def to_stream():
        with servers.redis() as store:
            upstreams = {"up": {"redis_stream": key, "max_len": 10000000}}
            with servers.carillon(endpoints=[endpoint("/up", upstream="up")], upstreams=upstreams,
                                  redis__url=f"redis://127.0.0.1:{store.port}") as node:
                wait_for_redis(node)
                node.url_path = "/up"
                node.pids = node.pids + store.pids
                node.store = store
                yield node

    def measure(server):
        run = bench.load(server, "request", connections=SENDERS, rate=SENDERS * FRAMES_A_SECOND, size=FRAME, kind="binary",
                         answers="no", warmup=0)
        if "error" not in run:
            run.update(check_stream(server.store.port, key.encode(), run["operations"]))
            run["exit_code"] = 1 if run["lost"] or run["misordered"] else run["exit_code"]
            run["server_cpu_us_each"] = run["servers"][0]["cpu_us_each"]
        yield "to a Redis stream", run

    @contextlib.contextmanager
    def to_websocket():
        with servers.backend() as backend:
            upstreams = {"up": {"url": f"ws://127.0.0.1:{backend.port}/"}}
            with servers.carillon(endpoints=[endpoint("/up", upstream="up")], upstreams=upstreams) as node:
                node.url_path = "/up"
                yield node

    def there_and_back(server):
        yield "to a WebSocket backend and back", bench.load(server, "request", connections=SENDERS, rate=SENDERS * FRAMES_A_SECOND,
                                                            size=FRAME, kind="binary")
    bench.alternate({"carillon": to_stream}, measure)
    bench.alternate({"carillon": to_websocket}, there_and_back)
