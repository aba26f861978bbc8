"""The windows of a scene as batches for the network, and the rows of pixels that are valid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil

import numpy as np
import torch
from torch import Tensor

from co2s.structures import windows

from .blending import Box
from .resampling import resampled, taps
from .scene import Scene, Size


@dataclass
class Work:
    """Windows for the network, and what is known by then.

    images (B, C, h, w); `stop`: no later window reaches above this row of the network's grid;
    valid: rows of the scene (r, W) bool, in order, each once over all work.
    """

    boxes: list[Box]
    images: Tensor | None
    stop: int
    valid: list[np.ndarray]


@dataclass(frozen=True)
class Grid:
    """The grid that the network sees a scene on, and its windows."""

    scene: Size
    size: Size
    smooth: bool
    boxes: Sequence[Box]

    @classmethod
    def of(cls, scene: Size, factor: float, smooth: bool, window: int, stride: int) -> "Grid":
        """factor: how many pixels of this grid a pixel of the scene is, in each direction."""
        size = max(round(scene[0] * factor), 1), max(round(scene[1] * factor), 1)
        return cls(scene, size, smooth, windows(*size, window, stride))

    @property
    def same(self) -> bool:
        return self.size == self.scene


def read_work(scene: Scene, grid: Grid, batch: int, pin: bool = False) -> Iterator[Work]:
    """All windows with a valid pixel, `batch` at a time; each row of the scene is read once."""
    band = _Band(scene)
    boxes: list[Box] = []
    images: list[Tensor] = []
    rows = [(top, list(group)) for top, group in groupby(grid.boxes, key=lambda box: box[0])]
    for number, (top, row) in enumerate(rows):
        for box, image in _row(band, grid, row):
            boxes.append(box)
            images.append(image)
            if len(boxes) == batch:
                yield Work(boxes, _stacked(images, pin), top, band.news())
                boxes, images = [], []
        if not boxes:  # what lies above the next row is complete
            stop = rows[number + 1][0] if number + 1 < len(rows) else grid.size[0]
            yield Work([], None, stop, band.news())
    band.finish()
    images_left = _stacked(images, pin) if images else None
    yield Work(boxes, images_left, grid.size[0], band.news())


def _stacked(images: list[Tensor], pin: bool) -> Tensor:
    stacked = torch.stack(images)
    return stacked.pin_memory() if pin else stacked


def _row(band: "_Band", grid: Grid, row: list[Box]) -> Iterator[tuple[Box, Tensor]]:
    """The windows of one row that hold anything valid."""
    top, _, bottom, _ = row[0]
    if grid.same:
        pixels, valid = band.rows(top, bottom)
        for box in row:
            if valid[:, box[1] : box[3]].any():
                yield box, torch.from_numpy(pixels[:, :, box[1] : box[3]])
        return
    first, last, down = taps(top, bottom, (grid.scene[0], grid.size[0]), grid.smooth)
    band.reach(last + ceil(grid.scene[0] / grid.size[0]))  # the map back needs their validity
    pixels, valid = band.rows(first, last)
    for box in row:
        begin, end, across = taps(box[1], box[3], (grid.scene[1], grid.size[1]), grid.smooth)
        if valid[:, begin:end].any():
            piece = torch.from_numpy(pixels[:, :, begin:end])
            yield box, resampled(piece, down, across)


@dataclass
class _Band:
    """The rows of a scene that windows still need; each is read once."""

    scene: Scene
    start: int = 0
    pixels: np.ndarray | None = None  # (C, rows, W)
    valid: np.ndarray | None = None
    _news: list[np.ndarray] = field(default_factory=list)

    @property
    def stop(self) -> int:
        return self.start + (0 if self.valid is None else len(self.valid))

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Bands (C, stop - start, W) and valid; earlier rows are let go."""
        self.reach(stop)
        assert self.pixels is not None and self.valid is not None
        gone = start - self.start
        if gone > 0:
            self.pixels, self.valid = self.pixels[:, gone:].copy(), self.valid[gone:].copy()
            self.start = start
        count = stop - start
        return self.pixels[:, :count], self.valid[:count]

    def reach(self, stop: int) -> None:
        """Read up to a row, or to the last."""
        stop = min(stop, self.scene.size[0])
        if stop <= self.stop:
            return
        pixels, valid = self.scene.rows(self.stop, stop)
        self._news.append(valid)
        if self.pixels is None or self.valid is None:
            self.pixels, self.valid = pixels, valid
        else:
            self.pixels = np.concatenate([self.pixels, pixels], axis=1)
            self.valid = np.concatenate([self.valid, valid])

    def finish(self) -> None:
        """Read what no window has asked for."""
        self.reach(self.scene.size[0])

    def news(self) -> list[np.ndarray]:
        """The valid rows that were read since this was asked last."""
        found, self._news = self._news, []
        return found
