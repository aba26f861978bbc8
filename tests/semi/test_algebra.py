"""Who learns, fusion, CutMix boxes and the ramp."""

import numpy as np
import pytest
import torch

from co2s.semi import confidence_fusion, cosine_ramp, cutmix, cutmix_box, who_learns


def test_who_learns_in_all_five_cases():
    #        nobody, only a, only b, a more, tie
    a = torch.tensor([0.90, 0.96, 0.50, 0.99, 0.97])
    b = torch.tensor([0.94, 0.80, 0.95, 0.96, 0.97])
    a_learns, b_learns = who_learns(a, b, 0.95)
    assert a_learns.tolist() == [False, False, True, False, True]
    assert b_learns.tolist() == [False, True, False, True, True]


def test_fusion_takes_whole_distributions_of_the_more_confident():
    a = torch.tensor([[0.6, 0.1], [0.4, 0.9]])[:, None]  # (N, 1, 2)
    b = torch.tensor([[0.3, 0.8], [0.7, 0.2]])[:, None]
    fused = confidence_fusion(a, b)
    torch.testing.assert_close(fused[:, 0], torch.tensor([[0.3, 0.1], [0.7, 0.9]]))


def test_fusion_of_three_and_of_one():
    a, b, c = (torch.tensor(x)[:, None, None] for x in ([0.6, 0.4], [0.3, 0.7], [0.6, 0.4]))
    torch.testing.assert_close(confidence_fusion(a, b, c), b)
    torch.testing.assert_close(confidence_fusion(a, c), a), "the first at a tie"
    assert confidence_fusion(a) is a


def test_cutmix_box_probability_area_and_aspect():
    rng = np.random.default_rng(0)
    boxes = [cutmix_box(50, 80, rng) for _ in range(400)]
    drawn = [box for box in boxes if box.any()]
    assert 0.4 < len(drawn) / len(boxes) < 0.6
    for box in drawn:
        rows, cols = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        height, width = rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1
        assert box.sum() == height * width, "one rectangle"
        assert box.mean() <= 0.4
    assert min(box.mean() for box in drawn) >= 0.02 * 0.8, "rounding down loses a little"


def test_cutmix_box_never_with_probability_zero():
    assert not cutmix_box(8, 8, np.random.default_rng(0), probability=0.0).any()


def test_cutmix_pastes_the_partner_inside_the_box():
    images, partners = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    box = torch.tensor([[[True, False], [False, False]]])
    assert cutmix(images, partners, box)[0].sum(0).tolist() == [[3, 0], [0, 0]]


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 0.0), (0.05, 0.1464466), (0.1, 0.5), (0.2, 1.0), (0.9, 1.0)]
)
def test_cosine_ramp(progress, expected):
    assert cosine_ramp(progress, 0.2) == pytest.approx(expected, abs=1e-6)


def test_no_ramp():
    assert cosine_ramp(0.0, 0.0) == 1.0
