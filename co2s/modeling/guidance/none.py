"""No guidance: for a decoder that classifies pixels without class vectors."""

from typing import Any

from torch import nn

from co2s.d2 import CfgNode, configurable

from .build import GUIDANCE_REGISTRY


@GUIDANCE_REGISTRY.register()
class NoGuidance(nn.Module):
    """Gives no class vectors; goes with DeepLabV3PlusHead and LinearHead only."""

    gives_vectors = False

    @configurable
    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def from_config(cls, cfg: CfgNode, num_classes: int, dim: int) -> dict[str, Any]:
        return {}

    def forward(self) -> None:
        return None
