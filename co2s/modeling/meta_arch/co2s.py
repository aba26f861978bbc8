"""Co2S: two unlike students that label for themselves and steady each other (arXiv 2512.23035)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable, get_event_storage
from co2s.layers import channel_dropout
from co2s.semi import cosine_ramp, cutmix, pseudo_label_loss, stability_losses, supervised_loss
from co2s.structures import PseudoLabel

from .pair import StudentPair, stack


@dataclass(frozen=True)
class Views:
    """All views of one step: images (B, 3, H, W), masks (B, H, W) bool, one seed for each item."""

    labeled: Tensor
    target: Tensor  # (B, H, W) int64, 255 = ignore
    weak: Tensor
    strong: tuple[Tensor, Tensor]  # cut-mixed already
    valid: Tensor
    boxes: tuple[Tensor, Tensor]
    partner: Tensor  # the partners' weak views
    partner_valid: Tensor
    seeds: list[int]


@dataclass(frozen=True)
class Logits:
    """One student's logits (B, N, H, W) for every view it learns from."""

    labeled: Tensor
    weak: Tensor
    strong: tuple[Tensor, Tensor]
    perturbed: Tensor  # the weak view seen through channel dropout


@META_ARCH_REGISTRY.register()
class Co2S(StudentPair):
    """Co-guidance and co-fusion (paper section 3): self-training twice, and a stability loss."""

    @configurable
    def __init__(
        self,
        *,
        threshold: float = 0.95,
        strong_weights: tuple[float, float] = (0.25, 0.25),
        feature_weight: float = 0.5,
        feature_dropout: float = 0.5,
        stability_weight: float = 0.5,
        stability_ramp: float = 0.2,
        stability_gradient: bool = True,
        stability_padding: bool = False,
        max_iter: int,
        **pair: Any,
    ):
        super().__init__(**pair)
        self.threshold = threshold
        self.strong_weights, self.feature_weight = strong_weights, feature_weight
        self.feature_dropout = feature_dropout
        self.stability_weight, self.stability_ramp = stability_weight, stability_ramp
        self.stability_gradient = stability_gradient
        self.stability_padding = stability_padding
        self.max_iter = max_iter

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        node = cfg.MODEL.CO2S
        return super().from_config(cfg) | {
            "threshold": node.THRESHOLD,
            "strong_weights": node.STRONG_WEIGHTS,
            "feature_weight": node.FEATURE_WEIGHT,
            "feature_dropout": node.FEATURE_DROPOUT,
            "stability_weight": node.STABILITY_WEIGHT,
            "stability_ramp": node.STABILITY_RAMP,
            "stability_gradient": node.STABILITY_GRADIENT,
            "stability_padding": node.STABILITY_PADDING,
            "max_iter": cfg.SOLVER.MAX_ITER,
        }

    def losses(self, batch: dict[str, list[dict[str, Any]]]) -> dict[str, Tensor]:
        """The weighted losses of one step; their sum is the paper's total (section 3)."""
        views = self.views(batch)
        losses, weak = {}, {}
        for name, student in self.students.items():
            logits = self.student_logits(student, views)
            losses.update(self.self_training(name, student, logits, views))
            weak[name] = logits.weak if self.stability_gradient else logits.weak.detach()
        counted = torch.ones_like(views.valid) if self.stability_padding else views.valid
        stability = stability_losses(weak["global"], weak["local"], counted, self.threshold)
        weight = self.stability_now()
        for name, loss in zip(("global", "local"), stability, strict=True):
            losses[f"loss_stability_{name}"] = weight * loss
        return losses

    def views(self, batch: dict[str, list[dict[str, Any]]]) -> Views:
        """Tensors of all views from the batch's items; strong views are cut-mixed here."""
        labeled, items = batch["labeled"], batch["unlabeled"]
        partners = [item["partner"] for item in items]
        strong, pasted = (stack(x, "strong", self.device) for x in (items, partners))
        boxes = stack(items, "cutmix", self.device)
        return Views(
            labeled=stack(labeled, "image", self.device),
            target=stack(labeled, "sem_seg", self.device).long(),
            weak=stack(items, "image", self.device),
            strong=(
                cutmix(strong[:, 0], pasted[:, 0], boxes[:, 0]),
                cutmix(strong[:, 1], pasted[:, 1], boxes[:, 1]),
            ),
            valid=stack(items, "valid", self.device),
            boxes=(boxes[:, 0], boxes[:, 1]),
            partner=stack(partners, "image", self.device),
            partner_valid=stack(partners, "valid", self.device),
            seeds=[item["seed"] for item in items],
        )

    def student_logits(self, student: Any, views: Views) -> Logits:
        """One backbone pass and one decoder pass for all views that carry a gradient."""
        images = torch.cat([views.labeled, views.weak, *views.strong])
        maps = student.features(images)
        b, u = len(views.labeled), len(views.weak)
        weak_maps = {key: x[b : b + u] for key, x in maps.items()}
        perturbed = channel_dropout(weak_maps, self.feature_dropout, views.seeds)
        maps = {key: torch.cat([x, perturbed[key]]) for key, x in maps.items()}
        labeled, weak, s1, s2, fp = student.decode(maps, images.shape[-2:]).split([b, u, u, u, u])
        return Logits(labeled, weak, (s1, s2), fp)

    def self_training(
        self, name: str, student: nn.Module, logits: Logits, views: Views
    ) -> dict[str, Tensor]:
        """UniMatch for one student: L = (sup + 0.25 s1 + 0.25 s2 + 0.5 fp) / 2."""
        pseudo = PseudoLabel.from_logits(logits.weak, views.valid)
        with torch.no_grad():
            partner = PseudoLabel.from_logits(student(views.partner), views.partner_valid)
        losses = {f"loss_sup_{name}": supervised_loss(logits.labeled, views.target) / 2}
        for i, (strong, box, weight) in enumerate(
            zip(logits.strong, views.boxes, self.strong_weights, strict=True), start=1
        ):
            mixed = pseudo.cutmix(partner, box)
            loss = pseudo_label_loss(strong, mixed, self.threshold)
            losses[f"loss_strong{i}_{name}"] = weight / 2 * loss
        loss = pseudo_label_loss(logits.perturbed, pseudo, self.threshold)
        losses[f"loss_feature_{name}"] = self.feature_weight / 2 * loss
        kept = pseudo.kept(self.threshold).sum() / views.valid.sum().clamp(min=1)
        get_event_storage().put_scalar(f"kept_{name}", kept.item(), smoothing_hint=True)
        return losses

    def stability_now(self) -> float:
        """lambda(t) of this step: a half cosine up, then constant."""
        storage = get_event_storage()
        progress = storage.iter / max(self.max_iter, 1)
        weight = self.stability_weight * cosine_ramp(progress, self.stability_ramp)
        storage.put_scalar("stability_weight", weight, smoothing_hint=False)
        return weight
