"""The canvas of a synthetic scene: colour, class and height of every pixel, painted in layers."""

import cv2
import numpy as np

FIELD, FOREST, WATER, ROAD, BUILDING, BARE_SOIL = range(6)


class Canvas:
    """image (H, W, 3) float32 0..255, label (H, W) uint8, height (H, W) float32 in pixels.

    A layer is given by its coverage (H, W) in 0..1; the label follows where it covers at least
    half a pixel, so that the mask is exactly what was drawn.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.image = np.zeros((*shape, 3), np.float32)
        self.label = np.full(shape, FIELD, np.uint8)
        self.height = np.zeros(shape, np.float32)

    def paint(
        self, coverage: np.ndarray, color: np.ndarray, label: int, height: float | np.ndarray = 0.0
    ) -> None:
        """Lay `color` (3,) or (H, W, 3) over the canvas."""
        alpha = coverage.astype(np.float32)[..., None]
        self.image += alpha * (np.asarray(color, np.float32) - self.image)
        inside = coverage >= 0.5
        self.label[inside] = label
        self.height[inside] = height[inside] if isinstance(height, np.ndarray) else height

    def cast_shadows(self, sun: tuple[float, float], slope: float, depth: float = 0.55) -> None:
        """Darken what lies behind something higher; `sun` points away from the sun."""
        height, steps = self.height, int(min(self.height.max() / slope + 1, 18))
        excess = np.zeros_like(height)
        for step in range(1, steps):
            move = np.array([[1, 0, sun[1] * step], [0, 1, sun[0] * step]], np.float32)
            moved = cv2.warpAffine(height, move, self.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
            np.maximum(excess, moved - slope * step - height, out=excess)
        shade = cv2.blur(np.clip(excess / 1.5, 0, 1), (3, 3)) * depth
        self.image *= 1 - shade[..., None] * np.array(
            [1.0, 0.95, 0.84], np.float32
        )  # the sky stays blue

    def expose(
        self,
        rng: np.random.Generator,
        gain: np.ndarray,
        gamma: float,
        haze: float,
        blur: float,
        noise: float,
    ) -> np.ndarray:
        """The picture a sensor takes of the canvas: (H, W, 3) uint8."""
        light = 255 * (np.clip(self.image * gain, 0, 255) / 255) ** gamma
        light += haze * (np.array([196, 204, 218], np.float32) - light)
        if blur > 0.2:
            light = cv2.GaussianBlur(light, (0, 0), blur)
        grain = rng.standard_normal(light.shape, dtype=np.float32) * 0.5
        grain += rng.standard_normal((*self.shape, 1), dtype=np.float32)
        return np.clip(light + noise * grain, 0, 255).round().astype(np.uint8)
