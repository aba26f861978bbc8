"""Layers whose shortcuts must change nothing."""

import torch
import torch.nn.functional as F

from co2s.layers import Upsample, channel_dropout


def test_shared_skip_equals_concatenation():
    torch.manual_seed(0)
    layer = Upsample(16, 16, 4)
    x, skip = torch.randn(6, 16, 5, 3), torch.randn(2, 4, 7, 7)  # 2 images of 3 classes
    up = layer.up(x)
    resized = F.interpolate(skip, up.shape[-2:], mode="bilinear", align_corners=True)
    expected = layer.conv2(layer.conv1(torch.cat([up, resized.repeat_interleave(3, 0)], 1)))
    torch.testing.assert_close(layer(x, skip), expected, atol=1e-5, rtol=1e-5)


def test_channel_dropout_belongs_to_the_item():
    maps = {"a": torch.ones(3, 64, 2, 2), "b": torch.ones(3, 64, 1, 1)}
    together = channel_dropout(maps, 0.5, [7, 8, 9])
    alone = channel_dropout({k: v[2:] for k, v in maps.items()}, 0.5, [9])
    for key in maps:
        assert torch.equal(together[key][2:], alone[key])
        assert set(together[key].unique().tolist()) == {0.0, 2.0}
        assert (together[key].flatten(2).std(dim=2, unbiased=False) == 0).all(), "whole channels"
    assert not torch.equal(together["a"][0, :, 0, 0], together["b"][0, :, 0, 0])
    assert not torch.equal(together["a"][0], together["a"][1])
