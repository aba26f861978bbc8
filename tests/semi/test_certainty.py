"""Entropy and its percentiles, by hand and against NumPy."""

import math

import numpy as np
import pytest
import torch

from co2s.semi import entropy, least_certain, most_certain, quantile, weighted_loss
from co2s.structures import PseudoLabel

VALUES = torch.tensor([[[0.4, 0.1, 0.3, 0.2, 0.5, 9.0]]])
MASK = torch.tensor([[[True, True, True, True, True, False]]])


def test_entropy_of_known_distributions():
    probs = torch.tensor([[0.25] * 4, [0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    logits = (probs + 1e-12).log().T[None, :, None, :].requires_grad_()
    found = entropy(logits)
    assert found[0, 0].tolist() == pytest.approx([math.log(4), math.log(2), 0.0], abs=1e-6)
    assert not found.requires_grad


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.8, 1.0])
def test_quantile_is_numpy_s(share):
    expected = np.percentile([0.4, 0.1, 0.3, 0.2, 0.5], 100 * share)
    assert quantile(VALUES, MASK, share).item() == pytest.approx(expected)


def test_the_certain_and_the_uncertain_end():
    # The 20th percentile of 0.1 ... 0.5 is 0.18, the 80th 0.42.
    assert most_certain(VALUES, MASK, 0.2).tolist() == [[[False, True, *[False] * 4]]]
    assert least_certain(VALUES, MASK, 0.2).tolist() == [[[*[False] * 4, True, False]]]
    assert torch.equal(most_certain(VALUES, MASK, 1.0), MASK)


def test_nothing_is_certain_where_nothing_is_valid():
    none = torch.zeros_like(MASK)
    assert quantile(VALUES, none, 0.5).isinf()
    assert not most_certain(VALUES, none, 0.5).any() and not least_certain(VALUES, none, 0.5).any()


def test_a_loss_weighs_its_pixels():
    probs = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    logits = probs.log().T[None, :, None, :]
    label, valid = torch.tensor([[[0, 1, 0]]]), torch.tensor([[[True, True, False]]])
    pseudo = PseudoLabel(label, torch.zeros(1, 1, 3), valid)  # no confidence: it plays no part
    weight = torch.tensor([[[0.5, 2.0, 7.0]]])
    loss = weighted_loss(logits, pseudo, weight, torch.tensor(4.0))
    expected = -(0.5 * math.log(0.5) + 2 * math.log(0.75)) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-5)
