"""Convolutions that leave out padding-only taps equal those that do not."""

import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU as PlainQuickGELU

from co2s.layers import QuickGELU, SameConv2d


@pytest.mark.parametrize(
    ("kernel", "dilation", "size", "taps"),
    [(3, 6, (8, 8), 9), (3, 12, (8, 8), 1), (3, 12, (8, 20), 3), (7, 1, (3, 2), 15)],
)
def test_taps_outside_the_map(kernel, dilation, size, taps, monkeypatch):
    torch.manual_seed(0)
    conv = SameConv2d(4, 5, kernel, dilation)
    x = torch.randn(2, 4, *size, requires_grad=True)
    plain = F.conv2d(x, conv.weight, conv.bias, 1, dilation * (kernel // 2), dilation)
    seen = []
    real = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *a: seen.append(a[1].shape[2:].numel()) or real(*a))
    ours = conv(x)
    assert seen == [taps]
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-5)
    weight = torch.randn_like(ours)
    grads = [torch.autograd.grad((y * weight).sum(), [x, conv.weight]) for y in (ours, plain)]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_quick_gelu():
    x = torch.linspace(-8, 8, 400, requires_grad=True)
    ours, plain = QuickGELU()(x), PlainQuickGELU()(x)
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-6)
    grads = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, plain)]
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-6)
