"""A wall clock for one server that can be set at will (wall_clock.c); monotonic time goes on."""
import struct

from support import preload


class WallClock:
    def __init__(self, folder):
        """Raises FileNotFoundError without a C compiler."""
        self.library = preload.build("wall_clock", folder)
        self.path = folder / "wall_clock"
        self.path.write_bytes(bytes(8))
        self.variables = {"WALL_CLOCK_FILE": str(self.path)}
        self.env = preload.environment(self.library, **self.variables)

    def set(self, offset_s):
        """Off by so many seconds from now on."""
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", offset_s))
