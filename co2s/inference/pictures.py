"""Products of photographs: PNG files that any viewer shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from co2s.files import write_png

from .layers import Wanted
from .products import NODATA, MapClass
from .scene import Picture

OPAQUE = 0.5  # share of the class colours in the overlay


class Pictures:
    """All products of a picture: class maps with a palette, an overlay, a PNG for each share."""

    def __init__(
        self, stem: Path, scene: Picture, classes: Sequence[MapClass], wanted: Wanted
    ) -> None:
        """stem: the path of the class map without its suffix, in a folder of its own."""
        self.stem, self.scene, self.classes, self.wanted = stem, scene, classes, wanted
        self._rows: list[Mapping[str, np.ndarray]] = []

    def add(self, pixels: Mapping[str, np.ndarray]) -> None:
        """The next rows (bands, r, W) of every product."""
        self._rows.append(pixels)

    def finish(self) -> list[Path]:
        """The finished files, the class map first."""
        whole = {
            kind: np.concatenate([rows[kind] for rows in self._rows], axis=1)
            for kind in self._rows[0]
        }
        palette = self._palette()
        made = [self._write("", whole["map"][0], palette.ravel().tolist())]
        made.append(self._write("_overlay", self._overlay(palette[whole["map"][0]])))
        names = {"probabilities": [f"probability_{n}" for n in range(len(self.classes))]}
        names["uncertainty"] = list(self.wanted.uncertainty)
        for kind in whole.keys() & names.keys():
            for name, band in zip(names[kind], whole[kind], strict=True):
                made.append(self._write(f"_{name}", band))
        for name in self.wanted.students:
            made.append(self._write(f"_{name}", whole[name][0], palette.ravel().tolist()))
        return made

    def _write(self, ending: str, pixels: np.ndarray, palette: list[int] | None = None) -> Path:
        path = self.stem.with_name(f"{self.stem.name}{ending}.png")
        write_png(path, pixels, palette)
        return path

    def _palette(self) -> np.ndarray:
        """(256, 3) uint8: black where there is no class."""
        palette = np.zeros((NODATA + 1, 3), np.uint8)
        for entry in self.classes:
            palette[entry.value] = entry.color
        return palette

    def _overlay(self, colors: np.ndarray) -> np.ndarray:
        image = self.scene.bands[..., :3]
        return (OPAQUE * colors + (1 - OPAQUE) * image).round().astype(np.uint8)
