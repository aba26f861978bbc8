"""Samples: the pixels of a record, whole or cut to its window."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from co2s.structures import IGNORE_LABEL

from ..records import Record
from ..spec import DatasetSpec
from ..spec.raster import RasterSpec
from .cache import DecodeCache
from .io import cut, read_image
from .labels import read_classes
from .rasters import is_raster

_CACHE = DecodeCache()
# Labelled images are few and come again and again: the first ones stay in memory.
_LABELED = DecodeCache(evict=False)


@dataclass(frozen=True)
class Pixels:
    """bands (H, W, C) uint8 as a model sees them; valid (H, W) bool, None: every pixel is."""

    bands: np.ndarray
    valid: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bands.shape[0], self.bands.shape[1]


def load_image(record: Record, raster: RasterSpec | None = None) -> Pixels:
    """The pixels of the record, read as its dataset's `raster` says.

    Of a raster only the window is read; of other files the last ones decoded are kept in memory.
    """
    path, window = record["file_name"], record.get("window")
    if window is None or is_raster(path, raster):
        return Pixels(*read_image(path, raster, window))
    bands, mask = _CACHE.get(("image", path), lambda: read_image(path))
    return Pixels(cut(bands, window), None if mask is None else cut(mask, window))


def load_labeled(record: Record, spec: DatasetSpec) -> tuple[Pixels, np.ndarray]:
    """Pixels and classes of a labelled training record; do not write into them."""

    def load() -> tuple:
        image = load_image(record, spec.raster)
        return image.bands, image.valid, load_classes(record, spec, image)

    key = (spec.name, record["file_name"], record["sem_seg_file_name"], record.get("window"))
    bands, valid, classes = _LABELED.get(key, load)
    return Pixels(bands, valid), classes


@contextmanager
def labeled_cache(max_bytes: int) -> Iterator[None]:
    """Let decoded labelled images take that many bytes, in this process and those it starts."""
    before, _LABELED.max_bytes = _LABELED.max_bytes, max_bytes
    try:
        yield
    finally:
        _LABELED.max_bytes = before


def load_classes(record: Record, spec: DatasetSpec, image: Pixels) -> np.ndarray:
    """(H, W) uint8 classes of the record, 255 = ignore and wherever the image is invalid.

    ValueError if the image differs in size, or lies elsewhere.
    """
    path, source, window = record["sem_seg_file_name"], record["file_name"], record.get("window")
    if window is None or is_raster(path, None):
        classes = read_classes(path, spec, source, window)
    else:
        key = (spec.name, path, source)
        (whole,) = _CACHE.get(key, lambda: (read_classes(path, spec, source),))
        classes = cut(whole, window)
    if classes.shape != image.size:
        raise ValueError(
            f"{path} is {classes.shape[0]} x {classes.shape[1]} pixels, its image "
            f"{record['file_name']} {image.size[0]} x {image.size[1]}. They must be the same "
            "size: check that they belong together."
        )
    if image.valid is None:
        return classes
    return np.where(image.valid, classes, np.uint8(IGNORE_LABEL))
