"""docs/reference/options.schema.json takes what the server takes: configurations for the four shapes of clients, and every kind of upstream.
What it refuses, the server refuses too."""
import json
import subprocess

import pytest
from support.carillon import run
from support.routes import ROOT
from support.wait import TOOL_S

PYTHON = ROOT / "build/validator/bin/python"
needs_validator = pytest.mark.skipif(not PYTHON.exists(), reason="no build/validator, which ./run test makes")
VALIDATE = """
import json, sys
from jsonschema import Draft202012Validator
schema, configuration = json.load(sys.stdin)
Draft202012Validator.check_schema(schema)
print(json.dumps([f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(configuration)]))
"""
ERROR = {"headers": {"correlationId": "{id}"}, "state": "error", "error": {"code": "{code}", "message": "{message}"}}
TOKEN = {"secret": "0123456789abcdef0123456789abcdef"}
GOOD = {
    "events": {"endpoints": [{"path": "/ws"}, {"path": "/api/ws", "preset": "events"}]},
    "request and response": {
        "endpoints": [{"path": "/", "subprotocols": ["chat-v1"], "token_query": ["Authorization"], "query": ["trace"], "text": "upstream",
                       "upstream": "ai", "frames": [], "deliver": "data", "token_single_use": True, "token_expiry": "connect",
                       "correlation": {"id": "/headers/correlationId", "idempotency_key": "/headers/idempotencyKey", "error": ERROR},
                       "limits": {"message_bytes": "512k", "message_rate": None}, "ping_interval": None}],
        "upstreams": {"ai": {"url": "http://127.0.0.1:9000/frames", "timeout": "25s", "in_flight": 512, "secret_file": "upstream-key"}}},
    "tickets": {
        "tickets": {"path": "/websocket/ticket", "origins": ["https://app.example"], "ttl": "30s", "use": "resume", "resume_ttl": "2m",
                    "request": {"purpose": "/purpose", "resource": "/resourceId"},
                    "answer": {"ticket": "{ticket}", "expiresIn": "{expires_in}"}, "error": {"code": "{code}", "message": "{message}"}},
        "endpoints": [{"path": "/ai-chat/{id}/transcript", "preset": "ticket-sockets", "ticket": {"purpose": "chat", "resource": "{id}"},
                       "subscribe": ["chat:{id}"]},
                      {"path": "/white-label/{workspace}/transcript/{id}", "preset": "ticket-sockets",
                       "ticket": {"purpose": "transcript", "resource": "{id}"}, "subscribe": ["transcript:{id}"]}]},
    "streaming": {
        "endpoints": [{"path": "/ws/transcribe", "preset": "streaming", "upstream": "asr", "require_claims": ["sub", "iat", "exp", "scope", "user_type"],
                       "require_scopes": ["transcription:read", "transcription:write"], "binary_type": "audio/l16; rate=16000",
                       "rate": {"counts": ["text"]}, "close_codes": {"connection_limit": 1013}}],
        "upstreams": {"asr": {"url": "http://127.0.0.1:9000/asr", "order": "session", "join": {"max_bytes": "64k"}, "waiting_bytes": "1m",
                              "claims": ["user_type", "organization", "department"], "on_failure": "close", "connect": {},
                              "subscribe": {"on_failure": "accept"}, "breaker": {"failures": 5, "pause": "1s"}}}},
    "a stream of Redis, and lifecycle events": {
        "redis": {"url": "redis://127.0.0.1"},
        "endpoints": [{"path": "/ws", "text": "upstream", "binary": "upstream", "upstream": "log"}],
        "upstreams": {"log": {"redis_stream": "carillon:audio", "max_len": 100000}},
        "lifecycle": {"types": ["session.opened", "session.closed"], "channels": ["room:*"], "redis_stream": "carillon:events",
                      "http": {"url": "https://backend.example/events", "secret": ["0123456789abcdef"], "batch": 10}}},
    "senders": {"channels": [{"match": "room:*", "allow": ["publish"], "publisher": "session", "sender": "verified"}]},
}
BAD = {
    "a member that is none": {"endpoints": [{"path": "/ws", "subprotocol": "x"}]},
    "no path": {"endpoints": [{"preset": "events"}]},
    "an unknown preset": {"endpoints": [{"path": "/ws", "preset": "chat"}]},
    "an unknown frame": {"endpoints": [{"path": "/ws", "frames": ["hello"]}]},
    "a number for a text": {"endpoints": [{"path": "/ws", "upstream": 1}]},
    "null for what must be set": {"endpoints": [{"path": "/ws", "max_connections": None}]},
    "a list of upstreams": {"upstreams": [{"url": "http://h"}]},
    "a name within an upstream": {"upstreams": {"ai": {"name": "ai", "url": "http://h"}}},
    "an order that is none": {"upstreams": {"ai": {"url": "http://h", "order": "user"}}},
    "a duration without a unit": {"upstreams": {"ai": {"url": "http://h", "timeout": 25}}},
    "a dotted group": {"tickets": {"request.purpose": "/p"}},
    "a type that is none": {"lifecycle": {"types": ["session"]}},
    "another publisher": {"channels": [{"match": "a", "publisher": "ip"}]},
}


def mismatches(configuration):
    schema = json.loads(run("reference", "--json-schema").stdout)
    done = subprocess.run([PYTHON, "-B", "-c", VALIDATE], input=json.dumps([schema, configuration]), capture_output=True, text=True,
                          timeout=TOOL_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(tmp_path, configuration):
    path = tmp_path / "carillon.json"
    path.write_text(json.dumps({"token": TOKEN, **configuration}))
    (tmp_path / "upstream-key").write_text("whsec_" + "QUJD" * 8 + "\n" + "another secret of 32 bytes, or so\n")
    return run("check", "--config", path)


@needs_validator
@pytest.mark.parametrize("name", GOOD)
def test_the_schema_takes_it(name):
    assert mismatches(GOOD[name]) == []


@needs_validator
@pytest.mark.parametrize("name", BAD)
def test_the_schema_refuses_it(name):
    assert mismatches(BAD[name]) != []


@pytest.mark.parametrize("name", GOOD)
def test_the_server_takes_it(tmp_path, name):
    answer = check(tmp_path, GOOD[name])
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", BAD)
def test_the_server_refuses_it(tmp_path, name):
    answer = check(tmp_path, BAD[name])
    assert answer.returncode == 1 and "carillon.json:1: " in answer.stderr, answer
