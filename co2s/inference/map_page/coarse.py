"""A decimated copy of a raster without overviews, which grows while the page is open already."""

import threading
from collections.abc import Callable
from math import ceil, lcm

import numpy as np

from .parts import Part, Size

SIDE = 4096  # of the copy, pixels: 64 MB, however large the raster is
ROWS = 512  # of the raster, read at a time: no tile of usual files is decoded twice

Read = Callable[[Part], np.ndarray]  # a part as (h, w, 4) uint8 RGBA


class CoarseCopy:
    """Every `factor`-th pixel of a raster (height, width), from the first row to the last.

    Rows that are not read yet are transparent. `failure` is why it does not grow any more.
    """

    def __init__(self, size: Size, side: int = SIDE) -> None:
        self.size = size
        self.factor = max(ceil(max(size) / side), 1)
        self.pixels = np.zeros((*(ceil(s / self.factor) for s in size), 4), np.uint8)
        self.rows = 0  # how many are there
        self.failure: Exception | None = None

    @property
    def is_growing(self) -> bool:
        return self.failure is None and self.rows < len(self.pixels)

    def grow_in_thread(self, read: Read) -> None:
        """read: with a handle of its own, for GDAL's may not be shared between threads."""
        threading.Thread(target=self._try, args=(read,), daemon=True).start()

    def grow(self, read: Read) -> None:
        """Read everything, a strip at a time."""
        height, width = self.size
        step = lcm(ROWS, self.factor)
        for top in range(0, height, step):
            rows = min(step, height - top)
            first = top // self.factor
            shape = ceil(rows / self.factor), self.pixels.shape[1]
            self.pixels[first : first + shape[0]] = read(Part((top, 0, rows, width), shape))
            self.rows = first + shape[0]

    def _try(self, read: Read) -> None:
        try:
            self.grow(read)
        except Exception as error:  # told on the page: nobody waits for a thread
            self.failure = error

    def part(self, part: Part) -> np.ndarray:
        """The part as (h, w, 4) uint8 RGBA, of the pixels that are nearest."""
        (top, left, height, width), shape = part
        rows = (top + (np.arange(shape[0]) + 0.5) * height / shape[0]) // self.factor
        columns = (left + (np.arange(shape[1]) + 0.5) * width / shape[1]) // self.factor
        return self.pixels[rows.astype(int)[:, None], columns.astype(int)]
