"""Windows of class maps with what a suggestion is made of: classes, and how unsure the model is.

A map is read in rows of windows, so that memory does not grow with its height.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from co2s.data.reading.rasters import opened, raster_errors
from co2s.optional import import_extra
from co2s.structures import windows

from ..products import KINDS, NODATA, SCALE, SCENE_TAG, MapClass, band_named, classes_of, product

SUFFIXES = (".tif", ".tiff")
# Bands that say how unsure the model is; where there is neither, what confidence leaves.
UNSURE = ("disagreement", "entropy")
DOUBT = "doubt"  # 1 - confidence


@dataclass(frozen=True)
class ClassMap:
    """A class map: size in pixels, transform of rasterio, CRS ("" for none), its bands of doubt,
    and the scene that it names as its own."""

    path: Path
    height: int
    width: int
    transform: Any
    crs: str
    classes: tuple[MapClass, ...]
    bands: tuple[str, ...]
    scene: str


@dataclass(frozen=True)
class MapWindows:
    """The windows (n, 4) of a map: row, column, height, width. `counts` (n, N): pixels of each
    class; `means`: of each band over the valid pixels (n,)."""

    windows: np.ndarray
    counts: np.ndarray
    means: dict[str, np.ndarray]

    @property
    def valid(self) -> np.ndarray:
        """(n,) share of the pixels that have a class."""
        return self.counts.sum(axis=1) / np.prod(self.windows[:, 2:], axis=1)


def find_maps(inputs: Iterable[str]) -> list[Path]:
    """The class maps that files, folders and patterns name, sorted; other products are passed over.

    FileNotFoundError where one of them names nothing.
    """
    found: dict[Path, None] = {}
    for entry in inputs:
        path = Path(entry)
        if path.is_file():
            found[path] = None
            continue
        inside = path.iterdir() if path.is_dir() else map(Path, glob(entry, recursive=True))
        maps = [one for one in sorted(inside) if one.suffix.lower() in SUFFIXES]
        maps = [one for one in maps if one.is_file() and not _is_product(one)]
        if not maps:
            raise FileNotFoundError(f"{entry} is no file, and no folder or pattern of class maps.")
        found.update(dict.fromkeys(maps))
    return list(found)


def _is_product(path: Path) -> bool:
    """Whether a file is another product of a map that lies beside it."""
    return any(
        path.stem.endswith(f"_{kind}")
        and path.with_name(path.stem.removesuffix(f"_{kind}") + path.suffix).is_file()
        for kind in KINDS
    )


def open_maps(paths: Sequence[Path]) -> list[ClassMap]:
    """The headers of maps; ValueError names one of other classes or one that lacks its doubt."""
    maps = [_header(path) for path in paths]
    first = maps[0]
    for one in maps:
        if [c[:2] for c in one.classes] != [c[:2] for c in first.classes]:
            names = [[entry.name for entry in m.classes] for m in (first, one)]
            raise ValueError(
                f"{first.path} and {one.path} have other classes: {names[0]} and {names[1]}. "
                "Suggest from the maps of one model."
            )
        if (one.crs == "") != (first.crs == ""):
            bare, placed = (one, first) if one.crs == "" else (first, one)
            raise ValueError(f"{bare.path} has no CRS, {placed.path} has: suggest from each alone.")
    if not parts_of(maps):
        told = "; ".join(f"{one.path}: {list(one.bands)}" for one in maps[:5])
        raise ValueError(
            "The maps share no band that says how unsure the model is (beside x.tif, "
            f"x_uncertainty.tif): {told}. Predict with --disagreement --entropy."
        )
    return maps


def parts_of(maps: Sequence[ClassMap]) -> list[str]:
    """What every map has of disagreement and entropy; where they share none, the doubt."""
    shared = [name for name in UNSURE if all(name in one.bands for one in maps)]
    if not shared and all("confidence" in one.bands for one in maps):
        return [DOUBT]
    return shared


def _header(path: Path) -> ClassMap:
    other = product(path, "uncertainty")
    bands: tuple[str, ...] = ()
    with opened(str(path)) as source:
        classes, tags = tuple(classes_of(source)), source.tags()
        height, width = source.shape
        crs = source.crs.to_string() if source.crs else ""
        transform = source.transform
    if other.is_file():
        with opened(str(other)) as source:
            bands = tuple(name for name in source.descriptions if name)
            if source.shape != (height, width):
                raise ValueError(
                    f"{other} is {source.height} x {source.width} pixels, {path} "
                    f"{height} x {width}: they do not belong together. Predict again."
                )
    scene = tags.get(SCENE_TAG, "")
    return ClassMap(path, height, width, transform, crs, classes, bands, scene)


def measure_windows(one: ClassMap, side: int, parts: Sequence[str]) -> MapWindows:
    """Go through a map in windows of `side` pixels; the last ones are shifted back to its border.

    ValueError names a file that is damaged, and a pixel value that is none of the classes.
    """
    boxes = windows(one.height, one.width, side, side)
    counts, means = [], []
    with opened(str(one.path)) as classes, opened(str(product(one.path, "uncertainty"))) as unsure:
        bands = [_band(one.path, name) for name in parts]
        for top, row in groupby(boxes, key=lambda box: box[0]):
            here = list(row)
            window = import_extra("rasterio.windows", "geo").Window(
                0, top, one.width, here[0][2] - top
            )
            with raster_errors(str(one.path)):
                labels = classes.read(1, window=window)
                doubt = unsure.read(bands, window=window)
            for _, left, _, right in here:
                part = labels[:, left:right]
                counts.append(_counts(part, one))
                means.append(_means(doubt[:, :, left:right], part != NODATA, parts))
    places = np.array([(t, x, b - t, r - x) for t, x, b, r in boxes], np.int32)
    columns = np.array(means)
    named = {name: columns[:, number] for number, name in enumerate(parts)}
    return MapWindows(places, np.array(counts), named)


def _band(path: Path, part: str) -> int:
    return band_named(product(path, "uncertainty"), "confidence" if part == DOUBT else part)


def _counts(labels: np.ndarray, one: ClassMap) -> np.ndarray:
    """(N,) pixels of each class."""
    found = np.bincount(labels.ravel(), minlength=NODATA + 1)
    values = [entry.value for entry in one.classes]
    other = sorted({*np.flatnonzero(found).tolist()} - {*values, NODATA})
    if other:
        raise ValueError(f"{one.path} has the values {other}, which are none of its {values}.")
    return found[values].astype(np.int32)  # there may be millions of windows


def _means(doubt: np.ndarray, valid: np.ndarray, parts: Sequence[str]) -> list[float]:
    """The mean of each part over the valid pixels, 0 to 1; 0 where there is none."""
    found = []
    for name, band in zip(parts, doubt, strict=True):
        values = band[valid & (band != NODATA)]
        mean = float(values.mean(dtype=np.float64)) / SCALE if values.size else 0.0
        found.append(1 - mean if name == DOUBT and values.size else mean)
    return found
