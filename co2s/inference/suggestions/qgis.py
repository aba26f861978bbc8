"""What QGIS reads of a layer beside its shapes: a style with a list of classes to choose from.

A style file (.qml) is loaded by hand or as the file's own; the copy in a GeoPackage's table
`layer_styles` comes up with the layer. The domain of a column is the GeoPackage's own way
(gpkg_data_column_constraints), which GDAL and QGIS know as a field domain.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as xml

from ..products import MapClass

VERSION = "3.28.0"  # of the form of the style, which later ones read too
DOMAIN = "classes"
_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_OUTLINE = "255,235,0,255"  # of what has no class yet: seen on forests, towns and water

_TABLES = """
CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT,
  mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC,
  min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
  f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
  styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT,
  owner TEXT(30), ui TEXT(30), update_time DATETIME DEFAULT CURRENT_TIMESTAMP);
INSERT INTO gpkg_contents (table_name, data_type, identifier)
  VALUES ('layer_styles', 'attributes', 'layer_styles');
"""
_SCHEMA = "http://www.geopackage.org/spec121/#extension_schema"


def style(classes: Sequence[MapClass], column: str) -> str:
    """A style: each class in its colour, half transparent, and a form with a list of classes."""
    root = xml.Element("qgis", version=VERSION, styleCategories="Symbology|Fields|Forms")
    renderer = xml.SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr=column, enableorderby="0"
    )
    categories, symbols = (
        xml.SubElement(renderer, "categories"),
        xml.SubElement(renderer, "symbols"),
    )
    entries = [(c.name, c.name, ",".join(map(str, c.color))) for c in classes]
    # The empty value is QGIS's for all others.
    for number, (value, label, color) in enumerate([*entries, ("", "not yet labelled", "")]):
        about = {"value": value, "label": label, "symbol": str(number), "render": "true"}
        xml.SubElement(categories, "category", about)
        symbol = xml.SubElement(symbols, "symbol", type="fill", name=str(number), alpha="1")
        layer = {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"}
        options = {
            "color": f"{color},128" if color else "0,0,0,0",
            "style": "solid" if color else "no",
            "outline_color": f"{color},255" if color else _OUTLINE,
            "outline_style": "solid",
            "outline_width": "0.6",
            "outline_width_unit": "MM",
        }
        _options(xml.SubElement(symbol, "layer", layer), options)
    _form(root, [value for value, _, _ in entries], column)
    xml.indent(root, " ")
    return _HEAD + xml.tostring(root, encoding="unicode") + "\n"


def _options(parent: xml.Element, values: Mapping[str, str]) -> None:
    """Options as QGIS writes them, and as its versions before 3.22 did."""
    group = xml.SubElement(parent, "Option", type="Map")
    for name, value in values.items():
        xml.SubElement(group, "Option", name=name, type="QString", value=value)
        xml.SubElement(parent, "prop", k=name, v=value)


def _form(root: xml.Element, names: Sequence[str], column: str) -> None:
    """The widget in which a class is chosen from a list."""
    fields = xml.SubElement(root, "fieldConfiguration")
    field = xml.SubElement(fields, "field", name=column)
    config = xml.SubElement(xml.SubElement(field, "editWidget", type="ValueMap"), "config")
    options = xml.SubElement(xml.SubElement(config, "Option", type="Map"), "Option")
    options.attrib |= {"name": "map", "type": "List"}
    for name in names:
        entry = xml.SubElement(options, "Option", type="Map")
        xml.SubElement(entry, "Option", name=name, type="QString", value=name)


def add_domain(
    path: Path, layers: Sequence[str], column: str, classes: Sequence[MapClass], qml: str
) -> None:
    """Give a column of a GeoPackage's layers the classes as its domain, and the layers a style."""
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(_TABLES)
        for table in ("gpkg_data_columns", "gpkg_data_column_constraints"):
            entry = (table, None, "gpkg_schema", _SCHEMA, "read-write")
            file.execute("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", entry)
        for one in classes:
            file.execute(
                "INSERT INTO gpkg_data_column_constraints VALUES (?, 'enum', ?, "
                "NULL, NULL, NULL, NULL, ?)",
                (DOMAIN, one.name, one.name),
            )
        places = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?"
        for layer in layers:
            file.execute(
                "INSERT INTO gpkg_data_columns (table_name, column_name, constraint_name) "
                "VALUES (?, ?, ?)",
                (layer, column, DOMAIN),
            )
            (geometry,) = file.execute(places, (layer,)).fetchone()
            file.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
                "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, "
                "owner, ui) VALUES ('', '', ?, ?, ?, ?, '', 1, '', '', NULL)",
                (layer, geometry, layer, qml),
            )
