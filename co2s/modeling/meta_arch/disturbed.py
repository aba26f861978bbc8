"""Disturbed views: moved, with a hole, or noisy and seen by a part of the channels."""

from dataclasses import replace

import torch
from torch import Tensor

from co2s.layers import channel_dropout, item_noise, warp
from co2s.semi import cutmix
from co2s.structures import IGNORE_LABEL

from ..student import Student
from .stacking import Labeled, Unlabeled


def moved(u: Unlabeled, theta: Tensor) -> Unlabeled:
    """Weak views seen through theta (B, 2, 3), and what is known of their pixels.

    A pixel is valid where all that it is made of is.
    """

    def nearest(x: Tensor, outside: int) -> Tensor:
        found = warp((x.float() - outside), theta, "nearest") + outside
        return found.round().to(x.dtype)

    diagnosis, grounding = u.diagnosis, u.grounding
    return replace(
        u,
        weak=warp(u.weak.float(), theta).round().to(u.weak.dtype),
        valid=warp(u.valid[:, None].float(), theta)[:, 0] > 0.999,
        diagnosis=None if diagnosis is None else nearest(diagnosis[:, None], IGNORE_LABEL)[:, 0],
        grounding=None if grounding is None else nearest(grounding, 0),
    )


def with_holes(
    u: Unlabeled, erased: Tensor, pasted: Tensor, mean: Tensor, counted: Tensor
) -> Unlabeled:
    """Weak views, and as strong ones the same with boxes (B, S, S) bool in the colour `mean`.

    Into those to be pasted into other pixels come later; counted (B, S, S) bool says of which of
    them a loss is a mean, too.
    """
    erased, pasted = (part.to(u.weak.device, non_blocking=True) for part in (erased, pasted))
    colour = mean.round().to(u.weak.dtype)  # 0 once it is normalised
    strong = torch.where((erased | pasted)[:, None], colour, u.weak)
    return replace(u, strong=(strong,), boxes=(pasted,), partner_valid=counted)


def filled(x: Labeled, u: Unlabeled) -> Tensor:
    """The views with a hole, labelled images of the batch pasted where some are to be."""
    rows = torch.arange(len(u.weak), device=u.weak.device) % len(x.images)
    return cutmix(u.strong[0], x.images[rows], u.boxes[0])


def mean_prediction(
    student: Student, u: Unlabeled, passes: int, noise: float, dropout: float, number: int
) -> Tensor:
    """Probabilities (B, N, S, S) of the weak views, the mean over several passes.

    noise: standard deviation of what each adds to the normalised images; dropout: share of the
    channels of every map that it loses. Students of another number draw others.
    """
    total = torch.zeros((), device=u.weak.device)
    for stream in range(number * passes, (number + 1) * passes):
        added = noise * student.pixel_std * item_noise(u.weak, u.seeds, stream)
        maps = channel_dropout(student.features(u.weak + added), dropout, u.seeds, stream)
        total = total + student.decode(maps, u.weak.shape[-2:]).softmax(dim=1)
    return total / passes
