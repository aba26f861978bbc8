"""Where windows of several maps lie: beside each other, over labels, in the CRS of the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from co2s.data.reading.polygons import is_empty_class
from co2s.data.reading.vector_file import layers_of, read_features
from co2s.optional import import_extra

from .windows import ClassMap

COLUMN = "class"  # of the layers that suggestions are labelled in
Place = tuple[int, int, int, int]  # row, column, height, width in pixels


class Footprints:
    """The windows taken so far, of which no two overlap or touch, and what is labelled already."""

    def __init__(self, maps: Sequence[ClassMap], labelled: Sequence[Path] = ()) -> None:
        """labelled: vector files with a column `class`; ValueError where maps have no CRS."""
        self.maps = maps
        self.crs = maps[0].crs
        self._taken: list[tuple[int, Place, Any]] = []
        if labelled and not self.crs:
            raise ValueError("The maps have no CRS, so nobody can say what --labeled covers.")
        shapes = [shape for path in labelled for shape in self._labelled(path)]
        self._labels = import_extra("shapely", "geo").STRtree(shapes) if shapes else None

    def shape(self, number: int, window: Place) -> Any:
        """The window of map `number` as a polygon, in the CRS of the first map.

        Without a CRS in pixels, as GIS programs show such pictures: the first row is at the top.
        """
        shapely, one = import_extra("shapely", "geo"), self.maps[number]
        top, left, height, width = window
        a, b, c, d, e, f = one.transform[:6] if self.crs else (1, 0, 0, 0, -1, 0)
        ring = [
            (left, top),
            (left + width, top),
            (left + width, top + height),
            (left, top + height),
        ]
        shape = shapely.polygons([(a * x + b * y + c, d * x + e * y + f) for x, y in ring])
        return shape if one.crs == self.crs else self._brought([shape], one.crs)[0]

    def take(self, number: int, window: Place) -> bool:
        """Take a window, if it neither overlaps nor touches one taken before."""
        mine = [(other, shape) for map_, other, shape in self._taken if map_ == number]
        if any(_touch(window, other) for other, _ in mine):
            return False
        shape = self.shape(number, window)
        if self.crs:
            shapely = import_extra("shapely", "geo")
            # Scenes do not begin where pixels of others end: half a pixel apart is beside.
            near = 0.5 * np.sqrt(shape.area / (window[2] * window[3]))
            others = [other for map_, _, other in self._taken if map_ != number]
            if others and (shapely.distance(shape, np.array(others)) <= near).any():
                return False
        self._taken.append((number, window, shape))
        return True

    def is_labelled(self, number: int, window: Place) -> bool:
        """Whether a labelled polygon lies in the window, and does not only touch it."""
        if self._labels is None:
            return False
        shape = self.shape(number, window)
        places = self._labels.query(shape, predicate="intersects")
        shared = import_extra("shapely", "geo").intersection(self._labels.geometries[places], shape)
        return bool((import_extra("shapely", "geo").area(shared) > 0).any())

    def _labelled(self, path: Path) -> list[Any]:
        """The polygons of a file that have a class, in the CRS of the first map."""
        if not path.is_file():
            raise FileNotFoundError(f"The labels {path} (--labeled) are missing.")
        layers = [name for name, columns in layers_of(str(path)).items() if COLUMN in columns]
        if not layers:
            raise ValueError(f"{path} (--labeled) has no layer with a column '{COLUMN}'.")
        found: list[Any] = []
        for layer in layers:
            features = read_features(str(path), COLUMN, layer)
            shapes = [
                shape
                for shape, value in zip(features.shapes, features.values.tolist(), strict=True)
                if shape is not None and not is_empty_class(value)
            ]
            if shapes and not features.crs:
                raise ValueError(f"{path}, layer '{layer}', has no CRS.")
            made = import_extra("shapely", "geo").make_valid(np.array(shapes, object))
            found += list(self._brought(made, features.crs)) if shapes else []
        return found

    def _brought(self, shapes: Any, crs: str) -> np.ndarray:
        """Shapes in the CRS of the first map."""
        pyproj, shapely = import_extra("pyproj", "geo"), import_extra("shapely", "geo")
        change = pyproj.Transformer.from_crs(crs, self.crs, always_xy=True)
        return shapely.transform(np.array(shapes, object), change.transform, interleaved=False)


def _touch(one: Place, other: Place) -> bool:
    """Whether two windows of a map overlap, or have a side or a corner in common."""
    return (
        one[0] <= other[0] + other[2]
        and other[0] <= one[0] + one[2]
        and one[1] <= other[1] + other[3]
        and other[1] <= one[1] + one[3]
    )
