"""The machine of the measurements. It stands in every result file."""
import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

import servers


def said(command):
    try:
        return subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def describe():
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.M).group(1))
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M)
    debian = Path("/etc/debian_version")
    cache = (servers.carillon_binary().parent / "CMakeCache.txt").read_text()
    compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    build = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.M).group(1)
    changed = said(["git", "status", "--porcelain", "--untracked-files=no", "--", "common", "server", "bench", ":!bench/results"])
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": said(["git", "rev-parse", "--short", "HEAD"]) + (" with changes" if changed else ""),
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 1024 / 1024, 1),
        "kernel": re.match(r"[\d.]*", platform.release()).group(),
        "system": system.group(1) + (f" ({debian.read_text().strip()})" if debian.exists() else ""),
        "compiler": said([compiler, "--version"]).partition("\n")[0],
        "build": build,
        "libraries": {name: said(["pkg-config", "--modversion", name]).rstrip("-")
                      for name in ("libwebsockets", "libuv", "openssl", "libjwt", "hiredis", "libcurl")},
        "versions": servers.versions(),
    }
