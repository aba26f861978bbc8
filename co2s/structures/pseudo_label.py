"""PseudoLabel: what a student believes about an image, and where it may be used."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PseudoLabel:
    """A student's own labels of a batch of images; no gradient through any part (section 3).

    label (B, H, W) int64, confidence (B, H, W) the largest class probability,
    valid (B, H, W) bool: a real pixel, not padding. accepted (B, H, W) bool: it counts whatever
    its confidence, by the word of a purifier; None: none does.
    """

    label: Tensor
    confidence: Tensor
    valid: Tensor
    accepted: Tensor | None = None

    @classmethod
    def from_logits(cls, logits: Tensor, valid: Tensor) -> "PseudoLabel":
        """From logits (B, N, H, W) and valid (B, H, W)."""
        confidence, label = logits.detach().float().softmax(dim=1).max(dim=1)
        return cls(label, confidence, valid)

    def cutmix(self, partner: "PseudoLabel", box: Tensor) -> "PseudoLabel":
        """Inside box (B, H, W) bool the partner's labels, outside its own."""
        return PseudoLabel(
            torch.where(box, partner.label, self.label),
            torch.where(box, partner.confidence, self.confidence),
            torch.where(box, partner.valid, self.valid),
            self._accepted_with(partner, box),
        )

    def kept(self, threshold: float | Tensor) -> Tensor:
        """(B, H, W) bool: valid pixels at least as confident as the threshold, or accepted.

        threshold: one number for all pixels, or (N,) one for each class that a pixel may be given.
        """
        wanted = threshold[self.label] if isinstance(threshold, Tensor) else threshold
        enough = self.confidence >= wanted
        return self.valid & (enough if self.accepted is None else enough | self.accepted)

    def _accepted_with(self, partner: "PseudoLabel", box: Tensor) -> Tensor | None:
        own, other = self.accepted, partner.accepted
        if own is None and other is None:
            return None
        none = torch.zeros_like(box)
        return torch.where(box, none if other is None else other, none if own is None else own)
