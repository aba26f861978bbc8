"""Losses of pretraining against numbers worked out by hand."""

import math

import pytest
import torch

from co2s.semi import cosine_loss, normalized_patches, reconstruction_loss


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_a_patch_has_mean_0_and_variance_1():
    images = tensor([0, 2, 8, 8], [4, 6, 8, 8])[None, None]
    found = normalized_patches(images, torch.ones(1, 2, 4, dtype=torch.bool), 2)
    one = tensor([-3, -1, 0, 0], [1, 3, 0, 0]) / math.sqrt(5)  # the other patch is flat
    torch.testing.assert_close(found[0, 0], one, atol=1e-6, rtol=1e-5)


def test_invalid_pixels_have_no_say_in_a_patch():
    images = tensor([0, 2], [4, 600])[None, None]
    valid = torch.tensor([[[True, True], [True, False]]])
    found = normalized_patches(images, valid, 2)[0, 0]
    torch.testing.assert_close(found, tensor([-2, 0], [2, 0]) / math.sqrt(8 / 3))
    nothing = normalized_patches(images, torch.zeros_like(valid), 2)
    assert torch.equal(nothing, torch.zeros_like(images))


def test_the_bands_of_a_patch_share_mean_and_variance():
    images = torch.tensor([1.0, 5.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    found = normalized_patches(images, torch.ones(1, 2, 2, dtype=torch.bool), 2)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([-1.0, 1.0]))


def test_a_patch_may_be_cut_by_the_border():
    images = tensor([9, 9, 1], [9, 9, 5], [0, 4, 7])[None, None]
    found = normalized_patches(images, torch.ones(1, 3, 3, dtype=torch.bool), 2)[0, 0]
    assert found.shape == (3, 3)
    torch.testing.assert_close(found[:, 2], torch.tensor([-1.0, 1.0, 0.0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[2, :2], torch.tensor([-1.0, 1.0]))


def test_reconstruction_is_the_mean_absolute_error_of_what_is_hidden():
    target = torch.zeros(1, 2, 2, 2)
    predicted = torch.zeros(1, 2, 2, 2, requires_grad=True)
    with torch.no_grad():
        predicted[0, :, 0, 0] = torch.tensor([1.0, -3.0])  # hidden: (1 + 3) / 2
        predicted[0, :, 0, 1] = torch.tensor([8.0, 0.0])  # hidden: (8 + 0) / 2
        predicted[0, :, 1, 1] = 100.0  # seen
    mask = torch.tensor([[[True, True], [False, False]]])
    loss = reconstruction_loss(predicted, target, mask, mask.sum())
    assert loss.item() == pytest.approx((2 + 4) / 2)
    loss.backward()
    assert predicted.grad[0, :, 0, 0].tolist() == [0.25, -0.25]
    assert not predicted.grad[0, :, 1].any()


def test_the_cosine_of_every_cell_counts_for_its_valid_pixels():
    student = torch.tensor([[1.0, 0.0], [2.0, 2.0]]).T[None, :, None]  # two cells side by side
    teacher = torch.tensor([[0.0, 7.0], [3.0, 3.0]]).T[None, :, None]
    student.requires_grad_()
    teacher.requires_grad_()
    valid = torch.ones(1, 2, 4, dtype=torch.bool)
    loss = cosine_loss(student, teacher, valid, valid.sum())
    assert loss.item() == pytest.approx((4 * 1 + 4 * 0) / 8)  # at right angles; the same direction
    loss.backward()
    assert student.grad.any() and teacher.grad is None
    valid[0, :, 1] = False
    assert cosine_loss(student, teacher, valid, valid.sum()).item() == pytest.approx(2 / 6)
    assert cosine_loss(-student, student, valid, valid.sum()).item() == pytest.approx(2)
    assert cosine_loss(student, teacher, valid & False, valid.sum()).item() == 0
