"""A wall clock for one server that can be set at will (wall_clock.c); monotonic time goes on."""
import struct
import time

from support import preload


class WallClock:
    def __init__(self, folder):
        """Raises FileNotFoundError without a C compiler."""
        self.library = preload.build("wall_clock", folder)
        self.path = folder / "wall_clock"
        self.path.write_bytes(bytes(16))
        self.variables = {"WALL_CLOCK_FILE": str(self.path)}
        self.env = preload.environment(self.library, **self.variables)

    def set(self, offset_s):
        """It runs, off by so many seconds from now on."""
        self._write(offset_s, 0)

    def stand(self, at_s=None):
        """It stands still at that second, or at the present one. A token that ends a second later is good for as long as that takes."""
        self._write(0, at_s or int(time.time()))

    def _write(self, *members):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=qq", *members))
