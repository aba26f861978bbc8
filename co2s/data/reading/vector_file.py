"""The features of a vector file: shapes, and the values of one column, in one read."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from co2s.optional import import_extra

PARQUET = (".parquet", ".geoparquet")


class Features(NamedTuple):
    """Of one layer: feature ids (n,), shapely's shapes (n,), None where there is none, values (n,).

    `crs`: as pyproj takes it, "" where the file says nothing.
    """

    layer: str
    crs: str
    ids: np.ndarray
    shapes: np.ndarray
    values: np.ndarray


def read_features(path: str, column: str, layer: str | None = None) -> Features:
    """Read a layer of GeoPackage, GeoJSON, shapefile, GeoParquet or whatever GDAL opens.

    ValueError names a file that is none, a layer or a column that it does not have, and the ones
    that it has.
    """
    if Path(path).suffix.lower() in PARQUET:
        return _from_parquet(path, column)
    pyogrio = import_extra("pyogrio", "geo")
    errors = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError)
    try:
        layer = _layer(path, layer, pyogrio.list_layers(path))
        columns = list(pyogrio.read_info(path, layer=layer)["fields"])
        _check_column(path, layer, column, columns)
        read = import_extra("pyogrio.raw", "geo").read
        about, ids, shapes, (values,) = read(
            path, layer=layer, columns=[column], return_fids=True, force_2d=True
        )
    except errors as error:
        raise ValueError(f"{path} cannot be read as a vector file: {error}") from error
    decoded = import_extra("shapely", "geo").from_wkb(shapes)
    return Features(layer, about["crs"] or "", ids, decoded, values)


def layers_of(path: str) -> dict[str, list[str]]:
    """The columns of each layer with shapes; ValueError where GDAL cannot open the file."""
    pyogrio = import_extra("pyogrio", "geo")
    if Path(path).suffix.lower() in PARQUET:
        schema = import_extra("pyarrow.parquet", "geo").read_schema(path)
        return {Path(path).stem: list(schema.names)}
    try:
        names = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        return {name: list(pyogrio.read_info(path, layer=name)["fields"]) for name in names}
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(f"{path} cannot be read as a vector file: {error}") from error


def _layer(path: str, wanted: str | None, layers: np.ndarray) -> str:
    """The layer that is wanted, or the only one that has shapes."""
    names = [name for name, kind in layers if kind is not None]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    if not names:
        raise ValueError(f"{path} has no layer with shapes.")
    if wanted is None:
        raise ValueError(f"{path} has the layers {names}: say which one, `labels: {{layer: ...}}`.")
    raise ValueError(f"{path} has no layer '{wanted}' (labels.layer), but {names}.")


def _check_column(path: str, layer: str, column: str, columns: list[str]) -> None:
    if column not in columns:
        raise ValueError(
            f"{path}, layer '{layer}', has no column '{column}' (labels.column), but {columns}."
        )


def _from_parquet(path: str, column: str) -> Features:
    """GDAL's own reader of GeoParquet does not come with pyogrio's wheels."""
    arrow, parquet = import_extra("pyarrow", "geo"), import_extra("pyarrow.parquet", "geo")
    try:
        schema = parquet.read_schema(path)
        about = json.loads((schema.metadata or {})[b"geo"])
        place = about["primary_column"]
        described = about["columns"][place]
        if described["encoding"] != "WKB":
            raise ValueError(f"shapes as {described['encoding']}, not WKB")
        layer = Path(path).stem
        columns = [name for name in schema.names if name != place]
    except (arrow.ArrowException, KeyError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a GeoParquet file: {error!r}") from error
    _check_column(path, layer, column, columns)
    table = parquet.read_table(path, columns=[place, column])
    shapely = import_extra("shapely", "geo")
    shapes = shapely.force_2d(shapely.from_wkb(np.array(table[place].to_pylist(), object)))
    values = np.array(table[column].to_pylist(), object)
    return Features(layer, _parquet_crs(described), np.arange(len(values)), shapes, values)


def _parquet_crs(described: dict[str, Any]) -> str:
    """Where the file leaves it away it is longitude and latitude; null means unknown."""
    crs = described.get("crs", "OGC:CRS84")
    return crs if isinstance(crs, str) else json.dumps(crs) if crs else ""
