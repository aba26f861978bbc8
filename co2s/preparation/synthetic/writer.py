"""Writes the data set synthetic_aerial: tiles of scenes, their masks, and one larger scene."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from co2s.files import left_by_system, replaced_folder, write_json

from .scene import draw_scene

# Written last: it names what was asked for.
MARKER = "synthetic_aerial.json"
# Raised whenever the pictures change, so that an older folder is written again.
VERSION = 1

# 8-bit RGB of field, forest, water, road, building, bare soil: how the masks look in a viewer.
PALETTE = (220, 205, 100, 40, 120, 50, 50, 110, 200, 120, 120, 120, 200, 60, 60, 170, 110, 70)


def write_synthetic_aerial(
    root: str | os.PathLike,
    seed: int = 0,
    *,
    train_scenes: int = 120,
    val_scenes: int = 24,
    tile: int = 128,
    demo_size: tuple[int, int] = (384, 512),
) -> Path:
    """Write the data set into the folder `root`; does nothing where it already is.

    Every scene of 2 x 2 tiles has a style and a seed of its own; validation and demo scenes share
    none with training. The folder appears in one step, complete. Raises FileExistsError where
    `root` holds something else.
    """
    root = Path(root)
    made = {
        "version": VERSION,
        "seed": seed,
        "train_scenes": train_scenes,
        "val_scenes": val_scenes,
        "tile": tile,
        "demo_size": list(demo_size),
    }
    if _is_complete(root, made):
        return root
    _refuse_foreign(root)
    try:
        with replaced_folder(root) as draft:
            _write_tiles(draft / "train", (seed, 0), train_scenes, tile)
            _write_tiles(draft / "val", (seed, 1), val_scenes, tile)
            _write_demo(draft / "demo", (seed, 2), demo_size)
            write_json(draft / MARKER, made)
    except OSError:
        if not _is_complete(root, made):  # else another process was faster
            raise
    return root


def _is_complete(root: Path, made: dict) -> bool:
    marker = root / MARKER
    return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == made


def _refuse_foreign(root: Path) -> None:
    if not root.exists() or (root / MARKER).is_file():
        return
    if root.is_file() or not all(map(left_by_system, root.iterdir())):
        raise FileExistsError(
            f"{root} exists and was not written by this generator (no {MARKER} in it). "
            "Give another output folder, or move this one away."
        )


def _write_tiles(folder: Path, seed: tuple[int, int], scenes: int, tile: int) -> None:
    """images/ and labels/ of `<scene>_<tile>.png`, four tiles a scene."""
    for scene in range(scenes):
        rng = np.random.default_rng((*seed, scene))
        image, label = draw_scene(rng, (2 * tile, 2 * tile))
        for number in range(4):
            y, x = (number // 2) * tile, (number % 2) * tile
            window = np.s_[y : y + tile, x : x + tile]
            _write_pair(folder, f"{scene:03d}_{number}", image[window], label[window])


def _write_demo(folder: Path, seed: tuple[int, int], size: tuple[int, int]) -> None:
    _write_pair(folder, "scene", *draw_scene(np.random.default_rng(seed), size))


def _write_pair(folder: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    for part, array in (("images", image), ("labels", label)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.ascontiguousarray(array))
        if part == "labels":
            picture.putpalette(PALETTE)
        picture.save(folder / part / f"{name}.png", compress_level=1)
