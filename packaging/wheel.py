#!/usr/bin/python3
"""wheel.py WHEEL: packs the wheel from build/packaging/stage and packaging/wheel. Its name says version and platform; all times in it are
SOURCE_DATE_EPOCH."""
import base64
import hashlib
import os
import sys
import time
import zipfile
from pathlib import Path

path = Path(sys.argv[1])
name, version, *tags = path.stem.split("-")
stage = Path("build/packaging/stage")
when = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
info = f"{name}-{version}.dist-info"

metadata = f"""Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: A realtime pub/sub server: events from backends to browsers and devices, over WebSocket
License: Apache-2.0
Requires-Python: >=3.8
Description-Content-Type: text/markdown

# carillon

The realtime pub/sub server Carillon, ready to run:

    carillon dev

It prints a URL to connect to, and lines that listen and publish. The program needs no other library.
`carillon.program()` is its path, for tests that start it.
"""
files = {
    f"{name}/__init__.py": Path("packaging/wheel/__init__.py").read_bytes(),
    f"{name}/__main__.py": Path("packaging/wheel/__main__.py").read_bytes(),
    f"{name}/py.typed": b"",
    f"{name}-{version}.data/scripts/carillon": (stage / "bin/carillon").read_bytes(),
    f"{info}/LICENSE": Path("LICENSE").read_bytes(),
    f"{info}/METADATA": metadata.encode(),
    f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: wheel.py\nRoot-Is-Purelib: false\nTag: {'-'.join(tags)}\n".encode(),
}
for licence in sorted((stage / "share/doc/carillon/licences").iterdir()):
    files[f"{info}/licences/{licence.name}"] = licence.read_bytes()


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


record = "".join(f"{file},sha256={digest(content)},{len(content)}\n" for file, content in files.items())
files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
with zipfile.ZipFile(path, "w") as wheel:
    for file, content in files.items():
        entry = zipfile.ZipInfo(file, when)
        entry.create_system = 3  # Unix: modes count
        entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
        wheel.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
