"""A student: normalise, backbone, guidance, head. Inference needs nothing more."""

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode, MetadataCatalog
from co2s.layers import resize

from .backbone import DENSE, build_backbone, settle
from .backbone.extra_bands import extend_statistics
from .guidance import FROM_CHECKPOINT, build_guidance
from .heads import build_head, check_guidance


class Student(nn.Module):
    """One segmentation network of the pair (method section 2)."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        backbone: nn.Module,
        guidance: nn.Module,
        head: nn.Module,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        logits_size: int = 0,
    ):
        super().__init__()
        self.backbone, self.guidance, self.head = backbone, guidance, head
        self.logits_size = logits_size
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) in 0..255 -> the backbone's maps."""
        return self.backbone(self.normalize(images))

    def normalize(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in 0..255 -> the backbone's input."""
        return (images.float() - self.pixel_mean) / self.pixel_std

    def decode(self, maps: dict[str, Tensor], size: Sequence[int]) -> Tensor:
        """The backbone's maps -> logits (B, N, *size).

        With `logits_size` they pass a square of that side first (method section 8).
        """
        logits = self.head(maps, self.guidance())
        if self.logits_size:
            logits = resize(logits, (self.logits_size, self.logits_size), align_corners=False)
        return resize(logits, size, align_corners=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in 0..255 -> logits (B, N, H, W)."""
        return self.decode(self.features(images), images.shape[-2:])


def build_student(cfg: CfgNode, student_cfg: CfgNode) -> Student:
    """A student from its node of the configuration.

    With MODEL.WEIGHTS a checkpoint brings everything: pretrained files are not asked for then.
    """
    if cfg.MODEL.WEIGHTS:
        student_cfg = without_pretraining(student_cfg)
    check_guidance(student_cfg)
    classes, bands = num_classes(cfg), num_bands(cfg)
    backbone = build_backbone(student_cfg, bands)
    shapes = backbone.output_shape()
    dim = shapes[DENSE].channels
    assert dim is not None
    return Student(
        backbone=backbone,
        guidance=build_guidance(student_cfg, classes, dim),
        head=build_head(student_cfg, shapes, classes),
        pixel_mean=extend_statistics(cfg.MODEL.PIXEL_MEAN, bands, "MODEL.PIXEL_MEAN"),
        pixel_std=extend_statistics(cfg.MODEL.PIXEL_STD, bands, "MODEL.PIXEL_STD"),
        logits_size=student_cfg.LOGITS_SIZE,
    )


def without_pretraining(student_cfg: CfgNode) -> CfgNode:
    """A copy of a student's configuration that reads no pretrained file.

    What those files decide, CLIP's activation, stays as far as it can be known without them.
    """
    student_cfg = student_cfg.clone()
    student_cfg.defrost()
    with suppress(FileNotFoundError):
        settle(student_cfg)
    student_cfg.BACKBONE.WEIGHTS = student_cfg.BACKBONE.SHA256 = ""
    student_cfg.GUIDANCE.PROTOTYPES = FROM_CHECKPOINT
    return student_cfg


def num_bands(cfg: CfgNode) -> int:
    """MODEL.NUM_BANDS, or as many as the first dataset of the configuration has; else 3."""
    names = (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST)
    declared = (MetadataCatalog.get(name).get("num_bands", 0) for name in names)
    return cfg.MODEL.NUM_BANDS or next((bands for bands in declared if bands), 3)


def num_classes(cfg: CfgNode) -> int:
    """MODEL.NUM_CLASSES, or as many as the first dataset of the configuration declares."""
    if cfg.MODEL.NUM_CLASSES:
        return cfg.MODEL.NUM_CLASSES
    for name in (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST):
        classes = MetadataCatalog.get(name).get("stuff_classes", ())
        if classes:
            return len(classes)
    raise ValueError(
        f"MODEL.NUM_CLASSES is 0 and none of DATASETS.LABELED {cfg.DATASETS.LABELED} and "
        f"DATASETS.TEST {cfg.DATASETS.TEST} declares classes. Set the one or name the other."
    )
