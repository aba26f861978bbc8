"""Sliding-window inference: one student's logits for an image of any size."""

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode
from co2s.layers import resize
from co2s.structures import stride_of, windows


def window_and_stride(cfg: CfgNode) -> tuple[int, int]:
    """Side and stride of the windows of inference, in pixels; TEST.WINDOW_SIZE 0 is the crop's."""
    size = cfg.TEST.WINDOW_SIZE or cfg.INPUT.CROP_SIZE
    return size, stride_of(size, cfg.TEST.STRIDE_RATIO)


def sliding_window_logits(
    student: nn.Module, image: Tensor, *, size: int, stride: int, batch: int
) -> Tensor:
    """Image (C, H, W) -> logits (N, H, W), averaged where windows overlap (method section 5).

    `batch` windows pass the student together; all windows of an image are of one size.
    """
    _, height, width = image.shape
    boxes = windows(height, width, size, stride)
    total: Tensor | None = None
    count = image.new_zeros(1, height, width, dtype=torch.float32)
    for start in range(0, len(boxes), batch):
        chunk = boxes[start : start + batch]
        crops = torch.stack([image[:, t:b, left:r] for t, left, b, r in chunk])
        for (t, left, b, r), logits in zip(chunk, student(crops).float(), strict=True):
            if total is None:
                total = logits.new_zeros(len(logits), height, width)
            total[:, t:b, left:r] += logits
            count[:, t:b, left:r] += 1
    assert total is not None
    return total / count


def fit_size(height: int, width: int, base: tuple[int, int], scale: float = 1.0) -> tuple[int, int]:
    """Size after fitting into base (long, short), keeping the ratio; with (0, 0) after scaling.

    The image is made to fit and yet never below `short` on its short side (method section 5), so
    it is the short side that decides.
    """
    scale = fit_factor(height, width, base, scale)
    return round(height * scale), round(width * scale)


def fit_factor(height: int, width: int, base: tuple[int, int], scale: float = 1.0) -> float:
    """By how much `fit_size` enlarges, before it rounds to whole pixels."""
    _, short = base
    return short / min(height, width) if short else float(scale)


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Image (C, H, W) of any type -> float (C, *size), bilinear."""
    return resize(image[None].float(), size, align_corners=False)[0]
