"""DWL's ranks and their weight, by hand."""

import math

import pytest
import torch

from co2s.semi import ConfidenceRanks, ranking_weight
from co2s.structures import PseudoLabel


def pseudo(label, confidence, valid=None):
    label = torch.tensor([[label]])
    valid = torch.ones_like(label) if valid is None else torch.tensor([[valid]])
    return PseudoLabel(label, torch.tensor([[confidence]]), valid.bool())


def test_the_weight_of_a_rank():
    ranks = torch.tensor([0.0, 0.5, 1.0])
    expected = [2 / (1 + math.exp(-4 * r)) - 1 for r in (0.0, 0.5, 1.0)]
    assert ranking_weight(ranks, 4.0).tolist() == pytest.approx(expected)
    assert expected[0] == 0 and expected[2] == pytest.approx(0.964, abs=1e-3)


def test_a_rank_is_the_share_below_in_its_class():
    ranks = ConfidenceRanks(2, 5)
    ten = [0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95]
    ranks.observe(pseudo([0] * 10, ten))
    ranks.observe(pseudo([1] * 4, [0.99] * 4, [1, 1, 0, 0]))  # padding does not count
    asked = pseudo([0, 0, 0, 1, 1], [0.62, 0.9999, 0.50, 0.9999, 0.6])
    assert ranks.ranks(asked).flatten().tolist() == [0.0] * 5, "the step itself is not in it"
    ranks.update()
    assert ranks.history.sum(dim=(0, 2)).tolist() == [10.0, 2.0]
    assert ranks.ranks(asked).flatten().tolist() == pytest.approx([0.3, 1.0, 0.0, 1.0, 0.0])


def test_a_rank_is_rounded_down_to_a_twentieth():
    ranks = ConfidenceRanks(2, 5)
    ranks.observe(pseudo([0] * 7, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]))
    ranks.update()
    found = ranks.ranks(pseudo([0, 0], [0.57, 0.78])).flatten().tolist()
    assert found == pytest.approx([0.25, 0.85])  # 2 / 7 and 6 / 7


def test_the_oldest_step_is_forgotten():
    ranks, asked = ConfidenceRanks(2, 2), pseudo([0], [0.8])
    found = []
    for confidence in (0.7, 0.9, 0.9, 0.9):
        ranks.observe(pseudo([0], [confidence]))
        ranks.update()
        found.append(ranks.ranks(asked).item())
    assert found == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_confidences_near_one_are_still_told_apart():
    ranks = ConfidenceRanks(6, 5)
    ranks.observe(pseudo([0, 0], [0.999, 0.9999]))
    ranks.update()
    found = ranks.ranks(pseudo([0, 0, 0], [0.9985, 0.9995, 0.99999])).flatten().tolist()
    assert found == pytest.approx([0.0, 0.5, 1.0])


def test_a_large_image_is_counted_on_a_grid():
    ranks = ConfidenceRanks(2, 5)
    label = torch.zeros(1, 128, 256, dtype=torch.long)
    label[:, :64] = 1
    whole = PseudoLabel(label, torch.full((1, 128, 256), 0.8), torch.ones_like(label).bool())
    ranks.observe(whole)
    ranks.update()
    assert ranks.history.sum(dim=(0, 2)).tolist() == [64 * 32.0] * 2
