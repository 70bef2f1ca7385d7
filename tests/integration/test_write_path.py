"""A client that reads slowly gets every byte, in order: events, pongs, and bytes that the kernel did not take at once."""
import json
import random
import socket
import ssl
import struct
from pathlib import Path

import pytest

from support.carillon import BINARY
from support.transports import BY_BOTH
from support.wait import DEADLINE_S, SLOWDOWN, Deadline, until
from support.ws import CLOSE, PING, PONG, TEXT, Closed

pytestmark = BY_BOTH

ROOMY = {"outbox.max_bytes": "64m", "outbox.max_messages": 100000, "limits.event_bytes": "64k", "limits.message_rate": 0, "workers": 1}
PINGED = b"p" * 125


def take_available(client, most):
    """Reads up to that many bytes into the client's buffer, if there are any."""
    client.socket.setblocking(False)
    try:
        client.buffer += client.socket.recv(most)
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    client.socket.settimeout(DEADLINE_S)


def read_events(client, count, seconds=DEADLINE_S):
    """Returns the numbers of the events up to that many, and how many pongs came between. Every frame is looked at."""
    deadline = Deadline(seconds, f"{count} events")
    numbers, pongs = [], 0
    while len(numbers) < count:
        fin, opcode, payload = client.receive_frame(deadline.remaining())
        assert fin and opcode in (TEXT, PONG, PING), (fin, opcode)
        if opcode == TEXT:
            number, text = client_data(payload)
            assert text == filler(number), f"event {number} is not what was sent"
            numbers.append(number)
        elif opcode == PONG:
            assert payload == PINGED
            pongs += 1
    return numbers, pongs


def client_data(payload):
    return json.loads(payload)["data"]


def filler(number):
    """Of another length for each event, and its own."""
    chosen = random.Random(number)
    return chosen.choice("abcdefgh") * chosen.randrange(1, 4000)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_slow_reader_that_pings_gets_every_byte(launch, seed):
    """Some pongs meet a kernel that takes only a part of them."""
    node = launch(ROOMY)
    chosen = random.Random(seed)
    with node.connect("slow", receive_buffer=4096) as slow, node.connect("other") as other:
        slow.subscribe("firehose")
        other.subscribe("firehose")
        pings = 0
        for number in range(600):
            if number % 8 == 0 or chosen.random() < 0.5:
                slow.send_frame(PING, PINGED)
                pings += 1
            node.publish("firehose", [number, filler(number)])
            if chosen.random() < 0.7:
                take_available(slow, chosen.randrange(1, 8000))
        numbers, pongs = read_events(slow, 600)
        assert numbers == list(range(600))
        assert 0 < pongs <= pings  # one that waits is replaced by the next (RFC 6455, 5.5.3)
        assert read_events(other, 600)[0] == list(range(600))
        slow.pong = True
        slow.nothing_before_pong()


def test_writes_cut_anywhere(launch):
    """With send() that takes only a part, or nothing, at random: pongs, events and a close frame stay whole and in order."""
    if SLOWDOWN != 1:
        pytest.skip("sanitizers have a send() of their own")
    node = launch(ROOMY, env={"LD_PRELOAD": str(Path(BINARY).parent / "tests/libshort_send.so")})
    clients = [node.connect(f"client-{n}") for n in range(8)]
    for client in clients:
        client.subscribe("firehose")
    for number in range(300):
        for client in clients[::2]:
            client.send_frame(PING, PINGED)
        node.publish("firehose", [number, filler(number)])
    for client in clients[1:]:
        assert read_events(client, 300)[0] == list(range(300))
        client.nothing_before_pong()
    node.api("POST", "/api/v1/disconnect", {"user": "client-0"})
    numbers, pongs = read_events(clients[0], 300)
    assert numbers == list(range(300)) and pongs > 0
    clients[0].expect("error")
    clients[0].expect_close(reason="disconnected")
    for client in clients[1:]:
        client.close()


def test_a_close_waits_for_what_was_before_it(launch):
    node = launch({**ROOMY, "close_timeout": "30s"})
    with node.connect("slow", receive_buffer=4096) as slow:
        slow.subscribe("firehose")
        for number in range(3000):  # 6 MB, more than the sockets of both sides take
            node.publish("firehose", [number, filler(number)])
        answer = node.api("POST", "/api/v1/disconnect", {"user": "slow"})
        assert answer.status == 200, answer
        assert read_events(slow, 3000)[0] == list(range(3000))
        slow.expect("error")
        slow.expect_close(reason="disconnected")
    until(lambda: node.metric("carillon_sessions") == 0, "the session is gone")


def test_a_client_that_closes_while_much_waits_for_it(launch):
    """Its close frame is answered, or it is cut. Nothing of it stays, and nobody else notices."""
    node = launch({**ROOMY, "close_timeout": "200ms"})
    with node.connect("slow", receive_buffer=4096) as slow, node.connect("reset", receive_buffer=4096) as reset, \
            node.connect("other") as other:
        for client in (slow, reset, other):
            client.subscribe("firehose")
        for number in range(1500):
            node.publish("firehose", [number, filler(number)])
        slow.send_frame(CLOSE, struct.pack("!H", 1000))
        reset.drop()
        assert read_events(other, 1500)[0] == list(range(1500))
        until(lambda: node.metric("carillon_sessions") == 1, "both sessions are gone")
        node.publish("firehose", [1500, filler(1500)])
        assert read_events(other, 1)[0] == [1500]
        numbers = []
        try:
            while True:
                _, opcode, payload = slow.receive_frame()
                if opcode == TEXT:
                    numbers.append(client_data(payload)[0])
        except Closed:
            pass
        assert numbers == list(range(len(numbers)))


def test_writing_to_a_connection_that_is_gone(launch):
    """The send fails at once: the session goes, the others of the same turn get theirs."""
    node = launch(ROOMY)
    with node.connect("other") as other:
        other.subscribe("firehose")
        for round_ in range(20):
            leaving = node.connect("leaving")
            leaving.subscribe("firehose")
            leaving.socket.shutdown(socket.SHUT_RDWR)
            leaving.drop()
            node.publish("firehose", [round_, filler(round_)])
        assert read_events(other, 20)[0] == list(range(20))
        until(lambda: node.metric("carillon_sessions") == 1, "those that left are gone")
