"""RS-MTDF (arXiv 2506.08772): FixMatch whose students tell, and use, what frozen models would see.

An averaged teacher labels (MODEL.EMA_DECAY 0.996). Frozen foundation models teach their maps in
training alone: what a student tells of them stays with it.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.layers import same_scale, to_grid
from co2s.semi import map_error, mean_counts, pseudo_label_loss, supervised_loss
from co2s.structures import Batch, PseudoLabel, Views

from ..backbone import padded_size, settle
from ..metadata import num_bands
from ..student import translated
from ..weights import local_file
from .base import Method, add_threshold_config
from .foundations import NODE, Frozen, add_teacher, build_frozen, frozen_nodes, name_dims
from .frozen_teacher import check_bands
from .stacking import Labeled

CLIP_MEAN, CLIP_STD = [122.771, 116.746, 104.094], [68.501, 66.632, 70.323]


@method_config
def add_rs_mtdf_config(cfg: CfgNode) -> None:
    cfg.MODEL.RSMTDF = CfgNode()
    node = cfg.MODEL.RSMTDF
    add_threshold_config(node)
    node.TEACHERS = ("dino", "clip")  # the frozen ones; each has the node of its name, in capitals
    node.SAME_SCALE = True  # their maps have mean 0 and variance 1 at every position; False: raw
    add_teacher(node, "DINO", "TimmViT", "vit_base_patch14_dinov2", "lvd142m")
    add_teacher(node, "CLIP", "CLIPViT", "ViT-L-14-quickgelu", "openai", 224, CLIP_MEAN, CLIP_STD)


@META_ARCH_REGISTRY.register()
class RSMTDF(Method):
    """L = (CE(x, y) + CE(strong, sure labels of weak) + L_dis) / 3, for each student alone.

    L_dis, the mean over the frozen teachers of the squared error of their map as a student's neck
    tells it (`Translators`), on labelled images and strong views. The neck is part of the student,
    and the frozen teachers are of nothing: no checkpoint has them, and no prediction asks for them.
    """

    ema_decay = 0.996

    @configurable
    def __init__(
        self,
        *,
        build_frozen: Callable[[], list[Frozen]],
        same_scale: bool = True,
        **base: Any,
    ):
        """build_frozen: makes the frozen teachers, images (B, C, S, S) -> map (B, D, h, w) each.

        It is called by the first step of a training.
        """
        super().__init__(**base)
        self.build_frozen, self.same_scale = build_frozen, same_scale
        self.frozen: list[Frozen] = []

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        cfg = cfg.clone()
        cfg.defrost()
        name_dims(cfg)
        node = cfg.MODEL.RSMTDF
        return super().from_config(cfg) | {
            "thresholds": cls.thresholds_of(cfg, node),
            "build_frozen": partial(build_frozen, cfg),
            "same_scale": node.SAME_SCALE,
        }

    @classmethod
    def settle(cls, cfg: CfgNode) -> None:
        super().settle(cfg)
        for name, node in frozen_nodes(cfg).items():
            check_bands(node.BANDS, num_bands(cfg), f"{NODE}.{name.upper()}.BANDS")
            with suppress(FileNotFoundError):  # that a training needs it `views` will say
                settle(node)
        name_dims(cfg)

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        for node in frozen_nodes(cfg).values():  # here, as only a training needs them
            local_file(node.BACKBONE.WEIGHTS)
        return Views(strong=1, cutmix=True, partner=cfg.DATALOADER.CUTMIX_PARTNER)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        n = batch.get("counts") or mean_counts(x.masks | u.masks)
        images = torch.cat([x.images, *u.strong])
        mask = torch.cat([x.masks["x"], u.masks["strong1"]])
        taught = self.taught(images)
        losses: dict[str, Tensor] = {}
        weak: dict[str, Tensor] = {}
        labels: dict[str, PseudoLabel] = {}
        for name, labeler in self.labelers.items():
            with torch.no_grad():
                weak[name] = labeler(u.weak)
            views = self.label(name, labeler, u, weak[name])
            labels[name], sure = views["weak"], views["strong1"]
            student: Any = self.students[name]
            maps = student.features(images)
            logits = student.decode(maps, images.shape[-2:])
            on_labeled, on_strong = logits.split([len(x.images), len(u.weak)])
            threshold = self.threshold_of(name)
            terms = {
                "sup": supervised_loss(on_labeled, x.target, n["x"]),
                "strong": pseudo_label_loss(on_strong, sure, threshold, n["strong1"]),
                "distill": self.distill(student, maps, taught, mask, n["x"] + n["strong1"]),
            }
            losses |= {f"loss_{term}_{name}": loss / 3 for term, loss in terms.items()}
        self.watch(x, u, weak, labels)
        self.partners.remember(batch["unlabeled"], weak)
        return losses

    @torch.no_grad()
    def taught(self, images: Tensor) -> list[Tensor]:
        """The map of every frozen teacher, which the first call builds."""
        self.frozen = self.frozen or self.build_frozen()
        maps = [see(images) for see in self.frozen]
        return [same_scale(x.float()) for x in maps] if self.same_scale else maps

    def distill(
        self, student: Any, maps: dict[str, Tensor], taught: list[Tensor], mask: Tensor, n: Tensor
    ) -> Tensor:
        """L_dis of a student's maps; mask (B, H, W): the pixels that count, n of them."""
        size = mask.shape[-2:]
        padded = padded_size(size, student.backbone.size_divisibility)
        total = torch.zeros((), device=mask.device)
        for number, target in enumerate(taught):
            told = maps[translated(number)].float()
            total = total + map_error(
                to_grid(told, target.shape[-2:], padded, size), target, mask, n
            )
        return total / len(taught)

    def startable(self) -> dict[str, nn.Module]:
        """Necks, too: the checkpoint of any other method has none."""
        found = super().startable()
        for name, student in self.learners.items():
            found[f"students.{name}.neck."] = student.neck
            if name in self.teachers:
                found[f"teachers.{name}.module.neck."] = student.neck
        return found
