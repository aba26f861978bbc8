"""Method: the students of a configuration, and what a method has to say about their training."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from co2s.d2 import CfgNode, configurable, get_event_storage
from co2s.semi import (
    EMA,
    FixedThreshold,
    build_thresholds,
    count_labels,
    count_purified,
    mean_counts,
    pixels_by_class,
)
from co2s.structures import Batch, PseudoLabel, UnlabeledItem, Views

from ..metadata import num_classes
from ..purify import Purifier, build_purifier
from .partners import KINDS, Predict
from .stacking import Labeled, Unlabeled
from .students import Students


def add_threshold_config(node: CfgNode) -> None:
    """The keys of a method that `Method.thresholds_of` reads."""
    node.THRESHOLD = 0.95  # tau: a pseudo-label counts from this confidence on
    node.CLASS_THRESHOLDS = "fixed"  # or "flexmatch", "freematch", "balanced": one for each class
    node.CLASS_DECAY = 0.999  # of those three: share of their averages that a step leaves


class Method(Students):
    """Students, and the losses they are trained with.

    In training mode `forward` takes a batch of labelled and unlabelled items and returns a dict of
    weighted losses; in evaluation mode it takes a list of items as in detectron2. The items are
    described in `co2s.structures.items`.
    """

    ema_decay = 0.0  # MODEL.EMA_DECAY where a configuration does not say
    max_iter = 0  # steps of the run, in methods that look at `progress`
    segments = True  # it predicts classes, which the datasets declare, and which can be scored
    pretrains = False  # what counts afterwards are its backbones, as files (tools/pretrain.py)

    @configurable
    def __init__(
        self,
        *,
        partner: str = "other",
        ema_labels: bool = True,
        thresholds: Mapping[str, FixedThreshold] | None = None,
        purifier: Purifier | None = None,
        **students: Any,
    ):
        """partner: whose pixels CutMix pastes (`co2s.structures.Views`).

        ema_labels: where students have averages, those make the pseudo-labels.

        thresholds: of each student's pseudo-labels, where it makes any.

        purifier: what changes those before a loss reads them.
        """
        super().__init__(**students)
        self.partners = KINDS[partner]()
        self.ema_labels = ema_labels
        self.thresholds = nn.ModuleDict(thresholds or {})
        self.purifier = purifier
        self.tally: dict[str, Tensor] = {}  # pixels by name, since whoever reads them emptied it

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return super().from_config(cfg) | {
            "partner": cfg.DATALOADER.CUTMIX_PARTNER,
            "ema_labels": cfg.MODEL.EMA_LABELS,
            "purifier": build_purifier(cfg),
        }

    @classmethod
    def thresholds_of(cls, cfg: CfgNode, node: CfgNode) -> dict[str, FixedThreshold]:
        """Those that a method's node of the configuration asks for, by student."""
        given = node.CLASS_THRESHOLDS, num_classes(cfg), node.THRESHOLD, node.CLASS_DECAY
        return {name: build_thresholds(*given) for name in cfg.MODEL.STUDENTS}

    @classmethod
    def settle(cls, cfg: CfgNode) -> None:
        """Write into the configuration what the method needs to know of the data, with its bands
        known; ValueError for what cannot be."""
        cfg.MODEL.NUM_CLASSES = num_classes(cfg)

    @classmethod
    def set_periods(cls, cfg: CfgNode, epoch: int) -> None:
        """Write into the configuration the method's keys that count epochs, of so many steps."""

    @classmethod
    def views(cls, cfg: CfgNode) -> Views | None:
        """What `losses` reads of an unlabelled image; None: it looks at none."""
        return None

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted losses named `loss_<term>_<student>`; each method writes its own.

        What they are means over is in batch["counts"] where the batch is a part of a step, else
        `mean_counts` of the method's masks.
        """
        raise NotImplementedError

    @torch.no_grad()
    def count(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """What the losses are means over, for all batches of a step on all processes together."""
        return mean_counts(*(self.counted(batch) for batch in batches))

    def counted(self, batch: Batch) -> dict[str, Tensor]:
        """The masks whose pixels `losses` counts, of a batch that the students have not seen."""
        masks = Labeled.stacked(batch["labeled"], self.device).masks
        return masks | (self.stacked(batch["unlabeled"]).masks if batch["unlabeled"] else {})

    def stacked(self, items: Sequence[UnlabeledItem]) -> Unlabeled:
        """The views of unlabelled items, cut-mixed."""
        return self.partners.stacked(items, self.device)

    @property
    def labelers(self) -> nn.ModuleDict:
        """The modules that make the pseudo-labels, by the name of their student."""
        return self.predictors if self.ema_labels else self.students

    @property
    def labeling(self) -> dict[str, Any]:
        """The `Student`s behind the `labelers`, for methods that look at their maps."""
        return self.networks if self.ema_labels else self.learners

    @torch.no_grad()
    def label(self, name: str, predict: Predict, u: Unlabeled, weak: Tensor) -> Any:
        """A student's pseudo-labels by view, from its logits of the weak one; purified."""
        partner = self.partners.logits(name, predict, u, weak)
        return u.pseudo_labels(weak, partner, self.purifier)

    @torch.no_grad()
    def shown(self, batch: Batch) -> dict[str, dict[str, PseudoLabel]]:
        """How each student labels the unlabelled half of a batch, by view; for pictures.

        "before": the weak view as it was before a purifier, where there is one.
        """
        if not batch["unlabeled"]:
            return {}
        u, shown = self.stacked(batch["unlabeled"]), {}
        for name, labeler in self.labelers.items():
            weak = labeler(u.weak)
            before = {"before": PseudoLabel.from_logits(weak, u.valid)} if self.purifier else {}
            shown[name] = before | self.label(name, labeler, u, weak)
        return shown

    @property
    def progress(self) -> float:
        """The share of the run that is made, in the step that is."""
        return get_event_storage().iter / max(self.max_iter, 1)

    def threshold_of(self, name: str) -> float | Tensor:
        """From which confidence on a student's pseudo-labels count: one number, or (N,).

        0 where a method has no thresholds.
        """
        threshold = self._thresholds.get(name)
        return threshold.values() if threshold else 0.0

    @property
    def _thresholds(self) -> dict[str, Any]:
        return dict(self.thresholds.items())

    @torch.no_grad()
    def watch(
        self, x: Labeled, u: Unlabeled, weak: Mapping[str, Tensor], labels: Mapping[str, Any]
    ) -> None:
        """Take note of what the students say of the weak views: for their thresholds, and to tell.

        weak: logits (B, N, S, S) of each student, labels: its `PseudoLabel`.
        """
        for name, threshold in self._thresholds.items():
            threshold.observe(labels[name], weak[name].detach())
        classes = next(iter(weak.values())).shape[1]
        values = {name: self.threshold_of(name) for name in labels}
        truth = pixels_by_class(x.target, x.masks["x"], classes)
        self.add(count_labels(labels, values, classes, u.diagnosis) | {"truth": truth})
        if self.purifier is not None:
            before = {n: PseudoLabel.from_logits(weak[n], u.valid) for n in labels}
            self.add(count_purified(before, labels, values, classes, u.diagnosis))

    def add(self, counts: Mapping[str, Tensor]) -> None:
        """Add to the tally, without waiting for the device."""
        for name, value in counts.items():
            self.tally[name] = self.tally[name] + value if name in self.tally else value

    def after_step(self, step: int) -> None:
        """What a method does after optimiser step number `step`, counted from 0."""
        for threshold in self._thresholds.values():
            threshold.update()
        for name, teacher in self.teachers.items():
            assert isinstance(teacher, EMA)
            teacher.update(self.students[name], step)

    def startable(self) -> dict[str, nn.Module]:
        fresh = nn.ModuleDict({name: t.anew() for name, t in self._thresholds.items()})
        return super().startable() | {"thresholds.": fresh}

    def forward(self, batch: Any) -> Any:
        return self.losses(batch) if self.training else self.inference(batch)
