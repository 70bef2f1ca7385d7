"""Redis over TLS (rediss://): what is trusted, what is not and how that is said, and that all works through it."""
import re

import pytest
from support.carillon import run
from support.redis import Redis
from support.tls import Certificate
from support.wait import until



@pytest.fixture
def redis_certificate(tmp_path):
    return Certificate(tmp_path, "redis")


@pytest.fixture
def redis(tmp_path, redis_certificate):
    server = Redis(tmp_path, certificate=redis_certificate)
    yield server
    server.close()


def never_ready(node, pattern):
    node.logged(pattern)
    assert not node.ready()


def test_two_nodes(launch, redis, redis_certificate):
    config = {"redis.url": redis.url, "redis.tls_ca": str(redis_certificate.certificate)}
    a, b = launch(config), launch(config)
    for node in (a, b):
        until(node.ready, "ready")
    with a.connect() as at_a, b.connect() as at_b:
        at_a.subscribe("log:x")
        at_b.subscribe("log:x")
        for n in range(50):
            (a, b)[n % 2].publish("log:x", {"n": n, "fill": "x" * n * 100})
        for client in (at_a, at_b):
            assert [client.expect("test")["offset"] for _ in range(50)] == list(range(1, 51))


def test_large_events_and_many_channels(launch, redis, redis_certificate):
    """More than a record of TLS, and more than the socket takes at once."""
    node = launch({"redis.url": redis.url, "redis.tls_ca": str(redis_certificate.certificate)})
    until(node.ready, "ready")
    with node.connect() as client:
        for n in range(100):
            client.subscribe(f"channel-{n:03}-" + "x" * 200)
        client.subscribe("log:big")
        for _ in range(20):
            node.publish("log:big", "x" * 60000)
        for n in range(20):
            assert client.expect("test")["offset"] == n + 1


def test_it_comes_back(launch, redis, redis_certificate):
    node = launch({"redis.url": redis.url, "redis.tls_ca": str(redis_certificate.certificate), "redis.command_timeout": "1s"})
    until(node.ready, "ready")
    with node.connect() as client:
        client.subscribe("log:x")
        redis.stop()
        until(lambda: not node.ready(), "readiness shows it")
        redis.start()
        until(node.ready, "service is back")
        node.publish("log:x", "after")
        client.find("test", data="after")


def test_a_stranger_is_not_trusted(launch, redis, tmp_path):
    other = Certificate(tmp_path, "other")
    node = launch({"redis.url": redis.url, "redis.tls_ca": str(other.certificate)})
    never_ready(node, "certificate that is not trusted.*redis.tls_ca")


def test_the_system_does_not_trust_it_either(launch, redis):
    never_ready(launch({"redis.url": redis.url}), "certificate that is not trusted.*redis.tls_ca")


def test_a_certificate_for_another_host(launch, tmp_path):
    certificate = Certificate(tmp_path, "named", host="DNS:redis.example")
    redis = Redis(tmp_path, certificate=certificate)
    try:
        trust = {"redis.url": redis.url, "redis.tls_ca": str(certificate.certificate)}
        never_ready(launch(trust), "certificate for another host.*redis.tls_name")
        until(launch({**trust, "redis.tls_name": "redis.example"}).ready, "the name is given")
        until(launch({"redis.url": redis.url, "redis.tls_verify": False}).ready, "nothing is verified")
    finally:
        redis.close()


def test_client_certificate(launch, tmp_path, redis_certificate):
    redis = Redis(tmp_path, "--tls-auth-clients", "yes", certificate=redis_certificate)
    try:
        trust = {"redis.url": redis.url, "redis.tls_ca": str(redis_certificate.certificate)}
        never_ready(launch(trust), "wants a certificate of this node: set redis.tls_certificate|the server closed the connection")
        own = {"redis.tls_certificate": str(redis_certificate.certificate), "redis.tls_key": str(redis_certificate.key)}
        until(launch({**trust, **own}).ready, "it is shown")
    finally:
        redis.close()


def test_tls_where_there_is_none(launch, tmp_path):
    redis = Redis(tmp_path)
    try:
        node = launch({"redis.url": redis.url.replace("redis:", "rediss:"), "redis.connect_timeout": "1s"})
        never_ready(node, "does not speak TLS|the server closed the connection|no TLS handshake")
    finally:
        redis.close()


@pytest.mark.parametrize("option, content, says", [
    ("redis.tls_ca", None, "redis.tls_ca: cannot use .*: No such file"),
    ("redis.tls_ca", "x", "redis.tls_ca: cannot use .*: it has no certificate in PEM form"),
    ("redis.tls_certificate", "x", "redis.tls_certificate: cannot use .*: it has no certificate in PEM form"),
    ("redis.tls_key", "x", "redis.tls_key: cannot use .*: it has no private key of redis.tls_certificate in PEM form"),
])
def test_files_that_cannot_be_used(launch, redis, redis_certificate, tmp_path, option, content, says):
    """Said by the server and, without starting one, by carillon check."""
    path = tmp_path / "file.pem"
    if content:
        path.write_text(content)
    own = {"redis.tls_certificate": str(redis_certificate.certificate), "redis.tls_key": str(redis_certificate.key)}
    config = {"redis.url": redis.url, **(own if option in own else {}), option: str(path)}
    with pytest.raises(AssertionError, match=says):
        launch(config)
    words = [word for name, value in config.items() for word in ("--" + re.sub("[._]", "-", name), value)]
    answer = run("check", *words)
    assert answer.returncode == 1 and re.search(says, answer.stderr), answer.stderr


def test_tls_1_2(launch, tmp_path, redis_certificate):
    redis = Redis(tmp_path, "--tls-protocols", "TLSv1.2", certificate=redis_certificate)
    try:
        assert redis.connect().socket.version() == "TLSv1.2"
        until(launch({"redis.url": redis.url, "redis.tls_ca": str(redis_certificate.certificate)}).ready, "ready")
    finally:
        redis.close()
