"""A real browser, which sees of a WebSocket only what its own code lets through: Chromium, run headless on a page of ours."""
import http.server
import json
import shutil
import subprocess
import threading

import pytest
from support import jwt, ws
from support.wait import DEADLINE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
PAGE = """<!doctype html><title>test</title><body><script>
const cases = %s;
async function attempt([url, protocols]) {
  return new Promise(done => {
    const seen = {frames: []};
    const socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
    socket.onopen = () => {
      seen.protocol = socket.protocol;
      if (new URL(url).pathname === "/") socket.send('{"type": "echo"}');
    };
    socket.onmessage = event => {
      const frame = JSON.parse(event.data);
      seen.frames.push(frame.type);
      if (frame.type === "session_init" || frame.type === "echo") socket.close(1000);
    };
    socket.onclose = event => { done({...seen, code: event.code, reason: event.reason, clean: event.wasClean}); };
  });
}
(async () => {
  const results = [];
  for (const one of cases) results.push(await attempt(one));
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
})();
</script>"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.page.encode() if self.path == "/" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.server.results = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.told.set()

    def log_message(self, *_):
        pass


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_chromium_sees_what_it_is_refused_for(launch, tmp_path):
    """For any subprotocols that it offers. A browser that gets none of them shows code 1006 and no frame."""
    node = launch({"endpoints": [{"path": "/ws"}, {"path": "/app", "subprotocols": ["app-v1"]},
                                 {"path": "/", "subprotocols": ["app-v1"], "token_query": ["Authorization"], "frames": [], "text": "echo"}]})
    url = "ws://%s:%d/ws" % node.public
    app, root = url[:-3] + "/app", url[:-3] + "/"
    good, expired = jwt.mint(), jwt.mint(expires_s=-3600)
    cases = [
        (url, None),
        (url, [ws.PROTOCOL]),
        (url, ["chat"]),
        (url, ["chat.v2", "mqtt"]),
        (url, [expired, "chat"]),
        (url, [ws.PROTOCOL, expired]),
        (f"{url}?token={expired}", "chat"),
        (url, [ws.PROTOCOL, good]),
        (f"{url}?token={good}", None),
        (app, ["app-v1"]),
        (app, ["app-v1", expired]),
        (app, [expired, "app-v1"]),
        (app, [ws.PROTOCOL, good]),
        (app, ["app-v1", good]),
        (app, [good, "app-v1"]),
        (root, ["app-v1", expired]),
        (root, ["app-v1", good]),
        (f"{root}?Authorization={good}", None),
    ]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.page, server.told = PAGE % json.dumps(cases), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = open(tmp_path / "chromium.log", "wb")
    browser = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0",
                                "http://127.0.0.1:%d/" % server.server_address[1]], stdout=log, stderr=log)
    try:
        assert server.told.wait(DEADLINE_S), (tmp_path / "chromium.log").read_text(errors="replace")[-3000:]
    finally:
        browser.terminate()
        browser.wait(DEADLINE_S)
        log.close()
        server.shutdown()
        server.server_close()
    refused = {"frames": ["error"], "code": 1008, "clean": True}
    missing, ended = {**refused, "reason": "token_missing"}, {**refused, "reason": "token_expired"}
    taken = {"frames": ["session_init"], "code": 1000, "reason": "", "clean": True}
    assert server.results == [
        {**missing, "protocol": ""},
        {**missing, "protocol": ws.PROTOCOL},
        {**missing, "protocol": "chat"},
        {**missing, "protocol": "chat.v2"},
        {**missing, "protocol": "chat"},
        {**ended, "protocol": ws.PROTOCOL},
        {**ended, "protocol": "chat"},
        {**taken, "protocol": ws.PROTOCOL},
        {**taken, "protocol": ""},
        {**missing, "protocol": "app-v1"},
        {**ended, "protocol": "app-v1"},
        {**ended, "protocol": "app-v1"},
        {**missing, "protocol": ws.PROTOCOL},
        {**taken, "protocol": "app-v1"},
        {**taken, "protocol": "app-v1"},
        {**ended, "protocol": "app-v1", "frames": []},
        {**taken, "protocol": "app-v1", "frames": ["echo"]},
        {**taken, "protocol": "", "frames": ["echo"]},
    ]
