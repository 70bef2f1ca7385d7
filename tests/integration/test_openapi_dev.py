"""docs/openapi-dev.yaml is valid, has every route of /dev/v1 and no other, and says what the server answers."""
import re

import pytest
from support.carillon import ROOT
from support.dev import DevServer
from test_openapi import needs_validator, problems

DOCUMENT = ROOT / "docs/openapi-dev.yaml"
NOBODY = "0198c0de-0000-7000-8000-000000000000"
RULE = {"match": {"at": "out", "type": "notification", "channel": "room:*", "user": "ada", "data": {"message": "x"}, "nth": 9},
        "action": {"do": "delay", "by": "200ms"}, "times": 1, "comment": "late"}
# Method, path of the document, what stands for its {id} (OWN: the client's session), query, request, status.
CALLS = [
    ("POST", "/tokens", "", "", {"sub": "ada", "channels": ["room:*"], "expires": "30s", "claims": {"org": "acme"}}, 200),
    ("POST", "/tokens", "", "", None, 200),
    ("POST", "/tokens", "", "", {"subject": "ada"}, 400),
    ("POST", "/tickets", "", "", {"sub": "ada", "purpose": "chat", "resource": "t 1", "expires": "10s", "claims": {"exp": 4102444800}}, 200),
    ("POST", "/tickets", "", "", {"expires": "2d"}, 400),
    ("GET", "/server", "", "", None, 200),
    ("GET", "/sessions", "", "", None, 200),
    ("GET", "/sessions/{id}", "OWN", "", None, 200),
    ("GET", "/sessions/{id}", NOBODY, "", None, 404),
    ("POST", "/rules", "", "", RULE, 200),
    ("POST", "/rules", "", "", {"action": {"do": "freeze", "for": 0}, "match": {"at": "connect", "user": "nobody"}}, 200),
    ("POST", "/rules", "", "", {"action": {"do": "explode"}}, 400),
    ("GET", "/rules", "", "", None, 200),
    ("GET", "/rules/{id}", "r1", "", None, 200),
    ("GET", "/rules/{id}", "r9", "", None, 404),
    ("GET", "/snapshot", "", "", None, 200),
    ("DELETE", "/rules/{id}", "r2", "", None, 204),
    ("DELETE", "/rules/{id}", "r2", "", None, 404),
    ("DELETE", "/rules", "", "", None, 204),
    ("POST", "/do", "", "", {"on": {"user": "ada"}, "action": {"do": "drop"}}, 200),
    ("POST", "/do", "", "", {"on": {"all": True}, "action": {"do": "gap", "reason": "connection_lost"}}, 200),
    ("POST", "/do", "", "", {"on": {}, "action": {"do": "drop"}}, 400),
    ("GET", "/clock", "", "", None, 200),
    ("POST", "/clock", "", "", {"advance": "250ms"}, 200),
    ("POST", "/clock", "", "", {"run": True, "rate": 2}, 200),
    ("POST", "/clock", "", "", {"advance": "soon"}, 400),
    ("POST", "/wait", "", "", {"for": {"kind": ["subscribed", "closed"], "user": "ada"}, "count": 1, "timeout": "5s", "after": 0}, 200),
    ("POST", "/wait", "", "", {"for": {"kind": "idle"}}, 200),
    ("POST", "/wait", "", "", {"for": {"kind": "subscribed", "channel": "room:9"}, "timeout": "1ms"}, 408),
    ("POST", "/wait", "", "", {"for": {"kind": "sold"}}, 400),
    ("POST", "/verify", "", "", {"expect": [{"kind": "connected", "user": "ada"}], "in_order": True, "nothing_else": ["reset"], "after": 0}, 200),
    ("POST", "/verify", "", "", {"expect": [{"kind": "reset"}]}, 422),
    ("POST", "/verify", "", "", {"expected": []}, 400),
    ("GET", "/journal", "", "?kinds=connected,sent&after=0", None, 200),
    ("GET", "/journal", "", "?kinds=sold", None, 400),
    ("PUT", "/snapshot", "", "", "SAVED", 204),
    ("PUT", "/snapshot", "", "", {"version": 2}, 400),
    ("GET", "/broker", "", "", None, 200),
    ("POST", "/broker", "", "", {"state": "slow", "by": "1ms", "for": "5s"}, 200),
    ("POST", "/broker", "", "", {"state": "gone"}, 400),
    ("PUT", "/channels-rules", "", "", [{"match": "room:*", "allow": ["subscribe"]}], 204),
    ("PUT", "/channels-rules", "", "", None, 204),
    ("PUT", "/channels-rules", "", "", [{"match": 1}], 400),
    ("POST", "/reset", "", "", {"keep": ["journal"]}, 200),
    ("POST", "/reset", "", "", {"keep": ["all"]}, 400),
    ("DELETE", "/journal", "", "", None, 204),
]


def served():
    """(method, path) of the server's tables."""
    files = [*sorted((ROOT / "server/dev").glob("*_routes.c")), ROOT / "server/cli/dev_tokens.c"]
    return {found for file in files for found in re.findall(r'\{"([A-Z]+)", "(/dev/v1/\S+)", \w+\}', file.read_text())}


def documented():
    found, path = set(), None
    for line in DOCUMENT.read_text().splitlines():
        if named := re.match(r"  (/dev/v1/\S+):$", line):
            path = named[1]
        elif method := re.match(r"    (get|post|put|delete|patch):$", line):
            found.add((method[1].upper(), path))
    return found


def schema(name):
    """Lines of a schema of the document, whose layout is our own."""
    return re.search(rf'^    "?{name}"?:\n((?:      .*\n)+)', DOCUMENT.read_text(), re.M)[1]


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path, "--preset", "all")
    yield server
    server.close()


def test_it_has_the_routes_of_the_server():
    assert len(served()) > 20
    assert documented() == served()


def test_it_has_the_kinds_of_the_journal():
    kinds = re.findall(r'^JOURNAL_KIND\(\w+, "(\w+)"', (ROOT / "server/dev/journal_kinds.def").read_text(), re.M)
    assert kinds and set(re.search(r"enum: \[(.*)\]", schema("JournalKind"))[1].split(", ")) == set(kinds)


def test_it_has_the_actions_of_the_server():
    table = (ROOT / "server/dev/fault_actions.def").read_text()
    names = dict(re.findall(r'^FAULT_MEMBER\((\w+), "(\w+)"', table, re.M))
    actions = {name: {names[symbol] for symbol in re.findall(r"M\((\w+)\)", members)}
               for name, members in re.findall(r'^FAULT_ACTION\(\w+, "(\w+)", [^,]+, ([^,]+), .*\)', table, re.M)}
    assert len(actions) == len(re.findall(r"^FAULT_ACTION", table, re.M))
    described = {}
    for line in re.findall(r"- ({.*)", schema("Action")):
        members = line.partition("properties: { ")[2]
        name = re.match(r"do: { const: (\w+) }", members)[1]
        described[name] = set(re.findall(r"(?:^|}, )(\w+): {", members)) - {"do"}
    assert described == actions


@needs_validator
@pytest.mark.parametrize("before, after", [
    ("", ""),
    ("  title: Orders to carillon dev\n", ""),
    ("#/components/schemas/SessionDetails", "#/components/schemas/SessionShown"),
    ("{ sub: ada, channels:", "{ sub: ada, channel:"),
    ("{ do: delay, by: 200ms }", "{ do: delay, bye: 200ms }"),
])
def test_it_is_valid(tmp_path, before, after):
    """As it is. With one thing changed it is not, and that is seen."""
    text = DOCUMENT.read_text()
    assert before in text
    changed = tmp_path / "openapi-dev.yaml"
    changed.write_text(text.replace(before, after, 1))
    assert bool(problems(changed)) == (before != after), problems(changed)


def exchange(method, path, status, request, answer):
    kind = answer.headers.get("content-type", "").partition(";")[0] if answer.body else None
    return {"method": method, "path": f"/dev/v1{path}", "status": status, "request": request, "type": kind,
            "answer": answer.json if kind == "application/json" else answer.body.decode()}


@needs_validator
def test_it_says_what_the_server_answers(dev):
    client = dev.connect("ada")
    client.subscribe("room:1")
    dev.publish("room:1")
    client.find("notification")
    exchanges, saved = [], None
    for method, path, part, query, body, status in CALLS:
        named = client.init["session_id"] if part == "OWN" else part
        body = saved if body == "SAVED" else body
        answer = dev.call(method, path.replace("{id}", named) + query, body)
        assert answer.status == status, f"{method} {path} {body}: {answer}"
        exchanges.append(exchange(method, path, status, body, answer))
        if (method, path) == ("GET", "/snapshot"):
            saved = answer.json
            assert saved["channels"] and saved["rules"]
        elif path == "/journal" and status == 200:
            lines = dev.journal(query)  # as JSON, in the form of another answer
            exchanges.append({**exchange("POST", "/wait", 200, None, answer), "type": "application/json", "answer": {"lines": lines}})
            assert len(lines) > 1
    assert {(e["method"], e["path"]) for e in exchanges if e["status"] < 300} == served()
    for method, path in sorted(served()):
        answer = dev.call(method, path.removeprefix("/dev/v1").replace("{id}", "x"), {}, {"Origin": "https://other.example"})
        assert answer.status == 403
        exchanges.append(exchange(method, path.removeprefix("/dev/v1"), 403, None, answer))
    assert not problems(DOCUMENT, exchanges)
    wrong = [{**exchanges[0], "answer": {"token": 1, "ws_url": "x"}}, {**exchanges[0], "request": {"sbu": "ada"}}, {**exchanges[0], "status": 201}]
    assert all(problems(DOCUMENT, [one]) for one in wrong), "it is seen"


def test_tickets_open_the_sockets_that_they_are_for(dev):
    made = dev.order("/tickets", {"sub": "ada", "purpose": "chat", "resource": "t1"})
    assert made["ws_url"].endswith(f"/ai-chat/t1/transcript?ticket={made['ticket']}") and made["expires_in"] == 30
    path = "/" + made["ws_url"].split("/", 3)[3]
    client = dev.client(None, path=path)
    assert dev.find(kind="connected")["user"] == "ada"
    client.drop()
    other = dev.order("/tickets", {"sub": "bob", "purpose": "other"})
    assert dev.refused("/tickets", {"purpose": "x" * 256}).startswith("purpose: expected at most 255 bytes")
    assert dev.refused("/tickets", {"claims": {"channels": []}}).startswith("claims: channels")
    assert other["ws_url"].rpartition("?")[0].endswith("/notifications"), "it takes tickets for any purpose"


def test_tickets_without_an_endpoint_for_them(tmp_path):
    server = DevServer(tmp_path)
    assert server.refused("/tickets", {}, 409) == \
        "no endpoint takes tickets: give one `ticket_query`, or start carillon dev --preset ticket-sockets"
    server.close()


def test_tickets_while_the_broker_is_down(dev):
    dev.order("/broker", {"state": "down"})
    assert dev.call("POST", "/tickets", {}).status == 503
