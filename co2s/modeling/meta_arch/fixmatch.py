"""FixMatch for segmentation: a strong view learns what the weak one is sure of.

Sohn et al., NeurIPS 2020 (arXiv 2001.07685), in UniMatch's form: CutMix on the strong view, and
with MODEL.EMA_DECAY 0.996 the averaged teacher that UniMatch V2 compares with.
"""

from typing import Any

import torch
from torch import Tensor

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode
from co2s.semi import mean_counts, pseudo_label_loss, supervised_loss
from co2s.structures import Batch, PseudoLabel, Views

from .base import Method, add_threshold_config
from .stacking import Labeled


@method_config
def add_fixmatch_config(cfg: CfgNode) -> None:
    cfg.MODEL.FIXMATCH = CfgNode()
    add_threshold_config(cfg.MODEL.FIXMATCH)


@META_ARCH_REGISTRY.register()
class FixMatch(Method):
    """L = (CE(x, y) + CE(strong, sure labels of weak)) / 2, for each student alone."""

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.FIXMATCH
        return super().from_config(cfg) | {"thresholds": cls.thresholds_of(cfg, node)}

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=1, cutmix=True, partner=cfg.DATALOADER.CUTMIX_PARTNER)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        counts = batch.get("counts") or mean_counts(x.masks | u.masks)
        losses: dict[str, Tensor] = {}
        weak: dict[str, Tensor] = {}
        labels: dict[str, PseudoLabel] = {}
        for name, student in self.students.items():
            teacher = self.labelers[name]  # the average where there is one, else itself
            with torch.no_grad():
                weak[name] = teacher(u.weak)
            views = self.label(name, teacher, u, weak[name])
            labels[name], sure = views["weak"], views["strong1"]
            logits = student(torch.cat([x.images, *u.strong]))
            on_labeled, on_strong = logits.split([len(x.images), len(u.weak)])
            supervised = supervised_loss(on_labeled, x.target, counts["x"])
            threshold = self.threshold_of(name)
            strong = pseudo_label_loss(on_strong, sure, threshold, counts["strong1"])
            losses |= {f"loss_sup_{name}": supervised / 2, f"loss_strong_{name}": strong / 2}
        self.watch(x, u, weak, labels)
        self.partners.remember(batch["unlabeled"], weak)
        return losses
