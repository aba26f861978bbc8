"""Samples: the pixels of a record, whole or cut to its window."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from co2s.structures import IGNORE_LABEL

from ..records import Record
from ..spec import DatasetSpec
from ..spec.raster import RasterSpec
from .cache import DecodeCache
from .coco import annotated
from .formats import is_raster
from .io import cut, image_size, read_image
from .labels import on_grid_of, read_classes
from .rasters import Window

_CACHE = DecodeCache()
_size = lru_cache(maxsize=4096)(image_size)  # asked for with every window of a file
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

    ValueError if the whole image and the whole mask differ in size, or lie elsewhere.
    """
    path, source, window = record["sem_seg_file_name"], record["file_name"], record.get("window")
    if window is None:
        classes = read_classes(path, spec, source)
        _check_sizes(path, classes.shape, source, image.size)
    else:
        classes = _cut_classes(path, spec, source, window)
    if image.valid is None:
        return classes
    return np.where(image.valid, classes, np.uint8(IGNORE_LABEL))


def _cut_classes(path: str, spec: DatasetSpec, source: str, window: Window) -> np.ndarray:
    """The classes in a window; of other files than rasters the last ones stay in memory."""
    if spec.labels.encoding == "vector":  # drawn on the image's own grid
        return read_classes(path, spec, source, window)
    if spec.labels.encoding == "coco":
        entry = annotated(path, source)
        _check_sizes(path, (entry.height, entry.width), source, _size(source, spec.raster))
    elif not on_grid_of(path, source, spec):  # else the reader itself compares them
        _check_sizes(path, _size(path), source, _size(source, spec.raster))
    if is_raster(path, None):
        return read_classes(path, spec, source, window)
    key = (spec.name, path, source)
    (whole,) = _CACHE.get(key, lambda: (read_classes(path, spec, source),))
    return cut(whole, window)


def _check_sizes(
    path: str, size: tuple[int, ...], source: str, image_size: tuple[int, ...]
) -> None:
    if size != image_size:
        raise ValueError(
            f"{path} is {size[0]} x {size[1]} pixels, its image {source} {image_size[0]} x "
            f"{image_size[1]}. They must be the same size: check that they belong together."
        )
