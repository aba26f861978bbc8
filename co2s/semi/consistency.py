"""Consistency: what a student sees and says is held against what a teacher does."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_ramp(progress: float, length: float = 1.0) -> float:
    """exp(-5 (1 - t)^2), t = progress / length: from 0.007 up to 1, and 1 from then on."""
    t = 1.0 if length <= 0 else min(max(progress, 0.0) / length, 1.0)
    return math.exp(-5.0 * (1.0 - t) ** 2)


def certain(probs: Tensor, threshold: float, relative: bool = True) -> Tensor:
    """(B, H, W) bool: pixels whose entropy is at most the threshold times the highest one there is.

    probs (B, N, H, W) are means of several predictions, so that the entropy tells of their
    disagreement as well. The highest entropy is ln N, or, not relative, ln 2 whatever N is. No
    gradient.
    """
    probs = probs.detach().float()
    entropy = -torch.xlogy(probs, probs).sum(dim=1)
    return entropy <= threshold * math.log(probs.shape[1] if relative else 2)


def prediction_consistency(student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """Huber's loss between two softmaxes, mean over classes, summed over the mask, over `count`.

    Logits (B, N, H, W), of the teacher without a gradient; mask (B, H, W) bool. Probabilities
    differ by 1 at most, where Huber's loss is half the squared error.
    """
    probs, target = student.float().softmax(dim=1), teacher.detach().float().softmax(dim=1)
    error = F.huber_loss(probs, target, reduction="none").mean(dim=1)
    return masked_sum(error, mask) / count


def map_consistency(student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """Huber's loss between two maps (B, C, h, w), mean over channels, summed over the pixels of
    mask (B, H, W) bool, divided by `count`.

    A pixel has the error of the cell that it lies in. The teacher gets no gradient.
    """
    error = F.huber_loss(student.float(), teacher.detach().float(), reduction="none")
    return masked_sum(error.mean(dim=1), mask) / count


def map_error(student: Tensor, teacher: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """As `map_consistency`, with the squared error."""
    error = (student.float() - teacher.detach().float()).square()
    return masked_sum(error.mean(dim=1), mask) / count


def masked_sum(error: Tensor, mask: Tensor) -> Tensor:
    """The errors (B, h, w) of cells summed over the pixels of mask (B, H, W) bool."""
    if error.shape != mask.shape:
        error = F.interpolate(error[:, None], mask.shape[-2:], mode="nearest-exact")[:, 0]
    return torch.where(mask, error, 0.0).sum()
