"""Channel dropout whose draws belong to the item, not to the batch it happens to be in."""

from collections.abc import Sequence

import torch
from torch import Tensor


def channel_dropout(maps: dict[str, Tensor], p: float, seeds: Sequence[int]) -> dict[str, Tensor]:
    """Drop whole channels of each map (B, C, h, w) with probability p, independently per map.

    One seed for each of the B items: the result for an item is the same on one process and on
    many (the feature-perturbed view of UniMatch; dropout2d of method section 3).
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    dropped = {}
    for name, x in maps.items():
        keep = torch.stack([torch.rand(x.shape[1], generator=g) >= p for g in generators])
        scale = keep.to(x.device, x.dtype, non_blocking=True) / (1.0 - p)
        dropped[name] = x * scale[:, :, None, None]
    return dropped
