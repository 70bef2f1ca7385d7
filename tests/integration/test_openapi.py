"""docs/openapi.yaml is valid, has every route of the server and no other, and says what the server answers."""
import json
import re
import subprocess

import pytest
from support import http
from support.routes import ROOT, routes
from support.wait import DEADLINE_S

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
                          capture_output=True, text=True, timeout=6 * DEADLINE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def documented():
    """(method, path, whether it needs a key), as routes() has them. The document's layout is our own."""
    found = []
    for line in DOCUMENT.read_text().splitlines():
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
