"""docs/install.md: the lines of each way are run as they are printed, after the one that installs, with this program in its place.
./run package test runs the installations."""
import re
import shutil
import subprocess

import pytest

from support.carillon import BINARY, clean_environment
from support.routes import ROOT
from support.wait import TOOL_S

PAGE = (ROOT / "docs/install.md").read_text()

# The ports are those that a user has, so the lines have a network of their own.
NETWORK = ["unshare", "--user", "--map-root-user", "--net"]
can_have_a_network = shutil.which("unshare") and shutil.which("ip") and subprocess.run([*NETWORK, "ip", "link", "set", "lo", "up"],
                                                                                      capture_output=True).returncode == 0

BEFORE = r"""
set -eu
ip link set lo up
started=
trap 'code=$?; kill $started 2>/dev/null || true; wait || true; exit $code' EXIT
told() {
    for _ in $(seq 200); do
        ! grep -q "$1" out || return 0
        sleep 0.1
    done
    cat out >&2
    exit 9
}
"""


def lines_of(way):
    section = PAGE.partition(f"\n## {way}\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (.+)$", section.partition("\n    ")[0] + "\n    " + section.partition("\n    ")[2].partition("\n\n")[0], re.M)


def test_each_way_takes_at_most_five_lines():
    for way in ("npm", "Python", "Tarball", "Debian and Ubuntu", "Image", "Compose", "Source"):
        assert 2 <= len(lines_of(way)) <= 5, way


@pytest.mark.skipif(not can_have_a_network, reason="this user cannot make a network namespace")
@pytest.mark.parametrize("way, program", [("npm", "bin/npx"), ("Python", "bin/carillon"), ("Tarball", "carillon"), ("Source", "build/release/carillon")])
def test_the_lines_end_with_the_first_event(tmp_path, way, program):
    program = tmp_path / program
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text('#!/bin/sh\n[ "${0##*/} $1" != "npx carillon" ] || shift\n' + f'exec {BINARY} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "run").write_text(f'#!/bin/sh\nexec {BINARY} "$@"\n')
    (tmp_path / "run").chmod(0o755)
    script = BEFORE
    for line in lines_of(way)[1:]:
        if line.endswith(" &"):
            sign = "subscribed to" if " listen " in line else " ready in "
            script += f'{line[:-2]} >>out 2>&1 &\nstarted="$started $!"\ntold "{sign}"\n'
        else:
            script += line + "\n"
    script += "told '\"message\":\"Hello\"'\n"
    done = subprocess.run([*NETWORK, "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=TOOL_S,
                          env={**clean_environment(), "PATH": f"{tmp_path}/bin:{clean_environment()['PATH']}"})
    assert done.returncode == 0, done
