"""Thresholds of pseudo-labels: one number for all classes, or one for each, learned on the way.

FlexMatch and FreeMatch were written for images; here a pixel is what they call a sample. A step
uses the thresholds that all steps before it have made, so that they depend neither on the number
of processes nor on how a step's batch is shared out.
"""

import torch
from torch import Tensor, nn

from co2s.structures import PseudoLabel

from .counting import pixels_by_class, sum_over_processes
from .histograms import BINS, bin_edges, count_confidences, on_grid

DECAY = 0.999  # lambda: share of the old average that a step leaves, FreeMatch's


def flexmatch_thresholds(shares: Tensor, threshold: float) -> Tensor:
    """FlexMatch's curriculum pseudo-labels (Zhang et al. 2021, arXiv 2110.08263), (N,).

    shares (N,): sigma(c), the share of all pixels that are pseudo-labelled c and reach the
    threshold tau. T(c) = M(beta(c)) tau with the convex mapping M(x) = x / (2 - x) and, with the
    warm-up, beta(c) = sigma(c) / max(max_c sigma(c), 1 - sum_c sigma(c)).
    """
    unused = 1 - shares.sum()
    beta = shares / torch.maximum(shares.max(), unused).clamp(min=1e-12)
    return threshold * beta / (2 - beta)


def freematch_thresholds(confidence: Tensor, probs: Tensor) -> Tensor:
    """FreeMatch's self-adaptive thresholds (Wang et al. 2022, arXiv 2205.07246), (N,).

    confidence: tau, the average of max_c q(c); probs (N,): p(c), the average of q(c), of the
    predictions q of all pixels. T(c) = tau p(c) / max_c p(c).
    """
    return confidence * probs / probs.max()


def balanced_thresholds(counts: Tensor, share: Tensor, threshold: float) -> Tensor:
    """Class-balanced self-training's thresholds (Zou et al. 2018, arXiv 1810.07911), (N,).

    counts (N, BINS): pixels by class and bin of confidence. At least T(c) confident is `share` of
    class c, the same share of every class; `threshold` for a class without pixels.
    """
    total = counts.sum(dim=1, keepdim=True)
    above = counts.flip(1).cumsum(dim=1).flip(1) >= share * total  # True up to the bin of T(c)
    place = (above.sum(dim=1) - 1).clamp(min=0)
    edges = bin_edges(len(counts), counts.device)
    return torch.where(total[:, 0] > 0, edges[place], threshold).float()


class FixedThreshold(nn.Module):
    """One number for all classes, as the paper has it; nothing is learned, nothing is saved."""

    def __init__(self, num_classes: int, threshold: float, decay: float = DECAY):
        """decay: lambda, from 0 to below 1, of the rules that keep averages."""
        super().__init__()
        self.num_classes, self.threshold, self.decay = num_classes, threshold, decay

    def values(self) -> float | Tensor:
        """What `PseudoLabel.kept` asks for: a number, or (N,) one for each class."""
        return self.threshold

    def anew(self) -> "FixedThreshold":
        """The same thresholds as they start."""
        return type(self)(self.num_classes, self.threshold, self.decay)

    def observe(self, labels: PseudoLabel, logits: Tensor) -> None:
        """See what a student says of a weak view: its labels, and logits (B, N, H, W)."""

    def update(self) -> None:
        """Move on after an optimiser step; every process has to call it."""


class _Averaged(FixedThreshold):
    """Moving averages over the steps of what the pixels of a step amount to.

    They are saved with the model; `seen` is empty whenever it could be.
    """

    average: Tensor
    seen: Tensor  # sums over the pixels since the last update, and last their number

    def __init__(self, num_classes: int, threshold: float, decay: float, start: Tensor):
        super().__init__(num_classes, threshold, decay)
        self.register_buffer("average", start)
        seen = torch.zeros(len(start) + 1, dtype=torch.float64)
        self.register_buffer("seen", seen, persistent=False)

    @torch.no_grad()
    def update(self) -> None:
        *sums, pixels = sum_over_processes(self.seen).split([len(self.average), 1])
        weight = (1 - self.decay) * (pixels > 0)  # a step without a valid pixel says nothing
        mean = sums[0] / pixels.clamp(min=1)
        self.average.lerp_(mean.to(self.average.dtype), weight.to(self.average.dtype))
        self.seen.zero_()

    def _add(self, *sums: Tensor) -> None:
        self.seen += torch.cat([part.reshape(-1).to(self.seen.dtype) for part in sums])


class FlexMatchThresholds(_Averaged):
    """`flexmatch_thresholds` of the average share that each class has among all pixels.

    What the average has not seen yet counts as unused, as in the paper the images that no epoch
    has reached: the thresholds rise from 0.
    """

    def __init__(self, num_classes: int, threshold: float, decay: float = DECAY):
        super().__init__(num_classes, threshold, decay, torch.zeros(num_classes))

    def values(self) -> Tensor:
        return flexmatch_thresholds(self.average, self.threshold)

    @torch.no_grad()
    def observe(self, labels: PseudoLabel, logits: Tensor) -> None:
        kept = labels.kept(self.threshold)
        self._add(pixels_by_class(labels.label, kept, self.num_classes), labels.valid.sum())


class FreeMatchThresholds(_Averaged):
    """`freematch_thresholds` of the average prediction; all averages start at 1 / N.

    The fixed threshold is not used.
    """

    def __init__(self, num_classes: int, threshold: float, decay: float = DECAY):
        start = torch.full((1 + num_classes,), 1 / num_classes)  # confidence, then every class
        super().__init__(num_classes, threshold, decay, start)

    def values(self) -> Tensor:
        return freematch_thresholds(self.average[0], self.average[1:])

    @torch.no_grad()
    def observe(self, labels: PseudoLabel, logits: Tensor) -> None:
        valid = labels.valid
        probs = logits.float().softmax(dim=1) * valid.unsqueeze(1)
        sums = probs.sum(dim=(0, 2, 3), dtype=torch.float64)
        confidence = (labels.confidence * valid).sum(dtype=torch.float64)
        self._add(confidence, sums, valid.sum())


class BalancedThresholds(_Averaged):
    """`balanced_thresholds` that together keep as many pixels as the fixed threshold would.

    So a class that the network is surer of does not crowd out the others. Before the first step
    they are the fixed one.
    """

    def __init__(self, num_classes: int, threshold: float, decay: float = DECAY):
        start = torch.zeros(num_classes * BINS + 1)  # by class and bin; last what tau keeps
        super().__init__(num_classes, threshold, decay, start)

    def values(self) -> Tensor:
        counts = self.average[:-1].double().view(self.num_classes, BINS)
        share = self.average[-1] / counts.sum().clamp(min=1e-12)
        return balanced_thresholds(counts, share, self.threshold)

    @torch.no_grad()
    def observe(self, labels: PseudoLabel, logits: Tensor) -> None:
        labels = on_grid(labels)
        counts = count_confidences(labels, self.num_classes)
        self._add(counts, labels.kept(self.threshold).sum(), labels.valid.sum())


KINDS: dict[str, type[FixedThreshold]] = {
    "fixed": FixedThreshold,
    "flexmatch": FlexMatchThresholds,
    "freematch": FreeMatchThresholds,
    "balanced": BalancedThresholds,
}


def build_thresholds(
    kind: str, num_classes: int, threshold: float, decay: float = DECAY
) -> FixedThreshold:
    """The thresholds of one student; ValueError for a kind that is not in KINDS, or for a decay
    outside of [0, 1)."""
    if kind not in KINDS:
        raise ValueError(f"CLASS_THRESHOLDS is {kind!r}; it may be {', '.join(KINDS)}.")
    if not 0 <= decay < 1:
        raise ValueError(
            f"CLASS_DECAY is {decay}; give a share from 0 to below 1: 1 - 1 / N remembers N steps."
        )
    return KINDS[kind](num_classes, threshold, decay)
