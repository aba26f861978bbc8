"""Registries of backbones and whole models, and how a model is built from a cfg."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fvcore.common.registry import Registry
from torch import nn

from .config import CfgNode
from .shape_spec import ShapeSpec

BACKBONE_REGISTRY = Registry("BACKBONE")
META_ARCH_REGISTRY = Registry("META_ARCH")


class Backbone(nn.Module, metaclass=ABCMeta):
    """A network from images to named feature maps; `output_shape` tells their shapes beforehand."""

    _out_features: Sequence[str]
    _out_feature_channels: Mapping[str, int]
    _out_feature_strides: Mapping[str, int]

    def __init__(self) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Feature name -> tensor `(B, channels, h, w)`, from images `(B, C, H, W)`."""

    @property
    def size_divisibility(self) -> int:
        """Height and width must be multiples of this many pixels; 0: any size."""
        return 0

    @property
    def padding_constraints(self) -> dict[str, int]:
        """More about padding, for `ImageList.from_tensors`."""
        return {}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Feature name -> shape, from the three attributes above; or override it."""
        return {
            name: ShapeSpec(
                channels=self._out_feature_channels[name], stride=self._out_feature_strides[name]
            )
            for name in self._out_features
        }


def build_model(cfg: CfgNode) -> nn.Module:
    """The model `cfg.MODEL.META_ARCHITECTURE` on `cfg.MODEL.DEVICE`, without loaded weights."""
    model = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)
    model.to(torch.device(cfg.MODEL.DEVICE))
    return model
