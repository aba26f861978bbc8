"""Decoding masks: from what is on disk to class numbers, as the dataset's spec says."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from co2s.structures import IGNORE_LABEL

from ..spec import DatasetSpec
from .coco import read_annotated
from .formats import is_raster
from .io import cut, opened_label
from .rasters import Window
from .raw_mask import RawMask
from .vector import read_polygons

# Reads a window: raw values, and where there are any.
ValueReader = Callable[[Window | None], tuple[np.ndarray, np.ndarray]]


def read_classes(
    path: str, spec: DatasetSpec, image: str | None = None, window: Window | None = None
) -> np.ndarray:
    """(H, W) uint8 class numbers of a mask or of its window, 255 = ignore.

    `image`: the image that it belongs to. A raster beside a raster is read on the image's grid, and
    what it does not cover is ignored; of one file for all images it says whose labels are meant.
    ValueError names the file and the values that the spec knows nothing of.
    """
    if spec.labels.encoding == "coco":
        return cut(read_annotated(path, spec, image), window)
    if spec.labels.encoding == "vector":
        return read_polygons(path, spec, image, window)
    with opened_values(path, spec, image) as read:
        values, known = read(window)
    decode = _from_colors if spec.labels.encoding == "color" else _from_numbers
    if known.all():
        return decode(values, spec, path)
    classes = np.full(known.shape, IGNORE_LABEL, np.uint8)
    if known.any():
        classes[known] = decode(values[known], spec, path).ravel()
    return classes


@contextmanager
def opened_values(
    path: str, spec: DatasetSpec, image: str | None = None, encoding: str | None = None
) -> Iterator[ValueReader]:
    """A mask to be read by windows (None: all of it): raw values, numbers (H, W) or colours
    (H, W, 3), and where there are any (H, W).

    `encoding`: another one than the spec's. What the header calls nodata counts as a value where
    the spec declares it a class. What is drawn from one file for all images has the numbers of the
    classes themselves.
    """
    encoding = encoding or spec.labels.encoding
    if encoding == "coco":
        drawn = read_annotated(path, spec, image)
        yield lambda window: _drawn(cut(drawn, window))
        return
    if encoding == "vector":
        yield lambda window: _drawn(read_polygons(path, spec, image, window))
        return
    grid = image if image is not None and on_grid_of(path, image, spec) else None
    with opened_label(path, encoding, spec.labels.band, grid) as read:
        yield lambda window: _values(read(window), spec, encoding)


def _drawn(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return classes, classes != IGNORE_LABEL


def _values(mask: RawMask, spec: DatasetSpec, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    known = np.ones(mask.values.shape[:2], bool) if mask.known is None else mask.known
    if mask.nodata is None or is_declared(mask.nodata, spec, encoding):
        return mask.values, known
    nodata = np.isnan(mask.values) if math.isnan(mask.nodata) else mask.values == mask.nodata
    return mask.values, known & ~(nodata if nodata.ndim == 2 else nodata.all(axis=2))


def on_grid_of(mask: str, image: str, spec: DatasetSpec) -> bool:
    """Whether a mask is brought onto its image's grid: where both are rasters."""
    return is_raster(mask, None) and is_raster(image, spec.raster)


def is_declared(value: float, spec: DatasetSpec, encoding: str) -> bool:
    """Whether the spec gives a number on disk a class; of colours, three bands of that number."""
    if encoding == "color":
        return (value, value, value) in spec.label_colors
    return 0 <= class_number(value, spec) < len(spec.classes)


def _from_colors(raw: np.ndarray, spec: DatasetSpec, path: str) -> np.ndarray:
    codes = color_codes(raw)
    classes = np.full(codes.shape, IGNORE_LABEL, np.uint8)
    known = np.zeros(codes.shape, bool)
    colors = [*spec.label_colors, *spec.labels.ignore]
    for number, color in enumerate(colors):
        here = codes == color_codes(np.array(color))
        known |= here
        if number < len(spec.classes):
            classes[here] = number
    if not known.all():
        values, counts = np.unique(codes[~known], return_counts=True)
        commonest = _commonest(values, counts)
        found = [str(((v >> 16) & 255, (v >> 8) & 255, v & 255)) for v in commonest.tolist()]
        raise ValueError(_complaint(path, "colours", found, int((~known).sum()), spec))
    return classes


def _from_numbers(raw: np.ndarray, spec: DatasetSpec, path: str) -> np.ndarray:
    raw = _narrowed(raw)
    if raw.dtype == np.uint8:  # counting is much faster than sorting
        histogram = cv2.calcHist([raw], [0], None, [256], [0, 256]).ravel()
        values = np.flatnonzero(histogram)
        counts = histogram[values].astype(np.int64)
    else:
        values, positions, counts = np.unique(raw, return_inverse=True, return_counts=True)
    numbers = np.array([class_number(value, spec) for value in values.tolist()])
    unknown = numbers < 0
    if unknown.any():
        found = [shown(value) for value in _commonest(values[unknown], counts[unknown])]
        raise ValueError(_complaint(path, "values", found, int(counts[unknown].sum()), spec))
    if raw.dtype == np.uint8:
        table = np.zeros(256, np.uint8)
        table[values] = numbers
        return cv2.LUT(raw, table).reshape(raw.shape)
    return numbers.astype(np.uint8)[positions].reshape(raw.shape)


def _narrowed(raw: np.ndarray) -> np.ndarray:
    """The same numbers as uint8, where they fit: masks of float64 or int64 mostly do."""
    if raw.dtype == np.uint8:
        return np.ascontiguousarray(raw)
    with np.errstate(invalid="ignore"):
        narrow = raw.astype(np.uint8)
    return narrow if (narrow == raw).all() else raw


def class_number(value: float, spec: DatasetSpec) -> int:
    """The class of a raw number, 255 for ignore, -1 for a number without a meaning."""
    labels = spec.labels
    if labels.drawn_from is not None:  # drawn as classes already
        return int(value)
    if math.isnan(value):
        return IGNORE_LABEL if any(math.isnan(one) for one in labels.ignore) else -1
    if labels.map is not None and value in labels.map:
        return labels.map[int(value)]
    if value in labels.ignore or value == IGNORE_LABEL:
        return IGNORE_LABEL
    if labels.map is not None or not math.isfinite(value):
        return -1
    number = value + labels.offset
    return int(number) if number == int(number) and 0 <= number < len(spec.classes) else -1


def color_codes(colors: np.ndarray) -> np.ndarray:
    """RGB colours (..., 3) as one number each."""
    wide = colors.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def shown(value: float) -> str:
    """A number of a mask in words: whole ones without a point, others with all their digits."""
    whole = math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)


def _commonest(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return values[np.argsort(-counts, kind="stable")[:8]]


def _complaint(path: str, what: str, found: list[str], pixels: int, spec: DatasetSpec) -> str:
    nan = " (NaN is written `.nan` there: `ignore: [.nan]`)" if "nan" in found else ""
    return (
        f"{path}: {pixels} pixels have {what} that stand for none of the {len(spec.classes)} "
        f"classes of '{spec.name}': [{', '.join(found)}]. Expected are {_expected(spec)}. Correct "
        f"`labels` in the dataset's YAML file, or add these to its `ignore`{nan}."
    )


def _expected(spec: DatasetSpec) -> str:
    """What the masks may hold, as it stands on disk."""
    labels, names = spec.labels, spec.class_names
    known: dict
    if labels.encoding == "color":
        known = dict(zip(spec.label_colors, names, strict=True))
    elif labels.map is not None:
        known = {raw: names[number] for raw, number in labels.map.items()}
    else:
        known = {number - labels.offset: name for number, name in enumerate(names)}
    meanings = [f"{raw} {name}" for raw, name in known.items()]
    return ", ".join([*meanings, *(f"{raw} ignored" for raw in labels.ignore)])
