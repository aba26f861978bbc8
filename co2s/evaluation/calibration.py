"""Calibration: how sure predictions are, how often they are right, and the temperature between.

A prediction is calibrated where, of all pixels that it is 80 % sure of, 80 % are right (Guo et al.,
ICML 2017, arXiv 1706.04599).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from co2s.d2 import DatasetEvaluator, MetadataCatalog, comm
from co2s.structures import IGNORE_LABEL

from .evaluator import predictions, truth_of

BINS = 15  # of equal width, as in the paper
SAMPLE = 2**18  # pixels that a temperature is fitted on: its error is below 0.01 from 1e4 on
LOWEST, HIGHEST = 0.05, 20.0  # temperatures; beyond them predictions are 0 and 1, or all equal
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Evidence:
    """What a set of images says of one prediction.

    log_probs (P, N) and truth (P,) of a sample of P labelled pixels, and weight (P,), the pixels
    that each stands for; reliability (3, BINS) of all labelled pixels, as `reliability` counts it.
    """

    log_probs: Tensor
    truth: Tensor
    weight: Tensor
    reliability: np.ndarray

    @property
    def pixels(self) -> int:
        """All labelled ones."""
        return int(self.reliability[0].sum())

    @property
    def sample(self) -> tuple[Tensor, Tensor, Tensor]:
        """What `fit_temperature` takes."""
        return self.log_probs, self.truth, self.weight

    @classmethod
    def merged(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """Of all images together."""
        return cls(
            log_probs=torch.cat([part.log_probs for part in parts]),
            truth=torch.cat([part.truth for part in parts]),
            weight=torch.cat([part.weight for part in parts]),
            reliability=np.sum([part.reliability for part in parts], axis=0),
        )


class CalibrationEvaluator(DatasetEvaluator):
    """Collects the `Evidence` on every prediction of a model over a dataset and all processes.

    The sample holds as many pixels of every image, spread over it, the same ones every time.
    """

    def __init__(self, dataset_name: str, per_image: int):
        """per_image: pixels of an image in the sample; 0: none."""
        self._ignore = MetadataCatalog.get(dataset_name).get("ignore_label", IGNORE_LABEL)
        self._per_image = per_image
        self.reset()

    def reset(self) -> None:
        self._found: dict[str, list[Evidence]] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Tensor]]) -> None:
        for item, output in zip(inputs, outputs, strict=True):
            truth = torch.from_numpy(truth_of(item)).flatten()
            labelled = (truth != self._ignore).nonzero()[:, 0]
            for name, probs in predictions(output).items():
                evidence = collect(probs.flatten(1), truth, labelled, self._per_image)
                self._found.setdefault(name, []).append(evidence)

    def evaluate(self) -> dict[str, Evidence] | None:
        """By the name of the prediction; None on all processes but the first."""
        own = {name: Evidence.merged(parts) for name, parts in self._found.items()}
        gathered = comm.gather(own)
        if not comm.is_main_process():
            return None
        names = dict.fromkeys(name for part in gathered for name in part)
        return {n: Evidence.merged([part[n] for part in gathered if n in part]) for n in names}


def collect(probs: Tensor, truth: Tensor, labelled: Tensor, count: int) -> Evidence:
    """The evidence of one image: probs (N, P), truth (P,), the labelled pixels' numbers."""
    labelled = labelled.to(probs.device)
    confidence, label = probs.max(dim=0)
    right = label.cpu() == truth
    chosen = labelled[_spread(len(labelled), count).to(probs.device)]
    sample = probs[:, chosen].T.float().cpu()
    return Evidence(
        log_probs=sample.clamp(min=torch.finfo(torch.float32).tiny).log(),
        truth=truth[chosen.cpu()].long(),
        weight=torch.full((len(chosen),), len(labelled) / max(len(chosen), 1)),
        reliability=reliability(
            confidence[labelled].double().cpu().numpy(), right[labelled.cpu()].numpy()
        ),
    )


def _spread(total: int, count: int) -> Tensor:
    """`count` of `total` numbers, evenly spread, but not in step with the rows of an image."""
    steps = torch.arange(min(total, count), dtype=torch.float64) * GOLDEN
    return (steps % 1 * total).long()


def reliability(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(3, BINS): of the pixels in each bin of confidence their number, confidences and hits."""
    number = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    weights = (np.ones_like(confidence), confidence, right.astype(np.float64))
    return np.stack([np.bincount(number, w, minlength=BINS) for w in weights])


def expected_error(counts: np.ndarray) -> float:
    """ECE of a `reliability` (3, BINS): the mean over pixels of |confidence - accuracy| of a bin.

    ValueError where there is no pixel.
    """
    pixels, confidence, right = counts
    if not pixels.any():
        raise ValueError("Not one labelled pixel: there is nothing to compare confidences with.")
    return float(np.abs(confidence - right).sum() / pixels.sum())


def described(counts: np.ndarray) -> dict[str, Any]:
    """{"ece", "bins": [[pixels, mean confidence, accuracy], ...]} of a `reliability` (3, BINS).

    An empty bin is three zeros.
    """
    pixels = counts[0]
    means = counts[1:] / np.maximum(pixels, 1)
    bins = [[int(n), float(c), float(a)] for n, c, a in zip(pixels, *means, strict=True)]
    return {"ece": expected_error(counts), "bins": bins}


def fit_temperature(log_probs: Tensor, truth: Tensor, weight: Tensor) -> float:
    """The T in LOWEST..HIGHEST with the smallest mean of -log softmax(log_probs / T)[truth].

    log_probs (P, N), truth (P,) int64, weight (P,). The mean is convex in 1 / T: Newton's steps,
    and halves of the interval wherever they leave it.
    """
    values, weight = log_probs.double(), weight.double() / weight.double().sum()
    own = values.gather(1, truth[:, None])[:, 0]
    low, high, inverse = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(60):
        probs = (values * inverse).softmax(dim=1)
        mean = (probs * values).sum(dim=1)
        slope = float((weight * (mean - own)).sum())
        bend = float((weight * ((probs * values.square()).sum(dim=1) - mean.square())).sum())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / bend if bend > 0 else low
        before, inverse = inverse, step if low < step < high else (low + high) / 2
        if abs(inverse - before) < 1e-7 * inverse:
            break
    return min(max(1 / inverse, LOWEST), HIGHEST)
