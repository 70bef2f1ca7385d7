"""A wall clock for one server that can be set at will (wall_clock.c); monotonic time goes on."""
import shutil
import struct
import subprocess
from pathlib import Path


class WallClock:
    def __init__(self, folder):
        """Raises FileNotFoundError without a C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            raise FileNotFoundError("cc")
        self.library = folder / "wall_clock.so"
        self.path = folder / "wall_clock"
        source = Path(__file__).with_name("wall_clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source], check=True)
        self.path.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(self.library), "WALL_CLOCK_FILE": str(self.path),
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set(self, offset_s):
        """Off by so many seconds from now on."""
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", offset_s))
