"""Vector labels: polygons with a place on earth, drawn as classes on an image's pixel grid."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from co2s.optional import import_extra
from co2s.structures import IGNORE_LABEL

from ..spec import DatasetSpec
from .grids import Grid, blocks, grid_of
from .polygons import Polygons, load_polygons
from .rasters import Window


def read_polygons(
    path: str, spec: DatasetSpec, image: str | None, window: Window | None = None
) -> np.ndarray:
    """(H, W) uint8 classes of an image or its window: of each pixel whose centre a polygon covers.

    255 = ignore where none does, and where polygons of different classes do. ValueError where the
    image has no place on earth, and as `load_polygons` raises it.
    """
    assert image is not None
    grid = grid_of(image)
    return _drawn(load_polygons(path, spec), grid, window or grid.whole)


def _drawn(polygons: Polygons, grid: Grid, window: Window) -> np.ndarray:
    shapes, places = shapes_at(polygons, grid, window)
    numbers = polygons.classes[places]
    classes = np.full(window[2:], IGNORE_LABEL, np.uint8)
    torn = np.zeros(window[2:], bool)
    for number in np.unique(numbers):
        covered = burnt(shapes[numbers == number], grid, window)
        torn |= covered & (classes != IGNORE_LABEL)
        classes[covered] = number
    classes[torn] = IGNORE_LABEL
    return classes


def is_labelled(path: str, spec: DatasetSpec, image: str, window: Window | None = None) -> bool:
    """Whether any pixel of the image, or of its window, has a class."""
    grid = grid_of(image)
    return _any_drawn(load_polygons(path, spec), grid, window or grid.whole)


@lru_cache(maxsize=2**18)  # every split is listed by itself
def _any_drawn(polygons: Polygons, grid: Grid, window: Window) -> bool:
    if not len(shapes_at(polygons, grid, window)[1]):
        return False
    return any((_drawn(polygons, grid, block) != IGNORE_LABEL).any() for block in blocks(window))


def check_labelled(
    path: str, spec: DatasetSpec, images: Sequence[str], labelled: Sequence[bool], all_of_them: bool
) -> None:
    """ValueError where polygons do not fit the images of a dataset: they label none of them (or,
    `all_of_them`, not all)."""
    if images and not any(labelled):
        polygons, grid = load_polygons(path, spec), grid_of(images[0])
        bounds = import_extra("shapely", "geo").total_bounds(polygons.shapes)
        raise ValueError(
            f"{path} labels none of the {len(images)} images: its {len(polygons.shapes)} labelled "
            f"polygons lie in {_rounded(bounds)} ({_name(polygons.crs)}), {images[0]} in "
            f"{_rounded(grid.bounds(grid.whole))} ({_name(grid.crs)}), and {polygons.unlabelled} "
            "features have no class yet."
        )
    if all_of_them and not all(labelled):
        raise ValueError(
            f"{path} has no labelled polygon on {images[list(labelled).index(False)]}, which "
            "splits.val selects: an image without labels cannot validate."
        )


def shapes_at(polygons: Polygons, grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The polygons whose boxes meet the window's, in the image's CRS, and their positions (n,)."""
    places = np.unique(polygons.tree.query(_boxes(polygons.crs, grid, window))[1])
    return brought(polygons.shapes[places], polygons, grid), places


def brought(shapes: np.ndarray, polygons: Polygons, grid: Grid) -> np.ndarray:
    """Shapes of the file in the image's CRS, corner by corner as a GIS does."""
    change = _change(polygons.crs, grid.crs)
    if change is None or not len(shapes):
        return shapes
    shapely = import_extra("shapely", "geo")
    there = shapely.transform(shapes, change.transform, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(there)).all():
        raise ValueError(
            f"{polygons.path}: a polygon reaches to where {_name(grid.crs)}, the CRS of an image, "
            "has no coordinates. Cut it at the image's border."
        )
    return there


def burnt(shapes: np.ndarray, grid: Grid, window: Window) -> np.ndarray:
    """(H, W) bool: the pixels of a window whose centres the shapes cover."""
    rasterize = import_extra("rasterio.features", "geo").rasterize
    found = rasterize(
        shapes.tolist(),
        out_shape=window[2:],
        transform=grid.shifted(window),
        fill=0,
        default_value=1,
        dtype=np.uint8,
    )
    return found.astype(bool)


def _boxes(crs: str, grid: Grid, window: Window) -> np.ndarray:
    """The box of a window in the polygons' CRS: two where it crosses the date line, or none where
    that CRS does not reach."""
    shapely = import_extra("shapely", "geo")
    bounds = grid.bounds(window)
    change = _change(grid.crs, crs)
    if change is not None:
        bounds = change.transform_bounds(*bounds)
    west, south, east, north = bounds
    if not np.isfinite(bounds).all():
        return np.array([], object)
    if west <= east:
        return np.array([shapely.box(west, south, east, north)])
    return shapely.box([west, -180], south, [180, east], north)


@lru_cache(maxsize=64)
def _change(source: str, target: str) -> Any:
    """pyproj's transformer between two CRSs; None where they are the same."""
    pyproj = import_extra("pyproj", "geo")
    try:
        one, other = pyproj.CRS.from_wkt(source), pyproj.CRS.from_wkt(target)
        if one.equals(other, ignore_axis_order=True):
            return None
        return pyproj.Transformer.from_crs(one, other, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise ValueError(
            f"Polygons cannot be brought from {source[:80]} to {target[:80]}: {error}"
        ) from error


def _name(crs: str) -> str:
    return str(import_extra("pyproj", "geo").CRS.from_wkt(crs).name)


def _rounded(bounds: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in bounds]
