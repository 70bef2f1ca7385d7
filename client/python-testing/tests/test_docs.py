"""The tests of docs/testing.md and of the README, as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "client/python-testing/README.md").read_text()
SOURCES = f"{ROOT}/client/python-testing/src:{ROOT}/client/python/src"
APPLICATION = """
import asyncio, threading
from carillon_client import Carillon

def start_your_application(url, token):
    async def run():
        async with Carillon(url, lambda request: token) as client:
            async for event in client.channel("room:1"):
                pass
    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
"""


def blocks():
    """Each test of the page with the conftest.py before it, if there is one."""
    section = re.search(r"^## In Python$(.*?)(?=^## |\Z)", (ROOT / "docs/testing.md").read_text(), re.M | re.S)[1]
    found, settings = [], ""
    for block in re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S):
        if block.startswith("# conftest.py\n"):
            settings = block
        else:
            found.append((block, settings))
            settings = ""
    assert len(found) == 3
    return found


def run(folder, *words):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "carillon_testing.plugin", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("block, settings", blocks(), ids=["token", "application", "time"])
def test_a_test_of_the_page_passes(tmp_path, block, settings):
    (tmp_path / "test_page.py").write_text(block)
    (tmp_path / "conftest.py").write_text(settings)
    done = run(tmp_path)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


def test_the_test_of_a_token_is_short():
    assert len([line for line in blocks()[0][0].splitlines() if line.strip()]) < 20


def test_the_test_of_the_readme_passes(tmp_path):
    block = re.search(r"^```python\n(.*?)^```$", README, re.M | re.S)[1]
    (tmp_path / "test_readme.py").write_text(APPLICATION + block)
    done = run(tmp_path)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_readme_names_words_that_there_are(carillon):
    """Each call of its table, up to its arguments."""
    table = re.search(r"^\| to \| write \|.*?\n\n", README, re.M | re.S)[0]
    named = {name for cell in re.findall(r"`([^`]*)`", table) for name in re.findall(r"^(?:await carillon\.)?([\w.]+)", cell)}
    assert len(named) > 25
    for name in named:
        thing = carillon
        for part in name.split("."):
            thing = getattr(thing, part)
