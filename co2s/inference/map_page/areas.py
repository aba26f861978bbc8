"""Areas that somebody has drawn on the page, saved to be labelled in a GeoPackage."""

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from co2s.data.reading.rasters import Window
from co2s.data.reading.vector_file import layers_of
from co2s.files import write_whole
from co2s.optional import import_extra

from ..suggestions.files import SUGGESTED
from ..suggestions.footprints import COLUMN
from ..suggestions.qgis import add_domain, style
from .files import MapFiles
from .parts import Size, View, places

SUFFIX = ".gpkg"


def default_path(prediction: Path) -> Path:
    """Beside the class map."""
    return prediction.with_name(f"{prediction.stem}_{SUGGESTED}{SUFFIX}")


def window_of(view: View, size: Size) -> Window | None:
    """A drawn box in whole pixels of the scene; None for one beside it or of less than a pixel."""
    rows = sorted(min(max(round(edge), 0), size[0]) for edge in (view.top, view.bottom))
    columns = sorted(min(max(round(edge), 0), size[1]) for edge in (view.left, view.right))
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    return (rows[0], columns[0], height, width) if height and width else None


def check_areas_file(path: Path, files: MapFiles) -> None:
    """ValueError where areas of this scene cannot be added to a file, or no such file be made."""
    if path.suffix.lower() != SUFFIX:
        raise ValueError(f"--suggestions {path}: areas are saved as {SUFFIX}, a GeoPackage.")
    if not path.exists():
        return
    # What it has not yet put into the file would be lost.
    if Path(f"{path}-wal").exists():
        raise ValueError(f"{path} is open in another program. Close it there, then save again.")
    if SUGGESTED not in layers_of(str(path)):
        raise ValueError(
            f"{path} has no layer '{SUGGESTED}' to add areas to, but {[*layers_of(str(path))]}. "
            "Give another --suggestions."
        )
    about = import_extra("pyogrio", "geo").read_info(path, layer=SUGGESTED)
    if COLUMN not in about["fields"]:
        raise ValueError(f"{path}, layer '{SUGGESTED}', has no column '{COLUMN}' for the label.")
    if not _is_same(about["crs"] or "", files.crs):
        raise ValueError(
            f"{path} is in {about['crs'] or 'no CRS'}, the scene in {files.crs or 'no CRS'}. Give "
            "another --suggestions."
        )


def _is_same(one: str, other: str) -> bool:
    if not one or not other:
        return one == other
    crs = import_extra("pyproj", "geo").CRS.from_user_input
    return bool(crs(one).equals(crs(other), ignore_axis_order=True))


def save_areas(path: Path, windows: Sequence[Window], files: MapFiles) -> int:
    """Add areas to the layer `suggestions` of a GeoPackage; returns how many it then has.

    The file is as before, or has them all; what else is in it stays. Their class is empty. Without
    a CRS their coordinates are pixels, rows downwards from 0. ValueError or OSError where it cannot
    be.
    """
    check_areas_file(path, files)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"areas{SUFFIX}"  # GDAL goes by the suffix, which drafts have not
        before = 0
        if path.exists():
            shutil.copyfile(path, made)
            before = _count(made)
        _add(made, windows, files)
        if _count(made) != before + len(windows):  # GDAL says nothing of a disk that is full
            raise OSError(f"{path} cannot be written: areas are missing. Is the disk full?")
        write_whole(path, lambda draft: shutil.copyfile(made, draft))
        return before + len(windows)


def _count(path: Path) -> int:
    return int(import_extra("pyogrio", "geo").read_info(path, layer=SUGGESTED)["features"])


def _add(path: Path, windows: Sequence[Window], files: MapFiles) -> None:
    raw, shapely = import_extra("pyogrio.raw", "geo"), import_extra("shapely", "geo")
    is_new = not path.exists()
    shapes = shapely.to_wkb(np.array([_shape(window, files) for window in windows], object))
    empty = np.array([None] * len(windows), object)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        raw.write(
            path, shapes, [empty], [COLUMN], layer=SUGGESTED, driver="GPKG",
            geometry_type="Polygon", crs=files.crs or None, append=not is_new,
        )  # fmt: skip
    if is_new:
        add_domain(path, (SUGGESTED,), COLUMN, files.classes, style(files.classes, COLUMN))


def _shape(window: Window, files: MapFiles) -> Any:
    top, left, height, width = window
    bottom, right = top + height, left + width
    ring = [(left, top), (right, top), (right, bottom), (left, bottom)]
    # Without a CRS as GIS programs show pictures: the first row is at the top.
    transform = files.transform if files.crs else (1, 0, 0, 0, -1, 0)
    return import_extra("shapely", "geo").polygons(places(transform, ring))
