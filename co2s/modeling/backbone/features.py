"""The contract of a student's backbone: the names of its three maps, and padding to patches."""

import torch.nn.functional as F
from torch import Tensor

DENSE = "dense"  # (B, C_t, h, w): compared with the guidance, class by class
SKIP_DEEP = "skip_deep"  # (B, C, h, w): detail for the decoder's first upsampling
SKIP_SHALLOW = "skip_shallow"  # (B, C, h, w): detail for its second


def pad_to_multiple(x: Tensor, size: int) -> Tensor:
    """Zeros on the right and bottom of (B, C, H, W) until both sides are multiples of size."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % size, 0, -height % size))


def to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Patch tokens (B, h*w, C) -> map (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, grid).contiguous()
