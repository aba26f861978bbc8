"""Layers whose shortcuts must change nothing."""

import torch
import torch.nn.functional as F

from co2s.layers import Upsample


def test_shared_skip_equals_concatenation():
    torch.manual_seed(0)
    layer = Upsample(16, 16, 4)
    x, skip = torch.randn(6, 16, 5, 3), torch.randn(2, 4, 7, 7)  # 2 images of 3 classes
    up = layer.up(x)
    resized = F.interpolate(skip, up.shape[-2:], mode="bilinear", align_corners=True)
    expected = layer.conv2(layer.conv1(torch.cat([up, resized.repeat_interleave(3, 0)], 1)))
    torch.testing.assert_close(layer(x, skip), expected, atol=1e-5, rtol=1e-5)
