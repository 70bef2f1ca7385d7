"""docs/dev.md, "Orders to the server": each command runs as it stands, and prints what the page shows, where … is any text."""
import re
import subprocess

from support.carillon import ROOT
from support.dev import DevServer
from support.wait import DEADLINE_S
from test_dev_clock import answering_pings
from test_openapi_dev import served

PAGE = (ROOT / "docs/dev.md").read_text()
ORDERS = re.search(r"^## Orders to the server$(.*?)(?=^## )", PAGE, re.M | re.S)[1]


def examples(text):
    """[command, lines that it prints]"""
    found = []
    for line in re.findall(r"^    (.*)$", text, re.M):
        if line.startswith("$ "):
            found.append([line[2:], []])
        else:
            found[-1][1].append(line)
    return found


def fits(printed, shown):
    pattern = "\n".join(map(re.escape, shown)).replace("…", ".*")
    return re.fullmatch(pattern, printed.strip("\n")) is not None


def test_each_order_of_the_page_works(tmp_path):
    dev = DevServer(tmp_path)
    client = dev.connect("ada")
    client.subscribe("room:1")
    dev.order("/wait", {"for": {"kind": "idle"}})
    answering_pings(client)
    setting = {"session": client.init["session_id"], "PATH": "/usr/bin:/bin"}
    for command, shown in examples(ORDERS):
        if command.startswith("dev="):
            setting["dev"] = command[4:].replace("127.0.0.1:8081", "%s:%d" % dev.internal)
        elif not command.startswith("carillon dev"):
            done = subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=setting, capture_output=True, text=True, timeout=DEADLINE_S)
            assert fits(done.stdout, shown), f"{command}\n{done.stdout}\nfor\n{shown}"
    client.drop()
    dev.close()


def test_the_page_has_an_example_of_each_order():
    used = set()
    for command, _ in examples(PAGE[PAGE.index("## Keys and tokens"):]):
        if path := re.search(r"(?:\$dev|/dev/v1)(/[\w/$-]+)", command):
            method = re.search(r"-X (\w+)", command)
            usual = "POST" if " -d " in command else "GET"
            used.add((method[1] if method else usual, f"/dev/v1{path[1]}".replace("$session", "{id}").replace("/r1", "/{id}")))
    assert used == served()


def test_the_page_has_each_kind_of_the_journal():
    table = re.search(r"^\| kind \| .*?\n\n", ORDERS, re.M | re.S)[0]
    named = {kind for row in table.splitlines()[2:] for kind in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert named == set(re.findall(r'^JOURNAL_KIND\(\w+, "(\w+)"', (ROOT / "server/dev/journal_kinds.def").read_text(), re.M))


def test_a_start_with_the_same_run_twice(tmp_path):
    [command] = [command for command, _ in examples(ORDERS) if command.startswith("carillon dev")]
    dev = DevServer(tmp_path, *command.split()[2:])
    assert dev.order("/clock", method="GET") == {"now": "2026-01-15T10:30:00.000Z", "frozen": True, "rate": 0}
    dev.close()


def test_sessions_that_stay_while_a_snapshot_is_put_back_get_a_gap(tmp_path):
    dev = DevServer(tmp_path)
    saved = dev.order("/snapshot", method="GET")
    client = dev.connect()
    client.subscribe("room:1")
    dev.publish("room:1")
    dev.order("/snapshot", saved, method="PUT")
    assert client.find("gap")["channel"] == "room:1"
    client.drop()
    dev.close()
