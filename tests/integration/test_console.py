"""The console of `carillon dev` in Chromium: what it shows, what it orders, who can use it, and how much it can carry."""
import json
import resource
from contextlib import closing

import pytest
from support import http, ws
from support.browser import Page
from support.carillon import ROOT
from support.dev import DevServer
from support.wait import DEADLINE_S, SLOWDOWN, until
from test_browser import CHROMIUM, FLAGS
from test_dev_start import payload

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
AXE = ROOT / "client/js/node_modules/axe-core/axe.min.js"
HOSTILE = ["<img src=x onerror=alert(1)>", "\"><script>alert(1)</script>", "';alert(1)//", "{{constructor}}", "javascript:alert(1)", "\u202etxt.exe",
           "<svg/onload=alert(1)>"]


@pytest.fixture
def dev(tmp_path):
    server = DevServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def page(tmp_path, dev):
    with Page(tmp_path, CHROMIUM, FLAGS) as one:
        yield one


def show(page, dev):
    """The console when it is live, with nothing to complain about."""
    page.open(url(dev))
    page.until("document.querySelector('#link').textContent === 'live'")
    return page


def url(dev):
    return "http://127.0.0.1:%d/" % dev.internal[1]


def three(dev):
    dev.clients = [dev.connect(name) for name in ("ada", "bob", "cora")]  # one that is forgotten would be closed
    for client in dev.clients:
        client.subscribe("room:1")
    return dev.clients


def texts(page, selector):
    return page.eval(f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent)")


def session_row(page, user):
    page.until(f"[...document.querySelectorAll('#session-list .item')].some(one => one.firstChild.textContent === {json.dumps(user)})")
    page.eval(f"[...document.querySelectorAll('#session-list .item')].find(one => one.firstChild.textContent === {json.dumps(user)}).click()")
    page.until(f"!document.querySelector('#session').hidden && document.querySelector('#session-facts').textContent.includes({json.dumps(user)})")


# --- the files ---


def test_its_files_have_a_policy(dev):
    for path, kind in (("/", "text/html"), ("/console.css", "text/css"), ("/console.js", "text/javascript"), ("/console.svg", "image/svg+xml")):
        answer = http.request(dev.internal, "GET", path)
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind), answer
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "same-origin"
    assert http.request(dev.internal, "POST", "/", {}).status == 405
    assert http.request(dev.internal, "GET", "/console.map").status == 404


def test_a_page_of_elsewhere_does_not_get_them(dev):
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}):
        for path in ("/", "/console.js", "/dev/v1/server"):
            assert http.request(dev.internal, "GET", path, None, headers).status == 403


def test_what_a_program_is_told_can_be_asked_for(dev):
    facts = dev.order("/server", method="GET")
    assert facts["api_key"] == dev.api_key and facts["ws_url"] == "ws://%s:%d/ws" % dev.public and facts["pid"] == dev.pid


def test_serve_has_no_console(node):
    assert http.request(node.internal, "GET", "/").status == 404
    assert http.request(node.internal, "GET", "/console.js").status == 404


# --- a follower of the journal ---


def test_a_follower_goes_on_after_a_reset(dev, tmp_path):
    """The journal counts from 1 again."""
    three(dev)
    last = dev.journal()[-1]["n"]
    with ws.socket.create_connection(dev.internal) as stream:
        stream.settimeout(DEADLINE_S)
        stream.sendall(f"GET /dev/v1/journal?after={last} HTTP/1.1\r\nHost: 127.0.0.1:{dev.internal[1]}\r\nAccept: text/event-stream\r\n\r\n".encode())
        seen = b""
        while b"\n\n" not in seen.partition(b"\r\n\r\n")[2]:
            seen += stream.recv(4096)
        dev.order("/reset")
        while b'"kind":"reset"' not in seen:
            seen += stream.recv(4096)


# --- what it shows and orders ---


HOLD_ANSWER = """
window.answered = new Promise(done => {
  const real = window.fetch;
  window.fetch = (path, init) => {
    if (path !== "/dev/v1/sessions/%s") return real(path, init);
    return new Promise(resolve => { window.release = async () => { resolve(await real("/dev/v1/sessions/none", init)); setTimeout(done, 50); }; });
  };
});
true"""


@needs_chromium
def test_a_late_answer_does_not_close_another_session(page, dev):
    """The answer says that the first session has gone. The second one has been chosen meanwhile."""
    ada = three(dev)[0]
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '3'")
    page.eval(HOLD_ANSWER % ada.init["session_id"])
    page.eval("[...document.querySelectorAll('#session-list .item')].find(one => one.firstChild.textContent === 'ada').click()")
    page.until("window.release")
    session_row(page, "bob")
    page.eval("release().then(() => answered)")
    assert not page.eval("document.querySelector('#session').hidden") and "bob" in page.text("#session-facts")
    assert page.eval("document.querySelector('#session-list [aria-selected=true]').firstChild.textContent") == "bob"


@needs_chromium
def test_nobody_is_there(page, dev):
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '0'")
    assert "Nothing has happened yet" in page.text("#lines-none") and page.text("#session-none") == "No client is connected."
    assert page.complaints() == []


@needs_chromium
def test_it_shows_what_happens_and_orders(page, dev):
    ada, bob, cora = three(dev)
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '3'")
    bob.send("publish", id="p", channel="room:1", type="chat_message", data={"conversation_id": "1", "sender_id": "bob", "content": "It rings"})
    page.until("[...document.querySelectorAll('.lines .item')].some(row => row.textContent.includes('It rings'))")
    # sessions
    for user, button, seen in (("ada", "Close", 1000), ("bob", "Expire", 1008), ("cora", "Reset", None)):
        client = {"ada": ada, "bob": bob, "cora": cora}[user]
        session_row(page, user)
        page.eval(f"[...document.querySelectorAll('#session-actions button')].find(one => one.textContent === '{button}').click()")
        assert seen is None or client.expect_close().code not in (None, 1006), user
    page.until("document.querySelector('#session-count').textContent === '0'")
    # the broker and the clock
    page.click("#broker [data-state=down]")
    page.until("document.querySelector('#broker [data-state=down]').getAttribute('aria-pressed') === 'true'")
    assert dev.order("/broker", method="GET") == {"state": "down"}
    page.click("#broker [data-state=up]")
    page.click("#freeze")
    until(lambda: dev.order("/clock", method="GET")["frozen"], "the clock stands still")
    before = dev.order("/clock", method="GET")["now"]
    page.click("[data-advance='5m']")
    until(lambda: dev.order("/clock", method="GET")["now"] != before, "the clock has been moved")
    page.click("#freeze")
    until(lambda: not dev.order("/clock", method="GET")["frozen"], "the clock runs")
    assert page.complaints() == []


@needs_chromium
def test_channels_events_and_rules(page, dev):
    ada = three(dev)[0]
    show(page, dev)
    page.click("#tab-channels")
    page.until("document.querySelector('#channel-list .item')")
    page.click("#channel-list .item")
    assert page.eval("document.querySelector('#channel-form').elements.channel.value") == "room:1"
    page.fill("#publish [name=message]", "Hello <b>there</b>")
    page.click("#publish button.main")
    assert ada.find("notification")["data"] == {"message": "Hello <b>there</b>"}
    page.until("document.querySelector('#history li')")
    page.fill("#publish [name=type]", "")
    page.fill("#publish [name=custom-data]", '[1, {"two": 3}]')
    page.click("#publish button.main")
    assert ada.find("order.changed")["data"] == [1, {"two": 3}]
    # a line becomes a rule
    page.until("[...document.querySelectorAll('.lines .item')].some(row => row.textContent.includes('delivered') && row.textContent.includes('ada'))")
    page.eval("[...document.querySelectorAll('.lines .item')].find(row => row.textContent.includes('delivered') && row.textContent.includes('ada')).click()")
    page.click("#line-rule")
    page.fill("#rule-form [name=action]", "drop")
    page.click("#rule-form button.main")
    page.until("document.querySelector('#rule-list li')")
    rule = dev.order("/rules", method="GET")["rules"][0]
    assert rule["match"]["user"] == "ada" and rule["match"]["channel"] == "room:1" and rule["action"] == {"do": "drop"}
    page.fill("#rule-form [name=rule]", '{"match":{},"action":{"do":"nothing"}}')
    page.click("#rule-form button.main")
    page.until("document.querySelector('#notice').textContent.includes('action')")
    page.fill("#rule-form [name=rule]", '{"match":')
    page.click("#rule-form button.main")
    page.until("document.querySelector('#notice').textContent.startsWith('The rule is not JSON: ')")
    page.click("#rule-list button")
    until(lambda: dev.order("/rules", method="GET")["rules"] == [], "the rule is removed")
    assert page.complaints() == []


@needs_chromium
def test_tokens(page, dev):
    show(page, dev)
    page.fill("#token-form [name=sub]", "o'hara")
    page.fill("#token-form [name=channels]", "room:*, news")
    page.click("#token-form button.main")
    page.until("document.querySelector('#token-copies li')")
    token = page.text("#token-copies li:last-child code")
    claims = payload(token)
    assert claims["sub"] == "o'hara" and claims["channels"] == ["room:*", "news"] and claims["exp"] - claims["iat"] == 3600
    with dev.client(token).start() as client:
        client.subscribe("news")
    page.until("[...document.querySelectorAll('#session-list .item, .lines .item')].some(row => row.textContent.includes(\"o'hara\"))")


@needs_chromium
def test_each_endpoint_gets_what_it_takes(page, tmp_path):
    """By a token in the query, by a subprotocol, or by a ticket. Each text opens a session."""
    with closing(DevServer(tmp_path, "--preset", "all", name="presets")) as dev:
        page.order("Page.setBypassCSP", enabled=True)  # the console connects to the internal listener alone
        show(page, dev)
        endpoints = dev.order("/server", method="GET")["endpoints"]
        for index, endpoint in enumerate(endpoints):
            page.fill("#endpoint-row select", str(index))
            page.eval("document.querySelector('#token-copies').replaceChildren()")
            page.click("#token-form button.main")
            page.until("document.querySelector('#token-copies li')")
            made = dict(zip(texts(page, "#token-copies li span"), texts(page, "#token-copies li code")))
            opened = f"""new Promise(done => {{
                const socket = {made.get("browser") or f"new WebSocket({json.dumps(made['URL'])})"};
                socket.onopen = () => {{ done(true); socket.close(); }};
                socket.onerror = () => done(false);
            }})"""
            assert page.eval(opened), (endpoint, made)
        assert {"query", "subprotocol", "ticket_query"} <= {name for endpoint in endpoints for name in endpoint}
        assert page.complaints() == []


def play(dev):
    """The same in each run, but for ids, epochs, times and tokens."""
    client = dev.connect("ada")
    client.subscribe("room:1")
    client.send("publish", id="1", channel="room:1", type="custom", data={"at": 1, "reason": "rain"})
    client.find("custom")
    client.send("history", id="2", channel="room:1")
    client.find("history", id="2")
    client.send("refresh", id="3", token=dev.token("ada"))
    client.find("refreshed", id="3")
    client.send_text('{"type":{"toString":1},"data":{"x":1}}')
    client.find("error")
    dev.order("/do", {"on": {"user": "ada"}, "action": {"do": "gap", "channel": "room:1", "reason": "connection_lost"}})
    client.find("gap")
    client.drop()
    dev.find(kind="closed")


@needs_chromium
def test_a_line_as_a_test_fits_another_run(page, tmp_path):
    with closing(DevServer(tmp_path, name="first")) as first, closing(DevServer(tmp_path, name="second")) as second:
        show(page, first)
        play(first)
        play(second)
        page.until("[...document.querySelectorAll('.lines .item')].some(row => row.textContent.includes('closed'))")
        page.eval("navigator.clipboard.writeText = async text => { window.copied = text; }")
        lines = []
        for index in range(page.eval("document.querySelectorAll('.lines .item').length")):
            page.eval(f"window.copied = ''; document.querySelectorAll('.lines .item')[{index}].click(); document.querySelector('#line-test').click()")
            page.until("window.copied")
            lines += json.loads(page.eval("window.copied").removeprefix("await s.verify(").removesuffix(");"))
        assert {"connected", "subscribed", "received", "published", "delivered", "answered", "closed"} <= {line["kind"] for line in lines}
        for line in lines:
            assert second.call("POST", "/verify", {"expect": [line]}).status == 200, line
        assert any(line.get("frame", {}).get("data") == {"reason": "connection_lost"} for line in lines)
        assert page.complaints() == []


@needs_chromium
def test_filters_pause_and_a_new_start(page, dev):
    ada = three(dev)[0]
    show(page, dev)
    page.fill("#filter [name=user]", "bob")
    page.until("document.querySelectorAll('.lines .item').length")
    assert all("bob" in row for row in texts(page, ".lines .item"))
    page.fill("#filter [name=user]", "")
    page.fill("#filter [name=channel]", "room:*")
    page.fill("#filter [name=kind]", "subscribed")
    page.until("document.querySelectorAll('.lines .item').length === 3")
    page.fill("#filter [name=kind]", "")
    page.fill("#filter [name=channel]", "")
    page.click("#pause")
    count = page.eval("document.querySelectorAll('.lines .item').length")
    ada.send("ping", id="1")
    ada.find("pong", id="1")
    dev.find(kind="answered", user="ada")
    assert page.eval("document.querySelectorAll('.lines .item').length") == count
    page.click("#pause")
    page.until("[...document.querySelectorAll('.lines .item')].some(row => row.textContent.includes('pong'))")
    page.click("#reset")
    page.until("document.querySelectorAll('.lines .item').length < 8 && document.querySelector('#session-count').textContent === '0'")


# --- hostile texts ---


@needs_chromium
def test_hostile_texts_stay_texts(page, dev):
    """Names, claims, channels and payloads."""
    show(page, dev)
    elements = page.eval("document.querySelectorAll('img, script, svg, iframe').length")
    clients = []
    for text in HOSTILE:
        channel = text.replace(" ", "_")
        client = dev.connect(text, {"claims": {"info": text}})
        client.subscribe(channel)
        client.send("publish", id=text[:60], channel=channel, type="custom", data={text: text})
        client.find("custom")
        client.send_text(text)
        client.send_text(json.dumps({"type": {"toString": text}, "data": {"message": [text]}}))  # no text where one is due
        clients.append(client)
    try:
        dev.client("x", path="/<script>alert(1)</script>")
    except ws.Refused:
        pass
    dev.order("/rules", {"match": {"user": HOSTILE[0]}, "action": {"do": "inject", "frame": HOSTILE[1]}, "comment": HOSTILE[0]})
    page.until("document.querySelector('#session-count').textContent >= '3'")
    session_row(page, HOSTILE[0])
    page.click("#tab-rules")
    page.until("document.querySelector('#rule-list li')")
    assert HOSTILE[0] in page.text("#rule-list")
    page.click("#tab-channels")
    page.until("document.querySelector('#channel-list .item')")
    page.click("#channel-list .item")
    page.until("document.querySelector('#history li')")
    for index in range(page.eval("document.querySelectorAll('.lines .item').length")):
        page.eval(f"document.querySelectorAll('.lines .item')[{index}]?.click()")
    assert any(HOSTILE[0] in row for row in texts(page, "#session-list .item"))
    clients[1].send("ping", id="the last one")
    clients[1].find("pong", id="the last one")
    last = dev.journal()[-1]["n"]
    page.until(f"parseInt(document.querySelector('#journal-count').textContent) >= {last}")
    assert page.eval("document.querySelectorAll('img, script, svg, iframe').length") == elements
    assert page.complaints() == []


# --- the keyboard, and everybody ---


@needs_chromium
def test_the_keyboard_is_enough(page, dev):
    ada = three(dev)[0]
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '3'")
    page.eval("document.querySelectorAll('#session-list .item')[0].firstChild.textContent === 'ada'")
    page.key("j")
    assert page.focused() == "lines"
    page.key("Home")
    assert page.text("#line-title").startswith("1 ")
    page.key("ArrowDown")
    assert page.text("#line-title").startswith("2 ")
    assert page.eval("document.getElementById(document.querySelector('#lines').getAttribute('aria-activedescendant')).getAttribute('aria-selected')") == "true"
    page.key("Escape")
    assert page.eval("document.querySelector('#line').hidden")
    page.key("s")
    assert page.focused() == "session-list"
    page.key("ArrowDown")
    page.until("!document.querySelector('#session').hidden")
    user = page.text("#session-facts dd:nth-of-type(2)")
    page.key("Tab")  # the details
    page.key("Tab")  # Close
    assert page.focused() == "Close"
    page.key("Enter")
    if user == "ada":
        ada.expect_close()
    page.until("document.querySelector('#session-count').textContent === '2'")
    page.key("?", shift=True)
    assert page.eval("document.querySelector('#help').open")
    page.key("Escape")
    assert not page.eval("document.querySelector('#help').open")
    page.key("t")
    assert page.focused() == "sub"
    page.key("j")  # a letter in a field
    assert page.focused() == "sub" and page.eval("document.activeElement.value") == "jada"
    page.key("Tab")
    assert page.focused() == "channels"


@needs_chromium
def test_the_focus_can_be_seen_and_goes_everywhere(page, dev):
    three(dev)
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '3'")
    seen = []
    for _ in range(60):
        page.key("Tab")
        seen.append(page.focused())
        outline = page.eval("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or seen[-1].startswith("Skip") or page.eval("document.activeElement === document.body"), seen[-1]
    for name in ("lines", "pause", "sub", "channels", "reset", "freeze", "tab-sessions", "session-list", "help-open"):
        assert name in seen, (name, seen)


def violations(page):
    page.order("Page.setBypassCSP", enabled=True)
    page.eval(AXE.read_text() + "; 0")
    found = page.eval("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
                      ".then(result => result.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 120))]))")
    return found


@needs_chromium
@pytest.mark.skipif(not AXE.exists(), reason="no client/js/node_modules, which ./run test makes")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_axe_finds_nothing(page, dev, width, dark):
    three(dev)[0].send("publish", id="p", channel="room:1", type="custom", data={"a": 1})
    dev.order("/rules", {"match": {"user": "ada"}, "action": {"do": "drop"}, "times": 1})
    dev.journal()
    page.order("Page.setBypassCSP", enabled=True)
    page.look(width, 800, dark)
    show(page, dev)
    page.until("document.querySelectorAll('.lines .item').length > 5")
    page.click(".lines .item:nth-child(2)")
    page.click("#token-form button.main")
    page.until("document.querySelector('#token-copies li')")
    for view in ("connect", "journal", "control"):
        page.click(f".views [data-view={view}]")
        for tab in ("sessions", "channels", "rules") if view == "control" else (None,):
            if tab:
                page.click(f"#tab-{tab}")
            if tab == "sessions":
                session_row(page, "ada")
            if tab == "channels":
                page.until("document.querySelector('#channel-list .item')")
                page.click("#channel-list .item")
            assert violations(page) == [], (view, tab)
            assert page.eval("document.documentElement.scrollWidth <= innerWidth"), (view, tab)
    page.click("#help-open")
    assert violations(page) == []


# --- many ---


@pytest.mark.long
@pytest.mark.alone
@needs_chromium
def test_it_stays_smooth_with_5000_sessions_and_10000_lines(page, dev):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20000), most))
    token = dev.token("crowd", channels=["*"])
    clients = [dev.client(token) for _ in range(5000)]
    for client in clients[:2500]:
        client.send("subscribe", id="s", channel="room:1")
    dev.publish("room:1")
    until(lambda: len(dev.journal("?kinds=delivered")) >= 2500, "the event is delivered")
    page.eval("1")
    show(page, dev)
    page.until("document.querySelector('#session-count').textContent === '5000'")
    page.until("document.querySelector('#session-list .item')?.getAttribute('aria-setsize') === '5000'")
    page.until("parseInt(document.querySelector('#journal-count').textContent) >= 10000")
    paint = page.eval("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    result = page.eval("""(async () => {
      const long = [];
      new PerformanceObserver(list => long.push(...list.getEntries().map(one => one.duration))).observe({type: 'longtask'});
      const frames = [], own = [];
      for (const id of ['lines', 'session-list']) {
        const box = document.getElementById(id);
        box.scrollTop = 0;
        let last = await new Promise(requestAnimationFrame);
        for (let at = 0; at < 60; at++) {
          const began = performance.now();
          box.scrollTop += box.scrollHeight / 60;
          box.dispatchEvent(new Event('scroll'));
          own.push(performance.now() - began);
          const now = await new Promise(requestAnimationFrame);
          frames.push(now - last);
          last = now;
        }
      }
      frames.sort((a, b) => a - b);
      own.sort((a, b) => a - b);
      return {long, own: own[60], median: frames[60], worst: frames.at(-1), rows: document.querySelectorAll('.item').length};
    })()""")
    print(f"first paint {paint:.0f} ms, frames {result['median']:.1f} ms (worst {result['worst']:.1f}), of which {result['own']:.1f} ms are the page's, long tasks {result['long']}, rows {result['rows']}")
    assert result["rows"] < 150
    assert result["own"] < 16 * SLOWDOWN and result["median"] < 200 * SLOWDOWN, result
    # it goes on while 2,500 are served
    dev.publish("room:1", "once more")
    page.until("[...document.querySelectorAll('.lines .item')].some(row => row.textContent.includes('once more'))")
    session_row(page, "crowd")
    for client in clients:
        client.socket.close()
    page.until("document.querySelector('#session-count').textContent === '0'")
    assert page.complaints() == []
