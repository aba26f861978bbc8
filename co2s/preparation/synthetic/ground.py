"""The ground of a synthetic scene: fields, meadows, bare soil, woods and hedges."""

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import BARE_SOIL, FIELD, FOREST, Canvas
from .style import Style
from .texture import Rows, cells, crowns, smooth_noise, strips

# Shares of the parcels: field, forest, bare soil.
SHARES = {
    "rural": (0.64, 0.17, 0.19),
    "village": (0.66, 0.12, 0.22),
    "town": (0.62, 0.10, 0.28),
    "riverside": (0.62, 0.22, 0.16),
}


@dataclass(frozen=True)
class Canopy:
    """The scene's trees, of which woods, hedges and single trees each show a part."""

    color: np.ndarray  # (H, W, 3) float32
    height: np.ndarray  # (H, W) float32
    ids: np.ndarray  # (H, W) crown numbers
    dome: np.ndarray  # (H, W) 1 at a crown's middle, 0 or less between crowns

    def single_trees(self, rng: np.random.Generator, density: np.ndarray) -> np.ndarray:
        """Coverage (H, W) by single crowns; density (H, W) is the chance of one standing there."""
        chance = rng.random(self.ids.max() + 1)[self.ids]
        return ((chance < density) & (self.dome > 0.25)).astype(np.float32)


def grow_canopy(rng: np.random.Generator, shape: tuple[int, int], style: Style) -> Canopy:
    """Crowns of the style's size and colours, lit from the sun's side."""
    ids, dome, height = crowns(rng, shape, style.crown)
    count = ids.max() + 1
    kind = rng.integers(len(style.trees), size=count)
    if rng.random() < 0.5:  # stands of one kind rather than a mixture
        kind = np.where(rng.random(count) < 0.85, kind[0], kind)
    color = style.trees[kind] * rng.normal(1, 0.11, (count, 1)).clip(0.6, 1.4)
    slope_y, slope_x = cv2.Sobel(height, -1, 0, 1), cv2.Sobel(height, -1, 1, 0)
    light = 1 - 0.028 * (slope_y * style.sun[0] + slope_x * style.sun[1])
    light = np.clip(light, 0.62, 1.35) * (0.72 + 0.34 * np.clip(dome, 0, 1))
    light += 0.05 * smooth_noise(rng, shape, 5, octaves=2)
    return Canopy((color[ids] * light[..., None]).astype(np.float32), height, ids, dome)


def lay_ground(canvas: Canvas, rng: np.random.Generator, style: Style, canopy: Canopy) -> None:
    """Cover the canvas with parcels, then grow woods and hedges on them."""
    ids, angle = _parcels(rng, canvas.shape, style)
    count = ids.max() + 1
    kinds = np.array([FIELD, FOREST, BARE_SOIL])
    kind = rng.choice(kinds, size=count, p=SHARES[style.layout])
    rough = smooth_noise(rng, canvas.shape, 34)
    soil = (kind == BARE_SOIL)[ids]
    if rng.random() < 0.4:  # diggings and fallow that follow no border
        soil |= smooth_noise(rng, canvas.shape, 70) > rng.uniform(1.4, 1.9)
    field_image = _fields(rng, ids, angle, style, rough)
    canvas.paint(np.ones(canvas.shape), field_image, FIELD)
    canvas.paint(soil.astype(np.float32), _bare_soil(rng, ids, style), BARE_SOIL)
    wood = (kind == FOREST)[ids]
    if rng.random() < 0.45:
        wood |= smooth_noise(rng, canvas.shape, 80) > rng.uniform(1.0, 1.7)
    wood |= _hedges(rng, ids, rough)
    canvas.paint(_ragged(wood, canopy), canopy.color, FOREST, canopy.height)


def _parcels(rng: np.random.Generator, shape: tuple[int, int], style: Style) -> tuple:
    """Parcel numbers (H, W) from 0 on, and the main direction of the rows."""
    if style.regular_parcels:
        ids, angle = strips(rng, shape, style.parcel_size)
    else:
        ids, angle = cells(rng, shape, style.parcel_size)[0], rng.uniform(0, np.pi)
    ids = np.unique(ids, return_inverse=True)[1]
    return ids.reshape(shape), angle


def _fields(
    rng: np.random.Generator, ids: np.ndarray, angle: float, style: Style, rough: np.ndarray
) -> np.ndarray:
    """(H, W, 3): crops in rows, and meadows without."""
    count = ids.max() + 1
    rows = Rows(
        angle=angle + rng.choice([0, np.pi / 2], count) + rng.normal(0, 0.08, count),
        period=rng.uniform(3.0, 7.5, count),
        strength=rng.uniform(4, 17, count) * (rng.random(count) < 0.72),
    )
    color = style.crops[rng.integers(len(style.crops), size=count)]
    color = color * rng.normal(1, 0.09, (count, 1)) + rng.normal(0, 5, (count, 3))
    patchy = rng.uniform(2, 10, count)[ids] * rough
    fine = 3.0 * smooth_noise(rng, ids.shape, 4, octaves=2)
    stripes = rows.draw(ids, 1.5 * rough)
    tone = patchy + fine + stripes
    return color[ids] + tone[..., None] * np.array([1.0, 0.95, 0.7], np.float32)


def _bare_soil(rng: np.random.Generator, ids: np.ndarray, style: Style) -> np.ndarray:
    """(H, W, 3): blotches, wheel ruts and stones, but no rows."""
    count = ids.max() + 1
    color = style.soils[rng.integers(len(style.soils), size=count)]
    color = color * rng.normal(1, 0.08, (count, 1))
    blotches = smooth_noise(rng, ids.shape, 16, octaves=4) * rng.uniform(6, 15, count)[ids]
    stones = 26 * np.clip(smooth_noise(rng, ids.shape, 3, octaves=1) - 1.9, 0, 1)
    return color[ids] + (blotches + stones)[..., None] * np.array([1.0, 0.96, 0.88], np.float32)


def _hedges(rng: np.random.Generator, ids: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """(H, W) bool: along some stretches of the parcels' borders."""
    numbers = (ids % 251).astype(np.uint8)
    border = cv2.morphologyEx(numbers, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    border &= rough > rng.choice([0.4, 0.9, 9.0])
    return cv2.dilate(border.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _ragged(wood: np.ndarray, canopy: Canopy) -> np.ndarray:
    """Coverage (H, W) whose edge follows whole crowns."""
    share = cv2.blur(wood.astype(np.float32), (5, 5))
    return np.clip(4 * (share + 0.25 * canopy.dome - 0.5) + 0.5, 0, 1)
