"""Polygons as GeoPackage, GeoJSON or GeoParquet, written batch by batch."""

import json
import logging
import sqlite3
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from co2s.files import write_whole
from co2s.optional import import_extra

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".parquet": "Parquet"}
GEOMETRY = "geometry"  # the column with WKB

logger = logging.getLogger(__name__)


def check_vector_file(path: Path, crs: Any) -> None:
    """ValueError where the format is unknown, or cannot name the CRS (pyproj's, or None)."""
    if path.suffix.lower() not in DRIVERS:
        raise ValueError(
            f"{path}: polygons are written as {', '.join(DRIVERS)}, not as '{path.suffix}'."
        )
    if path.suffix.lower() != ".geojson":
        return
    if crs is None:
        logger.warning(
            "%s: GeoJSON cannot say that there is no CRS. Other programs will take its pixel "
            "coordinates for degrees; a .gpkg has no such fault.",
            path,
        )
    elif crs.to_authority(min_confidence=100) is None:
        raise ValueError(
            f"{path}: GeoJSON names a CRS by its code, and '{crs.name}' has none. Write a .gpkg or "
            "a .parquet."
        )


def write_vector_file(path: Path, schema: Any, batches: Iterable[Any], crs: Any) -> None:
    """Write Arrow record batches, whose column "geometry" holds polygons as WKB.

    The file is whole or not there. crs: pyproj's, or None. OSError where it cannot be written.
    """
    write_whole(path, lambda draft: _write(draft, path, schema, _Given(batches), crs))


class _Given:
    """Batches on their way to a library that would turn their errors into others."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self.rows = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for batch in self._batches:
                self.rows += batch.num_rows
                yield batch
        except GeneratorExit:  # it is the library that has stopped
            raise
        except BaseException as error:
            self.error = error
            raise


def _write(draft: Path, path: Path, schema: Any, given: _Given, crs: Any) -> None:
    try:
        if path.suffix.lower() == ".parquet":
            _write_parquet(draft, schema, given, crs)
        else:
            _write_by_gdal(draft, path, schema, given, crs)
            _check(draft, path, given.rows)
    except (OSError, RuntimeError) as error:  # pyogrio's errors are RuntimeErrors
        if given.error is not None:
            raise given.error from None
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        draft.with_name(f"{draft.name}-journal").unlink(missing_ok=True)


def _write_by_gdal(draft: Path, path: Path, schema: Any, given: _Given, crs: Any) -> None:
    pyarrow, pyogrio = import_extra("pyarrow", "geo"), import_extra("pyogrio", "geo")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The filename extension should be")  # a draft has none
        warnings.filterwarnings("ignore", "'crs' was not provided")
        pyogrio.write_arrow(
            pyarrow.RecordBatchReader.from_batches(schema, iter(given)),
            draft,
            layer=path.stem,
            driver=DRIVERS[path.suffix.lower()],
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=_name(crs),
        )


def _name(crs: Any) -> str | None:
    if crs is None:
        return None
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


def _check(draft: Path, path: Path, rows: int) -> None:
    """OSError where the end is missing: GDAL says nothing of a disk that is full as it closes."""
    if path.suffix.lower() == ".geojson":
        with draft.open("rb") as file:
            file.seek(max(draft.stat().st_size - 8, 0))
            is_whole = file.read().endswith(b"]\n}\n")
    else:
        is_whole = _rows_of(draft, path.stem) == [rows, rows]
    if not is_whole:
        raise OSError("its end could not be written. Is the disk full?")


def _rows_of(draft: Path, layer: str) -> list[int]:
    """How many features a GeoPackage says that it has, and how many its spatial index has."""
    index = f"rtree_{layer}_geom_rowid".replace('"', '""')
    with closing(sqlite3.connect(draft)) as file:
        try:
            said = file.execute("SELECT feature_count FROM gpkg_ogr_contents").fetchone()
            indexed = file.execute(f'SELECT count(*) FROM "{index}"').fetchone()
        except sqlite3.Error:
            return []
    return [*said, *indexed]


def _write_parquet(draft: Path, schema: Any, given: _Given, crs: Any) -> None:
    """GeoParquet 1.1: each batch is a row group."""
    shapely, parquet = import_extra("shapely", "geo"), import_extra("pyarrow.parquet", "geo")
    bounds: list[Any] = []
    # With Arrow's own copy of the schema, readers would look in it for what is added at the end.
    writing = parquet.ParquetWriter(draft, schema, compression="zstd", store_schema=False)
    with writing as writer:
        for batch in given:
            writer.write_batch(batch)
            geometry = batch.column(GEOMETRY).to_numpy(zero_copy_only=False)
            bounds.append(shapely.total_bounds(shapely.from_wkb(geometry)).tolist())
        writer.add_key_value_metadata({"geo": json.dumps(_about(crs, bounds))})


def _about(crs: Any, bounds: list[Any]) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else crs.to_json_dict(),
        "orientation": "counterclockwise",
    }
    if bounds:
        west, south, east, north = zip(*bounds, strict=True)
        column["bbox"] = [min(west), min(south), max(east), max(north)]
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
