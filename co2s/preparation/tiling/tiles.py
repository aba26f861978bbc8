"""Cutting scenes and their colour-coded masks into tiles: images/NAME and labels/NAME."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from co2s.data.reading.rasters import Window
from co2s.files import write_json, write_png
from co2s.structures.windows import windows

from .color_code import ColorCode
from .scene_pairs import ScenePair
from .scenes import Scene, open_scene

MARKER = "tiles.json"  # how the folder was cut, so that nothing is mixed into it


@dataclass(frozen=True)
class Tile:
    """A tile of a scene: its file name and its place (y, x, height, width) in pixels."""

    scene: ScenePair
    name: str
    window: Window


def plan_tiles(scenes: Sequence[ScenePair], size: int, stride: int) -> list[Tile]:
    """All tiles, row by row; the last of a row or column is shifted back to end at the border.

    No pixel is lost, and a scene smaller than a tile is one tile of its own size. Only headers
    are read. ValueError where image and mask differ in size.
    """
    tiles = []
    for scene in scenes:
        with open_scene(str(scene.image)) as image, open_scene(str(scene.label)) as label:
            _check_sizes(scene, image, label)
            places = windows(image.height, image.width, size, stride)
        for top, left, bottom, right in places:
            name = f"{scene.name}_{top:05d}_{left:05d}.png"
            tiles.append(Tile(scene, name, (top, left, bottom - top, right - left)))
    return tiles


def claim_output(output: Path, how: dict) -> None:
    """Make images/ and labels/, marked with how they are cut.

    ValueError where they have been cut in another way: two cuts in one folder show the same ground.
    """
    marker = output / MARKER
    found = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else None
    if found not in (None, how):
        raise ValueError(
            f"{output} was cut in another way: {found} in its {MARKER}, now asked for {how}. Give "
            "another --output, or remove that folder."
        )
    for part in ("images", "labels"):
        (output / part).mkdir(parents=True, exist_ok=True)
    if found is None:
        write_json(marker, how)


def write_tiles(tiles: Sequence[Tile], output: Path, code: ColorCode) -> Iterator[bool]:
    """Write what is not there yet; yields for every tile whether it had to be written."""
    for scene, group in groupby(tiles, key=lambda tile: tile.scene):
        own = list(group)
        missing = [tile for tile in own if not _is_written(output, tile)]
        yield from [False] * (len(own) - len(missing))
        if not missing:
            continue
        with open_scene(str(scene.image)) as image, open_scene(str(scene.label)) as label:
            for tile in missing:
                numbers = code.decode(label.read(tile.window), str(scene.label))
                write_png(output / "images" / tile.name, image.read(tile.window))
                write_png(output / "labels" / tile.name, numbers, code.palette)
                yield True


def _is_written(output: Path, tile: Tile) -> bool:
    return all((output / part / tile.name).is_file() for part in ("images", "labels"))


def _check_sizes(scene: ScenePair, image: Scene, label: Scene) -> None:
    if (image.height, image.width) != (label.height, label.width):
        raise ValueError(
            f"{scene.label} is {label.height} x {label.width} pixels, its image {scene.image} "
            f"{image.height} x {image.width}. They do not belong together."
        )
