"""The vision-language guided decoder: mask classification, one mask for each class vector."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import CfgNode, ShapeSpec, configurable
from co2s.layers import ClassReasoning, ResidualASPP, Upsample

from ..backbone.features import DENSE, SKIP_DEEP, SKIP_SHALLOW
from .base import Head, Hidden, Layers
from .build import HEAD_REGISTRY

GUIDANCE_DIM = 128  # of the projected class vectors that join the class tokens


@HEAD_REGISTRY.register()
class GuidedMaskHead(Head):
    """Similarity -> spatial reasoning -> class reasoning -> two upsamplings (method section 2).

    From the similarity on, every class is a one-channel map of its own, in a batch of B*N. The
    feature of a pixel is therefore that of all its classes, one after another.
    """

    uses_guidance = True

    @configurable
    def __init__(
        self,
        *,
        input_shape: dict[str, ShapeSpec],
        num_classes: int,
        dim: int = 128,
        embed_gain: float = 1.0,
        dilations: Sequence[int] = (6, 12, 18),
        class_layers: int = 2,
        class_heads: int = 4,
        class_pool: int = 4,
        up_dims: Sequence[int] = (64, 32),
        skip_dims: Sequence[int] = (32, 16),
    ):
        super().__init__()
        channels = {name: shape.channels or 0 for name, shape in input_shape.items()}
        self.embed = nn.Conv2d(1, dim, 7, padding=3)
        # An untrained backbone's similarities hardly differ; a gain makes their difference heard.
        self.embed.weight.data.mul_(embed_gain)
        self.spatial = ResidualASPP(dim, dilations)
        self.project_guidance = nn.Linear(channels[DENSE], GUIDANCE_DIM)
        self.class_layers = nn.ModuleList(
            ClassReasoning(dim, GUIDANCE_DIM, class_heads, class_pool) for _ in range(class_layers)
        )
        self.project_deep = nn.Conv2d(channels[SKIP_DEEP], skip_dims[0], 3, padding=1)
        self.project_shallow = nn.Conv2d(channels[SKIP_SHALLOW], skip_dims[1], 3, padding=1)
        self.up1 = Upsample(dim, up_dims[0], skip_dims[0])
        self.up2 = Upsample(up_dims[0], up_dims[1], skip_dims[1])
        self.predict = nn.Conv2d(up_dims[1], 1, 3, padding=1)
        self.feature_dim = num_classes * up_dims[1]

    @classmethod
    def from_config(
        cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec], num_classes: int
    ) -> dict[str, Any]:
        node = cfg.HEAD
        return {
            "input_shape": input_shape,
            "num_classes": num_classes,
            "dim": node.DIM,
            "embed_gain": node.EMBED_GAIN,
            "dilations": node.DILATIONS,
            "class_layers": node.CLASS_LAYERS,
            "class_heads": node.CLASS_HEADS,
            "class_pool": node.CLASS_POOL,
            "up_dims": node.UP_DIMS,
            "skip_dims": node.SKIP_DIMS,
        }

    def hidden(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Hidden:
        """Maps (B, C, h, w) of the backbone, class vectors (N, C_t) -> feature (B, N*D, 4h, 4w)."""
        assert guidance is not None
        guidance = F.normalize(guidance.to(maps[DENSE].dtype), dim=1)
        similarity = torch.einsum("bchw,nc->bnhw", F.normalize(maps[DENSE], dim=1), guidance)
        b, n = similarity.shape[:2]
        x = self.spatial(self.embed(similarity.reshape(b * n, 1, *similarity.shape[2:])))
        x = x.unflatten(0, (b, n))
        tokens = F.relu(self.project_guidance(guidance))
        for layer in self.class_layers:
            x = layer(x, tokens)
        x = self.up1(x.flatten(0, 1), F.relu(self.project_deep(maps[SKIP_DEEP])))
        x = self.up2(x, F.relu(self.project_shallow(maps[SKIP_SHALLOW])))
        return {"feature": x.reshape(b, -1, *x.shape[-2:])}

    def classifier(self) -> dict[str, nn.Module]:
        return {"predict": self.predict}

    def classify(self, hidden: Hidden, layers: Layers | None = None) -> Tensor:
        """One mask for each class, all by the same layer."""
        x = hidden["feature"]
        by_class = x.reshape(-1, self.predict.in_channels, *x.shape[-2:])
        masks = (layers or self.classifier())["predict"](by_class)
        return masks.view(x.shape[0], -1, *x.shape[-2:])
