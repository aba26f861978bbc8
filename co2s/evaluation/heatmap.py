"""A confusion matrix as a picture: which class is taken for which."""

from collections.abc import Sequence

import numpy as np

from .figures import drawable, new_figure, save_figure


def write_confusion(matrix: np.ndarray, class_names: Sequence[str], title: str, path: str) -> str:
    """Write a confusion matrix (N, N) in pixels as a PNG and return its path.

    Each row is the truth and sums to 100 %, its share of all pixels beside its name; a class
    without a pixel of truth has a grey row.
    """
    n = len(class_names)
    pixels = matrix.sum(axis=1)
    shares = np.full(matrix.shape, np.nan)
    shares[pixels > 0] = 100 * matrix[pixels > 0] / pixels[pixels > 0, None]

    cell = 0.62 if n > 9 else 0.78
    figure = new_figure(cell * n + 3.2, cell * n + 2.2, layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor("#dddddd")
    drawn = axis.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=100)
    for i, j in np.argwhere(np.isfinite(shares)):
        color = "white" if shares[i, j] > 55 else "black"
        axis.text(
            j,
            i,
            _cell(shares[i, j]),
            ha="center",
            va="center",
            color=color,
            fontsize=8 if n > 9 else 9,
            fontweight="bold" if i == j else "normal",
        )
    names = [drawable(name).replace("$", r"\$") for name in class_names]
    rows = [
        f"{name} ({100 * count / max(pixels.sum(), 1):.1f} %)"
        for name, count in zip(names, pixels, strict=True)
    ]
    axis.set_xticks(range(n), names, rotation=40, ha="right", fontsize=9)
    axis.set_yticks(range(n), rows, fontsize=9)
    axis.set_xlabel("prediction")
    axis.set_ylabel("truth (share of all labelled pixels)")
    axis.set_title(title, fontsize=11)
    figure.colorbar(drawn, ax=axis, shrink=0.8, label="% of the true class's pixels")
    return save_figure(figure, path)


def _cell(share: float) -> str:
    """Whole numbers leave the cell readable; a trace is told apart from nothing."""
    if share == 0:
        return "·"
    return "<1" if share < 0.5 else f"{share:.0f}"
