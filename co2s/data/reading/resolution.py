"""The ground sample distance of a raster: metres on the ground that one pixel covers."""

from math import cos, hypot, radians, sin, sqrt
from typing import Any

from co2s.optional import import_extra

# The WGS 84 ellipsoid.
RADIUS, SQUARED_ECCENTRICITY = 6378137.0, 0.00669437999014


def ground_resolution(source: Any) -> float | None:
    """Metres on the ground of an opened raster's pixel, at its centre; None without a place.

    Measured there, and not read off the CRS, for whose units may be degrees or feet, or metres of a
    projection that stretches them, as Web Mercator's. The mean of both sides of a pixel.
    """
    if source.crs is None or source.transform.is_identity:
        return None
    row, column = source.height / 2, source.width / 2
    corners = [(column, row), (column + 1, row), (column, row + 1)]
    t = source.transform
    xs = [t.a * x + t.b * y + t.c for x, y in corners]
    ys = [t.d * x + t.e * y + t.f for x, y in corners]
    warp = import_extra("rasterio.warp", "geo")
    longitudes, latitudes = warp.transform(source.crs, "EPSG:4326", xs, ys)
    places = list(zip(longitudes, latitudes, strict=True))
    return sqrt(_distance(places[0], places[1]) * _distance(places[0], places[2]))


def _distance(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Metres between two near places, (longitude, latitude) in degrees, on the ellipsoid."""
    latitude = radians(start[1])
    inner = 1 - SQUARED_ECCENTRICITY * sin(latitude) ** 2
    east = radians(end[0] - start[0]) * RADIUS / sqrt(inner) * cos(latitude)
    north = radians(end[1] - start[1]) * RADIUS * (1 - SQUARED_ECCENTRICITY) / inner**1.5
    return hypot(east, north)
