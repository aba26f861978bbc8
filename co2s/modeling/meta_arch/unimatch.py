"""UniMatch (Yang et al., CVPR 2023): perturbed views learn what the weak view is sure of."""

from typing import Any

import torch
from torch import Tensor

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable
from co2s.layers import channel_dropout, check_dropout
from co2s.semi import mean_counts, pseudo_label_loss, supervised_loss
from co2s.structures import Batch, Views

from .base import Method, add_threshold_config
from .stacking import Labeled, Seen, Unlabeled


@method_config
def add_unimatch_config(cfg: CfgNode, key: str = "UNIMATCH") -> None:
    cfg.MODEL[key] = CfgNode()
    add_threshold_config(cfg.MODEL[key])
    cfg.MODEL[key].STRONG_WEIGHTS = (0.25, 0.25)  # of the two strong views
    cfg.MODEL[key].FEATURE_WEIGHT = 0.5  # of the feature-perturbed view
    cfg.MODEL[key].FEATURE_DROPOUT = 0.5  # share of the channels that it loses


@META_ARCH_REGISTRY.register()
class UniMatch(Method):
    """L = (sup + 0.25 strong1 + 0.25 strong2 + 0.5 feature) / 2, for each student alone."""

    @configurable
    def __init__(self, *, keys: CfgNode, **base: Any):
        super().__init__(**base)
        self.dropout = check_dropout(keys.FEATURE_DROPOUT)
        weights = [*keys.STRONG_WEIGHTS, keys.FEATURE_WEIGHT]
        self.weights = dict(zip(("strong1", "strong2", "feature"), weights, strict=True))

    @classmethod
    def from_config(cls, cfg: CfgNode, key: str = "UNIMATCH") -> dict[str, Any]:
        keys = cfg.MODEL[key]
        return super().from_config(cfg) | {
            "keys": keys,
            "thresholds": cls.thresholds_of(cfg, keys),
        }

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=2, cutmix=True, partner=cfg.DATALOADER.CUTMIX_PARTNER)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        seen = {name: self.look(i, name, x, u) for i, name in enumerate(self.students)}
        weak = {name: own.logits["weak"] for name, own in seen.items()}
        judged = {name: own.judged for name, own in seen.items()}
        masks = x.masks | u.masks | self.masks(weak, u)
        losses = self.terms(seen, x, masks, batch.get("counts") or mean_counts(masks))
        self.watch(x, u, judged, {name: own.labels["weak"] for name, own in seen.items()})
        self.partners.remember(batch["unlabeled"], judged)
        return losses

    def look(self, number: int, name: str, x: Labeled, u: Unlabeled) -> Seen:
        """One pass for all views that carry a gradient; each student drops channels of its own."""
        images = torch.cat([x.images, u.weak, *u.strong])
        student: Any = self.students[name]
        maps = student.features(images)
        sizes = [len(x.images)] + 3 * [len(u.weak)]
        weak = {key: value.split(sizes)[1] for key, value in maps.items()}
        dropped = channel_dropout(weak, self.dropout, u.seeds, number)
        maps = {key: torch.cat([value, dropped[key]]) for key, value in maps.items()}
        parts = student.decode(maps, images.shape[-2:]).split([*sizes, len(u.weak)])
        logits = dict(zip(("labeled", "weak", *self.weights), parts, strict=True))
        labeler = self.labelers[name]
        judged = logits["weak"] if labeler is student else labeler(u.weak)
        labels = self.label(name, labeler, u, judged)
        return Seen(logits, {**labels, "feature": labels["weak"]}, judged)

    def masks(self, weak: dict[str, Tensor], u: Unlabeled) -> dict[str, Tensor]:
        """More pixels to count, beside those of the views; weak: each student's logits."""
        return {}

    def terms(self, seen: dict[str, Seen], x: Labeled, masks: Any, n: Any) -> dict[str, Tensor]:
        """The weighted losses; n: the pixels of every mask over all processes."""
        losses = {}
        for name, (logits, labels, _) in seen.items():
            losses[f"loss_sup_{name}"] = supervised_loss(logits["labeled"], x.target, n["x"]) / 2
            threshold = self.threshold_of(name)
            for view, weight in self.weights.items():
                loss = pseudo_label_loss(logits[view], labels[view], threshold, n[view])
                losses[f"loss_{view}_{name}"] = weight / 2 * loss
        return losses
