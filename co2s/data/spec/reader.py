"""Reads a DatasetSpec from YAML, strictly: every error names the file and the key."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from .convert import Convert, build, color, convert, number, text
from .dataset import DatasetSpec, LabelSpec
from .layout import LayoutSpec
from .raster import METHODS, RasterSpec, ScaleSpec
from .yaml_file import read_yaml

BASE = "_BASE_"  # key of the file, seen from this one, whose keys hold where this one is silent


def load_spec(path: str | os.PathLike) -> DatasetSpec:
    """Read and check a YAML file; ValueError says what is unknown, missing or wrong in it."""
    try:
        return spec_from_dict(_whole(Path(path)), Path(path).parent)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"The dataset file {path} is wrong: {error}") from error


def _whole(path: Path) -> Any:
    """The content of a file with that of its base: a key of its own replaces the base's whole."""
    content = read_yaml(path)
    if not isinstance(content, dict) or BASE not in content:
        return content
    base = path.parent / text(content.pop(BASE), BASE)
    if not base.is_file():
        raise ValueError(f"{BASE} names {base}, which does not exist. Its path is seen from here.")
    found = read_yaml(base)
    if not isinstance(found, dict) or BASE in found:
        raise ValueError(f"{BASE} names {base}, which must be a whole dataset file by itself.")
    return found | content


def spec_from_dict(content: Any, folder: Path | None = None) -> DatasetSpec:
    """Build a spec from the plain dicts and lists of a YAML file in `folder`.

    Where it names neither classes nor labels, it is a pool of images to learn from without any.
    """
    content = _with_encoding(_with_pool(content))
    labels = content.get("labels") if isinstance(content, dict) else None
    encoding = labels.get("encoding") if isinstance(labels, dict) else None
    own: dict[type, dict[str, Convert]] = {
        LabelSpec: {"ignore": partial(_ignored, encoding=encoding)},
        LayoutSpec: {"unlabeled": _patterns},
        RasterSpec: {"scale": partial(_scale, folder=folder)},
    }
    return build(DatasetSpec, content, "", own)


def _with_pool(content: Any) -> Any:
    """The content of a file, with what a pool of plain images leaves away."""
    if not isinstance(content, dict) or {"classes", "labels"} & {*content}:
        return content
    layout, splits = content.get("layout"), content.get("splits") or {}
    if not isinstance(layout, dict) or "labels" in layout or "folder" in splits:
        return content
    return {**content, "classes": [], "labels": {"encoding": "index"}, "splits": splits}


def _with_encoding(content: Any) -> Any:
    """The content of a file, with the encoding that a file of polygons leaves no choice of."""
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict) or "vector" not in labels or "encoding" in labels:
        return content
    return {**content, "labels": {"encoding": "vector", **labels}}


def _ignored(values: Any, where: str, encoding: Any) -> tuple:
    """Colours, or numbers: whole ones stay whole, NaN is one too."""
    if not isinstance(values, list):
        raise ValueError(f"{where} must be a list, [...], found {values!r}.")
    read = color if encoding == "color" else _plain_number
    return tuple(read(value, f"{where}[{n}]") for n, value in enumerate(values))


def _plain_number(value: Any, where: str) -> float:
    found = number(value, where)
    return int(found) if found % 1 == 0 else found


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    """One pattern or a list of them."""
    return convert([value] if isinstance(value, str) else value, tuple[str, ...], where)


def _scale(content: Any, where: str, folder: Path | None) -> ScaleSpec:
    """`{range: [lo, hi]}` (or a pair for each band), `{percentile: [2, 98]}`, `{statistics: F}`."""
    methods = [key for key in content if key in METHODS] if isinstance(content, dict) else []
    if len(methods) != 1 or {*content} - {*methods, "deviations"}:
        raise ValueError(
            f"{where} must have exactly one of {', '.join(METHODS)} (and, for statistics, "
            f"deviations), found {content!r}."
        )
    method, value = methods[0], content[methods[0]]
    if method == "statistics":
        name = text("" if value is None else value, f"{where}.statistics")
        path = str((folder or Path()) / name) if name else ""
        deviations = number(content.get("deviations", 2.0), f"{where}.deviations")
        return ScaleSpec(method, file=path, deviations=deviations)
    if "deviations" in content:
        raise ValueError(f"{where}.deviations has no meaning for {method}.")
    pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"{where}.{method} must be [low, high] or a list of those: {value!r}.")
    ends = [[number(end, f"{where}.{method}") for end in pair] for pair in pairs]
    lows, highs = zip(*ends, strict=True)
    return ScaleSpec(method, lows, highs)
