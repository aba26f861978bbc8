"""Windows blended into rows: what a network says counts less towards the edges of its windows."""

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor

Box = tuple[int, int, int, int]  # top, left, bottom, right


def slope(length: int, overlap: int) -> Tensor:
    """Weights (length,) of a window's pixels: rising over `overlap` pixels, then 1, and falling.

    Half a cosine wave, which lets the outermost pixels count for next to nothing; never 0, for at
    the border of a scene a window is alone.
    """
    places = torch.arange(length) + 0.5
    nearest = torch.minimum(places, length - places)
    return torch.sin(pi / 2 * (nearest / max(overlap, 1)).clamp(max=1.0)) ** 2


class BlendedRows:
    """Adds windows up and hands out the rows that no later window touches.

    It holds no more rows than the windows that are not through, whatever the height of the scene.
    """

    def __init__(self, boxes: Sequence[Box], width: int, channels: int, stride: int) -> None:
        """boxes: all windows of the scene, row by row, those that will be left out included."""
        top, left, bottom, right = boxes[0]
        self.channels, self.width = channels, width
        self._rows = slope(bottom - top, bottom - top - stride)
        self._columns = slope(right - left, right - left - stride)
        self._across = _sums({(left, right) for _, left, _, right in boxes}, width, self._columns)
        tops = sorted({(top, bottom) for top, _, bottom, _ in boxes})
        self._down = _sums(tops, tops[-1][1], self._rows)
        self._sum = torch.zeros(channels, 0, width)
        self.first = 0  # row that `_sum` begins with

    def add(self, box: Box, values: Tensor) -> None:
        """Values (channels, h, w) of a window."""
        top, left, bottom, right = box
        missing = bottom - self.first - self._sum.shape[1]
        if missing > 0:
            more = torch.zeros(self.channels, missing, self.width)
            self._sum = torch.cat([self._sum, more], dim=1)
        weights = self._rows[:, None] * self._columns
        part = self._sum[:, top - self.first : bottom - self.first, left:right]
        part.addcmul_(values, weights)

    def complete(self, stop: int) -> Tensor | None:
        """The blended rows (channels, r, width) up to row `stop`, which are let go; None: none."""
        count = stop - self.first
        if count <= 0:
            return None
        missing = count - self._sum.shape[1]
        if missing > 0:  # no window with anything valid lies there
            more = torch.zeros(self.channels, missing, self.width)
            self._sum = torch.cat([self._sum, more], dim=1)
        total = self._down[self.first : stop, None] * self._across
        rows = self._sum[:, :count] / total
        self._sum = self._sum[:, count:].clone()
        self.first = stop
        return rows


def _sums(places: object, length: int, weights: Tensor) -> Tensor:
    """The sum of all windows' weights at each pixel of one direction."""
    total = torch.zeros(length)
    for start, stop in places:  # type: ignore[attr-defined]
        total[start:stop] += weights
    return total
