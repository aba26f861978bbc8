"""Upsampling of class maps with a skip that all classes of an image share."""

import torch.nn.functional as F
from torch import Tensor, nn

from .aspp import conv_norm_relu
from .resample import resize


class Upsample(nn.Module):
    """Twice the size, fewer channels, detail from a skip (method section 2, step 5)."""

    def __init__(self, c_in: int, c_out: int, c_skip: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(c_in, c_in - c_skip, 2, stride=2)
        self.conv1 = conv_norm_relu(c_in, c_out, 3)
        self.conv2 = conv_norm_relu(c_out, c_out, 3)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Class maps (B*N, C_in, h, w), skip (B, C_skip, h', w') -> (B*N, C_out, 2h, 2w)."""
        x = self.up(x)
        skip = resize(skip, x.shape[-2:], align_corners=True)
        return self.conv2(self._conv1(x, skip))

    def _conv1(self, x: Tensor, skip: Tensor) -> Tensor:
        # A convolution over a concatenation is a sum of two: the skip's half is computed once for
        # an image instead of once for each of its classes, and nothing is copied N times.
        conv, norm, relu = self.conv1
        assert isinstance(conv, nn.Conv2d)
        split = x.shape[1]
        maps = F.conv2d(x, conv.weight[:, :split], padding=1)
        shared = F.conv2d(skip, conv.weight[:, split:], padding=1)
        return relu(
            norm((maps.unflatten(0, (skip.shape[0], -1)) + shared.unsqueeze(1)).flatten(0, 1))
        )
