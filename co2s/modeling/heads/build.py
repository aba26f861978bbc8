"""The registry of decoders, and which guidance goes with which."""

from torch import nn

from co2s.d2 import CfgNode, Registry, ShapeSpec

from ..guidance.build import GUIDANCE_REGISTRY
from .linear_path import LinearPath

HEAD_REGISTRY = Registry("HEAD")
HEAD_REGISTRY.__doc__ = """
Modules called with (maps of the backbone, class vectors (N, C_t)) that return logits
(B, N, h', w') at a size of their own. They are built from (student_cfg, output_shape of the
backbone, num_classes). One that never reads the class vectors says `uses_guidance = False`.
"""


def build_head(
    student_cfg: CfgNode, input_shape: dict[str, ShapeSpec], num_classes: int
) -> nn.Module:
    """The registered decoder of a student, with HEAD.LINEAR_PATH a linear layer beside it."""
    decoder = HEAD_REGISTRY.get(student_cfg.HEAD.NAME)(student_cfg, input_shape, num_classes)
    if not student_cfg.HEAD.LINEAR_PATH:
        return decoder
    return LinearPath(decoder, input_shape, num_classes)


def check_guidance(student_cfg: CfgNode) -> None:
    """Raise ValueError where the head needs class vectors that the guidance lacks, or the reverse.

    Vectors that no head reads would be stored and counted, and never trained.
    """
    head, guidance = student_cfg.HEAD.NAME, student_cfg.GUIDANCE.NAME
    uses = getattr(HEAD_REGISTRY.get(head), "uses_guidance", True)
    gives = getattr(GUIDANCE_REGISTRY.get(guidance), "gives_vectors", True)
    if uses and not gives:
        raise ValueError(
            f"HEAD.NAME {head!r} compares the features with class vectors, and GUIDANCE.NAME "
            f"{guidance!r} gives none. Set GUIDANCE.NAME to LearnableQueries or TextPrototypes, or "
            "HEAD.NAME to DeepLabV3PlusHead or LinearHead."
        )
    if gives and not uses:
        raise ValueError(
            f"HEAD.NAME {head!r} reads no class vectors, so those of GUIDANCE.NAME {guidance!r} "
            "would never be used or trained. Set GUIDANCE.NAME to NoGuidance, or HEAD.NAME to "
            "GuidedMaskHead."
        )
