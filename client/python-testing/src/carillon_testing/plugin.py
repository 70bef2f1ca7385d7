"""The fixtures for pytest. They are there once the package is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from .journal import told
from .process import StartOptions
from .server import CarillonServer, start_carillon

SHOWN = 200


@pytest.fixture(scope="session")
def carillon_options() -> StartOptions:
    """How the server starts. Write a fixture of this name to change it."""
    return {}


@pytest.fixture(scope="session")
def carillon_server(carillon_options: StartOptions) -> Iterator[CarillonServer]:
    """One server for all tests of this process."""
    with start_carillon(**carillon_options) as server:
        yield server


@pytest.fixture
def carillon(carillon_server: CarillonServer) -> CarillonServer:
    """The server, as at its start: empty, without sessions, rules and faults."""
    carillon_server.reset()
    return carillon_server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A failed test shows what the server has seen and logged."""
    outcome = yield
    report = outcome.get_result()
    server = getattr(item, "funcargs", {}).get("carillon")
    if report.failed and isinstance(server, CarillonServer):
        with contextlib.suppress(OSError):  # the server has ended: the failure says so
            lines = server.journal()
            cut = [f"({len(lines) - SHOWN} earlier lines)"] if len(lines) > SHOWN else []
            report.sections.append(("carillon journal", "\n".join([*cut, *map(told, lines[-SHOWN:])])))
        if log := server.log():
            report.sections.append(("carillon log", log))
