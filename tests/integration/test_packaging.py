"""The files that packages are made of: configurations that the server takes, and scripts that the shell takes. ./run package test tries the
packages themselves."""
import re
import subprocess

import pytest

from support.carillon import BINARY
from support.routes import ROOT

PACKAGING = ROOT / "packaging"


@pytest.mark.parametrize("script", sorted(path.relative_to(ROOT) for path in [
    *PACKAGING.glob("*.sh"), *PACKAGING.glob("deb/*.sh"), *(PACKAGING / "deb" / name for name in ("postinst", "prerm", "postrm"))]), ids=str)
def test_the_shell_takes_the_script(script):
    done = subprocess.run(["sh", "-n", ROOT / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (ROOT / script).stat().st_mode & 0o111, "it is not executable"


def test_the_configuration_of_the_debian_package(tmp_path):
    """With the secrets that postinst draws, in another folder."""
    text = (PACKAGING / "deb/carillon.jsonc").read_text()
    names = re.findall(r'_file": "/etc/carillon/([a-z-]+)"', text)
    drawn = re.findall(r"draw /etc/carillon/([a-z-]+) (\d+)", (PACKAGING / "deb/postinst").read_text())
    assert sorted(names) == sorted(name for name, _ in drawn)
    for name, size in drawn:
        (tmp_path / name).write_text("0f" * int(size) + "\n")
    (tmp_path / "carillon.jsonc").write_text(text.replace("/etc/carillon/", f"{tmp_path}/"))
    done = subprocess.run([BINARY, "check", "--config", tmp_path / "carillon.jsonc"], capture_output=True, text=True, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/carillon.jsonc: ok\n", "")
