"""The routes of the internal listener, read from the table that the server has them from."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "common/protocol/routes.def"


def routes():
    """(method, path, whether it needs a key) of each; one segment of a path may be {}."""
    found = re.findall(r'^ROUTE\("(\w+)", "(\S+)", (true|false),', TABLE.read_text(), re.M)
    assert len(found) == len(re.findall(r"^ROUTE", TABLE.read_text(), re.M))
    return [(method, path, key == "true") for method, path, key in found]
