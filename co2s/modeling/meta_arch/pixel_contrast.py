"""What U2PL has beside each student: a projection of its features, and queues of negatives."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode
from co2s.semi import (
    EMA,
    ClassQueues,
    anchors,
    centres,
    default_ranks,
    entropy,
    info_nce,
    least_certain,
    most_certain,
    negatives,
    sample,
)


def add_contrast_config(node: CfgNode) -> None:
    node.ENTROPY_SHARE = 0.2  # of the pixels: the surest are anchors, the least sure negatives
    node.ANCHOR_PROBABILITY = 0.3  # that the class of an anchor has at least
    node.LOW_RANK = 0  # from which on a class is surely not an unsure pixel's; 0: by their number
    node.HIGH_RANK = 0  # from which on it is too easy to tell; 0: by the number of classes
    node.ANCHORS = 256  # of a class and step
    node.NEGATIVES = 50  # of an anchor
    node.QUEUE = 2048  # features that the memory of a class holds
    node.DIM = 256  # of a projected feature
    node.TEMPERATURE = 0.5


class Cells(NamedTuple):
    """Cells of a step's feature maps, P of them, and their part in the contrast."""

    features: Tensor  # (P, D): as the teacher sees them
    anchors: Tensor  # (P, N) bool: that stand for a class
    negatives: Tensor  # (P, N) bool: that are surely none of it


class PixelContrast(nn.Module):
    """InfoNCE of a student's projected features, against the teacher's.

    An anchor of the student is to be like the mean of the teacher's anchors of its class, and
    unlike features of the class's queue.
    """

    def __init__(self, keys: CfgNode, feature_dim: int, num_classes: int, ema_decay: float):
        """keys: MODEL.U2PL; ema_decay: above 0, an average projects what the teacher sees."""
        super().__init__()
        dim, (low, high) = keys.DIM, default_ranks(num_classes)
        self.head = nn.Sequential(nn.Linear(feature_dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.average = EMA(self.head, ema_decay) if ema_decay else None
        self.queues = ClassQueues(num_classes, keys.QUEUE, dim)
        self.ranks = keys.LOW_RANK or low, keys.HIGH_RANK or high
        self.keys = keys

    def cells(
        self, feature: Tensor, logits: Tensor, label: Tensor, labeled: int, t: float
    ) -> Cells:
        """The part of each cell of feature (B, D, h, w), logits (B, N, h, w), label (B, 1, h, w).

        The first images are labelled; a label below 0 is none. t: share of the run that is made.
        """
        probs, unsure = rows_of(logits.softmax(dim=1)), entropy(logits).flatten()
        classes = rows_of(label)[:, 0].long()
        known, classes = classes >= 0, classes.clamp(min=0)
        ours = torch.zeros_like(known)
        ours[: labeled * logits.shape[-2] * logits.shape[-1]] = True
        share, others = self.keys.ENTROPY_SHARE * (1 - t), known & ~ours
        sure = known & ours | most_certain(unsure, others, share)
        doubtful = least_certain(unsure, others, share)
        return Cells(
            features=rows_of(feature),
            anchors=anchors(probs, classes, sure, self.keys.ANCHOR_PROBABILITY),
            negatives=negatives(probs, classes, known & ours, doubtful, *self.ranks),
        )

    def forward(
        self, feature: Tensor, cells: Cells, generator: torch.Generator, remember: bool
    ) -> Tensor:
        """The losses of all classes that have anchors, added up; 0, with a gradient, of none.

        feature (B, D, h, w): the student's, of the same P cells. remember: whether the negatives
        of this batch join the queues, after the step.
        """
        with torch.no_grad():
            taught = (self.average or self.head)(cells.features.float())
        positives = centres(taught, cells.anchors)
        drawn = [sample(c, self.keys.ANCHORS, generator) for c in cells.anchors.unbind(1)]
        rows = torch.cat([*drawn, drawn[0].new_zeros(1)])  # one more, so that there always is one
        *pieces, rest = self.head(_at(feature, rows)).split([*map(len, drawn), 1])
        total = 0.0 * rest.sum()
        for label, piece in enumerate(pieces):
            if len(piece):
                unlike = self.queues.draw(label, len(piece) * self.keys.NEGATIVES, generator)
                unlike = unlike.view(len(piece), -1, piece.shape[1])
                total = total + info_nce(piece, positives[label], unlike, self.keys.TEMPERATURE)
        if remember:
            self.queues.observe(taught, cells.negatives, generator)
        return total

    def after_step(self, step: int) -> None:
        self.queues.update()
        if self.average is not None:
            self.average.update(self.head, step)


def rows_of(maps: Tensor) -> Tensor:
    """(B, C, h, w) -> (B * h * w, C)."""
    return maps.movedim(1, -1).flatten(0, 2)


def _at(maps: Tensor, rows: Tensor) -> Tensor:
    """Some of `rows_of` maps, without making the others."""
    cells = maps.shape[-2] * maps.shape[-1]
    return maps.flatten(2)[rows // cells, :, rows % cells].float()
