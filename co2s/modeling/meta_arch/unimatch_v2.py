"""UniMatch V2 (Yang et al., arXiv 2410.10777): two views that share out what the network knows.

An averaged teacher labels (MODEL.EMA_DECAY 0.996); the feature-perturbed view of UniMatch is gone.
"""

from typing import Any

import torch
from torch import Tensor

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.layers import complementary_dropout
from co2s.semi import mean_counts, pseudo_label_loss, supervised_loss
from co2s.structures import Batch, PseudoLabel, Views

from .base import Method, add_threshold_config
from .stacking import Labeled, Unlabeled

VIEWS = ("strong1", "strong2")


@method_config
def add_unimatch_v2_config(cfg: CfgNode) -> None:
    cfg.MODEL.UNIMATCHV2 = CfgNode()
    add_threshold_config(cfg.MODEL.UNIMATCHV2)
    cfg.MODEL.UNIMATCHV2.SPARED = 0.5  # share of the images whose two views lose no channels


@META_ARCH_REGISTRY.register()
class UniMatchV2(Method):
    """L = (CE(x, y) + (strong1 + strong2) / 2) / 2, for each student alone.

    A channel of the backbone's maps that one strong view loses the other one has alone
    (`complementary_dropout`).
    """

    ema_decay = 0.996

    @configurable
    def __init__(self, *, spared: float, **base: Any):
        """spared: share of the images that lose no channels."""
        super().__init__(**base)
        self.spared = spared

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.UNIMATCHV2
        return super().from_config(cfg) | {
            "spared": node.SPARED,
            "thresholds": cls.thresholds_of(cfg, node),
        }

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=2, cutmix=True, partner=cfg.DATALOADER.CUTMIX_PARTNER)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        counts = batch.get("counts") or mean_counts(x.masks | u.masks)
        losses: dict[str, Tensor] = {}
        weak: dict[str, Tensor] = {}
        labels: dict[str, PseudoLabel] = {}
        for number, (name, teacher) in enumerate(self.labelers.items()):
            with torch.no_grad():
                weak[name] = teacher(u.weak)
            sure = self.label(name, teacher, u, weak[name])
            labels[name] = sure["weak"]
            logits = self.look(number, name, x, u)
            supervised = supervised_loss(logits["labeled"], x.target, counts["x"])
            losses[f"loss_sup_{name}"] = supervised / 2
            threshold = self.threshold_of(name)
            for view in VIEWS:
                loss = pseudo_label_loss(logits[view], sure[view], threshold, counts[view])
                losses[f"loss_{view}_{name}"] = loss / 4
        self.watch(x, u, weak, labels)
        self.partners.remember(batch["unlabeled"], weak)
        return losses

    def look(self, number: int, name: str, x: Labeled, u: Unlabeled) -> dict[str, Tensor]:
        """Logits by view, in one pass; the student of each number drops channels of its own."""
        images = torch.cat([x.images, *u.strong])
        sizes = [len(x.images), len(u.weak), len(u.weak)]
        student: Any = self.students[name]
        parts = {key: value.split(sizes) for key, value in student.features(images).items()}
        one, two = ({key: part[view] for key, part in parts.items()} for view in (1, 2))
        one, two = complementary_dropout(one, two, u.seeds, number, self.spared)
        maps = {key: torch.cat([part[0], one[key], two[key]]) for key, part in parts.items()}
        logits = student.decode(maps, images.shape[-2:]).split(sizes)
        return dict(zip(("labeled", *VIEWS), logits, strict=True))
