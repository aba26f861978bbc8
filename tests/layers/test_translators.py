"""Translators: what is told of each teacher's map, and what the decoder sees, by hand."""

import torch

from co2s.layers import Translators


def test_they_start_with_the_student_s_own_map():
    layer = Translators(5, (3, 7), hidden=4)
    x = torch.randn(2, 5, 2, 3)
    fused, told = layer(x)
    torch.testing.assert_close(fused, 0.8 * x)
    assert [t.shape for t in told] == [(2, 3, 2, 3), (2, 7, 2, 3)]


def test_the_fused_map_by_hand():
    """Two teachers of one channel: t1 = 2 relu(a - b), t2 = relu(a + b) + 1; back to 3 t1, -t2."""
    layer = Translators(2, (1, 1), hidden=1, kept=0.8, added=0.1)
    values = (([1.0, -1.0], 0.0, 2.0, 0.0, 3.0), ([1.0, 1.0], 0.0, 1.0, 1.0, -1.0))
    parts = zip(values, layer.head["tell"], layer.head["back"], strict=True)
    with torch.no_grad():
        for (first, bias, second, offset, own), tell, back in parts:
            tell[0].weight.copy_(torch.tensor(first).view(1, 2, 1, 1))
            tell[0].bias.fill_(bias)
            tell[2].weight.fill_(second)
            tell[2].bias.fill_(offset)
            back.weight.fill_(own)  # the same for both channels
    x = torch.tensor([[5.0, 3.0], [1.0, 2.0]]).T.view(1, 2, 1, 2)  # (a, b) of two positions
    fused, (one, two) = layer(x)
    assert one.flatten().tolist() == [4.0, 0.0] and two.flatten().tolist() == [9.0, 4.0]
    # 0.8 (5, 3) + 0.1 (12 - 9), 0.8 (1, 2) + 0.1 (0 - 4)
    expected = torch.tensor([[4.3, 2.7], [0.4, 1.2]]).T.view(1, 2, 1, 2)
    torch.testing.assert_close(fused, expected)


def test_every_position_is_on_its_own():
    torch.manual_seed(0)
    layer = Translators(4, (3,), hidden=8)
    torch.nn.init.normal_(layer.head["back"][0].weight)
    x = torch.randn(1, 4, 2, 2)
    fused, _ = layer(x)
    alone, _ = layer(x[:, :, 1:, :1])
    torch.testing.assert_close(fused[:, :, 1:, :1], alone)


def test_its_parameters_are_a_head_s():
    names = [name for name, _ in Translators(4, (3, 2)).named_parameters()]
    assert len(names) == 12 and all("head" in name.split(".") for name in names)
