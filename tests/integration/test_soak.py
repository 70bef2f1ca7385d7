"""./run soak itself: that a seed is a plan, that growth is told from its absence, and that a short one finds nothing wrong
and says so, or does find what is wrong."""
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support import preload
from support.carillon import BINARY
from support.heap import Heap
from support.wait import SLOWDOWN

SOAK = Path(__file__).resolve().parents[1] / "soak"
sys.path.insert(0, str(SOAK))

import growth  # noqa: E402
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
    done = subprocess.run(command, env={**os.environ, "CARILLON_BIN": BINARY}, capture_output=True, text=True, timeout=300)
    return done, json.loads((folder / "report.json").read_text())


@own_heap
def test_a_short_one(tmp_path):
    done, report = soak(tmp_path / "soak", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["problems"] == [] and report["account"]["accounted delivered"] > 0
    assert "# Soak: nothing is wrong" in (tmp_path / "soak/report.md").read_text()
