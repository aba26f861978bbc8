"""A linear layer beside a decoder: what few labels teach while the decoder still learns."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from co2s.d2 import ShapeSpec
from co2s.layers import resize

from ..backbone.features import DENSE, SKIP_DEEP, SKIP_SHALLOW
from .base import Head, Hidden, Layers, checked

MAPS = (SKIP_SHALLOW, SKIP_DEEP, DENSE)


class LinearPath(Head):
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
        return self._added(self.decoder(maps, guidance), _joined(maps), self.linear)

    def hidden(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Hidden:
        """The feature is the decoder's; the maps of the backbone stay at their own size."""
        return {**self.own.hidden(maps, guidance), "maps": _joined(maps)}

    def classifier(self) -> dict[str, nn.Module]:
        return {**self.own.classifier(), "linear": self.linear}

    def classify(self, hidden: Hidden, layers: Layers | None = None) -> Tensor:
        layers = layers or self.classifier()
        return self._added(self.own.classify(hidden, layers), hidden["maps"], layers["linear"])

    @property
    def own(self) -> Head:
        """The decoder, where it gives its feature away; else ValueError."""
        return checked(self.decoder)

    @property
    def feature_dim(self) -> int:  # type: ignore[override]
        return self.own.feature_dim

    def _added(self, logits: Tensor, maps: Tensor, linear: nn.Module) -> Tensor:
        return logits + resize(linear(maps), logits.shape[-2:], align_corners=False)


def _joined(maps: dict[str, Tensor]) -> Tensor:
    return torch.cat([maps[name] for name in MAPS], dim=1)
