"""What a refused upgrade tells, with both APIs of the package `websockets`."""

import json
from types import SimpleNamespace

import pytest

from carillon_client.backoff import Ending, judge
from carillon_client.websocket import _refusal_of


def ours(code, **more):
    return json.dumps({"error": {"code": code, "message": "no", **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reason", "verdict"),
    [
        (403, ours("forbidden", reason="scope_missing"), "scope_missing", "final"),
        (401, ours("unauthorized", reason="token_revoked"), "token_revoked", "refused"),
        (404, ours("not_found"), "not_found", "final"),
        (404, b"<html>404</html>", "", "retry"),
        (404, b"", "", "retry"),
        (404, None, "", "retry"),
        (404, b"null", "", "retry"),
        (404, b"\xff", "", "retry"),
        (404, b'{"error":"not found"}', "", "retry"),
        (404, b'{"error":{"code":404}}', "", "retry"),
        (403, b'{"error":{"code":"forbidden","reason":["x"]}}', "", "retry"),
    ],
)
def test_the_reason_is_that_of_the_body(status, body, reason, verdict):
    ending = _refusal_of(SimpleNamespace(response=SimpleNamespace(status_code=status, body=body, headers={})))
    assert ending == Ending(1006, reason, status)
    assert judge(ending) == verdict


@pytest.mark.parametrize(("kind", "reason", "verdict"), [("application/json", "not_found", "final"), ("text/html", "", "retry")])
def test_without_a_body_its_type_decides(kind, reason, verdict):
    ending = _refusal_of(SimpleNamespace(status_code=404, headers={"Content-Type": kind}))
    assert (ending, judge(ending)) == (Ending(1006, reason, 404), verdict)


@pytest.mark.parametrize(("header", "seconds"), [("5", 5.0), ("0", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)])
def test_retry_after_is_in_seconds(header, seconds):
    refused = SimpleNamespace(response=SimpleNamespace(status_code=503, body=b"", headers={"Retry-After": header}))
    assert _refusal_of(refused).retry_after == seconds
