"""Decoders: backbone maps and class vectors -> one mask for each class."""

from .build import HEAD_REGISTRY, build_head
from .guided_mask import GuidedMaskHead

__all__ = ["HEAD_REGISTRY", "GuidedMaskHead", "build_head"]
