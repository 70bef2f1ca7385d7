"""The pages about backends: what a reader pastes from them works, and prints what the page says. And the example backends refuse what they
have to refuse."""
import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from support import http, reserve
from support.carillon import BINARY, ROOT, clean_environment, run
from support.node_js import ENVIRONMENT
from support.wait import DEADLINE_S, until

NODE = shutil.which("node", path=ENVIRONMENT["PATH"])
needs_node = pytest.mark.skipif(not NODE, reason="there is no Node")
PAGES = ["upstreams.md", "tickets.md", "lifecycle.md"]
CARILLON = """#!/bin/sh
case $1 in
serve) set -- "$@" --host 127.0.0.1 --port 8080 --internal-port 8081 ;;
listen) set -- "$@" --url ws://127.0.0.1:8080/ws ;;
publish) set -- "$@" --url http://127.0.0.1:8081 ;;
esac
exec BINARY "$@"
"""


def blocks(page):
    """The indented blocks of a page, without the indentation."""
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", (ROOT / "docs" / page).read_text(), re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in found]


def steps(page):
    """(command, what it prints) of each line that begins with a prompt."""
    found = []
    for block in blocks(page):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed.splitlines()))
    return found


def masked(line):
    """Without what is another each time."""
    line = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", line)
    line = re.sub(r'"ticket":"[\w-]{22}"', "TICKET", line)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|^\d{13}-\d+$", "TIME", line)


class Walk:
    """Does what a page says. All that its commands print goes to one file, as to a reader's terminal."""

    def __init__(self, folder, page, redis_port=None):
        self.folder = folder
        self.ports = {name: str(reserve.port()) for name in ("8080", "8081", "9000")} | {"6379": str(redis_port)}
        self.page = page
        self.terminal = folder / "terminal"
        self.terminal.touch()
        self.seen = 0
        self.background = []
        (folder / "docs").symlink_to(ROOT / "docs")
        (folder / "bin").mkdir()
        scripts = {"carillon": CARILLON.replace("BINARY", str(BINARY)), "python3": f'#!/bin/sh\nexec {sys.executable} -B "$@"\n',
                   "redis-cli": f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p 6379 "$@"\n'}
        for name, text in scripts.items():
            (folder / "bin" / name).write_text(self.with_ports(text))
            (folder / "bin" / name).chmod(0o755)
        self.environment = {**clean_environment(), "PATH": f"{folder}/bin:{ENVIRONMENT['PATH']}", "NODE_NO_WARNINGS": "1",
                            "NODE_OPTIONS": "--experimental-websocket"}

    def with_ports(self, text):
        return re.sub(r"\b(8080|8081|9000|6379)\b", lambda found: self.ports[found[1]], text)

    def start(self, command):
        with open(self.terminal, "ab") as out, open(self.folder / "log", "ab") as log:
            return subprocess.Popen(["sh", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=log if " serve " in command else out, start_new_session=True)

    def lines(self):
        return self.terminal.read_text().splitlines()[self.seen:]

    def wait_for(self, expected, command):
        until(lambda: len(self.lines()) >= len(expected), f"what {command} prints: {expected}, and not {self.lines()}")
        assert list(map(masked, self.lines()[:len(expected)])) == list(map(masked, expected)), command
        self.seen += len(expected)

    def do(self, command, printed):
        command, printed = self.with_ports(command), [self.with_ports(line) for line in printed]
        if command.startswith("cat "):
            (self.folder / command[4:]).write_text("\n".join(printed))
        elif assignment := re.fullmatch(r"(\w+)=(\$\(.*\))", command):
            out = subprocess.run(["sh", "-c", f"echo {assignment[2]}"], cwd=self.folder, env=self.environment, capture_output=True, text=True)
            self.environment[assignment[1]] = out.stdout.strip()
        elif command.endswith(" &"):
            self.background.append(self.start(f"exec env {command[:-2]}"))
            if "serve" in command:
                until(lambda: "ready in" in (self.folder / "log").read_text(), "the server is ready")
            if "backend" in command:
                until(self.backend_listens, "the backend listens")
            self.wait_for(printed, command)
        else:
            if command.startswith("sleep "):  # long enough for a reader; here the client may take longer
                until(self.has_session, "the client has connected")
            process = self.start(command)
            self.wait_for(printed, command)
            if printed and "client.mjs" in command:
                stop(process)
            else:
                assert process.wait(DEADLINE_S) == 0, command

    def backend_listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.ports["9000"]))) == 0

    def has_session(self):
        answer = http.request(("127.0.0.1", int(self.ports["8081"])), "GET", "/metrics")
        return re.search(r"^carillon_sessions(?:{[^}]*})? [1-9]", answer.body.decode(), re.M)

    def close(self):
        for process in reversed(self.background):
            stop(process)


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(DEADLINE_S)


@pytest.fixture
def walk(tmp_path):
    walks = []

    def begin(page, **options):
        walks.append(Walk(tmp_path, page, **options))
        return walks[-1]

    yield begin
    for one in walks:
        one.close()


# --- the pages ---

@needs_node
@pytest.mark.parametrize("backend", ["node docs/examples/signed_backend.mjs", "python3 docs/examples/signed_backend.py"])
def test_upstreams(walk, backend):
    one = walk("upstreams.md")
    for command, printed in steps("upstreams.md"):
        if "python" in backend:
            printed = [line.replace('":', '": ').replace(',"', ', "') if line.startswith(('{"hello', '{"headers')) else line for line in printed]
        one.do(command.replace("node docs/examples/signed_backend.mjs", backend), printed)
        if "client.mjs" in command:
            client = command
    until(lambda: any(re.fullmatch(r"[0-9a-f-]{36} 1006 ?", line) for line in one.lines()), "the backend prints that the session has ended")
    one.seen += len(one.lines())
    stop(one.background.pop(0))
    failed, = [block for block in blocks("upstreams.md") if block.startswith('{"headers":{"correlationId":"c-1"},"error"')]
    one.do(client, failed.splitlines())


@needs_node
def test_tickets(walk):
    one = walk("tickets.md")
    for command, printed in steps("tickets.md"):
        one.do(command, printed)


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="there is no redis-cli")
def test_lifecycle(walk, redis):
    one = walk("lifecycle.md", redis_port=redis.port)
    for command, printed in steps("lifecycle.md"):
        one.do(command, printed)
    entry = redis("XPENDING", "carillon:events", "audit", "-", "+", "10")[0][0]
    acknowledge, = [block for block in blocks("lifecycle.md") if block.startswith("redis-cli XACK")]
    one.do(re.sub(r"\d{13}-\d", entry, acknowledge.strip()), ["1"])


def configurations():
    """The pieces of configuration in the pages, each as a whole configuration."""
    for page in PAGES:
        for block in blocks(page):
            if block.startswith(('"upstreams"', '"endpoints"', '"lifecycle"')):
                yield "{" + block + "}"
            elif block.startswith('"events"'):
                yield '{"upstreams": {"x": {"url": "http://127.0.0.1:9000/", ' + block + "}}}"
            elif block.startswith('"') and re.search(r'"(url|redis_stream)":', block):
                yield '{"upstreams": {' + block + "}}"
            elif block.startswith("{ "):
                yield '{"endpoints": [' + block + "]}"


@pytest.mark.parametrize("text", configurations())
def test_each_piece_of_configuration_is_right(tmp_path, text):
    more = {"token": {"secret": "x" * 32}, "tickets": {"path": "/ticket"}, "redis": {"url": "redis://127.0.0.1:6379"}}
    (tmp_path / "upstream-secret").write_text("y" * 32)
    (tmp_path / "carillon.json").write_text(json.dumps({**more, **json.loads(text)}))
    checked = run("check", "--config", str(tmp_path / "carillon.json"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_there_are_pieces_of_configuration():
    assert len(list(configurations())) >= 9


@pytest.mark.parametrize("example", ["signed_backend.mjs", "signed_backend.py"])
def test_the_page_shows_the_code_of_the_examples(example):
    code = (ROOT / "docs/examples" / example).read_text().splitlines()
    shown, = [block for block in blocks("upstreams.md") if block.startswith(("function isSigned", "def is_signed")[example.endswith("py")])]
    assert not [line for line in shown.splitlines() if line not in code]


# --- the example backends ---

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()


class Example:
    def __init__(self, folder, name, secret):
        self.port = reserve.port()
        self.key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
        program = [NODE] if name.endswith("mjs") else [sys.executable, "-B"]
        self.out = folder / "out"
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([*program, ROOT / "docs/examples" / name, str(self.port)], stdout=out,
                                            env={**clean_environment(), "UPSTREAM_SECRET": secret}, start_new_session=True)
        until(self.listens, f"{name} listens")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def post(self, type_, body, key=None, age_s=0, change=lambda signature: signature, **headers):
        body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        stamp = str(int(time.time() - age_s))
        mac = hmac.new(key or self.key, f"id.1.{stamp}.".encode() + body, hashlib.sha256).digest()
        signature = change("v1," + base64.b64encode(mac).decode())
        return http.request(("127.0.0.1", self.port), "POST", "/frames", body, {
            "ce-type": f"carillon.{type_}", "ce-sessionid": "s-1", "ce-userid": "ada", "content-type": "application/json", "webhook-id": "id.1",
            "webhook-timestamp": stamp, "webhook-signature": signature, **headers})


@pytest.fixture(params=[pytest.param("signed_backend.mjs", marks=needs_node), "signed_backend.py"])
def example(request, tmp_path):
    started = []

    def start(secret=SECRET):
        started.append(Example(tmp_path, request.param, secret))
        return started[-1]

    yield start
    for one in started:
        stop(one.process)


MESSAGE = {"headers": {"correlationId": "c-1"}, "payload": {"text": "Hi"}}


@pytest.mark.parametrize("secret", [SECRET, "plain bytes of a secret"])
def test_an_example_accepts_what_is_signed(example, secret):
    backend = example(secret)
    assert backend.post("message", MESSAGE).json == MESSAGE
    assert backend.post("message", MESSAGE, change=lambda signature: f"v1,other {signature}").status == 200, "one of two signatures"


def test_an_example_refuses_what_is_not_signed(example):
    backend = example()
    refused = [
        backend.post("message", MESSAGE, key=b"another secret"),
        backend.post("message", MESSAGE, age_s=400),
        backend.post("message", MESSAGE, age_s=-400),
        backend.post("message", MESSAGE, change=lambda _: ""),
        backend.post("message", MESSAGE, change=lambda signature: signature[:-1]),
        backend.post("message", MESSAGE, change=lambda _: "v1,\u00fc"),
        backend.post("message", MESSAGE, **{"webhook-timestamp": "soon"}),
        backend.post("message", MESSAGE, **{"webhook-id": "id.2"}),
        http.request(("127.0.0.1", backend.port), "POST", "/frames", b"{}"),
    ]
    assert [answer.status for answer in refused] == [401] * len(refused)


def test_an_example_answers_each_call(example):
    backend = example()
    assert backend.post("message", b"no JSON").status == 400 and backend.post("message", {}).status == 400
    assert backend.post("connect", {"user": "ada"}).json["subscribe"] == ["user:ada"]
    assert backend.post("connect", {"user": "mallory"}).status == 403
    assert backend.post("subscribe", {"channel": "room:1"}).status == 204
    assert backend.post("subscribe", {"channel": "secret:1"}).status == 403
    assert backend.post("connected", None).json == {"hello": "ada"}
    assert backend.post("disconnected", {"code": 1000, "reason": "bye"}).status == 204
    batch = [{"id": f"s-1.{n}", "type": "carillon.session.opened", "data": {"user": "ada"}} for n in (1, 2)]
    assert backend.post("", batch, **{"content-type": "application/cloudevents-batch+json; charset=utf-8"}).status == 204
    lines = until(lambda: len(found := backend.out.read_text().splitlines()) >= 3 and found, "what it prints")
    assert lines[0] == "s-1 1000 bye" and [line.split()[0] for line in lines[1:]] == ["s-1.1", "s-1.2"]
