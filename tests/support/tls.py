"""A certificate of its own for each test, made by openssl, and clients that trust it and nothing else."""
import os
import ssl
import struct
import subprocess


class Certificate:
    def __init__(self, folder, name="server", host="IP:127.0.0.1"):
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.host = host
        self.renew()

    def renew(self, kind=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")):
        """Another certificate and key in the same files."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes",
                        "-days", "2", "-subj", "/CN=carillon test", "-addext", f"subjectAltName={self.host}",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    @property
    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    @property
    def options(self):
        return {"tls.certificate": str(self.certificate), "tls.key": str(self.key)}

    def trusted(self):
        return ssl.create_default_context(cafile=self.certificate)

    def client(self):
        """Of a client that shows it and does not look at the other's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        return context


# --- what no library sends ---

HANDSHAKE, ALERT, APPLICATION_DATA = 22, 21, 23
CLIENT_HELLO, SERVER_HELLO = 1, 2


def record(content, kind=HANDSHAKE):
    return struct.pack("!BHH", kind, 0x0301, len(content)) + content


def extension(number, content):
    return struct.pack("!HH", number, len(content)) + content


def server_name(raw):
    """An SNI extension (RFC 6066, 3) with any bytes for a name."""
    entry = struct.pack("!BH", 0, len(raw)) + raw
    return extension(0, struct.pack("!H", len(entry)) + entry)


def client_hello(extensions=b""):
    """A message that a server answers with its ServerHello, of TLS 1.2: ECDHE with AES-GCM, ECDSA or RSA."""
    extensions += extension(10, struct.pack("!HHH", 4, 23, 29)) + extension(13, struct.pack("!HHH", 4, 0x0403, 0x0804))
    body = struct.pack("!H", 0x0303) + os.urandom(32) + b"\0" + struct.pack("!HHHH", 6, 0xC02B, 0xC02F, 0xCCA9) + b"\1\0" \
        + struct.pack("!H", len(extensions)) + extensions
    return struct.pack("!I", CLIENT_HELLO << 24 | len(body)) + body


def first_answer(received):
    """"hello", "alert" with its number, or "nothing"."""
    if len(received) >= 7 and received[0] == ALERT:
        return f"alert {received[6]}"
    if len(received) >= 6 and received[0] == HANDSHAKE and received[5] == SERVER_HELLO:
        return "hello"
    assert not received, received[:100]
    return "nothing"
