"""Holes: a box of every view that is erased, or that another image is pasted into."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .cutmix import cutmix_box


def draw_holes(
    size: tuple[int, int],
    seeds: Sequence[int],
    erased: float,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> tuple[Tensor, Tensor]:
    """Boxes to erase and boxes to paste into, (B, H, W) bool each; every item has one of the two.

    One seed for each of the B items, which have something erased with the probability `erased`.
    Boxes as in `cutmix_box`.
    """
    height, width = size
    holes = torch.zeros(2, len(seeds), height, width, dtype=torch.bool)
    for item, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        kind = int(rng.random() >= erased)
        box = cutmix_box(height, width, rng, probability=1.0, area=area, aspect=aspect)
        holes[kind, item] = torch.from_numpy(box)
    return holes[0], holes[1]
