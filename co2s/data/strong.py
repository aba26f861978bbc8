"""The strong view: colour jitter, greyscale and blur of a crop (method section 4)."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class StrongView:
    """Photometric changes only: the pixels stay where they are.

    Brightness, contrast and saturation are multiplied by 1 +- their value, the hue is shifted by
    up to +- `hue` of the colour circle, in a random order as torchvision's ColorJitter does;
    `blur_sigma` is in pixels.
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
        """A strong view of image (H, W, 3) uint8 RGB; the image itself is left alone."""
        if rng.random() < self.jitter_prob:
            image = self._jitter(rng, image)
        if rng.random() < self.gray_prob:
            image = cv2.cvtColor(_gray(image), cv2.COLOR_GRAY2RGB)
        if rng.random() < self.blur_prob:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(*self.blur_sigma))
        return image

    def _jitter(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        strengths = (self.brightness, self.contrast, self.saturation)
        factors = [rng.uniform(max(0.0, 1 - value), 1 + value) for value in strengths]
        shift = rng.uniform(-self.hue, self.hue)
        for step in rng.permutation(4):
            if step == 0:
                image = scale_towards(image, 0.0, factors[0])
            elif step == 1:
                image = scale_towards(image, round(cv2.mean(_gray(image))[0]), factors[1])
            elif step == 2:
                image = saturate(image, factors[2])
            else:
                image = shift_hue(image, shift)
        return image


def scale_towards(image: np.ndarray, level: float, factor: float) -> np.ndarray:
    """`level` + factor * (image - level): brightness for level 0, contrast for the mean grey."""
    values = level + factor * (np.arange(256) - level)
    return cv2.LUT(image, np.clip(values, 0, 255).astype(np.uint8))


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Between greyscale (0), the image (1) and beyond."""
    gray = cv2.cvtColor(_gray(image), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, gray, 1 - factor, 0)


def shift_hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Turn the colours by `shift` of the colour circle, -0.5..0.5."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)  # uint8 wraps as the circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _gray(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
