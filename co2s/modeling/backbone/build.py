"""Building a backbone from a student's configuration: registry, weights, what is trained."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from co2s.d2 import BACKBONE_REGISTRY, Backbone, CfgNode


def build_backbone(student_cfg: CfgNode) -> Backbone:
    """The registered backbone of a student, with only its trainable parameters trained."""
    node = student_cfg.BACKBONE
    backbone = BACKBONE_REGISTRY.get(node.NAME)(student_cfg)
    freeze_except(backbone, node.TRAINABLE)
    return backbone


def freeze_except(module: nn.Module, name_parts: Sequence[str]) -> None:
    """Train parameters whose name has one of the parts, freeze the others (method section 2)."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(part in name for part in name_parts))


def load_weights(module: nn.Module, path: str) -> None:
    """Load a local state-dict file strictly, without executing pickled code.

    Raises FileNotFoundError where there is no file, RuntimeError with the keys that differ.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"Backbone weights {path!r}: no such file. Give a local state dict."
        )
    module.load_state_dict(_read(path), strict=True)


def _read(path: str) -> dict[str, Tensor]:
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
