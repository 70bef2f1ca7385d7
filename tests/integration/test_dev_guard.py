"""Who may use the internal listener of `carillon dev`: programs, and no page of another origin."""
import http.client
import http.server
import json
import socket
import subprocess
import threading

import pytest
from support import http as own_http
from support.carillon import BINARY, clean_environment
from support.wait import DEADLINE_S, TOOL_S, until
from test_browser import CHROMIUM, FLAGS
from test_dev_start import dev  # noqa: F401 (a fixture)

ROUTES = [("POST", "/dev/v1/tokens"), ("GET", "/dev/v1/journal"), ("DELETE", "/dev/v1/journal"), ("GET", "/metrics"), ("GET", "/readyz"),
          ("POST", "/api/v1/publish"), ("GET", "/openapi.yaml"), ("OPTIONS", "/dev/v1/tokens"), ("GET", "/nothing")]


def ask(one, method, path, body=None, **headers):
    headers = {"-".join(part.capitalize() for part in name.split("_")): value for name, value in headers.items()}
    return own_http.request(one.internal, method, path, body, headers)


def own(one):
    return "127.0.0.1:%d" % one.internal[1]


@pytest.mark.parametrize("method, path", ROUTES)
def test_a_program_passes_and_a_page_of_elsewhere_does_not(dev, method, path):  # noqa: F811
    one = dev()
    assert ask(one, method, path).status != 403
    for headers in (
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:5173"}, {"origin": f"https://{own(one)}"},
        {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},  # localhost:5173 is of the same site
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
        {"host": "evil.example"}, {"host": f"evil.example:{one.internal[1]}", "origin": f"http://evil.example:{one.internal[1]}"},
        {"host": "127.0.0.1.evil.example"}, {"host": f"localhost:{one.internal[1] + 1}"}, {"host": "localhost"}, {"host": "192.0.2.1"},
    ):
        answer = ask(one, method, path, **headers)
        assert answer.status == 403 and answer.json["error"]["code"] == "forbidden", (headers, answer)
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "eyJ" not in answer.body.decode()


def test_a_page_of_elsewhere_does_not_push_out_the_journal(dev):  # noqa: F811
    one = dev()
    assert ask(one, "POST", "/dev/v1/clock", {"freeze": True}).status == 200
    for _ in range(20):
        assert ask(one, "GET", "/metrics", origin="http://evil.example").status == 403
    assert ask(one, "GET", "/metrics", host="evil.example").status == 403
    kinds = [json.loads(line)["kind"] for line in ask(one, "GET", "/dev/v1/journal").body.splitlines()]
    assert kinds == ["clock", "refused", "refused"]


def test_what_is_read_has_a_head(dev):  # noqa: F811
    one = dev()
    for path in ("/", "/console.js", "/dev/v1/sessions", "/dev/v1/journal"):
        connection = http.client.HTTPConnection(*one.internal, timeout=DEADLINE_S)
        lengths = []
        for method in ("GET", "HEAD"):
            connection.request(method, path, headers={"Accept": "text/event-stream"} if method == "HEAD" else {})
            answer = connection.getresponse()
            lengths.append((answer.status, answer.headers["content-length"], answer.headers["content-type"]))
            assert (len(answer.read()) == 0) == (method == "HEAD" or lengths[-1][1] == "0")
        assert lengths[0] == lengths[1] and lengths[0][0] == 200
        connection.close()


def test_its_own_pages_pass(dev):  # noqa: F811
    one = dev()
    for host in (own(one), f"localhost:{one.internal[1]}", f"LOCALHOST:{one.internal[1]}", f"[::1]:{one.internal[1]}"):
        answer = ask(one, "POST", "/dev/v1/tokens", host=host, origin=f"http://{host}", sec_fetch_site="same-origin", sec_fetch_mode="cors")
        assert answer.status == 200 and answer.json["token"], (host, answer)
        assert ask(one, "GET", "/metrics", host=host, sec_fetch_site="none", sec_fetch_mode="navigate", sec_fetch_dest="document").status == 200


def test_a_link_may_open_a_document_and_a_form_may_not_act(dev):  # noqa: F811
    one = dev()
    navigation = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(one, "GET", "/metrics", **navigation).status == 200
    assert ask(one, "POST", "/dev/v1/tokens", **navigation).status == 403


def test_a_refused_page_is_named_in_the_terminal(dev):  # noqa: F811
    one = dev()
    ask(one, "POST", "/dev/v1/tokens", origin="http://localhost:5173")
    one.logged(r"refuse +403 +a page of \"http://localhost:5173\" may not use the internal listener; let its own server ask")


def test_serve_asks_only_for_the_key(node):
    answer = own_http.request(node.internal, "GET", "/readyz", None, {"Origin": "http://evil.example", "Host": "evil.example"})
    assert answer.status == 200


# --- other machines ---


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example"])
def test_other_addresses_need_allow_remote(tmp_path, host):
    done = subprocess.run([BINARY, "dev", "--port", "0", "--internal-port", "0", "--internal-host", host], capture_output=True, text=True,
                          cwd=tmp_path, env=clean_environment())
    assert done.returncode == 1 and f"internal.host: {host} is not of this machine alone" in done.stderr, done
    assert "--allow-remote" in done.stderr


def test_the_image_sets_an_address_that_needs_it(tmp_path):
    done = subprocess.run([BINARY, "dev", "--port", "0"], capture_output=True, text=True, cwd=tmp_path,
                          env={**clean_environment(), "CARILLON_INTERNAL_HOST": "0.0.0.0"})
    assert done.returncode == 1 and "--allow-remote" in done.stderr, done


def test_with_allow_remote(dev):  # noqa: F811
    """As in a container: a mapped port, the address of a bridge, a service's name. Pages of elsewhere are still refused."""
    one = dev("--internal-host", "0.0.0.0", "--allow-remote")
    one.internal = ("127.0.0.1", one.internal[1])
    for host in ("localhost:9081", "172.17.0.2:8081", "carillon:8081", "host.docker.internal:8081", "[fd00::1]:8081"):
        assert ask(one, "POST", "/dev/v1/tokens", host=host).status == 200, host
        assert ask(one, "POST", "/dev/v1/tokens", host=host, origin=f"http://{host}").status == 200, host
        assert ask(one, "POST", "/dev/v1/tokens", host=host, origin="http://evil.example").status == 403, host
        assert ask(one, "POST", "/dev/v1/tokens", host=host, sec_fetch_site="cross-site").status == 403, host
    for host in ("evil.example:8081", "internal.evil.example", "evilinternal.example", ""):
        assert ask(one, "POST", "/dev/v1/tokens", host=host).status == 403, host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "localhost", "::1", "[::1]"])
def test_loopback_needs_nothing(dev, host):  # noqa: F811
    if ":" in host:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6")
    one = dev("--internal-host", host)
    assert ask(one, "POST", "/dev/v1/tokens").status == 200


# --- a browser ---


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """The server of a page of another origin. POST /token asks for a token in the page's place."""

    def do_GET(self):
        self.answer(self.server.page.encode(), "text/html")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self.answer(own_http.request(self.server.internal, "POST", "/dev/v1/tokens", json.loads(body)).body, "application/json")
            return
        self.server.results = json.loads(body)
        self.answer(b"", "text/plain")
        self.server.told.set()

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


PAGE = """<!doctype html><body><script>
const base = "http://%s", rebound = "http://%s";
const done = {};
const fetched = async (name, url, options) => {
  try { const answer = await fetch(url, options); done[name] = `${answer.type} ${answer.status} ${(await answer.text()).length}`; }
  catch (error) { done[name] = "failed"; }
};
const tag = (name, make) => new Promise(resolve => {
  const element = make();
  element.onload = () => { done[name] = "loaded"; resolve(); };
  element.onerror = () => { done[name] = "failed"; resolve(); };
  document.body.append(element);
});
const element = (kind, members) => Object.assign(document.createElement(kind), members);
(async () => {
  await fetched("fetch", base + "/dev/v1/tokens", {method: "POST", body: "{}"});
  await fetched("json", base + "/dev/v1/tokens", {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}});
  await fetched("opaque", base + "/dev/v1/journal", {method: "DELETE", mode: "no-cors"});
  await fetched("post", base + "/dev/v1/tokens", {method: "POST", mode: "no-cors", body: "{}"});
  await fetched("get", base + "/dev/v1/journal");
  await fetched("rebound", rebound + "/dev/v1/journal");
  await tag("image", () => element("img", {src: base + "/dev/v1/journal?image"}));
  await tag("script", () => element("script", {src: base + "/metrics?script"}));
  await new Promise(resolve => {
    const source = new EventSource(base + "/dev/v1/journal?events");
    source.onopen = () => { done.events = "open"; source.close(); resolve(); };
    source.onerror = () => { done.events = "failed"; source.close(); resolve(); };
  });
  const frame = element("iframe", {name: "target"});
  document.body.append(frame);
  const form = element("form", {method: "POST", action: base + "/dev/v1/tokens", target: "target"});
  document.body.append(form);
  await new Promise(resolve => { frame.onload = resolve; form.submit(); });
  const token = (await (await fetch("/token", {method: "POST", body: '{"sub":"ada"}'})).json()).token;
  await new Promise(resolve => {
    const socket = new WebSocket("ws://%s/ws?token=" + token);
    socket.onmessage = event => { done.socket = JSON.parse(event.data).type; resolve(); };
    socket.onclose = event => { done.socket ??= `closed ${event.code}`; resolve(); };
  });
  await fetch("/results", {method: "POST", body: JSON.stringify(done)});
})();
</script>"""


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_chromium_on_a_page_of_another_origin(dev, tmp_path):  # noqa: F811
    """It can neither read nor act. Its own server gets the token for it."""
    one = dev()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.page = PAGE % (own(one), f"rebound.example:{one.internal[1]}", "127.0.0.1:%d" % one.public[1])
    server.told, server.internal = threading.Event(), one.internal
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(tmp_path / "chromium.log", "wb") as log:
        browser = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0",
                                    "--host-resolver-rules=MAP rebound.example 127.0.0.1",
                                    "http://localhost:%d/" % server.server_address[1]], stdout=log, stderr=log)
        try:
            assert server.told.wait(DEADLINE_S), (tmp_path / "chromium.log").read_text(errors="replace")[-3000:]
        finally:
            browser.terminate()
            browser.wait(DEADLINE_S)
            server.shutdown()
            server.server_close()
    assert server.results == {"fetch": "failed", "json": "failed", "opaque": "failed", "post": "opaque 0 0", "get": "failed",
                              "rebound": "failed", "image": "failed", "script": "failed", "events": "failed", "socket": "session_init"}
    lines = until(lambda: own_http.request(one.internal, "GET", "/dev/v1/journal").body.decode().splitlines(), "the journal is there")
    refused = [line for line in map(json.loads, lines) if line["kind"] == "refused"]
    assert refused and all(line["code"] == 403 for line in refused), refused
    assert any("rebound.example" in line["text"] for line in refused)


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_chromium_on_a_rebound_name(dev, tmp_path):  # noqa: F811
    """The page's own name leads to the internal listener: for the browser it is the same origin, and the Host tells it."""
    one = dev()
    done = subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP rebound.example 127.0.0.1",
                           "--dump-dom", f"http://rebound.example:{one.internal[1]}/dev/v1/journal"], capture_output=True, text=True,
                          timeout=TOOL_S)
    assert "forbidden" in done.stdout and "rebound.example" in done.stdout, done
