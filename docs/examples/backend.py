"""A backend behind an endpoint of Carillon, with Python's own http.server: python3 backend.py"""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def answer(message):
    """A request of a client: two frames with its correlation id. The second frame has all of the text."""
    headers = {name: message["headers"].get(name) for name in ("correlationId", "action")}
    return [{"headers": headers, "payload": {"text": "You said"}},
            {"headers": headers, "payload": {"text": f"You said: {message['payload']['text']}", "done": True}}]


def transcribe(audio, user):
    """Audio: one frame."""
    return [{"type": "transcription", "text": f"{len(audio)} bytes of {user}"}]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, frames = 200, []
        try:
            is_json = self.headers["Content-Type"] == "application/json"
            frames = answer(json.loads(body)) if is_json else transcribe(body, self.headers["ce-userid"])
        except (ValueError, KeyError, TypeError, AttributeError):
            status = 400  # the client gets the error frame of its endpoint
        lines = "".join(json.dumps(frame) + "\n" for frame in frames).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")  # a frame for each line
        self.send_header("Content-Length", str(len(lines)))
        self.end_headers()
        self.wfile.write(lines)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9000))), Handler)
print(f"listening on {server.server_address[1]}", flush=True)
server.serve_forever()
