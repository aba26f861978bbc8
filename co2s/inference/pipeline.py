"""From a scene to the rows of its maps: reading, network and blending overlap in time."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .ahead import ahead
from .blending import BlendedRows
from .network import Network
from .reading import Grid, Work, read_work
from .resampling import Back
from .scene import Scene

PIECE = 2**19  # numbers that are turned into maps at a time
AHEAD = 3  # batches that wait on either side of the network


class Rows(NamedTuple):
    """Complete rows of a scene's maps, from row `start` on.

    maps: probabilities (N, r, W) by name, as `Students.inference` has them; valid (r, W) bool.
    """

    start: int
    maps: dict[str, Tensor]
    valid: np.ndarray


def predict_rows(
    scene: Scene,
    network: Network,
    grid: Grid,
    stride: int,
    batch: int,
    seen: Callable[[int], None] = lambda count: None,
) -> Iterator[Rows]:
    """The maps of a scene from its first row to its last.

    It holds a few rows of windows, whatever the size of the scene. `seen` is told of every batch
    how many windows it had.
    """
    read = ahead(read_work(scene, grid, batch, pin=torch.cuda.is_available()), AHEAD)
    answered = ahead(_answers(read, network), AHEAD)
    channels = network.num_classes * len(network.names)
    blended = BlendedRows(grid.boxes, grid.size[1], channels, stride)
    back, valid = Back(grid.scene, grid.size), _Valid()
    most = max(PIECE // (channels * max(grid.size[1], grid.scene[1])), 1)

    def finished(stop: int) -> Iterator[Rows]:
        """The rows of the scene that the blended ones up to a row complete."""
        for piece in blended.complete(stop, most):
            start = back.made
            rows = back.add(piece)
            if rows is not None:
                known = valid.take(rows.shape[1])
                yield Rows(start, network.maps(rows), known)

    for work, logits in answered:
        valid.add(work.valid)
        for box, values in zip(work.boxes, () if logits is None else logits, strict=True):
            yield from finished(box[0])  # windows come row by row: none reaches above this one
            blended.add(box, values)
        yield from finished(work.stop)
        seen(len(work.boxes))


def _answers(read: Iterator[Work], network: Network) -> Iterator[tuple[Work, Tensor | None]]:
    for work in read:
        logits = None if work.images is None else network.logits(work.images).float()
        yield work, logits


class _Valid:
    """Rows of valid pixels, in and out in order."""

    def __init__(self) -> None:
        self._rows: deque[np.ndarray] = deque()

    def add(self, pieces: list[np.ndarray]) -> None:
        self._rows.extend(pieces)

    def take(self, count: int) -> np.ndarray:
        """The next rows (count, W)."""
        taken = []
        while count:
            piece = self._rows.popleft()
            taken.append(piece[:count])
            if len(piece) > count:
                self._rows.appendleft(piece[count:])
            count -= len(taken[-1])
        return np.concatenate(taken)
