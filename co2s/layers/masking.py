"""Squares of an image that are hidden, drawn for the item and not for the batch it is in."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .seeding import item_generators


def hidden_squares(
    size: Sequence[int], side: int, share: float, seeds: Sequence[int], stream: int = 0
) -> Tensor:
    """(B, H, W) bool, one seed for each of the B items: True in a share of the squares.

    The squares, `side` pixels wide, cover images of a size (H, W) from the upper left; those at the
    right and lower border may stick out. At least one is hidden, and one is not. Streams draw
    differently from the same seeds, so that two students do not miss the same squares. ValueError
    where an image is one square.
    """
    height, width = size
    rows, columns = -(-height // side), -(-width // side)
    number = rows * columns
    if number < 2:
        raise ValueError(
            f"Squares of {side} pixels hide all or nothing of a crop of {height} x {width}. Make "
            "the crop larger or the squares smaller."
        )
    count = min(max(round(share * number), 1), number - 1)
    hidden = torch.zeros(len(seeds), number, dtype=torch.bool)
    for row, generator in zip(hidden, item_generators(seeds, stream), strict=True):
        row[torch.randperm(number, generator=generator)[:count]] = True
    grid = hidden.unflatten(1, (rows, columns))
    pixels = grid.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)
    return pixels[:, :height, :width]
