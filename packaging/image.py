#!/usr/bin/python3
"""image.py ARCHIVE TAG: rewrites an archive of `buildah push` with what `docker load` needs, so that its bytes depend on the image alone.

Buildah draws names for the containers in which it builds, and writes them into the configuration of the image. All times are SOURCE_DATE_EPOCH.
"""
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

archive, tag = Path(sys.argv[1]), sys.argv[2]
with tarfile.open(archive) as read:
    content = {member.name: read.extractfile(member).read() for member in read if member.isfile()}
manifest, = json.loads(content["manifest.json"])
config = json.loads(content[manifest["Config"]])
for drawn in ("container", "parent"):
    config.pop(drawn, None)
for part in ("config", "container_config"):
    config.get(part, {}).pop("Hostname", None)
for step in config.get("history", []):
    step.pop("comment", None)  # FROM and the name of the step before

written = json.dumps(config, sort_keys=True).encode()
name = f"{hashlib.sha256(written).hexdigest()}.json"
manifest = [{"Config": name, "RepoTags": [tag], "Layers": manifest["Layers"]}]
files = {name: written, **{layer: content[layer] for layer in manifest[0]["Layers"]}, "manifest.json": json.dumps(manifest).encode()}
with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as write:
    for file, bytes_of_it in files.items():
        member = tarfile.TarInfo(file)
        member.size, member.mode, member.mtime = len(bytes_of_it), 0o644, int(os.environ["SOURCE_DATE_EPOCH"])
        write.addfile(member, io.BytesIO(bytes_of_it))
