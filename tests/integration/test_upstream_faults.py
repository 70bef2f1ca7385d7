"""Backends that fail: what a client gets, what the metrics show, and that the node goes on."""
import json
import resource

from support import jwt, reserve
from support.backend import Backend

ERROR = {"id": "{id}", "code": "{code}"}


def node_with(launch, url, **upstream):
    return launch({"endpoints": [{"path": "/ws"}, {"path": "/", "text": "upstream", "upstream": "ai", "frames": [],
                                                  "correlation": {"id": "/id", "error": ERROR}}],
                   "upstreams": {"ai": {"url": url, **upstream}}})


def ask(node, count=1):
    """Sends messages one after the other. Returns the codes of their errors, None for those that were answered."""
    codes = []
    with node.client(jwt.mint("user-1"), path="/") as client:
        for i in range(count):
            client.send_text(json.dumps({"id": str(i)}))
            answer = client.receive()
            assert answer["id"] == str(i)
            codes.append(answer.get("code"))
    return codes


def outcomes(node):
    names = ("2xx", "3xx", "4xx", "5xx", "refused", "dns", "tls", "timeout", "reset", "invalid", "too_large", "breaker_open")
    counts = {name: node.metric("carillon_upstream_requests_total", upstream="ai", outcome=name) for name in names}
    return {name: count for name, count in counts.items() if count}


def test_nobody_listens_and_then_the_breaker_is_open(launch):
    node = node_with(launch, f"http://127.0.0.1:{reserve.port()}/", **{"breaker": {"failures": 3, "pause": "10m"}})
    assert ask(node, 4) == ["unavailable"] * 4
    counted = outcomes(node)
    assert counted["refused"] == 3 and counted["breaker_open"] >= 1
    assert node.metric("carillon_upstream_breaker_state", upstream="ai") == 1
    assert "no call is sent for 600000 ms" in node.log()


def test_a_name_without_address(launch):
    node = node_with(launch, "http://nowhere.invalid/")
    assert ask(node) == ["unavailable"]
    assert outcomes(node)["dns"] >= 1


def test_a_redirect_is_not_followed(launch):
    backend = Backend(lambda call: call.answer(302, Location="http://127.0.0.1:1/"))
    try:
        node = node_with(launch, backend.url)
        assert ask(node)[0] is not None
        assert outcomes(node) == {"3xx": 1}
    finally:
        backend.close()


def test_an_answer_over_the_limit(launch):
    backend = Backend(lambda call: call.answer(200, b"x" * 100_000_000, "text/plain"))
    try:
        node = node_with(launch, backend.url, answer_bytes="1m")
        assert ask(node) == ["too_large"]
        assert outcomes(node) == {"too_large": 1}
    finally:
        backend.close()


def test_files_for_connections_to_upstreams_are_set_aside(launch):
    node = node_with(launch, "http://127.0.0.1:1/", in_flight=3000)
    before = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)[0]
    assert before >= 3000
    node.reload({**node.config, "upstreams": {"ai": {"url": "http://127.0.0.1:1/", "in_flight": 3500}}})
    assert resource.prlimit(node.pid, resource.RLIMIT_NOFILE)[0] == before + 500
