"""The registry of decoders."""

from torch import nn

from co2s.d2 import CfgNode, Registry, ShapeSpec

HEAD_REGISTRY = Registry("HEAD")
HEAD_REGISTRY.__doc__ = """
Modules called with (maps of the backbone, class vectors (N, C_t)) that return logits
(B, N, h', w') at a size of their own. They are built from (student_cfg, output_shape of the
backbone, num_classes).
"""


def build_head(
    student_cfg: CfgNode, input_shape: dict[str, ShapeSpec], num_classes: int
) -> nn.Module:
    """The registered decoder of a student."""
    return HEAD_REGISTRY.get(student_cfg.HEAD.NAME)(student_cfg, input_shape, num_classes)
