"""A running `carillon dev`."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, TypedDict

from .binary import find_binary
from .bodies import Facts

READY_S = 30.0
GRACE_S = 2.0
END_S = 5.0
LOG_LINES = 1000


class StartOptions(TypedDict, total=False):
    """How the server starts."""

    seed: int
    """Ids, epochs and jitter repeat from run to run."""
    at: str
    """The time at which the clock starts, such as `2026-01-01T00:00:00Z`."""
    clock: str
    """`frozen`: it stands still until you move it."""
    config: str | os.PathLike[str] | Mapping[str, Any]
    """The configuration of production: its path, or what is in it."""
    preset: str
    """Endpoints of another shape (docs/endpoints.md)."""
    users: Sequence[str]
    """Users that get a token at the start."""
    args: Sequence[str]
    """More flags of `carillon dev`, such as `["--pong-timeout", "5m"]`."""
    env: Mapping[str, str]
    """More environment variables. Of this process the server inherits no `CARILLON_…`."""
    binary: str | os.PathLike[str]
    """The path of the server."""


class ServerProcess:
    """It ends with this process, however that ends."""

    def __init__(self, options: StartOptions) -> None:
        binary = find_binary(options.get("binary"))
        self._folder = tempfile.TemporaryDirectory(prefix="carillon-")
        self._log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        words = [binary, *_flags(options, self._folder.name)]
        self._process = subprocess.Popen(
            words, env=_environment(options.get("env", {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert self._process.stdout and self._process.stderr
        self._reader = threading.Thread(target=self._log.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        self.facts = self._first_line(self._process.stdout)

    def _first_line(self, output: IO[str]) -> Facts:
        impatience = threading.Timer(READY_S, self._process.kill)
        impatience.start()
        line = output.readline()
        was_late = impatience.finished.is_set()
        impatience.cancel()
        if not line.endswith("\n"):
            why = self.why_ended()
            self.stop()
            raise RuntimeError(f"carillon was not ready within {READY_S:g} s: {why}" if was_late else why)
        facts: Facts = json.loads(line)
        return facts

    def log(self) -> str:
        return "".join(self._log)

    def why_ended(self) -> str | None:
        """None: it runs. A connection may break a little before the process is known to have ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(GRACE_S)
            self._reader.join(1)
            how = f"with code {code}" if code >= 0 else f"by signal {-code}"
            return f"carillon has ended {how}\n{self.log()}".rstrip()
        return None

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        self._folder.cleanup()


def _flags(options: StartOptions, folder: str) -> list[str]:
    words = ["dev", "--port", "0", "--internal-port", "0", "--json", "--exit-with-parent", "--quiet"]
    config = options.get("config")
    if isinstance(config, Mapping):
        path = os.path.join(folder, "carillon.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        config = path
    for flag, value in (("--seed", options.get("seed")), ("--at", options.get("at")), ("--clock", options.get("clock")),
                        ("--config", config), ("--preset", options.get("preset"))):  # fmt: skip
        if value is not None:
            words += [flag, str(value)]
    for user in options.get("users", ()):
        words += ["--user", user]
    return [*words, *options.get("args", ())]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """With keys of its own the server leaves nothing in the working directory."""
    left_out = ("PORT", "REDIS_URL")  # the server would use them
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_") and name not in left_out}
    keys = {"CARILLON_TOKEN_SECRET": secrets.token_hex(64), "CARILLON_API_KEYS": secrets.token_hex(24)}
    return {**inherited, **keys, **more}
