"""Where the server is."""

from __future__ import annotations

import importlib
import os
import shutil


def _of_package() -> tuple[str | None, str]:
    """The program of the PyPI package `carillon`, or why there is none."""
    try:
        package = importlib.import_module("carillon")
        return str(package.program()), ""
    except ModuleNotFoundError:
        return None, "it is not installed: pip install FOLDER/carillon-[0-9]*.whl, from the folder of a release (docs/install.md)"
    except (AttributeError, FileNotFoundError) as error:
        return None, str(error)


def find_binary(given: str | os.PathLike[str] | None = None) -> str:
    """The path that is given, or that of `CARILLON_BIN`, of the PyPI package `carillon`, or of `PATH`."""
    for name, path in (("the option binary", given), ("CARILLON_BIN", os.environ.get("CARILLON_BIN"))):
        if path:
            if not (os.path.isfile(path) and os.access(path, os.X_OK)):
                raise FileNotFoundError(f"{name} is {os.fspath(path)}: there is no program at this path")
            return os.path.abspath(path)
    program, why = _of_package()
    found = program or shutil.which("carillon")
    if found:
        return found
    raise FileNotFoundError(
        "no Carillon server was found:\n  the option binary and CARILLON_BIN are not set\n"
        f"  the package carillon: {why}\n  there is no carillon in PATH"
    )
