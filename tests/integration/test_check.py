"""`carillon check --token-file F --channel C` and `--endpoint P`: which entry of the configuration decides, and why. The answers are those
of the server."""
import json

import pytest
from support import jwt
from support.carillon import run
from support.ws import Refused

SECRET = "0123456789abcdef0123456789abcdef"
RULES = [{"match": "user:{sub}", "allow": ["subscribe", "history"]},
         {"match": "room:*", "allow": ["subscribe", "publish"], "require": "grant"},
         {"match": "admin:*", "allow": ["subscribe"], "require_scope": "admin"}]


def config(tmp_path, **settings):
    """One entry a line, so that lines can be told apart."""
    path = tmp_path / "carillon.jsonc"
    path.write_text(json.dumps({"token": {"secret": SECRET}, "channels": RULES, **settings}, indent=1))
    return path


def line_of(path, text, nth=0):
    return [number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line][nth]


def ask(path, token, *arguments):
    token_path = path.parent / "token"
    token_path.write_text(token + "\n")
    answer = run("check", "--config", path, "--token-file", token_path, *arguments)
    assert token not in answer.stdout + answer.stderr
    return answer


def token(**claims):
    return jwt.mint("ada", SECRET, **{"channels": [], **claims})


@pytest.mark.parametrize("channel, claims, decides, says, code", [
    ("user:ada", {}, 0, ["subscribe: allowed", "history: allowed", "publish: refused: the server's rule for this channel does not allow publish"], 0),
    ("room:1", {}, 1, ["subscribe: refused: the rule for this channel needs a grant"], 1),
    ("room:1", {"channels": ["room:1"]}, 1, ["subscribe: allowed", "publish: allowed"], 0),
    ("admin:x", {}, 2, ['needs the scope "admin"'], 1),
    ("admin:x", {"scope": "a admin"}, 2, ["subscribe: allowed"], 0),
])
def test_the_rule_that_decides_is_named(tmp_path, channel, claims, decides, says, code):
    path = config(tmp_path)
    answer = ask(path, token(**claims), "--channel", channel)
    line = line_of(path, '"match": ' + json.dumps(RULES[decides]["match"])) - 1
    assert f"{path}:{line}: channels[{decides}] decides" in answer.stdout, answer.stdout
    for words in says:
        assert words in answer.stdout
    assert answer.returncode == code


def test_a_channel_of_another_user(tmp_path):
    answer = ask(config(tmp_path), token(), "--channel", "user:bob")
    assert answer.returncode == 1
    assert "no rule matches with this token; with other claims this one would: " in answer.stdout and "channels[0]" in answer.stdout
    assert 'this is another user\'s channel; this token is for "ada"' in answer.stdout


def test_a_channel_that_no_rule_knows(tmp_path):
    answer = ask(config(tmp_path), token(), "--channel", "nope")
    assert answer.returncode == 1 and "no rule matches with this token\n" in answer.stdout
    answer = ask(config(tmp_path), token(), "--channel", "a b")
    assert answer.returncode == 1 and "byte 1 of the channel name is a space" in answer.stdout


def test_a_token_that_is_refused(tmp_path):
    path = config(tmp_path)
    answer = ask(path, token(exp=1), "--channel", "user:ada")
    assert answer.returncode == 1 and answer.stdout.startswith("token: refused: token_expired: "), answer.stdout
    answer = ask(path, jwt.mint("ada", SECRET + "!"), "--channel", "user:ada")
    assert answer.returncode == 1 and answer.stdout.startswith("token: refused: token_invalid: "), answer.stdout


def test_a_token_by_standard_input_and_by_flag(tmp_path):
    path, good = config(tmp_path), token()
    answer = run("check", "--config", path, "--token-file", "-", "--channel", "user:ada", given=good)
    assert answer.returncode == 0 and "subscribe: allowed" in answer.stdout, answer
    answer = run("check", "--config", path, "--token", good, "--channel", "user:ada")
    assert answer.returncode == 0 and good not in answer.stdout
    answer = run("check", "--config", path, "--channel", "user:ada")
    assert answer.returncode == 1 and "a token is needed" in answer.stderr


ENDPOINTS = [{"path": "/ws", "origins": ["https://a.example"]},
             {"path": "/chat/{id}", "require_scopes": ["chat", "read"], "require_claims": ["org"], "subscribe": ["chat:{org}:{id}", "user:{sub}"]},
             {"path": "/q", "token_header": False, "token_subprotocol": False, "token_query": ["t"], "reject": "close"},
             {"path": "/t/{x}", "preset": "ticket-sockets", "require_claims": ["org"]},
             {"path": "/ai", "upstream": "ai", "text": "upstream", "token_header": False}]
CHANNELS = [{"match": "user:{sub}", "allow": ["subscribe"]}, {"match": "chat:{org}:*", "allow": ["subscribe"]}]


@pytest.mark.parametrize("target, claims, index, says, code", [
    ("/ws", {}, 0, ["admitted", "endpoints[0].token_header"], 0),
    ("/ws?trace=7", {}, 0, ["admitted"], 0),
    ("/nope", {}, None, ['endpoint "/nope": refused: no entry of endpoints has this path'], 1),
    ("/chat/%20", {"org": "acme"}, None, ["refused: no entry"], 1),
    ("/chat/7", {}, 1, ['refused: token_invalid: the token has no claim "org"', "endpoints[1].require_claims); HTTP 401"], 1),
    ("/chat/7", {"org": "acme", "scope": "chat"}, 1, ["refused: scope_missing: ", ": read (", "endpoints[1].require_scopes); HTTP 403"], 1),
    ("/chat/7", {"org": "acme", "scope": "chat read"}, 1,
     ["admitted", 'subscribes to channel "chat:acme:7": ', "channels[1] decides", 'subscribes to channel "user:ada": ', "subscribe: allowed"], 0),
    ("/chat/7", {"org": 7.5, "scope": "chat read"}, 1, ["subscribes to chat:{org}:{id}: refused: the token has no claim org"], 1),
    ("/q", {}, 2, ["admitted", "endpoints[2].token_query"], 0),
    ("/q", {"exp": 1}, 2, ["refused: token_expired", "close code 1008"], 1),
    ("/t/9", {}, 3, ["only a ticket opens it", "endpoints[3].ticket_query", 'no claim "org"'], 1),
    ("/t/9", {"org": "acme"}, 3, ["only a ticket opens it"], 0),
    ("/ai", {}, 4, ["endpoints[4].token_subprotocol", "the upstream ai is asked too, and can refuse"], 0),
])
def test_the_endpoint_that_decides_is_named(tmp_path, target, claims, index, says, code):
    path = config(tmp_path, channels=CHANNELS, endpoints=ENDPOINTS, tickets={"path": "/tickets"},
                  upstreams={"ai": {"url": "http://127.0.0.1:1/", "connect": {}}})
    answer = ask(path, token(**claims), "--endpoint", target)
    if index is not None:
        line = line_of(path, '"path": ' + json.dumps(ENDPOINTS[index]["path"])) - 1
        assert f"{path}:{line}: endpoints[{index}] decides" in answer.stdout, answer.stdout
    for words in says:
        assert words in answer.stdout, answer.stdout
    assert answer.returncode == code, answer.stdout


def test_a_web_page(tmp_path):
    path = config(tmp_path, endpoints=ENDPOINTS[:1])
    answer = ask(path, token(), "--endpoint", "/ws", "--origin", "https://b.example")
    assert answer.returncode == 1 and "refused: origin_denied: " in answer.stdout and "endpoints[0].origins); close code 1008" in answer.stdout
    assert ask(path, token(), "--endpoint", "/ws", "--origin", "https://a.example").returncode == 0


def test_both_questions_at_once(tmp_path):
    path = config(tmp_path, endpoints=ENDPOINTS[:1])
    answer = ask(path, token(), "--endpoint", "/ws", "--channel", "user:bob")
    assert answer.returncode == 1 and "admitted" in answer.stdout and "no rule matches with this token" in answer.stdout


@pytest.mark.parametrize("origin, claims", [(None, {}), ("https://b.example", {}), (None, {"exp": 1}), (None, {"nbf": 9999999999}), (None, {"scope": "b"})])
def test_the_server_says_the_same(tmp_path, launch, origin, claims):
    """The code of check is that of a refused handshake."""
    endpoints = [{"path": "/ws", "origins": ["https://a.example"], "reject": "http", "require_scopes": ["a"]}]
    presented = token(**{"scope": "a", **claims})
    node = launch({"token.secret": SECRET, "endpoints": endpoints})
    answer = ask(config(tmp_path, endpoints=endpoints), presented, "--endpoint", "/ws", *(["--origin", origin] if origin else []))
    try:
        with node.client(presented, headers=[("Origin", origin)] if origin else []) as client:
            client.start()
        assert answer.returncode == 0 and "admitted" in answer.stdout
    except Refused as refusal:
        assert answer.returncode == 1 and f"HTTP {refusal.response.status}\n" in answer.stdout, (answer.stdout, refusal)
        assert f"refused: {refusal.response.json['error']['reason']}: " in answer.stdout
