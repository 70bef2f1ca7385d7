"""The command line as a user meets it: each subcommand, and the lines that `carillon dev` prints, really pasted."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from support import jwt, reserve, ws
from support.carillon import API_KEY, BINARY, Process, clean_environment, run
from support.wait import DEADLINE_S, until

ROOT = Path(__file__).parents[2]


def url(address, scheme="http", path=""):
    return "{}://{}:{}{}".format(scheme, *address, path)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(jwt.SECRET + "\n")
    return path


# --- help ---


def test_help():
    answer = run("--help")
    assert answer.returncode == 0
    for command in ("serve", "dev", "token", "publish", "listen", "check", "reference", "healthcheck", "version"):
        assert re.search(rf"^  {command} ", answer.stdout, re.M), command
        own = run(command, "--help")
        assert own.returncode == 0 and "usage" in own.stdout.lower(), own
        assert own.stderr == ""


def test_wrong_calls():
    for arguments in ([], ["serv"], ["listen"], ["publish", "x"], ["token", "--nonsense"], ["token"], ["token", "inspect", "--nonsense"],
                      ["token", "--sub", "x", "--expires", "soon"], ["healthcheck", "more"], ["bench", "--nonsense"], ["bench", "nothing"],
                      ["reference", "--nonsense"], ["version", "--nonsense"],
                      *([command, *words] for command in ("serve", "dev", "check") for words in (
                          ["--no-such-flag"], ["--prot", "1"], ["--confg", "x"], ["carillon.jsonc"], ["--port"], ["--port", "x"]))):
        answer = run(*arguments)
        assert answer.returncode == 2, (arguments, answer)
        assert answer.stderr and answer.stdout == ""
    assert "serve" in run("serv").stderr, "it guesses what was meant"
    for command in ("serve", "check"):
        assert run(command, "my.jsonc").stderr.startswith('unexpected word "my.jsonc"; a configuration file is given with --config FILE')
        assert run(command, "--confg", "x").stderr.startswith('unknown flag "--confg"; did you mean --config?\n"carillon')


def test_a_wrong_configuration_is_no_wrong_call(tmp_path):
    config = tmp_path / "carillon.jsonc"
    config.write_text('{"prot": 1}')
    for command in ("serve", "check"):
        assert run(command, "--config", config).returncode == 1
        assert run(command, "--config", tmp_path / "none.jsonc").returncode == 1
        assert run(command, env={"CARILLON_PORT": "x"}).returncode == 1


def test_version():
    for word in ("version", "--version"):
        answer = run(word)
        assert answer.returncode == 0 and re.match(r"carillon \d+\.\d+\.\d+\n", answer.stdout)


def test_version_as_json(node):
    answer = run("version", "--json")
    told = json.loads(answer.stdout)
    assert answer.returncode == 0 and list(told) == ["version", "commit", "libraries", "features"]
    assert f"carillon {told['version']}\ncommit: {told['commit']}\n" in run("version").stdout
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?|unknown", told["commit"])
    assert {*told["libraries"]} == {"libwebsockets", "libuv", "openssl", "libjwt", "hiredis", "cjson", "libcurl"}
    assert all(re.match(r"\d+\.\d+", version) for version in told["libraries"].values())
    info = node.api("GET", "/api/v1/info").json
    assert {key: info[key] for key in told} == told, "the API says the same"


# --- token ---


def test_minted_token_is_taken(node, secret_file):
    token = run("token", "--secret-file", secret_file, "--sub", "user-9", "--channel", "room:*", "--expires", "1h",
                "--claim", "org=\"acme\"").stdout.strip()
    with node.client(token) as client:
        assert client.start().init["data"]["user"] == "user-9"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_minted_by_private_key_is_taken_by_public_key(launch, tmp_path, algorithm):
    pair = jwt.KeyPair(tmp_path, algorithm)
    minted = run("token", "--key-file", pair.private_path, "--alg", algorithm, "--sub", "user-9")
    assert minted.returncode == 0, minted.stderr
    node = launch({"token.secret": None, "token.algorithms": [algorithm], "token.keys": [{"file": str(pair.public_path)}]})
    with node.client(minted.stdout.strip()) as client:
        client.start()
    inspected = run("token", "inspect", "--key-file", pair.public_path, given=minted.stdout)
    assert inspected.returncode == 0, inspected
    assert "user-9" in inspected.stdout


@pytest.mark.parametrize("token, reason", [
    (jwt.mint(expires_s=-3600), "token_expired"),
    (jwt.mint(nbf=4000000000, exp=4000000001), "token_not_yet_valid"),
    (jwt.mint(secret="another secret that is long enough to be one"), "token_invalid"),
    ("nonsense", "token_invalid"),
    (jwt.unsigned({"alg": "none"}, jwt.claims()) + ".", "token_invalid"),
])
def test_inspect_says_why_not(secret_file, token, reason):
    answer = run("token", "inspect", "--secret-file", secret_file, given=token)
    assert answer.returncode == 1
    assert reason in answer.stdout, answer


@pytest.mark.parametrize("claims, says", [
    ({"expires_s": -10}, "expired, but accepted by token.leeway: a server still takes it for"),
    ({"nbf": 10}, "not valid yet, but accepted by token.leeway; valid until"),
])
def test_inspect_names_the_leeway(secret_file, claims, says):
    now = int(time.time())
    token = jwt.mint(**{name: now + value if name == "nbf" else value for name, value in claims.items()})
    answer = run("token", "inspect", "--secret-file", secret_file, given=token)
    assert answer.returncode == 0 and answer.stdout.splitlines()[-1].startswith(says), answer


def test_the_help_of_dev_has_its_own_defaults():
    text = " ".join(run("dev", "--help").stdout.split())
    serve = " ".join(run("serve", "--help").stdout.split())
    for option, own, other in (("host", "127.0.0.1", "0.0.0.0"), ("workers", "1", "0"), ("drain-window", "0", "10s")):
        assert re.search(rf"--{option} [A-Z]+ [^\[]* \[{own}\]", text), text
        assert re.search(rf"--{option} [A-Z]+ [^\[]* \[{other}\]", serve), serve
    assert re.search(r"--token-secret SECRET [^\[]*\[set by the command\]", text)


def test_bad_mints(secret_file, tmp_path):
    short = tmp_path / "short"
    short.write_text("short")
    for arguments in (["--secret-file", secret_file], ["--secret-file", short, "--sub", "x"], ["--sub", "x"],
                      ["--secret-file", secret_file, "--sub", "x", "--expires", "soon"],
                      ["--secret-file", secret_file, "--sub", "x", "--claim", "a=b"],
                      ["--secret-file", secret_file, "--sub", "x", "--alg", "RS256"]):
        answer = run("token", *arguments)
        assert answer.returncode != 0 and answer.stderr and not answer.stdout, (arguments, answer)
        assert jwt.SECRET not in answer.stderr


# --- publish and listen ---


class Background:
    """A command whose lines are read as they come."""

    def __init__(self, arguments, env=None, shell=False):
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        shell=shell, env={**clean_environment(), **(env or {})}, start_new_session=True)
        self.lines, self.errors = [], []
        self.threads = [threading.Thread(target=self._read, args=pair) for pair in ((self.process.stdout, self.lines),
                                                                                    (self.process.stderr, self.errors))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait(self):
        code = self.process.wait(DEADLINE_S)
        for thread in self.threads:
            thread.join(DEADLINE_S)
        return code

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def listen(node, *arguments, sub="listener"):
    return Background([BINARY, "listen", "--url", url(node.public, "ws", "/ws"), *arguments], env={"CARILLON_TOKEN": jwt.mint(sub)})


def subscribers(node, channel):
    answer = node.api("GET", f"/api/v1/channels/{channel}")
    return answer.json["subscribers"] if answer.status == 200 else 0


def publish(node, *arguments, given=None):
    return run("publish", "--url", url(node.internal), *arguments, env={"CARILLON_API_KEY": API_KEY}, given=given)


def test_publish_and_listen_to_what_is_deep(node):
    """As deep as the server takes it."""
    deep = "[" * 128 + "]" * 128
    with listen(node, "--count", "1", "log:deep") as listener:
        until(lambda: subscribers(node, "log:deep"), "it has subscribed")
        answer = publish(node, "log:deep", "test", deep)
        assert answer.returncode == 0, answer.stderr
        until(lambda: listener.lines, "the event arrives")
        assert deep in listener.lines[0]
    refused = publish(node, "log:deep", "test", f"[{deep}]")
    assert refused.returncode == 1 and "129 deep" in refused.stderr


def test_publish_and_listen(node):
    with listen(node, "--count", "2", "log:news", "other") as listener:
        until(lambda: subscribers(node, "log:news") and subscribers(node, "other"), "it has subscribed")
        first = publish(node, "log:news", "notification", '{"message":"Hello","big":12345678901234567890}')
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)["offset"] == 1
        assert publish(node, "other", "tick", "-", given="7\n").returncode == 0
        assert listener.wait() == 0
        assert len(listener.lines) == 2
        event = json.loads(listener.lines[0])
        assert event["channel"] == "log:news" and event["data"]["message"] == "Hello"
        assert "12345678901234567890" in listener.lines[0]
        assert json.loads(listener.lines[1])["data"] == 7


def test_listen_raw(node):
    with listen(node, "--raw", "news") as listener:
        until(lambda: subscribers(node, "news"), "it has subscribed")
        until(lambda: len(listener.lines) >= 2, "two frames")
        assert [json.loads(line)["type"] for line in listener.lines[:2]] == ["session_init", "subscribed"]


def test_listen_reconnects(node):
    with listen(node, "--count", "1", "news", sub="again") as listener:
        until(lambda: subscribers(node, "news"), "it has subscribed")
        assert node.api("POST", "/api/v1/disconnect", {"user": "again", "code": 1012, "reason": "restart"}).json["count"] == 1
        until(lambda: not subscribers(node, "news"), "it has gone")
        until(lambda: subscribers(node, "news"), "it is back")
        node.publish("news", 1)
        assert listener.wait() == 0


def test_listen_with_a_bad_token(node):
    answer = run("listen", "--url", url(node.public, "ws", "/ws"), "news", env={"CARILLON_TOKEN": jwt.mint(expires_s=-3600)})
    assert answer.returncode == 1
    assert "expired" in answer.stderr
    assert "eyJ" not in answer.stderr


def test_publish_failures(node):
    cases = [(["x", "t", "not json"], 2), (["with space", "t", "1"], 1), (["x", "Bad Type", "1"], 1), (["x", "session_init", "1"], 1)]
    for arguments, code in cases:
        answer = publish(node, *arguments)
        assert answer.returncode == code and answer.stderr and not answer.stdout, (arguments, answer)
    wrong_key = run("publish", "--url", url(node.internal), "x", "t", "1", env={"CARILLON_API_KEY": "wrong-key-wrong-key"})
    assert wrong_key.returncode == 1 and "wrong-key" not in wrong_key.stderr
    nobody = run("publish", "--url", "http://127.0.0.1:1", "x", "t", "1", env={"CARILLON_API_KEY": API_KEY})
    assert nobody.returncode == 1 and "127.0.0.1:1" in nobody.stderr


def test_dev_on_all_addresses_prints_one_to_connect_to(tmp_path):
    """As in a container, whose ports the host publishes."""
    words = ["dev", "--host", "0.0.0.0", "--internal-host", "0.0.0.0", "--port", "0", "--internal-port", "0", "--allow-remote", "--json"]
    server = Process(tmp_path, words)
    try:
        until(lambda: server.output().endswith("\n"), "it is ready")
        told = json.loads(server.output())
        assert told["ws_url"].startswith("ws://127.0.0.1:") and told["api_url"].startswith("http://127.0.0.1:"), told
    finally:
        server.close()


# --- healthcheck ---


def test_healthcheck(launch):
    node = launch({"drain_window": "1h"})
    assert run("healthcheck", "--url", url(node.internal)).returncode == 0
    with node.connect() as client:
        node.signal(signal.SIGTERM)
        client.find("reconnect")
        assert run("healthcheck", "--url", url(node.internal)).returncode == 1
        client.close()
    node.wait()
    assert run("healthcheck", "--url", url(node.internal)).returncode == 1


# How a server is told where its internal listener is: its words, its environment, its carillon.jsonc.
WAYS = {
    "flags": (["--internal-port", "{port}"], {}, None),
    "a flag in another spelling": (["--internal.port={port}", "--internal_host", "0.0.0.0"], {}, None),
    "environment": ([], {"CARILLON_INTERNAL_PORT": "{port}", "CARILLON_INTERNAL_HOST": "0.0.0.0"}, None),
    "file": (["--config", "carillon.jsonc"], {}, '{"internal": {"port": %s}}'),
    "file of the environment": ([], {"CARILLON_CONFIG": "carillon.jsonc"}, '{"internal": {"port": %s}}'),
    "a flag over the file": (["--config=carillon.jsonc", "--internal-port", "{port}"], {}, '{"internal": {"host": "0.0.0.0", "port": 1}} // %s'),
}


@pytest.mark.parametrize("way", WAYS)
def test_healthcheck_of_a_process(tmp_path, way):
    """It finds the server as that was started, and does not mind what else the command line has."""
    words, env, file = WAYS[way]
    port = reserve.port()
    if file:
        (tmp_path / "carillon.jsonc").write_text(file % port)
    words = ["serve", *(word.format(port=port) for word in words), "--host", "127.0.0.1", "--port", "0", "--log-level", "info"]
    server = Process(tmp_path, words, env={name: value.format(port=port) for name, value in env.items()})
    try:
        until(lambda: " ready in " in server.log(), "it is ready")
        answer = run("healthcheck", "--pid", server.pid)
        assert (answer.returncode, json.loads(answer.stdout)["status"]) == (0, "ready"), answer
    finally:
        server.close()
        reserve.give_back("port", port)
    assert run("healthcheck", "--pid", server.pid).returncode == 1


def test_healthcheck_of_a_process_whose_file_has_a_mistake_by_now(tmp_path):
    port = reserve.port()
    (tmp_path / "carillon.jsonc").write_text("{}")
    server = Process(tmp_path, ["serve", "--config", "carillon.jsonc", "--host", "127.0.0.1", "--port", "0", "--internal-port", port],
                     prefix=["/bin/sh", "-c", '"$@"; exit', "docker-init"])
    try:
        until(lambda: " ready in " in server.log(), "it is ready")
        (tmp_path / "carillon.jsonc").write_text("{")
        assert run("healthcheck", "--pid", server.pid).returncode == 0  # by the words of its parent, like an init of a container
    finally:
        subprocess.run(["pkill", "-TERM", "-P", str(server.pid)], check=True)
        server.process.wait(DEADLINE_S)
        reserve.give_back("port", port)


def test_healthcheck_of_a_process_that_it_cannot_ask():
    mine = run("healthcheck", "--pid", os.getpid())
    assert mine.returncode == 1 and "is not carillon serve or carillon dev" in mine.stderr
    for wrong in (["--pid", "0"], ["--pid", "one"], ["--pid", "1", "--url", "http://127.0.0.1:1"]):
        assert run("healthcheck", *wrong).returncode == 2


# --- dev ---


def pasteable(text, start):
    line = re.search(rf"^\s*(?:\$ )?({start} .*)$", text, re.M)
    assert line, f"no line to paste that begins with {start}:\n{text}"
    return line.group(1)


def test_dev_says_why_a_client_gets_no(tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text('{"channels": [{"match": "user:{sub}", "allow": ["subscribe"]}]}')
    dev = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0", "--config", rules], name="dev")
    try:
        until(lambda: "curl " in dev.output() + dev.log(), "it prints what to paste")
        text = dev.output() + dev.log()
        url = re.search(r"ws://127\.0\.0\.1:\d+/ws", text).group()
        token = re.search(r"--token (\S+)", text).group(1)
        refused = run("listen", "--url", url, "--token", "a.b.c", "x")
        assert refused.returncode != 0
        dev.logged(r"refuse +\d+ +/ws: the token is not valid: .+")
        refused = run("listen", "--url", url, "--token", token, "user:another")
        assert refused.returncode != 0
        dev.logged(r"error +demo \w{6} +\w+: this is another user's channel")
    finally:
        dev.check_log = lambda: None  # dev shows its demo token: that is what it is for
        dev.close()


def test_the_lines_of_dev_really_work(tmp_path):
    dev = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0"], name="dev")
    try:
        until(lambda: "curl " in dev.output() + dev.log(), "it prints what to paste")
        text = dev.output() + dev.log()
        env = {"PATH": f"{Path(BINARY).parent}:{os.environ['PATH']}"}
        link = re.search(r"(ws://127\.0\.0\.1:\d+/\S+)", text)
        assert link and "token=" in link.group(1), text
        with Background(pasteable(text, r"\S+ listen"), env=env, shell=True) as listener:
            # It is subscribed as soon as an event arrives. Until then the test publishes again.
            curl = pasteable(text, "curl")

            def arrived():
                answer = subprocess.run(curl, shell=True, capture_output=True, text=True, env={**clean_environment(), **env})
                assert answer.returncode == 0, answer
                assert json.loads(answer.stdout)["id"]
                return listener.lines

            until(arrived, "the event arrives")
            assert "data" in json.loads(listener.lines[0])
    finally:
        dev.check_log = lambda: None  # dev shows its demo token: that is what it is for
        dev.close()


def test_dev_allows_all_that_it_says(tmp_path):
    dev = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0"], name="dev")
    try:
        until(lambda: "curl " in dev.output() + dev.log(), "it prints what to paste")
        host, port, path = re.search(r"ws://([\d.]+):(\d+)(/\S+)", dev.output() + dev.log()).groups()
        with ws.Client((host, int(port)), path=path) as client:
            client.start()
            assert client.subscribe("any:thing")["data"]["epoch"]
            client.ask("publish", "published", channel="any:thing", type="test", data=1)
            assert len(client.ask("history", "history", channel="any:thing")["data"]["events"]) == 1
            until(lambda: client.ask("presence", "presence", channel="any:thing")["data"]["users"] == 1, "it is there")
    finally:
        dev.check_log = lambda: None
        dev.close()


def test_dev_listens_on_loopback_only(tmp_path):
    dev = Process(tmp_path, ["dev", "--port", "0", "--internal-port", "0"], name="dev")
    try:
        until(lambda: "curl " in dev.output() + dev.log(), "it prints what to paste")
        inodes = {os.readlink(f"/proc/{dev.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{dev.pid}/fd")}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == "0A" and f"socket:[{columns[9]}]" in inodes:
                    assert columns[1].startswith("0100007F:"), f"listens on {columns[1]}"
    finally:
        dev.check_log = lambda: None
        dev.close()


def test_bench_without_the_load_generator(tmp_path):
    """The container image has the server alone."""
    alone = shutil.copy(BINARY, tmp_path / "carillon")
    done = subprocess.run([alone, "bench", "fanout"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "carillon bench: cannot start carillon-bench" in done.stderr and "a program of its own" in done.stderr


def test_the_load_generator_by_its_own_name():
    program = Path(BINARY).parent / "carillon-bench"
    done = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout == run("bench", "--help").stdout


def test_the_image_is_built_from_every_folder_that_the_build_reads():
    read = re.findall(r"^\s*(?:add_subdirectory|include)\((\w+)/?", (ROOT / "CMakeLists.txt").read_text(), re.M)
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "docker/Dockerfile").read_text(), re.M)
    assert set(read) - {"tests", "GNUInstallDirs"} <= set(copied)


# --- completion ---


def complete(*words):
    """What bash offers for the last word."""
    script = Path(__file__).parents[2] / "config/completion.bash"
    line = " ".join(f"'{word}'" for word in words)
    answer = subprocess.run(["bash", "-c", f"""source {script}; COMP_WORDS=('{BINARY}' {line}); COMP_CWORD={len(words)}
                             _carillon; printf '%s\\n' "${{COMPREPLY[@]}}\""""], capture_output=True, text=True, timeout=DEADLINE_S)
    assert answer.returncode == 0 and answer.stderr == ""
    return answer.stdout.split()


def test_completion_for_bash():
    commands = [line.split("(")[1].split(",")[0] for line in (
        Path(__file__).parents[2] / "server/cli/commands.def").read_text().splitlines() if line.startswith("COMMAND(")]
    assert complete("") == [*commands, "help"]
    assert complete("he") == ["healthcheck", "help"] and complete("help", "ser") == ["serve"]
    assert complete("serve", "--redis-u") == ["--redis-url"]
    assert complete("token", "--au") == ["--aud"], "the second flag of a line"
    for command in commands:
        assert complete(command, "-"), command
    assert complete("serve", "x") == [], "bash offers files"
