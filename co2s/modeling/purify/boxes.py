"""SemiEarth's purifier (arXiv 2602.00202): what the teacher doubts, a vision-language model judges.

The model is asked before training (tools/ground_classes.py); here are only its boxes, as maps of
the views. docs/methods.md has the formulas.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from co2s.d2 import CfgNode, configurable
from co2s.structures import IGNORE_LABEL, PseudoLabel

from .build import PURIFIER_REGISTRY


@PURIFIER_REGISTRY.register()
class VLMPurifier:
    """Labels below `unsure` are judged by the boxes: `purified`. ValueError for keys that cannot
    be."""

    @configurable
    def __init__(self, *, unsure: float, replace: float, threshold: float, softmax: bool) -> None:
        if not 0 <= replace <= unsure <= 1 or unsure == 0:
            raise ValueError(
                f"MODEL.PURIFIER.REPLACE is {replace} and UNSURE {unsure}; give two confidences "
                "with 0 <= REPLACE <= UNSURE, and UNSURE above 0."
            )
        self.purified = partial(
            purified, unsure=unsure, replace=replace, threshold=threshold, softmax=softmax
        )

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.PURIFIER
        if not node.BOXES:
            raise ValueError(
                f"MODEL.PURIFIER.NAME {node.NAME} needs MODEL.PURIFIER.BOXES, the folder that "
                "tools/ground_classes.py has written."
            )
        return {
            "unsure": node.UNSURE,
            "replace": node.REPLACE,
            "threshold": node.THRESHOLD,
            "softmax": node.SOFTMAX,
        }

    def __call__(self, labels: PseudoLabel, scores: Tensor | None) -> PseudoLabel:
        if scores is None:
            raise ValueError(
                "The unlabelled items have no grounding, which VLMPurifier judges by: build their "
                "loader from the configuration with MODEL.PURIFIER.BOXES."
            )
        return self.purified(labels, scores)


@torch.no_grad()
def purified(
    labels: PseudoLabel,
    scores: Tensor,
    *,
    unsure: float = 0.7,
    replace: float = 0.3,
    threshold: float = 0.0,
    softmax: bool = False,
) -> PseudoLabel:
    """The labels, where their confidence c is below `unsure` and some class claims the pixel:

    - c < replace, and boxes say another class: that class, with its probability p;
    - else the label stays, with the confidence w c + (1 - w) p(label), w = c / unsure.

    scores (B, N, H, W) uint8, 0 where a class claims nothing. p: their share of the scores of all
    classes that claim the pixel; softmax: that of all scores instead, claimed or not, as in the
    release. Where the label is then the boxes' (one of their most probable ones) and its confidence
    reaches `threshold`, it is accepted, whatever threshold the method has; 0: none is.
    """
    score = scores.float() / 255
    p = score.softmax(dim=1) if softmax else score / score.sum(dim=1, keepdim=True).clamp(min=1e-9)
    probability, said = p.max(dim=1)
    of_label = p.gather(1, labels.label[:, None])[:, 0]
    c = labels.confidence
    doubted = (c < unsure) & (scores.amax(dim=1) > 0)
    denied = of_label < probability
    replaced = doubted & (c < replace) & denied
    weight = c / unsure
    blended = torch.where(doubted, weight * c + (1 - weight) * of_label, c)
    confidence = torch.where(replaced, probability, blended)
    shared = doubted & (replaced | ~denied)
    return PseudoLabel(
        torch.where(replaced, said, labels.label),
        confidence,
        labels.valid,
        shared & (confidence >= threshold) if threshold else None,
    )


def claimed(scores: Tensor) -> Tensor:
    """(B, H, W) uint8 of scores (B, N, H, W): the class with the largest one; 255: no class has."""
    score, label = scores.max(dim=1)
    return torch.where(score > 0, label, IGNORE_LABEL).byte()
