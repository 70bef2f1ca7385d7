"""The package as users get it: it installs into a fresh environment, and brings its types."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
from carillon_client import Carillon, Event, Member, TokenRequest

async def get_token(request: TokenRequest) -> str:
    return request.why

async def main() -> None:
    async with Carillon("http://127.0.0.1:8080", get_token) as client:
        room = client.channel("room:1")
        async for event in room:
            kind: str = event.type
        members: list[Member] = await room.members()
        published = await room.publish("note", {"n": 1})
        offset: int | None = published.offset
"""


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A Python with the package, and mypy."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    python = folder / "fresh/bin/python"
    made = run(sys.executable, "-m", "venv", folder / "fresh")
    made = made if made.returncode else run(python, "-m", "pip", "install", "--quiet", "mypy", folder / "source")
    if made.returncode:
        pytest.skip(f"pip could not install: {made.stderr[-300:]}")
    return folder, python


def test_the_wheel_installs_and_imports(fresh):
    folder, python = fresh
    names = run(python, "-c", "import carillon_client; print(*carillon_client.__all__)")
    assert "Carillon" in names.stdout.split(), names.stderr
    assert list(folder.glob("fresh/lib/python*/site-packages/carillon_client/py.typed"))


def test_the_link_of_an_error_leads_to_a_section_of_a_page_in_the_package(fresh):
    folder, python = fresh
    link = run(python, "-c", "from carillon_client import CarillonError; print(CarillonError('timeout', '').link)").stdout.strip()
    page, section = link.split("#")
    [installed] = folder.glob(f"fresh/lib/python*/site-packages/carillon_client/{page}")
    assert f"### {section}\n" in installed.read_text()


@pytest.mark.parametrize("package", ["python", "python-testing"])
def test_the_readme_has_no_links_that_lead_out_of_the_package(package):
    """It is the description of the wheel."""
    assert re.findall(r"\]\((?!https?:)[^)#]+", (ROOT.parent / package / "README.md").read_text()) == []


def test_the_package_and_a_program_with_it_are_typed_by_mypy_strict(fresh):
    folder, python = fresh
    (folder / "program.py").write_text(PROGRAM)
    for where in (folder / "source/src", folder / "program.py"):
        found = run(python, "-m", "mypy", "--strict", "--cache-dir", folder / "cache", where)
        assert found.returncode == 0, found.stdout + found.stderr


def test_wrong_types_are_found(fresh):
    folder, python = fresh
    (folder / "wrong.py").write_text(PROGRAM.replace("kind: str", "kind: int"))
    found = run(python, "-m", "mypy", "--strict", "--cache-dir", folder / "cache", folder / "wrong.py")
    assert "Incompatible types in assignment" in found.stdout
