"""Ranks of confidences within their class (DWL, Huang et al., ISPRS 2024), and their weight."""

import math

import torch
from torch import Tensor, nn

from co2s.structures import PseudoLabel

from .counting import sum_over_processes

BINS = 1024  # of the log odds of a confidence, evenly up to those of 1 - 1e-6
HIGHEST = math.log(1e6)
LEVELS = 20  # a rank is a multiple of 1 / LEVELS
SIDE = 64  # of the grid of pixels that are counted in an image


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
        return table[labels.label, self._bins(labels.confidence)].float()

    @torch.no_grad()
    def observe(self, labels: PseudoLabel) -> None:
        """Count the valid ones of a grid of SIDE x SIDE pixels of each image."""
        at = (slice(None), *_grid(labels.label))
        place = labels.label[at] * BINS + self._bins(labels.confidence[at])
        number = labels.valid[at].to(self.seen.dtype)
        self.seen.view(-1).index_add_(0, place.flatten(), number.flatten())

    @torch.no_grad()
    def update(self) -> None:
        """Move on after an optimiser step; every process has to call it."""
        place = (self.updates % len(self.history)).view(1)
        self.history.index_copy_(0, place, sum_over_processes(self.seen)[None])
        self.updates += 1
        self.seen.zero_()

    def _bins(self, confidence: Tensor) -> Tensor:
        lowest = -math.log(max(self.history.shape[1] - 1, 1))  # of 1 / N
        odds = confidence.logit(eps=1e-7)
        return ((odds - lowest) / (HIGHEST - lowest) * BINS).long().clamp(0, BINS - 1)


def _grid(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, 1) and columns (m,) of SIDE x SIDE pixels of x (B, H, W); all where it has fewer."""
    places = []
    for side in x.shape[-2:]:
        number = min(side, SIDE)
        places.append((torch.arange(number, device=x.device) * 2 + 1) * side // (2 * number))
    return places[0][:, None], places[1]
