"""Encoders: what pretraining has of a student, the way from an image to its maps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import Backbone, CfgNode

from ..backbone import DENSE, build_backbone
from ..backbone.extra_bands import extend_statistics
from ..execution import precisions
from ..metadata import num_bands
from ..student import Student, executed, without_weights


def build_encoder(cfg: CfgNode, node: CfgNode) -> Student:
    """A student without guidance and head: what brings an image to its maps.

    Only what the dense map depends on is trained, of what BACKBONE.TRAINABLE asks for: other
    parameters get no gradient, for which DistributedDataParallel would wait. With MODEL.WEIGHTS a
    checkpoint brings everything, and no pretrained file is asked for.
    """
    bands = num_bands(cfg)
    mean = extend_statistics(cfg.MODEL.PIXEL_MEAN, bands, "MODEL.PIXEL_MEAN")
    std = extend_statistics(cfg.MODEL.PIXEL_STD, bands, "MODEL.PIXEL_STD")
    backbone = build_backbone(without_weights(node) if cfg.MODEL.WEIGHTS else node, bands)
    freeze_unreached(backbone, bands)
    return as_student(cfg, backbone, mean, std)


def as_student(
    cfg: CfgNode, backbone: Backbone, mean: Sequence[float], std: Sequence[float]
) -> Student:
    """A backbone that takes images in 0..255, in the precision of the configuration."""
    encoder = Student(
        backbone=backbone,
        guidance=nn.Identity(),
        head=nn.Identity(),
        pixel_mean=mean,
        pixel_std=std,
        precisions=precisions(cfg),
    )
    return executed(cfg, encoder)


def freeze_unreached(backbone: Backbone, bands: int) -> None:
    """Train no parameter that the dense map does not depend on."""
    trained = [p for p in backbone.parameters() if p.requires_grad]
    side = 2 * (backbone.size_divisibility or 32)
    mode = backbone.training
    with torch.enable_grad():
        dense = backbone.eval()(torch.zeros(1, bands, side, side))[DENSE]
    backbone.train(mode)
    if not trained or not dense.requires_grad:
        raise ValueError(
            "Nothing of a backbone is trained: BACKBONE.TRAINABLE names no parameter that its "
            'dense map depends on. Set it to [""] for all of them.'
        )
    found = torch.autograd.grad(dense.sum(), trained, allow_unused=True)
    for parameter, gradient in zip(trained, found, strict=True):
        parameter.requires_grad_(gradient is not None)


class Projection(nn.Module):
    """A linear layer on a map (B, C, h, w) -> (B, out, h, w), each position brought to one scale.

    The maps of different backbones are not on one: CLIP's are unit vectors. The normalisation has
    no parameters, so that all that is learned is the backbone's or linear.
    """

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.linear = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.float().movedim(1, -1), x.shape[1:2]).movedim(-1, 1)
        return self.linear(x)
