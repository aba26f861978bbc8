"""Tensors of a step: what its items hold, stacked and cut-mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from co2s.semi import cutmix
from co2s.structures import IGNORE_LABEL, LabeledItem, PseudoLabel, UnlabeledItem

from ..purify import Purifier


def stack(items: Sequence[Any], key: str, device: torch.device) -> Tensor:
    """One tensor (B, ...) of a key of all items, on a device."""
    return torch.stack([item[key] for item in items]).to(device, non_blocking=True)


def _if_there(items: Sequence[Any], key: str, device: torch.device) -> Tensor | None:
    return stack(items, key, device) if key in items[0] else None


def _own(items: Sequence[UnlabeledItem], device: torch.device) -> dict[str, Any]:
    """What `Unlabeled` has of items whether or not anything is pasted into them."""
    diagnosis = _if_there(items, "diagnosis", device)
    return {
        "weak": stack(items, "image", device),
        "valid": stack(items, "valid", device),
        "seeds": [item["seed"] for item in items],
        "diagnosis": None if diagnosis is None else diagnosis.long(),
        "grounding": _if_there(items, "grounding", device),
    }


@dataclass(frozen=True)
class Labeled:
    """Labelled images (B, C, S, S) uint8, their classes (B, S, S) int64, 255 = ignore."""

    images: Tensor
    target: Tensor

    @classmethod
    def stacked(cls, items: Sequence[LabeledItem], device: torch.device) -> "Labeled":
        return cls(stack(items, "image", device), stack(items, "sem_seg", device).long())

    @property
    def masks(self) -> dict[str, Tensor]:
        """The pixels that the supervised loss is a mean over."""
        return {"x": self.target != IGNORE_LABEL}


@dataclass(frozen=True)
class Unlabeled:
    """Views of unlabelled images: images (B, C, S, S) uint8, masks (B, S, S) bool."""

    weak: Tensor
    valid: Tensor
    strong: tuple[Tensor, ...]  # the partner is pasted in already
    boxes: tuple[Tensor, ...]  # one for each strong view
    boxed: list[int]  # the items that have a box in any view
    partner: Tensor  # the partners' weak views
    partner_valid: Tensor
    seeds: list[int]  # one for each item
    diagnosis: Tensor | None = None  # (B, S, S) int64: classes that no loss may look at
    grounding: Tensor | None = None  # (B, N, S, S) uint8: what purifiers judge the weak views by
    partner_grounding: Tensor | None = None

    @classmethod
    def stacked(
        cls, items: Sequence[UnlabeledItem], partners: Sequence[UnlabeledItem], device: torch.device
    ) -> "Unlabeled":
        """From items that have strong views and CutMix boxes, and a partner for each."""
        strong, pasted = (stack(x, "strong", device).unbind(1) for x in (items, partners))
        boxes = stack(items, "cutmix", device).unbind(1)
        return cls(
            **_own(items, device),
            strong=tuple(cutmix(*views) for views in zip(strong, pasted, boxes, strict=True)),
            boxes=boxes,
            boxed=[i for i, item in enumerate(items) if item["cutmix"].any()],
            partner=stack(partners, "image", device),
            partner_valid=stack(partners, "valid", device),
            partner_grounding=_if_there(partners, "grounding", device),
        )

    @classmethod
    def plain(cls, items: Sequence[UnlabeledItem], device: torch.device) -> "Unlabeled":
        """From items with strong views or without, and without boxes: nothing is pasted in."""
        own = _own(items, device)
        strong = stack(items, "strong", device).unbind(1) if "strong" in items[0] else ()
        return cls(
            **own,
            strong=strong,
            boxes=tuple(torch.zeros_like(own["valid"]) for _ in strong),
            boxed=[],
            partner=own["weak"],
            partner_valid=own["valid"],
        )

    @property
    def masks(self) -> dict[str, Tensor]:
        """The pixels that unsupervised losses are means over, by view."""
        mixed = [torch.where(box, self.partner_valid, self.valid) for box in self.boxes]
        plain = {"weak": self.valid, "feature": self.valid}
        return {**plain, **{f"strong{i}": m for i, m in enumerate(mixed, start=1)}}

    def pseudo_labels(
        self, weak: Tensor, partner: Tensor, purify: Purifier | None = None
    ) -> dict[str, PseudoLabel]:
        """Labels of "weak", and of "strong1", ...: inside their box they are the partner's.

        From logits (B, N, S, S) of the weak views and of the partners' weak views. Each image's are
        purified before anything is pasted.
        """
        own = PseudoLabel.from_logits(weak, self.valid)
        if purify is not None:
            own = purify(own, self.grounding)
        other = own
        if self.boxed:
            other = PseudoLabel.from_logits(partner, self.partner_valid)
            other = other if purify is None else purify(other, self.partner_grounding)
        mixed = [own.cutmix(other, box) if self.boxed else own for box in self.boxes]
        return {"weak": own, **{f"strong{i}": m for i, m in enumerate(mixed, start=1)}}


class Seen(NamedTuple):
    """What one student makes of a step: logits (B, N, S, S) and its own labels, by view.

    judged: the logits of the weak view that the labels are of; an average's, where one labels.
    """

    logits: dict[str, Tensor]
    labels: dict[str, PseudoLabel]
    judged: Tensor
