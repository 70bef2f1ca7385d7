"""The inspector of `carillon serve` (console.enabled): who may open it, and that it shows no event and changes nothing."""
import json

import pytest
from support import http, jwt
from support.browser import Page
from support.carillon import API_KEY
from support.wait import until
from test_browser import CHROMIUM, FLAGS
from test_console import AXE, HOSTILE, violations

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RULES = [{"match": "*", "allow": ["subscribe", "publish", "presence", "history"], "presence": True, "history": {"size": 10, "ttl": "1h"}}]


@pytest.fixture
def node(launch):
    return launch({"console.enabled": True, "channels": RULES})


def log_in(node, key=API_KEY, headers=()):
    return http.request(node.internal, "POST", "/console/login", f"key={key}".encode(), {**FORM, **dict(headers)})


def cookie_of(answer):
    assert answer.status == 303 and answer.headers["location"] == "/", answer
    return {"Cookie": "other=1; " + answer.headers["set-cookie"].partition(";")[0]}


def read(node, path, cookie, method="GET"):
    return http.request(node.internal, method, f"/console/api/v1{path}", None, cookie)


def test_a_key_opens_it_by_a_cookie(node):
    answer = log_in(node)
    attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"} <= set(attributes) and "Secure" not in attributes
    assert "Secure" in log_in(node, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"].split("; ")
    cookie = cookie_of(answer)
    assert "API key" in http.request(node.internal, "GET", "/").body.decode()
    page = http.request(node.internal, "GET", "/", None, cookie)
    assert "Nodes" in page.body.decode() and "default-src 'none'" in page.headers["content-security-policy"]
    assert read(node, "/info", cookie).json["nodes"]
    for wrong in ({}, {"Cookie": "carillon_console="}, {"Cookie": "carillon_console=" + 64 * "0"}, {"X-API-Key": API_KEY}):
        assert read(node, "/info", wrong).status == 401, wrong
    assert http.request(node.internal, "GET", "/api/v1/info", None, cookie).status == 401  # the cookie opens no API


def test_a_logout_ends_one_login(node):
    first, second = cookie_of(log_in(node)), cookie_of(log_in(node))
    answer = http.request(node.internal, "POST", "/console/logout", b"", first)
    assert answer.status == 303 and answer.headers["location"] == "/"
    assert answer.headers["set-cookie"].startswith(f"carillon_console_{node.internal[1]}=; ") and "Max-Age=0" in answer.headers["set-cookie"]
    assert read(node, "/info", first).status == 401 and read(node, "/info", second).status == 200
    stranger = http.request(node.internal, "POST", "/console/logout", b"", {})
    assert stranger.status == 303 and "set-cookie" not in stranger.headers  # nobody has logged in
    assert http.request(node.internal, "GET", "/console/logout", None, second).status == 405


ELSEWHERE = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:9"},
             {"Origin": "http://127.0.0.1:9"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_a_page_of_another_origin_neither_logs_in_nor_out(node, headers):
    cookie = cookie_of(log_in(node))
    for _ in range(12):  # it uses up no attempts
        assert log_in(node, "wrong-key-of-16-bytes", headers).status == 403
    assert http.request(node.internal, "POST", "/console/logout", b"", {**cookie, **headers}).status == 403
    assert read(node, "/info", cookie).status == 200
    own = {"Origin": "http://%s:%d" % node.internal}
    assert log_in(node, headers={**own, "Sec-Fetch-Site": "same-origin"}).status == 303
    assert http.request(node.internal, "POST", "/console/logout", b"", {**cookie, **own}).status == 303
    assert read(node, "/info", cookie).status == 401


def test_the_cookie_is_of_one_port(node):
    for host, forwarded, name in (("127.0.0.1:8081", "http", "carillon_console_8081"), ("console.example", "http", "carillon_console"),
                                  ("[::1]:18", "http", "carillon_console_18"), ("console.example", "https", "__Host-carillon_console"),
                                  ("console.example:123456", "http", "carillon_console")):
        given = {"Host": host, "X-Forwarded-Proto": forwarded}
        cookie = cookie_of(log_in(node, headers=given))
        assert cookie["Cookie"].startswith(f"other=1; {name}="), cookie
        assert read(node, "/info", {**cookie, **given}).status == 200
        assert read(node, "/info", {**cookie, **given, "Host": "127.0.0.1:9"}).status == 401


def test_it_reads_who_is_there_and_no_event(node):
    cookie = cookie_of(log_in(node))
    with node.client(jwt.mint("ada")).start() as client:
        client.subscribe("room:1")
        assert [one["user"] for one in read(node, "/sessions?limit=1", cookie).json["sessions"]] == ["ada"]
        detail = read(node, f"/sessions/{client.init['session_id']}?limit=1", cookie).json
        assert detail["user"] == "ada" and detail["next"] is None
        assert [{"channel": one["channel"], "offset": one["offset"]} for one in detail["channels"]] == [{"channel": "room:1", "offset": 0}]
        assert read(node, "/sessions/0198c0de-0000-7000-8000-000000000000", cookie).status == 404
        assert read(node, "/channels", cookie).json["channels"] == [{"channel": "room:1", "subscribers": 1}]
        assert read(node, "/channels/room%3A1", cookie).json["subscribers"] == 1
        until(lambda: [one["user"] for one in read(node, "/channels/room%3A1/presence", cookie).json["members"]] == ["ada"], "ada is present")
        for path in (f"/sessions/{client.init['session_id']}/", "/sessions/", "/channels/room%3A1/history", "/channels/room%3A1/presence/", "/publish", "/../../metrics", "/sessions/x/send"):
            assert read(node, path, cookie).status == 404, path
        for path in ("/publish", "/disconnect", "/revoke", "/sessions"):
            assert read(node, path, cookie, "POST").status == 405, path
        client.nothing_before_pong()


def test_wrong_keys_are_refused_and_counted(node):
    assert all(log_in(node).status == 303 for _ in range(12))  # right ones do not count
    statuses = [log_in(node, "not-the-key-at-all").status for _ in range(12)]
    assert statuses[:10] == 10 * [401] and statuses[10:] == [429, 429]
    assert int(log_in(node).headers["retry-after"]) > 0


def test_what_is_no_form(node):
    for body in (b"", b"other=1", b"key=%zz", b"key=" + 5000 * b"a"):
        assert http.request(node.internal, "POST", "/console/login", body, FORM).status in (400, 413), body[:20]
    assert http.request(node.internal, "GET", "/console/login").status == 405
    assert http.request(node.internal, "POST", "/", b"x").status == 405
    assert http.request(node.internal, "GET", f"/console/login?key={API_KEY}").status == 405


def test_other_keys_end_the_logins(launch):
    node = launch({"console.enabled": True})
    cookie = cookie_of(log_in(node))
    assert read(node, "/info", cookie).status == 200
    node.reload({"console.enabled": True, "api.keys": [API_KEY, "another-key-of-16-bytes"]})
    until(lambda: read(node, "/info", cookie).status == 401, "the login has ended")


@pytest.mark.parametrize("config", [{}, {"console": {}}], ids=["not given", "as in the sample"])
def test_it_is_off(launch, config):
    node = launch(config)
    for path in ("/", "/console.css", "/console/login", "/console/api/v1/info"):
        assert http.request(node.internal, "GET", path).status == 404
    assert log_in(node).status == 404


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_in_chromium(node, tmp_path):
    url = "http://127.0.0.1:%d/" % node.internal[1]
    clients = [node.client(jwt.mint(name)).start() for name in (HOSTILE[0], "ada")]
    for client in clients:
        client.subscribe(HOSTILE[-1])
    with Page(tmp_path, CHROMIUM, FLAGS) as page:
        page.order("Page.setBypassCSP", enabled=False)
        page.open(url)
        page.eval("document.querySelector('input').value = 'a key that is wrong'")
        page.click("button")
        page.until("document.querySelector('.problem')?.textContent.startsWith('The key is not one')")
        page.eval(f"document.querySelector('input').value = {json.dumps(API_KEY)}")
        page.click("button")
        page.until("document.querySelector('#sessions-page li')")
        assert HOSTILE[0] in page.text("#sessions-page") and API_KEY not in page.eval("location.href")
        for end in ("Enter", None):  # by the keyboard, and again by the mouse
            page.eval("document.querySelector('#sessions-page button').focus()")
            page.key(end) if end else page.click("#sessions-page button")
            page.until("document.querySelector('#sessions-page .position')")
        position = page.text("#sessions-page .position")
        assert HOSTILE[-1] in position and "at 0 of epoch" in position
        assert page.text("#sessions-page li div .hint") == "1 of 1 channel, by name"
        page.until("document.querySelector('#channels-page li')")
        page.click("#channels-page button")
        page.until("document.querySelector('#channels-page dl')")
        assert "ada" in page.text("#channels-page dl") and page.eval("document.querySelectorAll('img').length") == 1
        assert page.eval("document.cookie") == ""
        assert page.eval("document.querySelector('form[action]').checkVisibility()")
        assert page.complaints() == []
        if AXE.exists():
            for width, dark in ((400, False), (1400, False), (400, True), (1400, True)):
                page.look(width, 800, dark)
                assert violations(page) == [], (width, dark)
                assert page.eval("document.documentElement.scrollWidth <= innerWidth")
        page.click("form[action] button")
        page.until("document.querySelector('input[name=key]')")


def subscribe_to_many(client, names):
    for first in range(0, len(names), 1000):
        part = names[first:first + 1000]
        for name in part:
            client.send("subscribe", channel=name)
        for _ in part:
            client.expect("subscribed")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_many_channels_of_a_session_in_chromium(launch, tmp_path):
    """Pages of 100 of them. A session that has ended is told of."""
    node = launch({"console.enabled": True, "channels": RULES, "limits.channels": 1000, "limits.message_rate": 0})
    cookie = cookie_of(log_in(node))["Cookie"].partition("; ")[2]
    client = node.client(jwt.mint("ada")).start()
    subscribe_to_many(client, [f"c:{n:03}" for n in range(250)])
    with Page(tmp_path, CHROMIUM, FLAGS) as page:
        name, _, value = cookie.partition("=")
        page.order("Network.setCookie", name=name, value=value, domain="127.0.0.1", path="/", httpOnly=True, sameSite="Strict")
        page.open("http://127.0.0.1:%d/" % node.internal[1])
        page.until("document.querySelector('#sessions-page button')")
        page.click("#sessions-page button")
        for shown in range(0, 250, 100):
            page.until(f"document.querySelector('#sessions-page .position')?.textContent.startsWith('c:{shown:03} ')")
            assert page.eval("document.querySelectorAll('.position').length") == min(100, 250 - shown)
            last = shown + 100 > 250
            more = "[...document.querySelectorAll('#sessions-page button')].find(one => one.textContent === 'Next channels')"
            assert page.eval(f"{more}.hidden") is last
            if not last:
                page.eval(f"{more}.focus()")
                page.key("Enter")
        assert page.eval("document.activeElement.textContent") == "Channels"  # the focus is not lost with the button
        client.drop()
        until(lambda: not node.api("GET", "/api/v1/sessions").json["sessions"], "the session has gone")
        page.click("#sessions-page button")
        page.until("document.querySelector('#notice').textContent")
        assert "no open session" in page.text("#notice")
        assert len(page.complaints()) <= 1  # the 404 itself
