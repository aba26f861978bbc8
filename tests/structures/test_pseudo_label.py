"""Pseudo-labels: argmax and confidence, kept pixels, CutMix."""

import torch

from co2s.structures import PseudoLabel


def test_from_logits_takes_argmax_and_its_probability_without_gradient():
    logits = torch.tensor([[[[0.0, 3.0]], [[1.0, 0.0]]]], requires_grad=True)  # (1, 2, 1, 2)
    pseudo = PseudoLabel.from_logits(logits, torch.ones(1, 1, 2, dtype=torch.bool))
    assert pseudo.label.tolist() == [[[1, 0]]]
    expected = torch.sigmoid(torch.tensor([[[1.0, 3.0]]]))
    torch.testing.assert_close(pseudo.confidence, expected)
    assert not pseudo.confidence.requires_grad


def test_kept_needs_confidence_and_a_real_pixel():
    confidence = torch.tensor([[[0.95, 0.94, 0.99]]])
    valid = torch.tensor([[[True, True, False]]])
    pseudo = PseudoLabel(torch.zeros(1, 1, 3, dtype=torch.long), confidence, valid)
    assert pseudo.kept(0.95).tolist() == [[[True, False, False]]]


def test_cutmix_takes_all_three_parts_of_the_partner_inside_the_box():
    own = PseudoLabel(
        torch.tensor([[[0, 0]]]), torch.tensor([[[0.1, 0.1]]]), torch.tensor([[[True, True]]])
    )
    partner = PseudoLabel(
        torch.tensor([[[5, 5]]]), torch.tensor([[[0.9, 0.9]]]), torch.tensor([[[False, False]]])
    )
    mixed = own.cutmix(partner, torch.tensor([[[False, True]]]))
    assert mixed.label.tolist() == [[[0, 5]]]
    assert mixed.valid.tolist() == [[[True, False]]]
    torch.testing.assert_close(mixed.confidence, torch.tensor([[[0.1, 0.9]]]))
