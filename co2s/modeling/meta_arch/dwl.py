"""DWL (Huang et al., ISPRS 2024): pseudo-labels have a classifier of their own, and ranked weights.

Decoupled, so that wrong labels do not reach the classifier that labels; weighted by where a
confidence ranks within its class, so that no class needs a threshold. No teacher.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable, get_event_storage
from co2s.semi import ConfidenceRanks, mean_counts, ranking_weight, supervised_loss, weighted_loss
from co2s.structures import Batch, PseudoLabel, UnlabeledItem, Views

from ..metadata import num_classes
from ..student import Student
from .base import Method
from .stacking import Labeled, Unlabeled


@method_config
def add_dwl_config(cfg: CfgNode) -> None:
    cfg.MODEL.DWL = CfgNode()
    cfg.MODEL.DWL.PERIOD = 0  # steps between two copies of the second classifier; 0: an epoch
    cfg.MODEL.DWL.ALPHA = 0.5  # of it in the main classifier then; 1 for SegFormer in the release
    cfg.MODEL.DWL.HISTORY = 50  # steps that a confidence is ranked among
    cfg.MODEL.DWL.WARMUP = 50  # first steps, without a loss on pseudo-labels
    cfg.MODEL.DWL.STEEPNESS = (2.0, 22.0)  # k of the ranking weight, at the start and at the end


class Second(nn.Module):
    """A second set of a student's last layers, a copy of them at first."""

    def __init__(self, student: Student):
        super().__init__()
        self.head = nn.ModuleDict(copy.deepcopy(student.decoder.classifier()))  # trained as a head

    @property
    def layers(self) -> dict[str, nn.Module]:
        return dict(self.head.items())


@META_ARCH_REGISTRY.register()
class DWL(Method):
    """L = CE(x, y) + mean(CE(second classifier(strong), labels of weak) * w), for each student."""

    @configurable
    def __init__(self, *, keys: CfgNode, num_classes: int, max_iter: int, **base: Any):
        """keys: as `add_dwl_config` adds them; max_iter: steps of the run."""
        super().__init__(**base)
        self.second = nn.ModuleDict({name: Second(s) for name, s in self.learners.items()})
        ranks = {name: ConfidenceRanks(num_classes, keys.HISTORY) for name in self.students}
        self.ranks = nn.ModuleDict(ranks)
        self.alpha, self.period = keys.ALPHA, keys.PERIOD or max_iter
        self.warmup, self.steepness = keys.WARMUP, keys.STEEPNESS
        self.max_iter = max_iter

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return super().from_config(cfg) | {
            "keys": cfg.MODEL.DWL,
            "num_classes": num_classes(cfg),
            "max_iter": cfg.SOLVER.MAX_ITER,
        }

    @classmethod
    def set_periods(cls, cfg: CfgNode, epoch: int) -> None:
        cfg.MODEL.DWL.PERIOD = cfg.MODEL.DWL.PERIOD or epoch

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=1)

    def stacked(self, items: list[UnlabeledItem]) -> Unlabeled:  # type: ignore[override]
        return Unlabeled.plain(items, self.device)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        counts = batch.get("counts") or mean_counts(x.masks | u.masks)
        losses: dict[str, Tensor] = {}
        weak: dict[str, Tensor] = {}
        labels: dict[str, PseudoLabel] = {}
        for name in self.students:
            labeler = self.labelers[name]
            with torch.no_grad():
                weak[name] = labeler(u.weak)
            labels[name] = self.label(name, labeler, u, weak[name])["weak"]
            on_labeled, on_strong = self.look(name, x, u)
            weight = self.weight(name, labels[name])
            losses[f"loss_sup_{name}"] = supervised_loss(on_labeled, x.target, counts["x"])
            losses[f"loss_strong_{name}"] = weighted_loss(
                on_strong, labels[name], weight, counts["strong1"]
            )
            self._ranks[name].observe(labels[name])
        self.watch(x, u, weak, labels)
        return losses

    def look(self, name: str, x: Labeled, u: Unlabeled) -> tuple[Tensor, Tensor]:
        """Logits of the labelled images, and the second classifier's of the strong views."""
        images, student = torch.cat([x.images, *u.strong]), self.learners[name]
        sizes = [len(x.images), len(u.weak)]
        hidden = student.hidden(student.features(images))
        parts = {key: value.split(sizes) for key, value in hidden.items()}
        labeled, strong = ({key: part[i] for key, part in parts.items()} for i in (0, 1))
        second: Any = self.second[name]
        size = images.shape[-2:]
        return student.classify(labeled, size), student.classify(strong, size, second.layers)

    def weight(self, name: str, labels: PseudoLabel) -> Tensor:
        """w (B, H, W) of the pseudo-labels in the step that is made; 0 in the first ones."""
        start, end = self.steepness
        steepness = start + (end - start) * self.progress
        weight = ranking_weight(self._ranks[name].ranks(labels), steepness)
        return weight * float(get_event_storage().iter >= self.warmup)

    def after_step(self, step: int) -> None:
        for ranks in self._ranks.values():
            ranks.update()
        if (step + 1) % self.period == 0:
            self.take_over()
        super().after_step(step)

    @torch.no_grad()
    def take_over(self) -> None:
        """Move each main classifier by alpha towards its second one."""
        for name, student in self.learners.items():
            second: Any = self.second[name]
            for key, layer in student.decoder.classifier().items():
                pairs = zip(layer.parameters(), second.layers[key].parameters(), strict=True)
                for own, other in pairs:
                    own.lerp_(other, self.alpha)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As of any method; second classifiers that a checkpoint lacks start as the main ones."""
        result = super().load_state_dict(state_dict, strict, assign)
        if not any(key.startswith("second.") for key in state_dict):
            for name, student in self.learners.items():
                self.second[name].load_state_dict(Second(student).state_dict())
        return result

    def startable(self) -> dict[str, nn.Module]:
        ranks = nn.ModuleDict({name: r.anew() for name, r in self._ranks.items()})
        return super().startable() | {"second.": self.second, "ranks.": ranks}

    @property
    def _ranks(self) -> dict[str, Any]:
        return dict(self.ranks.items())
