"""Samples: the pixels of a record, whole or cut to its window."""

import numpy as np

from co2s.structures import DatasetSpec

from .io import DecodeCache, read_image
from .labels import read_classes
from .records import Record

_CACHE = DecodeCache()


def load_image(record: Record) -> np.ndarray:
    """(H, W, 3) uint8 RGB of the record."""
    path = record["file_name"]
    if "window" not in record:
        return read_image(path)
    return _window(_CACHE.get(("image", path), lambda: read_image(path)), record)


def load_classes(record: Record, spec: DatasetSpec, image: np.ndarray) -> np.ndarray:
    """(H, W) uint8 classes of the record, 255 = ignore; ValueError if the image differs in size."""
    path = record["sem_seg_file_name"]
    if "window" not in record:
        classes = read_classes(path, spec)
    else:
        classes = _window(_CACHE.get((spec.name, path), lambda: read_classes(path, spec)), record)
    if classes.shape != image.shape[:2]:
        raise ValueError(
            f"{path} is {classes.shape[0]} x {classes.shape[1]} pixels, its image "
            f"{record['file_name']} {image.shape[0]} x {image.shape[1]}. They must be the same "
            "size: check that they belong together."
        )
    return classes


def _window(array: np.ndarray, record: Record) -> np.ndarray:
    y, x, height, width = record["window"]
    return array[y : y + height, x : x + width]
