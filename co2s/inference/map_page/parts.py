"""Which part of a scene is on the screen, and how many pixels of it are worth reading."""

from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np

from co2s.data.reading.rasters import Window

Size = tuple[int, int]  # height, width in pixels

MOST = 1200  # pixels a side of what is read at a time
MARGIN = 0.1  # of the view, read around it: there is something to see as one drags the map


class View(NamedTuple):
    """What is on the screen, in pixels of the scene: columns grow to the right, rows downwards."""

    left: float
    right: float
    top: float
    bottom: float


class Part(NamedTuple):
    """A window of a raster, and the size that it is read at: not above the window's own."""

    window: Window
    shape: Size

    @property
    def factor(self) -> float:
        """How many pixels of the raster one that is read stands for, in each direction."""
        return max(side / read for side, read in zip(self.window[2:], self.shape, strict=True))


def part_of(view: View, size: Size, most: int = MOST) -> Part | None:
    """The part of a raster (height, width) that a view shows; None where it shows nothing of it."""
    aside, above = MARGIN * (view.right - view.left), MARGIN * (view.bottom - view.top)
    top, bottom = _inside(view.top - above, view.bottom + above, size[0])
    left, right = _inside(view.left - aside, view.right + aside, size[1])
    if top >= bottom or left >= right:
        return None
    height, width = bottom - top, right - left
    factor = max(height / most, width / most, 1)
    shape = max(round(height / factor), 1), max(round(width / factor), 1)
    return Part((top, left, height, width), shape)


def _inside(low: float, high: float, size: int) -> tuple[int, int]:
    return max(floor(low), 0), min(ceil(high), size)


def places(transform: Any, points: Any) -> np.ndarray:
    """Coordinates (n, 2) of points (n, 2), given as column and row, by rasterio's transform."""
    a, b, c, d, e, f = tuple(transform)[:6]
    x, y = np.asarray(points, float).T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
