"""A DeepLabV3+-style decoder: the plain alternative to the guided one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode, ShapeSpec, configurable
from co2s.layers import ASPP, conv_norm_relu, resize

from ..backbone.features import DENSE, SKIP_SHALLOW
from .base import Head, Hidden, Layers
from .build import HEAD_REGISTRY

UPSAMPLING = 4  # as the guided decoder: a ViT's maps are all at 1/16, its logits at 1/4


@HEAD_REGISTRY.register()
class DeepLabV3PlusHead(Head):
    """ASPP on the dense map, joined by the shallow skip, classified pixel by pixel.

    Of the configuration it reads HEAD.DIM, HEAD.DILATIONS and the second of HEAD.SKIP_DIMS, the
    channels of the shallow skip. It uses no class vectors: GUIDANCE.NAME must be NoGuidance.
    Design: Chen et al., "Encoder-Decoder with Atrous Separable Convolution" (DeepLabV3+, 2018).
    """

    uses_guidance = False

    @configurable
    def __init__(
        self,
        *,
        input_shape: dict[str, ShapeSpec],
        num_classes: int,
        dim: int = 128,
        dilations: Sequence[int] = (6, 12, 18),
        skip_dim: int = 16,
    ):
        super().__init__()
        channels = {name: shape.channels or 0 for name, shape in input_shape.items()}
        # GroupNorm in the place of DeepLab's BatchNorm: all views of a step share one pass, and
        # with batch statistics the strong and dropped-out ones would change the others' features.
        self.spatial = ASPP(channels[DENSE], dim, dilations)
        self.project_shallow = conv_norm_relu(channels[SKIP_SHALLOW], skip_dim, 1)
        self.fuse = nn.Sequential(
            conv_norm_relu(dim + skip_dim, dim, 3), conv_norm_relu(dim, dim, 3)
        )
        self.predict = nn.Conv2d(dim, num_classes, 1)
        self.feature_dim = dim

    @classmethod
    def from_config(
        cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec], num_classes: int
    ) -> dict[str, Any]:
        return {
            "input_shape": input_shape,
            "num_classes": num_classes,
            "dim": cfg.HEAD.DIM,
            "dilations": cfg.HEAD.DILATIONS,
            "skip_dim": cfg.HEAD.SKIP_DIMS[1],
        }

    def hidden(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Hidden:
        """Maps (B, C, h, w) of the backbone -> the feature (B, D, 4h, 4w)."""
        h, w = maps[DENSE].shape[-2:]
        parts = self.spatial(maps[DENSE]), self.project_shallow(maps[SKIP_SHALLOW])
        size = (UPSAMPLING * h, UPSAMPLING * w)
        x = torch.cat([resize(part, size, align_corners=False) for part in parts], dim=1)
        return {"feature": self.fuse(x)}

    def classifier(self) -> dict[str, nn.Module]:
        return {"predict": self.predict}

    def classify(self, hidden: Hidden, layers: Layers | None = None) -> Tensor:
        return (layers or self.classifier())["predict"](hidden["feature"])
