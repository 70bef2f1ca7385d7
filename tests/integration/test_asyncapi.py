"""docs/asyncapi.yaml is valid, has every frame of clients and of the server, and says what is in them."""
import json
import re
import signal
import subprocess

from support import jwt
from support.node_js import BIN, ENVIRONMENT, needs_packages
from support.routes import ROOT
from support.wait import TOOL_S

DOCUMENT = ROOT / "docs/asyncapi.yaml"
needs_parser = needs_packages("tests/asyncapi")
CONFIG = {
    "drain_window": "1s",
    "token.expiry_warning": "1m",
    "channels": [
        {"match": "room", "allow": ["subscribe", "publish", "history", "presence"], "history": {"size": 10, "ttl": "1h"},
         "presence": True, "presence_events": True},
        {"match": "plain", "allow": ["subscribe", "publish", "history"]}],
}
EVENTS = {
    "notification": {"message": "We are open", "level": "success"},
    "chat_message": {"conversation_id": "c", "sender_id": "ann", "content": "Hi", "more": [1]},
    "status_update": {"entity_type": "order", "entity_id": "17", "status": "shipped"},
}
# An answer has the name of its command, or one of its own.
ANSWERS = {"history": "history_page", "presence": "presence_page"}


MISTAKES = [
    ("  title: Carillon WebSocket protocol\n", ""),
    ("    action: receive", "    action: take"),
    ("#/components/messages/subscribe\"", "#/components/messages/subscriber\""),
    ("after_ms: 1234", "after_ms: soon"),
    ("payload: { type: ping, id: 4 }", "payload: { type: ping, id: 4, more: 1 }"),
]


def problems(*documents, frames=()):
    """Of each document. One process looks at all of them: the parser needs seconds to be loaded."""
    done = subprocess.run([BIN / "node", ROOT / "tests/asyncapi/check.mjs", *documents], input=json.dumps(list(frames)), capture_output=True,
                          text=True, timeout=TOOL_S, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_parser
def test_it_is_valid(tmp_path):
    """As it is. With one thing changed it is not, and that is seen."""
    text = DOCUMENT.read_text()
    changed = []
    for n, (before, after) in enumerate(MISTAKES):
        assert before in text
        changed.append(tmp_path / f"asyncapi-{n}.yaml")
        changed[-1].write_text(text.replace(before, after, 1))
    as_it_is, *with_mistakes = problems(DOCUMENT, *changed)
    assert as_it_is == []
    assert [mistake for mistake, seen in zip(MISTAKES, with_mistakes) if not seen] == []


def frames_of_a_server(launch):
    """What a client and a node say to each other: each kind of frame at least once."""
    said = []
    node = launch(CONFIG)
    with node.connect("ann", {"info": {"name": "Ann"}}) as client:
        said.append(("session_init", client.init))

        def ask(type_, answer=None, **data):
            command = {"type": type_, "id": len(said), "data": data}
            client.send_text(json.dumps(command))
            frame = client.find(answer or type_, id=command["id"])
            said.append((type_, command))
            said.append((ANSWERS.get(answer or type_, answer or type_), frame))
            return frame

        position = ask("subscribe", "subscribed", channel="room")["data"]
        ask("subscribe", "subscribed", channel="plain")
        for kind, data in EVENTS.items():
            ask("publish", "published", channel="room", type=kind, data=data)
        for _ in range(2):
            ask("publish", "published", channel="room", type="app.thing", data=[1], event_id="once")
        ask("publish", "error", channel="nowhere", type="app.thing", data=1)
        node.publish("plain", 7)
        said.append(("custom_event", client.find("test")))
        ask("history", channel="room", since={"epoch": position["epoch"], "offset": 0}, limit=2)
        ask("history", channel="plain")
        ask("presence", channel="room")
        ask("ping", "pong")
        ask("refresh", "error", token="none")
        ask("refresh", "refreshed", token=jwt.mint("ann"))
        with node.connect("bob") as other:
            other.subscribe("room")
            client.find("join", data={"user": "bob"})
        said.append(("leave", client.find("leave", channel="room")))
        ask("unsubscribe", "unsubscribed", channel="room")
        assert node.api("POST", "/api/v1/subscribe", {"user": "ann", "channel": "room"}).status == 200
        client.find("subscribed")
        said += [(frame["type"], frame) for frame in client.skipped if frame["type"] in ("join", *EVENTS)]
        with node.connect("late", {"expires_s": 60}) as late:
            said.append(("warning", late.find("warning")))
        node.reload({**CONFIG, "channels": [CONFIG["channels"][0], {**CONFIG["channels"][1], "history": {"size": 10, "ttl": "1h"}}]})
        said.append(("gap", client.find("gap", channel="plain")))
        node.signal(signal.SIGTERM)
        said.append(("reconnect", client.find("reconnect")))
    return said


@needs_parser
def test_it_says_what_is_in_the_frames(launch):
    said = frames_of_a_server(launch)
    kinds = {kind for kind, _ in said}
    messages = set(re.findall(r"^    (\w+):$", DOCUMENT.read_text().partition("\n  messages:\n")[2].partition("\n  schemas:\n")[0], re.M))
    assert messages == kinds
    assert problems(DOCUMENT, frames=[{"message": kind, "frame": frame} for kind, frame in said]) == [[]]
