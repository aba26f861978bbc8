"""Decoders: backbone maps and class vectors -> one mask for each class."""

from .build import HEAD_REGISTRY, build_head, check_guidance
from .deeplab import DeepLabV3PlusHead
from .guided_mask import GuidedMaskHead
from .linear import LinearHead

__all__ = [
    "HEAD_REGISTRY",
    "DeepLabV3PlusHead",
    "GuidedMaskHead",
    "LinearHead",
    "build_head",
    "check_guidance",
]
