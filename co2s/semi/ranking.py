"""Ranks of confidences within their class (DWL, Huang et al., ISPRS 2024), and their weight."""

import torch
from torch import Tensor, nn

from co2s.structures import PseudoLabel

from .counting import sum_over_processes
from .histograms import BINS, confidence_bins, count_confidences, on_grid

LEVELS = 20  # a rank is a multiple of 1 / LEVELS


def ranking_weight(rank: Tensor, steepness: float) -> Tensor:
    """w = 2 / (1 + exp(-k r)) - 1 of ranks r in [0, 1]: from 0, near 1 for a high steepness k."""
    return 2.0 / (1.0 + torch.exp(-steepness * rank)) - 1.0


class ConfidenceRanks(nn.Module):
    """How a pixel's confidence ranks among those of its class, over the last steps of a run.

    The history of each step is a histogram of confidences by class: of one size, whatever the batch
    is, and a sum, so that ranks are the same on one process and on many. They are of the steps
    before, never of the step itself. Saved with the model.
    """

    history: Tensor  # (steps, N, BINS)
    updates: Tensor  # how many steps there have been
    seen: Tensor  # (N, BINS): of this step

    def __init__(self, num_classes: int, steps: int):
        super().__init__()
        self.register_buffer("history", torch.zeros(steps, num_classes, BINS))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(num_classes, BINS), persistent=False)

    def anew(self) -> "ConfidenceRanks":
        """The same as it starts: nothing is remembered."""
        return ConfidenceRanks(self.history.shape[1], len(self.history))

    @torch.no_grad()
    def ranks(self, labels: PseudoLabel) -> Tensor:
        """r (B, H, W): the share of its class's history below a pixel's confidence, in steps of
        1 / LEVELS, rounded down; 0 where the class has none."""
        counts = self.history.sum(dim=0, dtype=torch.float64)
        below = (counts.cumsum(dim=1) - counts) / counts.sum(dim=1, keepdim=True).clamp(min=1)
        table = (below * LEVELS + 1e-9).floor() / LEVELS  # 3 / 20 of them are 3 levels
        bins = confidence_bins(labels.confidence, self.history.shape[1])
        return table[labels.label, bins].float()

    @torch.no_grad()
    def observe(self, labels: PseudoLabel) -> None:
        """Count the valid ones of a grid of pixels of each image."""
        self.seen += count_confidences(on_grid(labels), self.history.shape[1])

    @torch.no_grad()
    def update(self) -> None:
        """Move on after an optimiser step; every process has to call it."""
        place = (self.updates % len(self.history)).view(1)
        self.history.index_copy_(0, place, sum_over_processes(self.seen)[None])
        self.updates += 1
        self.seen.zero_()
