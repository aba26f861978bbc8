"""Cross attention between the channels of two maps."""

import math

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelCrossAttention(nn.Module):
    """The channels of a map look at those of another one, (B, C, h, w) twice -> (B, C, h, w).

    In each head, with L = h * w positions and maps as (C, L),

        softmax(norm(Q K^T / sqrt(L))) V,   Q = W_q norm(x), K = W_k norm(other), V = W_v other

    over the other's channels; the (C, C) scores of an image are normalised as an image is
    (InstanceNorm), positions of Q and K over their channels. The mean of the heads is projected and
    added to x. (Wang et al., TGRS 2025, after the channel-wise cross attention of UCTransNet.)
    """

    def __init__(self, channels: int, heads: int = 3):
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, heads * channels, 1, bias=False)
        self.key = nn.Conv2d(channels, heads * channels, 1, bias=False)
        self.value = nn.Conv2d(channels, heads * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        query = self._by_head(self.query(same_scale(x)))
        key = self._by_head(self.key(same_scale(other)))
        value = self._by_head(self.value(other))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        seen = F.instance_norm(scores).softmax(dim=3) @ value
        return x + self.out(seen.mean(dim=1).unflatten(2, x.shape[-2:]))

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, heads * C, h, w) -> (B, heads, C, h * w)."""
        return x.flatten(2).unflatten(1, (self.heads, -1))


def same_scale(x: Tensor) -> Tensor:
    """A map (B, C, h, w) with every position brought to mean 0 and variance 1 over its channels.

    The maps of different backbones are not on one scale: CLIP's dense ones are unit vectors.
    """
    return F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)
