"""Windows blended into rows: what a network says counts less towards the edges of its windows."""

from collections.abc import Iterator, Sequence
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
        self._sum = torch.zeros(channels, bottom - top, width)
        self.first = 0  # row that `_sum` begins with

    @property
    def held(self) -> int:
        """Rows that there is room for."""
        return self._sum.shape[1]

    def add(self, box: Box, values: Tensor) -> None:
        """Values (channels, h, w) of a window; what lies above it must have been let go."""
        top, left, bottom, right = box
        weights = self._rows[:, None] * self._columns
        part = self._sum[:, top - self.first : bottom - self.first, left:right]
        part.addcmul_(values, weights)

    def complete(self, stop: int, most: int) -> Iterator[Tensor]:
        """The blended rows (channels, r, width) up to row `stop`, at most `most` at a time.

        They are let go: what is handed out holds until the next piece is asked for.
        """
        start = self.first
        while self.first < stop:
            end = min(stop, self.first + most)
            place = self.first - start
            if place >= self.held:  # no window with anything valid lies there
                yield torch.zeros(self.channels, end - self.first, self.width)
            else:
                end = min(end, start + self.held)
                total = self._down[self.first : end, None] * self._across
                yield self._sum[:, place : end - start].div_(total)
            self.first = end
        gone, room = min(max(stop - start, 0), self.held), self.held
        if gone:
            kept = self._sum[:, gone:].clone()
            self._sum[:, : room - gone] = kept
            self._sum[:, room - gone :] = 0


def _sums(places: object, length: int, weights: Tensor) -> Tensor:
    """The sum of all windows' weights at each pixel of one direction."""
    total = torch.zeros(length)
    for start, stop in places:  # type: ignore[attr-defined]
        total[start:stop] += weights
    return total
