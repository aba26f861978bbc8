"""Pixels of each class in the masks of samples."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from co2s.data.reading.io import read_label
from co2s.data.reading.labels import read_classes
from co2s.data.spec import DatasetSpec
from co2s.structures import IGNORE_LABEL

from .folder import Pair


class ClassCounts:
    """Counted masks: `names` of the classes, and pixels (C,) of each by the mask's path."""

    def __init__(self, names: list[str], pixels: dict[str, np.ndarray]) -> None:
        self.names = names
        self.pixels = pixels

    def table(self, pairs: Iterable[Pair]) -> np.ndarray:
        """(N, C) pixels; zeros where a sample has no counted mask."""
        nothing = np.zeros(len(self.names), np.int64)
        rows = [self.pixels.get(label or "", nothing) for _, label in pairs]
        return np.array(rows).reshape(len(rows), len(self.names))

    def shown(self, pixels: np.ndarray) -> list[str]:
        """The names of the classes that have pixels (C,)."""
        return [name for name, count in zip(self.names, pixels, strict=True) if count]


def count_classes(
    pairs: Iterable[Pair], root: Path, spec: DatasetSpec | None
) -> Iterator[tuple[str, Counter]]:
    """Each mask's path in the list, and its pixels by class; ignored ones are not counted.

    Without a spec masks hold numbers, and each number but 255 is a class of its own. ValueError
    names a mask that does not fit.
    """
    for image, label in pairs:
        if label is None:
            continue
        path = str(root / label)
        values = _plain(path) if spec is None else _decoded(path, str(root / image), spec)
        found, counts = np.unique(values, return_counts=True)
        pixels = Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        del pixels[IGNORE_LABEL]
        yield label, pixels


def gather(counted: Iterable[tuple[str, Counter]], spec: DatasetSpec | None) -> ClassCounts:
    """The counts of all masks on one list of classes."""
    by_label = dict(counted)
    values = range(len(spec.classes)) if spec else sorted(set().union(*by_label.values()))
    names = spec.class_names if spec else [str(value) for value in values]
    pixels = {
        label: np.array([counts[value] for value in values], np.int64)
        for label, counts in by_label.items()
    }
    return ClassCounts(names, pixels)


def _decoded(label: str, image: str, spec: DatasetSpec) -> np.ndarray:
    return read_classes(label, spec, image)


def _plain(label: str) -> np.ndarray:
    try:
        mask = read_label(label, "index")
    except ValueError as error:
        raise ValueError(
            f"{error} Without --dataset masks must hold class numbers: give the YAML file that "
            "says how they are written, or --no-stratify to leave them unread."
        ) from error
    if mask.known is None:
        return mask.values
    return np.where(mask.known, mask.values, IGNORE_LABEL)
