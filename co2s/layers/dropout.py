"""Channel dropout whose draws belong to the item, not to the batch it happens to be in."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .seeding import item_generators


def channel_dropout(
    maps: dict[str, Tensor], p: float, seeds: Sequence[int], stream: int = 0
) -> dict[str, Tensor]:
    """Drop whole channels of each map (B, C, h, w) with probability p, independently per map.

    One seed for each of the B items: the result for an item is the same on one process and on
    many. Streams draw differently from the same seeds, so that two students do not lose the same
    channels. ValueError unless 0 <= p < 1. (The feature-perturbed view of UniMatch; dropout2d of
    docs/method.md section 3.)
    """
    check_dropout(p)
    generators = item_generators(seeds, stream)
    dropped = {}
    for name, x in maps.items():
        keep = torch.stack([torch.rand(x.shape[1], generator=g) >= p for g in generators])
        scale = keep.to(x.device, x.dtype, non_blocking=True) / (1.0 - p)
        dropped[name] = x * scale[:, :, None, None]
    return dropped


def complementary_dropout(
    one: dict[str, Tensor],
    two: dict[str, Tensor],
    seeds: Sequence[int],
    stream: int = 0,
    spared: float = 0.5,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Each channel of the maps (B, C, h, w) of two views is kept in one of them, and doubled there.

    The factors of the two are m and 2 - m, m in {0, 2} with equal chances. Maps of as many channels
    share theirs. An item is spared with that probability: all its factors are 1. Seeds and streams
    as in `channel_dropout`. (UniMatch V2, Yang et al., arXiv 2410.10777.)
    """
    generators = item_generators(seeds, stream)
    whole = torch.stack([torch.rand(1, generator=g) < spared for g in generators])
    factors: dict[int, Tensor] = {}
    first, second = {}, {}
    for name, x in one.items():
        channels = x.shape[1]
        if channels not in factors:
            drawn = torch.stack([torch.rand(channels, generator=g) < 0.5 for g in generators])
            factors[channels] = torch.where(whole, 1.0, 2.0 * drawn)
        scale = factors[channels].to(x.device, x.dtype, non_blocking=True)[:, :, None, None]
        first[name], second[name] = x * scale, two[name] * (2 - scale)
    return first, second


def check_dropout(p: float, name: str = "FEATURE_DROPOUT") -> float:
    """p; ValueError, with the name of the key, unless a share of the channels is kept."""
    if not 0 <= p < 1:
        raise ValueError(
            f"{name} is {p}; it is the share of the channels that are dropped, from 0 (none) to "
            "below 1: nothing would be left of a map without channels."
        )
    return p
