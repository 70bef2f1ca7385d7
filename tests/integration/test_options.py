"""Where settings come from, what is said about wrong ones, and what must never be shown."""
import json
import re
import signal
import socket

import pytest
from support import jwt, ws
from support.carillon import API_KEY, DEFAULTS, nested, run
from support.wait import DEADLINE_S


def check(tmp_path, text, *arguments, env=None):
    path = tmp_path / "carillon.jsonc"
    path.write_text(text)
    return run("check", "--config", path, *arguments, env=env)


WRONG = [
    ('{\n  "no_such_option": 1\n}', 2, ["no_such_option"]),
    ('{\n  "limits": {\n    "chanels": 7\n  }\n}', 3, ["chanels", "channels"]),
    ('{\n  "port": "many"\n}', 2, ["port", "many"]),
    ('{\n  "$schema": 1\n}', 2, ["$schema", "text"]),
    ('{\n  "limits": {"$schema": "x"}\n}', 2, ["unknown option", "limits.$schema"]),
    ('{"channels": [\n{"$schema": "x", "match": "*"}\n]}', 2, ["channels[0]", "unknown option", "$schema"]),
    ('{\n  "port": 65536\n}', 2, ["port", "65536", "65535"]),
    ('{\n  "port": -1\n}', 2, ["port"]),
    ('{\n  "port": 1.5\n}', 2, ["port"]),
    ('{\n\n\n  "ping_interval": "fast"\n}', 4, ["ping_interval", "fast"]),
    ('{\n  "limits": {"message_bytes": "1t"}\n}', 2, ["message_bytes"]),
    ('{\n  "limits": {"message_bytes": "1"}\n}', 2, ["message_bytes", "1k"]),
    ('{\n  "workers": true\n}', 2, ["workers"]),
    ('{\n  "log": {"level": "loud"}\n}', 2, ["loud", "debug"]),
    ('{\n  "token": {"secret": "short"}\n}', 2, ["token.secret", "32"]),
    ('{\n  "token": {"algorithms": ["none"]}\n}', 2, ["none", "HS256"]),
    ('{\n  "redis": {"url": "http://example"}\n}', 2, ["redis.url", "redis://"]),
    ('{\n  "trusted_proxies": ["10.0.0.0/33"]\n}', 2, ["10.0.0.0/33"]),
    ('{\n  "endpoints": [{"path": "ws"}]\n}', 2, ["path"]),
    ('{\n  "endpoints": [{}]\n}', 2, ["path"]),
    ('{\n  "endpoints": [\n    {"path": "/ws"},\n    {"path": "/ws"}\n  ]\n}', 4, ["/ws"]),
    ('{\n  "endpoints": [{"path": "/ws", "close_codes": {"token_expired": 1006}}]\n}', 2, ["1006"]),
    ('{\n  "endpoints": [{"path": "/ws", "close_codes": {"whatever": 4000}}]\n}', 2, ["whatever"]),
    ('{\n  "channels": [\n    {"match": "a:{sub", "allow": []}\n  ]\n}', 3, ["match"]),
    ('{\n  "channels": [\n    {"match": "a", "allow": ["fly"]}\n  ]\n}', 3, ["fly", "subscribe"]),
    ('{\n  "channels": [\n    {"match": "a", "allow": ["subscribe"], "histroy": {}}\n  ]\n}', 3, ["histroy"]),
    ('{\n  "port": 1,\n  "port": 2\n}', 3, ["port"]),
    ('{\n  "port": 1\n  "workers": 2\n}', 3, []),
    ('{\n  "port": 1,\n', 3, []),
    ('{ /* not closed\n', 1, ["comment"]),
    ("[]", 1, []),
    ('{\n  "port": 9000,\n  "internal": {\n    "port": 9000\n  }\n}', 4, ["internal.port", "must not be the same as port (9000)"]),
    ('{\n  "idempotency_window": "5m",\n  "redis": {\n    "url": "redis://h",\n    "ingest_takeover": "5m"\n  }\n}', 5,
     ["redis.ingest_takeover", "less than idempotency_window"]),
]


@pytest.mark.parametrize("settings", [
    {"host": "127.0.0.1", "internal": {"host": "127.0.0.2", "port": 8080}},  # two addresses
    {"port": 0, "internal": {"port": 0}},
    {"idempotency_window": "5s"},  # nobody reads the stream
    {"idempotency_window": "5s", "redis": {"url": "redis://h", "ingest": False}},
])
def test_what_only_looks_wrong_is_taken(tmp_path, settings):
    answer = check(tmp_path, json.dumps(settings))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("text, line, words", WRONG, ids=["".join(text.split()) for text, _, _ in WRONG])
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, text, line, words):
    answer = check(tmp_path, text)
    assert answer.returncode != 0
    assert f"carillon.jsonc:{line}" in answer.stderr, answer.stderr
    for word in words:
        assert word in answer.stderr, answer.stderr


FILES = [
    ({"token": {"keys": [{"kid": "a", "file": "/nowhere/a.pem"}]}}, "token.keys[0].file", "/nowhere/a.pem"),
    ({"tls": {"certificate": "/nowhere/b.pem", "key": "/nowhere/b.key"}}, "tls.certificate", "/nowhere/b.pem"),
    ({"redis": {"url": "rediss://127.0.0.1", "tls_ca": "/nowhere/c.pem"}}, "redis.tls_ca", "/nowhere/c.pem"),
    ({"redis": {"url": "rediss+sentinel://127.0.0.1/x", "tls_certificate": "/nowhere/d.pem", "tls_key": "/nowhere/d.key"}},
     "redis.tls_certificate", "/nowhere/d.pem"),
]


@pytest.mark.parametrize("settings, option, path", FILES, ids=[option for _, option, _ in FILES])
def test_a_file_that_is_not_there_is_said_with_option_and_path(tmp_path, settings, option, path):
    answer = check(tmp_path, json.dumps(settings))
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith(f"{tmp_path}/carillon.jsonc:1: {option}"), answer.stderr
    assert path in answer.stderr and "No such file" in answer.stderr, answer.stderr
    served = run("serve", "--config", tmp_path / "carillon.jsonc", "--port", "0", "--internal-port", "0")
    assert served.returncode == 1 and path in served.stderr, served.stderr


def test_a_key_file_that_is_none_is_said_with_its_option(tmp_path):
    (tmp_path / "bad.pem").write_text("hello")
    answer = check(tmp_path, '{\n  "token": {\n    "keys": [{"file": "bad.pem"}]\n  }\n}')
    assert answer.returncode == 1
    assert "carillon.jsonc:3: token.keys[0].file: " in answer.stderr and "no PEM block" in answer.stderr, answer.stderr


def test_serve_says_what_check_says(tmp_path):
    for text, _, _ in WRONG:
        checked = check(tmp_path, text)
        served = run("serve", "--config", tmp_path / "carillon.jsonc")
        assert served.returncode != 0
        assert served.stderr == checked.stderr


def test_everything_wrong_is_said_at_once(tmp_path):
    answer = check(tmp_path, '{\n  "port": "x",\n  "workers": "y"\n}')
    assert "jsonc:2" in answer.stderr and "jsonc:3" in answer.stderr, answer.stderr


def test_a_good_file(tmp_path):
    answer = check(tmp_path, '{ // comments\n "port": 0, /* and commas */ "limits": {"message_bytes": "128k",},\n}')
    assert answer.returncode == 0, answer.stderr


def test_file_that_is_not_there(tmp_path):
    answer = run("check", "--config", tmp_path / "nothing.json")
    assert answer.returncode != 0 and "nothing.json" in answer.stderr


@pytest.mark.parametrize("env, arguments, words", [
    ({"CARILLON_PORT": "x"}, [], ["CARILLON_PORT", "x"]),
    ({"PORT": "99999"}, [], ["PORT", "99999"]),
    ({"CARILLON_LIMITS_CHANNELS": "0"}, [], ["CARILLON_LIMITS_CHANNELS"]),
    ({}, ["--port", "x"], ["--port", "x"]),
    ({}, ["--prot", "1"], ["--prot"]),
    ({}, ["--port"], ["--port"]),
    ({}, ["--limits.channels=0"], ["limits.channels"]),
    ({}, ["--token-secret-file", "/does/not/exist"], ["/does/not/exist"]),
])
def test_wrong_variables_and_flags(tmp_path, env, arguments, words):
    answer = check(tmp_path, "{}", *arguments, env=env)
    assert answer.returncode != 0
    for word in words:
        assert word in answer.stderr, answer.stderr


def test_the_later_source_wins_and_print_config_says_which(tmp_path):
    text = '{\n  "port": 1001,\n  "workers": 3,\n  "limits": {"channels": 7}\n}'
    answer = check(tmp_path, text, "--print-config", "--limits-channels", "9", env={"CARILLON_WORKERS": "4"})
    assert answer.returncode == 0, answer.stderr
    shown = answer.stdout
    assert re.search(r'"port": 1001,? *//.*carillon\.jsonc:2', shown), shown
    assert re.search(r'"workers": 4,? *//.*CARILLON_WORKERS', shown), shown
    assert re.search(r'"channels": 9,? *//.*--limits-channels', shown), shown
    assert re.search(r'"host": "0.0.0.0",? *//.*default', shown), shown


def test_plain_port_and_redis_url(tmp_path):
    answer = check(tmp_path, "{}", "--print-config", env={"PORT": "1234", "REDIS_URL": "redis://:hush-hush@10.0.0.1/2"})
    assert '"port": 1234' in answer.stdout
    assert "redis://" in answer.stdout and "10.0.0.1" in answer.stdout
    assert "hush-hush" not in answer.stdout


def test_print_config_masks_secrets(tmp_path):
    secrets = ["this is the token secret, long enough to be one", "this is an api key to be masked", "hush-hush",
               "this is another secret for a key in the list"]
    text = json.dumps(nested({"token.secret": secrets[0], "api.keys": [secrets[1]], "redis.url": f"redis://u:{secrets[2]}@10.0.0.1",
                              "token.keys": [{"kid": "x", "secret": secrets[3]}]}))
    for answer in (check(tmp_path, text, "--print-config"), run("serve", "--config", tmp_path / "carillon.jsonc", "--print-config")):
        assert answer.returncode == 0, answer.stderr
        for secret in secrets:
            assert secret not in answer.stdout + answer.stderr


def test_printed_configuration_can_be_read_back(tmp_path):
    answer = check(tmp_path, json.dumps(nested({"limits.channels": 77, "endpoints": [{"path": "/a", "origins": ["https://x.example"]}]})),
                   "--print-config")
    again = check(tmp_path, answer.stdout, "--print-config")
    assert again.returncode == 0, again.stderr
    assert '"channels": 77' in again.stdout and "https://x.example" in again.stdout


def test_print_config_has_an_entry_a_line_with_its_source(tmp_path):
    answer = check(tmp_path, '{"tickets": {"path": "/t"}, "endpoints": [\n{"path": "/a"},\n{"path": "/b", "preset": "ticket-sockets"}\n],\n'
                             '"upstreams": {\n"x": {"url": "http://h"}}}', "--print-config")
    lines = [line.strip() for line in answer.stdout.splitlines()]
    path = f"{tmp_path}/carillon.jsonc"
    at = lines.index(f'"endpoints": [ // {path}:1')
    assert lines[at + 1] == f'{{"path": "/a"}}, // {path}:2'
    assert lines[at + 2].startswith('{/* preset "ticket-sockets" */ "path": "/b", "token_header": false, ') and lines[at + 2].endswith(f", // {path}:3")
    assert lines[at + 3] == "],"
    assert f'"x": {{"url": "http://h"}}, // {path}:6' in lines


def test_values_in_errors_are_no_secrets(tmp_path):
    for env, text in (({}, '{"token": {"secret": "too-short-secret"}}'), ({"CARILLON_TOKEN_SECRET": "too-short-secret"}, "{}"),
                      ({}, '{"api": {"keys": ["short-key"]}}'), ({"REDIS_URL": "redis://u:hush-hush@bad host"}, "{}")):
        answer = check(tmp_path, text, env=env)
        assert answer.returncode != 0
        for secret in ("too-short-secret", "short-key", "hush-hush"):
            assert secret not in answer.stderr


def test_secrets_from_files_and_environment(launch, tmp_path):
    secret, key = tmp_path / "secret", tmp_path / "key"
    secret.write_text(jwt.SECRET + "\n")
    key.write_text(API_KEY + "\n")
    node = launch({"token.secret": None, "token.secret_file": str(secret), "api.keys": None, "api.keys_file": str(key)})
    node.connect().close()
    node.publish("x", 1)
    node = launch({"token.secret": None, "api.keys": None}, env={"CARILLON_TOKEN_SECRET": jwt.SECRET, "CARILLON_API_KEYS": API_KEY})
    node.connect().close()
    node.publish("x", 1)


def test_flags_for_lists(launch):
    node = launch({"channels": None}, arguments=["--channels", '[{"match": "only", "allow": ["subscribe"]}]', "--limits.channels=3"])
    with node.connect() as client:
        assert client.init["data"]["limits"]["channels"] == 3
        client.subscribe("only")
        client.error("subscribe", "unauthorized", channel="other")


def test_a_file_may_name_its_schema(tmp_path):
    assert check(tmp_path, '{"$schema": "./options.schema.json", "port": 0}').returncode == 0


def test_reference_pages():
    for page in ("--options", "--metrics", "--errors"):
        answer = run("reference", page)
        assert answer.returncode == 0 and answer.stdout.startswith("#"), answer
    schema = json.loads(run("reference", "--json-schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "port" in schema["properties"] and schema["properties"]["$schema"]["type"] == "string"


def test_sample_file_is_good(tmp_path):
    sample = run("reference", "--sample").stdout
    assert check(tmp_path, sample).returncode == 0
    # Also with every option that stands there as a comment switched on.
    switched_on = re.sub(r'^(\s*)// ?("\w+":)', r"\1\2", sample, flags=re.M)
    answer = check(tmp_path, switched_on)
    assert switched_on != sample and answer.returncode == 0, answer.stderr


def test_every_option_is_in_the_help():
    shown = run("serve", "--help").stdout
    for key in DEFAULTS:
        assert f"--{key.replace('.', '-').replace('_', '-')} " in shown, key


# --- logs ---


def test_no_secret_in_any_log(launch):
    """At debug level, through everything that sees a token, a key or a query. Node.close looks for tokens in every test; here
    are the odd places."""
    node = launch({"log.level": "debug", "limits.bad_messages": 0})
    marks = []

    def mark():
        marks.append(f"mark{len(marks):04}secret")
        return marks[-1]

    for path, headers in ((f"/ws?token={mark()}", []), ("/ws", [("Authorization", f"Bearer {mark()}")]),
                          ("/ws", [("Sec-WebSocket-Protocol", f"{ws.PROTOCOL}, {mark()}")]), (f"/nowhere?token={mark()}", []),
                          (f"/ws?ticket={mark()}", []), ("/ws", [("Authorization", f"Basic {mark()}")]), ("/ws", [("Cookie", mark())])):
        with pytest.raises(Exception, match="40[0-9]"):
            node.client(path=path, headers=headers)
    node.api("GET", f"/api/v1/info?x={mark()}", key=mark())
    node.api("POST", "/api/v1/publish", b'{"channel":"x","type":"t","data":"' + mark().encode() + b'"')
    with node.connect() as client:
        client.error("refresh", "unauthorized", token=mark())
        client.send_text(mark())
        client.expect("error")
        client.error("subscribe", "subscription_failed", channel="bad channel")
    log = node.log()
    for secret in marks:
        assert secret not in log, [line for line in log.splitlines() if secret in line]


def test_json_log(launch):
    node = launch({"log.format": "json", "log.level": "debug"})
    node.connect().close()
    lines = node.log().splitlines()
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert entry["level"] in ("error", "warn", "info", "debug") and isinstance(entry, dict)


def test_ready_line_says_the_addresses(launch):
    node = launch()
    assert f"{node.public[0]}:{node.public[1]}" in node.log()
    assert f"{node.internal[0]}:{node.internal[1]}" in node.log()


def test_systemd_is_told(launch, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(DEADLINE_S)
        node = launch(env={"NOTIFY_SOCKET": str(path)})
        assert systemd.recv(1000) == b"READY=1"
        node.signal(signal.SIGTERM)
        assert systemd.recv(1000) == b"STOPPING=1"
        assert node.wait() == 0


def test_a_port_that_is_taken_is_said(launch):
    node = launch()
    for option, port in (("port", node.public[1]), ("internal.port", node.internal[1])):
        other = run("serve", "--config", node.config_path, "--" + option, port)
        assert other.returncode == 1
        assert f"port {port}: another program listens there" in other.stderr and f" {option})" in other.stderr, other.stderr


NOTES = [
    ({"channels": [{"match": "t:{tenant}:*", "allow": []}]}, r'channels\[0\].match: note: in "t:\{tenant\}:\*" nothing says where'),
    ({"channels": [{"match": "*:{sub}", "allow": []}]}, r'\[0\].match: .* "sub" ends'),
    ({"channels": [{"match": "a", "allow": []}, {"match": "{a}:{b}", "allow": []}]}, r"\[1\].match: .*ends"),
    ({"channels": [{"match": "o:{org.id}", "allow": []}]}, r'\[0\].match: note: "org.id" is one claim of that name'),
    ({"channels": [{"match": "a", "presence_events": True}]}, r"channels\[0\].presence_events: note: does nothing without"),
    ({"channels": [{"match": "a", "history": {"ttl": "1m"}}]}, r"channels\[0\].history.ttl: note: keeps no event without history.size"),
    ({"channels": []}, r"channels: note: there is no rule"),
    ({"channels": [], "endpoints": [{"path": "/a", "text": "echo", "subscribe": ["a"]}]}, r"channels: note: there is no rule"),
    ({"endpoints": [{"path": "/chat/:id"}]}, r'endpoints\[0\].path: note: "/chat/:id" is literal'),
    ({"endpoints": [{"path": "/chat/*"}]}, r"\[0\].path: .*literal"),
]


@pytest.mark.parametrize("settings, says", NOTES, ids=lambda value: None if isinstance(value, dict) else value[:30])
def test_what_is_often_meant_otherwise(tmp_path, settings, says):
    answer = check(tmp_path, json.dumps({"token": {"secret": "0123456789abcdef0123456789abcdef"},
                                         "channels": [{"match": "a", "allow": []}], **settings}))
    assert answer.returncode == 0 and re.search(says, answer.stderr), answer
    assert len(answer.stderr.splitlines()) == 1


def test_nothing_to_note(tmp_path):
    rules = [{"match": match, "allow": []} for match in ("user:{sub}", "room:*", "*", "{sub}", "a:{sub}:b")]
    answer = check(tmp_path, json.dumps({"token": {"secret": "0123456789abcdef0123456789abcdef"}, "channels": rules,
                                         "endpoints": [{"path": "/ws"}, {"path": "/a:b/c.d"}]}))
    assert answer.returncode == 0 and answer.stderr == "", answer


def test_a_name_in_a_path_is_a_whole_segment(tmp_path):
    assert check(tmp_path, json.dumps({"endpoints": [{"path": "/chat/{id}"}]})).returncode == 0
    answer = check(tmp_path, '{"endpoints": [\n{"path":\n"/chat/{id}.json"}]}')
    assert answer.returncode == 1 and "carillon.jsonc:3: endpoints[0].path: " in answer.stderr, answer.stderr
