"""Polygons of a class map: one for each component, written while the map is read.

Memory does not grow with the map, as long as no component does: those that a strip of rows ends in
are written, of the others the border is kept.
"""

import logging
import math
from pathlib import Path
from typing import NamedTuple

from .features import Features, MapSource
from .vector_files import check_vector_file, write_vector_file

logger = logging.getLogger(__name__)


class PolygonSummary(NamedTuple):
    """What was written: the number of polygons; by the class's name their area, in `unit`."""

    polygons: int
    areas: dict[str, float]
    unit: str  # "m2", or "pixels" where the map has no CRS


def write_polygons(
    map_path: Path,
    output: Path,
    *,
    confidence: Path | None = None,
    min_area: float = 0,
    simplify: float = 0,
) -> PolygonSummary:
    """Write the components of a class map as polygons, by the suffix .gpkg, .geojson or .parquet.

    Their attributes: class (its name), value, area, and with `confidence` (the map's uncertainty
    file) its mean over their pixels, 0 to 1. They are in the map's CRS; nodata is none of them.

    min_area: the minimum mapping unit. A smaller component goes to its neighbours of the class with
    which it shares the longest border, the smallest first. It is in square metres, as the areas
    are, and in pixels where the map has no CRS.
    simplify: tolerance in pixels, about the square root of the area that a corner may take with it.
    Polygons have neither gaps nor overlaps, and borders with nodata are left as they are.

    ValueError names a file that is no class map, no band "confidence" on the map's grid, or an
    unknown suffix; OSError an output that cannot be written.
    """
    if not (min_area >= 0 and simplify >= 0 and math.isfinite(min_area + simplify)):
        raise ValueError(
            f"The minimum area ({min_area}) and the tolerance ({simplify}) must be 0 or more."
        )
    source = MapSource.read(map_path, confidence)
    check_vector_file(output, source.surface.crs)
    features = Features(source)
    batches = features.batches(source.surface.pixels(min_area), simplify)
    write_vector_file(output, features.schema, batches, source.surface.crs)
    if not features.count:
        logger.warning("%s has no valid pixel, so %s has no polygon.", map_path, output)
    return PolygonSummary(features.count, features.areas, source.surface.unit)
