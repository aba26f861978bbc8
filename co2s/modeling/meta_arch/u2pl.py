"""U2PL (Wang et al., CVPR 2022): unreliable pixels are no labels, but good counter-examples.

An averaged teacher labels (MODEL.EMA_DECAY 0.99). Its least certain pixels are left out of the
pseudo-label loss, and join the negatives of the classes that they are surely not of.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable, get_event_storage
from co2s.semi import (
    cutmix,
    entropy,
    mean_counts,
    most_certain,
    supervised_loss,
    weighted_loss,
)
from co2s.structures import Batch, PseudoLabel, Views

from ..metadata import num_classes
from .base import Method
from .pixel_contrast import Cells, PixelContrast, add_contrast_config
from .stacking import Labeled, Unlabeled


@method_config
def add_u2pl_config(cfg: CfgNode) -> None:
    cfg.MODEL.U2PL = CfgNode()
    node = cfg.MODEL.U2PL
    node.WARMUP = -1  # first steps, on labelled images alone; -1: an epoch
    node.UNRELIABLE = 0.2  # share of the pixels that is left out at first; none at the end
    node.CONTRAST_WEIGHT = 1.0
    add_contrast_config(node)


class Taught(NamedTuple):
    """What the teacher of a student makes of a step."""

    weak: Tensor  # logits of the weak views
    labels: dict[str, PseudoLabel]  # by view
    kept: Tensor  # (B, S, S) bool: reliable pixels of the strong view
    cells: Cells  # of the labelled images, then of the strong views


@META_ARCH_REGISTRY.register()
class U2PL(Method):
    """L = CE(x, y) + CE(strong, reliable labels of weak) V / K + contrast, for each student alone.

    K of V valid pixels are reliable. Percentiles are of the items that pass together: of those of
    a process, or of a part of a step.
    """

    ema_decay = 0.99

    @configurable
    def __init__(self, *, keys: CfgNode, num_classes: int, max_iter: int, **base: Any):
        """keys: as `add_u2pl_config` adds them; max_iter: steps of the run."""
        super().__init__(**base)
        decay = base.get("ema_decay", 0.0) if self.ema_labels else 0.0
        self.contrasts = nn.ModuleDict()
        for name, student in self.learners.items():
            dim = student.decoder.feature_dim
            self.contrasts[name] = PixelContrast(keys, dim, num_classes, decay)
        self.keys, self.warmup, self.max_iter = keys, max(keys.WARMUP, 0), max_iter

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return super().from_config(cfg) | {
            "keys": cfg.MODEL.U2PL,
            "num_classes": num_classes(cfg),
            "max_iter": cfg.SOLVER.MAX_ITER,
        }

    @classmethod
    def set_periods(cls, cfg: CfgNode, epoch: int) -> None:
        node = cfg.MODEL.U2PL
        node.WARMUP = epoch if node.WARMUP < 0 else node.WARMUP

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(strong=1, cutmix=True, partner=cfg.DATALOADER.CUTMIX_PARTNER)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        taught = {name: self.teach(name, x, u) for name in self.students}
        n = batch.get("counts") or mean_counts(x.masks | u.masks | self.masks(taught))
        losses: dict[str, Tensor] = {}
        for number, (name, own) in enumerate(taught.items()):
            losses |= self.terms(number, name, own, x, u, n)
        weak = {name: own.weak for name, own in taught.items()}
        self.watch(x, u, weak, {name: own.labels["weak"] for name, own in taught.items()})
        self.partners.remember(batch["unlabeled"], weak)
        return losses

    def counted(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        taught = {name: self.teach(name, x, u) for name in self.students}
        return x.masks | u.masks | self.masks(taught)

    def masks(self, taught: dict[str, Taught]) -> dict[str, Tensor]:
        """What is counted beside the pixels of the views: reliable ones, classes with anchors."""
        kept = {f"kept_{name}": own.kept for name, own in taught.items()}
        return kept | {f"classes_{n}": own.cells.anchors.any(dim=0) for n, own in taught.items()}

    @torch.no_grad()
    def teach(self, name: str, x: Labeled, u: Unlabeled) -> Taught:
        """The teacher labels the weak views, and looks at them again as they are mixed."""
        teacher, plain = self.labelers[name], self.labeling[name]
        weak = teacher(u.weak)
        labels = self.label(name, teacher, u, weak)
        images = torch.cat([x.images, cutmix(u.weak, u.partner, u.boxes[0])])
        hidden = plain.hidden(plain.features(images))
        feature, logits = hidden["feature"], plain.classify(hidden, images.shape[-2:])
        pseudo, t = labels["strong1"], self.progress
        share = 1 - self.keys.UNRELIABLE * (1 - t)
        kept = most_certain(entropy(logits[len(x.images) :]), pseudo.valid, share)
        target = torch.where(x.masks["x"], x.target, -1)
        label = torch.cat([target, torch.where(pseudo.valid, pseudo.label, -1)])[:, None]
        # Padding has the value 0 at the cells.
        label = plain.at_cells(label.float() + 1, feature.shape[-2:]) - 1
        logits = plain.at_cells(logits, feature.shape[-2:])
        contrast: Any = self.contrasts[name]
        return Taught(weak, labels, kept, contrast.cells(feature, logits, label, len(target), t))

    def terms(
        self, number: int, name: str, own: Taught, x: Labeled, u: Unlabeled, n: Any
    ) -> dict[str, Tensor]:
        """A student's weighted losses; n: what they are means over, of all processes."""
        student: Any = self.students[name]
        images = torch.cat([x.images, *u.strong])
        hidden = student.hidden(student.features(images))
        logits = student.classify(hidden, images.shape[-2:])
        on_labeled, on_strong = logits.split([len(x.images), len(u.weak)])
        valid, kept = n["strong1"], n[f"kept_{name}"]
        strong = weighted_loss(on_strong, own.labels["strong1"], own.kept, kept) * valid / kept
        generator = torch.Generator().manual_seed((sum(u.seeds) + number) % 2**63)
        on = get_event_storage().iter >= self.warmup
        contrast = self.contrasts[name](hidden["feature"], own.cells, generator, remember=on)
        contrast = contrast * self.keys.CONTRAST_WEIGHT / n[f"classes_{name}"]
        return {
            f"loss_sup_{name}": supervised_loss(on_labeled, x.target, n["x"]),
            f"loss_strong_{name}": strong * float(on),
            f"loss_contrast_{name}": contrast * float(on),
        }

    def after_step(self, step: int) -> None:
        """The average is a copy of its student until the warm-up is over."""
        step = max(step - self.warmup, 0)
        super().after_step(step)
        for contrast in dict[str, Any](self.contrasts.items()).values():
            contrast.after_step(step)

    def startable(self) -> dict[str, nn.Module]:
        fresh = copy.deepcopy(self.contrasts)
        for contrast in dict[str, Any](fresh.items()).values():
            contrast.queues = contrast.queues.anew()
        return super().startable() | {"contrasts.": fresh}
