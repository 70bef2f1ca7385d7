"""One client stops reading. It is closed, the server's memory stays bounded, nobody else notices."""
from support.firehose import firehose
from support.transports import BY_BOTH
from support.wait import SLOWDOWN, until
from support.ws import Closed

pytestmark = BY_BOTH

CHUNK = "x" * 16000
EVENTS = 3000 if SLOWDOWN == 1 else 1000  # 48 MB for one subscriber, many times what sockets and outbox may hold


def test_slow_consumer(launch):
    node = launch({"close_timeout": "500ms", "outbox.max_bytes": "256k", "limits.event_bytes": "64k"})
    slow = node.connect("slow", receive_buffer=4096)
    slow.subscribe("firehose")
    reader = node.connect("reader")
    reader.subscribe("firehose")
    bystander = node.connect("bystander")
    bystander.subscribe("quiet")
    for n in firehose(node, reader, EVENTS, CHUNK):
        if n == 99:
            before = node.resident_bytes()
    grown = node.resident_bytes() - before
    if SLOWDOWN == 1:  # sanitizers keep freed memory for a while
        assert grown < 16 << 20, f"{grown} bytes more"
    assert node.metric("carillon_slow_consumers_total") == 1
    until(lambda: node.metric("carillon_sessions") == 2, "the slow session is gone")
    node.publish("quiet", 1)
    bystander.expect("test")
    # The events in its own buffers come in order. Then comes the close, or the end of the connection.
    read_before = 0
    try:
        while True:
            message = slow.receive()
            if message["type"] == "test":
                assert message["data"][0] == read_before
                read_before += 1
    except Closed as closed:
        assert (closed.code, closed.reason) == (1013, "slow_consumer") or closed.code is None, closed
    assert read_before < EVENTS
    reader.close()
    bystander.close()


def test_a_pause_within_the_limit_costs_nothing(launch):
    node = launch({"close_timeout": "500ms", "outbox.max_bytes": "64m", "outbox.max_messages": 100000, "limits.event_bytes": "64k"})
    with node.connect("pausing", receive_buffer=4096) as client:
        client.subscribe("firehose")
        for n in range(500):
            node.publish("firehose", [n, CHUNK])
        assert [client.expect("test")["data"][0] for _ in range(500)] == list(range(500))
        client.nothing_before_pong()


def test_the_number_of_messages_is_limited_too(launch):
    node = launch({"close_timeout": "500ms", "outbox.max_bytes": "64m", "outbox.max_messages": 100, "limits.event_bytes": "64k"})
    with node.connect("slow", receive_buffer=4096) as client:
        client.subscribe("firehose")

        def is_closed():
            for _ in range(50):  # the sockets of both sides take a hundred and more
                node.publish("firehose", CHUNK)
            return node.metric("carillon_slow_consumers_total") == 1

        until(is_closed, "it is closed")
        until(lambda: node.metric("carillon_sessions") == 0, "the session is gone")


def test_commands_without_reading_the_answers(launch):
    """A client that asks and asks and never reads fills its own outbox, not the server."""
    node = launch({"close_timeout": "500ms", "outbox.max_bytes": "64k", "limits.message_rate": 0})
    with node.connect("asking", receive_buffer=4096) as client:
        try:
            while node.metric("carillon_sessions") == 1:
                for _ in range(200):
                    client.send("subscribe", id="x" * 64, channel="y" * 255)
        except OSError:
            pass  # closed in the face of what was still to be sent
        until(lambda: node.metric("carillon_sessions") == 0, "the session is gone")
        assert node.metric("carillon_slow_consumers_total") == 1
