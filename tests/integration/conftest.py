import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.carillon import Node  # noqa: E402
from support.redis import Redis  # noqa: E402


class Launcher:
    """Starts nodes; closes and checks all of them at the end."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def __call__(self, config=None, **options):
        name = options.pop("name", None) or f"node{len(self.started) + 1}"
        node = Node(self.folder, config, name=name, **options)
        self.started.append(node)
        return node

    def close(self):
        failures = []
        for node in self.started:
            try:
                node.close()
            except AssertionError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


@pytest.fixture
def launch(tmp_path):
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def launch_for_module(tmp_path_factory):
    launcher = Launcher(tmp_path_factory.mktemp("nodes"))
    yield launcher
    launcher.close()


@pytest.fixture
def node(launch):
    """One node with everything allowed and the memory broker."""
    return launch()


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.close()
