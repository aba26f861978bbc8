"""Implicit guidance: learnable class queries."""

from typing import Any

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable

from .build import GUIDANCE_REGISTRY


@GUIDANCE_REGISTRY.register()
class LearnableQueries(nn.Module):
    """One trained vector for each class, initialised normal(0, std) (method section 2)."""

    @configurable
    def __init__(self, *, num_classes: int, dim: int, std: float = 0.02):
        super().__init__()
        self.queries = nn.Parameter(torch.empty(num_classes, dim).normal_(0.0, std))

    @classmethod
    def from_config(cls, cfg: CfgNode, num_classes: int, dim: int) -> dict[str, Any]:
        return {"num_classes": num_classes, "dim": dim, "std": cfg.GUIDANCE.INIT_STD}

    def forward(self) -> Tensor:
        return self.queries
