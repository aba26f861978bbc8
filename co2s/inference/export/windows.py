"""The windows that the files of a bundle are compared on: of images, else of a generator."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from co2s.data.reading.io import image_size, read_image
from co2s.files import left_by_system

from .facts import Facts

COUNT = 4


class Windows(NamedTuple):
    """images (B, C, S, S) uint8, and where they are from."""

    images: Tensor
    source: str


def windows_for(facts: Facts, images: Path | None) -> Windows:
    """At most `COUNT` windows of a file or folder; without one they are drawn."""
    return drawn(facts) if images is None else cut_from(facts, images)


def drawn(facts: Facts, seed: int = 0) -> Windows:
    """Smooth colours with noise on them, the same on every call."""
    generator = torch.Generator().manual_seed(seed)
    shape, coarse = (COUNT, facts.bands), max(facts.tile // 16, 2)
    smooth = torch.rand(*shape, coarse, coarse, generator=generator)
    smooth = F.interpolate(smooth, (facts.tile, facts.tile), mode="bilinear", align_corners=False)
    noise = torch.rand(*shape, facts.tile, facts.tile, generator=generator)
    images = (smooth * 200 + noise * 55).round().byte()
    return Windows(images, f"drawn by a generator (seed {seed}), no real images")


def cut_from(facts: Facts, path: Path) -> Windows:
    """One window from the middle of each image, more of them where there are fewer images.

    What is smaller than a tile has zeros beside it. ValueError or OSError for what cannot be read.
    """
    files = _files(path)
    each = -(-COUNT // len(files))
    found = [window for file in files for window in _cut(file, facts, each)][:COUNT]
    names = ", ".join(file.name for file in files)
    return Windows(torch.from_numpy(np.stack(found)), f"cut from {names}")


def _files(path: Path) -> list[Path]:
    """The file, or evenly spaced ones of the folder."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"--images {path}: no such file or folder, seen from {Path.cwd()}.")
    hidden = (".", "_")
    found = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith(hidden))
    found = [p for p in found if not left_by_system(p)]
    if not found:
        raise ValueError(f"--images {path}: the folder holds no file.")
    places = np.linspace(0, len(found) - 1, min(COUNT, len(found))).round().astype(int)
    return [found[place] for place in places]


def _cut(file: Path, facts: Facts, count: int) -> list[np.ndarray]:
    """Windows (C, S, S) uint8 along the diagonal of an image."""
    raster, side = facts.carried.raster, facts.tile
    size = image_size(str(file), raster)
    windows = []
    for number in range(count):
        share = (number + 1) / (count + 1)
        y, x = (round(max(length - side, 0) * share) for length in size)
        bands, _ = read_image(str(file), raster, (y, x, min(side, size[0]), min(side, size[1])))
        tile = np.zeros((facts.bands, side, side), np.uint8)
        tile[:, : bands.shape[0], : bands.shape[1]] = bands.transpose(2, 0, 1)
        windows.append(tile)
    return windows
