"""Atrous spatial pyramid pooling with GroupNorm, plain and with a residual."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .conv import SameConv2d


def conv_norm_relu(c_in: int, c_out: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias, GroupNorm in groups of 16 channels, ReLU."""
    return nn.Sequential(
        SameConv2d(c_in, c_out, kernel, dilation, bias=False),
        nn.GroupNorm(max(c_out // 16, 1), c_out),
        nn.ReLU(inplace=True),
    )


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabV3+): (B, C_in, h, w) -> (B, D, h, w)."""

    def __init__(self, c_in: int, dim: int, dilations: Sequence[int]):
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_norm_relu(c_in, dim, 1)] + [conv_norm_relu(c_in, dim, 3, d) for d in dilations]
        )
        self.pool = conv_norm_relu(c_in, dim, 1)
        self.project = conv_norm_relu(dim * (len(dilations) + 2), dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        # A 1x1 map resized bilinearly is constant, so expanding says the same without the work.
        pooled = self.pool(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        parts = [branch(x) for branch in self.branches] + [pooled]
        return self.project(torch.cat(parts, dim=1))


class ResidualASPP(ASPP):
    """Spatial reasoning of the decoder (method section 2, step 3): (B, D, h, w) -> the same."""

    def __init__(self, dim: int, dilations: Sequence[int]):
        super().__init__(dim, dim, dilations)

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)
