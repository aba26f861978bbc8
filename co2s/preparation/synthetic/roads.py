"""Roads, tracks and car parks of the synthetic scenes."""

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import ROAD, Canvas
from .style import Style
from .texture import smooth_noise

SUBPIXEL = 4  # bits of cv2's fixed-point coordinates


@dataclass(frozen=True)
class Road:
    """A middle line (n, 2) of x, y in pixels, its width in pixels, and whether it is paved."""

    line: np.ndarray
    width: float
    paved: bool


def plan_roads(rng: np.random.Generator, shape: tuple[int, int], style: Style) -> list[Road]:
    """The road network of the scene's layout."""
    if style.layout == "town":
        return _street_grid(rng, shape)
    roads = []
    if style.layout == "village" or rng.random() < 0.75:
        roads.append(_winding(rng, shape, rng.uniform(5, 9), paved=True))
    if style.layout == "village":
        count = rng.integers(1, 4)
        roads += [_winding(rng, shape, rng.uniform(3.5, 6), True) for _ in range(count)]
    for _ in range(rng.integers(0, 3)):
        roads.append(_winding(rng, shape, rng.uniform(2.6, 4.5), paved=False))
    return roads


def build_roads(canvas: Canvas, rng: np.random.Generator, style: Style, roads: list[Road]) -> None:
    """Draw tracks, then paved roads over them, with markings and cars on the wide ones."""
    grain = 3.5 * smooth_noise(rng, canvas.shape, 6)[..., None]
    for paved, color in ((False, style.dirt), (True, style.road)):
        mask = np.zeros(canvas.shape, np.uint8)
        for road in roads:
            if road.paved == paved:
                _stroke(mask, road.line, road.width, 255)
        canvas.paint(mask / np.float32(255), color + grain * (1.0 if paved else 2.2), ROAD)
    marks = np.zeros(canvas.shape, np.uint8)
    for road in roads:
        if road.paved and road.width > 6.5:
            for start in range(0, len(road.line) - 2, 3):
                _stroke(marks, road.line[start : start + 2], 1, 255)
    canvas.paint(marks / np.float32(400), np.array([225, 225, 218], np.float32), ROAD)
    for road in roads:
        _cars(canvas, rng, road)


def _street_grid(rng: np.random.Generator, shape: tuple[int, int]) -> list[Road]:
    """Two families of streets about at right angles; some are wide, some are missing."""
    angle, reach = rng.uniform(0, np.pi / 2), float(np.hypot(*shape))
    roads = []
    for turn in (0.0, np.pi / 2 + rng.normal(0, 0.06)):
        along = np.array([np.cos(angle + turn), np.sin(angle + turn)])
        across = np.array([-along[1], along[0]])
        offset = -reach / 2 + rng.uniform(0, 60)
        while offset < reach / 2:
            middle = np.array(shape[::-1]) / 2 + offset * across
            steps = np.linspace(-reach / 2, reach / 2, int(reach / 6))[:, None]
            line = middle + steps * along + across * 3 * np.sin(steps / rng.uniform(50, 120))
            if rng.random() < 0.85:
                wide = rng.random() < 0.3
                roads.append(Road(line, rng.uniform(7, 11) if wide else rng.uniform(4, 6), True))
            offset += rng.uniform(44, 96)
    return roads


def _winding(rng: np.random.Generator, shape: tuple[int, int], width: float, paved: bool) -> Road:
    """A bent road across the scene."""
    angle, reach = rng.uniform(0, 2 * np.pi), float(np.hypot(*shape))
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    middle = np.array(shape[::-1]) * rng.uniform(0.2, 0.8, 2)
    steps = np.linspace(-reach, reach, int(reach / 3))[:, None]
    bend = rng.uniform(0, 16) * np.sin(steps / rng.uniform(24, 60) + rng.uniform(0, 6))
    return Road(middle + steps * along + bend * across, width, paved)


def _stroke(mask: np.ndarray, line: np.ndarray, width: float, value: int) -> None:
    points = np.round(line * 2**SUBPIXEL).astype(np.int32)
    cv2.polylines(mask, [points], False, value, max(1, round(width)), cv2.LINE_AA, SUBPIXEL)


def _cars(canvas: Canvas, rng: np.random.Generator, road: Road) -> None:
    """Small bright or dark boxes on one side of a paved road; they stay part of the road."""
    if not road.paved or road.width < 5:
        return
    for place in range(2, len(road.line) - 2, 2):
        if rng.random() > 0.07:
            continue
        ahead = road.line[place + 1] - road.line[place]
        ahead = ahead / max(float(np.hypot(*ahead)), 1e-6)
        side = np.array([-ahead[1], ahead[0]]) * rng.choice([-1, 1])
        x, y = road.line[place] + side * road.width / 4
        if 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]:
            box = cv2.boxPoints(((x, y), (4.2, 2.0), np.degrees(np.arctan2(ahead[1], ahead[0]))))
            color = tuple(float(c) for c in rng.choice([40, 120, 235]) + rng.uniform(-20, 20, 3))
            cv2.fillConvexPoly(canvas.image, np.round(box).astype(np.int32), color)
