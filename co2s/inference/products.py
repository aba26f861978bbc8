"""The files that prediction writes of a scene, and how they are read again."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from co2s.data.carried import Carried
from co2s.data.reading.rasters import opened

NODATA = 255  # of every product: the scene has no valid pixel there
SCALE = 254  # shares of 0 to 1 are stored as 0 to 254
# Of a class map: its classes as JSON, and the path of its scene.
CLASSES_TAG, SCENE_TAG = "CO2S_CLASSES", "CO2S_SCENE"
KINDS = ("uncertainty", "probabilities", "global", "local")


class MapClass(NamedTuple):
    """A class of a map: the value of its pixels, its name, its colour (red, green, blue)."""

    value: int
    name: str
    color: tuple[int, int, int]


def map_classes(carried: Carried) -> list[MapClass]:
    """The classes with the values that a map has for them."""
    return [MapClass(value, c.name, c.color) for value, c in enumerate(carried.classes)]


def product(map_path: Path, kind: str) -> Path:
    """The path of another product of the scene whose class map is `map_path`."""
    return map_path.with_name(f"{map_path.stem}_{kind}{map_path.suffix}")


def classes_as_text(classes: Iterable[MapClass]) -> str:
    """The classes as a map's tag holds them."""
    return json.dumps([entry._asdict() for entry in classes], ensure_ascii=False)


def read_classes(map_path: Path) -> list[MapClass]:
    """The classes of a map that co2s wrote; ValueError names a raster that is none."""
    with opened(str(map_path)) as source:
        return classes_of(source)


def classes_of(source: Any) -> list[MapClass]:
    """The classes of an opened map; ValueError names a raster that is none."""
    text = source.tags().get(CLASSES_TAG)
    if text is None:
        raise ValueError(
            f"{source.name} is no class map of tools/predict.py: it has no tag {CLASSES_TAG}."
        )
    return [MapClass(e["value"], e["name"], tuple(e["color"])) for e in json.loads(text)]


def band_named(path: Path, name: str) -> int:
    """The number, from 1 on, of the band of that description; ValueError names what there is."""
    with opened(str(path)) as source:
        names = list(source.descriptions)
    if name not in names:
        raise ValueError(f"{path} has no band '{name}', but {names}. Predict with --{name}.")
    return names.index(name) + 1
