"""Boundary F1 of each class (Csurka et al., BMVC 2013); pure functions on numpy.

A boundary pixel of a class has a neighbour, above, below, left or right, of another class. It is
found again where the other map has a boundary of the same class within a distance: the share of
predicted boundaries found in the truth is precision, that of true ones found in the prediction is
recall. Pixels are counted over a whole dataset, as those of a confusion matrix.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from co2s.structures import IGNORE_LABEL

PREDICTED, PREDICTED_FOUND, TRUE, TRUE_FOUND = range(4)  # columns of the counts


def boundary_counts(
    truth: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    tolerance: int,
    ignore: int = IGNORE_LABEL,
) -> np.ndarray:
    """Boundary pixels (N, 4) int64 of two label maps (H, W) by class: the columns above.

    tolerance: the largest Euclidean distance in pixels at which a boundary is found again. Where
    the truth is `ignore` there is no boundary, in neither map, and none against it.
    """
    valid = truth != ignore
    true, predicted = (boundaries(labels, valid) for labels in (truth, prediction))
    found = (
        *_found(predicted, true, num_classes, tolerance),
        *_found(true, predicted, num_classes, tolerance),
    )
    return np.stack(found, axis=1)


def boundaries(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The class of every boundary pixel of a label map (H, W), -1 elsewhere; (H, W) int16."""
    result = np.full(labels.shape, -1, np.int16)
    here = np.zeros(labels.shape, bool)
    for one, two in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
    ):
        differ = (labels[one] != labels[two]) & valid[one] & valid[two]
        here[one] |= differ
        here[two] |= differ
    result[here] = labels[here]
    return result


def boundary_scores(counts: np.ndarray, *, absent_as_zero: bool = False) -> list[float | None]:
    """F1 of each class in percent from its counts (N, 4).

    None for a class without a boundary in the truth, which cannot be missed; `absent_as_zero`
    gives it 0.
    """
    return [_f1(row) if row[TRUE] else (0.0 if absent_as_zero else None) for row in counts]


def add_boundary_scores(scores: dict[str, Any], counts: np.ndarray, absent_as_zero: bool) -> None:
    """Add "BF1" to the scores of a confusion matrix: to every class, and its mean; in place."""
    values = boundary_scores(counts, absent_as_zero=absent_as_zero)
    for row, value in zip(scores["classes"].values(), values, strict=True):
        row["BF1"] = value
    scores["BF1"] = _mean(values)


def _f1(row: np.ndarray) -> float:
    precision = row[PREDICTED_FOUND] / max(row[PREDICTED], 1)
    recall = row[TRUE_FOUND] / row[TRUE]
    total = precision + recall
    return float(200 * precision * recall / total) if total else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _found(
    edges: np.ndarray, others: np.ndarray, num_classes: int, tolerance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Boundary pixels of each class, and those that `others` has within the tolerance.

    The nearest places are looked at first, and pixels that are found drop out: few are looked for
    at all, so this costs the same for any number of classes.
    """
    edges, around = _padded(edges, tolerance), _padded(others, tolerance).ravel()
    places = np.flatnonzero(edges >= 0)
    labels = edges.ravel()[places]
    total = np.bincount(labels, minlength=num_classes)
    for down, right in _disc(tolerance):
        missing = around[places + down * edges.shape[1] + right] != labels
        places, labels = places[missing], labels[missing]
    return total, total - np.bincount(labels, minlength=num_classes)


def _padded(edges: np.ndarray, margin: int) -> np.ndarray:
    height, width = edges.shape
    result = np.full((height + 2 * margin, width + 2 * margin), -1, np.int16)
    result[margin : margin + height, margin : margin + width] = edges
    return result


@lru_cache(maxsize=8)
def _disc(radius: int) -> tuple[tuple[int, int], ...]:
    """Steps (down, right) to every pixel within a radius, the nearest first."""
    span = range(-radius, radius + 1)
    steps = [(y, x) for y in span for x in span if x * x + y * y <= radius * radius]
    return tuple(sorted(steps, key=lambda step: step[0] ** 2 + step[1] ** 2))
