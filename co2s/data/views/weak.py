"""The weak view: scale, crop, flip and turn (method section 4), drawn once for image and mask."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from co2s.structures import IGNORE_LABEL


@dataclass(frozen=True)
class Geometry:
    """Where a crop of size x size pixels comes from.

    The source is scaled by `scale` (y, x) to `scaled` (height, width), and cropped from `origin`
    (y, x) on; what lies beyond the scaled image, right or bottom, is padding. Then it is flipped
    and turned by quarter turns.
    """

    scale: tuple[float, float]
    scaled: tuple[int, int]
    origin: tuple[int, int]
    size: int
    flip: bool = False
    vertical_flip: bool = False
    turns: int = 0

    def image(self, image: np.ndarray) -> np.ndarray:
        """(size, size, C) uint8, bilinear; padding is 0."""
        return self._place(self._cut(image, cv2.INTER_LINEAR), 0)

    def classes(self, classes: np.ndarray) -> np.ndarray:
        """(size, size) uint8, nearest neighbour; padding is 255."""
        return self._place(self._cut(classes, cv2.INTER_NEAREST), IGNORE_LABEL)

    def scores(self, scores: np.ndarray) -> np.ndarray:
        """(size, size) uint8, the very pixels of `classes`; padding is 0."""
        return self._place(self._cut(scores, cv2.INTER_NEAREST), 0)

    def valid(self, valid: np.ndarray | None = None) -> np.ndarray:
        """(size, size) bool: True where there is an image, False on padding.

        valid (H, W) bool of the source: a pixel counts where all that it is made of does.
        """
        if valid is None:
            return self._place(np.ones(self._inside(), np.uint8), 0).astype(bool)
        share = self._cut(valid.astype(np.uint8) * 255, cv2.INTER_LINEAR)
        return self._place((share == 255).astype(np.uint8), 0).astype(bool)

    def _inside(self) -> tuple[int, int]:
        """Height and width of the part of the crop that the scaled image covers."""
        (height, width), (y, x) = self.scaled, self.origin
        return min(height - y, self.size), min(width - x, self.size)

    def _cut(self, array: np.ndarray, interpolation: int) -> np.ndarray:
        """Scale and crop in one go: only the pixels of the crop are ever computed."""
        height, width = self._inside()
        (y, x), (sy, sx) = self.origin, self.scale
        if self.scaled == array.shape[:2]:
            return array[y : y + height, x : x + width]
        to_source = np.array(
            [[1 / sx, 0, (x + 0.5) / sx - 0.5], [0, 1 / sy, (y + 0.5) / sy - 0.5]]
        )  # pixel centres are at halves
        flags = interpolation | cv2.WARP_INVERSE_MAP

        def warp(part: np.ndarray) -> np.ndarray:
            return cv2.warpAffine(
                part, to_source, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )

        return warp(array) if array.ndim == 2 else _by_fours(warp, array)

    def _place(self, part: np.ndarray, fill: int) -> np.ndarray:
        padded = np.full((self.size, self.size, *part.shape[2:]), fill, part.dtype)
        padded[: part.shape[0], : part.shape[1]] = part
        if self.flip:
            padded = cv2.flip(padded, 1)  # much faster than a copy of a NumPy view
        if self.vertical_flip:
            padded = cv2.flip(padded, 0)
        return np.ascontiguousarray(np.rot90(padded, self.turns))


def _by_fours(change: Callable[[np.ndarray], np.ndarray], array: np.ndarray) -> np.ndarray:
    """Change the channels of (H, W, C), C >= 3, four at a time: OpenCV knows no more, and is much
    faster with four than with three."""
    if array.shape[2] == 3:
        return cv2.cvtColor(change(cv2.cvtColor(array, cv2.COLOR_RGB2RGBA)), cv2.COLOR_RGBA2RGB)
    bands = cv2.split(array)
    parts = [change(cv2.merge(bands[start : start + 4])) for start in range(0, len(bands), 4)]
    return cv2.merge(parts)


@dataclass(frozen=True)
class WeakView:
    """Draws the geometry of weak views.

    `resize`: "fit" makes the image as large as fits in base_size (long, short) x ratio, keeping
    its proportions; "long_side" multiplies its own size by the ratio; "none" leaves it alone.
    """

    size: int
    resize: str = "fit"
    base_size: tuple[int, int] = (2048, 512)
    ratio_range: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    rotate90: bool = False

    def __post_init__(self) -> None:
        if self.resize not in ("fit", "long_side", "none"):
            raise ValueError(
                f'INPUT.RESIZE must be "fit", "long_side" or "none", found "{self.resize}".'
            )

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Geometry:
        """The geometry of one crop of an image of that size."""
        scaled = self._scaled(rng, height, width)
        origin = tuple(int(rng.integers(max(n - self.size, 0) + 1)) for n in scaled)
        return Geometry(
            scale=(scaled[0] / height, scaled[1] / width),
            scaled=scaled,
            origin=(origin[0], origin[1]),
            size=self.size,
            flip=bool(rng.random() < self.flip),
            vertical_flip=self.rotate90 and bool(rng.random() < 0.5),
            turns=int(rng.integers(4)) if self.rotate90 else 0,
        )

    def _scaled(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        if self.resize == "none":
            return height, width
        factor = rng.uniform(*self.ratio_range)
        if self.resize == "fit":
            long, short = max(self.base_size) * factor, min(self.base_size) * factor
            factor = min(long / max(height, width), short / min(height, width))
        return max(round(height * factor), 1), max(round(width * factor), 1)
