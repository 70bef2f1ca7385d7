"""With a seed and a frozen clock, the same script gives the same journal twice, ids, epochs and jitter included."""
import difflib

from support.dev import DevServer

START = ("--seed", "7", "--at", "2026-01-15T10:30:00Z", "--clock", "frozen")


def script(dev):
    """What a suite would do: two users, presence, history, a ticket to refresh, a fault of the broker, an hour later."""
    ada = dev.connect("ada", wish={"expires": "90s"})
    bob = dev.connect("bob", wish={"expires": "2h"})
    for count, client in ((1, ada), (2, bob)):  # joins are gathered for a moment of real time, so each is waited for
        client.subscribe("room:1")
        user = "ada" if client is ada else "bob"
        dev.order("/wait", {"for": {"kind": "sent", "frame": {"type": "join", "data": {"user": user}}}, "count": count})
    for n in range(5):
        dev.publish("room:1", f"event {n}")
        for client in (ada, bob):
            client.find("notification")
    bob.ask("history", "history", channel="room:1")
    bob.ask("presence", "presence", channel="room:1")
    ada.ask("publish", "published", channel="room:1", type="notification", data={"message": "mine"})
    dev.order("/broker", {"state": "lost"})
    bob.find("gap")
    dev.order("/clock", {"advance": "2m"})
    ada.expect_close(1008)
    dev.order("/wait", {"for": {"kind": "closed", "user": "ada"}})
    dev.publish("room:1", "after")
    bob.find("notification")
    return dev.call("GET", "/journal").body


def test_two_runs_and_a_reset_give_the_same_journal(tmp_path):
    journals = []
    for name in ("one", "two"):
        server = DevServer(tmp_path, *START, name=name)
        server.order("/reset")
        journals.append(script(server))
        server.order("/reset")
        journals.append(script(server))
        server.close()
    assert journals[0].count(b"\n") > 40
    for other in journals[1:]:
        assert other == journals[0], "\n".join(list(difflib.unified_diff(
            journals[0].decode().splitlines(), other.decode().splitlines(), lineterm="", n=1))[:20])


def test_another_seed_gives_other_ids(tmp_path):
    one, two = (DevServer(tmp_path, "--seed", seed, "--at", "2026-01-15T10:30:00Z", "--clock", "frozen", name=f"seed{seed}") for seed in ("1", "2"))
    assert one.publish("room:1") != two.publish("room:1")
    one.close()
    two.close()
