"""MaskedImageModeling: backbones that learn to tell what lies in hidden patches."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.layers import hidden_squares
from co2s.semi import normalized_patches, reconstruction_loss

from ..backbone import DENSE
from ..execution import autocast
from .encoders import Projection
from .pretraining import Masks, Pretraining
from .stacking import Unlabeled


@method_config
def add_mim_config(cfg: CfgNode) -> None:
    cfg.MODEL.MIM = CfgNode()
    cfg.MODEL.MIM.HIDDEN = 0.6  # share of the crop that is hidden
    cfg.MODEL.MIM.SQUARE = 0  # side in pixels of what is hidden together; 0: a student's patch


@META_ARCH_REGISTRY.register()
class MaskedImageModeling(Pretraining):
    """L = |linear(dense map) - pixels|, mean over hidden, valid pixels; patches normalised.

    As in SimMIM (arXiv 2111.09886), with the targets of MAE (arXiv 2111.06377). A hidden pixel of
    the normalised weak view is replaced by a learned value of its band: backbones take images, so
    none has to know of masks. What is hidden depends on the item's seed and the student alone.
    """

    @configurable
    def __init__(self, *, hidden: float, square: int, **base: Any):
        """hidden: share of the crop; square: side in pixels, 0 for each student's patch."""
        super().__init__(**base)
        self.hidden = hidden
        self.projections, self.fill = nn.ModuleDict(), nn.ParameterDict()
        self.squares: dict[str, int] = {}
        for name, student in self.encoders.items():
            shape = student.backbone.output_shape()[DENSE]
            self.squares[name] = square or shape.stride
            check_square(self.squares[name], shape.stride, name)
            pixels = self.num_bands * shape.stride**2
            self.projections[name] = Projection(shape.channels, pixels)
            self.fill[name] = nn.Parameter(torch.zeros(self.num_bands))

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.MIM
        return super().from_config(cfg) | {"hidden": node.HIDDEN, "square": node.SQUARE}

    @classmethod
    def settle(cls, cfg: CfgNode) -> None:
        super().settle(cfg)
        if not 0 < cfg.MODEL.MIM.HIDDEN < 1:
            raise ValueError(
                f"MODEL.MIM.HIDDEN is {cfg.MODEL.MIM.HIDDEN}; it is a share of the crop, between 0 "
                "and 1: something must be seen, and something told."
            )

    def masks(self, u: Unlabeled) -> dict[str, Tensor]:
        return {name: self.hidden_of(name, u) & u.valid for name in self.students}

    def hidden_of(self, name: str, u: Unlabeled) -> Tensor:
        """(B, S, S) bool: what a student does not see."""
        number = [*self.students].index(name)
        size = u.weak.shape[-2:]
        squares = hidden_squares(size, self.squares[name], self.hidden, u.seeds, number)
        return squares.to(u.weak.device, non_blocking=True)

    def terms(self, u: Unlabeled, masks: Masks, n: Masks) -> dict[str, Tensor]:
        losses = {}
        for name, student in self.encoders.items():
            images = student.normalize(u.weak)
            predicted = self.reconstructed(name, images, self.hidden_of(name, u))
            target = normalized_patches(images, u.valid, self.patch(name))
            loss = reconstruction_loss(predicted, target, masks[name], n[name])
            losses[f"loss_hidden_{name}"] = loss
        return losses

    def reconstructed(self, name: str, images: Tensor, hidden: Tensor) -> Tensor:
        """What a student makes of normalised images (B, C, S, S), whose hidden pixels it misses."""
        student = self.encoders[name]
        seen = torch.where(hidden[:, None], self.fill[name].view(-1, 1, 1), images)
        with autocast(images, student.precisions.get("backbone")):
            dense = student.backbone(seen)[DENSE]
        pixels = F.pixel_shuffle(self.projections[name](dense), self.patch(name))
        return pixels[..., : images.shape[-2], : images.shape[-1]]

    def patch(self, name: str) -> int:
        """Pixels from one position of a student's dense map to the next."""
        return self.encoders[name].backbone.output_shape()[DENSE].stride


def check_square(square: int, patch: int, name: str) -> None:
    """ValueError where a patch would be hidden in part."""
    if square < 1 or square % patch:
        raise ValueError(
            f"MODEL.MIM.SQUARE is {square}; it must be whole patches of {patch} pixels of "
            f"MODEL.{name.upper()}, or 0 for its patch."
        )
