"""The page docs/operations/limits.md: what each thing takes that a client, a stranger or a backend can make grow. Each row with a name in
its last column is measured here, on the heap of the real binary or by Redis itself. The page has the number."""
import re
import socket
import ssl

import pytest
from support import preload
from support.carillon import ALL, ROOT
from support.heap import Heap
from support.tls import client_hello, extension, record
from support.transports import BY_TLS
from support.wait import SLOWDOWN, until

pytestmark = pytest.mark.skipif(SLOWDOWN > 1, reason="a sanitizer has a heap of its own")

PAGE = (ROOT / "docs/operations/limits.md").read_text()
# | what | by whom | option | default | bytes | test |
ROWS = {row[5]: int(row[4].replace(",", "")) for row in
        ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 7)
        if row[4].replace(",", "").isdigit()}
RULES = [{"match": "room:*", "allow": ALL, "history": {"size": 100, "ttl": "10m"}},
         {"match": "crowd:*", "allow": ALL, "presence": True},
         {"match": "*", "allow": ALL}]
CONFIG = {"workers": 1, "channels": RULES, "redis.linger": "0", "limits.message_rate": 0, "history.empty_ttl": "1d", "log.level": "warn"}


def publish(node, channel, data, ids=None, count=1):
    """As a backend; channel and ids: of each number."""
    at_once = min(500, 500000 // len(str(data)))
    for begin in range(0, count, at_once):
        commands = [{"publish": {"channel": channel(n), "type": "test", "data": data, **({"event_id": ids(n)} if ids else {})}}
                    for n in range(begin, min(count, begin + at_once))]
        answer = node.api("POST", "/api/v1/batch", {"commands": commands})
        assert answer.status == 200 and b'"error"' not in answer.body, answer


class Measured:
    """A node with room for little, and how its heap grows."""

    def __init__(self, launch, heap, config):
        self.heap = heap
        self.clients = []
        self.node = launch({**CONFIG, **config}, env=preload.environment(heap.library, **heap.variables))
        self.connect("first")  # what is made once is there
        self.clients[0].subscribe("plain")

    def connect(self, sub="user-1", **options):
        self.clients.append(self.node.connect(sub, **options))
        return self.clients[-1]

    def each(self, count, grow):
        """Bytes a piece."""
        before = self.heap.bytes_in_use()
        grow(count)
        return (self.heap.bytes_in_use() - before) / count

    def publish(self, channel, data, ids=None, count=1):
        publish(self.node, channel, data, ids, count)


@pytest.fixture
def measured(launch, tmp_path):
    try:
        heap = Heap(tmp_path / "heap", preload.build("heap", tmp_path))
    except FileNotFoundError:
        pytest.skip("no C compiler")
    made = []

    def start(config=()):
        made.append(Measured(launch, heap, dict(config)))
        return made[-1]

    yield start
    for each in made:
        for client in each.clients:
            client.close()


def asked(client, command, names, answer, **more):
    for begin in range(0, len(names), 100):
        for name in names[begin:begin + 100]:
            client.send(command, channel=name, **more)
        for _ in names[begin:begin + 100]:
            client.expect(answer)


def stranger(m):
    """Connections that have sent most of a request head."""
    sockets = []

    def grow(count):
        for _ in range(count):
            sockets.append(socket.create_connection(m.node.public))
            sockets[-1].sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 15000)
    return m.each(100, grow), sockets


def tls_stranger(m):
    """Handshakes that have a hello of 12 KB, all but its last bytes."""
    sockets, hello = [], record(client_hello(extension(21, bytes(12000))))

    def grow(count):
        for _ in range(count):
            sockets.append(socket.create_connection(m.node.public))
            sockets[-1].sendall(hello[:-10])
    return m.each(100, grow), sockets


def tls_session(m):
    return session(m)


def session(m):
    return m.each(200, lambda count: [m.connect(f"user-{n}") for n in range(count)])


def subscription(m):
    client = m.connect()
    return m.each(1000, lambda count: asked(client, "subscribe", [f"plain-{n}" for n in range(count)], "subscribed"))


def subscription_with_history(m):
    client = m.connect()
    return m.each(1000, lambda count: asked(client, "subscribe", [f"room:{n}" for n in range(count)], "subscribed"))


def presence_info(m):
    """128 channels with presence and an info of 4 KB: of a session."""
    def grow(count):
        for n in range(count):
            client = m.connect(f"user-{n}", claims={"info": "x" * 4000})
            asked(client, "subscribe", [f"crowd:{n}" for n in range(128)], "subscribed")
        until(lambda: m.node.api("GET", "/api/v1/channels/crowd:127/presence").json["users"] == count, "all are there")
    return m.each(20, grow)


def message_begun(m):
    """The first fragment of a message of 60 KB."""
    clients = [m.connect(f"user-{n}") for n in range(20)]
    return m.each(20, lambda count: [client.send_frame(1, b"x" * 60000, fin=False) for client in clients])


def outbox(m):
    """A client that does not read: up to outbox.max_bytes."""
    m.clients += [m.node.connect("slow", receive_buffer=4096) for _ in range(4)]
    for client in m.clients[-4:]:
        client.subscribe("flood")
    before = m.heap.bytes_in_use()
    highest = 0
    for _ in range(40):
        m.publish(lambda n: "flood", "x" * 30000, count=30 if highest < before + 100000 else 5)  # the kernel takes the first ones
        highest = max(highest, m.heap.bytes_in_use())
        if m.node.metric("carillon_slow_consumers_total") >= 4:
            break
    return highest - before


def empty_channel(m):
    """Subscribed once, never an event: what stays of it for history.empty_ttl."""
    client = m.connect()

    def grow(count):
        names = [f"room:{n}" for n in range(count)]
        for begin in range(0, count, 100):
            asked(client, "subscribe", names[begin:begin + 100], "subscribed")
            asked(client, "unsubscribe", names[begin:begin + 100], "unsubscribed")
    return m.each(4000, grow)


def channel_with_event(m):
    return m.each(4000, lambda count: m.publish(lambda n: f"room:{n}", 1, count=count))


def event(m):
    return m.each(2000, lambda count: m.publish(lambda n: f"room:{n % 20}", "x" * 1000, count=count)) - 1000


def event_id(m):
    return m.each(4000, lambda count: m.publish(lambda n: "room:a", 1, ids=lambda n: f"{n:036}", count=count))


def revocation(m):
    def grow(count):
        for n in range(count):
            assert m.node.api("POST", "/api/v1/revoke", {"jti": f"{n:036}"}).status == 200
    return m.each(1000, grow)


def token(m):
    """One of 5 KB with 1,000 grants, verified once."""
    def grow(count):
        for n in range(count):
            m.node.connect(f"user-{n}", claims={"channels": ["a"] * 1000}).close()
        until(lambda: m.node.metric("carillon_sessions") == 1, "all have gone")
    return m.each(100, grow)


HEAP = [stranger, session, subscription, subscription_with_history, presence_info, message_begun, outbox, empty_channel,
        channel_with_event, event, event_id, revocation, token]
TLS = [tls_stranger, tls_session]
CONFIGS = {"subscription": {"limits.channels": 10000}, "subscription_with_history": {"limits.channels": 10000},
           "outbox": {"outbox.max_bytes": "1m", "outbox.max_messages": 100000},
           "token": {"token.max_bytes": "64k", "limits.head_bytes": "64k"}}


@pytest.mark.parametrize("grow", HEAP, ids=lambda grow: grow.__name__)
def test_what_it_takes_on_a_node(measured, grow):
    check(measured, grow)


@BY_TLS
@pytest.mark.parametrize("grow", TLS, ids=lambda grow: grow.__name__)
def test_what_it_takes_by_tls(measured, grow):
    check(measured, grow)


def check(measured, grow):
    """As much as the page says: no more, and not so much less that the page is of no use."""
    found = grow(measured(CONFIGS.get(grow.__name__, {})))
    bytes_each = found[0] if isinstance(found, tuple) else found
    print(f"{grow.__name__}: {bytes_each:.0f}")
    stated = ROWS[grow.__name__]
    if grow in TLS and ssl.OPENSSL_VERSION_INFO >= (3, 2):
        stated += 15000  # as the page says
    assert 0.5 * stated <= bytes_each <= 1.5 * stated, f"the page says {stated}"


def redis_empty_channel(node, client, count):
    asked(client, "subscribe", [f"room:{n}" for n in range(count)], "subscribed")


def redis_channel_with_event(node, client, count):
    publish(node, lambda n: f"room:{n}", 1, count=count)


def redis_event(node, client, count):
    publish(node, lambda n: f"room:{n % 10}", "x" * 100, count=count)


def redis_event_id(node, client, count):
    publish(node, lambda n: "plain", 1, ids=lambda n: f"{n:036}", count=count)


REDIS = [redis_empty_channel, redis_channel_with_event, redis_event, redis_event_id]


@pytest.mark.parametrize("grow", REDIS, ids=lambda grow: grow.__name__)
def test_what_it_takes_in_redis(launch, redis, grow):
    node = launch({**CONFIG, "channels": [{**RULES[0], "history": {"size": 10000, "ttl": "10m"}}, *RULES[1:]], "redis.url": redis.url,
                   "limits.channels": 10000})
    until(node.ready, "ready")

    def used():
        return int(re.search(r"used_memory:(\d+)", redis("INFO", "memory")).group(1))

    with node.connect() as client:
        grow(node, client, 10)
        before = used()
        grow(node, client, 2010)
        bytes_each = (used() - before) / 2000 - (100 if grow is redis_event else 0)
    print(f"{grow.__name__}: {bytes_each:.0f}")
    assert 0.5 * ROWS[grow.__name__] <= bytes_each <= 1.5 * ROWS[grow.__name__], f"the page says {ROWS[grow.__name__]}"


BOUNDS = {  # what holds whole things together: the option, and what is far more than it allows
    "history.max_bytes": ("2m", lambda m: m.publish(lambda n: f"room:{n % 50}", "x" * 5000, count=4000), 2 << 20),
    "history.max_channels": (500, lambda m: m.publish(lambda n: f"room:{n}", 1, count=10000), 500 * 1000),
    "idempotency_max_bytes": ("1m", lambda m: m.publish(lambda n: "room:a", 1, ids=lambda n: f"{n:036}", count=20000), 1 << 20),
    "token.cache_bytes": ("1m", token, 1 << 20),
}


@pytest.mark.parametrize("option", BOUNDS)
def test_a_bound_in_bytes_bounds_the_heap(measured, option):
    value, grow, most = BOUNDS[option]
    m = measured({option: value, **CONFIGS["token"]})
    before = m.heap.bytes_in_use()
    grow(m)
    taken = m.heap.bytes_in_use() - before
    print(f"{option} {value}: {taken}")
    assert taken <= 1.5 * most + (256 << 10)


def test_the_page_names_what_is_measured():
    measured_here = {grow.__name__ for grow in HEAP + TLS} | {grow.__name__ for grow in REDIS}
    assert set(ROWS) == measured_here
    reference = (ROOT / "docs/reference/options.md").read_text()
    for option in re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", PAGE):
        if "." in option and not option.endswith((".py", ".c", ".md")):
            assert f"`{option}`" in reference, f"there is no option {option}"
