"""docs/openapi.yaml is valid, has every route of the server and no other, and says what the server answers."""
import json
import re
import subprocess

import pytest
from support import http, jwt, ws
from support.backend import Backend
from support.carillon import API_KEY
from support.routes import ROOT, routes
from support.wait import TOOL_S, until

DOCUMENT = ROOT / "docs/openapi.yaml"
PYTHON = ROOT / "build/validator/bin/python"
needs_validator = pytest.mark.skipif(not PYTHON.exists(), reason="no build/validator, which ./run test makes")
EVENT = {"channel": "log:x", "type": "chat_message", "data": {"conversation_id": "c", "sender_id": "s", "content": "Hi"}}
BROADCAST = {"channels": ["log:x", "not a name"], "type": "test", "data": [1]}
# Method, path of the document, what stands for its {} (OWN: the client's session), query, request, status.
CALLS = [
    ("POST", "/api/v1/publish", "", "", EVENT, 200),
    ("POST", "/api/v1/publish", "", "", {**EVENT, "event_id": "once"}, 200),
    ("POST", "/api/v1/publish", "", "", {**EVENT, "event_id": "once"}, 200),
    ("POST", "/api/v1/publish", "", "", {"channel": "log:x"}, 400),
    ("POST", "/api/v1/broadcast", "", "", BROADCAST, 200),
    ("POST", "/api/v1/broadcast", "", "", {}, 400),
    ("POST", "/api/v1/batch", "", "", {"commands": [{"publish": EVENT}, {"broadcast": BROADCAST}, {"publish": {**EVENT, "data": "not an object"}}]}, 200),
    ("POST", "/api/v1/batch", "", "", {"commands": 1}, 400),
    ("POST", "/api/v1/subscribe", "", "", {"user": "ann", "channel": "log:x"}, 200),
    ("POST", "/api/v1/subscribe", "", "", {"channel": "log:x"}, 400),
    ("GET", "/api/v1/sessions", "", "?user=ann&limit=1", None, 200),
    ("GET", "/api/v1/sessions", "", "?limit=no", None, 400),
    ("GET", "/api/v1/sessions/{session_id}", "OWN", "?limit=1", None, 200),
    ("GET", "/api/v1/sessions/{session_id}", "OWN", "?limit=no", None, 400),
    ("GET", "/api/v1/sessions/{session_id}", "0198c0de-0000-7000-8000-000000000000", "", None, 404),
    ("GET", "/api/v1/channels", "", "?prefix=log", None, 200),
    ("GET", "/api/v1/channels", "", "?limit=no", None, 400),
    ("GET", "/api/v1/channels/{channel}", "log%3Ax", "", None, 200),
    ("GET", "/api/v1/channels/{channel}", "nobody", "", None, 404),
    ("GET", "/api/v1/channels/{channel}/history", "log%3Ax", "?limit=2", None, 200),
    ("GET", "/api/v1/channels/{channel}/history", "log%3Ax", "?since_offset=0&since_epoch=another", None, 409),
    ("GET", "/api/v1/channels/{channel}/history", "log%3Ax", "?limit=no", None, 400),
    ("GET", "/api/v1/channels/{channel}/presence", "room", "", None, 200),
    ("GET", "/api/v1/channels/{channel}/presence", "log%3Ax", "", None, 404),
    ("GET", "/api/v1/channels/{channel}/presence", "room", "?limit=no", None, 400),
    ("POST", "/api/v1/unsubscribe", "", "", {"user": "ann", "channel": "log:x"}, 200),
    ("POST", "/api/v1/unsubscribe", "", "", {}, 400),
    ("POST", "/api/v1/send", "", "", {"user": "ann", "json": {"answer": 42}}, 200),
    ("POST", "/api/v1/send", "", "", {"session_id": "0198c0de-0000-7000-8000-000000000000", "binary": "/w=="}, 200),
    ("POST", "/api/v1/send", "", "", {"user": "ann"}, 400),
    ("POST", "/api/v1/sessions/{session_id}/send", "0198c0de-0000-7000-8000-000000000000", "", [42], 415),
    ("POST", "/api/v1/sessions/{session_id}/send", "OWN", "", [42], 200),
    ("POST", "/api/v1/sessions/{session_id}/send", "0198c0de-0000-7000-8000-000000000000", "", [42], 410),
    ("POST", "/api/v1/sessions/{session_id}/send", "me", "", [42], 404),
    ("POST", "/api/v1/publish", "", "", {**EVENT, "exclude_session": "0198c0de-0000-7000-8000-000000000000"}, 200),
    ("POST", "/api/v1/tickets", "", "", {"user": "ann", "purpose": "chat", "resource": "t1", "claims": {"role": "x"}, "ttl": 5}, 200),
    ("POST", "/api/v1/tickets", "", "", {"purpose": "chat"}, 400),
    ("POST", "/api/v1/disconnect", "", "", {"user": "ann", "code": 4000, "reason": "bye"}, 200),
    ("POST", "/api/v1/disconnect", "", "", {"user": "ann", "code": 1}, 400),
    ("POST", "/api/v1/tickets", "", "", {"user": "ann", "claims": {"scope": "read"}, "purpose": "chat", "ttl": 10}, 200),
    ("POST", "/api/v1/tickets", "", "", {"purpose": "chat"}, 400),
    ("POST", "/api/v1/revoke", "", "", {"user": "ann"}, 200),
    ("POST", "/api/v1/revoke", "", "", {}, 400),
    ("GET", "/api/v1/info", "", "", None, 200),
    ("GET", "/livez", "", "", None, 200),
    ("GET", "/readyz", "", "", None, 200),
    ("GET", "/metrics", "", "", None, 200),
    ("GET", "/openapi.yaml", "", "", None, 200),
    ("GET", "/asyncapi.yaml", "", "", None, 200),
]
CONFIG = {"channels": [{"match": "log:*", "allow": ["subscribe", "publish", "history"], "history": {"size": 100, "ttl": "10m"}},
                       {"match": "room", "allow": ["subscribe", "presence"], "presence": True}]}


def problems(document, exchanges=()):
    done = subprocess.run([PYTHON, "-B", ROOT / "tests/openapi/check.py", document], input=json.dumps(list(exchanges)),
                          capture_output=True, text=True, timeout=TOOL_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def documented():
    """(method, path, whether it needs a key), as routes() has them: those of the internal listener. The document's layout is our own."""
    found = []
    paths = re.search(r"^paths:\n(.*?)^\w", DOCUMENT.read_text(), re.M | re.S)[1]
    internal = re.sub(r"^  /\S*:\n    servers:\n(?:    .*\n)*", "", paths, flags=re.M)
    for line in internal.splitlines():
        if path := re.match(r"  (/\S*):$", line):
            name = re.sub(r"{\w+}", "{}", path[1])
        elif method := re.match(r"    (get|post|put|delete|patch):$", line):
            found.append([method[1].upper(), name, True])
        elif line == "      security: []":
            found[-1][2] = False
    return [tuple(route) for route in found]


def test_it_has_the_routes_of_the_server():
    assert sorted(documented()) == sorted(routes())


@needs_validator
@pytest.mark.parametrize("before, after", [
    ("", ""),
    ("  title: Carillon HTTP API\n", ""),
    ("type: array", "type: list"),
    ("security: []", "security: {}"),
    ('description: "Percent-encoded, also its slashes."', "description: Percent-encoded, also its slashes."),
    ('type: [string, "null"]', 'type: [string, "null"]\n      type: string'),
    ("#/components/schemas/Published", "#/components/schemas/Publisher"),
    ("{ channels: [", "{ channel: ["),
])
def test_it_is_valid(tmp_path, before, after):
    """As it is. With one thing changed it is not, and that is seen."""
    text = DOCUMENT.read_text()
    assert before in text
    changed = tmp_path / "openapi.yaml"
    changed.write_text(text.replace(before, after, 1))
    assert bool(problems(changed)) == (before != after), problems(changed)


@needs_validator
def test_it_says_what_the_server_answers(launch):
    node = launch(CONFIG)
    exchanges = []
    with node.connect("ann", {"info": {"name": "Ann"}}) as client:
        client.subscribe("room")
        client.ask("presence", "presence", channel="room")
        for method, path, channel, query, body, status in CALLS:
            named = client.init["session_id"] if channel == "OWN" else channel
            headers = {} if status == 415 else {"Content-Type": "application/json"}
            answer = node.api(method, re.sub("{.*}", named, path) + query, body, headers=headers)
            assert answer.status == status, f"{method} {path}{query} {body}: {answer}"
            kind = answer.headers["content-type"].partition(";")[0]
            exchanges.append({"method": method, "path": path, "status": status, "request": body, "type": kind,
                              "answer": answer.json if kind == "application/json" else answer.body.decode()})
    for method, path, key in routes():
        if key:
            answer = http.request(node.internal, method, path.replace("{}", "x"), b"{}" if method == "POST" else None)
            name = "{session_id}" if "/sessions/" in path else "{channel}"
            exchanges.append({"method": method, "path": path.replace("{}", name), "status": 401, "request": None,
                              "type": "application/json", "answer": answer.json})
    assert {(e["method"], re.sub("{.*}", "{}", e["path"])) for e in exchanges if e["status"] == 200} == \
        {(method, path) for method, path, _ in routes()}
    assert not problems(DOCUMENT, exchanges)


# --- requests that the server sends, and the public listener ---

LIFECYCLE_TYPES = ["session.opened", "session.closed", "subscription.added", "subscription.removed", "channel.occupied", "channel.vacated",
                   "presence.joined", "presence.left", "ticket.issued", "token.revoked"]


def webhook(call):
    """A request to a backend, as check.py takes it."""
    is_batch = call.headers.get("content-type", "").startswith("application/cloudevents-batch")
    kind = "lifecycle.batch" if is_batch else f"upstream.{call.type}"
    is_json = is_batch or call.headers.get("content-type") == "application/json"
    return {"webhook": kind, "headers": call.headers, "body": json.loads(call.body) if is_json else call.body.decode() or None}


@pytest.fixture
def calls(launch):
    """Requests of each kind, as backends get them."""
    def answer(call):
        call.answer(200, {}, ce_connectionstate="c3RhdGU=") if call.type == "connected" else call.answer()

    token = jwt.mint("J\u00fcrgen", role="admin")
    with Backend(answer) as backend:
        upstream = {"url": backend.url, "secret": ["0123456789abcdef", "another secret of tests"], "claims": ["role"], "connect": {}, "subscribe": {},
                    "events": ["connected", "disconnected"]}
        node = launch({"channels": CONFIG["channels"], "upstreams": {"x": upstream}, "api.keys": [API_KEY], "tickets.path": "/websocket/ticket",
                       "endpoints": [{"path": "/c/{id}", "text": "commands", "binary": "upstream", "upstream": "x", "query": ["trace"]},
                                     {"path": "/m", "text": "upstream", "upstream": "x"}],
                       "lifecycle": {"types": LIFECYCLE_TYPES, "vacated_after": "0s", "http": {"url": backend.url, "secret": ["0123456789abcdef"]}}})
        headers = [("Sec-WebSocket-Protocol", f"carillon.v1, {token}")]
        with node.client(path="/c/t1?trace=7", headers=headers) as client:
            client.find("session_init")
            client.subscribe("log:x")
            client.send_frame(ws.BINARY, b"bytes")
            backend.wait_for("message")
        with node.client(path="/m", headers=headers) as client:
            client.send_text('{"a": [1, {"b": 2}]}')
            client.send_text("a text")
            backend.wait_for("message", 3)
        with node.client(path="/m", headers=headers) as client:
            client.drop()
        assert http.request(node.public, "POST", "/websocket/ticket", {}, {"Authorization": f"Bearer {token}"}).status == 200
        node.api("POST", "/api/v1/revoke", {"jti": "one"})
        told = {"carillon." + kind for kind in LIFECYCLE_TYPES if not kind.startswith("presence")}
        until(lambda: told <= {event["type"] for call in list(backend.calls) if "cloudevents-batch" in call.headers.get("content-type", "")
                               for event in call.json()}, "an event of each type")
        backend.wait_for("disconnected", 3)
        yield list(backend.calls)


@needs_validator
def test_it_says_what_the_server_sends(calls):
    sent = [webhook(call) for call in calls]
    documented = set(re.findall(r"^  ((?:upstream|lifecycle)\.\w+):$", DOCUMENT.read_text(), re.M))
    assert {one["webhook"] for one in sent} == documented
    assert not problems(DOCUMENT, sent)
    message = next(one for one in sent if one["webhook"] == "upstream.message")
    wrong = [{**message, "headers": {**message["headers"], "ce-new": "1"}}, {**message, "headers": {**message["headers"], "ce-sequence": "x"}},
             {**message, "body": None}, {**next(one for one in sent if one["webhook"] == "upstream.connect"), "body": {"user": "x"}}]
    assert all(problems(DOCUMENT, [one]) for one in wrong), "it is seen"


@needs_validator
def test_it_says_how_a_client_gets_a_ticket(launch):
    node = launch({"tickets.path": "/websocket/ticket", "tickets.origins": ["https://app.example"], "tickets.rate_per_user": 2,
                   "endpoints": [{"path": "/ws"}, {"path": "/t", "ticket_query": ["ticket"]}]})
    exchanges = []
    good = {"Authorization": f"Bearer {jwt.mint('ann')}"}
    for status, body, headers in [(401, {}, {}), (403, {}, {**good, "Origin": "https://other.example"}), (200, {"purpose": "chat", "resourceId": 7}, good),
                                  (400, {"purpose": []}, good), (429, {}, good), (413, {"purpose": "x" * 5000}, good)]:
        answer = http.request(node.public, "POST", "/websocket/ticket", body, headers)
        assert answer.status == status, answer
        exchanges.append({"method": "POST", "path": "/websocket/ticket", "status": status, "request": body, "type": answer.headers["content-type"],
                          "answer": answer.json})
    assert not problems(DOCUMENT, exchanges)
