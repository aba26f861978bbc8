"""A linear layer beside a decoder: what few labels teach while the decoder still learns."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from co2s.d2 import ShapeSpec
from co2s.layers import resize

from ..backbone.features import DENSE, SKIP_DEEP, SKIP_SHALLOW

MAPS = (SKIP_SHALLOW, SKIP_DEEP, DENSE)


class LinearPath(nn.Module):
    """The logits of a decoder plus those of one linear layer on all three maps of the backbone.

    The layer starts at zero, so that the student starts as it would without it. It is not part of
    the paper's decoder; projects/Co2S/recipe.md says what it gives.
    """

    def __init__(self, decoder: nn.Module, input_shape: Mapping[str, ShapeSpec], num_classes: int):
        super().__init__()
        self.decoder = decoder
        self.linear = nn.Conv2d(sum(input_shape[m].channels or 0 for m in MAPS), num_classes, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)  # type: ignore[arg-type]

    def forward(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Tensor:
        """Maps (B, C, h, w), class vectors (N, C_t) -> logits (B, N, h', w') as the decoder's."""
        logits = self.decoder(maps, guidance)
        linear = self.linear(torch.cat([maps[name] for name in MAPS], dim=1))
        return logits + resize(linear, logits.shape[-2:], align_corners=False)
