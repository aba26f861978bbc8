"""Reads a DatasetSpec from YAML, strictly: every error names the file and the key."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import yaml

from .dataset import ClassSpec, Color, DatasetSpec, LabelSpec
from .layout import LayoutSpec, SplitSpec
from .raster import METHODS, RasterSpec, ScaleSpec


def load_spec(path: str | os.PathLike) -> DatasetSpec:
    """Read and check a YAML file; ValueError says what is unknown, missing or wrong in it."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return spec_from_dict(content, Path(path).parent)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"The dataset file {path} is wrong: {error}") from error


def spec_from_dict(content: Any, folder: Path | None = None) -> DatasetSpec:
    """Build a spec from the plain dicts and lists of a YAML file in `folder`."""
    top = dict(_checked(DatasetSpec, content, "the file"))
    if not isinstance(top["classes"], list):
        raise ValueError("classes must be a list of {name, color, concepts}.")
    classes = [_class(entry, f"classes[{n}]") for n, entry in enumerate(top["classes"])]
    return DatasetSpec(
        name=str(top["name"]),
        root=str(top["root"]),
        classes=tuple(classes),
        labels=_labels(_checked(LabelSpec, top["labels"], "labels")),
        splits=_splits(_checked(SplitSpec, top["splits"], "splits")),
        layout=_layout(top["layout"]) if top.get("layout") is not None else None,
        raster=_raster(top["raster"], folder) if top.get("raster") is not None else None,
    )


def _checked(kind: type, content: Any, where: str) -> dict:
    """The mapping, once its keys are known to fit the dataclass."""
    if not isinstance(content, dict):
        raise ValueError(f"{where} must be a mapping, found {content!r}.")
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    unknown = sorted(str(key) for key in content if key not in fields)
    if unknown:
        raise ValueError(f"unknown key {unknown} in {where}; known are {sorted(fields)}.")
    needed = (name for name, default in fields.items() if default is dataclasses.MISSING)
    missing = [name for name in needed if content.get(name) is None]
    if missing:
        raise ValueError(f"missing key {missing} in {where}.")
    return content


def _class(content: Any, where: str) -> ClassSpec:
    entry = _checked(ClassSpec, content, where)
    color = entry.get("label_color")
    return ClassSpec(
        name=str(entry["name"]),
        color=_color(entry["color"], where),
        concepts=_texts(entry["concepts"], f"concepts of {where}"),
        label_color=None if color is None else _color(color, where),
    )


def _labels(entry: dict) -> LabelSpec:
    ignore = entry.get("ignore", [])
    if not isinstance(ignore, list):
        raise ValueError(f"labels.ignore must be a list, found {ignore!r}.")
    if entry["encoding"] == "color":
        ignore = [_color(value, "labels.ignore") for value in ignore]
    elif not all(type(value) is int for value in ignore):
        raise ValueError(f"labels.ignore must hold whole numbers, found {ignore!r}.")
    if type(entry.get("offset", 0)) is not int:
        raise ValueError(f"labels.offset must be a whole number, found {entry['offset']!r}.")
    if not isinstance(entry.get("map", {}), dict):
        raise ValueError(f"labels.map must map numbers to classes, found {entry['map']!r}.")
    return LabelSpec(**{**entry, "ignore": tuple(ignore)})


def _splits(entry: dict) -> SplitSpec:
    known = dict(entry)
    known["fractions"] = _texts(entry.get("fractions", []), "splits.fractions")
    for role in ("train", "val"):
        if entry.get(role) is not None:
            if not isinstance(entry[role], dict):
                raise ValueError(f"splits.{role} must map parts to lists of values.")
            known[role] = {
                part: _texts(values, f"splits.{role}.{part}")
                for part, values in entry[role].items()
            }
    return SplitSpec(**known)


def _layout(content: Any) -> LayoutSpec:
    entry = dict(_checked(LayoutSpec, content, "layout"))
    more = entry.get("unlabeled", [])
    entry["unlabeled"] = _texts([more] if isinstance(more, str) else more, "layout.unlabeled")
    return LayoutSpec(**entry)


def _raster(content: Any, folder: Path | None) -> RasterSpec:
    entry = dict(_checked(RasterSpec, content, "raster"))
    if not isinstance(entry.get("bands", []), list):
        raise ValueError(f"raster.bands must be a list of numbers, found {entry['bands']!r}.")
    if "bands" in entry:
        entry["bands"] = tuple(entry["bands"])
    if entry.get("scale") is not None:
        entry["scale"] = _scale(entry["scale"], folder)
    return RasterSpec(**entry)


def _scale(content: Any, folder: Path | None) -> ScaleSpec:
    """`{range: [lo, hi]}` (or a pair for each band), `{percentile: [2, 98]}`, `{statistics: F}`."""
    methods = [key for key in content if key in METHODS] if isinstance(content, dict) else []
    if len(methods) != 1 or {*content} - {*methods, "deviations"}:
        raise ValueError(
            f"raster.scale must have exactly one of {', '.join(METHODS)} (and, for statistics, "
            f"deviations), found {content!r}."
        )
    method, value = methods[0], content[methods[0]]
    if method == "statistics":
        path = str((folder or Path()) / value) if isinstance(value, str) and value else ""
        return ScaleSpec(method, file=path, deviations=float(content.get("deviations", 2.0)))
    pairs = value if isinstance(value, list) and isinstance(value[0], list) else [value]
    plain = all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    if not plain or not all(isinstance(v, int | float) for pair in pairs for v in pair):
        raise ValueError(
            f"raster.scale.{method} must be [low, high] or a list of those: {value!r}."
        )
    lows, highs = zip(*pairs, strict=True)
    return ScaleSpec(method, tuple(map(float, lows)), tuple(map(float, highs)))


def _color(value: Any, where: str) -> Color:
    plain = isinstance(value, list) and len(value) == 3
    if not plain or not all(type(part) is int and 0 <= part <= 255 for part in value):
        raise ValueError(f"a colour in {where} must be [r, g, b] of 0..255, found {value!r}.")
    return (value[0], value[1], value[2])


def _texts(value: Any, where: str) -> tuple[str, ...]:
    """YAML reads 001 and 1_8 as numbers: only quoted they stay what they are."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} must be a list of texts (quote numbers), found {value!r}.")
    return tuple(value)
