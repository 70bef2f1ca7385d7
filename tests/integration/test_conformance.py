"""RFC 6455 to the letter, in plaintext and by TLS: the cases of support/conformance.py."""
import json
import struct

import pytest

from support import conformance, ws
from support.tls import Certificate
from support.wait import DEADLINE_S, Deadline

CONFIG = {
    "limits.message_bytes": conformance.MESSAGE_BYTES,
    "limits.event_bytes": conformance.MESSAGE_BYTES,
    "limits.message_rate": 0,
    "outbox.max_bytes": "64m",
    "ping_interval": "0",
    "channels": [{"match": "echo:*", "allow": ["subscribe", "publish"]}],
}


@pytest.fixture(scope="module", params=["plain", "tls"])
def dial(request, launch_for_module, tmp_path_factory):
    """Opens a client that is subscribed to the channel of the cases."""
    certificate = Certificate(tmp_path_factory.mktemp("tls")) if request.param == "tls" else None
    node = launch_for_module({**CONFIG, **(certificate.options if certificate else {})}, name=f"conformance-{request.param}")
    trusted = certificate.trusted() if certificate else None

    def connect():
        client = node.connect(tls=trusted)
        client.pong = False
        client.send("subscribe", id=1, channel=conformance.CHANNEL)
        client.expect("subscribed")
        return client

    yield connect


def next_frame(client, deadline):
    while True:
        taken = client.take_frame()
        if taken:
            return taken
        client._fill(deadline)


def expect(client, step):
    kind, deadline = step[0], Deadline(DEADLINE_S, f"{step[0]} {str(step[1:])[:60]}")
    if kind == "closed":
        expect_closed(client, step[1], step[2], deadline)
        return
    while True:
        fin, opcode, payload = next_frame(client, deadline)
        assert fin
        if kind == "pong":
            assert (opcode, payload) == (ws.PONG, step[1])
            return
        assert opcode == ws.TEXT, (opcode, payload[:100])
        message = json.loads(payload)
        if message["type"] == "published":
            continue
        if kind == "answer":
            assert (message["type"], message["id"]) == ("pong", step[1]), message
        elif kind == "event":
            assert message["type"] == "echo" and message["data"] == step[1]
        else:
            assert kind == "error" and message["type"] == "error" and message["error"]["code"] == step[1], message
        return


def expect_closed(client, code, reason, deadline):
    """A close frame with nothing after it but the end. An error that says why may go before it, but not to one that breaks the
    WebSocket protocol."""
    while True:
        fin, opcode, payload = next_frame(client, deadline)
        if opcode == ws.TEXT and json.loads(payload)["type"] in (("published",) if code == 1002 else ("error", "published")):
            continue
        break
    assert fin and opcode == ws.CLOSE, (opcode, payload[:100])
    told = struct.unpack("!H", payload[:2])[0] if payload else None
    assert (told, payload[2:].decode()) == (code, reason)
    with pytest.raises(ws.Closed):
        while True:
            assert client.take_frame() is None, "something follows the close frame"
            client._fill(deadline)


def run(client, steps):
    for step in steps:
        if step[0] == "send":
            try_to_send(client, step[1])
        elif step[0] == "chop":
            for at in range(0, len(step[1]), step[2]):
                try_to_send(client, step[1][at:at + step[2]])
        else:
            expect(client, step)


def try_to_send(client, raw):
    """Frames after one that the server refuses may find the connection closed."""
    try:
        client.send_raw(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass


def test_there_are_enough_cases():
    names = [case.name for case in conformance.CASES]
    assert len(names) == len(set(names)) >= 250


@pytest.mark.parametrize("case", conformance.CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_case(dial, case):
    client = dial()
    try:
        run(client, case.steps)
    finally:
        client.close()
