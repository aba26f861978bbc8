"""Scores as a table for the log, as numbers for the trainer, and as a file."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from co2s.files import write_json
from co2s.tables import text_table

SUMMARY = ("mIoU", "OA", "F1", "kappa", "BF1")  # the last one where boundaries were counted

Scores = dict[str, dict[str, Any]]  # name of the prediction -> confusion.scores


def as_results(result: Scores) -> "OrderedDict[str, dict[str, float]]":
    """detectron2's form, numbers only: {prediction: {"mIoU", ..., "IoU-<class>"}}.

    What is undefined (absent classes, kappa of a single class) is left out.
    """
    results: OrderedDict[str, dict[str, float]] = OrderedDict()
    for name, values in result.items():
        ious = {f"IoU-{label}": row["IoU"] for label, row in values["classes"].items()}
        numbers = {key: values.get(key) for key in SUMMARY} | ious
        results[name] = {key: value for key, value in numbers.items() if value is not None}
    return results


def as_table(result: Scores, dataset: str, images: int) -> str:
    """IoU of every class and the summary scores, one column for each prediction."""
    columns = list(result.values())
    rows = [
        [label] + [c["classes"][label]["IoU"] for c in columns] for label in columns[0]["classes"]
    ]
    rows += [[key] + [c[key] for c in columns] for key in SUMMARY if key in columns[0]]
    table = text_table(rows, ["IoU, %", *result], floatfmt=".2f", missingval="-")
    absent = columns[0]["absent"]
    note = f"\nWithout a pixel of truth: {', '.join(absent)}." if absent else ""
    return f"{dataset}, {images} images:\n{table}{note}"


def write_scores(
    output_dir: str,
    result: Scores,
    matrices: dict[str, np.ndarray],
    *,
    dataset: str,
    class_names: Sequence[str],
    images: int,
    main: str,
    absent_as_zero: bool,
    boundaries: Mapping[str, np.ndarray] | None = None,
    boundary_tolerance: int = 0,
) -> str:
    """Write `<output_dir>/scores.json` and return its path."""
    content = {
        "dataset": dataset,
        "images": images,
        "main": main,  # the prediction that counts
        "unit": "percent",
        "absent_as_zero": absent_as_zero,
        "class_names": list(class_names),
        "scores": result,
        # rows are truth, columns prediction, in pixels
        "confusion": {name: matrix.tolist() for name, matrix in matrices.items()},
    }
    if boundaries:
        content["boundary"] = {
            "tolerance": boundary_tolerance,  # pixels
            # of each class: predicted boundary pixels, found again; true ones, found again
            "counts": {name: counts.tolist() for name, counts in boundaries.items()},
        }
    path = os.path.join(output_dir, "scores.json")
    write_json(Path(path), content)
    return path
