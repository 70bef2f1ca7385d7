"""The helper against the real server."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from people import PATIENCE_S, joined, until

from carillon_client import Carillon
from carillon_testing import (
    AsyncCarillon,
    CarillonError,
    Target,
    WaitTimeout,
    attach_carillon,
    find_binary,
    start_carillon,
)

SOURCES = f"{Path(__file__).parents[1] / 'src'}:{Path(__file__).parents[2] / 'python/src'}"


def kinds(lines):
    return [line["kind"] for line in lines]


# --- fixtures ---


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_begins_with_an_empty_server(carillon, time):
    assert kinds(carillon.journal()) == ["reset"] and carillon.sessions() == []
    assert carillon.publish("room:1", "note", {})["offset"] == 1


def test_a_failed_test_shows_the_journal(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "def test_it(carillon):\n    carillon.publish('room:7', 'note', {'n': 1})\n    assert not carillon.journal(kinds=['published'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "carillon_testing.plugin", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done
    _, _, shown = done.stdout.partition("carillon journal")
    assert "published" in shown and 'room:7' in shown and '{"n": 1}' in shown


# --- words ---


def test_waiting_and_verifying(carillon):
    with joined(carillon, "ada", "room:1") as events:
        [line] = carillon.wait.subscribed("room:1", user="ada")
        assert line["kind"] == "subscribed"
        carillon.publish("room:1", "note", {"n": 1})
        carillon.wait.delivered("room:*", user="ada")
        until(lambda: events == [{"n": 1}])
        assert [session["user"] for session in carillon.sessions()] == ["ada"]
        shown = carillon.session(line["session"]).show()
        assert shown["last_out"]["kind"] in ("delivered", "sent", "answered")
    carillon.wait.closed(user="ada", count=1)
    carillon.wait.idle()
    carillon.verify([{"kind": "connected", "user": "ada"}, {"kind": "published", "channel": "room:1"}], in_order=True, nothing_else=["connected"])
    with pytest.raises(AssertionError, match="did not come; near to it"):
        carillon.verify([{"kind": "subscribed", "channel": "room:2"}])
    with pytest.raises(WaitTimeout, match="0 of 1 such lines came within 10 ms\nnear to it:\n.*subscribed") as caught:
        carillon.wait.subscribed("room:2", user="ada", timeout="10ms")
    assert caught.value.lines == [] and kinds(caught.value.nearest) == ["subscribed"]


def test_what_is_wrong_is_said(carillon):
    with pytest.raises(CarillonError, match="POST /dev/v1/clock: 400 advance: expected a duration") as caught:
        carillon.clock.advance("soon")
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    with pytest.raises(CarillonError, match="kind: "):
        carillon.wait.for_(kind="sold")
    with pytest.raises(CarillonError, match="400 kind"):
        carillon.verify([{"kind": "sold"}])
    with pytest.raises(CarillonError, match="400 kind"):
        carillon.journal(kinds=["sold"])


def test_faults_at_once(carillon):
    with joined(carillon, "ada", "room:1") as events:
        assert carillon.user("ada").reset() == {"count": 1}
        carillon.wait.connected(user="ada", count=2)
        carillon.wait.subscribed("room:1", count=2)
        assert carillon.channel("room:*").gap("connection_lost")["count"] == 1
        carillon.wait.for_(kind="sent", frame={"type": "gap"})
        carillon.all().drop()
        carillon.publish("room:1", "note", 1)
        carillon.publish("room:1", "note", 2)
        until(lambda: 2 in events)


def test_every_fault_is_one_that_the_server_knows(carillon):
    arguments = {"throttle": (1,), "delay": ("1s",), "truncate": (1,), "fragment": (1,), "replace": ({},), "inject": ("text",), "gap": ("epoch_changed",)}
    nobody = carillon.user("nobody")
    for name, _ in inspect.getmembers(Target, inspect.isfunction):
        if not name.startswith("_") and name != "do":
            assert getattr(nobody, name)(*arguments.get(name, ())) == {"count": 0}, name
    assert nobody.freeze(for_="5s", side="read") == nobody.close("going_away", code=1001) == {"count": 0}


def test_rules(carillon):
    rule = carillon.rules.add({"do": "duplicate", "n": 2}, {"at": "out", "channel": "room:*", "type": "note"}, times=1, comment="twice more")
    with joined(carillon, "ada", "room:1"):
        carillon.publish("room:1", "note", 7)
        carillon.wait.for_(kind="rule", rule=rule["id"])
    assert carillon.rules.list() == [carillon.rules.get(rule["id"])] and carillon.rules.get(rule["id"])["hits"] == 1
    carillon.rules.remove(rule)
    with pytest.raises(CarillonError, match="404 there is no rule"):
        carillon.rules.get(rule["id"])
    carillon.rules.add({"do": "drop"})
    carillon.rules.clear()
    assert carillon.rules.list() == []


def test_the_clock(carillon):
    carillon.clock.set("2050-01-01T00:00:00Z")
    assert carillon.clock.freeze()["frozen"]
    assert carillon.clock.set(datetime.datetime(2050, 1, 2, tzinfo=datetime.UTC))["now"] == "2050-01-02T00:00:00.000Z"
    assert kinds(carillon.clock.advance("31s")["fired"])[0] == "clock"
    assert carillon.clock.now() == datetime.datetime(2050, 1, 2, 0, 0, 31, tzinfo=datetime.UTC)
    assert carillon.clock.run(rate=10)["rate"] == 10


def test_the_broker_and_what_is_remembered(carillon):
    carillon.publish("room:1", "note", 1)
    saved = carillon.snapshot()
    assert carillon.broker.down(for_="1h") == carillon.broker.state() == "down"
    with pytest.raises(CarillonError) as caught:
        carillon.publish("room:1", "note", 2)
    assert caught.value.status == 503
    assert carillon.broker.up() == "up" and carillon.broker.slow(by="1ms") == "slow" and carillon.broker.lost() == "up"
    assert carillon.publish("room:1", "note", 2)["offset"] == 1
    carillon.restore(saved)
    assert carillon.publish("room:1", "note", 2)["offset"] == 2
    carillon.clear_journal()
    assert carillon.journal() == []


def test_other_rules_of_channels(carillon):
    carillon.channel_rules([{"match": "other:*", "allow": ["subscribe"]}])
    assert "offset" not in carillon.publish("room:1", "note", 1), "no rule gives it a history"
    carillon.channel_rules()
    assert carillon.publish("room:1", "note", 1)["offset"] == 1


def test_a_text_with_line_ends_of_its_own(carillon):
    """U+2028, U+0085 and the like are text in JSON, and end no line of the journal."""
    text = "a\u2028b\u0085c\u000bd"
    body = json.dumps({"channel": "room:1", "type": "note", "data": {"text": text}}, ensure_ascii=False).replace("\v", "\\u000b")
    request = urllib.request.Request(
        f"{carillon.facts['api_url']}/api/v1/publish", body.encode(), {"X-API-Key": carillon.facts["api_key"]}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    (line,) = carillon.journal(kinds=["published"])
    assert line["frame"]["data"] == {"text": text}


def test_following_the_journal(carillon):
    found = []

    def follow():
        for line in carillon.follow(kinds=["published"]):
            found.append(line)
            if len(found) == 3:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    for n in range(3):
        carillon.publish("room:1", "note", n)
    thread.join(PATIENCE_S)
    assert [line["frame"]["data"] for line in found] == [0, 1, 2]


def test_following_the_journal_over_a_reset(carillon):
    for n in range(5):
        carillon.publish("room:1", "note", n)
    lines = carillon.follow(kinds=["published", "reset"])
    assert [next(lines)["kind"] for _ in range(6)] == ["reset", *["published"] * 5]
    carillon.reset()
    for n in range(20):
        carillon.publish("room:1", "note", n)
    assert next(lines)["kind"] == "reset"
    assert [next(lines)["frame"]["data"] for _ in range(20)] == list(range(20))


def test_an_idle_server_that_is_not(carillon):
    stop = threading.Event()

    def publish():
        while not stop.is_set():
            carillon.publish("room:1", "note", 1)

    thread = threading.Thread(target=publish)
    thread.start()
    carillon.wait.published("room:1")
    try:
        with pytest.raises(WaitTimeout, match="there was no pause of 50 ms within 100 ms"):
            carillon.wait.idle(timeout="100ms")
    finally:
        stop.set()
        thread.join(PATIENCE_S)


# --- asyncio ---


def test_the_same_words_with_asyncio(carillon):
    async def test():
        s = carillon.aio
        async with Carillon(s.origin, lambda request: s.token("ada")) as client:
            client.channel("room:1").on("*", lambda event: None)
            waiting = asyncio.create_task(s.wait.delivered("room:1", user="ada"))
            await s.wait.subscribed("room:1", user="ada")
            await s.publish("room:1", "note", {"n": 1})
            assert kinds(await waiting) == ["delivered"]
            assert (await s.user("ada").reset())["count"] == 1
            await s.wait.connected(user="ada", count=2)
            async for line in s.follow(user="ada"):
                if line["kind"] == "closed":
                    break
        await s.clock.advance("31s")
        await s.verify([{"kind": "closed", "user": "ada"}, {"kind": "clock", "text": "advance 31s"}], in_order=True)

    asyncio.run(test())


def words(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def test_asyncio_has_all_words(carillon):
    pairs = [(carillon, carillon.aio), *((getattr(carillon, part), getattr(carillon.aio, part)) for part in ("wait", "rules", "clock", "broker")),
             (carillon.all(), carillon.aio.all()), (carillon.session("x"), carillon.aio.session("x"))]
    for plain, awaited in pairs:
        assert words(plain) - {"aio", "stop"} == words(awaited) - {"server"}, plain
    assert isinstance(carillon.aio, AsyncCarillon) and carillon.aio.server is carillon


# --- starting and ending ---


def test_the_same_seed_gives_the_same_ids():
    options = {"seed": 7, "at": "2026-01-15T10:30:00Z", "clock": "frozen"}
    with start_carillon(**options) as one, start_carillon(**options) as two:
        assert one.publish("room:1", "note", 1) == two.publish("room:1", "note", 1)


def test_options_of_the_start():
    config = {"channels": [{"match": "news:*", "allow": ["subscribe"]}]}
    with start_carillon(config=config, users=["ada", "bob"], args=["--pong-timeout", "5m"], env={"CARILLON_API_KEYS": "k" * 32}) as server:
        assert [user["sub"] for user in server.facts["users"]] == ["ada", "bob"] and server.api_key == "k" * 32
        assert "offset" not in server.publish("room:1", "note", 1), "no rule gives it a history"
        assert "ready in" in server.log()
        again = attach_carillon(server.facts)
        assert again.url("ada").startswith(server.ws_url) and again.log() == ""
        again.stop()
        server.publish("news:1", "note", 1)  # it goes on


def test_tickets():
    with start_carillon(preset="ticket-sockets") as server:
        made = server.ticket("ada", purpose="chat", resource="t1")
        assert made["ws_url"].endswith(f"/ai-chat/t1/transcript?ticket={made['ticket']}")
        with pytest.raises(ValueError, match="takes no token in its query"):
            server.url("ada")


def test_a_server_that_does_not_start_says_why():
    with pytest.raises(RuntimeError, match='^carillon has ended with code 2\n.*--preset "nothing": expected'):
        start_carillon(preset="nothing")


def test_a_server_that_has_ended_is_told():
    server = start_carillon()
    os.kill(server.facts["pid"], signal.SIGKILL)
    with pytest.raises(ConnectionError, match="carillon has ended by signal 9"):
        server.sessions()
    server.stop()


def test_it_ends_with_a_process_that_is_killed():
    program = "import carillon_testing, time; print(carillon_testing.start_carillon().facts['pid'], flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": SOURCES}, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()

    def is_gone():
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    until(is_gone)


def test_a_connection_that_has_ended_meanwhile_is_opened_again(carillon):
    carillon.sessions()
    assert carillon._api._idle
    for connection in carillon._api._idle:
        connection.sock.shutdown(2)
    assert carillon.sessions() == []


def test_threads_share_a_server(carillon):
    threads = [threading.Thread(target=lambda n=n: carillon.wait.published(f"room:{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for n in range(8):
        carillon.publish(f"room:{n}", "note", n)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert len(carillon._api._idle) <= 9


def test_a_reset_takes_milliseconds(carillon):
    def reset():
        began = time.monotonic()
        carillon.reset()
        return time.monotonic() - began

    assert min(reset() for _ in range(50)) < 0.05  # the others may have waited for a processor
    assert carillon.reset(keep=["journal"]) == 0


# --- where the server is ---


def test_where_the_server_is_looked_for(tmp_path, monkeypatch):
    real = find_binary()
    with pytest.raises(FileNotFoundError, match="the option binary is nowhere: there is no program"):
        find_binary("nowhere")
    monkeypatch.setenv("CARILLON_BIN", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="CARILLON_BIN is .*: there is no program"):
        find_binary()
    assert find_binary(real) == real
    monkeypatch.delenv("CARILLON_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "carillon", raising=False)
    with pytest.raises(FileNotFoundError, match=r"pip install FOLDER/carillon-\[0-9\]\*\.whl, .*\n  there is no carillon in PATH"):
        find_binary()
    (tmp_path / "carillon").symlink_to(real)
    assert find_binary() == str(tmp_path / "carillon")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/carillon.py").write_text("def program():\n    return '/from/the/wheel'\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find_binary() == "/from/the/wheel"


def test_a_server_that_is_not_there():
    with pytest.raises(ConnectionError, match="GET /dev/v1/sessions: .*refused"):
        attach_carillon({"ws_url": "ws://127.0.0.1:1/ws", "api_url": "http://127.0.0.1:1", "api_key": "key"}).sessions()
