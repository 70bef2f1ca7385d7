"""The figures to reach, and whether they were: each row of the page's first table. Pure."""
from figures import median, spread, sure
from history import ONE, ONE_FRESH, SIXTEEN, as_long, with_history
from upstreams import ALONE, RATES, all_turns, at_rate

CPU = ("server_cpu_us_each",)
P99 = ("latency_us", "p99")
FLAT = 1.15  # what "does not grow" may mean on a machine that also runs the generator


def peers_of(results):
    return [name for name in results.servers() if name not in ("floor", "carillon")]


def at_most(value, limit, text):
    return (text, value <= limit) if value is not None else None


def ratio_text(value):
    return f"{value:.2f} ×"


def with_range(value, values):
    """The median of the rounds, and what they were."""
    least, most = spread(values)
    return f"{ratio_text(value)} ({least:.2f}–{most:.2f})"


def fanout_floor(window, limit):
    def check(results):
        case = f"{window} in flight"
        value = results.ratio((case, "carillon"), (case, "floor"), *CPU)
        return value and at_most(value, limit, f"{ratio_text(value)} floor")
    return check


def fanout_peers(results):
    ours = results.median("1 in flight", "carillon", *CPU)
    others = {name: results.median("1 in flight", name, *CPU) for name in peers_of(results)}
    others = {name: value for name, value in others.items() if value is not None}
    if ours is None or not others:
        return None
    best = min(others, key=others.get)
    return f"{ours:.2f} µs; the lowest peer is {best} with {others[best]:.2f} µs", ours < others[best]


def fanout_fifth(results):
    values = {name: results.ratio(("16 in flight", "carillon"), ("16 in flight", name), *CPU) for name in ("nchan", "ws")}
    if None in values.values():
        return None
    return ", ".join(f"{ratio_text(value)} {name}" for name, value in values.items()), max(values.values()) <= 0.2


def latency_peers(results):
    ours = results.median("half", "carillon", *P99)
    others = {name: results.median("half", name, *P99) for name in peers_of(results)}
    others = {name: value for name, value in others.items() if value is not None}
    if ours is None or not others:
        return None
    best = min(others, key=others.get)
    return f"{ours / 1000:.0f} ms; the lowest peer is {best} with {others[best] / 1000:.0f} ms", ours < others[best]


def rooms_floor(results):
    value = results.ratio(("16 in flight", "carillon"), ("16 in flight", "floor"), *CPU)
    return value and at_most(value, 1.3, f"{ratio_text(value)} floor")


def per_connection(run):
    growth = run.get("server_rss_growth_bytes")
    return growth / run["connections"] / 1024 if growth is not None else None


def idle_memory(results):
    value = median([per_connection(run) for run in results.runs("15000", "carillon")])
    return value and at_most(value, 5, f"{value:.1f} KiB")


def idle_cpu(results):
    value = results.median("15000", "carillon", "server_cpu_percent")
    return (f"{value:.2f} %", value < 1) if value is not None else None


COUNTS = (1000, 5000, 15000)


def connect_rate(algorithm, limit):
    def check(results):
        values = [results.median(f"{algorithm}, {count}", "carillon", "per_second") for count in COUNTS]
        if None in values:
            return None
        return " / ".join(f"{value:,.0f}" for value in values) + " a second", min(values) >= limit
    return check


def connect_flat(results):
    values = [results.median(f"HS256, {count}", "carillon", *CPU) for count in COUNTS]
    if None in values:
        return None
    return " / ".join(f"{value:.0f}" for value in values) + " µs", max(values) <= FLAT * values[0]


def publish_rate(case, limit):
    def check(results):
        value = results.median(case, "carillon", "per_second")
        return (f"{value:,.0f} a second", value >= limit) if value is not None else None
    return check


def redis_rate(results):
    value = results.median("1 subscriber, 1024 in flight", "carillon", "events_per_second")
    return (f"{value:,.0f} a second", value >= 40000) if value is not None else None


def history_ratio(broker, case, over=None):
    def check(results):
        values = results.ratios((with_history(case), broker), (over or case, broker), *CPU)
        value, likely = median(values), sure(values)
        between = f" (95 % sure: {likely[0]:.2f}–{likely[1]:.2f})" if likely else ""
        return value and at_most(value, 1.05, ratio_text(value) + between)
    return check


def caught_up(results):
    values = {broker: results.median("recover", f"{broker}, history", "caught_up_us") for broker in ("memory", "Redis")}
    if None in values.values():
        return None
    return ", ".join(f"{broker} {value / 1e6:.1f} s" for broker, value in values.items()), None


def kept_bytes(results, broker, figure="rss_growth_bytes"):
    """Of a channel: what its history adds to the same events without one."""
    grown = [results.values("channels", name, figure) for name in (f"{broker}, history", broker)]
    pairs = [kept - live for kept, live in zip(*grown) if kept is not None and live is not None]
    return median(pairs) / results.runs("channels", broker)[0]["channels"] if pairs else None


def kept_memory(results):
    value, in_redis = kept_bytes(results, "memory"), kept_bytes(results, "Redis", "redis_rss_growth_bytes")
    if value is None or in_redis is None:
        return None
    return f"{value / 1024:.1f} KiB in the node; with Redis {in_redis / 1024:.1f} KiB there", None


def slow_others(results):
    value = results.ratio(("5% stop reading", "carillon"), ("all read", "carillon"), *P99)
    return value and at_most(value, 1.3, ratio_text(value))


THROUGH = "backend takes 0 ms"
WITH_WORK = "backend takes 10 ms"


def upstream_rate(results):
    value = results.median(THROUGH, "carillon", "per_second")
    return (f"{value:,.0f} a second", value >= 20000) if value is not None else None


def upstream_p99(case, limit):
    def check(results):
        value = results.ratio((case, "carillon"), (case, "direct"), *P99)
        return value and at_most(value, limit, ratio_text(value))
    return check


def upstream_adds(case):
    def check(results):
        p50, p99 = (differences(results, case, name) for name in ("p50", "p99"))
        ratio = results.ratio((case, "carillon"), (case, "direct"), *P99)
        cpu = results.median(case, "carillon", *CPU)
        return ratio and (f"p50 + {median(p50) / 1000:.2f} ms, p99 + {median(p99) / 1000:.2f} ms; p99 {ratio_text(ratio)}; "
                          f"CPU time of the node {cpu:.0f} µs", None)
    return check


def differences(results, case, name):
    pairs = zip(*(results.values(case, server, "latency_us", name) for server in ("carillon", "direct")))
    return [through - direct for through, direct in pairs if through is not None and direct is not None]


def held_at_most(case, limit_kib):
    def check(results):
        value = results.median(case, "carillon", "held_each")
        return at_most(value and value / 1024, limit_kib, f"{(value or 0) / 1024:.0f} KiB")
    return check


def stalled_others(results):
    each = results.ratios(("stalled", "carillon"), ("without", "carillon"), *P99)
    value = results.ratio((all_turns("stalled"), "carillon"), (all_turns("without"), "carillon"), *P99)
    return value and at_most(value, 1.1, f"{ratio_text(value)} of all turns together; turn by turn {with_range(median(each), each)}")


def all_frames(results):
    runs = [run for case in results.cases() for run in results.runs(case, "carillon")]
    kept = all(not run["exit_code"] and run.get("per_second", 0) >= 24500 for run in runs)
    costs = ", ".join(f"{case} {results.median(case, 'carillon', *CPU) or 0:.1f} µs" for case in results.cases())
    return (costs, kept) if runs else None


def ticket_rate(case):
    def check(results):
        values = {broker: results.median(case, broker, "per_second") for broker in results.servers()}
        known = {broker: value for broker, value in values.items() if value is not None}
        if not known:
            return None
        return ", ".join(f"{broker} {value:,.0f} a second" for broker, value in known.items()), min(known.values()) >= 10000
    return check


def lifecycle_ratio(name, path, reaches):
    def check(results):
        values = results.ratios(("connect", name), ("connect", "off"), *path)
        value = median(values)
        return value and (with_range(value, values), reaches(value))
    return check


def lifecycle_rate(name):
    return lifecycle_ratio(name, ("per_second",), lambda value: value >= 0.95)


def lifecycle_cpu(name):
    return lifecycle_ratio(name, CPU, lambda value: value <= 1 / 0.95)


def journal_ratio(count):
    def check(results):
        case = f"{count} subscribers"
        rates = results.values(case, "carillon dev", "per_second")
        values = results.ratios((case, "carillon dev"), (case, "carillon"), *CPU)
        value = median(values)
        kept = all(rate is not None and rate >= 19800 for rate in rates)
        return value and (with_range(value, values), value <= 1.05 and kept)
    return check


def against_older(case, *path):
    def check(results):
        values = results.ratios((case, "carillon"), (case, "older"), *path)
        value = median(values)
        return value and at_most(value, 1.02, ratio_text(value))
    return check


def cold_start(results):
    value = results.median("ready", "carillon", "ready_ms")
    return (f"{value:.1f} ms", value < 20) if value is not None else None


def workers_ratio(results):
    value = results.ratio(("1 in flight", "2 workers"), ("1 in flight", "1 worker"), "per_second")
    return (f"{ratio_text(value)} the deliveries a second", None) if value is not None else None


WITHOUT, AS_LONG = "at most 1.05 × that without", "at most 1.05 × frames as long without"

# Scenario, what, target, check: gives (measured, reached), reached being None where there is no target, or None when
# there is nothing to say.
ALL = [
    ("fanout", "fan-out to 1,000, 128 bytes, 1 event in flight: server CPU a delivery", "at most 1.15 × floor", fanout_floor(1, 1.15)),
    ("fanout", "the same", "below every peer", fanout_peers),
    ("fanout", "the same, 16 in flight", "at most 1.5 × floor", fanout_floor(16, 1.5)),
    ("fanout", "the same", "at most 0.2 × nchan and ws", fanout_fifth),
    ("latency", "10,000 subscribers, p99 at half of the saturating rate", "below every peer", latency_peers),
    ("rooms", "rooms, 1,000 channels of 10, random: server CPU a delivery", "at most 1.3 × floor", rooms_floor),
    ("idle", "15,000 idle connections: memory of each", "at most 5 KiB", idle_memory),
    ("idle", "the same: CPU, of one core", "below 1 %", idle_cpu),
    ("connect", "connect with HS256 token and subscribe, 1,000 / 5,000 / 15,000", "at least 6,000 a second", connect_rate("HS256", 6000)),
    ("connect", "the same with RS256", "at least 5,000 a second", connect_rate("RS256", 5000)),
    ("connect", "server CPU of each with HS256", f"flat: at most {FLAT} × that of 1,000", connect_flat),
    ("publish", "HTTP publish, 50 connections", "at least 25,000 a second", publish_rate("50 connections", 25000)),
    ("publish", "the same in batches of 100", "at least 200,000 events a second", publish_rate("4 connections, batches of 100", 200000)),
    ("redis", "Redis, two nodes, pipelined: stored and delivered", "at least 40,000 a second", redis_rate),
    ("history", "history on, 128 bytes to 1,000, 1 in flight: server CPU a delivery", WITHOUT, history_ratio("memory", ONE)),
    ("history", "the same with Redis, its CPU included", WITHOUT, history_ratio("Redis", ONE)),
    ("history", "history on, 128 bytes to 1,000, 16 in flight", WITHOUT, history_ratio("memory", SIXTEEN)),
    ("history", "the same", AS_LONG, history_ratio("memory", SIXTEEN, as_long(SIXTEEN))),
    ("history", "the same with Redis, its CPU included", WITHOUT, history_ratio("Redis", SIXTEEN)),
    ("history", "the same", AS_LONG, history_ratio("Redis", SIXTEEN, as_long(SIXTEEN))),
    ("history", "history on, 1 in flight, connections that have never carried a long frame", WITHOUT, history_ratio("memory", ONE_FRESH)),
    ("history", "the same", AS_LONG, history_ratio("memory", ONE_FRESH, as_long(ONE_FRESH))),
    ("continuity", "10,000 clients come back at once to 100 missed events each: all caught up after", "reported", caught_up),
    ("continuity", "memory of a channel with 100 events of 128 bytes in its history", "reported", kept_memory),
    ("slow", "5 % of subscribers stop reading: p99 of the others", "at most 1.3 × that without", slow_others),
    ("upstream", "messages of 100 sessions through an HTTP upstream that answers at once", "at least 20,000 a second", upstream_rate),
    ("upstream", "the same: p99 against calling the backend directly", "at most 1.5 ×", upstream_p99(THROUGH, 1.5)),
    ("upstream", "the same with a backend that takes 10 ms", "at most 1.5 ×", upstream_p99(WITH_WORK, 1.5)),
    ("upstream", "5,000 calls a second either way, a backend that takes 10 ms: p99", "at most 1.5 ×", upstream_p99(at_rate(WITH_WORK, 5000), 1.5)),
    *(("upstream", f"{rate:,} calls a second either way, a backend that answers at once: what the node adds", "reported",
       upstream_adds(at_rate(THROUGH, rate))) for rate in RATES[0]),
    ("upstream", "1 session, a backend that answers at once: what the node adds", "reported", upstream_adds(ALONE)),
    ("upstream", "1 MiB answers as streams: held of one that its client does not read", "at most 256 KiB", held_at_most("1 MiB answers", 256)),
    ("stalled", "a backend does not answer: p99 of the sessions with another one", "at most 1.1 × that without", stalled_others),
    ("stalled", "the same: held of a session whose backend does not answer (waiting_bytes 64 KiB)", "at most 256 KiB", held_at_most("stalled", 256)),
    ("frames", "500 sessions, 50 binary frames of 640 bytes a second each: server CPU a frame", "in order, none lost", all_frames),
    ("tickets", "tickets issued", "at least 10,000 a second", ticket_rate("issued")),
    ("tickets", "tickets used, each for a connection", "at least 10,000 a second", ticket_rate("used")),
    *(("lifecycle", f"{what} with lifecycle events to {where}", limit, check(name))
      for where, name in (("a Redis stream", "to a Redis stream"), ("an HTTP backend", "to HTTP"))
      for what, limit, check in (("connect rate of a node on a core of its own,", "at least 0.95 × that without", lifecycle_rate),
                                 ("the same: CPU time of the node for a connection", "at most 1.05 × that without", lifecycle_cpu))),
    *(("journal", f"journal of `carillon dev`: 20,000 deliveries a second to {count:,} subscribers, server CPU of each",
       "at most 1.05 × `carillon serve`, at that rate", journal_ratio(count)) for count in (1000, 100)),
    *(("older", f"server CPU of each, {case}, against an older program", "at most 1.02 ×", against_older(case, *CPU))
      for case in ("fanout, 1 in flight", "fanout, 16 in flight", "connect")),
    ("workers", "2 workers against 1, on 2 cores that the generator needs too", "reported", workers_ratio),
    ("cold", "cold start to ready", "below 20 ms", cold_start),
]
