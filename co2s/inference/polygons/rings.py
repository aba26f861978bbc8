"""Rings of pixel corners that bound polygons, many in one array."""

from typing import Any, NamedTuple

import numpy as np

from co2s.optional import import_extra


class Rings(NamedTuple):
    """Closed rings, those of one polygon together and its shell first.

    points (N, 2) int: x and y of pixel corners, y downwards; a shell goes clockwise on the screen,
    a hole the other way. offsets (R + 1,): where each ring begins; owners (R,): its polygon.
    """

    points: np.ndarray
    offsets: np.ndarray
    owners: np.ndarray

    def take(self, rings: np.ndarray) -> "Rings":
        """Some of the rings, by their numbers, in that order."""
        lengths = np.diff(self.offsets)[rings]
        ends = np.cumsum(lengths)
        index = np.repeat(self.offsets[rings] - ends + lengths, lengths)
        index += np.arange(index.size)
        return Rings(self.points[index], np.append(0, ends), self.owners[rings])

    def ordered(self) -> "Rings":
        """The same by their owners, shells before holes."""
        return self.take(np.lexsort((self.areas() < 0, self.owners)))

    def areas(self) -> np.ndarray:
        """(R,) the area of each in pixels, that of holes negative."""
        if not len(self.owners):
            return np.zeros(0)
        x, y = self.points.astype(np.int64).T
        cross = x[:-1] * y[1:] - x[1:] * y[:-1]
        cross = np.append(cross, 0)
        cross[self.offsets[1:] - 1] = 0  # from the end of a ring to the next one
        return np.add.reduceat(cross, self.offsets[:-1]) / 2

    def firsts(self) -> np.ndarray:
        """The number of the first ring of each polygon."""
        return np.flatnonzero(np.diff(self.owners, prepend=-1))

    def polygons(self, points: np.ndarray | None = None) -> np.ndarray:
        """Shapely polygons (P,); `points`: other coordinates for the same corners."""
        shapely = import_extra("shapely", "geo")
        points = self.points if points is None else points
        offsets = self.offsets, np.append(self.firsts(), len(self.owners))
        return shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, np.ascontiguousarray(points, float), offsets
        )


def concatenated(parts: list[Rings]) -> Rings:
    """All rings of several; their owners differ, and go up."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Rings(
        np.concatenate([part.points for part in parts]),
        np.append(0, np.cumsum(lengths)),
        np.concatenate([part.owners for part in parts]),
    )


def simplified(rings: Rings, tolerance: float) -> Rings:
    """Fewer corners; borders that two polygons share stay shared, all others as they are.

    tolerance: roughly the square root of the area that a corner may take with it, in pixels.
    """
    shapely: Any = import_extra("shapely", "geo")
    owners = rings.owners[rings.firsts()]
    polygons = shapely.coverage_simplify(rings.polygons(), tolerance, simplify_boundary=False)
    polygons = shapely.orient_polygons(polygons, exterior_cw=False)
    _, points, (offsets, first) = shapely.to_ragged_array(polygons)
    return Rings(points.astype(np.int32), offsets, np.repeat(owners, np.diff(first)))
