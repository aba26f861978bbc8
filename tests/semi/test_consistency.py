"""Consistency with a teacher, its certainty and its ramp, by hand; holes, drawn for the item."""

import math

import pytest
import torch

from co2s.semi import (
    certain,
    draw_holes,
    gaussian_ramp,
    map_consistency,
    map_error,
    prediction_consistency,
)


def pixels(*probabilities):
    """(1, N, 1, W) of a list of distributions."""
    return torch.tensor(probabilities).T[None, :, None, :].clone()


def test_the_ramp_is_a_gaussian_s_left_half():
    assert gaussian_ramp(0.0) == pytest.approx(math.exp(-5))
    assert gaussian_ramp(0.5) == pytest.approx(math.exp(-1.25))
    assert gaussian_ramp(1.0) == 1.0
    assert gaussian_ramp(0.1, 0.2) == pytest.approx(math.exp(-1.25))
    assert gaussian_ramp(0.3, 0.2) == 1.0 == gaussian_ramp(0.0, 0.0)


def test_certain_is_what_has_a_share_of_the_highest_entropy():
    # 0, ln 2 and ln 4 of at most ln 4, and 0.647 of it.
    probs = pixels([1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0.7, 0.1, 0.1, 0.1])
    assert certain(probs, 0.51).tolist() == [[[True, True, False, False]]]
    assert certain(probs, 0.49).tolist() == [[[True, False, False, False]]]
    assert certain(probs, 0.68).tolist() == [[[True, True, False, True]]]
    # Of ln 2, as for two classes: 0.94 nats are 1.357 of it.
    assert certain(probs, 1.01, relative=False).tolist() == [[[True, True, False, False]]]
    assert certain(probs, 1.36, relative=False).tolist() == [[[True, True, False, True]]]


def test_predictions_agree_as_probabilities():
    student = pixels([0.8, 0.2], [0.5, 0.5], [0.3, 0.7]).log().requires_grad_()
    teacher = pixels([0.5, 0.5], [0.5, 0.5], [0.9, 0.1]).log().requires_grad_()
    mask = torch.tensor([[[True, True, False]]])
    loss = prediction_consistency(student, teacher, mask, torch.tensor(2.0))
    # Of the first pixel 0.3^2 / 2 for both classes, of the second nothing; the third is left out.
    assert loss.item() == pytest.approx((0.045 + 0.0) / 2, rel=1e-5)
    loss.backward()
    assert teacher.grad is None and student.grad[..., 0].abs().sum() > 0
    assert student.grad[..., 2].abs().sum() == 0


def test_maps_agree_by_huber_s_loss_of_the_cell_that_a_pixel_lies_in():
    student = torch.tensor([[[[0.5, 3.0]], [[1.0, 0.0]]]], requires_grad=True)  # (1, 2, 1, 2)
    teacher = torch.zeros(1, 2, 1, 2, requires_grad=True)
    mask = torch.tensor([[[True, True, True, False], [False, False, True, False]]])
    # The left cell has (0.125 + 0.5) / 2, and two pixels; the right one (3 - 0.5) / 2, and two.
    loss = map_consistency(student, teacher, mask, torch.tensor(5.0))
    assert loss.item() == pytest.approx((2 * 0.3125 + 2 * 1.25) / 5)
    squared = map_error(student, teacher, mask, torch.tensor(5.0))
    assert squared.item() == pytest.approx((2 * 0.625 + 2 * 4.5) / 5)
    (loss + squared).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    nothing = map_consistency(student, teacher, mask & False, torch.tensor(1e-6))
    assert nothing.item() == 0


def test_a_hole_is_erased_or_pasted_into_by_the_item_s_seed():
    seeds = [*range(300)]
    erased, pasted = draw_holes((20, 30), seeds, 0.3, area=(0.1, 0.2), aspect=(0.5, 2.0))
    assert erased.shape == pasted.shape == (300, 20, 30) and erased.dtype == torch.bool
    one, two = (part.flatten(1).any(dim=1) for part in (erased, pasted))
    assert torch.equal(one, ~two), "each has one of the two"
    assert 0.2 < one.float().mean() < 0.4
    sizes = (erased | pasted).flatten(1).sum(dim=1)
    assert sizes.min() > 0.1 * 600 * 0.7 and sizes.max() <= 0.2 * 600, "sides are whole pixels"
    again = draw_holes((20, 30), seeds[7:9], 0.3, area=(0.1, 0.2), aspect=(0.5, 2.0))
    assert torch.equal(again[0], erased[7:9]) and torch.equal(again[1], pasted[7:9])
    assert draw_holes((20, 30), seeds, 1.0)[0].flatten(1).any(dim=1).all()
    assert not draw_holes((20, 30), seeds, 0.0)[0].any()
