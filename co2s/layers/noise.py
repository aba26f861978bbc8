"""Noise whose draws belong to the item, not to the batch it happens to be in."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .seeding import item_generators


def item_noise(x: Tensor, seeds: Sequence[int], stream: int = 0) -> Tensor:
    """Normal noise of the shape of x (B, ...), float32, one seed for each of the B items.

    Drawn on the device of x, where the numbers are many: other devices draw others. Streams as in
    `channel_dropout`.
    """
    noise = torch.empty(x.shape, device=x.device)
    for row, generator in zip(noise, item_generators(seeds, stream, x.device), strict=True):
        row.normal_(generator=generator)
    return noise
