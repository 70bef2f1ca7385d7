"""Callbacks that are told of something."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger("carillon_client")


class Emitter(Generic[T]):
    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[T], object]] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def subscribe(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Returns a function that removes the listener."""
        key = object()
        self._listeners[key] = listener

        def off() -> None:
            self._listeners.pop(key, None)

        return off

    def emit(self, value: T) -> None:
        # A copy: listeners may come and go meanwhile. One that has been removed is not called.
        for key, listener in list(self._listeners.items()):
            if key in self._listeners:
                call_safely(listener, value)

    def clear(self) -> None:
        self._listeners.clear()


def call_safely(listener: Callable[[T], object], value: T) -> None:
    """An error of one listener keeps nothing from the others."""
    try:
        listener(value)
    except Exception:
        log.exception("a listener failed")
