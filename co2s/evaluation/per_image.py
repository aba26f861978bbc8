"""Confusion matrices of single images: what the uncertainty of a difference is read from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from co2s.files import write_whole

PER_IMAGE = "per_image.npz"  # beside scores.json

Cells = np.ndarray  # (K, 2) int64: number of a cell of a matrix that is not 0, and its pixels


def filled_cells(matrix: np.ndarray) -> Cells:
    """The cells of a confusion matrix (N, N) that are not 0: an image holds few of the classes."""
    flat = matrix.ravel()
    (numbers,) = np.nonzero(flat)
    return np.stack([numbers, flat[numbers]], axis=1).astype(np.int64)


def write_per_image(
    folder: str | Path,
    image_ids: Sequence[object],
    cells: Mapping[str, Sequence[Cells]],
    num_classes: int,
) -> None:
    """Write `<folder>/per_image.npz`; cells: of every image, by the name of the prediction."""
    names = np.array([str(i) for i in image_ids])
    content: dict[str, Any] = {"image_ids": names, "num_classes": num_classes}
    for name, images in cells.items():
        image = np.repeat(np.arange(len(images)), [len(part) for part in images])
        content[f"cells/{name}"] = np.column_stack([image, np.concatenate([*images])])

    def save(draft: Path) -> None:
        with open(draft, "wb") as file:  # under a name alone NumPy would append a suffix
            np.savez_compressed(file, **content)

    write_whole(Path(folder) / PER_IMAGE, save)


def read_per_image(folder: str | Path, prediction: str) -> dict[str, np.ndarray]:
    """Confusion matrices (N, N) int64 of a prediction by image_id.

    FileNotFoundError where there is no file, ValueError where it lacks the prediction.
    """
    path = Path(folder) / PER_IMAGE
    with np.load(path, allow_pickle=False) as content:
        key, n = f"cells/{prediction}", int(content["num_classes"])
        if key not in content:
            raise ValueError(f"{path} holds no prediction '{prediction}'. Score the model again.")
        image, cell, pixels = content[key].T
        matrices = np.zeros((len(content["image_ids"]), n * n), np.int64)
        matrices[image, cell] = pixels
        names = [str(i) for i in content["image_ids"]]
    return dict(zip(names, matrices.reshape(-1, n, n), strict=True))
