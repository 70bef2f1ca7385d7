"""Small libraries of ours that a server is started with (LD_PRELOAD), compiled where they are needed."""
import shutil
import subprocess
from pathlib import Path


def build(name, folder):
    """tests/support/<name>.c as a library in folder. Raises FileNotFoundError without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise FileNotFoundError("cc")
    library = Path(folder) / f"{name}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-pthread", "-o", library, Path(__file__).with_name(f"{name}.c")],
                   check=True)
    return library


def environment(*libraries, **more):
    return {"LD_PRELOAD": ":".join(map(str, libraries)), "ASAN_OPTIONS": "verify_asan_link_order=0", **more}
