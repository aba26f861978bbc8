"""Frozen teachers: pretrained backbones that see images at a size and in bands of their own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from co2s.d2 import CfgNode
from co2s.layers import resize

from ..backbone import build_backbone
from ..backbone.extra_bands import extend_statistics
from ..student import Student
from .encoders import as_student

RGB = (0, 1, 2)
MEAN = [123.675, 116.28, 103.53]  # of ImageNet
STD = [58.395, 57.12, 57.375]


def build_teacher(
    cfg: CfgNode,
    node: CfgNode,
    bands: int,
    mean: list[float],
    std: list[float],
    keys: tuple[str, str],
) -> Student:
    """The teacher of a node that has a BACKBONE, frozen.

    mean, std: of what it was trained on, of so many bands or of the first three; keys: their names
    in the configuration.
    """
    mean = extend_statistics(mean, bands, keys[0])
    std = extend_statistics(std, bands, keys[1])
    teacher = as_student(cfg, build_backbone(node, bands), mean, std)
    return teacher.requires_grad_(False).eval()


@torch.no_grad()
def taught_maps(
    teacher: Student, images: Tensor, bands: Sequence[int], side: int
) -> dict[str, Tensor]:
    """The maps that a teacher has of images (B, C, S, S), resized to a square of side pixels."""
    seen = resize(images[:, [*bands]].float(), (side, side), align_corners=False)
    return teacher.features(seen)


def whole_patches(side: float, patch: int) -> int:
    """The side in pixels, rounded to whole patches, one at least."""
    patch = patch or 1
    return max(round(side / patch), 1) * patch


def check_bands(chosen: Sequence[int], bands: int, key: str) -> None:
    """ValueError where the bands that a teacher is to see are too few, or not the image's."""
    if len(chosen) < 3 or not all(0 <= band < bands for band in chosen):
        raise ValueError(
            f"{key} is {tuple(chosen)}; name three bands or more of the image's 0 to "
            f"{bands - 1}, in the order red, green, blue."
        )
