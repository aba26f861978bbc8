"""Labelled polygons of a vector file: checked, with their class numbers, found by their place."""

import logging
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from co2s.optional import import_extra

from ..spec import DatasetSpec
from .vector_file import Features, read_features

logger = logging.getLogger(__name__)

POLYGONS = (3, 6)  # shapely's numbers for polygons and multipolygons
SHOWN = 5  # features that an error names


@dataclass(frozen=True, eq=False)
class Polygons:
    """The labelled polygons of a layer: shapes (n,), class numbers (n,) uint8, feature ids (n,).

    `crs`: of the file, as WKT. `tree`: shapely's STRtree over the shapes. `unlabelled`: features
    whose class is empty, which are left out; `mended`: polygons that crossed themselves.
    """

    path: str
    crs: str
    shapes: np.ndarray
    classes: np.ndarray
    ids: np.ndarray
    tree: Any
    unlabelled: int
    mended: int


def load_polygons(path: str, spec: DatasetSpec) -> Polygons:
    """The polygons of a dataset's file, read once in a process as long as it does not change.

    ValueError names features that are no polygons or whose value stands for no class, and a file
    without CRS.
    """
    about, labels = os.stat(path), spec.labels
    version = (about.st_mtime_ns, about.st_size)
    return _load(path, version, labels.layer, str(labels.column), tuple(spec.class_names))


@lru_cache(maxsize=8)
def _load(
    path: str, version: tuple[int, int], layer: str | None, column: str, names: tuple[str, ...]
) -> Polygons:
    shapely = import_extra("shapely", "geo")
    found = read_features(path, column, layer)
    crs = _crs(found, path)
    numbers = _numbers(found, names, path, column)
    labelled = numbers >= 0
    shapes, ids = found.shapes[labelled], found.ids[labelled]
    invalid = ~shapely.is_valid(shapes)
    shapes = _mended(shapes, ids, invalid, path)
    unlabelled = len(numbers) - len(shapes)
    if unlabelled:
        logger.info(
            "%s: %d of %d features have no class in '%s' and are passed over: not yet labelled.",
            *(path, unlabelled, len(numbers), column),
        )
    classes = numbers[labelled].astype(np.uint8)
    tree = shapely.STRtree(shapes)
    return Polygons(path, crs, shapes, classes, ids, tree, unlabelled, int(invalid.sum()))


def _crs(found: Features, path: str) -> str:
    pyproj = import_extra("pyproj", "geo")
    if not found.crs:
        raise ValueError(
            f"{path}, layer '{found.layer}', has no CRS: nobody can say where its polygons lie. "
            "Set the layer's CRS in your GIS and save it."
        )
    try:
        return pyproj.CRS.from_user_input(found.crs).to_wkt()
    except pyproj.exceptions.CRSError as error:
        raise ValueError(f"{path} has a CRS that cannot be understood: {error}") from error


def _numbers(found: Features, names: tuple[str, ...], path: str, column: str) -> np.ndarray:
    """(n,) class numbers, -1 where the column is empty; ValueError names unknown values."""
    known: dict[Any, int | None] = {}
    numbers = np.full(len(found.values), -1, np.int16)
    unknown = []
    for place, value in enumerate(found.values.tolist()):
        if value not in known:
            known[value] = class_of(value, names)
        number = known[value]
        if number is None:
            unknown.append((found.ids[place], value))
        else:
            numbers[place] = number
    if unknown:
        told = ", ".join(f"feature {feature}: {value!r}" for feature, value in unknown[:SHOWN])
        classes = ", ".join(f"{number} {name}" for number, name in enumerate(names))
        raise ValueError(
            f"{path}, layer '{found.layer}': {len(unknown)} values in the column '{column}' stand "
            f"for no class ({told}). Known are {classes}; leave it empty where nobody has labelled."
        )
    return numbers


def class_of(value: Any, names: tuple[str, ...]) -> int | None:
    """The class number of a value of the column: -1 for an empty one, None for an unknown one."""
    if is_empty_class(value):
        return -1
    if isinstance(value, str):
        word = value.strip()
        if word in names:
            return names.index(word)
        value = int(word) if word.isdecimal() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value in range(len(names)) else None


def is_empty_class(value: Any) -> bool:
    """Whether a value of the column says that nobody has labelled the feature yet."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _mended(shapes: np.ndarray, ids: np.ndarray, invalid: np.ndarray, path: str) -> np.ndarray:
    """The shapes, all polygons and valid; ValueError names features of another kind."""
    shapely = import_extra("shapely", "geo")
    kinds = shapely.get_type_id(shapes)  # -1: none
    other = ~np.isin(kinds, POLYGONS) | shapely.is_empty(shapes)
    if other.any():
        names = {n: kind.name.lower() for n, kind in enumerate(shapely.GeometryType, start=-1)}
        told = ", ".join(
            f"feature {feature} is {'empty' if kind in POLYGONS else names[kind]}"
            for feature, kind in [*zip(ids[other], kinds[other], strict=True)][:SHOWN]
        )
        raise ValueError(
            f"{path}: {int(other.sum())} labelled features are no polygons ({told}). Only areas "
            "can be labels: delete them, or empty their class."
        )
    if not invalid.any():
        return shapes
    mended = shapes.copy()
    mended[invalid] = [_areas(shape) for shape in shapely.make_valid(shapes[invalid])]
    flat = shapely.is_empty(mended)
    if flat.any():
        raise ValueError(
            f"{path}: feature {ids[flat][0]} is a polygon without an area. Delete it, or empty its "
            "class."
        )
    return mended


def _areas(shape: Any) -> Any:
    """The polygons of a mended shape, without the lines and points that are left of it."""
    shapely = import_extra("shapely", "geo")
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == POLYGONS[0]])
