"""SIGHUP. Live options change while the server runs. A wrong configuration changes nothing, and the error names its line."""
import os
import re
import signal

import pytest
from support import http, jwt
from support.carillon import API_KEY, DEFAULTS
from support.wait import until


def reload(node, config):
    node.reload(config)


def test_rules(node):
    with node.connect() as client:
        client.subscribe("before")
        reload(node, {"channels": [{"match": "after", "allow": ["subscribe"]}]})
        until(lambda: not client.may_subscribe("another"), "the new rules hold")
        client.subscribe("after")
        node.publish("after", 1)
        client.find("test", channel="after")


def test_limits(node):
    with node.connect() as client:
        client.subscribe("one")
        reload(node, {"limits.channels": 2})
        client.subscribe("two")
        until(lambda: not client.may_subscribe("three"), "the new limit holds")
        reload(node, {"limits.channels": 3})
        until(lambda: client.may_subscribe("three"), "the next limit holds")


def status(node, key):
    return node.api("GET", "/api/v1/info", key=key).status


def test_api_keys(node):
    second = "the-second-api-key-for-tests-only"
    reload(node, {"api.keys": [second]})
    # Each worker has its own copy of the keys, and any of them may answer: ask often enough to meet all.
    until(lambda: all(status(node, API_KEY) == 401 for _ in range(8)), "the old key is shut out")
    assert status(node, second) == 200
    reload(node, {"api.keys": [second, API_KEY]})
    until(lambda: all(status(node, API_KEY) == 200 for _ in range(8)), "both open")


def test_token_keys_rotate(node):
    second = "the secret that comes after the first one"
    old = jwt.mint("eve")
    with node.client(old) as client:
        client.start()
        reload(node, {"token.keys": [{"secret": second}]})
        until(lambda: all(node.accepts(jwt.mint(secret=second)) for _ in range(8)), "the second secret is taken")
        assert node.accepts(old)
        reload(node, {"token.secret": second})
        # Also when it was verified and remembered before.
        until(lambda: not any(node.accepts(old) for _ in range(8)), "the first secret is not taken any more")
        client.nothing_before_pong()
        client.error("refresh", "unauthorized", token=jwt.mint("eve"))
        client.ask("refresh", "refreshed", token=jwt.mint("eve", secret=second))


def test_keys_in_a_file_are_read_again(launch, tmp_path):
    path = tmp_path / "secret"
    path.write_text(jwt.SECRET + "\n")
    node = launch({"token.secret": None, "token.secret_file": str(path)})
    node.connect().close()
    second = "the secret that comes after the first one"
    path.write_text(second + "\n")
    reload(node, {"token.secret": None, "token.secret_file": str(path)})
    until(lambda: not any(node.accepts(jwt.mint()) for _ in range(8)), "the old secret is not taken any more")
    assert node.accepts(jwt.mint(secret=second))


@pytest.mark.parametrize("text, line", [
    ('{\n  "no_such_option": 1\n}', 2),
    ('{\n\n  "limits": {"channels": "many"}\n}', 3),
    ('{\n  "port": 0,\n  "channels": [\n    {"match": "x", "allow": ["fly"]}\n  ]\n}', 4),
    ('{\n  "port": 0,\n', 3),
])
def test_a_bad_file_changes_nothing(node, text, line):
    with node.connect() as client:
        node.config_path.write_text(text)
        node.signal(signal.SIGHUP)
        node.logged(rf"{re.escape(node.config_path.name)}:{line}\b")
        client.subscribe("news")
        node.publish("news", 1)
        client.expect("test")
        node.connect().close()
    assert http.request(node.internal, "GET", "/readyz").status == 200


def test_a_key_file_that_is_gone_changes_nothing(launch, tmp_path):
    path = tmp_path / "secret"
    path.write_text(jwt.SECRET)
    config = {"token.secret": None, "token.secret_file": str(path)}
    node = launch(config)
    path.unlink()
    node.signal(signal.SIGHUP)
    node.logged(re.escape(str(path)))
    node.connect().close()


def test_what_needs_a_restart_is_said_and_stays(node):
    public = node.public
    reload(node, {"workers": 1 if DEFAULTS["workers"] != 1 else 2})
    node.logged(r"workers.*restart")
    assert node.public == public
    node.connect().close()


def test_many_reloads_under_load(node):
    with node.connect() as client:
        client.subscribe("log:x")
        for n in range(10):
            reload(node, {"limits.channels": 10 + n})
            node.publish("log:x", n)
        assert [client.find("test")["data"] for _ in range(10)] == list(range(10))


def test_signals_during_a_reload_make_one_more(launch):
    """A reload takes as long as somebody likes: here its file comes from a pipe. Reloads that are asked for meanwhile are one."""
    node = launch({})
    text = node.config_path.read_bytes()
    node.config_path.unlink()
    os.mkfifo(node.config_path)

    def is_read():
        """Opens the pipe, which fails while nobody has it open for reading."""
        try:
            return os.open(node.config_path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    node.signal(signal.SIGHUP)
    pipe = until(is_read, "the node reads its configuration")
    for _ in range(100):
        node.signal(signal.SIGHUP)
        until(lambda: not is_pending(node, signal.SIGHUP), "the signal has been taken")
    node.config_path.unlink()
    node.config_path.write_bytes(text)
    os.write(pipe, text)
    os.close(pipe)
    until(lambda: node.log().count("reload: done") >= 2, "both are done")
    node.signal(signal.SIGTERM)
    assert node.wait() == 0
    assert node.log().count("reload: done") == 2


def is_pending(node, number):
    """Whether the kernel has yet to deliver it (proc(5): ShdPnd)."""
    with open(f"/proc/{node.pid}/status") as lines:
        return any(line.startswith("ShdPnd:") and int(line.split()[1], 16) >> (number - 1) & 1 for line in lines)
