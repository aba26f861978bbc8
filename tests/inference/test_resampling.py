"""Pieces of a resampled scene are those of the whole one."""

import pytest
import torch
import torch.nn.functional as F

from co2s.inference.resampling import Back, resampled, taps
from co2s.layers import resize


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(("source", "target"), [(40, 60), (60, 23), (17, 100), (50, 50), (90, 7)])
def test_pieces_are_those_of_the_whole(source, target, smooth):
    image = torch.randn(2, source, source)
    if smooth:
        kind = {"mode": "bilinear", "align_corners": False, "antialias": True}
        whole = F.interpolate(image[None], (target, target), **kind)[0]
    else:
        whole = resize(image[None], (target, target), align_corners=False)[0]
    for start, stop in ((0, target), (0, 5), (2, 4), (target - 3, target)):
        first, last, down = taps(start, stop, (source, target), smooth)
        begin, end, across = taps(0, target, (source, target), smooth)
        found = resampled(image[:, first:last, begin:end], down, across)
        torch.testing.assert_close(found, whole[:, start:stop], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("scene", "network"), [((40, 31), (60, 46)), ((60, 9), (23, 4))])
@pytest.mark.parametrize("step", [1, 4, 100])
def test_the_way_back_is_that_of_the_whole_map(scene, network, step):
    logits = torch.randn(3, *network)
    whole = resize(logits[None], scene, align_corners=True)[0]
    back = Back(scene, network)
    rows = [back.add(piece) for piece in logits.split(step, dim=1)]
    found = torch.cat([piece for piece in rows if piece is not None], dim=1)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


def test_one_row_becomes_many():
    back = Back((5, 4), (1, 1))
    assert back.add(torch.full((1, 1, 1), 7.0)).tolist() == [[[7.0] * 4] * 5]
