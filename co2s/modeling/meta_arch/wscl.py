"""WSCL (Lu et al., TGRS 2023): weak-to-strong consistency where the strong view is most certain.

No teacher and no threshold of confidence.
"""

from typing import Any

import torch
from torch import Tensor

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.semi import entropy, mean_counts, most_certain, supervised_loss, weighted_loss
from co2s.structures import Batch, PseudoLabel, Views

from .base import Method
from .stacking import Labeled


@method_config
def add_wscl_config(cfg: CfgNode) -> None:
    cfg.MODEL.WSCL = CfgNode()
    cfg.MODEL.WSCL.SHARE = 0.2  # of the strong view's pixels, the most certain ones, that learn
    cfg.MODEL.WSCL.WEIGHT = 1.0  # of the strong view
    cfg.MODEL.WSCL.SCALAR_LOSS = False  # True: a mean over all pixels, scaled, as in the release


@META_ARCH_REGISTRY.register()
class WSCL(Method):
    """L = CE(x, y) + mean(CE(strong, labels of weak) * [its entropy is low]), for each student.

    Low is among the lowest `share` of the strong views that pass together: of the items of a
    process, or of a part of a step.
    """

    @configurable
    def __init__(self, *, share: float, weight: float, scalar: bool, **base: Any):
        """scalar: whether all pixels learn, by a loss times the share of certain ones."""
        super().__init__(**base)
        if not 0 < share <= 1:
            raise ValueError(f"MODEL.WSCL.SHARE is {share}; give a share above 0, up to 1.")
        self.share, self.weight, self.scalar = share, weight, scalar

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.WSCL
        return super().from_config(cfg) | {
            "share": node.SHARE,
            "weight": node.WEIGHT,
            "scalar": node.SCALAR_LOSS,
        }

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
            labeler = self.labelers[name]
            with torch.no_grad():
                weak[name] = labeler(u.weak)
            views = self.label(name, labeler, u, weak[name])
            labels[name], pseudo = views["weak"], views["strong1"]
            logits = student(torch.cat([x.images, *u.strong]))
            on_labeled, on_strong = logits.split([len(x.images), len(u.weak)])
            loss = weighted_loss(
                on_strong, pseudo, self.learns(on_strong, pseudo), counts["strong1"]
            )
            losses[f"loss_sup_{name}"] = supervised_loss(on_labeled, x.target, counts["x"])
            losses[f"loss_strong_{name}"] = self.weight * loss
        self.watch(x, u, weak, labels)
        self.partners.remember(batch["unlabeled"], weak)
        return losses

    def learns(self, logits: Tensor, pseudo: PseudoLabel) -> Tensor:
        """How much each pixel (B, H, W) of the strong views learns, from their logits."""
        certain = most_certain(entropy(logits), pseudo.valid, self.share)
        if not self.scalar:
            return certain
        return (certain.sum() / pseudo.valid.sum().clamp(min=1)).expand(certain.shape)
