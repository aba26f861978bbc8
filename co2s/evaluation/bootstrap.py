"""The difference of two models on one set of images, and how far it depends on those images."""

from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # the ends of the interval then move by some hundredths of its length
CHUNK = 200  # draws at once: bounds the memory


@dataclass(frozen=True)
class Gain:
    """A difference of mIoU in points: of the whole set, and the ends of its 95 % interval."""

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
) -> Gain:
    """mIoU of the first model minus that of the second, from matrices (images, N, N) of each.

    A paired bootstrap: images are drawn again and again, as many as there are, for both models the
    same ones; the interval holds 95 % of the differences. It says how far the gain depends on the
    choice of images, and nothing of other seeds. ValueError where the images differ.
    """
    if first.shape != second.shape or not len(first):
        raise ValueError(f"Not the same images: {first.shape} and {second.shape} matrices.")
    images, n = len(first), first.shape[-1]
    flat = [part.reshape(images, n * n).astype(np.float64) for part in (first, second)]
    rng = np.random.default_rng(seed)

    def difference(weights: np.ndarray) -> np.ndarray:
        totals = ((weights @ part).reshape(-1, n, n) for part in flat)
        one, two = (mean_iou(total, absent_as_zero=absent_as_zero) for total in totals)
        return one - two

    share = np.full(images, 1 / images)
    sizes = [CHUNK] * (DRAWS // CHUNK)
    drawn = [difference(rng.multinomial(images, share, size).astype(np.float64)) for size in sizes]
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Gain(float(difference(np.ones((1, images)))[0]), float(low), float(high))
