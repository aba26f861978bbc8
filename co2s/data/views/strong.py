"""The strong view: colour jitter, greyscale and blur of a crop (method section 4)."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class StrongView:
    """Photometric changes only: the pixels stay where they are.

    Brightness, contrast and saturation are multiplied by 1 +- their value, the hue is shifted by
    up to +- `hue` of the colour circle, in a random order as torchvision's ColorJitter does;
    `blur_sigma` is in pixels. The first three bands are red, green and blue: saturation, hue and
    greyscale are theirs alone, brightness, contrast and blur are for all bands.
    """

    jitter_prob: float = 0.8
    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.25
    gray_prob: float = 0.2
    blur_prob: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __call__(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """A strong view of image (H, W, C) uint8, C >= 3; the image itself is left alone."""
        return apply(self.draw(rng), image)

    def draw(self, rng: np.random.Generator) -> "Changes":
        """What one view changes."""
        jitter = self._draw_jitter(rng) if rng.random() < self.jitter_prob else None
        gray = bool(rng.random() < self.gray_prob)
        sigma = rng.uniform(*self.blur_sigma) if rng.random() < self.blur_prob else None
        return Changes(jitter, gray, sigma)

    def _draw_jitter(self, rng: np.random.Generator) -> "Jitter":
        strengths = (self.brightness, self.contrast, self.saturation)
        one, two, three = (rng.uniform(max(0.0, 1 - value), 1 + value) for value in strengths)
        shift = rng.uniform(-self.hue, self.hue)
        return Jitter(one, two, three, shift, tuple(rng.permutation(4)))


@dataclass(frozen=True)
class Jitter:
    """Factors of brightness, contrast and saturation, a shift of the hue, and their order."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[int, ...]


@dataclass(frozen=True)
class Changes:
    """What a strong view does to an image; None: not that."""

    jitter: Jitter | None
    gray: bool
    sigma: float | None


def apply(changes: Changes, image: np.ndarray) -> np.ndarray:
    """The strong view of image (H, W, C) uint8."""
    parts = _split(image)
    if changes.jitter is not None:
        parts = change_colors(changes.jitter, parts)
    if changes.gray:
        parts[0] = to_gray(parts[0])
    if changes.sigma is not None:
        parts = [blur(part, changes.sigma) for part in parts]
    return parts[0] if len(parts) == 1 else cv2.merge(parts)


def change_colors(jitter: Jitter, parts: list[np.ndarray]) -> list[np.ndarray]:
    """Colours (H, W, 3) and further bands (H, W) after one step for each number in the order."""
    for step in jitter.order:
        if step == 0:
            parts = [scale_towards(part, 0.0, jitter.brightness) for part in parts]
        elif step == 1:
            parts = [scale_towards(part, mean_level(part), jitter.contrast) for part in parts]
        elif step == 2:
            parts[0] = saturate(parts[0], jitter.saturation)
        else:
            parts[0] = shift_hue(parts[0], jitter.hue)
    return parts


def scale_towards(image: np.ndarray, level: float, factor: float) -> np.ndarray:
    """`level` + factor * (image - level): brightness for level 0, contrast for the mean grey."""
    values = level + factor * (np.arange(256) - level)
    return cv2.LUT(image, np.clip(values, 0, 255).astype(np.uint8))


def mean_level(image: np.ndarray) -> int:
    """The mean grey of a colour image (H, W, 3), the mean of a single band (H, W)."""
    return round(cv2.mean(_gray(image) if image.ndim == 3 else image)[0])


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Between greyscale (0), the image (1) and beyond."""
    return cv2.addWeighted(image, factor, to_gray(image), 1 - factor, 0)


def shift_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Turn the colours by `shift` of the colour circle, -0.5..0.5."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    height, width, _ = hsv.shape
    # Whole rows at a time: adding to every third byte takes four times as long.
    turn = np.tile(np.array([round(shift * 256) % 256, 0, 0], np.uint8), width)
    rows = hsv.reshape(height, -1)
    rows += turn  # uint8 wraps as the circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def to_gray(image: np.ndarray) -> np.ndarray:
    """The grey of each pixel in all three bands."""
    return cv2.cvtColor(_gray(image), cv2.COLOR_GRAY2RGB)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, sigma in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _split(image: np.ndarray) -> list[np.ndarray]:
    """The colours (H, W, 3), then every further band (H, W): OpenCV is slow on odd channels."""
    if image.shape[2] == 3:
        return [image]
    bands = cv2.split(image)
    return [cv2.merge(bands[:3]), *bands[3:]]


def _gray(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
