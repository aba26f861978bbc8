"""From the colours of a raw distribution to the numbers that a dataset's spec expects in masks."""

from collections.abc import Mapping, Sequence

import numpy as np

from co2s.data.reading.labels import color_codes
from co2s.data.spec import Color, DatasetSpec
from co2s.structures import IGNORE_LABEL

_UNKNOWN = 254  # a spec has at most 254 classes, and none of the shipped ones comes near


class ColorCode:
    """Decodes RGB masks in the spec's colours into its numbers on disk.

    `unlabeled` are the colours without a class; they become the first of the spec's ignored
    numbers, or 255. `also` are more colours of classes: {(252, 255, 0): "car"}.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        unlabeled: Sequence[Color] = (),
        also: Mapping[Color, str] | None = None,
    ) -> None:
        numbers = {name: n - spec.labels.offset for n, name in enumerate(spec.class_names)}
        unknown = sorted(set((also or {}).values()) - set(numbers))
        if unknown:
            raise ValueError(f"'{spec.name}' has no class {unknown}; it has {sorted(numbers)}.")
        self.colors = dict(zip(spec.label_colors, numbers, strict=True))
        taken = sorted(set(also or {}) & {*self.colors, *unlabeled})
        if taken:
            raise ValueError(f"The colours {taken} have a meaning in '{spec.name}' already.")
        self.ignored = spec.labels.ignore[0] if spec.labels.ignore else IGNORE_LABEL
        self.palette = [0] * 768
        self._table = np.full(1 << 24, _UNKNOWN, np.uint8)  # one look-up a pixel, 16 MB
        for color in unlabeled:
            self._table[color_codes(np.array(color))] = self.ignored
        for color, name in {**self.colors, **(also or {})}.items():
            self._table[color_codes(np.array(color))] = numbers[name]
        for color, name in self.colors.items():
            self.palette[3 * numbers[name] : 3 * numbers[name] + 3] = color

    def decode(self, rgb: np.ndarray, path: str) -> np.ndarray:
        """(H, W, 3) uint8 colours of the file `path` -> (H, W) uint8 numbers.

        ValueError names the colours that stand for nothing, and the class that each is nearest to.
        """
        codes = color_codes(rgb)
        numbers = self._table[codes]
        if (numbers == _UNKNOWN).any():
            raise ValueError(self._complaint(codes[numbers == _UNKNOWN], path))
        return numbers

    def _complaint(self, codes: np.ndarray, path: str) -> str:
        values, counts = np.unique(codes, return_counts=True)
        found = []
        for value in values[np.argsort(-counts, kind="stable")[:5]].tolist():
            color = (value >> 16, (value >> 8) & 255, value & 255)
            nearest = min(self.colors, key=lambda known: _distance(known, color))
            found.append(f"{color} (nearest: {nearest} {self.colors[nearest]})")
        meant = ", ".join(f"{color} {name}" for color, name in self.colors.items())
        return (
            f"{path}: {len(codes)} pixels of a tile have colours without a meaning: "
            f"{'; '.join(found)}. Expected are {meant}. Check that the file is what was published; "
            "where a colour is a slip in it, say what is meant: --also R,G,B=CLASS."
        )


def parse_also(texts: Sequence[str]) -> dict[Color, str]:
    """{(252, 255, 0): "car"} of ["252,255,0=car"]; ValueError for anything else."""
    colors: dict[Color, str] = {}
    for text in texts:
        values, _, name = text.partition("=")
        parts = [int(value) for value in values.split(",") if value.strip().isdecimal()]
        if len(parts) != 3 or max(parts) > 255 or not name:
            raise ValueError(f"--also must look like 252,255,0=car, found {text!r}.")
        colors[(parts[0], parts[1], parts[2])] = name
    return colors


def _distance(first: Color, second: Color) -> int:
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
