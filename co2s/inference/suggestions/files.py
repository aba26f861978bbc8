"""The files of suggestions: a GeoPackage to label in, styles, a list and a sheet of pictures."""

import csv
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from co2s.data.reading.polygons import is_empty_class
from co2s.data.reading.vector_file import layers_of, read_features
from co2s.files import Write, write_together
from co2s.optional import import_extra

from .contact_sheet import contact_sheet
from .footprints import COLUMN
from .qgis import add_domain, style
from .ranking import Suggestions

logger = logging.getLogger(__name__)

PACKAGE, SUGGESTED, DRAWN = "suggestions.gpkg", "suggestions", "labels"


def write_suggestions(found: Suggestions, folder: Path, scenes: Mapping[Path, Path]) -> list[Path]:
    """Write all files, or none, in place of those of an earlier run; returns their paths.

    scenes: of the maps, the pictures that they were made from, for the sheet. Without a CRS there
    is no GeoPackage. FileExistsError where the one that is there holds labels that somebody drew.
    """
    _refuse_drawn(folder / PACKAGE)
    classes = found.maps[0].classes
    writers: dict[Path, Write] = {}
    old = [folder / name for name in (PACKAGE, f"{SUGGESTED}.qml", f"{DRAWN}.qml")]
    if found.footprints.crs:
        qml = style(classes, COLUMN)
        writers = {
            old[0]: _through(partial(_write_package, found=found, qml=qml)),
            old[1]: lambda draft: draft.write_text(qml, encoding="utf-8"),
            old[2]: lambda draft: draft.write_text(qml, encoding="utf-8"),
        }
    else:
        logger.warning(
            "%s has no CRS: there is no GeoPackage to label in, only the list and the sheet.",
            found.maps[0].path,
        )
    writers[folder / "suggestions.csv"] = lambda draft: draft.write_text(
        _as_csv(found), encoding="utf-8", newline=""
    )
    sheet = contact_sheet(found, scenes)
    writers[folder / "contact_sheet.png"] = lambda draft: sheet.save(draft, format="PNG")
    write_together(writers)
    for path in set(old) - set(writers):
        path.unlink(missing_ok=True)
    return list(writers)


def _refuse_drawn(path: Path) -> None:
    """FileExistsError where features of a GeoPackage have a class: nobody wants to draw twice."""
    if not path.is_file():
        return
    for layer, columns in layers_of(str(path)).items():
        if COLUMN not in columns:
            continue
        values = read_features(str(path), COLUMN, layer).values.tolist()
        drawn = sum(not is_empty_class(value) for value in values)
        if drawn:
            raise FileExistsError(
                f"{path} holds {drawn} labels, in its layer '{layer}'. Give another --output (and "
                f"--labeled {path}, so that what is labelled is not suggested again)."
            )


def _through(write: Callable[[Path], object]) -> Write:
    """A writer that works under a name with the right suffix, which GDAL asks for."""

    def copy(draft: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / PACKAGE
            write(made)
            shutil.copyfile(made, draft)

    return copy


def _write_package(path: Path, found: Suggestions, qml: str) -> None:
    raw, shapely = import_extra("pyogrio.raw", "geo"), import_extra("shapely", "geo")
    about = {"driver": "GPKG", "geometry_type": "Polygon", "crs": found.footprints.crs}
    columns = _columns(found)
    shapes = shapely.to_wkb(_shapes(found))
    raw.write(path, shapes, list(columns.values()), list(columns), layer=SUGGESTED, **about)
    none = np.array([], object)
    raw.write(path, none, [none], [COLUMN], layer=DRAWN, append=True, **about)
    add_domain(path, (SUGGESTED, DRAWN), COLUMN, found.maps[0].classes, qml)


def _shapes(found: Suggestions) -> np.ndarray:
    numbers = {one.path: number for number, one in enumerate(found.maps)}
    footprints = [found.footprints.shape(numbers[one.map.path], one.window) for one in found.chosen]
    return np.array(footprints, object)


def _columns(found: Suggestions) -> dict[str, np.ndarray]:
    """The columns of the suggested windows: an empty class, then what is known of each."""
    chosen, names = found.chosen, _names(found)
    columns = {
        COLUMN: np.array([None] * len(chosen), object),
        "rank": np.array([one.rank for one in chosen], np.int32),
        "score": np.array([one.score for one in chosen]),
        "scene": np.array([names[one.map.path] for one in chosen], object),
    }
    parts = {key: np.array([one.parts[key] for one in chosen]) for key in chosen[0].parts}
    return columns | parts


def _names(found: Suggestions) -> dict[Path, str]:
    """Of each map, its path as seen from the folder that all lie in."""
    paths = [one.path.resolve() for one in found.maps]
    common = os.path.commonpath([path.parent for path in paths])
    return {
        one.path: path.relative_to(common).as_posix()
        for one, path in zip(found.maps, paths, strict=True)
    }


def _as_csv(found: Suggestions) -> str:
    """The list: pixels of the window, its centre (x, y) in the CRS of the GeoPackage."""
    text, names = io.StringIO(), _names(found)
    parts = list(found.chosen[0].parts)
    table = csv.writer(text, lineterminator="\n")
    ranks = [f"{part}_rank" for part in parts]
    place = ["row", "column", "height", "width", "x", "y", "crs"]
    table.writerow(["rank", "scene", *place, "score", *parts, *ranks])
    for one, shape in zip(found.chosen, _shapes(found), strict=True):
        center = [f"{shape.centroid.x:.8g}", f"{shape.centroid.y:.8g}"]
        if found.footprints.crs:
            center = [repr(round(shape.centroid.x, 8)), repr(round(shape.centroid.y, 8))]
        figures = [one.score, *one.parts.values(), *one.ranks.values()]
        cells = [one.rank, names[one.map.path], *one.window, *center, found.footprints.crs]
        table.writerow([*cells, *(f"{value:.6f}" for value in figures)])
    return text.getvalue()
