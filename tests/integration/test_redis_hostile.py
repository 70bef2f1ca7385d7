"""A server that is not Redis, or not any more. It announces more than a node could hold, nests without end, or speaks something else. The
node says so, keeps its memory and its listeners, and tries again."""
import socket
import threading

import pytest
from support import http
from support.wait import until

MIB = 1 << 20

# The bytes that it sends, and the node's words about them.
REPLIES = {
    "many elements": (b"*2147483648\r\n", "more than 1048576 elements"),
    "elements in all": (b"*1000000\r\n*1000000\r\n", "more than 1048576 elements"),
    "a long text": (b"$2147483648\r\n", "more than 67108864 bytes"),
    "long texts in all": (b"*3\r\n$40000000\r\n" + 40000000 * b"x" + b"\r\n$40000000\r\n", "more than 67108864 bytes"),
    "deep": (b"*1\r\n" * 100000, "more than 7 arrays within each other"),
    "no end of a line": (b"+" + b"x" * 1000000, "a line that is too long"),
    "negative": (b"*-2147483648\r\n", "a length that is no number"),
    "another protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a reply of no known type"),
    "RESP3": (b"%1\r\n+server\r\n+redis\r\n", "a reply of no known type"),
}


class Impostor:
    """Logs everybody in, and answers the first command of that name so."""

    def __init__(self, command):
        self.command = command
        self.reply = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as file:
                while line := file.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        words.append(file.read(int(file.readline()[1:]) + 2)[:-2].decode())
                    connection.sendall(self.reply if words[0] == self.command else b"+OK\r\n")
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.mark.parametrize("scheme, command", [("redis", "CLIENT"), ("redis", "SCRIPT"), ("redis", "ROLE"), ("redis", "SUBSCRIBE"),
                                             ("redis+cluster", "CLUSTER"), ("redis+sentinel", "SENTINEL")])
def test_what_is_not_redis(launch, scheme, command):
    impostor = Impostor(command)
    path = "/the-primary" if scheme == "redis+sentinel" else ""
    impostor.reply = REPLIES["negative"][0]
    node = launch({"redis.url": f"{scheme}://127.0.0.1:{impostor.port}{path}", "redis.retry_max": "100ms", "workers": 1})
    before = node.resident_bytes()
    for reply, why in REPLIES.values():
        impostor.reply = reply
        said = len(node.log())
        until(lambda: why in node.log()[said:] or why in str(node.api("GET", "/api/v1/info").json), f"it says {why!r}")
        assert http.request(node.internal, "GET", "/livez").status == 200
    assert node.resident_bytes() < before + 100 * MIB
    impostor.close()
