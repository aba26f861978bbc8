"""One scene from its file to its maps: all of them whole and in place, or none."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from co2s import __version__
from co2s.data.carried import Carried
from co2s.files import place_together, write_json
from co2s.modeling.sliding_window import fit_factor

from .geotiff import GeoTiffs
from .layers import NO_MORE, Wanted, pixels_of
from .network import Network
from .pictures import Pictures
from .pipeline import predict_rows
from .polygons import write_polygons
from .products import NODATA, MapClass, map_classes, product
from .reading import Grid
from .scene import Picture, Raster, Scale, open_scene, scale_of
from .sources import Source

Seen = Callable[[int, int], None]  # so many windows more are done, of so many


@dataclass(frozen=True)
class Outlines:
    """Polygons of a map: `format` gpkg, geojson, parquet or "" for none; `write_polygons` has the
    other two."""

    format: str = ""
    min_area: float = 0.0
    simplify: float = 0.0


NO_OUTLINES = Outlines()


@dataclass(frozen=True)
class Plan:
    """How scenes become maps.

    window, stride: in pixels of the network's grid; batch: windows that pass it together; base and
    scale: INPUT.TEST_BASE_SIZE and INPUT.TEST_SCALE; warp: to the resolution of the training.
    network: what else decides the maps: digest of the weights, student, precision.
    """

    window: int
    stride: int
    batch: int = 4
    base: tuple[int, int] = (0, 0)
    scale: float = 1.0
    warp: bool = True
    wanted: Wanted = NO_MORE
    outlines: Outlines = NO_OUTLINES
    network: tuple[tuple[str, Any], ...] = ()

    def key(self) -> dict[str, Any]:
        """What tells maps of one plan from those of another, as JSON gives it back."""
        return json.loads(json.dumps({"co2s": __version__, **asdict(self)}))

    def enlarged(self, carried: Carried, scene: tuple[int, int]) -> float:
        """By how much the network sees images enlarged that are of the training's resolution."""
        return fit_factor(*(carried.size or scene), self.base, self.scale)


def is_finished(source: Source, output: Path, plan: Plan) -> bool:
    """Whether the maps of a scene are there, made by this plan from the file as it is."""
    try:
        known = json.loads(_record_path(source, output).read_text(encoding="utf-8"))
        made = known["plan"] == plan.key() and known["source"] == _state(source.path)
        return made and all((output / name).is_file() for name in known["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def predict_scene(
    source: Source,
    output: Path,
    network: Network,
    carried: Carried,
    plan: Plan,
    *,
    seen: Seen = lambda done, total: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Write all products of a scene, and `<name>.json`, the record of how they were made.

    Returns the record. ValueError or OSError for what the user can mend; nothing is left then.
    """
    started, state = time.monotonic(), _state(source.path)
    classes = map_classes(carried)
    target = output / source.name
    with _scratch(target) as scratch, open_scene(source.path, carried.raster) as scene:
        scale = scale_of(scene, carried, plan.enlarged(carried, scene.size), plan.warp)
        if scale.said:
            say(scale.said)
        if plan.outlines.format and isinstance(scene, Picture):
            raise ValueError(f"{source.path} is a picture: polygons are drawn of rasters' maps.")
        files = _files(scratch / target.name, scene, classes, plan.wanted)
        counts = _fill(files, scene, network, plan, scale, seen)
        made = files.finish()
        if plan.outlines.format:
            made.append(_outlines(made[0], plan))
        record = {
            "scene": source.path,
            "source": state,
            "plan": plan.key(),
            "size": list(scene.size),
            "resolution": scene.resolution,
            "enlarged": scale.factor,
            "classes": _shares(counts, classes),
            "nodata": int(counts[NODATA]),
            "seconds": round(time.monotonic() - started, 2),
            "files": [str(target.with_name(path.name).relative_to(output)) for path in made],
        }
        sidecar = scratch / "record"
        write_json(sidecar, record)
        # The record last: maps without it are made again.
        places = {target.with_name(path.name): path for path in made}
        place_together(places | {_record_path(source, output): sidecar})
    return record


def _files(
    stem: Path, scene: Raster | Picture, classes: list[MapClass], wanted: Wanted
) -> GeoTiffs | Pictures:
    if isinstance(scene, Raster):
        return GeoTiffs(stem, scene, classes, wanted)
    return Pictures(stem, scene, classes, wanted)


def _fill(
    files: Any, scene: Any, network: Network, plan: Plan, scale: Scale, seen: Seen
) -> np.ndarray:
    """Predict all rows; returns how many pixels each value of the class map has."""
    grid = Grid.of(scene.size, scale.factor, scale.smooth, plan.window, plan.stride)
    counts = np.zeros(NODATA + 1, dtype=np.int64)

    def tell(done: int) -> None:
        seen(done, len(grid.boxes))

    for rows in predict_rows(scene, network, grid, plan.stride, plan.batch, tell):
        pixels = {name: p.numpy() for name, p in pixels_of(rows, plan.wanted).items()}
        counts += np.bincount(pixels["map"].ravel(), minlength=NODATA + 1)
        files.add(pixels)
    return counts


def _outlines(class_map: Path, plan: Plan) -> Path:
    """Polygons of the class map, with its mean confidence where that was asked for."""
    path = class_map.with_suffix(f".{plan.outlines.format}")
    sure = "confidence" in plan.wanted.uncertainty
    write_polygons(
        class_map,
        path,
        confidence=product(class_map, "uncertainty") if sure else None,
        min_area=plan.outlines.min_area,
        simplify=plan.outlines.simplify,
    )
    return path


def _shares(counts: np.ndarray, classes: list[MapClass]) -> dict[str, float]:
    """By class its share of the valid pixels."""
    valid = max(int(counts[: len(classes)].sum()), 1)
    return {entry.name: round(int(counts[entry.value]) / valid, 6) for entry in classes}


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder for what is not whole yet; what a killed run has left of this scene goes first."""
    folder = target.with_name(f".{target.name}.predicting")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _record_path(source: Source, output: Path) -> Path:
    target = output / source.name
    return target.with_name(f"{target.name}.json")


def _state(path: str) -> list[int] | None:
    """Size and time of a file, by which a changed one is known; None of what is not on a disk."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
