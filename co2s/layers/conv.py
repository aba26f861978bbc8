"""Dilated convolutions without the work that falls outside the map."""

import torch.nn.functional as F
from torch import Tensor, nn


class SameConv2d(nn.Conv2d):
    """An odd convolution whose output has the size of its input, (B, C, h, w) -> (B, D, h, w).

    Taps that lie outside the map at every place only meet padding: a 3 x 3 kernel of dilation 12
    is its centre on a map of 8 x 8. They are left out; values and gradients stay what they are.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, dilation: int = 1, bias: bool = True):
        padding = dilation * (kernel // 2)
        super().__init__(c_in, c_out, kernel, padding=padding, dilation=dilation, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        (top, rows), (left, columns) = (self._taps(side) for side in x.shape[-2:])
        size = self.kernel_size[0]
        if not (top or left):
            return super().forward(x)
        weight = self.weight[..., top : size - top, left : size - left]
        return F.conv2d(x, weight, self.bias, 1, (rows, columns), self.dilation)

    def _taps(self, side: int) -> tuple[int, int]:
        """How many taps at each end reach no pixel of a side, and the padding that is left."""
        half, step = self.kernel_size[0] // 2, int(self.dilation[0])
        reach = min((side - 1) // step, half)
        return half - reach, reach * step
