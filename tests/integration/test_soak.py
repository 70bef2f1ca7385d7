"""./run soak itself. A seed is a plan, and growth is told from its absence. A short soak finds nothing wrong and says so, or finds a fault
that is there."""
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import preload
from support.accounting import Ledger
from support.carillon import BINARY
from support.heap import Heap
from support.wait import SLOWDOWN, TOOL_S

SOAK = Path(__file__).resolve().parents[1] / "soak"
sys.path.insert(0, str(SOAK))

import growth  # noqa: E402
import soak as runner  # noqa: E402
from plan import Plan  # noqa: E402

own_heap = pytest.mark.skipif(SLOWDOWN > 1, reason="a sanitizer has a heap of its own, and wants to be loaded first")
WEIGHTS = {"a": 1, "b": 3, "c": 0.5}


def steps(seed, count=50):
    plan = Plan(seed, WEIGHTS)
    return [(s.pause_s, s.name, s.hurried, s.random.random()) for s in (plan.next() for _ in range(count))]


def test_a_seed_is_a_plan():
    assert steps(7) == steps(7) != steps(8)
    plan = Plan(7, WEIGHTS)
    for first in steps(7):  # whatever the faults ask of their own dice
        step = plan.next()
        assert (step.pause_s, step.name, step.hurried, step.random.random()) == first
        for _ in range(random.randrange(9)):
            step.random.random()


def life(count=60, leak=0, resident_leak=0, begin=1 << 20, warm_up=0, fds_leak=0, seed=1):
    """A sample every half minute: connections come and go and take memory, and there is noise."""
    dice = random.Random(seed)
    samples = []
    for n in range(count):
        connections = dice.randrange(60, 200)
        heap = begin + connections * 6000 + dice.gauss(0, 100e3) + leak * n - max(0, warm_up - n) * 200e3
        samples.append(growth.Sample(n * 30, "node0", 1, heap, 8e6 + 1.3 * heap + resident_leak * n,
                                     24 + connections + fds_leak * n, connections))
    return samples


@pytest.mark.parametrize("seed", range(20))
def test_what_does_not_grow(seed):
    assert growth.problems(life(seed=seed)) == []
    assert growth.problems(life(seed=seed, warm_up=15)) == []
    assert growth.problems(life(seed=seed, count=9)) == []


@pytest.mark.parametrize("seed", range(20))
def test_what_leaks(seed):
    problem, = growth.problems(life(seed=seed, leak=20e3))  # 20 KB every half minute, where noise is 100
    assert "leaks" in problem
    problem, = growth.problems(life(seed=seed, resident_leak=300e3))
    assert "resident" in problem
    problem, = growth.problems(life(seed=seed, fds_leak=1))
    assert "descriptors" in problem


@own_heap
def test_bytes_of_the_heap(launch, tmp_path):
    try:
        heap = Heap(tmp_path / "heap", preload.build("heap", tmp_path))
    except FileNotFoundError:
        pytest.skip("no C compiler")
    node = launch({"workers": 1}, env=preload.environment(heap.library, **heap.variables))
    before = heap.bytes_in_use()
    clients = [node.connect(f"user-{n}") for n in range(200)]
    assert heap.bytes_in_use() > before + 200 * 1000
    for client in clients:
        client.close()


def soak(folder, *arguments):
    command = [sys.executable, "-B", SOAK / "soak.py", "6", "--clients", "6", "--idle", "20", "--folder", folder, *arguments]
    done = subprocess.run(command, env={**os.environ, "CARILLON_BIN": BINARY}, capture_output=True, text=True, timeout=TOOL_S)
    return done, json.loads((folder / "report.json").read_text())


@own_heap
@pytest.mark.long
@pytest.mark.parametrize("topology", runner.TOPOLOGIES)
def test_a_short_one(tmp_path, topology):
    done, report = soak(tmp_path / "soak", "--seed", "1", "--topology", topology)
    assert done.returncode == 0 and report["problems"] == [], f"{report['problems'][:5]}\n{done.stdout}{done.stderr}"
    assert report["account"]["accounted delivered"] > 0
    assert "# Soak: nothing is wrong" in (tmp_path / "soak/report.md").read_text()


@own_heap
@pytest.mark.long
def test_one_that_has_some_faults_only(tmp_path):
    done, report = soak(tmp_path / "soak", "--topology", "cluster", "--only", "replica_takes_over")
    assert done.returncode == 0 and set(report["faults"]) <= {"replica_takes_over"}, f"{report}\n{done.stdout}{done.stderr}"
    assert "--only replica_takes_over`" in (tmp_path / "soak/report.md").read_text()
    refused = subprocess.run([sys.executable, "-B", SOAK / "soak.py", "--only", "slots_move"], capture_output=True, text=True)
    assert refused.returncode == 2 and "no such fault with single: slots_move; there are client_does_not_read, " in refused.stderr


class QuietWorld:
    """A calm in which all is right at once. problem: something that is not."""

    nodes = []

    def __init__(self, problem=None):
        self.problem = problem
        self.ledger = Ledger()
        self.crowd = SimpleNamespace(calm=lambda *_: None, go_on=lambda: None, publishers=[], subscribers=[])
        self.redis = SimpleNamespace(whole=lambda: None)
        self.idlers = SimpleNamespace(open=3, wanted=3)
        self.contenders = SimpleNamespace(leave=lambda: None, check=self.check_limit)

    def reconnects(self):
        return 0

    def all_ready(self):
        if self.problem == "readiness":
            raise TimeoutError("not ready")

    def befall(self, random):
        if self.problem == "fault":
            raise AssertionError("the fault had no effect")
        if self.problem == "ledger":
            self.ledger.problem("something is missing")

    def check_limit(self, seconds):
        assert self.problem != "limit", "one too many"

    def check_histories(self, turn):
        assert self.problem != "history", "a hole"
        if self.problem == "crash":
            raise KeyError("unforeseen")

    def sessions(self):
        return 4 if self.problem == "sessions" else 3

    def expected_sessions(self):
        return 3

    def wrong_epochs(self):
        return "one was not told" if self.problem == "epoch" else ""

    def wrong_presence(self):
        return "a ghost" if self.problem == "presence" else ""

    def close(self):
        return ["an assertion in a log"] if self.problem == "end" else []


@pytest.mark.parametrize("problem", [None, "readiness", "fault", "ledger", "limit", "history", "crash", "sessions", "epoch", "presence", "end"])
def test_the_verdict(tmp_path, monkeypatch, problem):
    monkeypatch.setattr(runner, "World", lambda *_: QuietWorld(problem))
    monkeypatch.setattr(runner, "TOPOLOGIES", {"quiet": SimpleNamespace(WEIGHTS={QuietWorld.befall: 1})})
    monkeypatch.setattr(runner, "BACK_S", 0.05)
    monkeypatch.setattr(runner, "wait", lambda seconds: None)
    arguments = SimpleNamespace(topology="quiet", seed=1, seconds=0.01, clients=1, idle=3, pause_ms=1, workers=1, only=None, folder=tmp_path / "soak")
    assert runner.Soak(arguments).run() == (1 if problem else 0)
    report = json.loads((tmp_path / "soak/report.json").read_text())
    assert bool(report["problems"]) == bool(problem)
    assert (problem is None) == ("nothing is wrong" in (tmp_path / "soak/report.md").read_text())
