#!/usr/bin/python3
"""release_notes.py VERSION: prints what CHANGELOG.md says of a version, or of the unreleased changes where it has no section yet."""
import re
import sys
from pathlib import Path

version = sys.argv[1]
text = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
sections = dict(re.findall(r"^## \[(.+?)\][^\n]*\n+(.*?)(?=^## \[|\Z)", text, re.M | re.S))
notes = sections.get(version, sections.get("Unreleased"))
if notes is None:
    sys.exit(f"release_notes: CHANGELOG.md has no section [{version}] and no [Unreleased]")
print(f"# Carillon {version}\n\n{notes.strip()}")
