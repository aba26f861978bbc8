"""Where the pixels of an image lie on earth."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .rasters import Window, opened

BLOCK = 1024  # side of the pieces in which a large image is looked through, pixels


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an image lie: size in pixels, transform of rasterio, CRS as WKT."""

    height: int
    width: int
    transform: Any
    crs: str

    @property
    def whole(self) -> Window:
        return 0, 0, self.height, self.width

    def shifted(self, window: Window) -> Any:
        """The transform of a window."""
        a, b, _, d, e, _ = self.transform[:6]
        x, y = self.place(window[1], window[0])
        return type(self.transform)(a, b, x, d, e, y)

    def place(self, column: float, row: float) -> tuple[float, float]:
        """The coordinates of a pixel's upper left corner."""
        a, b, c, d, e, f = self.transform[:6]
        return a * column + b * row + c, d * column + e * row + f

    def bounds(self, window: Window) -> tuple[float, float, float, float]:
        """Of a window, in units of the CRS, however the image is turned."""
        top, left, height, width = window
        corners = [(x, y) for x in (left, left + width) for y in (top, top + height)]
        xs, ys = zip(*(self.place(*corner) for corner in corners), strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def grid_of(image: str) -> Grid:
    """The grid of an image; ValueError where it has no CRS."""
    return _grid(image, os.stat(image).st_mtime_ns)


@lru_cache(maxsize=4096)
def _grid(image: str, changed: int) -> Grid:
    with opened(image) as source:
        if source.crs is None:
            raise ValueError(
                f"{image} has no CRS: polygons (labels.vector) cannot be brought onto it. Label "
                "it by masks, or give it a georeference."
            )
        return Grid(source.height, source.width, source.transform, source.crs.to_wkt())


def blocks(window: Window) -> Iterator[Window]:
    """A window in pieces that fit into memory, row by row."""
    top, left, height, width = window
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            yield top + y, left + x, min(BLOCK, height - y), min(BLOCK, width - x)
