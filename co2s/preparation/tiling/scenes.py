"""Large RGB scenes, read window by window: through rasterio where it is installed, else whole."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from co2s.data.reading.formats import is_raster
from co2s.data.reading.opening import decoding, open_picture
from co2s.data.reading.rasters import Window, opened, rasterio_window
from co2s.optional import import_extra


@dataclass(frozen=True)
class Scene:
    """An open scene: its size in pixels; `read` gives a window (y, x, h, w) as (h, w, 3) uint8."""

    height: int
    width: int
    read: Callable[[Window], np.ndarray]


@contextmanager
def open_scene(path: str) -> Iterator[Scene]:
    """Open an image of three 8-bit bands.

    TIFFs are read by windows where rasterio is installed; without it, and in other formats, the
    first `read` decodes the whole file, three bytes a pixel. ValueError names a file that is
    damaged or has other bands.
    """
    opener = _with_rasterio if is_raster(path, None) else _with_pillow
    with opener(path) as scene:
        yield scene


@contextmanager
def _with_rasterio(path: str) -> Iterator[Scene]:
    errors = import_extra("rasterio.errors", "geo")
    with warnings.catch_warnings():  # pixels are cut here, the place on earth plays no part
        warnings.simplefilter("ignore", errors.NotGeoreferencedWarning)
        with opened(path) as source:
            kinds = sorted(set(source.dtypes))
            if source.count != 3 or kinds != ["uint8"]:
                raise ValueError(_not_rgb(path, f"{source.count} of {', '.join(kinds)}"))

            def read(window: Window) -> np.ndarray:
                return source.read(window=rasterio_window(window)).transpose(1, 2, 0)

            yield Scene(source.height, source.width, read)


@contextmanager
def _with_pillow(path: str) -> Iterator[Scene]:
    with decoding(path, "an image"):
        image = open_picture(path)
    with image:
        if image.mode != "RGB":
            raise ValueError(_not_rgb(path, f"Pillow's mode {image.mode}"))

        def read(window: Window) -> np.ndarray:
            y, x, height, width = window
            with decoding(path, "an image"):
                return np.asarray(image.crop((x, y, x + width, y + height)))

        yield Scene(image.height, image.width, read)


def _not_rgb(path: str, found: str) -> str:
    return f"{path}: expected an image of three 8-bit bands, found {found}."
