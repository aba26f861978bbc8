"""Where the corners of a raster's pixels lie, and the areas that they bound."""

import math
from typing import Any, NamedTuple

import numpy as np

from co2s.optional import import_extra

from .rings import Rings


class Surface(NamedTuple):
    """The place of a raster on the ground.

    transform: from pixels to coordinates, as (a, b, c, d, e, f) of rasterio; crs: pyproj's, or
    None. size: height and width in pixels.
    """

    transform: tuple[float, float, float, float, float, float]
    crs: Any
    size: tuple[int, int]

    @classmethod
    def of(cls, source: Any) -> "Surface":
        """That of an opened raster."""
        crs = None
        if source.crs is not None:
            crs = import_extra("pyproj", "geo").CRS.from_user_input(source.crs.to_wkt())
        return cls(tuple(source.transform)[:6], crs, source.shape)

    @property
    def unit(self) -> str:
        """Of areas."""
        return "pixels" if self.crs is None else "m2"

    def places(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) coordinates of pixel corners (N, 2)."""
        a, b, c, d, e, f = self.transform
        x, y = points.astype(float).T
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    def areas(self, rings: Rings) -> np.ndarray:
        """(P,) the area of each polygon: geodesic where coordinates are degrees, else planar."""
        if self.crs is not None and self.crs.is_geographic:
            areas = self._geodesic(rings)
        else:
            areas = rings.areas() * self._planar_pixel()
        return np.abs(np.add.reduceat(areas, rings.firsts())) if len(areas) else areas

    def pixels(self, area: float) -> int:
        """The smallest number of pixels whose area is as large; a pixel in the middle counts."""
        # A hair less, for 4 pixels of 0.1 m by 0.1 m are to be 0.04 square metres.
        return math.ceil(area / self._pixel() * (1 - 1e-9))

    def _pixel(self) -> float:
        y, x = self.size[0] // 2, self.size[1] // 2
        corners = np.array([[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1], [x, y]])
        one = Rings(corners, np.array([0, 5]), np.zeros(1, np.int64))
        return float(self.areas(one)[0])

    def _planar_pixel(self) -> float:
        if self.crs is None:
            return 1.0
        a, b, _, d, e, _ = self.transform
        metres = self.crs.axis_info[0].unit_conversion_factor if self.crs.axis_info else 1.0
        return abs(a * e - b * d) * metres**2

    def _geodesic(self, rings: Rings) -> np.ndarray:
        """(R,) signed areas of rings on the ellipsoid."""
        degrees = math.degrees(self.crs.axis_info[0].unit_conversion_factor)
        geod = self.crs.get_geod()
        x, y = self.places(rings.points).T * degrees
        ends = zip(rings.offsets[:-1].tolist(), rings.offsets[1:].tolist(), strict=True)
        measured = (geod.polygon_area_perimeter(x[i : j - 1], y[i : j - 1])[0] for i, j in ends)
        return np.array([*measured])
