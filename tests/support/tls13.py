"""A client of TLS 1.3 that can send any record after its handshake (RFC 8446 5.2), which Python's ssl cannot. The handshake is Python's.
The keys come from its key log, the encryption from libcrypto."""
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import socket
import ssl
import struct

from support.wait import DEADLINE_S

HANDSHAKE = 22
TAG = 16
GET_TAG = 0x10  # EVP_CTRL_AEAD_GET_TAG

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p


def expand_label(secret, label, length):
    """HKDF-Expand-Label without a context (RFC 8446 7.1), of at most one block."""
    label = b"tls13 " + label
    info = struct.pack("!HB", length, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\x01", hashlib.sha384).digest()[:length]


def aes_256_gcm(key, nonce, plain, head):
    """The ciphertext and its tag."""
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out, written = ctypes.create_string_buffer(len(plain) + TAG), ctypes.c_int()
    tag = ctypes.create_string_buffer(TAG)
    done = [crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce),
            crypto.EVP_EncryptUpdate(context, None, ctypes.byref(written), head, len(head)),
            crypto.EVP_EncryptUpdate(context, out, ctypes.byref(written), plain, len(plain)),
            crypto.EVP_EncryptFinal_ex(context, tag, ctypes.byref(ctypes.c_int())),
            crypto.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG, tag)]
    crypto.EVP_CIPHER_CTX_free(context)
    assert done == [1] * 5
    return out.raw[:len(plain)] + tag.raw


class Client:
    """Connected and shaken hands. Later data must go by `record` too, because the records are counted here."""

    def __init__(self, address, context, folder):
        log = os.path.join(folder, "keys.log")
        context.keylog_filename = log
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.socket = socket.create_connection(address, DEADLINE_S)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.retry(self.tls.do_handshake)
        self.socket.sendall(self.outgoing.read())
        assert self.tls.cipher()[0] == "TLS_AES_256_GCM_SHA384"
        with open(log) as lines:
            secret = bytes.fromhex(next(line.split()[2] for line in lines if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")))
        self.key, self.iv = expand_label(secret, b"key", 32), expand_label(secret, b"iv", 12)
        self.sequence = 0

    def retry(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                received = self.socket.recv(65536)
                if not received:
                    raise ConnectionError("closed") from None
                self.incoming.write(received)

    def send(self, content, kind=23):
        inner = content + bytes([kind])
        head = struct.pack("!BHH", 23, 0x0303, len(inner) + TAG)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.sequence.to_bytes(12, "big")))
        self.sequence += 1
        self.socket.sendall(head + aes_256_gcm(self.key, nonce, inner, head))

    def recv(self):
        return self.retry(lambda: self.tls.read(65536))
