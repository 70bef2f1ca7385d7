"""The internal listener of a server, by HTTP. Threads may share an Api."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any


class CarillonError(Exception):
    """The server has refused an order. The text says what was wrong with it."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """Connections are used again and again."""

    def __init__(self, url: str, key: str, why_ended: Callable[[], str | None]) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self._why_ended = why_ended
        self._idle: list[http.client.HTTPConnection] = []

    def order(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an answer that is a success. None for an empty one."""
        status, text = self.ask(method, path, body)
        if status >= 300:
            raise refusal(method, path, status, text)
        return json.loads(text) if text else None

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Status and text of an answer, whatever its status."""
        status, text, _ = self.ask_all(method, path, body)
        return status, text

    def ask_all(self, method: str, path: str, body: object = None) -> tuple[int, str, Message]:
        """The same, and the header fields."""
        content = None if body is None else json.dumps(body).encode()
        try:
            try:
                kept: http.client.HTTPConnection | None = self._idle.pop()
            except IndexError:
                kept = None
            if kept:
                try:
                    return self._send(kept, method, path, content)
                except (http.client.RemoteDisconnected, ConnectionError):
                    kept.close()  # it has ended while it was idle: the order has not arrived
            return self._send(http.client.HTTPConnection(*self._address), method, path, content)
        except (http.client.HTTPException, OSError) as error:
            raise ConnectionError(f"{method} {path}: {self._why_ended() or error}") from error

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, content: bytes | None
    ) -> tuple[int, str, Message]:
        connection.request(method, path, content, self._headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        self._idle.append(connection)
        return answer.status, text, answer.headers

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def refusal(method: str, path: str, status: int, text: str) -> CarillonError:
    try:
        error = json.loads(text)["error"]
        return CarillonError(f"{method} {path}: {status} {error['message']}", status, error["code"])
    except (ValueError, KeyError, TypeError):
        return CarillonError(f"{method} {path}: {status} {text}", status, "")


def given(**members: object) -> dict[str, object]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def query(members: Mapping[str, object]) -> str:
    return urllib.parse.urlencode({name: str(value) for name, value in members.items()})


def segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
