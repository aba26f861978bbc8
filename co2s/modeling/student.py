"""A student: normalise, backbone, neck, guidance, head. Inference needs nothing more."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from co2s.d2 import Backbone, CfgNode
from co2s.layers import Translators, resize

from .backbone import DENSE, build_backbone, padded_size, settle
from .backbone.extra_bands import extend_statistics
from .backbone.features import pad_to_multiple
from .execution import autocast, compile_student, precisions, recompute
from .guidance import FROM_CHECKPOINT, TextPrototypes, build_guidance
from .guidance.text import wanted_record
from .heads import Head, Hidden, Layers, build_head, check_guidance, checked
from .metadata import declared_classes, num_bands, num_classes

logger = logging.getLogger(__name__)


class Student(nn.Module):
    """One segmentation network (docs/method.md section 2).

    The backbone pads its input on the right and bottom to a multiple of its `size_divisibility`.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        backbone: Backbone,
        guidance: nn.Module,
        head: nn.Module,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        logits_size: int = 0,
        precisions: Mapping[str, torch.dtype | None] = MappingProxyType({}),
        neck: Translators | None = None,
    ):
        """precisions: the type that "backbone" and "head" compute in, where it is not float32.

        neck: of the dense map, before the decoder sees it; it computes in the type of the head.
        """
        super().__init__()
        self.backbone, self.guidance, self.head = backbone, guidance, head
        self.neck, self.logits_size = neck, logits_size
        self.precisions = dict(precisions)
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) in 0..255 -> the backbone's maps, as the neck leaves them.

        With a neck "translated0", ... are what it tells of the teachers' maps; no decoder reads
        them.
        """
        with autocast(images, self.precisions.get("backbone")):
            maps = self.backbone(self.normalize(images))
        if self.neck is None:
            return maps
        with autocast(images, self.precisions.get("head")):
            fused, told = self.neck(self._given(maps)[DENSE])
        return {**maps, DENSE: fused, **{translated(i): x for i, x in enumerate(told)}}

    def normalize(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in 0..255 -> the backbone's input."""
        return (images.float() - self.pixel_mean) / self.pixel_std

    def decode(self, maps: dict[str, Tensor], size: Sequence[int]) -> Tensor:
        """The backbone's maps of images of a size (H, W) -> logits (B, N, H, W).

        They are resized to the size that the maps cover, padding included, and then cut, so that
        every pixel keeps its place. With `logits_size` they are squeezed onto the image instead,
        by way of a square of that side, as in the authors' release (section 8).
        """
        with autocast(self.pixel_mean, self.precisions.get("head")):
            logits = self.head(self._given(maps), self.guidance()).float()
        return self._to_pixels(logits, size)

    def hidden(self, maps: dict[str, Tensor]) -> Hidden:
        """What the last layers of the decoder read; "feature" (B, D, h', w') is its last map.

        It covers the padded image. ValueError for a decoder that is no `Head`.
        """
        with autocast(self.pixel_mean, self.precisions.get("head")):
            return self.decoder.hidden(self._given(maps), self.guidance())

    def classify(self, hidden: Hidden, size: Sequence[int], layers: Layers | None = None) -> Tensor:
        """What `hidden` gives -> logits (B, N, H, W), as `decode`; layers: instead of its own."""
        with autocast(self.pixel_mean, self.precisions.get("head")):
            logits = self.decoder.classify(hidden, layers).float()
        return self._to_pixels(logits, size)

    def at_cells(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Values (B, C, H, W) of an image's pixels at the cells of its feature, of a size (h', w').

        Each cell has the value of the pixel at its centre, and 0 where that is padding.
        """
        x = pad_to_multiple(x, self.backbone.size_divisibility)
        return F.interpolate(x, tuple(size), mode="nearest-exact")

    @property
    def decoder(self) -> Head:
        return checked(self.head)

    def _given(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """The maps in the type that the decoder takes."""
        if self.precisions.get("head"):
            return maps
        return {name: x.float() for name, x in maps.items()}

    def _to_pixels(self, logits: Tensor, size: Sequence[int]) -> Tensor:
        """Logits at the decoder's size -> (B, N, H, W)."""
        if self.logits_size:
            logits = resize(logits, (self.logits_size, self.logits_size), align_corners=False)
            return resize(logits, size, align_corners=False)
        height, width = size
        padded = padded_size(size, self.backbone.size_divisibility)
        return resize(logits, padded, align_corners=False)[..., :height, :width]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in 0..255 -> logits (B, N, H, W)."""
        return self.decode(self.features(images), images.shape[-2:])


def translated(number: int) -> str:
    """The name of what a neck tells of the map of a teacher, counted from 0."""
    return f"translated{number}"


def build_student(cfg: CfgNode, student_cfg: CfgNode) -> Student:
    """A student from its node of the configuration.

    With MODEL.WEIGHTS a checkpoint brings everything: pretrained files are not asked for then, and
    its text prototypes must have been made for the dataset of the configuration. A file in
    GUIDANCE.PROTOTYPES goes before those of the checkpoint.
    """
    if cfg.MODEL.WEIGHTS:
        given = student_cfg.GUIDANCE.PROTOTYPES
        student_cfg = without_pretraining(student_cfg)
        student_cfg.GUIDANCE.PROTOTYPES = given_or_checkpoint(given)
    check_guidance(student_cfg)
    classes, bands = num_classes(cfg), num_bands(cfg)
    backbone = build_backbone(student_cfg, bands)
    shapes = backbone.output_shape()
    dim = shapes[DENSE].channels
    assert dim is not None
    guidance = build_guidance(student_cfg, classes, dim)
    if isinstance(guidance, TextPrototypes):
        declared = declared_classes(cfg)
        guidance.expect(declared.dataset, wanted_record(declared, student_cfg))
    student = Student(
        backbone=backbone,
        guidance=guidance,
        head=build_head(student_cfg, shapes, classes),
        pixel_mean=extend_statistics(cfg.MODEL.PIXEL_MEAN, bands, "MODEL.PIXEL_MEAN"),
        pixel_std=extend_statistics(cfg.MODEL.PIXEL_STD, bands, "MODEL.PIXEL_STD"),
        logits_size=student_cfg.LOGITS_SIZE,
        precisions=precisions(cfg),
        neck=build_neck(student_cfg.NECK, dim),
    )
    return executed(cfg, student)


def build_neck(node: CfgNode, channels: int) -> Translators | None:
    """The neck of a student whose dense map has so many channels; None: it has none."""
    if not node.DIMS:
        return None
    return Translators(channels, node.DIMS, node.HIDDEN, node.KEPT, node.ADDED)


def executed(cfg: CfgNode, student: Student) -> Student:
    """The student, recomputing and compiled as the configuration has it."""
    recompute(student, cfg.MODEL.ACTIVATION_CHECKPOINTING)
    if cfg.MODEL.COMPILE:
        compile_student(student)
    return student


def without_pretraining(student_cfg: CfgNode) -> CfgNode:
    """A copy of a student's configuration that reads no pretrained file, prototypes included."""
    student_cfg = without_weights(student_cfg)
    student_cfg.GUIDANCE.PROTOTYPES = FROM_CHECKPOINT
    return student_cfg


def without_weights(node: CfgNode) -> CfgNode:
    """A copy of a node with a BACKBONE that reads no pretrained file.

    What that file decides, CLIP's activation, stays as far as it can be known without it.
    """
    node = node.clone()
    node.defrost()
    with suppress(FileNotFoundError):
        settle(node)
    node.BACKBONE.WEIGHTS = node.BACKBONE.SHA256 = ""
    return node


def given_or_checkpoint(prototypes: str) -> str:
    """GUIDANCE.PROTOTYPES where the file is there, else the word for those of the checkpoint.

    A config.yaml names the file that its run made, which need not travel with the checkpoint.
    """
    if Path(prototypes).is_file():
        return prototypes
    if prototypes not in ("", FROM_CHECKPOINT):
        logger.warning(
            "GUIDANCE.PROTOTYPES '%s' is not there: those of the checkpoint are used.", prototypes
        )
    return FROM_CHECKPOINT
