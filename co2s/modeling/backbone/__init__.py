"""Backbones: image -> dense map and two skip maps, registered by name."""

from .beit_vit import BeitViT
from .build import build_backbone, freeze_except, heads_of, outline, patch_size, settle
from .clip_vit import CLIPViT
from .color_statistics import ColorStatistics
from .features import DENSE, SKIP_DEEP, SKIP_SHALLOW, padded_size
from .timm_vit import TimmViT

__all__ = [
    "DENSE",
    "SKIP_DEEP",
    "SKIP_SHALLOW",
    "BeitViT",
    "CLIPViT",
    "ColorStatistics",
    "TimmViT",
    "build_backbone",
    "freeze_except",
    "heads_of",
    "outline",
    "padded_size",
    "patch_size",
    "settle",
]
