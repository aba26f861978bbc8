"""CutMix: the box that is drawn, and the pasting of a partner into it."""

import numpy as np
import torch
from torch import Tensor


def cutmix_box(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> np.ndarray:
    """Draw a box as a mask (H, W) bool; all False with probability 1 - probability.

    Area is a share of the image, aspect is height over width (method section 4). Shapes that do
    not fit inside the image are drawn again.
    """
    mask = np.zeros((height, width), dtype=bool)
    if rng.random() >= probability:
        return mask
    while True:
        pixels = rng.uniform(*area) * height * width
        ratio = rng.uniform(*aspect)
        box_height, box_width = int(np.sqrt(pixels * ratio)), int(np.sqrt(pixels / ratio))
        if box_height <= height and box_width <= width:
            break
    top = rng.integers(0, height - box_height + 1)
    left = rng.integers(0, width - box_width + 1)
    mask[top : top + box_height, left : left + box_width] = True
    return mask


def cutmix(images: Tensor, partners: Tensor, box: Tensor) -> Tensor:
    """Paste the partners into the images where box is True.

    Images and partners are (B, C, H, W), box (B, H, W) bool.
    """
    return torch.where(box.unsqueeze(1), partners, images)
