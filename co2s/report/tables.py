"""Scores as tables: classes against predictions, one table for each prediction, confusion."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from co2s.evaluation.report import SUMMARY

from .folder import Run
from .formats import grouped, percent, score
from .markup import Html, folded, join, paragraphs, table, tag

COLUMNS = ("IoU", "F1", "BF1", "precision", "recall")
LARGE = 12  # classes, from which on the cells of a matrix become small


def scores(run: Run) -> Html:
    """For each dataset IoU by prediction, and every score of each prediction."""
    return join(_of_dataset(name, content) for name, content in run.scores.items())


def _of_dataset(dataset: str, content: dict[str, Any]) -> Html:
    names, values = list(content["scores"]), list(content["scores"].values())
    rows: list[list[Any]] = [
        [label, *_ranked([v["classes"][label]["IoU"] for v in values])]
        for label in content["class_names"]
    ]
    summary = [key for key in SUMMARY if any(v.get(key) is not None for v in values)]
    rows += [[tag("b", key), *_ranked([v.get(key) for v in values])] for key in summary]
    tolerance = content.get("boundary", {}).get("tolerance")
    note = (
        f"BF1 is the F1 of class boundaries that are found within {tolerance} pixels. "
        if tolerance
        else ""
    )
    mark = "The best of a row is in bold. " if len(names) > 1 else ""
    return join(
        [
            tag("h3", f"{dataset}, {grouped(content['images'])} images"),
            table("IoU of each class and summary scores, in percent", ["class", *names], rows),
            tag("p", f"{mark}{note}Undefined scores are –.", cls="note"),
            *(
                folded(f"All scores of {name}", _of_prediction(name, content))
                for name in content["scores"]
            ),
        ]
    )


def _of_prediction(name: str, content: dict[str, Any]) -> Html:
    classes = content["scores"][name]["classes"]
    columns = [key for key in COLUMNS if any(key in row for row in classes.values())]
    total = sum(row["pixels"] for row in classes.values())
    rows = [
        [label, *(_bar(row.get(key)) for key in columns), percent(row["pixels"] / total, 1)]
        for label, row in classes.items()
    ]
    headers = ["class", *columns, "share of pixels"]
    return table(f"{name}: scores of each class, in percent", headers, rows)


def _ranked(values: Sequence[float | None]) -> list[Html]:
    known = [value for value in values if value is not None]
    best = max(known) if len(known) > 1 else None
    return [_bar(value, value is not None and value == best) for value in values]


def _bar(value: float | None, best: bool = False) -> Html:
    """A cell with its number, and a bar behind it."""
    style = None if value is None else f"--v:{max(value, 0):.1f}"
    return tag("td", tag("b", score(value)) if best else score(value), cls="bar", style=style)


def confusion(run: Run) -> Html:
    """Which class is taken for which, for the prediction that counts; the others folded."""
    parts = []
    for dataset, content in run.scores.items():
        main, names = content["main"], content["class_names"]
        matrices = {n: np.array(m) for n, m in content["confusion"].items()}
        parts.append(paragraphs(_mistakes(matrices[main], names)))
        parts.append(_matrix(f"{dataset}, {main}", matrices[main], names))
        parts += [
            folded(f"Confusion of {name}", _matrix(f"{dataset}, {name}", matrix, names))
            for name, matrix in matrices.items()
            if name != main
        ]
    return join(parts)


def _matrix(title: str, matrix: np.ndarray, names: Sequence[str]) -> Html:
    pixels = matrix.sum(axis=1)
    rows = []
    for i, name in enumerate(names):
        shares = [None if not pixels[i] else matrix[i, j] / pixels[i] for j in range(len(names))]
        rows.append([name, *(_heat(share, i == j) for j, share in enumerate(shares))])
    caption = f"{title}: of the pixels of a row's class, how many % are taken for a column's"
    corner = "truth ↓ prediction →"
    size = " small" if len(names) > LARGE else ""
    return table(caption, [corner, *names], rows, cls=f"heat{size}")


def _heat(share: float | None, diagonal: bool) -> Html:
    if share is None:
        return tag("td", "–")
    shown = "·" if share == 0 else "<1" if share < 0.005 else f"{100 * share:.0f}"
    return tag("td", tag("b", shown) if diagonal else shown, style=f"--v:{100 * share:.1f}")


def _mistakes(matrix: np.ndarray, names: Sequence[str]) -> str:
    """The mistakes that most pixels of a class suffer."""
    pixels = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / pixels
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None)[:2]
    found = [np.unravel_index(place, shares.shape) for place in order]
    texts = [
        f"{percent(shares[i, j])} of the pixels of {names[i]} are taken for {names[j]}"
        for i, j in found
        if shares[i, j] > 0.01
    ]
    return (
        f"{'; '.join(texts)}." if texts else "No class is taken for another on 1 % of its pixels."
    )
