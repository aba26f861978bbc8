"""Counting the values of masks: numbers or colours, by runs, and what they stand for."""

from collections import Counter

import numpy as np

from co2s.data.reading.labels import class_number, color_codes
from co2s.data.spec import DatasetSpec
from co2s.structures import IGNORE_LABEL

Value = float | str | tuple[int, int, int]
Counts = Counter[Value]  # pixels of each value

KEPT = 256  # values of one mask without a meaning that are counted by name


def count_values(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values and how often each occurs.

    Masks are made of long runs of one value: only their starts are sorted.
    """
    flat = values.ravel()
    if not flat.size:
        return flat, np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size)
    found, which = np.unique(flat[starts], return_inverse=True)
    return found, np.bincount(which, weights=lengths).astype(np.int64)


def color_of(code: int) -> tuple[int, int, int]:
    """The colour behind a code."""
    return code >> 16, (code >> 8) & 255, code & 255


class Meaning:
    """What raw values stand for, as the spec says; each is looked up once."""

    def __init__(self, spec: DatasetSpec, colors: bool) -> None:
        """colors: the values are colour codes, else numbers."""
        self.spec = spec
        self.colors = colors
        self._classes: dict[float, int] = {}
        if colors:
            ignored = spec.labels.ignore if spec.labels.encoding == "color" else ()
            for number, color in enumerate([*spec.label_colors, *ignored]):
                code = int(color_codes(np.array(color)))
                self._classes[code] = number if number < len(spec.classes) else IGNORE_LABEL

    def __call__(self, value: float) -> int:
        """The class, 255 for ignore, -1 for a value without a meaning."""
        if value not in self._classes:
            self._classes[value] = -1 if self.colors else self._number(value)
        return self._classes[value]

    def _number(self, value: float) -> int:
        return class_number(value, self.spec) if np.isfinite(value) else -1

    def named(self, value: float) -> Value:
        """The value as people write it."""
        if self.colors:
            return color_of(int(value))
        if not np.isfinite(value):
            return str(value)
        return int(value) if value == int(value) else value


class Tally:
    """Pixels of each value of one mask, those without a meaning, and those of each class."""

    def __init__(self, meaning: Meaning) -> None:
        self.meaning = meaning
        self.counts: Counts = Counter()
        self.unknown: Counts = Counter()

    def add(self, values: np.ndarray) -> None:
        """Count raw values of any shape."""
        found, counts = count_values(values)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            known = self.meaning(value) >= 0
            (self.counts if known else self.unknown)[self.meaning.named(value)] += count

    def classes(self, values: np.ndarray) -> np.ndarray:
        """(N + 1,) pixels of each class, and last of ignored ones, in raw values."""
        number = len(self.meaning.spec.classes)
        pixels = np.zeros(number + 1, np.int64)
        found, counts = count_values(values)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            known = self.meaning(value)
            if known >= 0:
                pixels[min(known, number)] += count
        return pixels

    def commonest_unknown(self) -> tuple[Counts, int]:
        """The values without a meaning that occur most, and how many pixels have any."""
        return Counter(dict(self.unknown.most_common(KEPT))), self.unknown.total()
