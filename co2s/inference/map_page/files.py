"""The files that the page shows: opened once, and checked to belong together."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from co2s.data.reading.rasters import opened

from ..geotiff import gdal
from ..layers import UNSURE
from ..products import MapClass, classes_of, product
from .layers import PaletteLayer, SceneLayer, class_palette, share_palette
from .parts import Size, places

logger = logging.getLogger(__name__)

FUSED = "fused"
STUDENTS = ("global", "local")
NEAR = 0.01  # pixels that two grids may lie apart: formats round their georeference


@dataclass(frozen=True)
class MapFiles:
    """The layers of the page from the lowest to the highest, and what the click and legend tell.

    transform: rasterio's; crs: as text that pyogrio takes, "" for none. shares: by class name its
    share of the valid pixels, as far as the record beside the map knows.
    """

    map: Path
    size: Size
    transform: Any
    crs: str
    classes: tuple[MapClass, ...]
    scene: SceneLayer
    maps: tuple[PaletteLayer, ...]
    unsure: tuple[PaletteLayer, ...]
    shares: dict[str, float]

    @property
    def layers(self) -> tuple[SceneLayer | PaletteLayer, ...]:
        return self.scene, *self.maps, *self.unsure


@contextmanager
def open_files(scene: Path, prediction: Path, bands: Sequence[int] = ()) -> Iterator[MapFiles]:
    """Open a scene, its class map and the products beside it.

    FileNotFoundError or ValueError where a file is missing, is none of its kind, or lies on another
    grid.
    """
    for path, option in ((scene, "--scene"), (prediction, "--prediction")):
        if not path.is_file() and not str(path).startswith("/vsi"):
            raise FileNotFoundError(f"{option} {path}: there is no such file.")
    with ExitStack() as stack, gdal():
        source = _opened(stack, prediction)
        classes = _classes(source, prediction)
        picture = _opened(stack, scene)
        _check_grids(picture, source, scene, prediction)
        yield MapFiles(
            map=prediction,
            size=source.shape,
            transform=source.transform,
            crs=source.crs.to_string() if source.crs else "",
            classes=classes,
            scene=SceneLayer(str(scene), picture, bands),
            maps=tuple(_class_layers(stack, source, prediction)),
            unsure=tuple(_unsure_layers(stack, source, prediction)),
            shares=_shares(prediction, classes),
        )


def _opened(stack: ExitStack, path: Path) -> Any:
    return stack.enter_context(opened(str(path)))


def _classes(source: Any, path: Path) -> tuple[MapClass, ...]:
    if source.driver in ("PNG", "JPEG"):
        raise ValueError(
            f"--prediction {path} is a picture, which can be looked at in any viewer. This page "
            "shows the GeoTIFF maps that tools/predict.py makes of rasters."
        )
    return tuple(classes_of(source))


def _class_layers(stack: ExitStack, source: Any, path: Path) -> Iterator[PaletteLayer]:
    palette = class_palette(classes_of(source))
    yield PaletteLayer(FUSED, "Class map", source, 1, palette)
    for name in STUDENTS:
        other = product(path, name)
        if other.is_file():
            own = _opened(stack, other)
            _check_grids(own, source, other, path)
            palette = class_palette(classes_of(own))
            yield PaletteLayer(name, f"Map of the {name} student", own, 1, palette)


def _unsure_layers(stack: ExitStack, source: Any, path: Path) -> Iterator[PaletteLayer]:
    other = product(path, "uncertainty")
    if not other.is_file():
        return
    own = _opened(stack, other)
    _check_grids(own, source, other, path)
    names = list(own.descriptions)
    for name in UNSURE:
        if name in names:
            band = names.index(name) + 1
            yield PaletteLayer(name, name.capitalize(), own, band, share_palette())


def _check_grids(one: Any, other: Any, path: Path, map_path: Path) -> None:
    """ValueError where the first does not lie on the grid of the second, the class map."""
    if one.shape != other.shape:
        found = [f"{source.height} x {source.width} pixels" for source in (one, other)]
    elif one.crs != other.crs:
        found = [str(source.crs or "no CRS") for source in (one, other)]
    elif not _is_near(one.transform, other.transform, one.shape):
        found = [f"the geotransform {tuple(s.transform)[:6]}" for s in (one, other)]
    else:
        return
    raise ValueError(
        f"{path} and {map_path} do not lie on one grid: {found[0]}, and {found[1]}. Name a scene "
        "and the map that was made of it."
    )


def _is_near(one: Any, other: Any, shape: Size) -> bool:
    """Whether the corners of the first lie where the second says, to a part of a pixel."""
    corners = [(0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0])]
    apart = np.abs(places(one, corners) - places(other, corners)).max()
    side = min(np.hypot(other.a, other.d), np.hypot(other.b, other.e))
    return bool(apart <= NEAR * side)


def _shares(path: Path, classes: Sequence[MapClass]) -> dict[str, float]:
    record = path.with_suffix(".json")
    if not record.is_file():
        return {}
    try:
        found = json.loads(record.read_text(encoding="utf-8"))["classes"]
        return {entry.name: float(found[entry.name]) for entry in classes}
    except (KeyError, TypeError, ValueError):
        logger.warning("%s is no record of this map: the legend goes without shares.", record)
        return {}
