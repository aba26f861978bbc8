"""Losses as pure functions of logits, labels and the number of pixels to divide by.

The caller counts those pixels, over all processes (`mean_counts`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from co2s.structures import IGNORE_LABEL, PseudoLabel

from .agreement import who_learns


def supervised_loss(logits: Tensor, target: Tensor, count: Tensor) -> Tensor:
    """Cross entropy summed over labelled pixels, divided by `count` of them (paper eq. L_sup).

    Logits (B, N, H, W), target (B, H, W) int64 with 255 = ignore. 0 where no pixel is labelled.
    """
    total = F.cross_entropy(logits.float(), target, ignore_index=IGNORE_LABEL, reduction="sum")
    return total / count


def pseudo_label_loss(
    logits: Tensor, pseudo: PseudoLabel, threshold: float | Tensor, count: Tensor
) -> Tensor:
    """Cross entropy summed over confident pixels, divided by `count` valid ones (method section 3).

    Logits (B, N, H, W); threshold: one number, or (N,) one for each class. Pixels below it add
    nothing to the sum and yet count in the mean: an unsure student learns slowly from itself.
    """
    loss = F.cross_entropy(logits.float(), pseudo.label, reduction="none")
    return (loss * pseudo.kept(threshold)).sum() / count


def weighted_loss(logits: Tensor, pseudo: PseudoLabel, weight: Tensor, count: Tensor) -> Tensor:
    """Cross entropy times the weight of its pixel, summed over valid ones, divided by `count`.

    Logits (B, N, H, W); weight (B, H, W), bool or a number; confidence plays no part.
    """
    loss = F.cross_entropy(logits.float(), pseudo.label, reduction="none")
    return (loss * weight * pseudo.valid).sum() / count


def stability_masks(
    logits_a: Tensor, logits_b: Tensor, valid: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Pixels (B, H, W) bool where a learns from b, and where b learns from a (method section 3).

    Logits (B, N, H, W) of both students on the weak view, valid (B, H, W) bool.
    """
    one, two = (x.detach().float().softmax(dim=1).amax(dim=1) for x in (logits_a, logits_b))
    a_learns, b_learns = who_learns(one, two, threshold)
    return a_learns & valid, b_learns & valid


def stability_loss(student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """Squared error between two softmaxes where `mask` is True, per pixel and class (section 3).

    Logits (B, N, H, W) of the student, which gets the gradient, and of the teacher, which gets
    none; mask (B, H, W) bool, `count` its True pixels. 0 where there is none.
    """
    probs, target = student.float().softmax(dim=1), teacher.detach().float().softmax(dim=1)
    error = (probs - target).square().mean(dim=1)
    return torch.where(mask, error, 0.0).sum() / count
