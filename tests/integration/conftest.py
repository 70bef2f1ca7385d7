import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.carillon import Node  # noqa: E402
from support.redis import Cluster, Redis  # noqa: E402
from support.tls import Certificate  # noqa: E402
from support.wait import until  # noqa: E402
from support.wall_clock import WallClock  # noqa: E402


MARKERS = {
    "alone": "measures time, CPU or memory: runs after all others, with no other test beside it",
    "long": "may take ten seconds or more: begins before all others",
}


def pytest_configure(config):
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


@pytest.hookimpl(tryfirst=True)  # before the names of groups become part of a test's name
def pytest_collection_modifyitems(items):
    """Tests that share a node of their module stay in one worker."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        definitions = item._fixtureinfo.name2fixturedefs.items()
        if any(one[-1].scope == "module" for name, one in definitions if name != "transport"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_make_parametrize_id(val, argname):
    """Workers that run side by side must give each test the same name. So no name has a token in it: a token is another one each time."""
    return argname if isinstance(val, str) and ("eyJ" in val or len(val) > 60) else None


class Launcher:
    """Starts nodes. Closes and checks all of them at the end."""

    def __init__(self, folder, certificate=None):
        """certificate: nodes speak TLS on the public listener, and their clients too."""
        self.folder = folder
        self.certificate = certificate
        self.started = []

    def __call__(self, config=None, **options):
        name = options.pop("name", None) or f"node{len(self.started) + 1}"
        node = Node(self.folder, config, name=name, certificate=self.certificate, **options)
        self.started.append(node)
        return node

    def pair(self, redis, config=None):
        """Two nodes on one Redis, when both are ready."""
        nodes = [self({"redis.url": redis.url, "redis.canary_interval": "1s", **(config or {})}) for _ in range(2)]
        for node in nodes:
            until(node.ready, f"{node.name} is ready")
        return nodes

    def close(self):
        failures = []
        for node in self.started:
            try:
                node.close()
            except AssertionError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def transport(request, certificate):
    """The certificate of nodes whose public listener speaks TLS; None: plaintext. See support/transports.py."""
    return certificate if getattr(request, "param", "plain") == "tls" else None


@pytest.fixture
def launch(tmp_path, transport):
    launcher = Launcher(tmp_path, transport)
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def launch_for_module(tmp_path_factory, transport):
    launcher = Launcher(tmp_path_factory.mktemp("nodes"), transport)
    yield launcher
    launcher.close()


@pytest.fixture
def node(launch):
    """One node with everything allowed and the memory broker."""
    return launch()


@pytest.fixture
def clock(tmp_path):
    """A wall clock for nodes that are started with its env."""
    try:
        return WallClock(tmp_path)
    except FileNotFoundError:
        pytest.skip("no C compiler to build the clock with")


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.close()
