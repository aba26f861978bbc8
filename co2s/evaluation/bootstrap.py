"""Scores over seeds and images, differences of two models, and how far they depend on both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # the ends of the interval then move by some hundredths of its length
CHUNK = 200  # draws at once: bounds the memory


@dataclass(frozen=True)
class Estimate:
    """mIoU, or a difference of it, in points: of all there is, and its 95 % interval's ends."""

    value: float
    low: float
    high: float


def mean_iou(matrices: np.ndarray, *, absent_as_zero: bool = False) -> np.ndarray:
    """mIoU in percent of confusion matrices (..., N, N), as `scores` has it; NaN without pixels."""
    right = np.diagonal(matrices, axis1=-2, axis2=-1).astype(np.float64)
    true, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    counted = np.full(true.shape, True) if absent_as_zero else true > 0
    iou = right / np.maximum(true + predicted - right, 1)  # 0 where there is no truth
    with np.errstate(invalid="ignore"):
        mean = iou.sum(axis=-1) / counted.sum(axis=-1)
    return np.where(true.any(axis=-1), 100 * mean, np.nan)


def paired_gain(
    first: np.ndarray, second: np.ndarray, *, absent_as_zero: bool = False, seed: int = 0
) -> Estimate:
    """`gain_over_seeds` of one seed: from matrices (images, N, N) of each model.

    The interval says how far the gain depends on the choice of images, and nothing of other seeds.
    """
    return gain_over_seeds([first], [second], absent_as_zero=absent_as_zero, seed=seed)


def mean_over_seeds(
    runs: Sequence[np.ndarray], *, absent_as_zero: bool = False, seed: int = 0
) -> Estimate:
    """The mean mIoU of runs that differ in their seed, from matrices (images, N, N) of each.

    A bootstrap over seeds and images, again and again: as many seeds as there are, then as many
    images as there are, the same images for all seeds. For each seed anew their chance would
    average out, as if more seeds were more images. One run: over images alone. ValueError where
    the runs were not scored on the same images.
    """
    return _estimate([[run] for run in runs], absent_as_zero, seed)


def gain_over_seeds(
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    *,
    absent_as_zero: bool = False,
    seed: int = 0,
) -> Estimate:
    """The mean, over pairs of runs of one seed, of the first's mIoU minus the second's.

    As `mean_over_seeds`: a pair stays together, and both its runs get the same images.
    """
    if len(first) != len(second):
        raise ValueError(f"Not pairs of runs: {len(first)} and {len(second)}.")
    return _estimate([*zip(first, second, strict=True)], absent_as_zero, seed)


def _estimate(runs: Sequence[Sequence[np.ndarray]], absent_as_zero: bool, seed: int) -> Estimate:
    """Of runs of one model, or of pairs: then of the first minus the second."""
    shapes = {part.shape for run in runs for part in run}
    if len(shapes) != 1 or not min(shapes)[0]:
        raise ValueError(f"Not the same images: matrices of {sorted(shapes)}.")
    images, n, _ = min(shapes)
    flat = [[part.reshape(images, n * n).astype(np.float64) for part in run] for run in runs]

    def score(run: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
        totals = ((weights @ part).reshape(-1, n, n) for part in run)
        one, *other = (mean_iou(total, absent_as_zero=absent_as_zero) for total in totals)
        return one - other[0] if other else one

    def scores(weights: np.ndarray) -> np.ndarray:
        """(draws, seeds) of weights of the images (draws, images)."""
        return np.stack([score(run, weights) for run in flat], axis=1)

    rng, of_seeds = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    share, drawn = np.full(images, 1 / images), []
    for _ in range(DRAWS // CHUNK):
        found = scores(rng.multinomial(images, share, CHUNK).astype(np.float64))
        chosen = of_seeds.integers(0, len(runs), found.shape)
        drawn.append(np.take_along_axis(found, chosen, axis=1).mean(axis=1))
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Estimate(float(scores(np.ones((1, images))).mean()), float(low), float(high))
