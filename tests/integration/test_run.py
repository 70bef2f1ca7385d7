"""./run: every word that it lists is there, and does something."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from support.wait import TOOL_S

RUN = pathlib.Path(__file__).resolve().parents[2] / "run"
TEXT = RUN.read_text()
COUNT = RUN.parent / "tests/support/count.py"


BRANCHES = TEXT[TEXT.index("case $word in") :]
WORDS = set(re.findall(r"^([a-z]+)\)", BRANCHES, re.M))


@pytest.mark.parametrize("arguments", [(), ("help",), ("-h",), ("--help",)])
def test_the_usage_lists_the_words(arguments):
    usage = subprocess.run([RUN, *arguments], capture_output=True, text=True, check=True).stdout
    assert WORDS == {word for words in re.findall(r"^  ([a-z]+(?:, [a-z]+)*)", usage, re.M) for word in words.split(", ")}


def test_contributing_lists_the_words():
    page = (RUN.parent / "CONTRIBUTING.md").read_text()
    others, = re.findall(r"lists the other words: (.*)", page)
    assert {*others.split(", "), "test"} == WORDS
    assert set(re.findall(r"\./run ([a-z]+)", page)) <= WORDS


def test_no_such_word():
    answer = subprocess.run([RUN, "tset"], capture_output=True, text=True)
    assert answer.returncode == 2
    assert "there is no word 'tset'" in answer.stderr


@pytest.mark.parametrize("word", sorted(WORDS - {"dev", "bench", "soak"}))  # those three have programs that answer
def test_a_word_says_what_it_takes(word):
    for arguments in (["--help"], ["-h"]):
        done = subprocess.run([RUN, word, *arguments], capture_output=True, text=True, timeout=TOOL_S)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.match(rf"  (\w+, )*{word}\b", done.stdout), done.stdout
        words = re.findall(r"^  ([a-z]+(?:, [a-z]+)*)", done.stdout, re.M)
        assert all(word in line.split(", ") for line in words), done.stdout


@pytest.mark.parametrize("arguments, said", [
    *((f"{word} now", f"'{word}' takes no argument, and got: now") for word in ("build", "fmt", "lint", "count", "clean")),
    *((f"{word} long", f"'{word}' takes a number, and got: long") for word in ("fuzz", "sim", "soak")),
    ("fuzz -1", "'fuzz' takes a number, and got: -1"),
    ("fuzz 1 2", "'fuzz' takes a number, and got: 1 2"),
    ("sim mutations all", "'sim' takes a number, and got: mutations all"),
    ("package rpm", "there is no package 'rpm'; there are: tarball npm wheel deb image"),
    ("package relocatable", "there is no package 'relocatable'; there are: tarball npm wheel deb image"),  # a script, and no kind
    ("package test rpm", "there is no package 'rpm'; there are: tarball npm wheel deb image"),
])
def test_what_a_word_does_not_take_is_refused(tmp_path, arguments, said):
    shutil.copy(RUN, tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "cmake").mkdir()
    (tmp_path / "cmake/commit.txt").write_text("0123 1700000000\n")
    for file in ("packaging", "CMakeLists.txt"):
        (tmp_path / file).symlink_to(RUN.parent / file)
    done = subprocess.run([tmp_path / "run", *arguments.split()], capture_output=True, text=True, timeout=TOOL_S)
    assert done.returncode == 2 and done.stderr.startswith(f"run: {said}\n  {arguments.split()[0]} "), done
    assert (tmp_path / "build").exists() and not list((tmp_path / "build").glob("*.log")), "something was done"


@pytest.mark.parametrize("branch", re.findall(r"^[a-z]+\)\n?(.*?);;$", BRANCHES, re.M | re.S))
def test_what_a_word_calls_is_there(branch):
    """A function of that name, or a command. (A merge once lost one, and nobody noticed.)"""
    functions = set(re.findall(r"^(\w+)\(\) {$", TEXT, re.M))
    for line in filter(None, map(str.strip, branch.splitlines())):
        called = re.sub(r"^(\w+=\S+ |exec )*", "", line).split()[0]
        assert called in functions or shutil.which(called) or "/" in called, line


def count(folder, kinds, **files):
    """The output of count.py for JUnit files with so many passed and failed tests."""
    for name, (passed, failed) in files.items():
        cases = "<testcase/>" * passed + "<testcase><failure/></testcase>" * failed
        (folder / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    done = subprocess.run([sys.executable, "-B", COUNT, folder, *kinds], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("files, said", [
    ({"unit": (3, 0), "first": (2, 0), "rest": (1, 0)}, (0, "total: 6 passed, 0 failed")),
    ({"unit": (3, 0), "first": (2, 0), "rest": (0, 0)}, (0, "total: 5 passed, 0 failed")),
    ({"unit": (3, 0), "first": (2, 0), "rest": (0, 1)}, (1, "total: 5 passed, 1 failed")),
    ({"unit": (3, 0), "first": (2, 0)}, (1, "total: 3 passed, 1 failed")),  # a part that did not run
    ({"unit": (3, 0), "first": (0, 0), "rest": (0, 0)}, (1, "total: 3 passed, 1 failed")),  # no test of that kind
])
def test_what_ran_is_counted(tmp_path, files, said):
    assert count(tmp_path, ["unit", "first+rest"], **files) == said
