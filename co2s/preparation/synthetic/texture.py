"""Textures of the synthetic scenes: smooth noise, tree crowns, crop rows, parcels."""

from dataclasses import dataclass

import cv2
import numpy as np

Shape = tuple[int, int]


def smooth_noise(
    rng: np.random.Generator, shape: Shape, scale: float, octaves: int = 3
) -> np.ndarray:
    """(H, W) float32 of mean about 0 and deviation 1; the coarsest grain is `scale` pixels."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step = max(scale / 2**octave, 1.0)
        grid = rng.standard_normal([int(n / step) + 3 for n in shape], dtype=np.float32)
        total += cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC) / 2**octave
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def cells(rng: np.random.Generator, shape: Shape, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Nearest-seed cells about `size` pixels wide: ids (H, W) int32 and distances to the seed."""
    rows, cols = (int(np.ceil(n / size)) + 2 for n in shape)
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    y = ((y - 0.5 + rng.uniform(-0.42, 0.42, y.shape)) * size).astype(int).ravel()
    x = ((x - 0.5 + (np.arange(rows)[:, None] % 2) / 2 + rng.uniform(-0.42, 0.42, (rows, cols)))
         * size).astype(int).ravel()  # fmt: skip
    margin = int(size)
    canvas = np.full((shape[0] + 2 * margin, shape[1] + 2 * margin), 255, np.uint8)
    inside = (y > -margin) & (x > -margin) & (y < shape[0] + margin) & (x < shape[1] + margin)
    canvas[y[inside] + margin, x[inside] + margin] = 0
    distance, ids = cv2.distanceTransformWithLabels(
        canvas, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    crop = np.s_[margin : margin + shape[0], margin : margin + shape[1]]
    return ids[crop], distance[crop]


def strips(rng: np.random.Generator, shape: Shape, size: float) -> tuple[np.ndarray, float]:
    """Long fields side by side in bands: ids (H, W) int32 and the angle of the strips."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    bend = smooth_noise(rng, shape, 90, octaves=1) * rng.uniform(0, 4)
    reach = float(np.hypot(*shape))
    u = x * np.cos(angle) + y * np.sin(angle) + bend + reach
    v = -x * np.sin(angle) + y * np.cos(angle) + bend + reach
    edges = np.cumsum(size * rng.uniform(1.2, 2.4, int(2 * reach / size) + 2))
    band = np.searchsorted(edges, u.ravel()).reshape(shape)
    length = size * rng.uniform(0.45, 1.1, len(edges) + 1)
    number = (v + rng.uniform(0, size, len(edges) + 1)[band]) // length[band]
    return (band * 1024 + number).astype(np.int32), angle


def crowns(
    rng: np.random.Generator, shape: Shape, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A closed canopy: crown ids, domes (1 in a crown's middle, 0 at its edge) and heights."""
    ids, distance = cells(rng, shape, size)
    dome = (1 - (distance / (0.72 * size)) ** 2).astype(np.float32)
    rise = 0.45 * size * np.sqrt(np.clip(dome, 0, 1))
    height = 2.5 + rise + rng.uniform(-1.5, 1.5, ids.max() + 1)[ids]
    return ids, dome, height.astype(np.float32)


@dataclass(frozen=True)
class Rows:
    """Crop rows per parcel: direction in radians, distance in pixels, strength in 8-bit steps."""

    angle: np.ndarray
    period: np.ndarray
    strength: np.ndarray

    def draw(self, ids: np.ndarray, wobble: np.ndarray) -> np.ndarray:
        """(H, W) brightness offsets for parcel numbers `ids`, bent by `wobble` pixels."""
        y, x = np.mgrid[0 : ids.shape[0], 0 : ids.shape[1]].astype(np.float32)
        across = x * np.cos(self.angle)[ids] + y * np.sin(self.angle)[ids] + wobble
        return self.strength[ids] * np.sin(2 * np.pi * across / self.period[ids])
