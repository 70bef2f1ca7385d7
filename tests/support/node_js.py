"""Node, as ./run has found or installed it, and the packages of a folder."""
import os

import pytest
from support.routes import ROOT

BIN = ROOT / "build/node/bin"
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}


def needs_packages(folder):
    """Leaves tests out where there is no Node, or where npm could not install the folder's packages."""
    there = (BIN / "node").exists() and (ROOT / folder / "node_modules").exists()
    return pytest.mark.skipif(not there, reason=f"no build/node or no {folder}/node_modules, which ./run test makes")
