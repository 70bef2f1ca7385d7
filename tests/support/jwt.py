"""Tokens, signed without any code of Carillon's: HMAC by the standard library, the other algorithms by openssl."""
import base64
import hashlib
import hmac
import json
import subprocess
import time

SECRET = "a secret for tests only, of 64 bytes and more, so that HS512 takes it"


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(sub="user-456", expires_s=600, **more):
    out = {"sub": sub, "exp": int(time.time()) + expires_s, "channels": ["*"]}
    out.update(more)
    return {name: value for name, value in out.items() if value is not None}


def unsigned(header, payload):
    return f"{encode(json.dumps(header).encode())}.{encode(json.dumps(payload).encode())}"


def sign_hmac(text, secret=SECRET, bits=256):
    return encode(hmac.new(secret.encode(), text.encode(), f"sha{bits}").digest())


def mint(sub="user-456", secret=SECRET, header=None, bits=256, **more):
    """An HS256 token. Claims with the value None are left out."""
    text = unsigned({"alg": f"HS{bits}", "typ": "JWT", **(header or {})}, claims(sub, **more))
    return f"{text}.{sign_hmac(text, secret, bits)}"


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=given, check=True, capture_output=True).stdout


class KeyPair:
    """A key of that algorithm in a folder: private_path and public_path are PEM files."""

    _generate = {
        "RS": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "PS": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "ES384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "EdDSA": ["-algorithm", "ED25519"],
    }

    def __init__(self, folder, algorithm, name=None):
        self.algorithm = algorithm
        self.private_path = folder / f"{name or algorithm}.key.pem"
        self.public_path = folder / f"{name or algorithm}.pub.pem"
        options = self._generate.get(algorithm) or self._generate[algorithm[:2]]
        openssl("genpkey", "-out", self.private_path, *options)
        openssl("pkey", "-in", self.private_path, "-pubout", "-out", self.public_path)

    def sign(self, text):
        kind, bits = self.algorithm[:2], self.algorithm[2:]
        if kind == "Ed":
            # openssl cannot sign a pipe with Ed25519: it needs to know the length.
            path = self.private_path.with_suffix(".text")
            path.write_text(text)
            return encode(openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private_path, "-in", path))
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"] if kind == "PS" else []
        signature = openssl("dgst", f"-sha{bits}", "-sign", self.private_path, *options, given=text.encode())
        return encode(self._plain(signature, int(bits) // 8) if kind == "ES" else signature)

    @staticmethod
    def _plain(der, size):
        """The two integers of a DER ECDSA signature side by side (RFC 7518, 3.4)."""
        at = 2 if der[1] < 128 else 3
        out = b""
        for _ in range(2):
            length = der[at + 1]
            out += int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(size, "big")
            at += 2 + length
        return out

    def mint(self, sub="user-456", header=None, **more):
        text = unsigned({"alg": self.algorithm, "typ": "JWT", **(header or {})}, claims(sub, **more))
        return f"{text}.{self.sign(text)}"
