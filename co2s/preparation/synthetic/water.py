"""Rivers, lakes and ponds of the synthetic scenes."""

import cv2
import numpy as np

from .canvas import BARE_SOIL, WATER, Canvas
from .style import Style
from .texture import smooth_noise

# Chances of a river and of a lake.
CHANCES = {"rural": (0.2, 0.35), "village": (0.2, 0.3), "town": (0.2, 0.3), "riverside": (1.0, 0.2)}


def pour_water(canvas: Canvas, rng: np.random.Generator, style: Style) -> None:
    """Draw the scene's river and lake, with a sandy bank here and there."""
    river, lake = CHANCES[style.layout]
    depth = np.full(canvas.shape, -99.0, np.float32)  # pixels to the shore, positive in water
    if rng.random() < river:
        depth = np.maximum(depth, _river(rng, canvas.shape))
    if rng.random() < lake:
        depth = np.maximum(depth, _lake(rng, canvas.shape))
    if depth.max() < 0:
        return
    bank = rng.uniform(0, 5) * np.clip(0.4 + smooth_noise(rng, canvas.shape, 40, 2), 0, 1.5)
    sand = style.soils[0] + 9 * smooth_noise(rng, canvas.shape, 8)[..., None]
    canvas.paint(np.where(bank > 1, np.clip(depth + bank + 0.5, 0, 1), 0), sand, BARE_SOIL)
    canvas.paint(np.clip(depth + 0.5, 0, 1), _surface(rng, depth, style), WATER)


def _river(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """(H, W): half the width less the distance to a meandering middle line."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    middle = [n * rng.uniform(0.25, 0.75) for n in shape]
    along = (x - middle[1]) * np.cos(angle) + (y - middle[0]) * np.sin(angle)
    across = -(x - middle[1]) * np.sin(angle) + (y - middle[0]) * np.cos(angle)
    for length in (150, 70):
        swing = rng.uniform(0.03, 0.14) * length
        across += swing * np.sin(2 * np.pi * along / length + rng.uniform(0, 2 * np.pi))
    width = rng.uniform(8, 24) * (1 + 0.15 * smooth_noise(rng, shape, 60, 2))
    return width - np.abs(across)


def _lake(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """(H, W): signed distance to the shore of a blob."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    y, x = y - rng.uniform(0.1, 0.9) * shape[0], x - rng.uniform(0.1, 0.9) * shape[1]
    angle, radius = rng.uniform(0, np.pi), rng.uniform(16, 58)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    return radius * (1 + 0.2 * smooth_noise(rng, shape, 45, 2)) - np.hypot(
        u, v * rng.uniform(1, 1.9)
    )


def _surface(rng: np.random.Generator, depth: np.ndarray, style: Style) -> np.ndarray:
    """(H, W, 3): lighter near the shore, faint waves, in some scenes the glint of the sun."""
    shallow = np.exp(-np.clip(depth, 0, None) / rng.uniform(3, 14))
    tone = rng.uniform(0, 34) * shallow
    tone += rng.uniform(0, 4) * smooth_noise(rng, depth.shape, 60)
    waves = smooth_noise(rng, depth.shape, 3, octaves=1)
    tone += rng.uniform(0.3, 2.5) * cv2.blur(waves, (5, 1))
    if rng.random() < 0.25:
        tone += rng.uniform(15, 60) * np.clip(smooth_noise(rng, depth.shape, 120, 2), 0, 2)
    return style.water + tone[..., None] * np.array([1.0, 1.0, 0.9], np.float32)
