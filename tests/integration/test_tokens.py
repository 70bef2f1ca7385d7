"""Signatures of tokens: every algorithm, several keys at once, attacks. Then the end of a token."""
import json
import time

import pytest
from support import jwt
from support.carillon import nested, run
from support.ws import Refused

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {algorithm: jwt.KeyPair(folder, algorithm) for algorithm in ALGORITHMS}


@pytest.fixture(scope="module")
def shared(launch_for_module):
    return launch_for_module({"endpoints": [{"path": "/ws", "reject": "http"}], "limits.head_bytes": "64k"})


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_hmac(launch, bits):
    node = launch({"token.algorithms": [f"HS{bits}"]})
    assert node.accepts(jwt.mint(bits=bits))
    assert not node.accepts(jwt.mint(bits=bits, secret="another secret, which is none of the node's, and long enough to be one"))
    other = 512 if bits == 256 else 256
    assert not node.accepts(jwt.mint(bits=other)), "an algorithm that is not configured"


@pytest.mark.parametrize("algorithm, bytes_needed", [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_its_hash(launch, tmp_path, algorithm, bytes_needed):
    """RFC 7518, 3.2: said by the start, by check and by token."""
    for config in ({"token.secret": "s" * (bytes_needed - 1), "token.algorithms": [algorithm]},
                   {"token.keys": [{"secret": "s" * (bytes_needed - 1), "algorithms": [algorithm]}]}):
        path = tmp_path / "carillon.jsonc"
        path.write_text(json.dumps(nested(config)))
        for command in ("serve", "check"):
            answer = run(command, "--config", path)
            assert answer.returncode != 0 and str(bytes_needed) in answer.stderr, answer
    secret = tmp_path / "secret"
    secret.write_text("s" * (bytes_needed - 1))
    answer = run("token", "--secret-file", secret, "--alg", algorithm, "--sub", "u")
    assert answer.returncode != 0 and f"at least {bytes_needed}" in answer.stderr, answer
    secret.write_text("s" * bytes_needed)
    answer = run("token", "--secret-file", secret, "--alg", algorithm, "--sub", "u")
    assert answer.returncode == 0, answer
    node = launch({"token.secret": "s" * bytes_needed, "token.algorithms": [algorithm]})
    assert node.accepts(answer.stdout.strip())


def made(header, payload):
    """A token whose parts are written just so."""
    text = f"{jwt.encode(header.encode())}.{jwt.encode(payload.encode())}"
    return f"{text}.{jwt.sign_hmac(text)}"


@pytest.mark.parametrize("exp, taken", [
    ("4102444800", True), ("4102444800.0", True), ("4.1024448e9", True), ("41024448E+2", True), ("4102444800000e-3", True),
    ("1e9", False), ("-4.1e9", False), ("4.1e12", False), ("1e400", False), ("1e-400", False), ("0", False)])
def test_times_are_any_json_number(shared, exp, taken):
    """RFC 7519, 2; in a refresh too."""
    token = made('{"alg":"HS256"}', '{"sub":"user-456","exp":%s,"nbf":1.7e9,"iat":17e8,"session_limit":1e2,"rate_limit":6.0e1}' % exp)
    assert shared.accepts(token) == taken
    with shared.connect() as client:
        if taken:
            answer = client.ask("refresh", "refreshed", token=token)
            assert answer["data"]["expires_at"] == "2100-01-01T00:00:00.000Z"
        else:
            client.error("refresh", "unauthorized", token=token)


@pytest.mark.parametrize("typ, taken", [
    ("JWT", True), ("at+jwt", True), ("AT+JWT", True), ("application/at+jwt", True), ("Application/AT+JWT", True),
    (r"application\/at+jwt", True), ("application/jwt", True), ("application/x", False), ("application/", False), ("x/at+jwt", False)])
def test_access_tokens(shared, typ, taken):
    """RFC 9068, 2.1."""
    payload = json.dumps(jwt.claims())
    assert shared.accepts(made('{"typ":"%s","alg":"HS256"}' % typ, payload)) == taken
    assert shared.accepts(made('{"alg":"HS256","typ":"%s"}' % typ, payload)) == taken


def test_a_byte_order_mark_before_a_key(launch, keys, tmp_path):
    mark = b"\xef\xbb\xbf"
    pem, jwk = tmp_path / "key.pem", tmp_path / "key.jwk"
    pem.write_bytes(mark + keys["ES256"].public_path.read_bytes())
    jwk.write_bytes(mark + json.dumps({"kty": "oct", "k": jwt.encode(b"k" * 32), "alg": "HS256"}).encode())
    node = launch({"token.secret": None, "token.keys": [{"file": str(pem)}, {"file": str(jwk)}]})
    assert node.accepts(keys["ES256"].mint())
    assert node.accepts(jwt.mint(secret="k" * 32))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_public_key_from_a_file(launch, keys, algorithm):
    pair = keys[algorithm]
    node = launch({"token.secret": None, "token.algorithms": [algorithm], "token.keys": [{"file": str(pair.public_path)}]})
    token = pair.mint()
    assert node.accepts(token)
    head, payload, signature = token.split(".")
    forged = jwt.encode(json.dumps(jwt.claims("admin")).encode())
    assert not node.accepts(f"{head}.{forged}.{signature}")
    assert not node.accepts(f"{head}.{payload}.{jwt.encode(bytes(64))}")
    # The public key as an HMAC secret: the oldest trick.
    text = jwt.unsigned({"alg": "HS256", "typ": "JWT"}, jwt.claims())
    assert not node.accepts(f"{text}.{jwt.sign_hmac(text, pair.public_path.read_text())}")


def test_jwk_files(launch, keys, tmp_path):
    def integer(openssl_text):
        return jwt.encode(bytes.fromhex(openssl_text))

    rsa = keys["RS256"]
    modulus = jwt.openssl("rsa", "-pubin", "-in", rsa.public_path, "-noout", "-modulus").decode().strip().split("=")[1]
    ed = jwt.openssl("pkey", "-pubin", "-in", keys["EdDSA"].public_path, "-outform", "DER")[-32:]
    point = jwt.openssl("pkey", "-pubin", "-in", keys["ES256"].public_path, "-outform", "DER")[-64:]
    jwks = {
        "rsa": {"kty": "RSA", "alg": "RS256", "kid": "rsa", "n": integer(modulus), "e": "AQAB"},
        "ed": {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed", "x": jwt.encode(ed)},
        "ec": {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "ec", "x": jwt.encode(point[:32]), "y": jwt.encode(point[32:])},
    }
    files = []
    for name, jwk in jwks.items():
        path = tmp_path / f"{name}.jwk"
        path.write_text(json.dumps(jwk))
        files.append({"file": str(path)})
    node = launch({"token.algorithms": ["HS256", "RS256", "EdDSA", "ES256"], "token.keys": files})
    assert node.accepts(rsa.mint(header={"kid": "rsa"}))
    assert node.accepts(keys["EdDSA"].mint(header={"kid": "ed"}))
    assert node.accepts(keys["ES256"].mint(header={"kid": "ec"}))
    assert not node.accepts(rsa.mint(header={"kid": "ed"}))
    assert not node.accepts(rsa.mint(header={"kid": "nobody"}))
    assert node.accepts(jwt.mint())


def test_several_secrets_at_once(launch):
    second = "the secret that comes after the first one"
    node = launch({"token.keys": [{"secret": second}]})
    assert node.accepts(jwt.mint())
    assert node.accepts(jwt.mint(secret=second))
    assert not node.accepts(jwt.mint(secret="a secret that nobody has ever heard of"))


def tricks():
    header = {"alg": "HS256", "typ": "JWT"}

    def signed(head_text, payload_text):
        text = f"{jwt.encode(head_text.encode())}.{jwt.encode(payload_text.encode())}"
        return f"{text}.{jwt.sign_hmac(text)}"

    good, payload = json.dumps(header), json.dumps(jwt.claims())
    head_none = jwt.unsigned({"alg": "none"}, jwt.claims())
    return {
        "none": f"{head_none}.",
        "None with a signature": f"{jwt.unsigned({'alg': 'None'}, jwt.claims())}.{jwt.sign_hmac(head_none)}",
        "stripped signature": jwt.mint().rpartition(".")[0] + ".",
        "two parts": jwt.mint().rpartition(".")[0],
        "four parts": jwt.mint() + ".x",
        "padding": jwt.mint() + "=",
        "crit": jwt.mint(header={"crit": ["exp"]}),
        "no algorithm": signed('{"typ":"JWT"}', payload),
        "two algorithms": signed('{"alg":"none","alg":"HS256"}', payload),
        "header is no object": signed('["HS256"]', payload),
        "claims twice": signed(good, payload[:-1] + ',"sub":"admin"}'),
        "claims are no object": signed(good, "[]"),
        "trailing garbage": signed(good, payload + "x"),
        "no sub": jwt.mint(sub=None),
        "empty sub": jwt.mint(sub=""),
        "sub is a number": jwt.mint(sub=7),
        "no exp": jwt.mint(exp=None),
        "exp is text": jwt.mint(exp="4000000000"),
        "oversized": jwt.mint(filler="x" * 20000),
        "channels is text": jwt.mint(channels="everything"),
    }


@pytest.mark.parametrize("trick", list(tricks()))
def test_tricks(shared, trick):
    assert not shared.accepts(tricks()[trick])
    assert not shared.accepts(tricks()[trick]), "nothing bad is remembered as good"


def test_issuer_and_audience(launch):
    node = launch({"token.issuers": ["https://id.example"], "token.audiences": ["carillon"]})
    good = {"iss": "https://id.example", "aud": "carillon"}
    assert node.accepts(jwt.mint(**good))
    assert node.accepts(jwt.mint(**{**good, "aud": ["other", "carillon"]}))
    assert not node.accepts(jwt.mint())
    assert not node.accepts(jwt.mint(**{**good, "iss": "https://evil.example"}))
    assert not node.accepts(jwt.mint(**{**good, "aud": "other"}))


def test_leeway(launch):
    node = launch({"token.leeway": "60s"})
    assert node.accepts(jwt.mint(expires_s=-30))
    assert node.accepts(jwt.mint(nbf=int(time.time()) + 30))
    assert not node.accepts(jwt.mint(expires_s=-90))


def test_a_token_without_end_where_that_is_allowed(launch):
    node = launch({"token.require_exp": False})
    with node.client(jwt.mint(exp=None)) as client:
        assert client.expect("session_init")["data"]["expires_at"] is None


# --- the end of a token ---

SOON_S = 2  # by a clock that stands until a test moves it


def stand(clock):
    """Returns the second at which the clock stands."""
    now_s = int(time.time())
    clock.stand(now_s)
    return now_s


def test_expiry_is_announced_then_closes(launch, clock):
    node = launch({"token.expiry_warning": "1s", "token.leeway": 0}, env=clock.env)
    now_s = stand(clock)
    with node.connect(claims={"exp": now_s + SOON_S}) as client, node.connect(claims={"exp": now_s + 600}) as other:
        client.nothing_before_pong()
        clock.stand(now_s + SOON_S - 1)
        warning = client.expect("warning")
        assert warning["data"]["code"] == "token_expiring", warning
        client.nothing_before_pong()
        clock.stand(now_s + SOON_S)
        client.expect_close(1008, "token_expired")
        other.nothing_before_pong()


def test_the_endpoint_chooses_the_close_code(launch, clock):
    node = launch({"token.leeway": 0, "endpoints": [{"path": "/ws", "close_codes": {"token_expired": 4401}}]}, env=clock.env)
    now_s = stand(clock)
    with node.connect(claims={"exp": now_s + SOON_S}) as client:
        clock.stand(now_s + SOON_S)
        client.expect_close(4401, "token_expired")


def test_a_cached_token_expires_too(launch, clock):
    node = launch({"token.leeway": 0}, env=clock.env)
    now_s = stand(clock)
    token = jwt.mint(exp=now_s + SOON_S)
    assert node.accepts(token) and node.accepts(token)
    with node.client(token) as client:
        client.start()
        clock.stand(now_s + SOON_S)
        client.expect_close(1008, "token_expired")
    with pytest.raises(Refused) as refused:
        node.client(token)
    assert "token_expired" in refused.value.response.body.decode()


def test_refresh_keeps_the_session(launch, clock):
    node = launch({"token.expiry_warning": "1s", "token.leeway": 0}, env=clock.env)
    now_s = stand(clock)
    with node.connect(claims={"exp": now_s + SOON_S}) as client, node.connect("other", claims={"exp": now_s + SOON_S}) as other:
        client.subscribe("news")
        clock.stand(now_s + SOON_S - 1)
        client.find("warning")
        end = now_s + 600
        answer = client.ask("refresh", "refreshed", token=jwt.mint(exp=end))
        assert answer["data"]["expires_at"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end)))
        # Past the first token's end, told by another session that really ends.
        clock.stand(now_s + SOON_S)
        other.expect_close(1008, "token_expired")
        node.publish("news", {"still": "here"})
        assert client.find("test")["data"] == {"still": "here"}


def test_a_fresh_token_is_not_warned_of_at_once(launch):
    node = launch({"token.expiry_warning": "1h"})
    with node.connect(claims={"expires_s": 600}) as client:
        client.expect("warning")
        client.ask("refresh", "refreshed", token=jwt.mint(exp=int(time.time()) + 600))
        client.nothing_before_pong()


def test_refresh_with_another_subject(node):
    with node.connect("one") as client:
        client.error("refresh", "conflict", token=jwt.mint("two"))
        client.nothing_before_pong()


def test_refresh_with_a_bad_token(node):
    with node.connect("one") as client:
        for token in (jwt.mint("one", expires_s=-3600), jwt.mint("one", secret="another secret that is long enough to be one"), "x"):
            error = client.error("refresh", "unauthorized", token=token)
            assert token not in json.dumps(error)
        client.nothing_before_pong()


def test_refresh_takes_away_what_the_new_token_does_not_grant(launch):
    node = launch({"channels": [{"match": "room:*", "require": "grant", "allow": ["subscribe"]}]})
    with node.connect(claims={"channels": ["room:*"]}) as client:
        client.subscribe("room:1")
        client.ask("refresh", "refreshed", token=jwt.mint(channels=["room:2"]))
        node.publish("room:1", 1)
        client.send("ping", id="fence")
        client.find("pong", id="fence")
        assert "test" not in [m["type"] for m in client.skipped], client.skipped
        client.error("subscribe", "unauthorized", channel="room:1")
        client.subscribe("room:2")
