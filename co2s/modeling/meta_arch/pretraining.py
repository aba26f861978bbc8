"""Pretraining: backbones that learn from images alone, for a segmentation to start from."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from co2s.d2 import CfgNode
from co2s.semi import mean_counts
from co2s.structures import Batch, UnlabeledItem, Views

from .base import Method
from .encoders import build_encoder
from .stacking import Unlabeled

Masks = Mapping[str, Tensor]


class Pretraining(Method):
    """Backbones of the configured students, each trained on its own; no guidance, no head.

    What a subclass's losses read comes from unlabelled items only. It predicts no classes: all that
    is of use afterwards are the backbones, or their averages (`co2s.engine.export`).
    """

    segments, pretrains = False, True

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        nodes = {name: cfg.MODEL[name.upper()] for name in cfg.MODEL.STUDENTS}
        return {
            "students": {name: build_encoder(cfg, node) for name, node in nodes.items()},
            "ema_decay": cfg.MODEL.EMA_DECAY,
        }

    @classmethod
    def settle(cls, cfg: CfgNode) -> None:
        """No class is needed. ValueError for datasets in the wrong place, and for keys of the
        method that cannot be."""
        data, name = cfg.DATASETS, cfg.MODEL.META_ARCHITECTURE
        unread = [f"DATASETS.{key}" for key in ("LABELED", "VAL", "TEST") if data[key]]
        if unread:
            raise ValueError(
                f"{name} learns from images alone and predicts no classes: it reads nothing of "
                f"{' and '.join(unread)}. Set that to (). DATASETS.UNLABELED may name any split; "
                "labels are not read."
            )
        if not data.UNLABELED:
            raise ValueError(f"{name} learns from the images of DATASETS.UNLABELED: name some.")

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views(labeled=False)

    def counted(self, batch: Batch) -> dict[str, Tensor]:
        return self.masks(self.stacked(batch["unlabeled"]))

    def masks(self, u: Unlabeled) -> dict[str, Tensor]:
        """The pixels that the losses are means over, by name."""
        raise NotImplementedError

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        u = self.stacked(batch["unlabeled"])
        masks = self.masks(u)
        return self.terms(u, masks, batch.get("counts") or mean_counts(masks))

    def terms(self, u: Unlabeled, masks: Masks, n: Masks) -> dict[str, Tensor]:
        """The losses; n: the pixels of every mask over all processes."""
        raise NotImplementedError

    def stacked(self, items: Sequence[UnlabeledItem]) -> Unlabeled:
        """The views of unlabelled items; nothing is pasted into any."""
        return Unlabeled.plain(items, self.device)

    @property
    def encoders(self) -> dict[str, Any]:
        """The students, by name: `Student`s without guidance and head."""
        return self.learners

    def shown(self, batch: Batch) -> dict[str, Any]:
        """Nothing: no image gets labels."""
        return {}

    def inference(self, items: Any) -> Any:
        raise ValueError(
            f"{type(self).__name__} predicts no classes, so there is nothing to score and no map. "
            "Train a segmentation from its backbones: BACKBONE.WEIGHTS "
            "<OUTPUT_DIR>/backbone_<student>.safetensors."
        )
