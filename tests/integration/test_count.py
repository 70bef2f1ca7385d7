"""./run count on made counts: it reads callgrind's files, and finds a cost that grows."""
import importlib.util
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "bench" / "instructions" / "count.py"


@pytest.fixture(scope="module")
def count():
    spec = importlib.util.spec_from_file_location("count_instructions", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(count, costs):
    """Every series that must be flat, with these costs at 1, 10, 100, ..."""
    return [{"path": path, "variable": variable, "value": 10 ** i, "instructions_each": cost}
            for path, variable, _ in count.FLAT for i, cost in enumerate(costs)]


def test_flat_and_falling_costs_pass(count):
    assert count.growths(rows_of(count, [100.0, 104.0, 90.0])) == []


def test_each_cost_that_grows_is_found(count):
    # The cost falls first, because a small crowd shares the costs that are paid once. The growth after that counts.
    found = count.growths(rows_of(count, [300.0, 100.0, 201.0]))
    assert len(found) == len(count.FLAT)
    assert found[0] == ("delivery: 201.0 instructions with subscribers 100, 100.0 with 10; at most 5% more are allowed")


def test_a_cost_that_was_not_counted_is_found(count):
    assert len(count.growths(rows_of(count, [100.0]))) == len(count.FLAT)


def test_a_file_of_callgrind_is_read(count):
    text = ("version: 1\ndesc: Trigger: Client Request: delivery rules 100 2000\n"
            "events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw \nfn=(1) main\n1 5\ntotals: 500000 9 9 9 9 9 1 400\n")
    assert count.read(text) == {"path": "delivery", "variable": "rules", "value": 100,
                                "instructions_each": 250.0, "ll_misses_each": 0.201}
    assert count.read("desc: Trigger: Program termination\nevents: Ir\ntotals: 1\n") is None
