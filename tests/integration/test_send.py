"""Messages of backends to sessions as they are: by session, user and channel; text and binary; on one node and on two."""
import base64
import json
import signal
import socket
import threading
import time
from http.client import HTTPConnection

import pytest
from support import ws
from support.carillon import API_KEY
from support.wait import DEADLINE_S, until

GONE = "0198c0de-0000-7000-8000-000000000000"
TEXT = {"Content-Type": "text/plain"}
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(params=["one node", "two nodes"])
def nodes(request, launch):
    """The node that is asked, and the node of the clients."""
    if request.param == "two nodes":
        return launch.pair(request.getfixturevalue("redis"))
    return [launch()] * 2


def session(client):
    return client.init["session_id"]


def path(client):
    return f"/api/v1/sessions/{session(client)}/send"


def send(node, client, body, headers=None):
    return node.api("POST", path(client), body, headers=headers or TEXT)


def frame(client):
    """Kind and payload of the next message. Answers pings on the way."""
    fin, opcode, payload = client.receive_frame()
    while opcode == ws.PING:
        client.send_frame(ws.PONG, payload)
        fin, opcode, payload = client.receive_frame()
    assert fin
    return {ws.TEXT: "text", ws.BINARY: "binary"}[opcode], payload


@pytest.mark.parametrize("content_type, kind", [
    ("text/plain", "text"), ("Text/Plain; charset=utf-8", "text"), ("application/json", "text"),
    ("application/cloudevents+json; charset=utf-8", "text"), ("application/octet-stream", "binary"),
    ("audio/opus", "binary"), ("application/jsonx", "binary")])
def test_the_content_type_says_which_kind(nodes, content_type, kind):
    node, other = nodes
    body = '{"a": 1.0, "б":"\U0001f514"}'.encode()
    with other.connect("ada") as ada:
        for each in (body, b"", b"\0\x01" if kind == "binary" else b"a\0b", b"x" * 70000):
            answer = send(node, ada, each, {"Content-Type": content_type})
            assert (answer.status, answer.json) == (200, {"count": 1}), answer
            assert frame(ada) == (kind, each)


def test_bytes_that_are_no_text(nodes):
    node, other = nodes
    every = bytes(range(256))
    with other.connect("ada") as ada:
        answer = send(node, ada, every)
        assert answer.status == 400 and "not UTF-8" in answer.json["error"]["message"]
        assert send(node, ada, every, BINARY).status == 200
        assert frame(ada) == ("binary", every)


def test_refusals(nodes):
    node, other = nodes
    with other.connect("ada") as ada:
        for headers in ({"Content-Type": ""}, {"Content-Type": "application/x-www-form-urlencoded"},
                        {"Content-Type": "multipart/form-data; boundary=x"}):
            answer = send(node, ada, b"x", headers)
            assert answer.status == 415 and answer.json["error"]["code"] == "unsupported_type", answer
        for name in ("me", GONE[:-1], GONE.upper(), "%30" + GONE[1:]):
            answer = node.api("POST", f"/api/v1/sessions/{name}/send", b"x", headers=TEXT)
            assert answer.status == 404 and "not the id of a session" in answer.json["error"]["message"], answer
        assert node.api("GET", path(ada)).status == 405
        assert send(node, ada, b"x" * (1 << 20) + b"x").status == 413
        gone = node.api("POST", f"/api/v1/sessions/{GONE}/send", b"x", headers=TEXT)
        assert gone.status == 410 and gone.json["error"] == {"code": "gone", "message": "the session has ended; nothing was sent"}
        ada.nothing_before_pong()
        left = path(ada)
    until(lambda: node.api("POST", left, b"x", headers=TEXT).status == 410, "the session has gone")


BODIES = [
    ({"text": 'say "hi"\n\U0001f514'}, ("text", 'say "hi"\n\U0001f514'.encode())),
    ({"text": ""}, ("text", b"")),
    (b'"json": { "n" : 1.0e3,"a":[ ] }', ("text", b'{ "n" : 1.0e3,"a":[ ] }')),
    (b'"json":"text"', ("text", b'"text"')),
    ({"binary": base64.b64encode(bytes(range(256))).decode()}, ("binary", bytes(range(256)))),
    ({"binary": base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("=")}, ("binary", b"\xff\xfe")),
    ({"binary": ""}, ("binary", b"")),
]


def body_to(whom, message):
    if isinstance(message, bytes):
        return json.dumps(whom).encode()[:-1] + b"," + message + b"}"
    return {**whom, **message}


@pytest.mark.parametrize("message, expected", BODIES)
def test_messages_in_json(nodes, message, expected):
    node, other = nodes
    with other.connect("ada") as ada, node.connect("ada") as again, other.connect("bob") as bob:
        def check(whom, *clients):
            answer = node.api("POST", "/api/v1/send", body_to(whom, message))
            assert (answer.status, answer.json) == (200, {"count": len(clients)}), answer
            for client in clients:
                assert frame(client) == expected

        check({"session_id": session(ada)}, ada)
        check({"user": "ada"}, ada, again)
        for client in (bob, again):
            client.subscribe("log:a")
        check({"channel": "log:a"}, bob, again)
        check({"user": "nobody"})
        check({"channel": "nobody"})
        check({"session_id": GONE})
        assert node.api("GET", "/api/v1/channels/log:a/history").json["events"] == []
        for client in (ada, again, bob):
            client.nothing_before_pong()


@pytest.mark.parametrize("body, text", [
    ({"text": "x"}, "expected one of session_id, user and channel"),
    ({"user": "", "text": "x"}, "expected one of session_id, user and channel"),
    ({"user": "ada", "channel": "c", "text": "x"}, "expected one of session_id, user and channel"),
    ({"channel": "no name", "text": "x"}, "channel"),
    ({"user": "ada"}, "expected one of text, json and binary"),
    ({"user": "ada", "text": "x", "json": 1}, "expected one of text, json and binary"),
    ({"user": "ada", "binary": "%%%"}, "binary: expected base64"),
    ({"user": "ada", "binary": "YQ="}, "binary: expected base64"),
    ({"user": "ada", "binary": "===="}, "binary: expected base64"),
    ({"user": "ada", "text": 1}, "text: expected a string"),
    ([], "expected an object"),
])
def test_bad_bodies(node, body, text):
    answer = node.api("POST", "/api/v1/send", body)
    assert answer.status == 400 and text in answer.json["error"]["message"], answer


def test_order_over_one_connection(nodes):
    """Each send after the answer to the one before; and all of them at once, pipelined."""
    node, other = nodes
    with other.connect("ada") as ada:
        connection = HTTPConnection(*node.internal, timeout=DEADLINE_S)
        for n in range(100):
            connection.request("POST", path(ada), str(n), {"X-API-Key": API_KEY, **(BINARY if n % 2 else TEXT)})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
        connection.close()
        assert [int(frame(ada)[1]) for _ in range(100)] == list(range(100))
        requests = b"".join(b"POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%d"
                            % (path(ada).encode(), API_KEY.encode(), len(str(n)), n) for n in range(300))
        with socket.create_connection(node.internal, DEADLINE_S) as raw:
            raw.sendall(requests)
            assert [int(frame(ada)[1]) for _ in range(300)] == list(range(300))


def test_order_beside_events(node):
    with node.connect("ada") as ada:
        ada.subscribe("c")
        for n in range(20):
            node.publish("c", 2 * n)
            assert node.api("POST", "/api/v1/send", {"channel": "c", "json": {"data": 2 * n + 1}}).json == {"count": 1}
        assert [ada.receive()["data"] for _ in range(40)] == list(range(40))


def test_a_full_outbox_ends_the_session(launch):
    node = launch({"outbox.max_bytes": "64k"})
    with node.connect("slow", receive_buffer=4096) as slow:
        until(lambda: send(node, slow, b"x" * 30000).status == 410, "the session has been closed")
        assert node.metric("carillon_slow_consumers_total") == 1


def test_a_hung_node_is_not_asked(launch, redis):
    """A send to a session waits for its node alone. When that one does not answer, nobody knows."""
    a, b = launch.pair(redis)
    third = launch({"redis.url": redis.url})
    until(third.ready, "the third node is ready")
    with b.connect("ada") as ada, third.connect("eve") as eve:
        third.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for n in range(20):
                assert send(a, ada, str(n).encode()).json == {"count": 1}
            assert time.monotonic() - began < 30, "it did not wait for the third node, which is two seconds each time"
            assert [int(frame(ada)[1]) for _ in range(20)] == list(range(20))
            answer = send(a, eve, b"x")
            assert answer.status == 503 and "it is not known" in answer.json["error"]["message"], answer
            answer = a.api("POST", "/api/v1/send", {"user": "ada", "text": "x"}).json
            assert answer["count"] == 1 and answer["partial"] is True and answer["nodes_asked"] == 3
        finally:
            third.signal(signal.SIGCONT)


def test_many_at_once(nodes):
    """More callers than surveys at once: none gets a wrong answer, each session's messages stay in the caller's order."""
    node, other = nodes
    clients = [other.connect(f"user-{n}") for n in range(8)]
    failures = []

    def call(client):
        connection = HTTPConnection(*node.internal, timeout=DEADLINE_S)
        for n in range(50):
            connection.request("POST", path(client), str(n), {"X-API-Key": API_KEY, **TEXT})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failures.append(response.status)
        connection.close()

    threads = [threading.Thread(target=call, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures
    for client in clients:
        assert [int(frame(client)[1]) for _ in range(50)] == list(range(50))
        client.close()
