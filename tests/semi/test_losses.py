"""Losses against numbers worked out by hand, and the direction of their gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from co2s import semi
from co2s.d2 import EventStorage, build_model
from co2s.semi import mean_counts, stability_loss, stability_masks
from co2s.structures import PseudoLabel


def pixels(*probabilities):
    """Logits (1, N, 1, W) whose softmax is the given list of distributions."""
    return torch.tensor(probabilities).log().T[None, :, None, :].clone().requires_grad_()


def count(mask):
    return mean_counts({"pixels": mask})["pixels"]


def supervised_loss(logits, target):
    return semi.supervised_loss(logits, target, count(target != 255))


def pseudo_label_loss(logits, labels, threshold):
    return semi.pseudo_label_loss(logits, labels, threshold, count(labels.valid))


def stability_losses(a, b, valid, threshold):
    """a's loss as a student of b, and b's as a student of a."""
    masks = stability_masks(a, b, valid, threshold)
    pairs = zip(((a, b), (b, a)), masks, strict=True)
    return tuple(stability_loss(*pair, mask, count(mask)) for pair, mask in pairs)


def pseudo(label, confidence, valid):
    return PseudoLabel(*(torch.tensor([[row]]) for row in (label, confidence, valid)))


def test_supervised_loss_is_the_mean_over_labelled_pixels():
    logits = pixels([0.5, 0.5], [0.25, 0.75], [0.9, 0.1])
    loss = supervised_loss(logits, torch.tensor([[[0, 1, 255]]]))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2, rel=1e-5)


def test_supervised_loss_without_a_labelled_pixel_is_zero_and_differentiable():
    logits = pixels([0.5, 0.5])
    loss = supervised_loss(logits, torch.full((1, 1, 1), 255))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().sum() == 0


def test_pseudo_label_loss_divides_by_valid_not_by_kept_pixels():
    logits = pixels([0.5, 0.5], [0.25, 0.75], [0.9, 0.1], [0.2, 0.8])
    # kept: the first; unsure: the second; padding: the third; kept: the fourth.
    labels = pseudo([0, 1, 0, 0], [0.95, 0.9, 0.99, 0.96], [True, True, False, True])
    loss = pseudo_label_loss(logits, labels, 0.95)
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 3, rel=1e-5)


def test_pseudo_label_loss_without_a_valid_pixel_is_zero():
    loss = pseudo_label_loss(pixels([0.5, 0.5]), pseudo([0], [0.99], [False]), 0.95)
    assert loss.item() == 0


def test_stability_loss_by_hand():
    a = pixels([0.6, 0.4], [0.98, 0.02], [0.97, 0.03])
    b = pixels([0.7, 0.3], [0.6, 0.4], [0.01, 0.99])
    valid = torch.ones(1, 1, 3, dtype=torch.bool)
    loss_a, loss_b = stability_losses(a, b, valid, 0.95)
    # Pixel 1: neither is confident. Pixel 2: a teaches b. Pixel 3: b is more confident, a learns.
    assert loss_a.item() == pytest.approx((0.96**2 + 0.96**2) / 2, rel=1e-4)
    assert loss_b.item() == pytest.approx((0.38**2 + 0.38**2) / 2, rel=1e-4)


def test_stability_gradient_reaches_the_student_and_not_the_teacher():
    a, b = pixels([0.6, 0.4], [0.99, 0.01]), pixels([0.97, 0.03], [0.5, 0.5])
    loss_a, loss_b = stability_losses(a, b, torch.ones(1, 1, 2, dtype=torch.bool), 0.95)
    (grad_aa, grad_ab) = torch.autograd.grad(loss_a, (a, b), retain_graph=True, allow_unused=True)
    assert grad_ab is None
    assert grad_aa[..., 0].abs().min() > 0, "a learns at the first pixel"
    assert grad_aa[..., 1].abs().max() == 0, "a teaches at the second"
    (grad_ba, grad_bb) = torch.autograd.grad(loss_b, (a, b), allow_unused=True)
    assert grad_ba is None and grad_bb[..., 1].abs().min() > 0


def test_stability_tie_teaches_both_ways():
    a, b = pixels([0.97, 0.03]), pixels([0.03, 0.97])
    loss_a, loss_b = stability_losses(a, b, torch.ones(1, 1, 1, dtype=torch.bool), 0.95)
    assert loss_a.item() == pytest.approx(0.94**2, rel=1e-4) == loss_b.item()


def test_stability_ignores_padding_and_may_be_empty():
    a, b = pixels([0.6, 0.4], [0.6, 0.4]), pixels([0.98, 0.02], [0.9, 0.1])
    valid = torch.tensor([[[False, True]]])
    assert [loss.item() for loss in stability_losses(a, b, valid, 0.95)] == [0.0, 0.0]


def test_supervised_loss_equals_torch():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 5, 4, 4), torch.randint(0, 5, (2, 4, 4))
    torch.testing.assert_close(supervised_loss(logits, target), F.cross_entropy(logits, target))


def test_padding_counts_in_the_stability_loss_where_asked(tiny_cfg, random_batch):
    """MODEL.CO2S.STABILITY_PADDING, a switch of the authors' release; no other loss changes."""
    tiny_cfg.MODEL.CO2S.THRESHOLD = 0.1  # every pixel is confident
    model = build_model(tiny_cfg).train()
    batch = random_batch(size=16)
    whole = [{**item, "valid": torch.ones_like(item["valid"])} for item in batch["unlabeled"]]
    with EventStorage(5):  # past the ramp
        masked = model(batch)
        without_padding = model({**batch, "unlabeled": whole})
        model.padding = True
        counted = model(batch)
    for key in masked:
        expected = without_padding if key.startswith("loss_stability") else masked
        torch.testing.assert_close(counted[key], expected[key])
    assert counted["loss_stability_local"] != masked["loss_stability_local"]
    tiny_cfg.MODEL.CO2S.STABILITY_PADDING = True
    assert build_model(tiny_cfg).padding


def test_losses_are_divided_by_the_count_that_is_handed_in():
    logits, target = pixels([0.5, 0.5], [0.25, 0.75]), torch.tensor([[[0, 1]]])
    labels = pseudo([0, 1], [0.99, 0.99], [True, True])
    mask = torch.ones(1, 1, 2, dtype=torch.bool)
    for loss in (
        lambda n: semi.supervised_loss(logits, target, n),
        lambda n: semi.pseudo_label_loss(logits, labels, 0.9, n),
        lambda n: stability_loss(logits, logits.flip(1), mask, n),
    ):
        assert loss(torch.tensor(2.0)) == 2 * loss(torch.tensor(4.0)) > 0


def test_counts_are_of_each_mask_and_never_zero():
    masks = {"some": torch.tensor([True, False, True]), "none": torch.zeros(2, 2, dtype=torch.bool)}
    counts = mean_counts(masks)
    assert counts["some"] == 2
    assert 0 < counts["none"] < 1e-5
