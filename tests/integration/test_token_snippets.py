"""The snippets of docs/tokens.md that make tokens: each is run as it stands, where its language is on this machine."""
import os
import re
import shutil
import subprocess

import pytest
from support.carillon import ROOT, run
from support.wait import TOOL_S

SECRET = "a secret of this test, as text, with more than 32 bytes"
# Language of the snippet: a name for its file, and the command that runs it.
LANGUAGES = {
    "js": ("token.mjs", ["node"]),
    "python": ("token.py", ["/usr/bin/python3", "-I"]),
    "php": ("token.php", ["php"]),
    "go": ("token.go", ["go", "run"]),
    "ruby": ("token.rb", ["ruby"]),
    "java": ("Token.java", ["java"]),
}
SNIPPETS = dict(re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs/tokens.md").read_text(), re.M | re.S))


def test_each_language_has_a_snippet():
    assert set(SNIPPETS) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_token_of_the_snippet_is_accepted(language, tmp_path):
    name, command = LANGUAGES[language]
    node = ROOT / "build/node/bin"
    path = f"{node}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/local/go/bin"
    if not shutil.which(command[0], path=path):
        pytest.skip(f"{command[0]} is not on this machine")
    (tmp_path / name).write_text(SNIPPETS[language])
    environment = {"PATH": path, "HOME": str(tmp_path), "GOCACHE": str(ROOT / "build/go-cache"),
                   "CARILLON_TOKEN_SECRET": SECRET}
    made = subprocess.run([*command, name], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          timeout=TOOL_S)  # the first one compiles a standard library
    assert made.returncode == 0, made.stderr
    seen = run("token", "inspect", given=made.stdout, env={"CARILLON_TOKEN_SECRET": SECRET})
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert "user-456" in seen.stdout and "conversation:*" in seen.stdout
    other = run("token", "inspect", given=made.stdout, env={"CARILLON_TOKEN_SECRET": SECRET + "."})
    assert other.returncode == 1
