"""Decoding masks: from what is on disk to class numbers, as the dataset's spec says."""

import cv2
import numpy as np

from co2s.structures import IGNORE_LABEL

from ..spec import DatasetSpec
from .alignment import read_label_raster
from .io import read_label
from .rasters import Window


def read_classes(
    path: str, spec: DatasetSpec, image: str | None = None, window: Window | None = None
) -> np.ndarray:
    """(H, W) uint8 class numbers of a mask, 255 = ignore.

    With `image`, a raster, the mask is a raster too: its window is read on the image's grid, and
    what it does not cover is ignored. ValueError names the file and the values that the spec
    knows nothing of.
    """
    if image is not None:
        return _from_raster(path, spec, image, window)
    raw = read_label(path, spec.labels.encoding)
    decode = _from_colors if spec.labels.encoding == "color" else _from_numbers
    return decode(raw, spec, path)


def _from_raster(path: str, spec: DatasetSpec, image: str, window: Window | None) -> np.ndarray:
    """Numbers of one band or colours of three; where the mask says nothing it is ignored."""
    color = spec.labels.encoding == "color"
    bands = (1, 2, 3) if color else (spec.labels.band,)
    raw, known = read_label_raster(path, bands, image, window)
    classes = np.full(known.shape, IGNORE_LABEL, np.uint8)
    if known.any():
        values = raw[:, known].T if color else raw[0, known]
        classes[known] = (_from_colors if color else _from_numbers)(values, spec, path)
    return classes


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
        found = [((v >> 16) & 255, (v >> 8) & 255, v & 255) for v in _commonest(values, counts)]
        raise ValueError(_complaint(path, "colours", found, int((~known).sum()), spec))
    return classes


def _from_numbers(raw: np.ndarray, spec: DatasetSpec, path: str) -> np.ndarray:
    if raw.dtype == np.uint8:  # counting is much faster than sorting
        histogram = cv2.calcHist([raw], [0], None, [256], [0, 256]).ravel()
        values = np.flatnonzero(histogram)
        counts = histogram[values].astype(np.int64)
    else:
        values, positions, counts = np.unique(raw, return_inverse=True, return_counts=True)
    numbers = np.array([class_number(float(value), spec) for value in values])
    unknown = numbers < 0
    if unknown.any():
        found = _commonest(values[unknown], counts[unknown])
        raise ValueError(_complaint(path, "values", found, int(counts[unknown].sum()), spec))
    if raw.dtype == np.uint8:
        table = np.zeros(256, np.uint8)
        table[values] = numbers
        return cv2.LUT(raw, table).reshape(raw.shape)
    return numbers.astype(np.uint8)[positions].reshape(raw.shape)


def class_number(value: float, spec: DatasetSpec) -> int:
    """The class of a raw number, 255 for ignore, -1 for a number without a meaning."""
    labels = spec.labels
    if not np.isfinite(value):
        return -1
    if labels.map is not None and value in labels.map:
        return labels.map[int(value)]
    if value in labels.ignore or value == IGNORE_LABEL:
        return IGNORE_LABEL
    number = value + labels.offset
    plain = labels.map is None and number == int(number) and 0 <= number < len(spec.classes)
    return int(number) if plain else -1


def color_codes(colors: np.ndarray) -> np.ndarray:
    """RGB colours (..., 3) as one number each."""
    wide = colors.astype(np.uint32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _commonest(values: np.ndarray, counts: np.ndarray) -> list:
    return values[np.argsort(-counts)[:8]].tolist()


def _complaint(path: str, what: str, found: list, pixels: int, spec: DatasetSpec) -> str:
    return (
        f"{path}: {pixels} pixels have {what} that stand for none of the {len(spec.classes)} "
        f"classes of '{spec.name}': {found}. Expected are {_expected(spec)}. Correct `labels` in "
        "the dataset's YAML file, or add these to its `ignore`."
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
