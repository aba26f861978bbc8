"""Scores of a segmentation, all of them from one confusion matrix; pure functions on numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from co2s.structures import IGNORE_LABEL


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int, ignore: int = IGNORE_LABEL
) -> np.ndarray:
    """Pixel counts (N, N) int64 of two label maps (H, W): rows are truth, columns prediction.

    Pixels whose truth is `ignore` do not count. Raises ValueError for maps of different shape
    and for labels outside 0..N-1.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"Truth has shape {truth.shape} and prediction {prediction.shape}; resize the "
            "prediction to the label's size before it is scored."
        )
    counted = truth != ignore
    truth, prediction = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    _check_labels("truth", truth, num_classes, f", and {ignore} for pixels to ignore")
    _check_labels("prediction", prediction, num_classes, "")
    counts = np.bincount(truth * num_classes + prediction, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _check_labels(name: str, labels: np.ndarray, num_classes: int, also: str) -> None:
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = np.unique(labels[(labels < 0) | (labels >= num_classes)])
        shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
        raise ValueError(
            f"The {name} holds the values {shown}; with {num_classes} classes 0..{num_classes - 1} "
            f"are allowed{also}. Correct the labels or the dataset's label mapping."
        )


def scores(
    matrix: np.ndarray, class_names: Sequence[str], *, absent_as_zero: bool = False
) -> dict[str, Any]:
    """Every score of a confusion matrix (N, N), in percent; None where one is undefined.

    "mIoU", "F1" (mean), "OA" (share of pixels that are right), "kappa" (Cohen's), "classes":
    {name: {"IoU", "F1", "precision", "recall", "pixels"}} and "absent": the classes without a
    single pixel of truth. Those are left out of the means, whatever was predicted: so the mean
    runs over the same classes for every method, and their false alarms still count against the
    classes they were drawn on. `absent_as_zero` gives them 0 instead, as the authors' release.

    Raises ValueError for a matrix without a pixel or of the wrong shape.
    """
    n = len(class_names)
    if matrix.shape != (n, n):
        raise ValueError(f"{n} class names need a matrix ({n}, {n}); it is {matrix.shape}.")
    if not matrix.any():
        raise ValueError(
            "Not one labelled pixel was scored: every pixel of the truth is ignored. Check the "
            "labels and the dataset's label mapping."
        )
    right = np.diag(matrix).astype(np.float64)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    present = true > 0
    counted = np.full(n, True) if absent_as_zero else present
    per_class = {
        "IoU": _percent(right, true + predicted - right, counted),
        "F1": _percent(2 * right, true + predicted, counted),
        "precision": _percent(right, predicted, counted),
        "recall": _percent(right, true, counted),
    }
    return {
        "mIoU": _mean(per_class["IoU"]),
        "OA": float(100 * right.sum() / matrix.sum()),
        "F1": _mean(per_class["F1"]),
        "kappa": cohens_kappa(matrix),
        "classes": {
            name: {key: values[i] for key, values in per_class.items()} | {"pixels": int(true[i])}
            for i, name in enumerate(class_names)
        },
        "absent": [name for name, here in zip(class_names, present, strict=True) if not here],
    }


def cohens_kappa(matrix: np.ndarray) -> float | None:
    """Agreement beyond chance in percent: (p_o - p_e) / (1 - p_e) of a confusion matrix (N, N).

    None where chance alone agrees everywhere: one class in truth and prediction.
    """
    total = float(matrix.sum())
    observed = float(np.trace(matrix)) / total
    expected = float(matrix.sum(axis=1) @ (matrix.sum(axis=0) / total)) / total
    return None if expected == 1.0 else 100 * (observed - expected) / (1 - expected)


def _percent(part: np.ndarray, whole: np.ndarray, counted: np.ndarray) -> list[float | None]:
    """100 * part / whole for the counted classes; of a counted class 0 / 0 is 0."""
    return [
        (float(100 * p / w) if w else 0.0) if here else None
        for p, w, here in zip(part, whole, counted, strict=True)
    ]


def _mean(values: list[float | None]) -> float:
    """Mean of the values that are there; at least one is, where a pixel is."""
    return float(np.mean([value for value in values if value is not None]))
