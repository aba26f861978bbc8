"""Co2S: two unlike students that label for themselves and steady each other (arXiv 2512.23035)."""

from typing import Any

import torch
from torch import Tensor

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable, get_event_storage
from co2s.semi import cosine_ramp, stability_loss, stability_masks
from co2s.structures import Batch

from .stacking import Labeled, Seen, Unlabeled
from .unimatch import UniMatch, add_unimatch_config


@method_config
def add_co2s_config(cfg: CfgNode) -> None:
    add_unimatch_config(cfg, "CO2S")
    cfg.MODEL.CO2S.STABILITY_WEIGHT = 0.5  # lambda after its ramp
    cfg.MODEL.CO2S.STABILITY_RAMP = 0.2  # share of the steps over which lambda rises
    cfg.MODEL.CO2S.STABILITY_GRADIENT = True  # False: detached, as in the authors' release
    cfg.MODEL.CO2S.STABILITY_PADDING = False  # True: padding counts, as in the authors' release


@META_ARCH_REGISTRY.register()
class Co2S(UniMatch):
    """UniMatch for each of two students, and a stability loss between them (paper section 3).

    On the weak view, pixel by pixel, the more confident student teaches the other. ValueError
    where the configuration does not name two students.
    """

    @configurable
    def __init__(self, *, keys: CfgNode, max_iter: int, **base: Any):
        """keys: as `add_co2s_config` adds them; max_iter: steps of the run, for the ramp."""
        super().__init__(keys=keys, **base)
        if len(self.students) != 2:
            raise ValueError(
                f"Co2S needs two students, MODEL.STUDENTS names {list(self.students)}. Name two, "
                "or choose a method for any number as MODEL.META_ARCHITECTURE: UniMatch, FixMatch."
            )
        self.threshold = keys.THRESHOLD  # of the stability loss, whatever those of the classes
        self.weight, self.ramp = keys.STABILITY_WEIGHT, keys.STABILITY_RAMP
        self.gradient, self.padding = keys.STABILITY_GRADIENT, keys.STABILITY_PADDING
        self.max_iter = max_iter

    @classmethod
    def from_config(cls, cfg: CfgNode, key: str = "CO2S") -> dict[str, Any]:
        return super().from_config(cfg, key) | {"max_iter": cfg.SOLVER.MAX_ITER}

    def counted(self, batch: Batch) -> dict[str, Tensor]:
        u = self.stacked(batch["unlabeled"])
        weak = {name: student(u.weak) for name, student in self.students.items()}
        return super().counted(batch) | self.masks(weak, u)

    def masks(self, weak: dict[str, Tensor], u: Unlabeled) -> dict[str, Tensor]:
        counted = torch.ones_like(u.valid) if self.padding else u.valid
        one, two = weak
        learns = stability_masks(weak[one], weak[two], counted, self.threshold)
        return {f"learns_{one}": learns[0], f"learns_{two}": learns[1]}

    def terms(self, seen: dict[str, Seen], x: Labeled, masks: Any, n: Any) -> dict[str, Tensor]:
        losses = super().terms(seen, x, masks, n)
        weight = self.stability_now()
        one, two = seen
        for student, teacher in ((one, two), (two, one)):
            logits = seen[student].logits["weak"]
            logits = logits if self.gradient else logits.detach()
            mask = f"learns_{student}"
            loss = stability_loss(logits, seen[teacher].logits["weak"], masks[mask], n[mask])
            losses[f"loss_stability_{student}"] = weight * loss
            self.add({f"teaches/{teacher}": (masks[mask] & masks["weak"]).sum()})
        return losses

    def stability_now(self) -> float:
        """lambda(t) of this step: a half cosine up, then constant."""
        weight = self.weight * cosine_ramp(self.progress, self.ramp)
        get_event_storage().put_scalar("stability_weight", weight, smoothing_hint=False)
        return weight
