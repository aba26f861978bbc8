"""One synthetic aerial scene: the order in which its layers are painted."""

import cv2
import numpy as np

from .buildings import build_houses
from .canvas import BUILDING, FOREST, ROAD, WATER, Canvas
from .ground import grow_canopy, lay_ground
from .roads import build_roads, plan_roads
from .style import draw_style
from .texture import smooth_noise
from .water import pour_water


def draw_scene(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) uint8 RGB and classes (H, W) uint8 of a scene in a style of its own.

    Water lies on the ground, roads cross water, houses stand beside roads, trees between them;
    then the light falls on all of it, and a sensor takes the picture.
    """
    style = draw_style(rng)
    canvas = Canvas(shape)
    canopy = grow_canopy(rng, shape, style)
    lay_ground(canvas, rng, style, canopy)
    pour_water(canvas, rng, style)
    roads = plan_roads(rng, shape, style)
    build_roads(canvas, rng, style, roads)
    houses = build_houses(canvas, rng, style, roads)
    trees = canopy.single_trees(rng, _tree_density(rng, canvas.label, houses))
    canvas.paint(trees, canopy.color, FOREST, canopy.height)
    canvas.cast_shadows(style.sun, style.sun_slope)
    image = canvas.expose(rng, style.gain, style.gamma, style.haze, style.blur, style.noise)
    return image, canvas.label


def _tree_density(rng: np.random.Generator, label: np.ndarray, houses: np.ndarray) -> np.ndarray:
    """(H, W): gardens have trees, open fields few, roads, roofs and water none."""
    near = cv2.blur(houses.astype(np.float32), (41, 41))
    density = 0.006 + np.clip(1.1 * near, 0, 0.3) * np.clip(
        0.6 + smooth_noise(rng, label.shape, 50, 1), 0, 1.5
    )
    taken = np.isin(label, (ROAD, WATER, BUILDING)).astype(np.uint8)
    return np.where(cv2.dilate(taken, np.ones((3, 3), np.uint8)) > 0, 0.0, density)
