"""Certainty: the entropy of predictions, and the pixels on one side of a percentile of it."""

import torch
from torch import Tensor


def entropy(logits: Tensor) -> Tensor:
    """Of the softmax of logits (B, N, H, W), (B, H, W) in nats; no gradient."""
    logs = logits.detach().float().log_softmax(dim=1)
    return -(logs.exp() * logs).sum(dim=1)


def quantile(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """The value that `share` of those under the mask are at or below, a tensor without dimensions.

    Interpolated linearly, as NumPy does; of any number of values, and without waiting for the
    device. Infinite where the mask is empty.
    """
    ordered = torch.where(mask, values, torch.inf).flatten().sort().values
    place = share * (mask.sum() - 1).clamp(min=0).double()
    low, high = ordered.take(torch.stack([place.floor(), place.ceil()]).long())
    between = torch.lerp(low, high, (place - place.floor()).to(low.dtype))
    return torch.where(high > low, between, low)


def most_certain(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """The pixels under the mask with the `share` lowest entropies, bool like the mask."""
    return mask & (values <= quantile(values, mask, share))


def least_certain(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """The pixels under the mask with the `share` highest entropies, bool like the mask."""
    return mask & (values >= quantile(values, mask, 1.0 - share))
