"""Rows of a raster a strip at a time, with the rows that frame each strip."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from co2s.data.reading.rasters import opened, raster_errors, rasterio_window

from ..products import NODATA

# Pixels of a strip. Not rows: a strip of a wide scene takes no more memory than one of a narrow.
STRIP = 2**22


class Strip(NamedTuple):
    """Rows of a class map.

    top: number of the first row in the map; classes (h, W); above, below (W,): the rows that frame
    it, NODATA beyond the map.
    """

    top: int
    classes: np.ndarray
    above: np.ndarray
    below: np.ndarray


def read_rows(path: Path, band: int, first: int, count: int) -> np.ndarray:
    """Rows (count, W) of a band.

    The file is opened for them alone: GDAL keeps blocks as long as a file is open.
    """
    with opened(str(path)) as source, raster_errors(str(path)):
        return source.read(band, window=rasterio_window((first, 0, count, source.width)))


def read_strips(path: Path, height: int, width: int) -> Iterator[np.ndarray]:
    """All rows of the first band, as strips (h, W)."""
    rows = max(STRIP // width, 1)
    for first in range(0, height, rows):
        yield read_rows(path, 1, first, min(rows, height - first))


def framed(strips: Iterable[np.ndarray]) -> Iterator[Strip]:
    """Each strip (h, W) of a map with its place and the rows above and below."""
    top, above, held = 0, None, None
    for following in strips:
        if held is not None:
            yield _strip(top, held, above, following[0])
            top, above = top + len(held), held[-1].copy()
        held = following
    if held is not None:
        yield _strip(top, held, above, None)


def _strip(
    top: int, classes: np.ndarray, above: np.ndarray | None, below: np.ndarray | None
) -> Strip:
    outside = np.full_like(classes[0], NODATA)
    return Strip(
        top,
        classes,
        outside if above is None else above,
        outside if below is None else below,
    )
