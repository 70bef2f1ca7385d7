"""The scenarios. A scenario is a function that gets a Bench, starts servers and puts load on them. Its result is a list of entries {case,
server, runs}, one run a round. Servers take turns within a round, so a drift of the machine's speed meets them all. Figures of one round
are compared with each other."""
import contextlib
import functools
import ssl
import subprocess
import sys
import time
from pathlib import Path

import crowd
import load
import servers
from admission import lifecycle, older, tickets
from continuity import continuity
from history import history
from upstreams import frames, stalled, upstream

CHANNEL = "bench:load"
SUBSCRIBERS = 1000
BY_TLS, WARM = 3000, 200


class Bench:
    """One scenario being measured: its rounds, how long each load is measured, and what has come of it."""

    def __init__(self, rounds, seconds, only=None):
        self.rounds = rounds
        self.seconds = seconds
        self.only = only  # names of servers; None for all
        self.entries = {}
        self.skipped = {}

    def peers(self, *names, without=()):
        """The start functions of these servers, of all without names, that are wanted."""
        return {name: servers.ALL[name] for name in names or servers.ALL
                if name not in without and (not self.only or name in self.only)}

    def load(self, server, scenario, **options):
        if "count" not in options:
            options = {"duration": self.seconds, **options}
        return load.run(server, scenario, **{"warmup": 1, **options})

    def keep(self, case, name, run):
        self.entries.setdefault((case, name), []).append(run)
        figure = run.get("error") or " ".join(
            f"{run[key]:g} {unit}" for key, unit in (("per_second", "/s"), ("server_cpu_us_each", "us"), ("ready_ms", "ms"))
            if run.get(key) is not None)
        print(f"    {case}, {name}: {figure}{'' if run['exit_code'] == 0 else '  FAILED'}", file=sys.stderr, flush=True)

    def alternate(self, starts, measure, rounds=None):
        """starts: {name: start function}. measure(server) yields (case, run)."""
        for number in range(rounds or self.rounds):
            print(f"  round {number + 1}", file=sys.stderr, flush=True)
            for name, start in starts.items():
                if name in self.skipped:
                    continue
                try:
                    with start() as server:
                        for case, run in measure(server):
                            self.keep(case, name, run)
                except servers.Unavailable as reason:
                    self.skipped[name] = str(reason)
                    print(f"    {name}: skipped, {reason}", file=sys.stderr, flush=True)

    def result(self):
        return {"rounds": self.rounds, "seconds": self.seconds, "skipped": self.skipped,
                "entries": [{"case": case, "server": name, "runs": runs} for (case, name), runs in self.entries.items()]}


def fanout(bench):
    """One channel of 1,000 subscribers, 1 and 16 events in flight, every server."""
    def measure(server):
        yield "1 in flight", bench.load(server, "fanout", connections=SUBSCRIBERS)
        yield "16 in flight", bench.load(server, "fanout", connections=SUBSCRIBERS, window=16)
    bench.alternate(bench.peers(), measure)


def subscribers(bench):
    """One event in flight to 10, 100, 1,000 and 10,000 subscribers: one round, for the plot."""
    def measure(server):
        for count in (10, 100, 1000, 10000):
            yield f"{count}", bench.load(server, "fanout", connections=count, duration=1)
    bench.alternate(bench.peers(without=["nchan"]), measure, rounds=1)


def rate_of(saturation):
    """Half of it, as the whole events a second that the generator takes."""
    return max(1, round(saturation / 2))


def latency(bench):
    """10,000 subscribers. First each server has one event in flight, which gives its best rate. Then events come at half of that rate, and
    at half of the slowest server's rate, so that the latencies compare."""
    connections = 10000
    # nchan: once is enough. aedes: it lost events with so many.
    starts = bench.peers(without=["nchan", "aedes"])
    saturation = {}

    def saturate(server):
        run = bench.load(server, "fanout", connections=connections)
        if not run["exit_code"]:
            saturation[server.name] = run["events_per_second"]
        yield "saturated", run
    bench.alternate(starts, saturate, rounds=1)
    if not saturation:
        return
    common = rate_of(min(saturation.values()))

    def at_rates(server):
        half = saturation.get(server.name)
        if half:
            yield "half", bench.load(server, "fanout", connections=connections, rate=rate_of(half), duration=3)
            yield "common", bench.load(server, "fanout", connections=connections, rate=common, duration=3)
    bench.alternate(starts, at_rates)


def offered(bench):
    """Latency against load: 1,000 subscribers, events at rising rates until a server cannot keep up: one round, for the plot."""
    def measure(server):
        for rate in (10, 25, 50, 75, 100, 130):
            run = bench.load(server, "fanout", connections=SUBSCRIBERS, rate=rate, duration=2)
            yield f"{rate}", run
            if run["exit_code"] or run["events_per_second"] < 0.9 * rate or run["latency_us"]["p99"] > 1000000:
                return
    bench.alternate(bench.peers(without=["nchan"]), measure, rounds=1)


def rooms(bench):
    """1,000 channels of 10 subscribers each, events to random ones."""
    def measure(server):
        yield "16 in flight", bench.load(server, "rooms", channels=1000, members=10, window=16)
    bench.alternate(bench.peers("floor", "carillon", "nchan live", "ws", "Mosquitto", "NATS"), measure)


def idle(bench):
    """15,000 authenticated connections with one subscription each and pings; with another allocator, too."""
    def measure(server):
        yield "15000", bench.load(server, "idle", connections=15000, duration=10, warmup=0, sources=4)
    bench.alternate({"carillon": servers.carillon,
                     "carillon with jemalloc": functools.partial(servers.carillon, build="jemalloc")}, measure)


def memory(bench):
    """Resident memory with 1,000, 5,000 and 10,000 idle subscribers of one channel: one round, for the plot."""
    def measure_with(count):
        def measure(server):
            yield f"{count}", bench.load(server, "idle", connections=count, duration=1, warmup=0)
        return measure
    for count in (1000, 5000, 10000):
        bench.alternate(bench.peers(without=["nchan"]), measure_with(count), rounds=1)


def connect(bench):
    """A storm of connections, each with another user's token, upgrade, session_init and subscribe. They come from four addresses, because
    finding a free port takes longer when few are left."""
    rsa = Path(bench.folder) / "rsa.pem"
    public = rsa.with_suffix(".pub")
    subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", rsa, "-pubout", "-out", public], check=True, capture_output=True)
    for count in (1000, 5000, 15000):
        def hs256(server):
            yield f"HS256, {count}", bench.load(server, "connect", connections=count, sources=4)

        def rs256(server):
            yield f"RS256, {count}", bench.load(server, "connect", connections=count, sources=4, token_key=rsa)
        bench.alternate({"carillon": servers.carillon}, hs256)
        bench.alternate({"carillon": functools.partial(servers.carillon, token__keys=[{"file": str(public)}])}, rs256)


def tls(bench):
    """Connections in plaintext and by TLS 1.3 (ECDSA P-256), one after the other: upgrade with a token, session_init, subscribe."""
    key, certificate = Path(bench.folder) / "tls.key", Path(bench.folder) / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=bench", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def measure_with(case, context):
        def measure(server):
            for number in range(WARM):
                crowd.Client(server, number, context).subscribe(["bench:tls"])
            rss, used = server.resident_bytes(), server.cpu_s()
            clients = [crowd.Client(server, WARM + number, context) for number in range(BY_TLS)]
            for client in clients:
                client.subscribe(["bench:tls"])
            yield case, {"connections": BY_TLS, "server_cpu_us_each": (server.cpu_s() - used) * 1e6 / BY_TLS,
                         "server_rss_growth_bytes": server.resident_bytes() - rss, "exit_code": 0}
            for client in clients:
                client.socket.close()
        return measure
    secured = functools.partial(servers.carillon, tls__certificate=str(certificate), tls__key=str(key))
    for number in range(bench.rounds):
        bench.alternate({"carillon": servers.carillon}, measure_with("plaintext", None), rounds=1)
        bench.alternate({"carillon": secured}, measure_with("TLS 1.3", trusting), rounds=1)


def publish(bench):
    """The HTTP API: events to a channel without subscribers, one by one and in batches."""
    def measure(server):
        yield "50 connections", bench.load(server, "publish", connections=50)
        yield "4 connections, batches of 100", bench.load(server, "publish", connections=4, batch=100)
    bench.alternate({"carillon": servers.carillon}, measure)


def redis(bench):
    """Events published to one node, stored in Redis with history, and delivered by another node."""
    rules = [{**servers.RULES[0], "history": {"size": 1000, "ttl": "10m"}}]

    @contextlib.contextmanager
    def two_nodes():
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(servers.redis())
            options = {"rules": rules, "redis__url": f"redis://127.0.0.1:{store.port}"}
            first = stack.enter_context(servers.carillon(**options))
            second = stack.enter_context(servers.carillon(**options, like=first))
            second.api_port = first.api_port
            second.pids = second.pids + first.pids + store.pids
            yield second

    def measure(server):
        yield "1 subscriber, 1024 in flight", bench.load(server, "cluster", connections=1, window=1024, batch=64)
        yield "100 subscribers, 64 in flight", bench.load(server, "cluster", connections=100, window=64)
    bench.alternate({"carillon": two_nodes}, measure)


def slow(bench):
    """100 subscribers at a fixed rate of large events. The kernel cannot hold these events for clients that do not read. Then 5% of the
    subscribers stop reading."""
    options = {"connections": 100, "rate": 100, "size": 16384, "duration": 6}

    def all_read(server):
        yield "all read", bench.load(server, "fanout", **options)

    def some_stop(server):
        yield "5% stop reading", bench.load(server, "slow", slow_percent=5, **options)
    for _ in range(bench.rounds):
        bench.alternate({"carillon": servers.carillon}, all_read, rounds=1)
        bench.alternate({"carillon": servers.carillon}, some_stop, rounds=1)


def workers(bench):
    """One worker and two, on two cores that the generator needs as well."""
    def measure(server):
        yield "1 in flight", bench.load(server, "fanout", connections=SUBSCRIBERS)
        yield "16 in flight, 16 publishers", bench.load(server, "fanout", connections=SUBSCRIBERS, window=16, publishers=16)
        yield "publishing, 50 connections, no subscribers", bench.load(server, "publish", connections=50)
    bench.alternate({f"{count} workers" if count > 1 else "1 worker": functools.partial(servers.carillon, workers=count)
                     for count in (1, 2)}, measure)


def cold(bench):
    """From starting the program to its ready line, or to its first accepted connection."""
    def measure(server):
        yield "ready", {"ready_ms": round(server.ready_ms, 2), "exit_code": 0}
    bench.alternate(bench.peers(), measure, rounds=max(5, bench.rounds))


@contextlib.contextmanager
def idle_clients(server, count, channel):
    """Idle subscribers held by a load generator of their own while something else is measured, which begins when the server has
    as many files open."""
    if not count:
        yield
        return
    holding = load.hold(server, "idle", connections=count, channel=channel, duration=100, warmup=0, sources=1)
    try:
        deadline = time.monotonic() + 30
        while server.open_files() < count:
            if holding.poll() is not None:
                raise RuntimeError(f"{count} idle clients could not connect: {holding.stderr.read()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} idle clients have not connected in time")
            time.sleep(0.05)
        yield
    finally:
        holding.terminate()
        holding.wait()
        holding.stderr.close()


def growth(bench):
    """Numbers that the cost of a delivery and of a subscription must not depend on."""
    one = {"carillon": servers.carillon}

    def other_connections(server):
        for count in (0, 5000, 15000):
            with idle_clients(server, count, "bench:other"):
                yield f"other connections: {count}", bench.load(server, "fanout", connections=SUBSCRIBERS)

    def other_channels(server):
        for count in (1, 1000, 100000):
            with crowd.Crowd(server, min(count, 1000), max(1, count // 1000)):
                yield f"other channels: {count}", bench.load(server, "fanout", connections=SUBSCRIBERS)

    def members(server):
        for count in (0, 5000, 15000):
            with idle_clients(server, count, CHANNEL):
                yield f"subscribers there: {count}", bench.load(server, "connect", connections=1000)

    def churn(server):
        yield "joining and leaving: 0/s", bench.load(server, "fanout", connections=SUBSCRIBERS, rate=40)
        with crowd.Churn(server, CHANNEL, 100, 1000):
            yield "joining and leaving: 1000/s", bench.load(server, "fanout", connections=SUBSCRIBERS, rate=40)

    bench.alternate(one, other_connections)
    bench.alternate(one, other_channels)
    for _ in range(bench.rounds):
        for count in (1, 100, 1000):
            def rules(server):
                yield f"rules: {count}", bench.load(server, "fanout", connections=SUBSCRIBERS)
            many = [{"match": f"other{number}:*", "allow": ["subscribe"]} for number in range(count - 1)] + servers.RULES
            bench.alternate({"carillon": functools.partial(servers.carillon, rules=many)}, rules, rounds=1)
    bench.alternate(one, members)
    bench.alternate(one, churn)


def journal(bench):
    """20,000 deliveries a second, to 1,000 and to 100 subscribers, by `carillon serve` and by `carillon dev`, whose journal has a line for
    each. Which goes first changes with each round."""
    starts = {"carillon": servers.carillon, "carillon dev": servers.carillon_dev}

    def measure(server):
        for count in (1000, 100):
            yield f"{count} subscribers", bench.load(server, "fanout", connections=count, rate=20000 // count)
    for number in range(bench.rounds):
        order = list(starts)[:: -1 if number % 2 else 1]
        bench.alternate({name: starts[name] for name in order}, measure, rounds=1)


ALL = {function.__name__: function for function in
       (fanout, subscribers, latency, offered, rooms, idle, memory, connect, tls, publish, redis, history, continuity, slow, workers, cold, growth,
        upstream, stalled, frames, tickets, lifecycle, journal, older)}
