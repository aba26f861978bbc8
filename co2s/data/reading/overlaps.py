"""Where labelled polygons of different classes lie over each other."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from co2s.optional import import_extra

from ..spec import DatasetSpec
from .grids import Grid, blocks, grid_of
from .polygons import Polygons, load_polygons
from .rasters import Window
from .vector import brought, burnt


class Overlap(NamedTuple):
    """Two features of different classes that cover the same pixels of an image: the class numbers,
    how many pixels, and the first of them (row, column)."""

    features: tuple[int, int]
    classes: tuple[int, int]
    pixels: int
    first: tuple[int, int]


def overlaps(path: str, spec: DatasetSpec, image: str) -> list[Overlap]:
    """The overlaps on the pixels of an image, by feature; those that cover no pixel are left out.

    ValueError as `co2s.data.reading.vector.read_polygons` raises it.
    """
    polygons, grid = load_polygons(path, spec), grid_of(image)
    pairs = _crossings(polygons)
    shared = brought(_shared(polygons, pairs), polygons, grid)
    found = []
    for pair, area in zip(pairs, shared, strict=True):
        window = _window(area.bounds, grid)
        if window is None:
            continue
        two = brought(polygons.shapes[pair], polygons, grid)
        pixels, first = _counted(two, grid, window)
        if first is not None:
            one, other = polygons.ids[pair].tolist()
            classes = polygons.classes[pair].tolist()
            found.append(Overlap((one, other), (classes[0], classes[1]), pixels, first))
    return found


@lru_cache(maxsize=8)
def _crossings(polygons: Polygons) -> np.ndarray:
    """(n, 2) positions of polygons of different classes that share an area."""
    shapely = import_extra("shapely", "geo")
    one, other = polygons.tree.query(polygons.shapes, predicate="intersects")
    apart = (one < other) & (polygons.classes[one] != polygons.classes[other])
    pairs = np.stack([one[apart], other[apart]], axis=1)
    return pairs[shapely.area(_shared(polygons, pairs)) > 0]


def _shared(polygons: Polygons, pairs: np.ndarray) -> np.ndarray:
    """(n,) what the two polygons of each pair have in common."""
    left, right = polygons.shapes[pairs].T
    return import_extra("shapely", "geo").intersection(left, right)


def _window(bounds: tuple[float, float, float, float], grid: Grid) -> Window | None:
    """The pixels around an area, as far as the image has them; None where it has none."""
    transform = ~grid.transform
    a, b, c, d, e, f = transform[:6]
    corners = [(x, y) for x in bounds[::2] for y in bounds[1::2]]
    columns = [a * x + b * y + c for x, y in corners]
    rows = [d * x + e * y + f for x, y in corners]
    top, left = max(int(min(rows)) - 1, 0), max(int(min(columns)) - 1, 0)
    bottom, right = min(int(max(rows)) + 2, grid.height), min(int(max(columns)) + 2, grid.width)
    return (top, left, bottom - top, right - left) if top < bottom and left < right else None


def _counted(two: np.ndarray, grid: Grid, window: Window) -> tuple[int, tuple[int, int] | None]:
    """The pixels that both shapes cover, and the first of them."""
    pixels, first = 0, None
    for block in blocks(window):
        both = burnt(two[:1], grid, block) & burnt(two[1:], grid, block)
        places = np.argwhere(both)
        if len(places) and first is None:
            row, column = places[0].tolist()
            first = (block[0] + row, block[1] + column)
        pixels += len(places)
    return pixels, first
