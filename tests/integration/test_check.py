"""`carillon check --token-file F --channel C` and `--endpoint P`: which entry of the configuration decides, and why. The answers are those
of the server."""
import json

import pytest
from support import jwt
from support.carillon import run

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
