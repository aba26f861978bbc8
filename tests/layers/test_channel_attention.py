"""Channel cross attention against its formula, written out."""

import torch

from co2s.layers import ChannelCrossAttention, same_scale


def normalised(x):
    """(x - mean) / deviation over the channels of every position."""
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def test_the_formula():
    torch.manual_seed(0)
    layer = ChannelCrossAttention(4, heads=3)
    own, other = torch.randn(2, 4, 3, 5), 3 * torch.randn(2, 4, 3, 5)
    heads = []
    for head in range(3):
        query, key, value = (
            part.weight[4 * head : 4 * head + 4, :, 0, 0]
            for part in (layer.query, layer.key, layer.value)
        )
        q = torch.einsum("oc,bcl->bol", query, normalised(own).flatten(2))
        k = torch.einsum("oc,bcl->bol", key, normalised(other).flatten(2))
        v = torch.einsum("oc,bcl->bol", value, other.flatten(2))
        scores = torch.einsum("bil,bjl->bij", q, k) / 15**0.5
        mean = scores.mean((1, 2), keepdim=True)
        variance = scores.var((1, 2), unbiased=False, keepdim=True)
        weights = ((scores - mean) / (variance + 1e-5).sqrt()).exp()
        weights = weights / weights.sum(2, keepdim=True)  # over the channels of the other map
        heads.append(torch.einsum("bij,bjl->bil", weights, v))
    mixed = torch.einsum("oc,bcl->bol", layer.out.weight[:, :, 0, 0], sum(heads) / 3)
    expected = own + mixed.view(2, 4, 3, 5)
    torch.testing.assert_close(layer(own, other), expected, atol=1e-5, rtol=1e-4)


def test_an_image_looks_at_its_own_other_map_alone():
    torch.manual_seed(0)
    layer = ChannelCrossAttention(6, heads=2)
    own, other = torch.randn(2, 6, 2, 2), torch.randn(2, 6, 2, 2)
    whole, alone = layer(own, other), layer(own[1:], other[1:])
    torch.testing.assert_close(whole[1:], alone)
    assert not torch.allclose(layer(own, other.flip(0)), whole, atol=1e-3)


def test_every_weight_learns():
    torch.manual_seed(0)
    layer = ChannelCrossAttention(6, heads=3)
    layer(torch.randn(1, 6, 3, 3), torch.randn(1, 6, 3, 3)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in layer.parameters())


def test_maps_of_any_size_come_to_one_scale():
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(same_scale(x), normalised(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(same_scale(100 * x + 7), same_scale(x), atol=1e-3, rtol=1e-3)
