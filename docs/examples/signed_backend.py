"""signed_backend.py - a backend behind Carillon, for Python 3.9 or later, without packages: it verifies each request and answers it.
Run: UPSTREAM_SECRET=… python3 signed_backend.py 9000"""
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["UPSTREAM_SECRET"]
KEY = base64.b64decode(SECRET[6:]) if SECRET.startswith("whsec_") else SECRET.encode()


def is_signed(headers, body):
    """Standard Webhooks: HMAC-SHA256 of "id.timestamp.body". There are two signatures while one secret replaces another."""
    stamp = headers.get("webhook-timestamp", "")
    text = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
    signatures = headers.get("webhook-signature", "").encode().split()
    return stamp.isdecimal() and abs(time.time() - int(stamp)) < 300 and any(
        hmac.compare_digest(one, expected.encode()) for one in signatures)


def answer(headers, body):
    """Status and JSON; None: no body."""
    kind, data = headers.get("ce-type"), json.loads(body) if body else None
    if headers.get("content-type", "").startswith("application/cloudevents-batch+json"):
        for event in data:
            print(event["id"], event["type"], json.dumps(event["data"]), flush=True)
        return 204, None
    if kind == "carillon.connect":
        return (403, None) if data["user"] == "mallory" else (200, {"subscribe": [f"user:{data['user']}"], "state": {"since": time.time()}})
    if kind == "carillon.subscribe":
        return (403 if data["channel"].startswith("secret:") else 204), None
    if kind == "carillon.connected":
        return 200, {"hello": headers["ce-userid"]}
    if kind == "carillon.disconnected":
        print(headers["ce-sessionid"], data["code"], data["reason"], flush=True)
        return 204, None
    return 200, {"headers": {"correlationId": data["headers"]["correlationId"]}, "payload": data.get("payload")}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # an answer is one write

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            status, value = answer(self.headers, body) if is_signed(self.headers, body) else (401, None)
        except (ValueError, KeyError, TypeError):
            status, value = 400, None
        text = json.dumps(value).encode() if value else b""
        self.send_response(status)
        if text:
            self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
