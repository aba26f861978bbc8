"""CutMix partners: whose pixels go into the boxes, and what a student says of them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from co2s.structures import UnlabeledItem

from .stacking import Unlabeled

Predict = Callable[[Tensor], Tensor]  # images (B, C, S, S) -> logits (B, N, S, S)
Items = Sequence[UnlabeledItem]


class DrawnPartners:
    """Another draw of the data for each item, as in UniMatch, or another crop of the same image.

    What a student says of them costs a pass of its own, which only items with a box get.
    """

    def stacked(self, items: Items, device: torch.device) -> Unlabeled:
        """The views of a batch, with its partners' pixels pasted in."""
        partners = [item["partner"] for item in items]
        return Unlabeled.stacked(items, partners, device)

    def logits(self, name: str, predict: Predict, u: Unlabeled, weak: Tensor) -> Tensor:
        """A student's logits (B, N, S, S) of the partners' weak views, no gradient.

        weak: of the items' own. They stand in where an item has no box: nobody reads those.
        """
        weak = weak.detach()
        if not u.boxed:
            return weak
        if len(u.boxed) == len(weak):
            return predict(u.partner)
        rows = torch.tensor(u.boxed, device=weak.device)
        return weak.index_copy(0, rows, predict(u.partner[rows]).to(weak.dtype))

    def remember(self, items: Items, weak: dict[str, Tensor]) -> None:
        """After the losses of a batch: its items, and each student's logits of the weak views."""


class RolledPartners(DrawnPartners):
    """The item before in the batch of the process; for the first one the last."""

    def stacked(self, items: Items, device: torch.device) -> Unlabeled:
        return Unlabeled.stacked(items, [items[-1], *items[:-1]], device)

    def logits(self, name: str, predict: Predict, u: Unlabeled, weak: Tensor) -> Tensor:
        return weak.detach().roll(1, 0)


class PreviousPartners(DrawnPartners):
    """The item in the same place of the batch before, and what the student said of it then.

    For one image on each GPU. After a start the first batch has none and is not mixed.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.weak: dict[str, Tensor] = {}

    def stacked(self, items: Items, device: torch.device) -> Unlabeled:
        return Unlabeled.stacked(items, self.items or items, device)

    def logits(self, name: str, predict: Predict, u: Unlabeled, weak: Tensor) -> Tensor:
        return self.weak.get(name, weak.detach())

    def remember(self, items: Items, weak: dict[str, Tensor]) -> None:
        self.items = [*items]
        self.weak = {name: logits.detach() for name, logits in weak.items()}


KINDS = {
    "other": DrawnPartners,
    "same": DrawnPartners,
    "rolled": RolledPartners,
    "previous": PreviousPartners,
}
