"""Writers of small vector files."""

import numpy as np
import pytest

from .geo import CRS

pytest.importorskip("pyogrio", reason="pyogrio is the extra `geo`")
shapely = pytest.importorskip("shapely", reason="shapely is the extra `geo`")

from pyogrio import raw  # noqa: E402


def write_vector(path, features, *, column="class", crs=CRS, layer=None, append=False, kind=None):
    """Features (shape, value), value None: empty."""
    shapes = np.array([shapely.to_wkb(shape) for shape, _ in features], object)
    values = np.array([value for _, value in features], object)
    if all(isinstance(value, int | float) for value in values) and len(values):
        values = values.astype(np.float64 if any(v % 1 for v in values) else np.int64)
    if kind is None:
        kinds = {shape.geom_type for shape, _ in features if shape is not None}
        kind = kinds.pop() if len(kinds) == 1 else "Unknown"
    raw.write(
        *(str(path), shapes, [values], [column]),
        layer=layer,
        geometry_type=kind,
        crs=crs,
        append=append,
        driver={".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile"}[path.suffix],
    )
    return str(path)


def pixels(top, left, bottom, right, origin=(500000, 2800000), pixel=1.0):
    """The square over these pixels of a raster as `write_raster` makes them."""
    x, y = origin
    west, east = x + pixel * left, x + pixel * right
    return shapely.box(west, y - pixel * bottom, east, y - pixel * top)
