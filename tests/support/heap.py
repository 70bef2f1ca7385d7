"""How many bytes of a server's heap are in use (heap.c)."""
import struct

from support import preload
from support.wait import until


class Heap:
    def __init__(self, path, library):
        """library: heap.c, compiled. path: a file of its own."""
        self.path = path
        self.path.write_bytes(bytes(16))
        self.library = library
        self.variables = {"HEAP_FILE": str(path)}

    def _read(self):
        return struct.unpack("=QQ", self.path.read_bytes().ljust(16, b"\0"))

    def bytes_in_use(self):
        """From now, not from before."""
        before, _ = self._read()
        return until(lambda: self._read()[0] > before + 1 and self._read(), "the heap is measured")[1]
