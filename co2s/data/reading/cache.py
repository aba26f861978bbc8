"""A cache of decoded arrays, bounded by bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable

# An image cut into windows is asked for many times: the last ones decoded stay in memory.
CACHE_BYTES = 256 * 2**20


class DecodeCache(threading.local):
    """Decoded arrays, up to a number of bytes; each thread and process has its own."""

    def __init__(self, max_bytes: int = CACHE_BYTES, evict: bool = True) -> None:
        """evict: whether new arrays drive out those used least lately, or the first ones stay."""
        self.max_bytes = max_bytes
        self.evict = evict
        self._arrays: OrderedDict[tuple, tuple] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple, decode: Callable[[], tuple]) -> tuple:
        """The arrays (some may be None) of that key, decoded where they are not at hand.

        They are read-only.
        """
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        arrays = decode()
        for array in arrays:
            if array is not None:
                array.setflags(write=False)
        if not self.evict and self._bytes + _nbytes(arrays) > self.max_bytes:
            return arrays
        self._arrays[key] = arrays
        self._bytes += _nbytes(arrays)
        while self._bytes > self.max_bytes:
            self._bytes -= _nbytes(self._arrays.popitem(last=False)[1])
        return arrays


def _nbytes(arrays: tuple) -> int:
    return sum(array.nbytes for array in arrays if array is not None)
