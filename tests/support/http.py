"""HTTP requests, one connection each: ordinary ones through the standard library, and raw bytes for what no library sends."""
import http.client
import json
import os
import socket
import ssl

from support.wait import DEADLINE_S


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # lower-case names
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"


def request(address, method, path, body=None, headers=None, seconds=DEADLINE_S):
    """body: bytes as they are, anything else as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection = http.client.HTTPConnection(*address, timeout=seconds)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)
    finally:
        connection.close()


def raw(address, sent, seconds=DEADLINE_S, shut=False):
    """Sends bytes and returns all that comes until the server closes."""
    return exchange(socket.create_connection(address, seconds), sent, shut)


def exchange(connection, sent, shut=False):
    """The same on a connection that is there, which is closed. shut: the client ends its side after what it sends, of TCP."""
    with connection:
        try:
            connection.sendall(sent)
            if shut:
                end_side(connection)
        except OSError:
            pass  # closed in the face of the rest
        return read_all(connection)


def end_side(connection):
    """Sends a FIN, by TLS without close_notify. Bytes that come are still read."""
    with socket.socket(fileno=os.dup(connection.fileno())) as tcp:
        tcp.shutdown(socket.SHUT_WR)


def read_all(connection):
    """All that comes until the other side closes or resets."""
    received = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return received
        if not chunk:
            return received
        received += chunk


def parse(received):
    """The first response in the bytes."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Response(int(lines[0].split(" ")[1]), headers, body)
