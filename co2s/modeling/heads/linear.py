"""A linear classifier of patches: the least that a decoder can be."""

from typing import Any

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode, ShapeSpec, configurable

from ..backbone.features import DENSE
from .base import Head, Hidden, Layers
from .build import HEAD_REGISTRY


@HEAD_REGISTRY.register()
class LinearHead(Head):
    """One 1 x 1 convolution on the dense map.

    It uses no class vectors: GUIDANCE.NAME must be NoGuidance.
    """

    uses_guidance = False

    @configurable
    def __init__(self, *, channels: int, num_classes: int):
        super().__init__()
        self.predict = nn.Conv2d(channels, num_classes, 1)
        self.feature_dim = channels

    @classmethod
    def from_config(
        cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec], num_classes: int
    ) -> dict[str, Any]:
        return {"channels": input_shape[DENSE].channels, "num_classes": num_classes}

    @torch.no_grad()
    def fill(self, weight: Tensor, bias: Tensor) -> None:
        """Take the weight (N, C) and bias (N,) of a fitted layer."""
        self.predict.weight.copy_(weight[..., None, None])
        self.predict.bias.copy_(bias)  # type: ignore[union-attr]

    def hidden(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Hidden:
        """The dense map (B, C, h, w) of the backbone is the feature."""
        return {"feature": maps[DENSE]}

    def classifier(self) -> dict[str, nn.Module]:
        return {"predict": self.predict}

    def classify(self, hidden: Hidden, layers: Layers | None = None) -> Tensor:
        return (layers or self.classifier())["predict"](hidden["feature"])
