"""An HTTP backend behind an upstream. A test gives the function that answers, and looks at the requests."""
import base64
import json
import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.wait import DEADLINE_S, until


class Call:
    """One request."""

    def __init__(self, handler, body):
        self.method = handler.command
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self.type = self.headers.get("ce-type", "").removeprefix("carillon.")
        self._handler = handler

    def json(self):
        return json.loads(self.body)

    def decoded(self, name):
        """The JSON in a header that is base64url."""
        value = self.headers[name]
        return json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))

    # --- answers ---

    def answer(self, status=204, body=b"", type_=None, **headers):
        handler = self._handler
        body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        if type_ or body:
            handler.send_header("Content-Type", type_ or "application/json")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def begin(self, type_, **headers):
        """An answer in chunks follows: chunk() and finish()."""
        handler = self._handler
        handler.send_response(200)
        handler.send_header("Content-Type", type_)
        handler.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    def chunk(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def finish(self):
        self._handler.wfile.write(b"0\r\n\r\n")

    def reset(self):
        """The connection is reset at once."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self._handler.connection.detach())


class Backend:
    """answer(call) runs in a thread of its own for each connection. Default: 204."""

    def __init__(self, answer=None, port=0):
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                call = Call(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
                with backend.lock:
                    backend.calls.append(call)
                try:
                    (backend.answer or (lambda one: one.answer()))(call)
                except OSError:
                    self.close_connection = True

            do_OPTIONS = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_):
                pass

        self.answer = answer
        self.calls = []
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/frames"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def of_type(self, type_):
        with self.lock:
            return [call for call in self.calls if call.type == type_]

    def wait_for(self, type_, count=1, seconds=DEADLINE_S):
        """The first calls of that type, once there are so many."""
        return until(lambda: len(self.of_type(type_)) >= count and self.of_type(type_), f"{count} calls {type_}", seconds)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
