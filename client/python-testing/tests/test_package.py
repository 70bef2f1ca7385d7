"""The package as users get it: it installs into a fresh environment, brings its types, and pytest has the fixtures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import asyncio
import datetime
from carillon_testing import CarillonServer, JournalLine, start_carillon

def test_it(carillon: CarillonServer) -> None:
    lines: list[JournalLine] = carillon.wait.subscribed("room:1", user="ada", count=2, timeout="5s")
    kind: str = lines[0]["kind"]
    now: datetime.datetime = carillon.clock.now()
    count: int = carillon.user("ada").freeze(for_="5s", side="read")["count"]
    carillon.verify([{"kind": "connected", "user": "ada"}], nothing_else=["closed"])

    async def main() -> None:
        more: list[JournalLine] = await carillon.aio.wait.subscribed("room:1", user="ada")
        token: str = await carillon.aio.token("ada", expires="30s")
        async for line in carillon.aio.follow(kinds=["closed"]):
            number: int = line["n"]

    asyncio.run(main())

with start_carillon(seed=1, clock="frozen", config={"channels": []}) as server:
    server.reset(keep=["sessions"])
"""
WRONG = {
    'user="ada", count=2': 'usr="ada", count=2',
    'nothing_else=["closed"]': 'nothing_else=["close"]',
    'side="read"': 'side="reading"',
    "seed=1": "sede=1",
    'await carillon.aio.token("ada", expires="30s")': 'carillon.aio.token("ada", expires="30s")',
    'await carillon.aio.wait.subscribed("room:1"': "await carillon.aio.wait.subscribed(1",
}


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A Python with the package, pytest and mypy."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    python = folder / "fresh/bin/python"
    made = run(sys.executable, "-m", "venv", folder / "fresh")
    made = made if made.returncode else run(python, "-m", "pip", "install", "--quiet", "mypy", f"{folder}/source[pytest]")
    if made.returncode:
        pytest.skip(f"pip could not install: {made.stderr[-300:]}")
    return folder, python


def test_pytest_has_the_fixtures(fresh):
    folder, python = fresh
    (folder / "tests").mkdir()
    (folder / "tests/test_it.py").write_text("def test_it(carillon):\n    assert carillon.sessions() == []\n")
    done = run(python, "-m", "pytest", "-q", folder / "tests", env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
    assert list(folder.glob("fresh/lib/python*/site-packages/carillon_testing/py.typed"))


def mypy(python, folder, path):
    return run(python, "-m", "mypy", "--strict", "--cache-dir", folder / "cache", path)


def test_the_package_and_a_program_with_it_are_typed_by_mypy_strict(fresh):
    folder, python = fresh
    (folder / "program.py").write_text(PROGRAM)
    for where in (folder / "source/src", folder / "program.py"):
        found = mypy(python, folder, where)
        assert found.returncode == 0, found.stdout + found.stderr


def test_wrong_types_are_found(fresh):
    folder, python = fresh
    program = PROGRAM
    for right, wrong in WRONG.items():
        assert program.count(right) == 1
        program = program.replace(right, wrong)
    (folder / "wrong.py").write_text(program)
    found = mypy(python, folder, folder / "wrong.py")
    lines = {line.split(":")[1] for line in found.stdout.splitlines() if ": error:" in line}
    assert len(lines) == len(WRONG), found.stdout
