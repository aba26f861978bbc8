"""A sheet of pictures of suggested windows: what the scene shows, beside what was predicted."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from co2s.data.reading.io import read_image
from co2s.data.reading.rasters import opened, rasterio_window
from co2s.data.spec import RasterSpec, ScaleSpec
from co2s.optional import import_extra

from ..products import NODATA, MapClass
from .ranking import Suggestion, Suggestions
from .windows import ClassMap

SIDE, GAP, LINE = 160, 8, 18  # of a picture, between pictures, of a line of text, pixels
COLUMNS = 3
BLANK = (200, 200, 200)  # no picture, nodata


def find_scenes(maps: Sequence[ClassMap], folder: Path | None) -> dict[Path, Path]:
    """The picture that each map was made from: of its name in the folder, else the one it names.

    ValueError where a picture is not of the map's size, FileNotFoundError where the folder has
    none of any map.
    """
    inside: dict[str, Path] = {}
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        own = {one.path.resolve() for one in maps}
        inside = {p.stem: p for p in reversed(files) if p.resolve() not in own and _is_image(p)}
        if not any(one.path.stem in inside for one in maps):
            raise FileNotFoundError(
                f"{folder} (--scenes) has no scene of a map's name, as {maps[0].path.stem}.tif is."
            )
    found = {}
    for one in maps:
        scene = inside.get(one.path.stem, Path(one.scene) if one.scene else None)
        if scene is not None and scene.is_file():
            _check_size(scene, one)
            found[one.path] = scene
    return found


def _is_image(path: Path) -> bool:
    suffixes = import_extra("rasterio.drivers", "geo").raster_driver_extensions()
    return path.suffix.lower().lstrip(".") in suffixes


def _check_size(scene: Path, one: ClassMap) -> None:
    with opened(str(scene)) as source:
        if source.shape != (one.height, one.width):
            raise ValueError(
                f"{scene} is {source.height} x {source.width} pixels, its map {one.path} "
                f"{one.height} x {one.width}: they do not belong together."
            )


def contact_sheet(found: Suggestions, scenes: Mapping[Path, Path]) -> Image.Image:
    """The suggestions in their order, and the classes with their colours at the foot."""
    with_scenes = any(one.map.path in scenes for one in found.chosen)
    width = (2 if with_scenes else 1) * (SIDE + GAP)
    columns = min(COLUMNS if with_scenes else 2 * COLUMNS, len(found.chosen))
    rows = -(-len(found.chosen) // columns)
    classes = found.maps[0].classes
    height = SIDE + LINE + GAP
    size = (columns * width + GAP, rows * height + GAP + LINE * len(classes))
    sheet = Image.new("RGB", size, "white")
    for number, one in enumerate(found.chosen):
        x, y = GAP + number % columns * width, GAP + number // columns * height
        _text(sheet, x, y, f"{one.rank}   {one.score:.2f}   {one.map.path.stem}", width - GAP)
        for place, picture in enumerate(_pictures(one, scenes, with_scenes)):
            sheet.paste(picture, (x + place * (SIDE + GAP), y + LINE))
    _legend(sheet, classes, rows * height + GAP)
    return sheet


def _pictures(
    one: Suggestion, scenes: Mapping[Path, Path], with_scenes: bool
) -> Iterable[Image.Image]:
    """The scene, where any has one, and the classes."""
    if with_scenes:
        scene = scenes.get(one.map.path)
        yield _fitted(_look(scene, one.window), Image.Resampling.BILINEAR) if scene else _empty()
    with opened(str(one.map.path)) as source:
        labels = source.read(1, window=rasterio_window(one.window))
    palette = np.full((NODATA + 1, 3), BLANK, np.uint8)
    for entry in one.map.classes:
        palette[entry.value] = entry.color
    yield _fitted(palette[labels], Image.Resampling.NEAREST)


def _look(scene: Path, window: tuple[int, int, int, int]) -> np.ndarray:
    """(H, W, 3): the first three bands as people see them, stretched over the whole scene."""
    with opened(str(scene)) as source:
        bands = (1, 2, 3) if source.count >= 3 else (1, 1, 1)
    raster = RasterSpec(bands, ScaleSpec("percentile", (2.0,), (98.0,)))
    pixels, valid = read_image(str(scene), raster, window)
    return pixels if valid is None else np.where(valid[..., None], pixels, np.uint8(BLANK[0]))


def _fitted(pixels: np.ndarray, resampling: Image.Resampling) -> Image.Image:
    """A picture as large as its place allows, on blank."""
    image, sheet = Image.fromarray(np.ascontiguousarray(pixels)), _empty()
    scale = SIDE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    sheet.paste(image.resize(size, resampling), (0, 0))
    return sheet


def _empty() -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), BLANK)


def _legend(sheet: Image.Image, classes: Sequence[MapClass], top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    for number, entry in enumerate(classes):
        y = top + number * LINE
        draw.rectangle((GAP, y, GAP + LINE, y + LINE - 4), fill=entry.color, outline="black")
        _text(sheet, 2 * GAP + LINE, y, entry.name, sheet.width - 2 * GAP - LINE)


def _text(sheet: Image.Image, x: int, y: int, text: str, width: int) -> None:
    """A line of text, cut where its place ends."""
    font = ImageFont.load_default(12)
    while text and font.getlength(text) > width:
        text = text[:-1]
    ImageDraw.Draw(sheet).text((x, y), text, fill="black", font=font)
