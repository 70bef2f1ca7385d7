"""GET and PUT /dev/v1/snapshot: a test begins where another has ended."""
import json

import pytest
from support import http
from support.dev import DevServer
from support.ws import Refused


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path)
    yield server
    server.close()


def filled(dev):
    dev.order("/clock", {"freeze": True})
    dev.order("/clock", {"advance": "10s"})
    for n in range(3):
        dev.publish("room:1", f"event {n}")
    dev.publish("room:2", "a \"quoted\" <b>")
    assert http.request(dev.internal, "POST", "/api/v1/revoke", {"user": "eve"}, {"X-API-Key": dev.api_key}).status == 200
    return dev.order("/snapshot", method="GET")


def test_what_was_saved_is_there_again(dev):
    revoked = dev.token("eve", expires="1d")
    saved = filled(dev)
    assert {one["channel"]: one["offset"] for one in saved["channels"]} == {"room:1": 3, "room:2": 1}
    dev.order("/reset")
    dev.publish("room:1", "other")
    dev.order("/snapshot", saved, method="PUT")
    again = dev.order("/snapshot", method="GET")
    assert sorted(again.pop("channels"), key=str) == sorted(saved.pop("channels"), key=str)
    assert again == saved
    client = dev.connect()
    history = client.ask("history", "history", channel="room:1")["data"]
    assert [event["data"]["message"] for event in history["events"]] == ["event 0", "event 1", "event 2"]
    with pytest.raises(Refused):
        dev.client(revoked)
    client.drop()


def test_a_client_recovers_across_a_restart_with_the_snapshot(dev, tmp_path):
    client = dev.connect()
    since = client.subscribe("room:1")["data"]
    dev.publish("room:1", "missed")
    saved = dev.order("/snapshot", method="GET")
    client.drop()
    other = DevServer(tmp_path, name="other")
    other.order("/snapshot", saved, method="PUT")
    client = other.connect()
    client.send("subscribe", "s", channel="room:1", since={"epoch": since["epoch"], "offset": since["offset"]})
    assert client.expect("subscribed")["data"]["recovered"] is True
    assert client.expect("notification")["data"]["message"] == "missed"
    client.drop()
    other.close()


def test_subscribers_are_told(dev):
    saved = filled(dev)
    client = dev.connect()
    client.subscribe("room:1")
    saved["channels"][0]["epoch"] = "another1"
    dev.order("/snapshot", saved, method="PUT")
    assert client.find("gap")["data"]["epoch"] is not None
    client.drop()


def test_a_reset_and_a_snapshot_begin_the_same_run_each_time(tmp_path):
    """The seed is not in the snapshot: the reset rewinds it."""
    server = DevServer(tmp_path, "--seed", "1", "--at", "2026-01-15T10:30:00Z", "--clock", "frozen")
    server.publish("room:1")
    saved = server.order("/snapshot", method="GET")
    runs = []
    for _ in range(2):
        server.order("/reset")
        server.order("/snapshot", saved, method="PUT")
        client = server.connect()
        runs.append((client.init["session_id"], server.publish("room:1")))
        client.drop()
    assert runs[0] == runs[1] and runs[0][1]["offset"] == 2
    server.close()


@pytest.mark.parametrize("change, said", [
    (lambda s: s.pop("version"), "version"), (lambda s: s.update(version=2), "version: this server reads snapshots of version 1"),
    (lambda s: s.update(chanels=[]), '"chanels" is not known here'), (lambda s: s["channels"][0].update(epoch=""), "epoch or id is none"),
    (lambda s: s["channels"][0].update(epoch="x" * 33), "epoch or id is none"), (lambda s: s["channels"][0].update(offset=0), "offset: expected"),
    (lambda s: s["channels"][0].update(offset=2**53, events=[]), "at most 2^53 - 1"),
    (lambda s: s["channels"][0].update(offset=2**64 - 1, events=[]), "at most 2^53 - 1"),
    (lambda s: s["channels"][0]["events"].__setitem__(0, {}), "events"),
    (lambda s: s["channels"][0]["events"][0].update(offset=77), "oldest first, without holes"),
    (lambda s: s["channels"][0].update(channel="bad channel"), "channel"), (lambda s: s["channels"][0]["events"][0].pop("data"), "data"),
    (lambda s: s["revocations"][0].update(jti="x"), "expected jti or user"), (lambda s: s["clock"].update(now="now"), "now: expected a time"),
    (lambda s: s["channels"][0]["events"][0].update(type=5), "type"),
])
def test_a_wrong_snapshot_changes_nothing(dev, change, said):
    saved = filled(dev)
    wrong = json.loads(json.dumps(saved))
    change(wrong)
    assert said in dev.refused("/snapshot", wrong, method="PUT")
    assert sorted(dev.order("/snapshot", method="GET")["channels"], key=str) == sorted(saved["channels"], key=str)
