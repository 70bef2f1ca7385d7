"""Carillon, the realtime pub/sub server. `carillon` is the program, and so is `python -m carillon`."""
import shutil
import sysconfig
from pathlib import Path


def program() -> str:
    """The path of the program."""
    beside = Path(sysconfig.get_path("scripts"), "carillon")
    found = str(beside) if beside.exists() else shutil.which("carillon")
    if not found:
        raise FileNotFoundError("the package carillon is here, but not its program: install it again")
    return found
