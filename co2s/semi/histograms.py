"""Histograms of confidences by class: of one size whatever the batch is, and sums."""

import math

import torch
from torch import Tensor

from co2s.structures import PseudoLabel

BINS = 1024  # of the log odds of a confidence, evenly up to those of 1 - 1e-6
HIGHEST = math.log(1e6)
SIDE = 64  # of the grid of pixels that are counted in an image


def confidence_bins(confidence: Tensor, num_classes: int) -> Tensor:
    """The bin, 0 to BINS - 1, that each confidence from 1 / N to 1 falls into."""
    lowest = _lowest(num_classes)
    odds = confidence.logit(eps=1e-7)
    return ((odds - lowest) / (HIGHEST - lowest) * BINS).long().clamp(0, BINS - 1)


def bin_edges(num_classes: int, device: torch.device) -> Tensor:
    """(BINS,) float64: the lowest confidence of each bin; of the first one 0."""
    lowest = _lowest(num_classes)
    steps = torch.arange(BINS, device=device, dtype=torch.float64)
    edges = (lowest + steps * (HIGHEST - lowest) / BINS).sigmoid()
    edges[0] = 0.0
    return edges


def on_grid(labels: PseudoLabel) -> PseudoLabel:
    """A grid of SIDE x SIDE pixels of each image of (B, H, W); all where it has fewer.

    Without what a purifier accepted, whose pixels count at any confidence.
    """
    at = (slice(None), *_grid(labels.label))
    return PseudoLabel(labels.label[at], labels.confidence[at], labels.valid[at])


def count_confidences(labels: PseudoLabel, num_classes: int) -> Tensor:
    """(N, BINS) float32: the valid pixels by class and bin."""
    counts = torch.zeros(num_classes * BINS, device=labels.label.device)
    place = labels.label * BINS + confidence_bins(labels.confidence, num_classes)
    number = labels.valid.to(counts.dtype)
    return counts.index_add_(0, place.flatten(), number.flatten()).view(num_classes, BINS)


def _lowest(num_classes: int) -> float:
    return -math.log(max(num_classes - 1, 1))  # log odds of 1 / N


def _grid(x: Tensor) -> tuple[Tensor, Tensor]:
    places = []
    for side in x.shape[-2:]:
        number = min(side, SIDE)
        places.append((torch.arange(number, device=x.device) * 2 + 1) * side // (2 * number))
    return places[0][:, None], places[1]
