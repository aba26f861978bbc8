"""Building a backbone from a student's configuration: registry, weights, what is trained."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from co2s.d2 import BACKBONE_REGISTRY, Backbone, CfgNode

from ..weights import WeightsError, read_metadata

logger = logging.getLogger(__name__)

EXTRA_BANDS = "extra_bands"  # part of the names of parameters that no file has


def build_backbone(student_cfg: CfgNode, bands: int = 3) -> Backbone:
    """The registered backbone of a student, with only its trainable parameters trained.

    A backbone that starts from pretrained weights has `load(model, weights, sha256)`, called when
    nothing initialises the module any more; `to_file()` is its inverse. One that can have layers
    after its last map has `drop_unused()`, called next. For more than three bands the patch
    embedding is extended before all that; the new part is always trained.
    """
    node = student_cfg.BACKBONE
    backbone = BACKBONE_REGISTRY.get(node.NAME)(student_cfg)
    if bands > 3:
        backbone.extend(bands)
        if any(EXTRA_BANDS in name for name, _ in backbone.named_parameters()):
            logger.info(
                "%s: patch embedding extended from 3 to %d bands; the new ones are trained, and "
                "start at zero unless the weights have them",
                node.MODEL,
                bands,
            )
    if node.WEIGHTS:
        backbone.load(node.MODEL, node.WEIGHTS, node.SHA256)
        check_heads(backbone, node.WEIGHTS)
    if hasattr(backbone, "drop_unused"):
        backbone.drop_unused()
    freeze_except(backbone, [*node.TRAINABLE, EXTRA_BANDS])
    return backbone


def heads_of(backbone: nn.Module) -> int:
    """The heads of its attention; 0 where it has none, or none that says so."""
    counts = (getattr(module, "num_heads", 0) for module in backbone.modules())
    return next((int(count) for count in counts if count), 0)


def check_heads(backbone: nn.Module, weights: str) -> None:
    """WeightsError where a file says that it has another number of heads, which no shape shows."""
    said, own = int(read_metadata(weights).get("heads", 0)), heads_of(backbone)
    if said and said != own:
        raise WeightsError(
            f"'{weights}' is of attention of {said} heads, the model has {own}: set BACKBONE.HEADS "
            f"{said}."
        )


def settle(student_cfg: CfgNode) -> None:
    """Write into the configuration what the weights decide, so that a checkpoint of the student
    is read right where their file is not at hand."""
    backbone = BACKBONE_REGISTRY.get(student_cfg.BACKBONE.NAME)
    if hasattr(backbone, "settle"):
        backbone.settle(student_cfg.BACKBONE)


def patch_size(student_cfg: CfgNode) -> int:
    """Side of a student's patches in pixels."""
    return outline(student_cfg).size_divisibility


def outline(student_cfg: CfgNode) -> Backbone:
    """The backbone with one layer and no weights: its shapes, for little time and memory.

    The process's random numbers are left as they are.
    """
    student_cfg = student_cfg.clone()
    student_cfg.defrost()
    student_cfg.BACKBONE.DEPTH, student_cfg.BACKBONE.FEATURES = 1, [0, 0, 0]
    student_cfg.BACKBONE.WEIGHTS = ""  # shapes do not depend on a file, which may not be at hand
    with torch.random.fork_rng(devices=[]):
        return BACKBONE_REGISTRY.get(student_cfg.BACKBONE.NAME)(student_cfg)


def freeze_except(module: nn.Module, name_parts: Sequence[str]) -> None:
    """Train parameters whose name has one of the parts, freeze the others (method section 2)."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(any(part in name for part in name_parts))
