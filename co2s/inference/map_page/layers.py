"""The layers of the page: the scene in its colours, classes and shares in those of a palette."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from co2s.data.reading.rasters import (
    is_alpha,
    opened,
    raster_errors,
    rasterio_window,
    raw_pixels,
)
from co2s.data.reading.scaling import Limits, to_bytes
from co2s.data.spec.raster import RGB_BANDS, RasterSpec
from co2s.optional import LateModule

from ..geotiff import gdal
from ..products import NODATA, SCALE, MapClass
from .coarse import CoarseCopy
from .parts import Part, Size

matplotlib = LateModule("matplotlib")

LARGE = 2**24  # pixels of a scene without overviews, from which on it is not read at once
SAMPLES, SAMPLE = 8, 64  # windows in each direction that percentiles come from; their side, pixels
STRETCH = (2, 98)  # percentiles of other than 8-bit values that become 0 and 255


class Layer(Protocol):
    """What can be drawn: a name of one word, and the words for people."""

    name: str
    title: str

    def pixels(self, part: Part) -> np.ndarray:
        """(h, w, 4) uint8 RGBA, transparent where there is nothing; ValueError where damaged."""


class SceneLayer:
    """Three bands of the scene as red, green and blue."""

    name, title = "scene", "Scene"

    def __init__(self, path: str, source: Any, bands: Sequence[int] = ()) -> None:
        """bands: none for the first three, or grey. ValueError where the file lacks one."""
        self._path, self._source = path, source
        self._spec = RasterSpec(_chosen(path, source, tuple(bands)))
        size: Size = source.shape
        with raster_errors(path), gdal():
            self._limits = _limits(source, self._spec)
        self.coarse: CoarseCopy | None = None
        if size[0] * size[1] > LARGE and not source.overviews(1):
            self.coarse = CoarseCopy(size)
            self.coarse.grow_in_thread(self._read_with_own_handle())

    def pixels(self, part: Part) -> np.ndarray:
        if self.coarse is not None and part.factor >= self.coarse.factor:
            return self.coarse.part(part)
        return self._read(self._source, part)

    def _read(self, source: Any, part: Part) -> np.ndarray:
        window = rasterio_window(part.window)
        with raster_errors(self._path), gdal():
            bands, valid = raw_pixels(source, self._spec, window, part.shape)
        if self._limits is not None:
            bands = to_bytes(bands, *self._limits)
        alpha = np.where(valid, np.uint8(255), np.uint8(0))
        return np.dstack([*bands, alpha])

    def _read_with_own_handle(self) -> Any:
        def read(part: Part) -> np.ndarray:
            with gdal(), opened(self._path) as source:
                return self._read(source, part)

        return read


def _chosen(path: str, source: Any, bands: tuple[int, ...]) -> tuple[int, ...]:
    if not bands:
        grey = source.count == 1 or (source.count == 2 and is_alpha(source, 2))
        return RGB_BANDS if grey or source.count >= len(RGB_BANDS) else (1, 1, 1)
    if len(bands) not in (1, 3) or not all(1 <= band <= source.count for band in bands):
        raise ValueError(
            f"--bands takes one band for grey or three for red, green and blue, of those that "
            f"{path} has (1 to {source.count}); found {list(bands)}."
        )
    return bands if len(bands) == 3 else bands * 3


def _limits(source: Any, spec: RasterSpec) -> Limits | None:
    """The values that become 0 and 255, by windows spread over the scene; None for 8-bit values.

    A decimated copy would be the whole file where there are no overviews.
    """
    if all(source.dtypes[band - 1] == "uint8" for band in spec.bands if band <= source.count):
        return None
    sides = [min(SAMPLE, side) for side in source.shape]
    starts = [
        np.linspace(0, size - side, SAMPLES).astype(int).tolist()
        for size, side in zip(source.shape, sides, strict=True)
    ]
    found = []
    for top in starts[0]:
        for left in starts[1]:
            window = rasterio_window((top, left, sides[0], sides[1]))
            bands, valid = raw_pixels(source, spec, window)
            found.append(bands[:, valid])
    values = np.concatenate(found, axis=1).astype(np.float64)
    if not values.size:
        return np.zeros(len(values)), np.ones(len(values))
    low, high = np.percentile(values, STRETCH, axis=1)
    return low, np.maximum(high, low + 1e-6)  # a band of one value becomes 0


class PaletteLayer:
    """A band of one of the products, in the colours (256, 4) that its values have."""

    def __init__(self, name: str, title: str, source: Any, band: int, palette: np.ndarray) -> None:
        self.name, self.title = name, title
        self._source, self._band, self._palette = source, band, palette

    def pixels(self, part: Part) -> np.ndarray:
        return self._palette[self._read(part.window, part.shape)]

    def value(self, row: int, column: int) -> int:
        """The stored value of a pixel; ValueError where the file is damaged."""
        return int(self._read((row, column, 1, 1), (1, 1))[0, 0])

    def _read(self, window: tuple[int, int, int, int], shape: Size) -> np.ndarray:
        with raster_errors(self._source.name), gdal():
            return self._source.read(self._band, window=rasterio_window(window), out_shape=shape)


def class_palette(classes: Sequence[MapClass]) -> np.ndarray:
    """(256, 4) uint8 RGBA: what is no class is transparent."""
    palette = np.zeros((256, 4), np.uint8)
    for entry in classes:
        palette[entry.value] = (*entry.color, 255)
    palette[NODATA] = 0
    return palette


def share_palette() -> np.ndarray:
    """(256, 4) uint8 RGBA of shares from dark (0) to light (1)."""
    palette = np.zeros((256, 4), np.uint8)
    values = np.arange(SCALE + 1) / SCALE
    palette[: SCALE + 1] = matplotlib.colormaps["viridis"](values, bytes=True)
    return palette
