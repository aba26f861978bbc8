"""Colour statistics of patches: what can be had without a network."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from co2s.d2 import BACKBONE_REGISTRY, Backbone, CfgNode, ShapeSpec, configurable

from .extra_bands import RGB
from .features import DENSE, SKIP_DEEP, SKIP_SHALLOW, pad_to_multiple

PATCH_SIZE = 16  # where BACKBONE.PATCH_SIZE is 0


@BACKBONE_REGISTRY.register()
class ColorStatistics(Backbone):
    """Mean and standard deviation of every band in each patch; all three maps are the same one.

    It has no parameters. Of a patch that the image does not fill only the pixels that are there
    count.
    """

    @configurable
    def __init__(self, *, patch_size: int = PATCH_SIZE):
        super().__init__()
        self.patch_size, self.bands = patch_size, RGB

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return {"patch_size": cfg.BACKBONE.PATCH_SIZE or PATCH_SIZE}

    def load(self, model: str, weights: str, sha256: str) -> None:
        """ValueError: there is nothing to load."""
        raise ValueError(
            f"BACKBONE.NAME ColorStatistics has no parameters, and BACKBONE.WEIGHTS is '{weights}'."
            " Set it to ''."
        )

    def extend(self, bands: int) -> None:
        """Take images of more than three bands."""
        self.bands = bands

    @property
    def size_divisibility(self) -> int:
        return self.patch_size

    def output_shape(self) -> dict[str, ShapeSpec]:
        shape = ShapeSpec(channels=2 * self.bands, stride=self.patch_size)
        return dict.fromkeys((SKIP_SHALLOW, SKIP_DEEP, DENSE), shape)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (B, C, H, W) -> the means, then the deviations: (B, 2C, h, w)."""
        there = self._pooled(torch.ones_like(images[:1, :1]))
        mean = self._pooled(images) / there
        spread = F.interpolate(mean, scale_factor=self.patch_size, mode="nearest")
        spread = (images - spread[..., : images.shape[-2], : images.shape[-1]]).square()
        features = torch.cat([mean, (self._pooled(spread) / there).sqrt()], dim=1)
        return dict.fromkeys((SKIP_SHALLOW, SKIP_DEEP, DENSE), features)

    def _pooled(self, x: Tensor) -> Tensor:
        """The sum over each patch, divided by the pixels of a whole one."""
        return F.avg_pool2d(pad_to_multiple(x, self.patch_size), self.patch_size)
