"""The registry of class guidance."""

from torch import nn

from co2s.d2 import CfgNode, Registry

GUIDANCE_REGISTRY = Registry("GUIDANCE")
GUIDANCE_REGISTRY.__doc__ = """
Modules called without arguments that return the class vectors T (N, C_t). They are built from
(student_cfg, num_classes, dim), dim being the channels of the backbone's dense map.
"""


def build_guidance(student_cfg: CfgNode, num_classes: int, dim: int) -> nn.Module:
    """The registered guidance of a student."""
    return GUIDANCE_REGISTRY.get(student_cfg.GUIDANCE.NAME)(student_cfg, num_classes, dim)
