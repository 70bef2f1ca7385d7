"""./run: every word that it lists is there, and does something."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

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
