"""How `carillon dev` starts: what it tells programs, its keys, its users, its seed, and how it ends with its parent."""
import base64
import json
import re
import signal
import stat
import subprocess
import sys
import time

import pytest
from support import http as own_http
from support import jwt, ws
from support.carillon import BINARY, Process, clean_environment, run
from support.dev import DevServer
from support.wait import until


class Started(Process):
    """`carillon dev --json`, with its line as .facts."""

    def __init__(self, folder, *arguments, name="dev", env=None):
        super().__init__(folder, ["dev", "--port", "0", "--internal-port", "0", "--json", *arguments], name=name, env=env)
        until(lambda: "\n" in self.output() or self.process.poll() is not None, "it prints its line")
        assert self.process.poll() is None, self.log()
        line, rest = self.output().split("\n", 1)
        assert rest == "", "one line, and nothing else"
        self.facts = json.loads(line)
        self.public, self.internal = self.address(self.facts["ws_url"]), self.address(self.facts["api_url"])

    @staticmethod
    def address(url):
        host, port = re.match(r"\w+://([^/]+):(\d+)", url).groups()
        return host.strip("[]"), int(port)

    def client(self, user=0, **options):
        return ws.Client(self.public, self.facts["users"][user]["token"], **options)

    def publish(self, channel, data):
        answer = own_http.request(self.internal, "POST", "/api/v1/publish", {"channel": channel, "type": "test", "data": data},
                                  {"X-API-Key": self.facts["api_key"]})
        assert answer.status == 200, answer
        return answer.json


@pytest.fixture
def dev(tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Started(tmp_path, *arguments, name=f"dev{len(started)}", **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- the line for programs ---


def test_one_line_has_every_url_key_and_secret(dev, tmp_path):
    one = dev("--ready-file", "ready.json")
    facts = one.facts
    assert facts["pid"] == one.pid
    assert facts["ws_url"] == "ws://%s:%d/ws" % one.public and facts["api_url"] == "http://%s:%d" % one.internal
    assert facts["users"] == [{"sub": "demo", "token": facts["token"], "url": f"{facts['ws_url']}?token={facts['token']}"}]
    assert facts["endpoints"] == [{"path": "/ws", "preset": "none", "ws_url": facts["ws_url"], "query": "token", "subprotocol": "carillon.v1"}]
    with one.client() as client:
        client.start()
        client.subscribe("room:1")
        one.publish("room:1", 1)
        assert client.find("test")["data"] == 1
    with ws.Client(one.public, jwt.mint("eve", secret=facts["token_secret"])) as client:
        client.start()
    ready = tmp_path / "ready.json"
    assert json.loads(ready.read_text()) == facts
    assert stat.S_IMODE(ready.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("ready")] == ["ready.json"]


def test_the_urls_of_presets(dev):
    facts = dev("--preset", "all").facts
    found = {e["path"]: (e["preset"], e["ws_url"].split("/", 3)[3]) for e in facts["endpoints"]}
    assert found == {
        "/ws": ("events", "ws"), "/api/ws": ("events", "api/ws"), "/": ("request-response", ""),
        "/ai-chat/{thread}/transcript": ("ticket-sockets", "ai-chat/demo/transcript"),
        "/white-label/{workspace}/transcript/{id}": ("ticket-sockets", "white-label/demo/transcript/demo"),
        "/notifications": ("ticket-sockets", "notifications"), "/ws/transcribe": ("streaming", "ws/transcribe")}
    assert facts["tickets_url"].endswith("/websocket/ticket")


def test_a_ready_file_that_cannot_be_written_ends_it(tmp_path):
    """Whoever waits for the file would wait for ever."""
    one = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0", "--json", "--ready-file", "nowhere/ready.json"])
    assert one.wait() == 1
    assert one.output() == ""
    one.logged(r"--ready-file nowhere/ready.json: No such file or directory")
    one.may_die = True
    one.close()


@pytest.mark.parametrize("flags", [("--api-keys", ""), ("--token-secret", "")])
def test_the_line_for_programs_needs_the_keys(flags):
    done = run("dev", "--port", "0", "--internal-port", "0", "--json", *flags)
    assert done.returncode in (1, 2) and done.stdout == "" and "--json" in done.stderr


def test_the_banner_says_where_events_are(tmp_path):
    server = DevServer(tmp_path)
    assert "events in memory" in server.output()
    assert server.refused("/tokens", {"sub": ""}) == "sub: is empty, and every endpoint would refuse the token"
    server.close()


def test_it_is_ready_in_milliseconds(dev):
    def start():
        one = dev()
        return float(re.search(r"ready in ([\d.]+) ms", one.log()).group(1))

    assert min(start() for _ in range(3)) < 5000  # seconds would be wrong; the benches measure it


@pytest.mark.parametrize("words, says", [
    (["--seed", "x"], "--seed: a whole number from 0 is expected"),
    (["--seed"], "--seed: its value is missing"),
    (["--json=yes"], "--json takes no value"),
    (["--user", ""], "--user: 1 to 256 bytes"),
    (["--user", "a'b"], "--user: a name without quotes"),
    (["--ready-file", ""], "--ready-file: the name of a file"),
])
def test_wrong_calls(tmp_path, words, says):
    done = subprocess.run([BINARY, "dev", *words], capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 2 and says in done.stderr and "carillon dev --help" in done.stderr, done


def test_help_and_print_config_start_nothing(tmp_path):
    for word in ("--help", "--print-config"):
        assert not (tmp_path / ".carillon-dev").exists(), "--help writes nothing"
        done = subprocess.run([BINARY, "dev", word], capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
        assert done.returncode == 0, done
    for flag in ("--user NAME", "--json", "--ready-file FILE", "--exit-with-parent", "--seed N", "--fresh"):
        assert flag in run("dev", "--help").stdout


# --- users and their rights ---


def test_a_url_for_each_user(dev, tmp_path):
    one = dev("--user", "ada", "--user=bob")
    assert [user["sub"] for user in one.facts["users"]] == ["ada", "bob"]
    assert [payload(user["token"])["sub"] for user in one.facts["users"]] == ["ada", "bob"]
    assert one.facts["token"] == one.facts["users"][0]["token"]
    other = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0", "--user", "ada", "--user", "bob"], name="text")
    try:
        until(lambda: "curl " in other.output(), "it prints what to paste")
        urls = dict(re.findall(r'Connect \(user "(\w+)"\):\n\n\s+ws://\S+\?token=(\S+)', other.output()))
        assert {name: payload(token)["sub"] for name, token in urls.items()} == {"ada": "ada", "bob": "bob"}
    finally:
        other.check_log = lambda: None
        other.close()


def test_all_demo_rights_are_all(dev):
    """Presence, presence events, history and publish, on any channel."""
    one = dev("--user", "ada", "--user", "bob")
    with one.client(0) as ada, one.client(1) as bob:
        ada.start()
        bob.start()
        assert ada.subscribe("any:thing")["data"]["epoch"], "it has a history"
        bob.subscribe("any:thing")
        while ada.find("join")["data"]["user"] != "bob":
            pass
        assert ada.ask("presence", "presence", channel="any:thing")["data"]["users"] == 2
        bob.ask("publish", "published", channel="any:thing", type="test", data=1)
        assert ada.find("test")["data"] == 1
        assert len(ada.ask("history", "history", channel="any:thing")["data"]["events"]) == 1
        bob.close()
        while ada.find("leave")["data"]["user"] != "bob":
            pass


# --- keys ---


def test_keys_are_kept_for_a_restart(dev, tmp_path):
    first = dev()
    first.close()
    second = dev()
    assert second.facts["token_secret"] == first.facts["token_secret"] and second.facts["api_key"] == first.facts["api_key"]
    with ws.Client(second.public, first.facts["token"]) as client:
        client.start()
    third = dev("--fresh")
    assert third.facts["token_secret"] != first.facts["token_secret"] and third.facts["api_key"] != first.facts["api_key"]
    fourth = dev()
    assert fourth.facts["token_secret"] == third.facts["token_secret"], "what --fresh drew is kept"
    folder = tmp_path / ".carillon-dev"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == \
        {".gitignore": 0o600, "token-secret": 0o600, "api-key": 0o600}
    assert (folder / "token-secret").read_text().strip() == third.facts["token_secret"]


def test_git_ignores_the_keys(dev, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    dev()
    seen = subprocess.run(["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"], capture_output=True, text=True)
    assert ".carillon-dev" not in seen.stdout, seen


def test_servers_that_start_at_once_have_the_same_keys(tmp_path):
    several = [subprocess.Popen([BINARY, "dev", "--port", "0", "--internal-port", "0", "--json"], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.DEVNULL, cwd=tmp_path, env=clean_environment()) for _ in range(6)]
    try:
        facts = [json.loads(one.stdout.readline()) for one in several]
    finally:
        for one in several:
            one.terminate()
            one.wait(20)
    assert len({one["token_secret"] for one in facts}) == 1 and len({one["api_key"] for one in facts}) == 1


def test_loose_modes_are_mended_and_bad_keys_refused(dev, tmp_path):
    dev().close()
    folder = tmp_path / ".carillon-dev"
    folder.chmod(0o755)
    (folder / "api-key").chmod(0o644)
    dev().close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE((folder / "api-key").stat().st_mode) == 0o600
    for bad in ("short", "x" * 600, "with a space" * 4):
        (folder / "token-secret").write_text(bad)
        done = subprocess.run([BINARY, "dev", "--port", "0"], capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
        assert done.returncode == 2 and ".carillon-dev/token-secret: " in done.stderr and "--fresh" in done.stderr, done
        assert bad not in done.stderr
    (folder / "token-secret").unlink()
    (folder / "token-secret").symlink_to("/etc/passwd")
    done = subprocess.run([BINARY, "dev", "--port", "0"], capture_output=True, text=True, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 2 and "token-secret" in done.stderr, done


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / ".carillon-dev").write_text("a file in its place")
    one = Started(tmp_path)
    try:
        one.logged(r"the keys are not kept: cannot open \.carillon-dev: Not a directory")
        with one.client() as client:
            client.start()
    finally:
        one.close()


def test_keys_from_the_environment_go_over_those_that_are_kept(dev, tmp_path):
    one = dev(env={"CARILLON_TOKEN_SECRET": jwt.SECRET, "CARILLON_API_KEYS": "a-key-that-the-tests-know"})
    one.check_log = lambda: None
    assert one.facts["token_secret"] == jwt.SECRET and one.facts["api_key"] == "a-key-that-the-tests-know"
    assert not (tmp_path / ".carillon-dev").exists(), "nothing is kept"


# --- a production configuration ---


def test_the_configuration_of_production(dev, tmp_path):
    """Rules and limits come from the file; addresses, TLS, keys and the broker do not, and their files need not exist."""
    (tmp_path / "carillon.jsonc").write_text(json.dumps({
        "host": "192.0.2.1", "port": 443, "workers": 8, "trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": "required",
        "internal": {"host": "192.0.2.1", "port": 1},
        "tls": {"certificate": "/nowhere/cert.pem", "key": "/nowhere/key.pem"},
        "redis": {"url": "rediss://redis.example:6379", "tls_certificate": "/nowhere/c.pem", "tls_key": "/nowhere/k.pem"},
        "token": {"secret_file": "/nowhere/secret", "keys": [{"kid": "1", "file": "/nowhere/public.pem"}], "algorithms": ["RS256"],
                  "issuers": ["https://id.example"], "audiences": ["app"]},
        "api": {"keys_file": "/nowhere/keys"},
        "limits": {"channels": 2},
        "endpoints": [{"path": "/live", "require_claims": ["org"]}],
        "channels": [{"match": "user:{sub}", "allow": ["subscribe"]},
                     {"match": "room:*", "allow": ["subscribe", "publish"], "require_scope": "rooms"}]}))
    one = dev("--config", "carillon.jsonc")
    assert one.facts["ws_url"] == "ws://127.0.0.1:%d/live" % one.public[1]
    with ws.Client(one.public, one.facts["token"], path="/live") as client:
        client.start()
        client.subscribe("user:demo")
        client.subscribe("room:1")
        assert client.ask("subscribe", "error", channel="user:ada")["error"]["code"] in ("unauthorized", "subscription_failed")
    printed = subprocess.run([BINARY, "dev", "--config", "carillon.jsonc", "--print-config"], capture_output=True, text=True,
                             cwd=tmp_path, env=clean_environment()).stdout
    assert '"channels": 2' in printed and "192.0.2.1" not in printed


# --- the seed ---


def seen_ids(one):
    with one.client() as client:
        session = client.start().init["session_id"]
        subscribed = client.subscribe("room:1")
        ids = [one.publish("room:1", n) for n in range(3)]
    return session, subscribed["data"]["epoch"], [answer["id"] for answer in ids]


def without_time(uuid):
    return uuid[14:]  # a version 7 UUID begins with the time


def test_a_seed_repeats_ids_and_epochs(dev):
    runs = [seen_ids(dev("--seed", "7")) for _ in range(2)]
    other, drawn = seen_ids(dev("--seed", "8")), seen_ids(dev())

    def parts(seen):
        return without_time(seen[0]), seen[1], [without_time(id) for id in seen[2]]

    assert parts(runs[0]) == parts(runs[1])
    assert len({str(parts(seen)) for seen in (runs[0], other, drawn)}) == 3


def test_a_seed_makes_no_keys(tmp_path):
    secrets = set()
    for n in range(2):
        (tmp_path / str(n)).mkdir()
        one = Started(tmp_path / str(n), "--seed", "1")
        one.close()
        secrets |= {one.facts["token_secret"], one.facts["api_key"]}
    assert len(secrets) == 4


# --- the parent ---


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """Also when that process is killed, and when only the thread that started it has ended, it stays."""
    parent = subprocess.Popen([sys.executable, "-c", f"""
import subprocess, threading
def start():
    one = subprocess.Popen([{str(BINARY)!r}, "dev", "--port", "0", "--internal-port", "0", "--json", "--exit-with-parent"],
                           stdout=subprocess.PIPE, text=True)
    print(one.stdout.readline(), end="", flush=True)
thread = threading.Thread(target=start)
thread.start()
thread.join()
input()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path, env=clean_environment())
    facts = json.loads(parent.stdout.readline())
    time.sleep(0.3)
    assert is_running(facts["pid"]), "the thread has ended, not the process"
    parent.send_signal(signal.SIGKILL)
    parent.wait(20)
    until(lambda: not is_running(facts["pid"]), "it ends")


def test_it_does_not_start_when_the_parent_has_ended(tmp_path):
    """The shell leads a session and ends at once; its child is still in that session."""
    line = f"(sleep 0.3; exec {BINARY} dev --port 0 --internal-port 0 --exit-with-parent) >out 2>err & exit 0"
    shell = subprocess.Popen(["sh", "-c", line], cwd=tmp_path, env=clean_environment(), start_new_session=True)
    shell.wait(20)
    until(lambda: (tmp_path / "err").exists() and "has ended" in (tmp_path / "err").read_text(), "it says why")
    assert "ready" not in (tmp_path / "err").read_text()


def test_it_starts_in_a_session_of_its_own(tmp_path):
    """As a detached child does."""
    one = subprocess.Popen([BINARY, "dev", "--port", "0", "--internal-port", "0", "--json", "--exit-with-parent"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, cwd=tmp_path, env=clean_environment(), start_new_session=True)
    assert json.loads(one.stdout.readline())["pid"] == one.pid
    one.terminate()
    assert one.wait(20) == 0
