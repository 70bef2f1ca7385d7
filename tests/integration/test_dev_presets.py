"""`carillon dev --preset`: unchanged clients of the four shapes run to the end with no backend. Most clients here are not the suite's own:
Python's websockets, curl, Node, Chromium. They send the frames that the clients of each shape send."""
import asyncio
import base64
import http.server
import json
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import websockets
from support import http as own_http
from support import node_js
from support.backend import Backend
from support.carillon import Process, clean_environment, run
from support.wait import DEADLINE_S, until
from test_browser import CHROMIUM, FLAGS, Page

NODE = shutil.which("node", path=node_js.ENVIRONMENT["PATH"])


class Dev(Process):
    """`carillon dev` with what it has printed."""

    def __init__(self, folder, *arguments):
        self.arguments_given = arguments
        super().__init__(folder, ["dev", "--port", "0", "--internal-port", "0", *arguments], name="dev")
        until(lambda: "Carillon for development" in self.output() and self.output().endswith("\n\n"), "it prints what a client needs")
        found = re.search(r"clients on (\S+?)(?: by TLS)?, internal on (\S+),", self.log())
        self.public, self.internal = found.groups()
        self.text = self.output()
        self.token = re.search(r"eyJ[\w.-]+", self.text).group()

    def check_log(self):
        """dev shows its demo token: that is what it is for."""

    def pasteable(self, start):
        lines = [line.strip() for line in self.text.splitlines() if line.strip().startswith(start)]
        assert lines, f"no line begins with {start}: {self.text}"
        return lines


@pytest.fixture
def dev(tmp_path):
    started = []

    def start(*arguments):
        started.append(Dev(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()


def shell(line, seconds=DEADLINE_S):
    """As pasted. Node 20 has a WebSocket behind a flag only."""
    if line.startswith("node "):
        version = int(subprocess.run([NODE, "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True).stdout)
        line = line.replace("node ", f"{shlex.quote(NODE)} {'--no-warnings --experimental-websocket ' if version < 22 else ''}", 1)
    return subprocess.run(["sh", "-ec", line], capture_output=True, text=True, timeout=seconds, env=clean_environment())


needs_node = pytest.mark.skipif(not NODE, reason="there is no Node")


def request(id, action="translate", **payload):
    """A request of shape B, as its client makes it."""
    now = int(time.time() * 1000)
    return {"action": "message",
            "headers": {"correlationId": id, "action": action, "schemaRef": f"urn:{action}:1", "sdkVersion": "1.0.0", "identifier": "message",
                        "traceId": "t-1", "idempotencyKey": f"k-{id}", "timestamp": now, "issuedAt": now},
            "payload": {"session": {"id": "s-1"}, "request": payload or {"text": "Hello"}}}


def is_error(frame):
    return frame.get("state") == "error" or frame.get("actionType") == "error" or bool(frame.get("error"))


# --- request-response ---


def test_requests_by_subprotocol_and_by_query(dev):
    one = dev("--preset", "request-response", "--subprotocol", "acme-v1")

    async def client(url, **options):
        async with websockets.connect(url, **options) as socket:
            ids = [f"c-{n}" for n in range(9)]
            actions = ["adjust", "elevate", "interaction", "customerInteraction", "reception", "summarize", "translate", "recommend", "insights"]
            for id, action in zip(ids, actions):
                await socket.send(json.dumps(request(id, action)))
            answers = [json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S)) for _ in ids]
            assert [(a["headers"]["correlationId"], a["headers"]["action"]) for a in answers] == list(zip(ids, actions))
            assert not any(map(is_error, answers))
            await socket.send(json.dumps(request("large", text="ä" * 190_000), ensure_ascii=False))
            assert json.loads(await socket.recv())["headers"]["correlationId"] == "large"
            return socket.subprotocol

    url = f"ws://{one.public}/"
    assert asyncio.run(client(url, subprotocols=["acme-v1", one.token])) == "acme-v1"
    assert asyncio.run(client(url, subprotocols=[one.token, "acme-v1"])) == "acme-v1"
    assert asyncio.run(client(f"{url}?traceId=t-1&Authorization={one.token}")) is None


def test_an_answer_in_several_frames_has_all_text_so_far(dev):
    one = dev("--preset", "request-response", "--frames", "4", "--every", "50ms",
              "--answer", '{"correlationId":"{id}","answer":"{text}","done":"{last}"}')

    async def client():
        async with websockets.connect(f"ws://{one.public}/?Authorization={one.token}") as socket:
            await socket.send(json.dumps(request("c-1")))
            return [json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S)) for _ in range(4)]

    frames = asyncio.run(client())
    assert {frame["correlationId"] for frame in frames} == {"c-1"}
    assert [frame["done"] for frame in frames] == [False, False, False, True]
    texts = [frame["answer"] for frame in frames]
    assert all(later.startswith(earlier) and later != earlier for earlier, later in zip(texts, texts[1:])), texts


def test_echo_and_all_shapes_at_once(dev):
    one = dev("--preset", "all", "--answer", "echo")

    async def client():
        sent = json.dumps(request("c-1"))
        async with websockets.connect(f"ws://{one.public}/?Authorization={one.token}") as socket:
            await socket.send(sent)
            assert await asyncio.wait_for(socket.recv(), DEADLINE_S) == sent
        async with websockets.connect(f"ws://{one.public}/ws/transcribe?token={one.token}") as socket:
            assert json.loads(await socket.recv())["type"] == "session_init"
            await socket.send(b"\0\1\2")
            assert await asyncio.wait_for(socket.recv(), DEADLINE_S) == b"\0\1\2"
        for path in ("/ws", "/api/ws"):
            async with websockets.connect(f"ws://{one.public}{path}?token={one.token}") as socket:
                assert json.loads(await socket.recv())["type"] == "session_init"
                await socket.send(json.dumps({"id": "1", "type": "subscribe", "data": {"channel": "news"}}))
                assert json.loads(await socket.recv())["type"] == "subscribed"

    asyncio.run(client())


def test_a_backend_in_place_of_the_upstream_inside(dev):
    with Backend(lambda call: call.answer(200, {"headers": {"correlationId": call.json()["headers"]["correlationId"]}, "from": "backend"})) as backend:
        one = dev("--preset", "request-response,streaming", "--backend", backend.url)

        async def client():
            async with websockets.connect(f"ws://{one.public}/?traceId=t-7&Authorization={one.token}") as socket:
                await socket.send(json.dumps(request("c-1")))
                return json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S))

        assert asyncio.run(client()) == {"headers": {"correlationId": "c-1"}, "from": "backend"}
        assert backend.of_type("message")[0].json() == {**request("c-1"), "headers": backend.of_type("message")[0].json()["headers"]}


@needs_node
@pytest.mark.parametrize("preset, expected", [
    ("request-response", '{"headers":{"correlationId":"c-1","action":"translate"},"payload":{"text":"This is message 1 with 114 bytes, and '
                         'carillon dev answers it."}}\n'),
    ("streaming", '"sequence":25,"is_final":true}\n'),
])
def test_the_lines_for_node_work(dev, preset, expected):
    """They end after a second or two, which a busy machine may need to begin: here it is eight."""
    one = dev("--preset", preset)
    line = one.pasteable("node -e")[0]
    patient = re.sub(r"close\(\),[12]000\)", "close(),8000)", line)
    assert patient != line
    done = shell(patient)
    assert done.returncode == 0 and done.stdout.endswith(expected), done


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_a_browser_with_the_token_as_subprotocol(dev, tmp_path):
    one = dev("--preset", "request-response")
    cases = [[f"ws://{one.public}/", ["app-v1", one.token]], [f"ws://{one.public}/", ["app-v1", one.token + "x"]]]
    page = """<!doctype html><script>
    const attempt = ([url, protocols]) => new Promise(done => {
      const seen = {frames: []}, socket = new WebSocket(url, protocols);
      socket.onopen = () => { seen.protocol = socket.protocol; socket.send(%s); };
      socket.onmessage = event => { seen.frames.push(JSON.parse(event.data).headers.correlationId); socket.close(1000); };
      socket.onclose = event => done({...seen, code: event.code});
    });
    (async () => {
      const results = [];
      for (const one of %s) results.push(await attempt(one));
      await fetch("/results", {method: "POST", body: JSON.stringify(results)});
    })();
    </script>""" % (json.dumps(json.dumps(request("c-1"))), json.dumps(cases))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.page, server.told = page, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(tmp_path / "chromium.log", "wb") as log:
        browser = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0",
                                    "http://127.0.0.1:%d/" % server.server_address[1]], stdout=log, stderr=log)
        try:
            assert server.told.wait(DEADLINE_S), (tmp_path / "chromium.log").read_text(errors="replace")[-3000:]
        finally:
            browser.terminate()
            browser.wait(DEADLINE_S)
            server.shutdown()
            server.server_close()
    assert server.results == [{"frames": ["c-1"], "protocol": "app-v1", "code": 1000}, {"frames": [], "protocol": "app-v1", "code": 1008}]


# --- ticket-sockets ---


def test_tickets_by_curl_and_a_client_that_comes_back(dev):
    one = dev("--preset", "ticket-sockets")
    done = shell(one.pasteable("curl -s http://" + one.public)[0])
    answer = json.loads(done.stdout)
    assert set(answer) == {"ticket", "expiresIn"} and answer["expiresIn"] == 30
    publish = one.pasteable(f"curl -s http://{one.internal}/api/v1/publish")[0]

    async def client():
        url = f"ws://{one.public}/ai-chat/demo/transcript?ticket={answer['ticket']}"
        socket = await websockets.connect(url)
        assert shell(publish).returncode == 0
        assert json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S)) == {"message": "Hello there!"}
        socket.transport.abort()
        assert shell(publish.replace("Hello", "Missed")).returncode == 0
        for _ in range(10):  # as the client does: the same URL, some time apart
            try:
                socket = await websockets.connect(url)
                break
            except websockets.InvalidHandshake:
                await asyncio.sleep(0.1)
        again = await asyncio.wait_for(socket.recv(), DEADLINE_S)
        if "Hello" in again:  # an event that no pong has proven to have arrived may come twice
            again = await asyncio.wait_for(socket.recv(), DEADLINE_S)
        assert json.loads(again) == {"message": "Missed there!"}
        await socket.close(1000)

    asyncio.run(client())


@pytest.mark.parametrize("body, path, channel", [
    ({"purpose": "transcript", "resourceId": "9"}, "/white-label/acme/transcript/9", "transcript:acme:9"),
    ({"purpose": "notifications"}, "/notifications", "user:demo"),
])
def test_other_sockets_with_tickets(dev, body, path, channel):
    one = dev("--preset", "ticket-sockets")
    host, port = one.public.split(":")
    answer = own_http.request((host, int(port)), "POST", "/websocket/ticket", body, {"Authorization": f"Bearer {one.token}"})
    assert answer.status == 200, answer
    publish = one.pasteable(f"curl -s http://{one.internal}/api/v1/publish")[0].replace("thread:demo", channel)

    async def client():
        async with websockets.connect(f"ws://{one.public}{path}?ticket={answer.json['ticket']}") as socket:
            assert shell(publish).returncode == 0
            assert await asyncio.wait_for(socket.recv(), DEADLINE_S) == '{"message":"Hello there!"}'

    asyncio.run(client())


@needs_node
def test_a_node_client_gets_a_ticket_and_listens(dev):
    one = dev("--preset", "ticket-sockets")
    line = one.pasteable("node -e")[0].replace("console.log(e.data)", "(console.log(e.data),s.close())")
    publish = one.pasteable(f"curl -s http://{one.internal}/api/v1/publish")[0]
    results = []
    thread = threading.Thread(target=lambda: results.append(shell(line)))
    thread.start()
    until(lambda: results or not shell(publish).returncode and not thread.is_alive(), "the event arrives")
    thread.join()
    assert results[0].stdout == '{"message":"Hello there!"}\n', results


# --- streaming ---


def test_a_stream_of_audio(dev):
    one = dev("--preset", "streaming")

    async def client(url, **options):
        async with websockets.connect(url, **options) as socket:
            init = json.loads(await socket.recv())
            assert init["type"] == "session_init" and re.fullmatch(r"[0-9a-f-]{36}", init["session_id"])
            for _ in range(100):
                await socket.send(bytes(640))
            frames = [json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S)) for _ in range(100)]
            assert [frame["sequence"] for frame in frames] == list(range(1, 101))
            assert {frame["type"] for frame in frames} == {"transcription"}

    url = f"ws://{one.public}/ws/transcribe"
    headers = "additional_headers" if int(websockets.__version__.split(".")[0]) >= 14 else "extra_headers"
    asyncio.run(client(url, **{headers: {"Authorization": f"Bearer {one.token}"}}))
    asyncio.run(client(f"{url}?token={one.token}"))


# --- the command ---


def test_browsers_that_want_tls(dev, certificate):
    one = dev("--preset", "request-response", "--tls-certificate", certificate.options["tls.certificate"],
              "--tls-key", certificate.options["tls.key"])

    async def client():
        url = re.search(r"URL\s+(wss://\S+)", one.text)[1]
        async with websockets.connect(url, subprotocols=["app-v1", one.token], ssl=certificate.trusted()) as socket:
            await socket.send(json.dumps(request("c-1")))
            return json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S))["headers"]["correlationId"]

    assert asyncio.run(client()) == "c-1"


def test_it_starts_in_milliseconds(dev):
    one = dev("--preset", "all")
    assert float(re.search(r"ready in ([\d.]+) ms", one.log()).group(1)) < 1000


def test_a_reload_keeps_the_upstream_inside(dev):
    one = dev("--preset", "request-response")
    one.signal(signal.SIGHUP)
    one.logged(r"reload: done")

    async def client():
        async with websockets.connect(f"ws://{one.public}/?Authorization={one.token}") as socket:
            await socket.send(json.dumps(request("c-1")))
            return json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S))["headers"]["correlationId"]

    assert asyncio.run(client()) == "c-1"


@pytest.mark.parametrize("words, says", [
    (["--preset", "chat"], 'expected events, request-response, ticket-sockets, streaming or all'),
    (["--preset"], "--preset: its value is missing"),
    (["--answer", "echo"], "--answer does nothing without --preset request-response or streaming"),
    (["--preset", "events", "--backend", "http://127.0.0.1:1/"], "--backend does nothing without"),
    (["--preset", "streaming", "--subprotocol", "x"], "--subprotocol does nothing without --preset request-response"),
    (["--preset", "streaming", "--answer", "hello"], "--answer: expected echo or JSON"),
    (["--preset=streaming", "--frames=0"], "--frames: expected 1 to 100"),
    (["--preset", "streaming", "--every", "5"], "--every: expected 1ms to 60000ms"),
    (["--preset", "streaming", "--frames", "2", "--backend", "http://127.0.0.1:1/"], "--frames does nothing with --backend"),
])
def test_wrong_calls(words, says):
    done = run("dev", *words)
    assert done.returncode == 2 and says in done.stderr and "carillon dev --help" in done.stderr, done


def test_places_that_an_answer_cannot_have():
    done = run("dev", "--preset", "streaming", "--port", 0, "--internal-port", 0, "--answer", '{"a":"{other}"}')
    assert done.returncode == 1 and "{other}" in done.stderr, done


@pytest.mark.parametrize("command", ["serve", "check"])
def test_no_other_command_has_the_upstream_inside(tmp_path, command):
    config = Path(tmp_path / "carillon.json")
    config.write_text(json.dumps({"token": {"secret": "a secret that is long enough for it"}, "upstreams": {"x": {"url": "dev:{}"}},
                                  "endpoints": [{"path": "/ws", "text": "upstream", "upstream": "x"}]}))
    done = run(command, "--config", config)
    assert done.returncode == 1 and "upstreams.x.url: only carillon dev --preset has dev:" in done.stderr + done.stdout, done


def test_the_help_names_the_presets():
    text = run("dev", "--help").stdout
    for word in ("--preset NAME", "request-response", "ticket-sockets", "streaming", "--answer JSON|echo", "--backend URL"):
        assert word in text


# --- tokens ---


def ask_token(dev, body=None, method="POST", **headers):
    host, port = dev.internal.split(":")
    return own_http.request((host, int(port)), method, "/dev/v1/tokens", body, {name.capitalize(): value for name, value in headers.items()})


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_tokens_for_a_client_that_fetches_them(dev):
    one = dev("--preset", "streaming,request-response")
    assert json.loads(shell(one.pasteable(f"curl -s http://{one.internal}/dev/v1/tokens")[0]).stdout)["token"]
    answer = ask_token(one)
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    usual = payload(answer.json["token"])
    assert usual == {"sub": "demo", "channels": ["*"], "scope": "transcription:read transcription:write", "user_type": "demo",
                     "iat": usual["iat"], "exp": usual["iat"] + 30 * 86400, "jti": usual["jti"]}
    own = payload(ask_token(one, {"sub": "ä", "channels": ["room:1"], "expires": "30s",
                                  "claims": {"user_type": "clinician", "org": {"a": [1]}}}).json["token"])
    assert own == {"sub": "ä", "channels": ["room:1"], "scope": usual["scope"], "user_type": "clinician", "org": {"a": [1]},
                   "iat": own["iat"], "exp": own["iat"] + 30, "jti": own["jti"]}
    assert own["jti"] != usual["jti"], "two tokens are never the same"
    assert payload(ask_token(one, {"claims": {"jti": "mine"}}).json["token"])["jti"] == "mine"

    async def client():
        async with websockets.connect(answer.json["ws_url"]) as socket:
            await socket.send(json.dumps(request("c-1")))
            return json.loads(await asyncio.wait_for(socket.recv(), DEADLINE_S))["headers"]["correlationId"]

    assert asyncio.run(client()) == "c-1"


@pytest.mark.parametrize("headers", [
    {"host": "evil.example"},  # a name that an attacker's DNS server leads to 127.0.0.1
    {"host": "localhost.evil.example:8081", "origin": "http://localhost.evil.example:8081"},
    {"origin": "http://evil.example"},
    {"origin": "http://localhost:3000"},
    {"origin": "null"},
])
def test_a_page_of_another_origin_gets_no_token(dev, headers):
    answer = ask_token(dev(), **headers)
    assert answer.status == 403 and answer.json["error"]["code"] == "forbidden" and "eyJ" not in answer.body.decode()


def test_the_listener_itself_gets_a_token(dev):
    one = dev()
    host = f"localhost:{one.internal.split(':')[1]}"
    answer = ask_token(one, {}, host=host, origin=f"http://{host}")
    assert answer.status == 200 and answer.json["ws_url"].startswith(f"ws://{one.public}/ws?token=eyJ")


@pytest.mark.parametrize("body, says", [
    ({"subject": "x"}, "expected sub, channels, expires or claims"), ({"expires": "soon"}, "expires: a time like"), ({"sub": 1}, "sub: expected"),
    ({"claims": {"exp": 1}}, "claims: exp is"), ({"channels": "a"}, "channels: expected"), ([], "expected an object"),
])
def test_requests_for_tokens_that_are_wrong(dev, body, says):
    answer = ask_token(dev(), body)
    assert answer.status == 400 and says in answer.json["error"]["message"], answer


def test_only_dev_has_the_route(node):
    assert node.api("POST", "/dev/v1/tokens", {}).status == 404
