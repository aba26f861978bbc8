"""Buildings of the synthetic scenes: along the roads, with gabled or flat roofs."""

import cv2
import numpy as np

from .canvas import BUILDING, ROAD, WATER, Canvas
from .roads import SUBPIXEL, Road
from .style import Style
from .texture import smooth_noise

DENSITY = {"rural": 0.10, "village": 0.62, "town": 0.9, "riverside": 0.22}


class Roofs:
    """The layer the roofs are drawn on before it is laid over the canvas."""

    def __init__(self, canvas: Canvas) -> None:
        self.color = canvas.image.astype(np.float32).copy()
        self.coverage = np.zeros(canvas.shape, np.uint8)
        self.height = np.zeros(canvas.shape, np.float32)
        self.blocked = ((canvas.label == ROAD) | (canvas.label == WATER)).astype(np.uint8)

    def fits(self, box: np.ndarray) -> bool:
        """Whether the rotated box (4, 2) lies on free ground, in part inside the scene."""
        low, high = np.floor(box.min(0)).astype(int) - 1, np.ceil(box.max(0)).astype(int) + 2
        low, high = np.maximum(low, 0), np.minimum(high, self.blocked.shape[::-1])
        if (high - low).min() < 3:
            return False
        part = np.zeros((high - low)[::-1], np.uint8)
        cv2.fillConvexPoly(part, np.round(box - low).astype(np.int32), 1)
        part &= self.blocked[low[1] : high[1], low[0] : high[0]]
        return not part.any()

    def fill(self, corners: np.ndarray, color: np.ndarray) -> None:
        points = np.round(corners).astype(np.int32)
        cv2.fillConvexPoly(self.color, points, tuple(float(c) for c in color))

    def claim(self, box: np.ndarray, height: float) -> None:
        """Take the box (4, 2) for a building of that height, with a margin to the next one."""
        points = np.round(box * 2**SUBPIXEL).astype(np.int32)
        cv2.fillConvexPoly(self.coverage, points, 255, cv2.LINE_AA, SUBPIXEL)
        cv2.fillConvexPoly(self.height, points, height, cv2.LINE_8, SUBPIXEL)
        cv2.polylines(self.blocked, [np.round(box).astype(np.int32)], True, 1, 5)
        cv2.fillConvexPoly(self.blocked, np.round(box).astype(np.int32), 1)


def build_houses(
    canvas: Canvas, rng: np.random.Generator, style: Style, roads: list[Road]
) -> np.ndarray:
    """Draw the buildings; returns where they stand (H, W) bool."""
    roofs = Roofs(canvas)
    for road in roads:
        if road.paved:
            _line_road(roofs, rng, style, road)
    grain = 1 + 0.03 * smooth_noise(rng, canvas.shape, 3, octaves=1)
    canvas.paint(
        roofs.coverage / np.float32(255), roofs.color * grain[..., None], BUILDING, roofs.height
    )
    return roofs.coverage > 127


def _line_road(roofs: Roofs, rng: np.random.Generator, style: Style, road: Road) -> None:
    """Walk along the road and put houses on both sides, in one to two rows."""
    steps = np.hypot(*np.diff(road.line, axis=0).T)
    big = style.layout == "town" and rng.random() < 0.5
    way, place = rng.uniform(0, 20), 0.0
    for index in range(1, len(road.line) - 1):
        place += steps[index - 1]
        if place < way:
            continue
        way = place + rng.uniform(13, 24) * (1.5 if big else 1.0)
        ahead = road.line[index + 1] - road.line[index - 1]
        for side in (-1, 1):
            if rng.random() < DENSITY[style.layout]:
                box = _plot(rng, road.line[index], side * ahead, road.width, big)
                if roofs.fits(box):
                    _house(roofs, rng, style, box, big)


def _plot(
    rng: np.random.Generator, point: np.ndarray, ahead: np.ndarray, road_width: float, big: bool
) -> np.ndarray:
    """(4, 2) corners of a building to the right of `point`, looking `ahead`."""
    length, depth = rng.uniform(9, 19), rng.uniform(8, 13)
    if big:
        length, depth = rng.uniform(16, 38), rng.uniform(11, 24)
    distance = road_width / 2 + depth / 2 + rng.uniform(2.5, 10)
    angle = np.arctan2(ahead[1], ahead[0])
    center = point + distance * np.array([-np.sin(angle), np.cos(angle)])
    turn = angle + (np.pi / 2 if rng.random() < 0.25 else 0) + rng.normal(0, 0.05)
    return _box(center, length, depth, turn)


def _house(
    roofs: Roofs, rng: np.random.Generator, style: Style, box: np.ndarray, big: bool
) -> None:
    color = style.roofs[rng.integers(len(style.roofs))] * rng.normal(1, 0.06)
    roofs.claim(box, rng.uniform(5, 12) if big else rng.uniform(4, 7))
    if not big and rng.random() < 0.75:
        _gable(roofs, style, box, color)
    else:
        _flat(roofs, rng, box, color)


def _box(center: np.ndarray, length: float, depth: float, angle: float) -> np.ndarray:
    """(4, 2) corners; the first two points span the long side."""
    u = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    v = np.array([-np.sin(angle), np.cos(angle)]) * depth / 2
    return np.array([center - u - v, center + u - v, center + u + v, center - u + v])


def _gable(roofs: Roofs, style: Style, box: np.ndarray, color: np.ndarray) -> None:
    """Two slopes, the one towards the sun brighter."""
    ridge = np.array([(box[0] + box[3]) / 2, (box[1] + box[2]) / 2])
    for eave in (box[:2], box[3:1:-1]):
        out = (eave - ridge).mean(0)
        facing = -float(out @ np.array(style.sun[::-1])) / max(float(np.hypot(*out)), 1e-6)
        wide = np.array([ridge[0], ridge[1], *(eave[::-1] + 0.2 * (eave[::-1] - ridge[::-1]))])
        roofs.fill(wide, color * (1 + 0.2 * facing))


def _flat(roofs: Roofs, rng: np.random.Generator, box: np.ndarray, color: np.ndarray) -> None:
    """A parapet, a plain surface, and boxes on it."""
    center = box.mean(0)
    roofs.fill(center + 1.12 * (box - center), color * 1.12)
    roofs.fill(center + 0.84 * (box - center), color)
    for _ in range(rng.integers(0, 4)):
        at = center + rng.uniform(-0.3, 0.3) * (box[1] - box[0])
        at = at + rng.uniform(-0.3, 0.3) * (box[3] - box[0])
        unit = at + 0.12 * (box - center)
        roofs.fill(unit, np.clip(color * rng.choice([0.65, 1.3]), 0, 255))
