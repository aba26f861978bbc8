"""Scenes: images of any size, read row by row through the rules of the dataset that trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from co2s.data.carried import ALIKE, Carried
from co2s.data.reading.formats import is_raster
from co2s.data.reading.io import read_image
from co2s.data.reading.rasters import OpenRaster, opened
from co2s.data.reading.resolution import ground_resolution
from co2s.data.spec import RasterSpec

Size = tuple[int, int]  # height, width in pixels


class Scene(Protocol):
    """What prediction reads: `size` of the scene, and its rows."""

    path: str
    resolution: float | None  # metres on the ground of a pixel

    @property
    def size(self) -> Size: ...

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Bands (C, stop - start, width) uint8 and valid (stop - start, width) bool."""


@dataclass
class Raster:
    """A scene that rasterio reads as one goes; `place`: the profile of products on its grid."""

    path: str
    size: Size
    resolution: float | None
    place: dict[str, Any]
    file: OpenRaster = field(repr=False)

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self.file.read((start, 0, stop - start, self.size[1]))


@dataclass
class Picture:
    """A photograph, decoded whole."""

    path: str
    bands: np.ndarray  # (H, W, C) uint8
    valid: np.ndarray  # (H, W) bool
    resolution: float | None = None

    @property
    def size(self) -> Size:
        return self.bands.shape[0], self.bands.shape[1]

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self.bands[start:stop].transpose(2, 0, 1), self.valid[start:stop]


@contextmanager
def open_scene(path: str, raster: RasterSpec | None) -> Iterator[Raster | Picture]:
    """The scene of a file; ValueError names one that cannot be read or lacks a band."""
    if not is_raster(path, None):
        bands, valid = read_image(path, raster)
        yield Picture(path, bands, np.ones(bands.shape[:2], bool) if valid is None else valid)
        return
    with opened(path) as source:
        file = OpenRaster(path, source, raster or RasterSpec())
        size = (source.height, source.width)
        yield Raster(path, size, ground_resolution(source), _place(source), file)


def _place(source: Any) -> dict[str, Any]:
    place = {"crs": source.crs, "transform": source.transform}
    points, crs = source.gcps
    if points and source.crs is None:
        place = {"gcps": points, "crs": crs}
    return place


@dataclass(frozen=True)
class Scale:
    """How a scene becomes what the network sees: `factor` times its pixels.

    smooth: every pixel of a finer scene counts; else it is resized as images of the training's own
    resolution are. said: a sentence about it for the log.
    """

    factor: float
    smooth: bool
    said: str = ""


def scale_of(scene: Scene, carried: Carried, own: float, warp: bool = True) -> Scale:
    """own: the factor by which the network sees images of the resolution that it was trained on."""
    known, found = carried.resolution, scene.resolution
    name = Path(scene.path).name
    if known is None:
        return Scale(own, False)
    if found is None:
        said = f"{name} has no georeference: its pixels are taken for {known:.3g} m, as trained."
        return Scale(own, False, said)
    ratio = found / known
    if abs(ratio - 1) <= ALIKE or not warp:
        return Scale(own, False)
    said = (
        f"{name} has pixels of {found:.3g} m, the model has learned from {known:.3g} m: it is read "
        f"at {known:.3g} m, and the map comes back on the scene's own grid."
    )
    if not 1 / FAR < ratio < FAR:
        said += " So far from what the model knows, look twice at the map."
    return Scale(own * ratio, ratio < 1, said)


FAR = 4.0  # times the resolution of the training
