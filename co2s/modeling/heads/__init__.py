"""Decoders: backbone maps and class vectors -> one mask for each class."""

from .base import Head, Hidden, Layers, checked
from .build import HEAD_REGISTRY, build_head, check_guidance
from .deeplab import DeepLabV3PlusHead
from .guided_mask import GuidedMaskHead
from .linear import LinearHead

__all__ = [
    "HEAD_REGISTRY",
    "DeepLabV3PlusHead",
    "GuidedMaskHead",
    "Head",
    "Hidden",
    "Layers",
    "LinearHead",
    "build_head",
    "check_guidance",
    "checked",
]
