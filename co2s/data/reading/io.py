"""Images and masks of any kind: one reader for each, which decides by what the file holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from ..spec.raster import RasterSpec
from .alignment import opened_mask
from .formats import is_raster
from .picture_masks import read_picture_mask
from .pictures import picture_size, read_picture
from .rasters import Window, raster_size, read_raster
from .raw_mask import RawMask


def read_image(
    path: str, raster: RasterSpec | None = None, window: Window | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, C) uint8, RGB without a `raster`, and valid (H, W) bool; None: every pixel is.

    Upright, as EXIF says. Invalid, and 0, is what is nodata, masked, transparent or NaN. ValueError
    names a file that is damaged, cut off, or not 8-bit where no `raster.scale` is given.
    """
    if is_raster(path, raster):
        bands, valid = read_raster(path, raster or RasterSpec(), window)
        return bands, None if valid.all() else valid
    rgb, mask = read_picture(path)
    return cut(rgb, window), None if mask is None else cut(mask, window)


def image_size(path: str, raster: RasterSpec | None = None) -> tuple[int, int]:
    """Height and width in pixels, as `read_image` gives them; only the header is read."""
    return raster_size(path) if is_raster(path, raster) else picture_size(path)


def read_label(
    path: str,
    encoding: str,
    band: int | None = None,
    image: str | None = None,
    window: Window | None = None,
) -> RawMask:
    """What a mask, or a window of it, holds: see `opened_label`."""
    with opened_label(path, encoding, band, image) as read:
        return read(window)


@contextmanager
def opened_label(
    path: str, encoding: str, band: int | None = None, image: str | None = None
) -> Iterator[Callable[[Window | None], RawMask]]:
    """A mask to be read by windows (None: all of it): numbers for the encoding "index", RGB colours
    for "color".

    `band`: which one holds the numbers. `image`: a raster on whose grid the mask is read, if it is
    a raster too. Other files than rasters are decoded whole, once. ValueError names a file that
    cannot be read or holds something else.
    """
    if is_raster(path, None):
        with opened_mask(path, encoding, band, image) as read:
            yield read
    else:
        mask = read_picture_mask(path, encoding, band)
        yield lambda window: _cut_mask(mask, window)


def _cut_mask(mask: RawMask, window: Window | None) -> RawMask:
    known = None if mask.known is None else cut(mask.known, window)
    return RawMask(cut(mask.values, window), known, mask.nodata)


def cut(array: np.ndarray, window: Window | None) -> np.ndarray:
    """The window of an array (H, W, ...); None: all of it."""
    if window is None:
        return array
    y, x, height, width = window
    return array[y : y + height, x : x + width]
